package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/sim"
)

// stanza is a [[milter]] or [[policy]].
func stanza(kind, address, more string) string {
	return fmt.Sprintf("\n[[%s]]\naddress = %q\n%s\n", kind, address, more)
}

// deliver hands a letter over at the door smtp and gives the last reply.
func deliver(t *testing.T, post Post, from, to, letter string) string {
	t.Helper()
	s := dialSMTP(t, post)
	defer s.conn.Close()
	for _, step := range []struct{ say, want string }{
		{"EHLO client.test", "250"}, {"MAIL FROM:<" + from + ">", "250"}, {"RCPT TO:<" + to + ">", "250"}, {"DATA", "354"},
	} {
		fmt.Fprintf(s.conn, "%s\r\n", step.say)
		if reply := s.reply(); !strings.HasPrefix(reply, step.want) {
			return reply
		}
	}
	fmt.Fprintf(s.conn, "%s.\r\n", stuff([]byte(letter)))
	return s.reply()
}

// A letter that a user submits leaves with opendkim's signature, and what comes in
// with it is verified by opendkim again: no byte of it changed between.
func TestOpenDKIM(t *testing.T) {
	t.Parallel()
	dkim := NewOpenDKIM(t)
	dkim.Start()
	sink, err := sim.StartSink("127.0.0.1:0", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Services: sendingServices, Smarthost: sink.Addr().String(),
		Config: stanza("milter", dkim.Socket(), "")})
	f.Start()
	submit(t, f, "bob@example.net", "From: Alice <"+alice+">\r\nTo: bob@example.net\r\nSubject:  two  blanks,\r\n\tand a fold\r\n\r\n8 bit: \xc3\xa9\r\n.dot\r\n \r\n\r\n")
	taken := sink.Await(1, LongWait)
	if len(taken) != 1 {
		t.Fatal("nothing left")
	}
	signed := string(taken[0].Data)
	first, rest, _ := strings.Cut(signed, "DKIM-Signature: ")
	if !strings.HasPrefix(first, "Authentication-Results: ") || strings.Count(first, "Received: ") != 1 || !strings.Contains(rest, "d=example.org; s=test") {
		t.Fatalf("INV-14: our trace fields are not on top of a signature:\n%s", signed)
	}
	for _, name := range []string{"Date: ", "Message-Id: "} {
		if !strings.Contains(rest, "\r\n"+name) {
			t.Errorf("%swas not there when it was signed", name)
		}
	}
	zone, err := sim.StartDNS("127.0.0.1:0", dkim.Record())
	if err != nil {
		t.Fatal(err)
	}
	defer zone.Close()
	if out := f.Command("DKIM-Signature: "+rest, "dkim", "verify", "-", "--dns", zone.Addr()); !strings.Contains(out, "pass") || !strings.Contains(out, "simple/simple") {
		t.Errorf("opendkim's signature does not hold for us:\n%s", out)
	}
	if reply := deliver(t, f, alice, alice, signed); !strings.HasPrefix(reply, "250") {
		t.Fatal(reply)
	}
	got := waitFile(t, f.Maildir(alice), "Authentication-Results: ")
	if !strings.Contains(got, "dkim=pass") {
		t.Errorf("INV-14: the signature did not survive:\n%s", got)
	}
	if reply := deliver(t, f, alice, alice, strings.Replace(signed, "8 bit", "9 bit", 1)); !strings.HasPrefix(reply, "250") {
		t.Fatal(reply)
	}
	if got = waitFile(t, f.Maildir(alice), "9 bit"); !strings.Contains(got, "dkim=fail") {
		t.Errorf("a forged body passes:\n%s", got)
	}
}

// A milter that is down is told of, and the client comes again, or not, as the
// settings say; when it is back, all is well without a restart.
func TestMilterIsDown(t *testing.T) {
	t.Parallel()
	for action, want := range map[string]string{"": "451 4.7.1 Service unavailable - try again later", "accept": "250 2.0.0", "reject": "550 5.5.0 Service unavailable", "quarantine": "250 2.0.0"} {
		t.Run("FLT-018 "+action, func(t *testing.T) {
			t.Parallel()
			dkim := NewOpenDKIM(t)
			setting := ""
			if action != "" {
				setting = fmt.Sprintf("default_action = %q", action)
			}
			f := NewFacteur(t, Setup{Accounts: []string{alice}, Config: stanza("milter", dkim.Socket(), setting)})
			f.Start()
			if reply := deliver(t, f, "bob@example.net", alice, difficult("down")); !strings.HasPrefix(reply, want) {
				t.Errorf("%s, want %s", reply, want)
			}
			warning := "warning: connect to Milter service " + dkim.Socket() + ": Connection refused"
			WaitUntil(t, "a warning in the log", func() bool { return strings.Contains(f.Log(), warning) })
			switch action {
			case "accept":
				WaitLetter(t, f.Addr("imap"), alice, "id down")
			case "quarantine":
				out := f.Command("", "queue", "list")
				if !strings.Contains(out, alice) {
					t.Errorf("nothing is held:\n%s", out)
				}
			}
			dkim.Start()
			if reply := deliver(t, f, "bob@example.net", alice, difficult("up")); !strings.HasPrefix(reply, "250 2.0.0") {
				t.Errorf("it is back, and %s", reply)
			}
			WaitLetter(t, f.Addr("imap"), alice, "id up")
		})
	}
}

// infected is a letter with the test virus as an attachment.
func infected(id string) string {
	return "From: Bob <bob@example.net>\r\nSubject: id " + id + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\n\r\nsee below\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n" + Virus + "\r\n--b--\r\n"
}

// clamav-milter rejects what is infected and marks what is clean; opendkim beside it
// sees the mark. Without the scanner mail waits outside.
func TestClamAV(t *testing.T) {
	t.Parallel()
	clam := NewClamAV(t, "Reject")
	clam.Start()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Config: stanza("milter", clam.Socket(), "")})
	f.Start()
	if reply := deliver(t, f, "bob@example.net", alice, difficult("clean")); !strings.HasPrefix(reply, "250") {
		t.Fatal(reply)
	}
	if got := string(WaitLetter(t, f.Addr("imap"), alice, "id clean")); !strings.Contains(got, "X-Virus-Scanned: ") || !strings.Contains(got, "X-Virus-Status: Clean") {
		t.Errorf("no mark of the scanner:\n%s", got)
	}
	if reply := deliver(t, f, "bob@example.net", alice, infected("ill")); !strings.HasPrefix(reply, "55") {
		t.Errorf("a virus: %s", reply)
	}
	large := difficult("large") + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20000)
	if reply := deliver(t, f, "bob@example.net", alice, large); !strings.HasPrefix(reply, "250") {
		t.Errorf("a letter of many chunks: %s", reply)
	}
	clam.KillScanner()
	if reply := deliver(t, f, "bob@example.net", alice, difficult("unseen")); !strings.HasPrefix(reply, "451") {
		t.Errorf("FLT-018: without the scanner: %s", reply)
	}
	clam.KillMilter()
	if reply := deliver(t, f, "bob@example.net", alice, difficult("unseen")); !strings.HasPrefix(reply, "451 4.7.1 Service unavailable") {
		t.Errorf("FLT-018: without the milter: %s", reply)
	}
	WaitUntil(t, "a warning in the log", func() bool {
		return strings.Contains(f.Log(), "warning: connect to Milter service "+clam.Socket()+": No such file or directory")
	})
}

// A quarantine is held in the queue until an admin decides.
func TestClamAVQuarantine(t *testing.T) {
	t.Parallel()
	clam := NewClamAV(t, "Quarantine")
	clam.Start()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Config: stanza("milter", clam.Socket(), "")})
	f.Start()
	if reply := deliver(t, f, "bob@example.net", alice, infected("ill")); !strings.HasPrefix(reply, "250") {
		t.Fatal(reply)
	}
	if out := f.Command("", "queue", "list"); !strings.Contains(out, alice) {
		t.Errorf("nothing is held:\n%s", out)
	}
	time.Sleep(time.Second) // a delivery would have begun
	if files, _ := filepath.Glob(filepath.Join(f.Maildir(alice), "new", "*")); len(files) != 0 {
		t.Error("it was delivered")
	}
}

// Two milters in their order: the signature covers what the scanner added.
func TestMiltersInOrder(t *testing.T) {
	t.Parallel()
	clam, dkim := NewClamAV(t, "Reject"), NewOpenDKIM(t)
	clam.Start()
	dkim.Start()
	sink, err := sim.StartSink("127.0.0.1:0", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Services: sendingServices, Smarthost: sink.Addr().String(),
		Config: stanza("milter", clam.Socket(), "") + stanza("milter", dkim.Socket(), "")})
	f.Start()
	submit(t, f, "bob@example.net", "From: "+alice+"\r\nSubject: both\r\n\r\nbody\r\n")
	taken := sink.Await(1, LongWait)
	if len(taken) != 1 {
		t.Fatal("nothing left")
	}
	got := string(taken[0].Data)
	if !strings.Contains(got, "DKIM-Signature: ") || !strings.Contains(got, "X-Virus-Status: Clean") {
		t.Errorf("one is missing:\n%s", got)
	}
}
