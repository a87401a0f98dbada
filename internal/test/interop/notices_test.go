package interop

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
)

// sendNotice hands a file to an SMTP server with the null sender.
const sendNotice = `
import smtplib, sys
s = smtplib.SMTP(sys.argv[1], timeout=30)
mark = "X-Notice: <" + sys.argv[3] + ">\r\n"
s.sendmail("", ["dave@remote.test"], mark.encode() + open(sys.argv[2], "rb").read())
s.quit()
`

// readNotice is what Python's email package makes of one.
const readNotice = `
import sys, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert not [d for p in m.walk() for d in p.defects], [str(d) for p in m.walk() for d in p.defects]
assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status"
assert m["Auto-Submitted"] == "auto-replied" and m["Return-Path"] == "<>", m.items()
parts = list(m.iter_parts())
assert len(parts) == 3 and parts[0].get_content_type() == "text/plain", parts
assert "mail.example.org" in parts[0].get_content()
print(m["Subject"])
`

// Each kind of notice, in both languages, passes through a real Postfix, and is read by
// Python's email package, by ours, and by mutt.
func TestNoticesAreRead(t *testing.T) {
	t.Parallel()
	_, peer, maildir := betweenPostfix(t)
	files, err := filepath.Glob("../../mail/dsn/testdata/*.eml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d notices, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		Run(t, "", Need(t, "python3"), "-c", sendNotice, peer.Addr(), file, name)
		notice := waitFile(t, maildir, "X-Notice: <"+name+">")
		subject := strings.TrimSpace(Run(t, notice, Need(t, "python3"), "-c", readNotice))
		if err := groups([]byte(notice)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if shown := inMutt(t, notice); !strings.Contains(shown, subject) || !strings.Contains(shown, "mail.example.org") {
			t.Errorf("%s: mutt does not show %q:\n%s", name, subject, shown)
		}
	}
}

// Postfix's own texts can be used as they are: what "postconf -t" prints is a file that
// notices can be written from.
func TestPostfixTemplates(t *testing.T) {
	t.Parallel()
	own, err := dsn.ParseTemplates([]byte(Run(t, "", Need(t, "postconf"), "-t")))
	if err != nil {
		t.Fatal(err)
	}
	notice := string(dsn.Build(dsn.Report{Host: "mail.example.org", Templates: own, DelayWarning: 4 * time.Hour, Lifetime: 120 * time.Hour,
		Recipients: []dsn.Recipient{{Final: address.Address{Local: "bob", Domain: "example.net"}, Action: dsn.Delayed}}}))
	for _, want := range []string{"Subject: Delayed Mail (still being retried)\r\n", "From: Mail Delivery System <MAILER-DAEMON@mail.example.org>\r\n",
		"for more than 4 hour(s).\r\n", "until it is 5 day(s) old.\r\n", "  <bob@example.net>\r\n"} {
		if !strings.Contains(notice, want) {
			t.Errorf("no %q in\n%s", want, notice)
		}
	}
}

// groups reads the part for programs.
func groups(notice []byte) error {
	m, err := mail.ReadMessage(bytes.NewReader(notice))
	if err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err != nil {
			return err
		}
		if !strings.HasSuffix(p.Header.Get("Content-Type"), "delivery-status") {
			continue
		}
		var body io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(p)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		_, err = dsn.ParseStatus(text)
		return err
	}
}

// inMutt is a letter as mutt prints it.
func inMutt(t *testing.T, letter string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, "box", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	WriteFile(t, filepath.Join(dir, "box", "cur", "1.1.here:2,S"), letter)
	printed := filepath.Join(dir, "printed")
	rc := WriteFile(t, filepath.Join(dir, "muttrc"), "set charset=utf-8\nset print_command=\"cat > "+printed+"\"\nset print=yes\n"+
		"set wait_key=no\nset folder="+dir+"\nset record=\"\"\nset move=no\n")
	// It wants a terminal, and ends in an odd way when there is nobody to type.
	mutt := Need(t, "mutt") + " -n -F " + rc + " -f " + filepath.Join(dir, "box") + " -e 'push <print-message><exit>'"
	said, _ := TryRunEnv(t, []string{"TERM=xterm", "HOME=" + dir, "LANG=C.UTF-8"}, "", Need(t, "script"), "-qec", mutt, "/dev/null")
	text, err := os.ReadFile(printed)
	if err != nil {
		t.Fatalf("mutt prints nothing: %v\n%q", err, said)
	}
	return string(text)
}
