package interop

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const alice = "alice@example.org"

// eachPost runs a test on facteur and on Debian's servers in its place, both
// started.
func eachPost(t *testing.T, setup Setup, test func(t *testing.T, post Post)) {
	t.Helper()
	eachPostWith(t, func(t *testing.T, open func(Setup) Post) {
		post := open(setup)
		post.Start()
		test(t, post)
	})
}

// eachPostWith is eachPost for a test that opens its server itself.
func eachPostWith(t *testing.T, test func(t *testing.T, open func(Setup) Post)) {
	t.Helper()
	t.Run("facteur", func(t *testing.T) {
		t.Parallel()
		test(t, func(setup Setup) Post { return NewFacteur(t, setup) })
	})
	t.Run("debian", func(t *testing.T) {
		t.Parallel()
		test(t, func(setup Setup) Post { return NewDebian(t, setup) })
	})
}

// difficult is a letter with everything that a careless server changes.
func difficult(id string) string {
	lines := []string{
		"From: Bob <bob@example.net>", "To: alice@example.org", "Subject: =?utf-8?q?d=C3=A9j=C3=A0?=", "Message-ID: <" + id + "@example.net>",
		"Date: Thu, 01 Jan 2026 12:00:00 +0000", "X-Folded: one", "\ttwo", " three  ", "X-Empty:", "MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", "", ".", "..", ".x", "blanks  ", "\t", "From here",
		"déjà vu ✉", strings.Repeat("é", 490), "id " + id, "", "",
	}
	return strings.Join(lines, "\r\n")
}

// INV-14: a letter from a real Postfix arrives and is read byte for byte
// through IMAP.
func TestLetterFromPostfix(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}}, func(t *testing.T, post Post) {
		host, port, _ := strings.Cut(post.Addr("smtp"), ":")
		sender := NewPostfix(t, PostfixSetup{Main: map[string]string{"relayhost": "[" + host + "]:" + port}})
		sender.Start()
		letter := difficult("byte-for-byte")
		sender.Sendmail("bob@example.net", []string{alice}, strings.ReplaceAll(letter, "\r\n", "\n"))
		got := string(WaitLetter(t, post.Addr("imap"), alice, "id byte-for-byte"))
		prefix, body, _ := cutBefore(got, "From: Bob")
		if body != letter {
			t.Errorf("read:\n%q\nsent:\n%q", body, letter)
		}
		for _, name := range []string{"Return-Path: <bob@example.net>\r\n", "Delivered-To: " + alice + "\r\n", "Received: from "} {
			if !strings.Contains(prefix, name) {
				t.Errorf("no %q in the prefix:\n%s", name, prefix)
			}
		}
	})
}

func cutBefore(text, mark string) (before, after string, found bool) {
	i := strings.Index(text, mark)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i:], true
}

// peerPostfix is somebody else's mail server: dave has a Maildir there,
// nobody else does.
func peerPostfix(t *testing.T) (peer *Postfix, maildir string) {
	t.Helper()
	NeedRoot(t)
	root := Room(t)
	uid, gid := Chown(t, root, "mail")
	main := debianMain(Setup{Domains: []string{"remote.test"}, Accounts: []string{"dave@remote.test"}}, root, uid, gid)
	peer = NewPostfix(t, PostfixSetup{Main: main})
	peer.Start()
	return peer, mailboxPath(root, "dave@remote.test")
}

// A reply submitted with AUTH over TLS arrives at a real Postfix, unchanged.
func TestReplyReachesPostfix(t *testing.T) {
	t.Parallel()
	peer, maildir := peerPostfix(t)
	services := []string{"smtp", "submission", "imap"}
	eachPost(t, Setup{Accounts: []string{alice}, Services: services, Smarthost: peer.Addr()}, func(t *testing.T, post Post) {
		id := "reply-" + filepath.Base(t.Name())
		letter := difficult(id)
		out := submit(t, post, "dave@remote.test", letter)
		if !strings.Contains(out, "accepted") {
			t.Fatalf("submission: %s", out)
		}
		stored := waitFile(t, maildir, "id "+id)
		if _, body, _ := cutBefore(stored, "From: Bob"); body != strings.ReplaceAll(letter, "\r\n", "\n") {
			t.Errorf("arrived:\n%q\nsent:\n%q", body, letter)
		}
	})
}

// submit sends as alice with Python's smtplib: STARTTLS, AUTH, letter as it is.
func submit(t *testing.T, post Post, to, letter string) string {
	t.Helper()
	return Run(t, letter, Need(t, "python3"), "-c", `
import smtplib, ssl, sys
host, port = sys.argv[1].split(":")
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
s = smtplib.SMTP(host, int(port), timeout=120)
s.starttls(context=c)
assert isinstance(s.sock, ssl.SSLSocket)
s.login(sys.argv[2], sys.argv[3])
s.sendmail(sys.argv[2], [sys.argv[4]], sys.stdin.buffer.read(), ["BODY=8BITMIME"])
s.quit()
print("accepted")
`, post.Addr("submission"), alice, Password, to)
}

// waitFile waits for a file with the text in new or cur of a Maildir.
func waitFile(t *testing.T, maildir, text string) (stored string) {
	t.Helper()
	WaitUntil(t, "a file with "+text, func() bool {
		files, _ := filepath.Glob(maildir + "/[nc][eu][wr]/*")
		for _, file := range files {
			if body, err := os.ReadFile(file); err == nil && strings.Contains(string(body), text) {
				stored = string(body)
				return true
			}
		}
		return false
	})
	return stored
}

// A reply to an address that the peer refuses becomes a well-formed notice
// (RFC 3464) in the sender's mailbox.
func TestBounceFromPostfix(t *testing.T) {
	t.Parallel()
	peer, _ := peerPostfix(t)
	services := []string{"smtp", "submission", "imap"}
	eachPost(t, Setup{Accounts: []string{alice}, Services: services, Smarthost: peer.Addr()}, func(t *testing.T, post Post) {
		submit(t, post, "nobody@remote.test", difficult("to-nobody"))
		notice := WaitLetter(t, post.Addr("imap"), alice, "<to-nobody@example.net>")
		if problem := checkNotice(notice, "nobody@remote.test"); problem != nil {
			t.Errorf("%v in notice:\n%s", problem, notice)
		}
	})
}

// checkNotice reads a notice as RFC 3462 and RFC 3464 describe it.
func checkNotice(notice []byte, to string) error {
	m, err := mail.ReadMessage(bytes.NewReader(notice))
	if err != nil {
		return err
	}
	if got := m.Header.Get("Return-Path"); got != "<>" {
		return fmt.Errorf("Return-Path %q, want <>", got)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		return fmt.Errorf("content type %q, %v", m.Header.Get("Content-Type"), err)
	}
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Auto-Submitted"} {
		if m.Header.Get(name) == "" {
			return fmt.Errorf("no %s", name)
		}
	}
	types, bodies, err := parts(m.Body, params["boundary"])
	if err != nil {
		return err
	}
	if len(types) != 3 || types[0] != "text/plain" || types[1] != "message/delivery-status" ||
		types[2] != "message/rfc822" && types[2] != "text/rfc822-headers" {
		return fmt.Errorf("parts %v", types)
	}
	return checkStatus(bodies[1], to)
}

func parts(r io.Reader, boundary string) (types, bodies []string, err error) {
	reader := multipart.NewReader(r, boundary)
	for {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return types, bodies, nil
		}
		if err != nil {
			return nil, nil, err
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, err
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			return nil, nil, err
		}
		types, bodies = append(types, kind), append(bodies, string(body))
	}
}

// checkStatus reads the machine's part: a group about the message, a group
// about the recipient.
func checkStatus(text, to string) error {
	groups := strings.Split(strings.TrimSpace(text), "\r\n\r\n")
	if len(groups) != 2 {
		return fmt.Errorf("%d groups in delivery-status", len(groups))
	}
	fields := func(group string) mail.Header {
		m, err := mail.ReadMessage(strings.NewReader(group + "\r\n\r\n"))
		if err != nil {
			return mail.Header{}
		}
		return m.Header
	}
	message, recipient := fields(groups[0]), fields(groups[1])
	switch {
	case !strings.HasPrefix(message.Get("Reporting-Mta"), "dns;"):
		return fmt.Errorf("Reporting-MTA %q", message.Get("Reporting-MTA"))
	case !strings.HasSuffix(recipient.Get("Final-Recipient"), to):
		return fmt.Errorf("Final-Recipient %q", recipient.Get("Final-Recipient"))
	case recipient.Get("Action") != "failed":
		return fmt.Errorf("Action %q", recipient.Get("Action"))
	case !strings.HasPrefix(recipient.Get("Status"), "5."):
		return fmt.Errorf("Status %q", recipient.Get("Status"))
	case !strings.Contains(recipient.Get("Diagnostic-Code"), "550"):
		return fmt.Errorf("Diagnostic-Code %q", recipient.Get("Diagnostic-Code"))
	}
	return nil
}
