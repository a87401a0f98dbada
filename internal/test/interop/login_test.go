package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// loginDoor is a server on which the log-ins of loopback count, with the mechanisms
// that are off by default.
func loginDoor(t *testing.T, auth string) *Facteur {
	t.Helper()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Services: []string{"submission", "imap"}, Config: "\n[auth]\n" + auth})
	f.Edit("exempt = [\"127.0.0.0/8\"]", "exempt = []")
	f.Start()
	return f
}

const allMechanisms = `mechanisms = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"]` + "\n"

// swaks logs in by each mechanism that it knows, right and wrong.
func TestSwaksLogsIn(t *testing.T) {
	t.Parallel()
	f := loginDoor(t, allMechanisms+"failure_delay = \"0s\"\n")
	swaks := Need(t, "swaks")
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5"} {
		args := []string{"--server", f.Addr("submission"), "--tls", "--auth", mechanism, "--auth-user", alice, "--quit-after", "AUTH"}
		if out := Run(t, "", swaks, append(args, "--auth-password", Password)...); !strings.Contains(out, "235 2.7.0") {
			t.Errorf("%s:\n%s", mechanism, out)
		}
		if out, err := TryRun(t, "", swaks, append(args, "--auth-password", "wrong")...); err == nil || !strings.Contains(out, "535 5.7.8") {
			t.Errorf("%s, wrong password: %v\n%s", mechanism, err, out)
		}
	}
	if !strings.Contains(f.Log(), "SASL CRAM-MD5 authentication failed: ") {
		t.Errorf("nothing in the log:\n%s", f.Log())
	}
}

// curl speaks SCRAM where its GSASL does, and OAuth's mechanisms.
func TestCurlLogsIn(t *testing.T) {
	t.Parallel()
	f := loginDoor(t, allMechanisms)
	curl := Need(t, "curl")
	mechanisms := []string{"PLAIN", "LOGIN", "CRAM-MD5"}
	if out := Run(t, "", curl, "--version"); strings.Contains(out, "gsasl") {
		mechanisms = append(mechanisms, "SCRAM-SHA-256", "SCRAM-SHA-1")
	}
	for _, mechanism := range mechanisms {
		out := Run(t, "", curl, "-sSv", "--max-time", "60", "--login-options", "AUTH="+mechanism, "--user", alice+":"+Password, "imap://"+f.Addr("imap")+"/", "--request", "NOOP")
		if !strings.Contains(out, "AUTHENTICATE "+mechanism) || !strings.Contains(out, "Logged in") {
			t.Errorf("%s:\n%s", mechanism, out)
		}
		if out, err := TryRun(t, "", curl, "-sSv", "--max-time", "60", "--login-options", "AUTH="+mechanism, "--user", alice+":wrong", "imap://"+f.Addr("imap")+"/", "--request", "NOOP"); err == nil || !strings.Contains(out, "[AUTHENTICATIONFAILED]") {
			t.Errorf("%s, wrong password: %v\n%s", mechanism, err, out)
		}
	}
}

// mbsync logs in with Cyrus's SASL library, which knows SCRAM.
func TestMbsyncLogsIn(t *testing.T) {
	t.Parallel()
	f := loginDoor(t, allMechanisms)
	mbsync := Need(t, "mbsync")
	Plant(t, f.Maildir(alice), 3, 500)
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN"} {
		near := t.TempDir()
		os.Mkdir(filepath.Join(near, "mail"), 0o700)
		text := fmt.Sprintf(mbsyncrc, f.Port("imap"), alice, Password, filepath.Join(near, "mail"))
		rc := WriteFile(t, filepath.Join(near, "rc"), strings.Replace(text, "AuthMechs LOGIN", "AuthMechs "+mechanism, 1))
		out, err := TryRun(t, "", mbsync, "-V", "-c", rc, "all")
		if err != nil && strings.Contains(out, "selected SASL mechanism(s) not available") {
			Missing(t, "Cyrus's SASL library has no %s:\n%s", mechanism, out)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", mechanism, err, out)
			continue
		}
		if letters, _ := filepath.Glob(filepath.Join(near, "mail", "INBOX", "*", "*")); len(letters) != 3 {
			t.Errorf("%s: %d letters came", mechanism, len(letters))
		}
		if !strings.Contains(f.Log(), "method="+mechanism+",") {
			t.Errorf("%s is not in the log:\n%s", mechanism, f.Log())
		}
	}
}

// Python's own clients: smtplib prefers CRAM-MD5 where it is offered.
func TestPythonLogsIn(t *testing.T) {
	t.Parallel()
	f := loginDoor(t, allMechanisms+"failure_delay = \"0s\"\n")
	out := Run(t, "", Need(t, "python3"), "-c", pythonLogin, f.Addr("submission"), f.Addr("imap"), alice, Password)
	if !strings.HasSuffix(out, "content\n") {
		t.Errorf("python:\n%s", out)
	}
}

const pythonLogin = `
import imaplib, smtplib, ssl, sys
smtp, imap, user, password = sys.argv[1:]
def address(s): host, port = s.split(":"); return host, int(port)
tls = ssl._create_unverified_context()
for right in (True, False):
    with smtplib.SMTP(*address(smtp), timeout=60) as s:
        s.starttls(context=tls)
        try: s.login(user, password if right else "wrong"); assert right
        except smtplib.SMTPAuthenticationError as e: assert not right and e.smtp_code == 535, e
    for mechanism in "cram", "plain":
        c = imaplib.IMAP4(*address(imap), timeout=60)
        c.starttls(tls)
        p = password if right else "wrong"
        try:
            if mechanism == "cram": c.login_cram_md5(user, p)
            else: c.authenticate("PLAIN", lambda _: b"\0" + user.encode() + b"\0" + p.encode())
            assert right
            c.logout()
        except imaplib.IMAP4.error as e: assert not right and "AUTHENTICATIONFAILED" in str(e), e
print("content")
`

// Guessing at one door is over at the other too, and MAP-010: no secret of all that
// is in the log.
func TestGuessingIsCountedAcrossDoors(t *testing.T) {
	t.Parallel()
	f := loginDoor(t, allMechanisms+"failure_delay = \"0s\"\nfailures_per_client = 5\n")
	curl := Need(t, "curl")
	for i := range 5 {
		TryRun(t, "", curl, "-sS", "--max-time", "60", "--user", fmt.Sprintf("%s:canary-%d", alice, i), "imap://"+f.Addr("imap")+"/", "--request", "NOOP")
	}
	out, err := TryRun(t, "", Need(t, "swaks"), "--server", f.Addr("submission"), "--tls", "--auth", "PLAIN", "--auth-user", alice,
		"--auth-password", Password, "--quit-after", "AUTH")
	if err == nil || !strings.Contains(out, "454 4.7.0 Error: too many failed log-ins; try again later") {
		t.Errorf("%v\n%s", err, out)
	}
	if log := f.Log(); strings.Contains(log, "canary") || strings.Contains(log, Password) || !strings.Contains(log, "too many failed log-ins from 127.0.0.1/32") {
		t.Errorf("MAP-010, or no reason in the log:\n%s", log)
	}
}
