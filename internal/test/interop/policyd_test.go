package interop

import (
	"strings"
	"testing"
)

// The row of policyd (cluebringer), ABU-016: a real Postfix asks our brake who may send, and
// holds and puts off as it says.
func TestPostfixAsksTheBrake(t *testing.T) {
	t.Parallel()
	NeedRoot(t)
	swaks := Need(t, "swaks")
	for over, want := range map[string]string{"defer": "450 4.7.1 <c@remote.test>: Recipient address rejected: slowly", "brake": "250 2.0.0"} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			socket := Room(t) + "/policy"
			f := NewFacteur(t, Setup{Accounts: []string{alice}, Config: "[[listen]]\nservice = \"policy\"\naddress = \"unix:" + socket + "\"\nsocket_user = \"postfix\"\n" +
				"[[quota_rule]]\nname = \"few\"\nperiod = \"1h\"\nlimit = 2\ndata = \"slowly\"\nverdict = \"" + over + "\"\n"})
			f.Start()
			p := NewPostfix(t, PostfixSetup{Main: map[string]string{
				"smtpd_recipient_restrictions": "check_policy_service unix:" + socket + ", permit_mynetworks, reject",
				"smtpd_relay_restrictions":     "permit_mynetworks, reject", "mynetworks": "127.0.0.0/8", "defer_transports": "smtp",
			}})
			p.Start()
			send := func(to string) string {
				out, _ := TryRun(t, "", swaks, "--server", p.Addr(), "--from", alice, "--to", to)
				return out
			}
			for _, to := range []string{"a@remote.test", "b@remote.test"} {
				if out := send(to); !strings.Contains(out, "250 2.0.0") {
					t.Fatalf("%s:\n%s", to, out)
				}
			}
			if out := send("c@remote.test"); !strings.Contains(out, want) {
				t.Errorf("beyond the limit:\n%s", out)
			}
			if over == "brake" {
				WaitUntil(t, "Postfix's word that it holds", func() bool { return strings.Contains(p.Log(), "HOLD") || strings.Contains(p.Log(), "hold: ") })
				if !strings.Contains(f.Log(), "facteur/brake") {
					t.Errorf("nobody is braked:\n%s", f.Log())
				}
			}
		})
	}
}
