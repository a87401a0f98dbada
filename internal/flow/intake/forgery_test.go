package intake

import (
	"strings"
	"testing"
)

// TestForgedHeaders: AUT-015, headers of which another program may see more, or something
// else, than was looked at here.
func TestForgedHeaders(t *testing.T) {
	for _, x := range []struct{ name, text, kept, folder string }{
		{"AUT-015 an author beyond what is looked at", "X-Long: " + strings.Repeat("y\r\n ", headMax/4) + "y\r\nFrom: ceo@bank.example\r\n\r\nNow.\r\n", "", `\Junk`},
		{"AUT-015 a header that goes on where ours ends", " ; dmarc=pass header.from=bank.example\r\nFrom: f@friend.example\r\n\r\nNow.\r\n", "\r\n\r\n ; dmarc=pass", ""},
		{"AUT-015 a From that our field swallows", "\tFrom: ceo@bank.example\r\nFrom: f@friend.example\r\n\r\nNow.\r\n", "\r\n\r\n\tFrom: ceo@", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newCounter(t, 0)
			c.authenticating(t, nil)
			c.with(func(r *Rules) { r.SizeLimit = 1 << 20 })
			_, _, id := c.talk(t, stranger, from(t, "f@friend.example"), x.text, "alice@example.org")
			item, text := c.bytes(t, id)
			if item.Recipients[0].Folder != x.folder || !strings.Contains(text, x.kept) {
				t.Errorf("it goes to %q:\n%.2000s", item.Recipients[0].Folder, text)
			}
		})
	}
}
