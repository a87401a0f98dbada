package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// scanning is a table [[scanner]].
func scanning(kind, address, more string) string {
	return stanza("scanner", address, fmt.Sprintf("type = %q\n%s", kind, more))
}

// Rows 179 and 180, FLT-018: strangers' letters are shown to a real clamd. A virus goes into
// quarantine, a clean letter says who looked at it; users hear at once that what they send
// has one. When clamd is gone, mail waits outside, and everybody can see why.
func TestScannerClamd(t *testing.T) {
	t.Parallel()
	clam := NewClamd(t, "")
	clam.StartScanner()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Services: sendingServices, Trusted: "192.0.2.1/32", Config: scanning("clamd", clam.ScannerSocket(), "outgoing = true\n")})
	f.Start()
	if reply := deliver(t, f, "bob@example.net", alice, "X-Virus-Status: Clean, by myself\r\n"+difficult("clean")); !strings.HasPrefix(reply, "250") {
		t.Fatal(reply)
	}
	got := string(WaitLetter(t, f.Addr("imap"), alice, "id clean"))
	if !strings.Contains(got, "\r\nX-Virus-Scanned: clamd at ") || !strings.Contains(got, "\r\nX-Virus-Status: Clean\r\n") || strings.Contains(got, "by myself") {
		t.Errorf("row 179: not marked:\n%s", got)
	}
	if reply := deliver(t, f, "bob@example.net", alice, infected("ill")); !strings.HasPrefix(reply, "250") {
		t.Errorf("row 179: a virus: %s", reply)
	}
	if out := f.Command("", "quarantine", "list"); !strings.Contains(out, "virus") || !strings.Contains(out, alice) {
		t.Errorf("row 179: not in quarantine:\n%s", out)
	}
	if !strings.Contains(f.Log(), "clamd found the virus Test.Eicar") && !strings.Contains(f.Log(), "INFECTED") {
		t.Errorf("row 179: nothing in the log:\n%s", f.Log())
	}
	if out := trySubmit(t, f, "bob@example.net", infected("sent")); !strings.Contains(out, "550") || !strings.Contains(out, "clamd found the virus Test.Eicar") {
		t.Errorf("a user is told: %s", out)
	}
	if out := f.Command("", "filter", "scanners"); !strings.Contains(out, "working") {
		t.Errorf("row 180: facteur filter scanners: %s", out)
	}
	clam.KillScanner()
	os.Remove(strings.TrimPrefix(clam.ScannerSocket(), "unix:"))
	if reply := deliver(t, f, "bob@example.net", alice, difficult("unseen")); !strings.HasPrefix(reply, "451 4.7.1 Service unavailable - try again later") {
		t.Errorf("row 180, FLT-018: without the scanner: %s", reply)
	}
	if out, err := f.TryCommand("", "filter", "scanners"); err == nil || !strings.Contains(out, "down") || !strings.Contains(out, "No such file or directory") {
		t.Errorf("row 180: facteur filter scanners: %v\n%s", err, out)
	}
	if out := f.Command("", "check"); !strings.Contains(out, "scanner[0]: clamd at "+clam.ScannerSocket()+" does not answer") {
		t.Errorf("row 180: facteur check: %s", out)
	}
	WaitUntil(t, "row 180: a warning in the log", func() bool {
		return strings.Contains(f.Log(), "warning: connect to scanner clamd "+clam.ScannerSocket()+": No such file or directory")
	})
}

// trySubmit sends a letter as alice, and gives what she is told.
func trySubmit(t *testing.T, post Post, to, letter string) string {
	t.Helper()
	return Run(t, letter, Need(t, "python3"), "-c", `
import smtplib, ssl, sys
host, port = sys.argv[1].split(":")
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
s = smtplib.SMTP(host, int(port), timeout=120)
s.starttls(context=c)
s.login(sys.argv[2], sys.argv[3])
try:
    s.sendmail(sys.argv[2], [sys.argv[4]], sys.stdin.buffer.read())
    print("accepted")
except smtplib.SMTPResponseException as e:
    print(e.smtp_code, e.smtp_error)
s.quit()
`, post.Addr("submission"), alice, Password, to)
}
