package deliver

import (
	"strings"
	"testing"

	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// TestNoticeToNobody: what a program of this machine sent in the name of a user who has
// no mailbox fails, and the postmaster hears of it; a deleted account's letters are
// nobody else's, and without a postmaster nothing changes.
func TestNoticeToNobody(t *testing.T) {
	from := func(local, domain, account string) *queue.Item {
		return &queue.Item{Sender: address.Address{Local: local, Domain: domain},
			Origin: queue.Origin{Local: account == "", Account: account, Protocol: "local"}}
	}
	c := newCorridor(t)
	c.run()
	c.put(from("cron", "example.org", ""), letterText, to(t, "early@reject.example", 0))
	c.await("nothing is left", c.empty)
	check(t, c.accounts.AddHashed(t.Context(), address.Address{Local: "postmaster", Domain: "example.org"}, "{PLAIN}secret", 0))
	c.put(from("www-data", "mail.example.org", ""), letterText, to(t, "one@reject.example", 0))
	c.put(from("cron", "example.org", ""), letterText, to(t, "two@reject.example", 0))
	c.put(from("gone", "example.org", "gone@example.org"), letterText, to(t, "three@reject.example", 0))
	c.put(from("alice", "example.org", ""), letterText, to(t, "four@reject.example", 0))
	c.await("nothing is left", c.empty)
	post, alice := strings.Join(c.letters("postmaster"), ""), strings.Join(c.letters("alice"), "")
	for who, want := range map[string]bool{"early@": false, "one@": true, "two@": true, "three@": false, "four@": false} {
		if strings.Contains(post, who+"reject.example") != want {
			t.Errorf("the postmaster heard of %s: %v", who, !want)
		}
	}
	if strings.Contains(post, "Delivered-To: cron@") || !strings.Contains(post, "Delivered-To: postmaster@example.org\r\n") {
		t.Error("it was delivered to the postmaster, and does not say so:", post)
	}
	if !strings.Contains(alice, "four@reject.example") {
		t.Error("alice has a mailbox of her own")
	}
}
