package intake

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

func TestDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := NewDevice([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}, []string{"Scanner@Example.org"},
			[]string{"example.org", "boss@other.example"}, 2)
		if err != nil {
			t.Fatal(err)
		}
		mail := func(client, sender string) *smtp.Reply {
			a, _ := address.Parse(sender)
			return d.begin(Peer{Addr: netip.MustParseAddr(client)}, smtp.Mail{Sender: a})
		}
		for _, test := range []struct{ client, sender, want string }{
			{"192.0.2.16", "scanner@example.org", "554 5.7.1 <192.0.2.16>"},
			{"192.0.2.1", "ceo@example.org", "553 5.7.1 <ceo@example.org>"},
			{"192.0.2.1", "", "553 5.7.1 <>"},
			{"192.0.2.1", "scanner@EXAMPLE.ORG", ""},
			{"::ffff:192.0.2.1", "scanner@example.org", ""},
			{"192.0.2.1", "scanner@example.org", "450 4.7.1 <192.0.2.1>: Client host rejected: more than 2 messages in an hour"},
			{"192.0.2.2", "scanner@example.org", ""},
		} {
			reply := mail(test.client, test.sender)
			if test.want == "" && reply != nil || test.want != "" && (reply == nil || !strings.HasPrefix(string(reply.AppendTo(nil)), test.want)) {
				t.Errorf("%s from %s: %v, want %q", test.sender, test.client, reply, test.want)
			}
		}
		time.Sleep(2 * time.Hour)
		if reply := mail("192.0.2.1", "scanner@example.org"); reply != nil {
			t.Errorf("two hours later: %v", reply)
		}
		for to, allowed := range map[string]bool{
			"anybody@Example.ORG": true, "boss@other.example": true, "else@other.example": false,
			"a@sub.example.org": false, "postmaster": false,
		} {
			a, err := address.Parse(to)
			if err != nil {
				a = address.Address{Local: to}
			}
			if reply := d.recipient(a); (reply == nil) != allowed {
				t.Errorf("to %s: %v", to, reply)
			}
		}
	})
}
