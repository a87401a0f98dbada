package interop

import (
	"fmt"
	"strings"
	"testing"
)

// Dovecot takes mail over LMTP, as a transport for a domain: byte for byte, and each
// recipient has an answer of his own.
func TestTransportDovecotLMTP(t *testing.T) {
	t.Parallel()
	NeedRoot(t)
	root := Room(t)
	Chown(t, root, "mail")
	dovecot := NewDovecotLMTP(t, root)
	dovecot.Start()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Services: sendingServices, Config: fmt.Sprintf(`
[[transport]]
name = "dovecot"
kind = "lmtp"
relays = ["unix:%s"]

[[transport_map]]
recipient = "dovecot.test"
to = "dovecot:"
`, dovecot.LMTPSocket())})
	f.Start()
	letter := difficult("lmtp-out")
	for _, to := range []string{"dave@dovecot.test", "erin@dovecot.test"} {
		if out := submit(t, f, to, letter); !strings.Contains(out, "accepted") {
			t.Fatalf("submission: %s", out)
		}
		stored := waitFile(t, mailboxPath(root, to), "id lmtp-out")
		if _, body, _ := cutBefore(stored, "From: Bob"); body != unix(letter) {
			t.Errorf("%s has:\n%q\nsent:\n%q", to, body, unix(letter))
		}
	}
	WaitUntil(t, "nothing is queued", func() bool { n, err := f.Queued(); return err == nil && n == 0 })
	if log := f.Log(); strings.Count(log, "status=sent") < 2 || !strings.Contains(log, "postfix/lmtp[") || !strings.Contains(log, "relay=localhost["+dovecot.LMTPSocket()+"]") {
		t.Errorf("the log does not say where it went:\n%s", tail(log, 20))
	}
}

// To Exim, which offers CHUNKING, mail goes by BDAT: in its log that is a K.
func TestChunksReachExim(t *testing.T) {
	t.Parallel()
	peer := NewExim(t, NextHop{})
	peer.Start()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Services: sendingServices, Smarthost: peer.Addr()})
	f.Start()
	for n := range 3 { // the second and third go over the connection of the first
		id := fmt.Sprintf("chunks-%d", n)
		letter := difficult(id)
		if out := submit(t, f, "dave@"+eximDomain, letter); !strings.Contains(out, "accepted") {
			t.Fatalf("submission: %s", out)
		}
		if _, body, _ := cutBefore(waitFile(t, peer.Maildir(), "id "+id), "From: Bob"); body != unix(letter) {
			t.Errorf("arrived:\n%q\nsent:\n%q", body, unix(letter))
		}
	}
	if strings.Count(peer.Log(), " K ") != 3 {
		t.Errorf("not all three came by BDAT:\n%s", peer.Log())
	}
}
