package app

import (
	"crypto/tls"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

// ask gives all that an IMAP door answers to a command.
func (c *client) ask(command string) string {
	c.t.Helper()
	io.WriteString(c.conn, "x "+command+"\r\n")
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%s: %v after\n%s", command, err, &all)
		}
		all.WriteString(line)
		if strings.HasPrefix(line, "x ") {
			return all.String()
		}
	}
}

// want is ask for something that has to be in the answer.
func (c *client) want(command, in string) string {
	c.t.Helper()
	got := c.ask(command)
	if !strings.Contains(got, in) {
		c.t.Errorf("%s: got\n%s\nwant in it %q", command, got, in)
	}
	return got
}

// TestForwardWithoutDownload: a letter that lies in a mailbox is put into a new one
// on the server (CATENATE), and that is submitted by its URL (URLAUTH, BURL): no octet
// of it passes the client's wire (RFC 4550 §2).
func TestForwardWithoutDownload(t *testing.T) {
	t.Parallel()
	_, submission, door := loginHouse(t, t.TempDir(), "")
	imap := enter(t, door, true, &tls.Config{InsecureSkipVerify: true})
	imap.want("LOGIN "+alice+` "`+secret+`"`, "URLAUTH=BINARY")
	letter := "From: bob@example.net\r\nSubject: the original\r\n\r\nwords of the original\r\n"
	imap.want(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(letter), letter), "x OK [APPENDUID")
	head := "From: " + alice + "\r\nTo: " + alice + "\r\nSubject: Fwd: the original\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
	tail := "\r\n--b--\r\n"
	imap.want(fmt.Sprintf("APPEND Drafts (\\Draft) CATENATE (TEXT {%d+}\r\n%s URL /INBOX/;UID=1 TEXT {%d+}\r\n%s)", len(head), head, len(tail), tail), "x OK [APPENDUID")
	url := func(right string) string {
		t.Helper()
		got := imap.want(`GENURLAUTH "imap://alice%40example.org@mail.example.org/Drafts/;UID=1;EXPIRE=2999-01-01T00:00:00Z;URLAUTH=`+right+`" INTERNAL`, "x OK")
		m := regexp.MustCompile(`"(imap:[^"]*)"`).FindStringSubmatch(got)
		if m == nil {
			t.Fatal(got)
		}
		return m[1]
	}
	good := url("submit+" + alice)

	smtp := enter(t, submission, false, &tls.Config{InsecureSkipVerify: true})
	if offers := smtp.offers(); strings.Contains(offers, "BURL") {
		t.Errorf("BURL is offered to a stranger:\n%s", offers)
	}
	if got := smtp.auth("PLAIN", []byte("\x00"+alice+"\x00"+secret), nil); !in(got) {
		t.Fatal(got)
	}
	if offers := smtp.offers(); !strings.Contains(offers, "250-BURL imap\r\n") {
		t.Errorf("BURL is not offered:\n%s", offers)
	}
	say := func(line, want string) {
		t.Helper()
		if got := smtp.say(line); !strings.HasPrefix(got, want) {
			t.Fatalf("%s: %s, want %s", line, got, want)
		}
	}
	say("BURL "+good+" LAST", "503")
	begin := func() { t.Helper(); say("MAIL FROM:<"+alice+"> HOLDFOR=1", "250"); say("RCPT TO:<"+alice+">", "250") }
	for _, bad := range []string{url("authuser"), url("user+" + alice), url("submit+bob@example.org"), strings.Replace(good, "UID=1", "UID=2", 1), "imap://x/", "http://example.org/"} {
		begin()
		say("BURL "+bad+" LAST", "554 5.6.6")
		say("DATA", "503") // the transaction is over (RFC 4468 §3.3)
	}
	begin()
	say("BDAT 12\r\nX-First: x", "250")
	say("BURL "+strings.Replace(good, "UID=1", "UID=3", 1), "554 5.6.6")
	say("BURL "+good+" LAST", "503")
	begin()
	say("BURL "+good+" FIRST", "501")
	say("BDAT 12\r\nX-First: x", "250")
	say("BURL "+good, "250")
	say("BDAT 10 LAST\r\nthe end.", "250 2.0.0 Ok: queued as")

	imap.want("SELECT INBOX", "x OK")
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(imap.ask("STATUS INBOX (MESSAGES)"), "MESSAGES 2"); {
		if time.Now().After(deadline) {
			t.Fatal("the letter was not delivered")
		}
		time.Sleep(50 * time.Millisecond)
	}
	imap.ask("NOOP")
	got := imap.ask("FETCH 2 BODY.PEEK[]")
	for _, want := range []string{"X-First: x\r\n", "Subject: Fwd: the original\r\n", "words of the original\r\n\r\n--b--\r\nthe end."} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the letter:\n%s", want, got)
		}
	}
}
