package interop

import (
	"strings"
	"testing"
	"time"
)

// Row 26: postgrey puts a stranger off at first and takes him later; a letter that it
// delayed says so.
func TestPostgrey(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			grey := NewPostgrey(t, network)
			grey.Start()
			f := NewFacteur(t, Setup{Accounts: []string{alice}, Config: stanza("policy", grey.Socket(), "")})
			f.Start()
			reply := deliver(t, f, "bob@example.net", alice, difficult("grey"))
			if !strings.HasPrefix(reply, "450 4.2.0 <"+alice+">: Recipient address rejected: Greylisted") {
				t.Fatalf("first: %s", reply)
			}
			WaitUntil(t, "an end of the greylisting", func() bool {
				time.Sleep(500 * time.Millisecond)
				reply = deliver(t, f, "bob@example.net", alice, difficult("grey"))
				return !strings.HasPrefix(reply, "450 4.2.0")
			})
			if !strings.HasPrefix(reply, "250") {
				t.Fatalf("later: %s", reply)
			}
			if got := string(WaitLetter(t, f.Addr("imap"), alice, "id grey")); !strings.Contains(got, "X-Greylist: delayed ") {
				t.Errorf("the letter does not say that it waited:\n%s", got)
			}
		})
	}
}

// A policy server that is down is told of, and the client comes again, or not, as
// the settings say; what is not ours to relay stays refused whatever a server says.
func TestPolicyServerIsDown(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"":                                "451 4.3.5 <" + alice + ">: Recipient address rejected: Server configuration problem",
		`default_action = "DUNNO"`:        "250 2.0.0",
		`default_action = "450 Tomorrow"`: "450 4.7.1 <" + alice + ">: Recipient address rejected: Tomorrow",
	} {
		t.Run("FLT-018 "+setting, func(t *testing.T) {
			t.Parallel()
			grey := NewPostgrey(t, "tcp")
			f := NewFacteur(t, Setup{Accounts: []string{alice}, Config: stanza("policy", grey.Socket(), setting+"\ntry_limit = 1")})
			f.Start()
			if reply := deliver(t, f, "bob@example.net", alice, difficult("down")); !strings.HasPrefix(reply, want) {
				t.Errorf("%s, want %s", reply, want)
			}
			warning := "to server " + grey.Socket() + ": Connection refused"
			WaitUntil(t, "a warning in the log", func() bool { return strings.Contains(f.Log(), warning) })
		})
	}
}
