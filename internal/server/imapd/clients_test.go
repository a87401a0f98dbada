package imapd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/store/mailbox"
)

// runs starts a real client; without it on the machine the test is skipped.
func runs(t *testing.T, name string, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts other programs")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("no " + name + " here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestCurl(t *testing.T) {
	h := open(t, nil)
	h.user(t).want("a APPEND INBOX {20+}\r\nSubject: hi\r\n\r\nyes\r\n", "a OK")
	base := "imap://" + h.addr + "/"
	auth := []string{"-sS", "-u", "alice:secret"}
	for _, c := range []struct{ args, want string }{
		{base + "INBOX;UID=1", "Subject: hi\r\n\r\nyes\r\n"},
		{base, `"/" INBOX`},
		{base + "INBOX?SUBJECT%20hi", "* SEARCH 1"},
		{base + "INBOX;UID=1;SECTION=TEXT", "yes\r\n"},
	} {
		if out := runs(t, "curl", append(auth, c.args)...); !strings.Contains(out, c.want) {
			t.Errorf("curl %s: %q", c.args, out)
		}
	}
	letter := filepath.Join(t.TempDir(), "letter")
	if err := os.WriteFile(letter, []byte("Subject: up\r\n\r\nload\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runs(t, "curl", append(auth, "-T", letter, base+"INBOX")...)
	h.user(t).want("a STATUS INBOX (MESSAGES)", "MESSAGES 2")
}

const pythonScript = `
import imaplib, sys
m = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
def ok(r):
    assert r[0] == "OK", r
    return r[1]
m.authenticate("PLAIN", lambda x: b"\0alice\0secret")
ok(m.create("py"))
ok(m.append("py", "(\\Flagged)", imaplib.Time2Internaldate(1e9), b"Subject: a\r\n\r\nb\r\n"))
ok(m.append("py", None, None, b"Subject: c\n\nd\n"))
assert ok(m.select("py")) == [b"2"]
assert ok(m.search(None, "FLAGGED", "SUBJECT", "a")) == [b"1"]
assert ok(m.search("UTF-8", "UNFLAGGED")) == [b"2"]
d = ok(m.fetch("1", "(RFC822)"))
assert d[0][1] == b"Subject: a\r\n\r\nb\r\n", d
assert b"1000000000" and b"2001" in ok(m.fetch("1", "(INTERNALDATE)"))[0]
d = ok(m.uid("FETCH", "1:*", "(UID FLAGS ENVELOPE BODYSTRUCTURE)"))
assert len(d) == 2, d
ok(m.store("1", "+FLAGS", "\\Deleted"))
ok(m.copy("2", "INBOX"))
assert ok(m.expunge()) == [b"1"]
ok(m.status("INBOX", "(MESSAGES UIDNEXT)"))
ok(m.lsub()); ok(m.list()); ok(m.namespace())
ok(m.noop()); ok(m.check()); ok(m.close()); ok(m.delete("py"))
assert m.logout()[0] == "BYE"
print("fine")
`

func TestPython(t *testing.T) {
	h := open(t, nil)
	_, port, _ := strings.Cut(h.addr, ":")
	if out := runs(t, "python3", "-c", pythonScript, port); !strings.Contains(out, "fine") {
		t.Error(out)
	}
}

// TestMbsync synchronises down, changes both sides, and synchronises again.
func TestMbsync(t *testing.T) {
	h := open(t, nil)
	const n = 500
	h.fill(t, n)
	dir := t.TempDir()
	host, port, _ := strings.Cut(h.addr, ":")
	rc := filepath.Join(dir, "rc")
	config := fmt.Sprintf(`IMAPAccount a
Host %s
Port %s
User alice
Pass secret
SSLType None
AuthMechs *

IMAPStore far
Account a

MaildirStore near
Path %s/m/
Inbox %s/m/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
`, host, port, dir, dir)
	if err := os.WriteFile(rc, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "m"), 0o700); err != nil {
		t.Fatal(err)
	}
	sync := func() { t.Helper(); runs(t, "mbsync", "-c", rc, "-a") }
	files := func(box string) []string {
		got, _ := filepath.Glob(filepath.Join(dir, "m", box, "[nc]*", "*"))
		return got
	}
	sync()
	if got := files("INBOX"); len(got) != n {
		t.Fatalf("%d letters came down, want %d", len(got), n)
	}
	// There: one is read, one goes. Here: one comes, one goes.
	c := h.user(t)
	c.want("a SELECT INBOX", "a OK")
	c.want("b STORE 1 +FLAGS (\\Seen)", "b OK")
	c.want("c STORE 2 +FLAGS (\\Deleted)", "c OK")
	c.want("d EXPUNGE", "d OK")
	c.want("e CREATE W&APY-rk", "e OK")
	if err := os.Remove(files("INBOX")[n-1]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "m/INBOX/cur/1.x.y:2,F"), []byte("Subject: from here\n\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sync()
	c.want("f NOOP", "f OK")
	c.want("g STATUS INBOX (MESSAGES)", fmt.Sprintf("MESSAGES %d)", n-1))
	c.want("h SEARCH FLAGGED SUBJECT \"from here\"", fmt.Sprintf("* SEARCH %d\n", n-1))
	if got := files("INBOX"); len(got) != n-1 {
		t.Errorf("%d letters here, want %d", len(got), n-1)
	}
	if seen, _ := filepath.Glob(filepath.Join(dir, "m/INBOX/cur/*S")); len(seen) != 1 {
		t.Error("the flag did not come down:", seen)
	}
	before := h.events.all()
	sync()
	if strings.Contains(h.events.all()[len(before):], "Error") {
		t.Error(h.events.all())
	}
}

// fill puts letters into the inbox by way of the store.
func (h *house) fill(t testing.TB, n int) {
	t.Helper()
	a, err := h.store.Open(t.Context(), h.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for i := range n {
		body := fmt.Sprintf("From: a@example.net\r\nSubject: letter %d\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-Id: <%d@x>\r\n\r\n%s", i, i, strings.Repeat("line\r\n", i%50))
		if _, _, err := a.Append(t.Context(), "INBOX", strings.NewReader(body), int64(len(body)), mailbox.AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}
