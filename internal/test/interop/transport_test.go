package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/test/sim"
)

// Two relays: the first is on a block list and says so in its banner, the second is a real
// Postfix that wants a log-in over TLS. The mail arrives, and comes back to nobody.
func TestRelayOfPostfixTakesOver(t *testing.T) {
	t.Parallel()
	relay := NewDebian(t, Setup{Domains: []string{"remote.test"}, Accounts: []string{"dave@remote.test"}, Services: []string{"smtp", "submission"}})
	relay.Start()
	blocked, err := sim.StartPeer(sim.Peer{Faults: []sim.Fault{{At: "greeting", Then: sim.Drop,
		Raw: "554 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using zen.spamhaus.org\r\n"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer blocked.Close()
	secret := WriteFile(t, filepath.Join(Room(t), "secret"), Password+"\n")
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Config: fmt.Sprintf(`
[[transport]]
name = "out"
relays = ["%[1]s", "%[2]s"]
log_name = "postfix-out"
[[relay]]
host = "%[2]s"
user = "relay@example.org"
password_file = "%[3]s"
tls = "encrypt"
[[transport_map]]
recipient = "*"
to = "out:"
`, blocked.Addr(), relay.Addr("submission"), secret)})
	f.Start()
	for n := range 3 {
		deliver(t, f, alice, "dave@remote.test", difficult(fmt.Sprintf("relayed-%d", n)))
		waitFile(t, relay.Maildir("dave@remote.test"), fmt.Sprintf("id relayed-%d", n))
	}
	WaitUntil(t, "all are told", func() bool { return strings.Count(f.Log(), "status=sent") == 3 })
	log := f.Log()
	if strings.Count(log, "does not take our mail") != 1 || strings.Contains(log, "status=deferred") || !strings.Contains(log, "postfix-out/smtp[") {
		t.Error(log)
	}
	if !strings.Contains(relay.Log(), "sasl_username=relay@example.org") {
		t.Errorf("the relay was not logged in to:\n%s", relay.Log())
	}
	if strings.Contains(log, Password) {
		t.Error("INV-21: the password is in the log")
	}
}
