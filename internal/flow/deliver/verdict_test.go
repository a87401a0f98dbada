package deliver

import (
	"context"
	"strings"
	"testing"

	"facteur/internal/flow/transport"
	"facteur/internal/store/queue"
)

func TestErrorReply(t *testing.T) {
	for text, want := range map[string]string{
		"5.1.1 no such user":        "550 5.1.1 no such user",
		"450 4.2.0 come again":      "450 4.2.0 come again",
		"4.3.5 not today":           "450 4.3.5 not today",
		"gone":                      "550 5.0.0 gone",
		"554 gone for good":         "554 5.0.0 gone for good",
		"550 4.0.0 of two minds":    "550 5.0.0 of two minds",
		"5 apples":                  "550 5.0.0 5 apples",
		"999 9.9.9 not a code":      "550 5.0.0 999 9.9.9 not a code",
		"5.1.10 null MX, they said": "550 5.1.10 null MX, they said",
	} {
		if got := errorReply(text).Error(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Ways that need nobody: what becomes of the mail, what the log says, what a person
// finds.
func TestVerdicts(t *testing.T) {
	for kind, x := range map[transport.Kind]struct {
		text, log, told string
		held            bool
	}{
		transport.Discard: {"", "postfix/discard x: to=<x@d.test>, relay=none, dsn=2.0.0, status=sent (d.test)", "", false},
		transport.Error:   {"5.1.6 has moved", "postfix/error x: to=<x@d.test>, relay=none, dsn=5.1.6, status=bounced (has moved)", "has moved", false},
		transport.Hold:    {"look at it", "postfix/error x: to=<x@d.test>, relay=none, dsn=4.7.0, status=held (held: look at it)", "", true},
	} {
		c, book := newCorridor(t), &record{}
		c.events = book
		usual := &transport.Transport{Name: "way", Kind: kind, Text: x.text}
		ways, mistakes := transport.NewTable(transport.Rules{Usual: usual})
		if len(mistakes) > 0 {
			t.Fatal(mistakes)
		}
		c.tune = func(o *Outbound) { o.Ways = ways }
		id := c.put(fromAlice(), letterText, to(t, "x@d.test", 0))
		stop := c.run()
		if x.held {
			c.await("it is held", func() bool {
				it, _, err := c.queue.Show(context.Background(), id)
				return err == nil && it.Recipients[0].State == queue.Held
			})
		} else {
			c.await("the queue is empty", c.empty)
		}
		stop()
		program := strings.Fields(x.log)[0]
		line := strings.TrimPrefix(x.log, program+" x: ")
		if got := strings.Join(book.of(id), "\n"); !strings.Contains(cutDelays(got), line) || !book.has(program) {
			t.Errorf("%v: the log has %q, want %q", kind, got, x.log)
		}
		if told := strings.Join(c.letters("alice"), ""); x.told == "" && told != "" || !strings.Contains(told, x.told) {
			t.Errorf("%v: alice was told %q", kind, told)
		}
	}
}

// cutDelays takes the times out of lines of the log.
func cutDelays(lines string) string {
	var out []string
	for _, field := range strings.Split(lines, ", ") {
		if !strings.HasPrefix(field, "delay") {
			out = append(out, field)
		}
	}
	return strings.Join(out, ", ")
}

// FLT-013, INV-22: the third failure of the program in a row holds the message.
func TestPoisonIsSetAside(t *testing.T) {
	a := attemptFor("d.test", 2)
	for i := 1; i <= 3; i++ {
		r := a.crashed()[0]
		if held := r.kind == queue.Undeliverable; held != (i == 3) || held != r.aside {
			t.Errorf("INV-22: failure %d: %+v", i, r)
		}
		a.item.Recipients[0].LastReply = r.text
	}
	a.item.Recipients[0].LastReply = "451 4.7.1 Greylisted"
	if a.crashed()[0].kind != queue.Deferred {
		t.Error("failures long ago count")
	}
}
