package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"facteur/internal/mail/message"
	"facteur/internal/test/sim"
)

// TestServerSigns: rows 223 and 224: what a running server signs holds for opendkim and
// dkimpy, with its records in a zone file exactly as they are printed: a user's letter, a
// machine's, a notice, and all that leaves while one key takes over from another.
func TestServerSigns(t *testing.T) {
	t.Parallel()
	swaks := Need(t, "swaks")
	sink, err := sim.StartSink("127.0.0.1:0", map[string]sim.Behaviour{"reject.test": sim.Reject()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.Close)
	f := NewFacteur(t, Setup{Domains: []string{"example.org"}, Accounts: []string{alice}, Trusted: "127.0.0.1/32",
		Services: []string{"smtp", "submission", "imap"}, Smarthost: sink.Addr().String(),
		Config: "[dkim]\nalgorithms = [\"rsa\", \"ed25519\"]\n[dns]\nservers = [\"127.0.0.1:9\"]\n[[list]]\nname = \"away\"\nentries = [\"away@example.org x@accept.test\"]\n[addresses]\nvirtual_alias_maps = [\"away\"]\n"})
	f.Command("", "dkim", "show", "example.org")
	f.Command("", "dkim", "rotate", "--force", "example.org")
	f.TryCommand("", "dkim", "rotate", "example.org") // the next keys; nobody answers about them
	zone := f.Command("", "dkim", "show", "example.org")
	dns := StartUnbound(t, Zone{Name: "example.org", Records: zone}).Addr()
	f.Edit("127.0.0.1:9", dns)
	f.Start()
	if out := f.Command("", "dkim", "check", "example.org"); strings.Count(out, " published  ok ") != 2 || strings.Count(out, " active     ok ") != 2 {
		t.Fatalf("%s\n%s", out, zone)
	}

	letter := func(subject string) string {
		return "From: Alice <" + alice + ">\r\nTo: x@accept.test\r\nSubject: " + subject + "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe,  two \t words\r\n.a dot\r\n\r\n"
	}
	Run(t, letter("user"), swaks, "--server", f.Addr("submission"), "--tls", "--auth-user", alice, "--auth-password", Password, "--from", alice, "--to", "x@accept.test", "--data", "-")
	Run(t, letter("lost"), swaks, "--server", f.Addr("submission"), "--tls", "--auth-user", alice, "--auth-password", Password, "--from", alice, "--to", "x@reject.test", "--data", "-")
	send := func(subject, to string) {
		expectReply(t, subject, converse(t, f, letter(subject), "MAIL FROM:<"+alice+">", "RCPT TO:<"+to+">"), "250")
	}
	send("alias", "away@example.org")
	const letters = 12
	var senders sync.WaitGroup
	half := make(chan struct{})
	senders.Go(func() {
		for i := range letters {
			if i == letters/3 {
				close(half)
			}
			send(fmt.Sprintf("traffic%d", i), "x@accept.test")
		}
	})
	<-half
	out := f.Command("", "dkim", "rotate", "--force", "example.org")
	senders.Wait()
	if strings.Count(out, "it signs\n") != 2 {
		t.Errorf("%s", out)
	}
	send("last", "x@accept.test")

	notice := ""
	WaitUntil(t, "the notice", func() bool {
		for _, body := range DialIMAP(t, f.Addr("imap"), alice).Bodies("INBOX") {
			notice = string(body)
		}
		return notice != ""
	})
	WaitUntil(t, "all letters", func() bool { return len(sink.Taken()) >= letters+3 })
	_, notice, _ = strings.Cut(notice, "\r\nDKIM-Signature:") // what the mailbox put above it
	texts := map[string]string{"notice": "DKIM-Signature:" + notice}
	for _, m := range sink.Taken() {
		_, subject, _ := strings.Cut(string(m.Data), "\r\nSubject: ")
		subject, _, _ = strings.Cut(subject, "\r\n")
		texts[subject] = string(m.Data)
	}
	var files []string
	selectors := map[string]int{}
	for name, text := range texts {
		for algorithm, alone := range eachSignature(t, name, text) {
			selector, _, _ := strings.Cut(strings.SplitN(alone, "s=", 2)[1], ";")
			selectors[selector]++
			if name == "user" || name == "notice" || name == "last" { // each is a process of opendkim
				files = append(files, WriteFile(t, filepath.Join(Room(t), name+"-"+algorithm), alone))
			}
		}
	}
	if len(selectors) != 4 {
		t.Errorf("signed by %v; both keys of both algorithms expected", selectors)
	}
	for name, verify := range DKIMVerifiers() {
		if name == "Mail::DKIM" || name == "rspamd" {
			continue // the one has no Ed25519; the other takes long to start, and is asked about our signatures elsewhere
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for file, good := range verify(t, dns, files) {
				if !good {
					t.Errorf("%s fails", file)
				}
			}
		})
	}
}

// eachSignature is a letter with each of its signatures alone, by algorithm; there are two.
func eachSignature(t *testing.T, name, text string) map[string]string {
	t.Helper()
	out, end := map[string]string{}, message.HeaderEnd([]byte(text))
	var fields []message.Field
	for f := range message.Header(text[:end]).Fields() {
		if f.Is("DKIM-Signature") {
			fields = append(fields, f)
		}
	}
	if len(fields) != 2 {
		t.Fatalf("%s has %d signatures:\n%s", name, len(fields), text)
	}
	for i, algorithm := range []string{"rsa", "ed25519"} {
		gone := fields[1-i]
		out[algorithm] = text[:gone.Start] + text[gone.End:]
		if !strings.Contains(out[algorithm], "a="+algorithm+"-sha256") {
			t.Errorf("%s: no %s:\n%s", name, algorithm, text)
		}
	}
	return out
}
