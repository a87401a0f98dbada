package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/test/sim"
)

// converse says SMTP commands, and gives the last reply; what is not expected to fail ends
// the test.
func converse(t *testing.T, post Post, letter string, commands ...string) string {
	t.Helper()
	s := dialSMTP(t, post)
	defer s.conn.Close()
	last := ""
	for i, c := range append([]string{"EHLO client.test"}, commands...) {
		fmt.Fprintf(s.conn, "%s\r\n", c)
		last = s.reply()
		if i < len(commands) && last[0] != '2' {
			t.Fatalf("%s: %s", c, last)
		}
	}
	if letter == "" || last[0] != '2' {
		return last
	}
	fmt.Fprintf(s.conn, "DATA\r\n")
	if r := s.reply(); r[0] != '3' {
		return r
	}
	fmt.Fprintf(s.conn, "%s.\r\n", stuff([]byte(letter)))
	return s.reply()
}

// forwarder is a facteur whose bob is elsewhere: what it sends arrives at the sink.
func forwarder(t *testing.T, config string) (*Facteur, *sim.Sink) {
	t.Helper()
	sink := rewritingSink(t)
	keys := WriteFile(t, filepath.Join(Room(t), "keys"), "signs\nold\n")
	if err := os.Chmod(keys, 0o600); err != nil {
		t.Fatal(err)
	}
	f := NewFacteur(t, Setup{Domains: []string{"example.org", "srs.example.org"}, Accounts: []string{alice}, Trusted: "192.0.2.0/24",
		Services: []string{"smtp", "local"}, Smarthost: sink.Addr().String(), Config: fmt.Sprintf(`
[[list]]
name = "elsewhere"
entries = ["bob@example.org bob@remote.test"]
[[list]]
name = "both"
entries = ["both@example.org alice@example.org, carl@remote.test"]
[addresses]
virtual_alias_maps = ["both"]
[rewrite]
recipient_canonical_maps = "elsewhere"
[forwarding]
srs_domain = "srs.example.org"
srs_secrets = [%q]
srs_exclude_domains = ["excluded.example", ".partner.example"]
%s`, keys, config)})
	f.Start()
	return f, sink
}

// mailFrom is the sender of the message with a Subject at the sink, and its text.
func mailFrom(t *testing.T, sink *sim.Sink, subject string) (sender, to, text string) {
	t.Helper()
	WaitUntil(t, "the message "+subject, func() bool {
		for _, m := range sink.Taken() {
			if strings.Contains(string(m.Data), "Subject: "+subject+"\r\n") {
				sender, _, _ = strings.Cut(m.Mail, " ")
				to, text = strings.Join(m.Recipients, " "), string(m.Data)
			}
		}
		return text != ""
	})
	return strings.Trim(sender, "<>"), to, text
}

func note(subject string) string {
	return "From: x@sender.example\r\nTo: y@example.org\r\nSubject: " + subject + "\r\n\r\nx\r\n"
}

func expectReply(t *testing.T, what, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) {
		t.Errorf("%s: %q, want %s", what, got, want)
	}
}

// SRS at the forwarding hop and nowhere else, there and back.
func TestForwardingUnderSRS(t *testing.T) {
	t.Parallel()
	f, sink := forwarder(t, "")
	p := newPostsrsd(t, "srs.example.org", "signs\n")

	expectReply(t, "forward", converse(t, f, note("one"), "MAIL FROM:<Stranger+x@sender.example>", "RCPT TO:<bob@example.org>"), "250")
	sender, to, text := mailFrom(t, sink, "one")
	if to != "bob@remote.test" || !strings.HasPrefix(sender, "SRS0=") || !strings.HasSuffix(sender, "=sender.example=Stranger+x@srs.example.org") {
		t.Errorf("row 207: from %s to %s", sender, to)
	}
	if got := p.ask(p.reverse, sender); got != "Stranger+x@sender.example" {
		t.Errorf("row 207: postsrsd reads %s as %q", sender, got)
	}
	if !strings.HasPrefix(text, "Delivered-To: bob@example.org\r\nReceived") {
		t.Errorf("LOOP-002: no trace of whom it was for:\n%s", text)
	}
	if !strings.HasSuffix(text, note("one")) {
		t.Errorf("row 212: the message that a DKIM signature covers is another:\n%s", text)
	}

	// Row 210: what stays here has its sender as he is.
	expectReply(t, "local", converse(t, f, note("two"), "MAIL FROM:<stranger@sender.example>", "RCPT TO:<"+alice+">"), "250")
	if stored := waitFile(t, f.Maildir(alice), "Subject: two"); !strings.Contains(stored, "Return-Path: <stranger@sender.example>\r\n") && !strings.Contains(stored, "Return-Path: <stranger@sender.example>\n") {
		t.Errorf("row 210:\n%s", stored)
	}

	// Rows 207 and 210 in one message: an alias with a copy for here.
	expectReply(t, "both", converse(t, f, note("both"), "MAIL FROM:<stranger@sender.example>", "RCPT TO:<both@example.org>"), "250")
	if from, to, text := mailFrom(t, sink, "both"); !strings.HasPrefix(from, "SRS0=") || to != "carl@remote.test" || !strings.HasPrefix(text, "Delivered-To: both@example.org\r\n") {
		t.Errorf("row 207: from %s to %s\n%s", from, to, text)
	}
	if stored := waitFile(t, f.Maildir(alice), "Subject: both"); !strings.HasPrefix(stored, "Return-Path: <stranger@sender.example>") {
		t.Errorf("row 210:\n%s", stored)
	}
	// LOOP-002: what comes back to an alias is refused, though it has a copy for here: that
	// one came with the first. Beside another recipient, it goes out no second time; the
	// sender, whom nobody knows, hears nothing of that.
	again := "Delivered-To: both@example.org\r\n" + note("again")
	expectReply(t, "LOOP-002", converse(t, f, again, "MAIL FROM:<stranger@sender.example>", "RCPT TO:<both@example.org>"), "554 5.4.6")
	expectReply(t, "LOOP-002", converse(t, f, again, "MAIL FROM:<stranger@sender.example>", "RCPT TO:<"+alice+">", "RCPT TO:<both@example.org>"), "250")
	waitFile(t, f.Maildir(alice), "Subject: again")
	WaitUntil(t, "the loop is seen", func() bool { return strings.Contains(f.Log(), "mail forwarding loop for both@example.org") })

	// Row 208, and our own senders.
	for subject, from := range map[string]string{"three": "x@excluded.example", "four": "x@a.partner.example", "five": "alice@example.org", "six": ""} {
		expectReply(t, subject, converse(t, f, note(subject), "MAIL FROM:<"+from+">", "RCPT TO:<bob@example.org>"), "250")
		if sender, _, _ := mailFrom(t, sink, subject); sender != from {
			t.Errorf("row 208: %q became %q", from, sender)
		}
	}

	// Row 209: the bounce comes back, whatever happened to its letters on the way.
	for i, address := range []string{sender, strings.ToLower(sender), p.ask(p.forward, "Stranger+x@sender.example")} {
		subject := fmt.Sprintf("bounce-%d", i)
		expectReply(t, "bounce", converse(t, f, note(subject), "MAIL FROM:<>", "RCPT TO:<"+address+">"), "250")
		if from, to, _ := mailFrom(t, sink, subject); from != "" || !strings.EqualFold(to, "stranger+x@sender.example") {
			t.Errorf("row 209: %s from %q to %q", subject, from, to)
		}
	}

	// It is no way to relay.
	forged := strings.Replace(sender, "sender.example", "victim.example", 1)
	expectReply(t, "REL-001 forged", converse(t, f, "", "MAIL FROM:<>", "RCPT TO:<"+forged+">"), "550 5.7.1")
	expectReply(t, "REL-001 no notice", converse(t, f, "", "MAIL FROM:<spammer@sender.example>", "RCPT TO:<"+sender+">"), "550 5.7.1")
	expectReply(t, "REL-001 malformed", converse(t, f, "", "MAIL FROM:<>", "RCPT TO:<SRS0=x@srs.example.org>"), "550 5.1.1")
	expectReply(t, "REL-001 elsewhere", converse(t, f, "", "MAIL FROM:<>", "RCPT TO:<"+strings.Replace(sender, "srs.", "other.", 1)+">"), "554 5.7.1")

	// LOOP-002: bob@remote.test sends all back to us.
	expectReply(t, "LOOP-002", converse(t, f, text, "MAIL FROM:<"+sender+">", "RCPT TO:<bob@example.org>"), "554 5.4.6")
	if n := len(sink.Taken()); n != 9 {
		t.Errorf("%d messages left, want 9", n)
	}

	// Row 209: the explanation says what a session does, and so it does without a server.
	for range 2 {
		for _, c := range [][]string{
			{"forwarding.srs_domain: ", " → Stranger+x@sender.example\n", sender},
			{"refused: 550 5.7.1 ", "wrong hash", forged},
			{"refused: 550 5.7.1 ", "only notices", "--sender=spammer@sender.example", sender},
			{"rewrite.recipient_canonical_maps: bob@example.org → bob@remote.test\n", "an address of ours", "bob@example.org"},
		} {
			if road := f.Command("", append([]string{"address"}, c[2:]...)...); !strings.Contains(road, c[0]) || !strings.Contains(road, c[1]) {
				t.Errorf("row 209: address %s:\n%s", c[2:], road)
			}
		}
		if f.Running() {
			f.Stop()
		}
	}
}

// REL-015: with BATV, notices about mail that never left here are refused.
func TestBATV(t *testing.T) {
	t.Parallel()
	f, sink := forwarder(t, `batv = true
batv_domains = ["example.org"]
`)
	if out, code := f.Sendmail("alice@example.org", []string{"friend@remote.test"}, strings.ReplaceAll(note("out"), "\r\n", "\n")); code != 0 {
		t.Fatal(out)
	}
	sender, _, _ := mailFrom(t, sink, "out")
	if !strings.HasPrefix(sender, "prvs=0") || !strings.HasSuffix(sender, "=alice@example.org") {
		t.Fatalf("MAIL FROM:<%s>", sender)
	}
	expectReply(t, "our bounce", converse(t, f, note("back"), "MAIL FROM:<>", "RCPT TO:<"+sender+">"), "250")
	stored := waitFile(t, f.Maildir(alice), "Subject: back")
	if !strings.Contains(stored, "Delivered-To: alice@example.org") {
		t.Errorf("%s", stored)
	}
	expectReply(t, "an answer to the mark", converse(t, f, note("answer"), "MAIL FROM:<friend@remote.test>", "RCPT TO:<"+sender+">"), "250")
	expectReply(t, "a letter", converse(t, f, note("letter"), "MAIL FROM:<friend@remote.test>", "RCPT TO:<"+alice+">"), "250")
	if road := f.Command("", "address", "--sender=<>", alice); !strings.Contains(road, "refused: 550 5.7.1 ") {
		t.Errorf("REL-015:\n%s", road)
	}
	if road := f.Command("", "address", "--sender=<>", sender); !strings.Contains(road, "forwarding.batv: "+sender+" → alice@example.org\n") {
		t.Errorf("REL-015:\n%s", road)
	}
	expectReply(t, "REL-015 no mark", converse(t, f, "", "MAIL FROM:<>", "RCPT TO:<"+alice+">"), "550 5.7.1")
	expectReply(t, "REL-015 forged mark", converse(t, f, "", "MAIL FROM:<>", "RCPT TO:<prvs=0123abcdef=alice@example.org>"), "550 5.7.1")
	expectReply(t, "REL-015 two recipients", converse(t, f, "", "MAIL FROM:<>", "RCPT TO:<"+sender+">", "RCPT TO:<"+sender+">"), "452 4.5.3")
	expectReply(t, "a stranger's mark is nothing", converse(t, f, note("forward"), "MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.org>"), "250")
	if from, _, _ := mailFrom(t, sink, "forward"); from != "alice@example.org" {
		t.Errorf("a stranger who says that he is alice got her mark: %s", from)
	}
}
