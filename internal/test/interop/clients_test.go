package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Programs that people read and write mail with: each sends or reads in its
// own way and has to be content.

func TestSwaks(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}, Services: []string{"smtp", "submission", "imap"}}, func(t *testing.T, post Post) {
		swaks := Need(t, "swaks")
		Run(t, "", swaks, "--server", post.Addr("smtp"), "--from", "bob@example.net", "--to", alice, "--pipeline",
			"--header", "Subject: from swaks", "--body", "swaks in the clear")
		WaitLetter(t, post.Addr("imap"), alice, "swaks in the clear")
		out := Run(t, "", swaks, "--server", post.Addr("submission"), "--tls", "--auth", "PLAIN", "--auth-user", alice,
			"--auth-password", Password, "--from", alice, "--to", alice, "--body", "swaks with TLS")
		if !strings.Contains(out, "TLS started with cipher") {
			t.Errorf("no TLS:\n%s", out)
		}
		WaitLetter(t, post.Addr("imap"), alice, "swaks with TLS")
		out, err := TryRun(t, "", swaks, "--server", post.Addr("smtp"), "--from", "bob@example.net", "--to", "nobody@example.org")
		if err == nil || !strings.Contains(out, "<** 550 5.1.1") {
			t.Errorf("unknown user: %v\n%s", err, out)
		}
		out, err = TryRun(t, "", swaks, "--server", post.Addr("submission"), "--tls", "--auth", "PLAIN", "--auth-user", alice,
			"--auth-password", "wrong", "--from", alice, "--to", alice)
		if err == nil || !strings.Contains(out, "<~* 535 5.7.8") && !strings.Contains(out, "<~** 535 5.7.8") {
			t.Errorf("wrong password: %v\n%s", err, out)
		}
	})
}

func TestPython(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}}, func(t *testing.T, post Post) {
		out := Run(t, "", Need(t, "python3"), "-c", pythonStory, post.Addr("smtp"), post.Addr("imap"), alice, Password)
		if !strings.HasSuffix(out, "content\n") {
			t.Errorf("python:\n%s", out)
		}
	})
}

// pythonStory sends with smtplib and then uses most of imaplib.
const pythonStory = `
import imaplib, smtplib, sys, time
smtp, imap, user, password = sys.argv[1:]
def address(s): host, port = s.split(":"); return host, int(port)
letter = b"From: b@example.net\r\nDate: Thu, 01 Jan 2026 12:00:00 +0000\r\nMessage-Id: <p@example.net>\r\nSubject: from python\r\n\r\n.dot\r\n\r\nend\r\n"
with smtplib.SMTP(*address(smtp), timeout=120) as s:
    refused = s.sendmail("b@example.net", [user, "nobody@example.org"], letter)
    assert list(refused) == ["nobody@example.org"], refused
def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data
c = imaplib.IMAP4(*address(imap), timeout=120)
ok(c.login(user, password))
for _ in range(600):
    if int(ok(c.select("INBOX"))[0]): break
    time.sleep(0.1)
got = ok(c.fetch("1", "(UID FLAGS RFC822.SIZE BODY.PEEK[])"))[0][1]
assert got.endswith(letter), got
ok(c.create("Letters")); ok(c.subscribe("Letters"))
assert any(b"Letters" in line for line in ok(c.list()))
assert any(b"Letters" in line for line in ok(c.lsub()))
ok(c.append("Letters", r"(\Seen $Label1)", imaplib.Time2Internaldate(1700000000), b"Subject: kept\r\n\r\nx\r\n"))
assert b"MESSAGES 1" in ok(c.status("Letters", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"))[0]
ok(c.copy("1", "Letters")); ok(c.store("1", "+FLAGS", r"(\Flagged)"))
assert ok(c.search(None, "FLAGGED", "SUBJECT", '"from python"')) == [b"1"]
assert ok(c.search(None, "UNFLAGGED")) in ([b""], [None])
ok(c.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
assert ok(c.expunge()) == [b"1"]
ok(c.select("Letters"))
assert ok(c.search(None, "KEYWORD", "$Label1")) == [b"1"]
assert b"-Nov-2023" in ok(c.fetch("1", "(INTERNALDATE)"))[0]
ok(c.uid("FETCH", "1:*", "(ENVELOPE BODYSTRUCTURE)"))
ok(c.close()); ok(c.rename("Letters", "Old")); ok(c.delete("Old"))
try: c.select("Old"); assert c.state != "SELECTED"
except imaplib.IMAP4.error: pass
ok(c.noop()); c.logout()
print("content")
`

func TestCurl(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}}, func(t *testing.T, post Post) {
		curl, dir := Need(t, "curl"), t.TempDir()
		letter := difficult("by-curl")
		file := WriteFile(t, filepath.Join(dir, "letter"), letter)
		Run(t, "", curl, "-sS", "--max-time", "120", "smtp://"+post.Addr("smtp")+"/client.test", "--mail-from", "bob@example.net",
			"--mail-rcpt", alice, "--upload-file", file)
		WaitLetter(t, post.Addr("imap"), alice, "id by-curl")
		login := []string{"-sS", "--max-time", "120", "--login-options", "AUTH=PLAIN", "-u", alice + ":" + Password}
		got := Run(t, "", curl, append(login, "imap://"+post.Addr("imap")+"/INBOX;MAILINDEX=1")...)
		if !strings.HasSuffix(got, letter) {
			t.Errorf("curl read:\n%q", got)
		}
		got = Run(t, "", curl, append(login, "imap://"+post.Addr("imap")+"/INBOX?SUBJECT%20d")...)
		if !strings.Contains(got, "* SEARCH") {
			t.Errorf("curl search: %q", got)
		}
		Run(t, "", curl, append(login, "imap://"+post.Addr("imap")+"/INBOX", "--upload-file", file)...)
		expectServer(t, post, "INBOX", 2)
	})
}

// mutt reads a letter through IMAP, saves it into a folder and leaves, all by
// keys pushed at its start.
func TestMutt(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}}, func(t *testing.T, post Post) {
		mutt, dir := Need(t, "mutt"), t.TempDir()
		Run(t, difficult("for-mutt"), Need(t, "curl"), "-sS", "--max-time", "120", "smtp://"+post.Addr("smtp"), "--mail-from", "bob@example.net",
			"--mail-rcpt", alice, "--upload-file", "-")
		WaitLetter(t, post.Addr("imap"), alice, "id for-mutt")
		rc := WriteFile(t, filepath.Join(dir, "rc"), strings.Join([]string{
			`set imap_user="` + alice + `" imap_pass="` + Password + `"`, `set ssl_starttls=no ssl_force_tls=no imap_authenticators="plain:login"`,
			`set folder="imap://` + post.Addr("imap") + `/" spoolfile="imap://` + post.Addr("imap") + `/INBOX"`,
			`set header_cache="" copy=no confirmcreate=no confirmappend=no delete=yes quit=yes wait_key=no pager_stop=yes`,
			`set move=no sleep_time=0`,
			`push "<first-entry><display-message><exit><flag-message><copy-message>=Kept<enter><save-message>=Moved<enter><sync-mailbox><quit>"`,
		}, "\n")+"\n")
		env := []string{"TERM=xterm", "HOME=" + dir}
		// mutt wants a terminal: script(1) gives it one.
		out, err := TryRunEnv(t, env, "", Need(t, "script"), "-qec", "timeout --foreground 120 "+mutt+" -F "+rc, filepath.Join(dir, "typescript"))
		if err != nil {
			t.Fatalf("mutt: %v\n%s", err, out)
		}
		for mailbox, count := range map[string]int{"INBOX": 0, "Kept": 1, "Moved": 1} {
			expectServer(t, post, mailbox, count)
		}
		if t.Failed() {
			seen, _ := os.ReadFile(filepath.Join(dir, "typescript"))
			t.Logf("mutt showed:\n%q", seen)
		}
	})
}

// Dovecot's own client side copies a mailbox from the server, as an admin
// does who moves away again.
func TestDoveadmBackup(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}}, func(t *testing.T, post Post) {
		NeedRoot(t)
		doveadm := Need(t, "doveadm")
		post.Stop()
		Plant(t, post.Maildir(alice), 100, 2000)
		post.Handover(alice)
		post.Start()
		root := Room(t)
		Chown(t, root, "mail")
		target := NewDovecot(t, root)
		target.Start() // doveadm asks it who alice is
		_, port, _ := strings.Cut(post.Addr("imap"), ":")
		out, err := TryRun(t, "", doveadm, "-c", target.Config(), "-o", "imapc_host=127.0.0.1", "-o", "imapc_port="+port, "-o", "imapc_user="+alice,
			"-o", "imapc_password="+Password, "-o", "imapc_features=rfc822.size fetch-headers", "-o", "mail_prefetch_count=20",
			"backup", "-R", "-u", alice, "imapc:")
		if err != nil {
			t.Fatalf("doveadm backup: %v\n%s", err, out)
		}
		expectLetters(t, mailboxPath(root, alice), 100, 100)
	})
}
