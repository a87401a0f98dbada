package interop

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"facteur/internal/net/rspamd"
	"facteur/internal/net/spamd"
)

// gtube is the line that every scanner of spam takes for spam.
const gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

// plainLetter is a letter with one line.
func plainLetter(line string) string {
	return "Received: from far.example (far.example [192.0.2.9]) by mail.example.test; Sun, 22 Nov 2026 20:00:00 +0000\r\nFrom: Bob <bob@far.example>\r\nTo: alice@example.test\r\n" +
		"Subject: the meeting\r\nDate: Sun, 22 Nov 2026 20:00:00 +0000\r\nMessage-ID: <2026112220.meeting@far.example>\r\n\r\n" + line + "\r\n"
}

const harmless = "We meet on Monday at ten, and I bring the minutes of last week."

// shows has facteur show letters to a scanner of spam on a port, which is p. What it says counts
// for no more than one voice does (4.5 of 5). Once it is gone, letters go on without it, and
// everybody can see that.
func shows(t *testing.T, kind string, port int, p *Process) {
	t.Helper()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Services: sendingServices, Trusted: "192.0.2.1/32", Config: scanning(kind, "inet:"+Loopback(port), "")})
	f.Start()
	tried := f.Command(plainLetter(gtube), "filter", "test", "-", "--as", alice, "--ip", "192.0.2.9")
	if !regexp.MustCompile(`(?m)^4\.5 +` + kind + ` +\S+ +` + kind + ` gives the letter \d+\.\d points, of .*GTUBE`).MatchString(tried) {
		t.Errorf("GTUBE: %s", tried)
	}
	send := func(id string) string {
		t.Helper()
		if reply := deliver(t, f, "bob@example.net", alice, plainLetter(harmless+" id "+id)); !strings.HasPrefix(reply, "250") {
			t.Fatal(reply)
		}
		return string(WaitLetter(t, f.Addr("imap"), alice, "id "+id))
	}
	send("seen")
	if out := f.Command("", "filter", "scanners"); !regexp.MustCompile(kind + ` +` + kind + ` +inet:\S+ +working +pass +2 +0 +0 +0 +20`).MatchString(out) {
		t.Errorf("it looked at two letters: %s", out)
	}
	p.Kill()
	if text := send("unseen"); strings.Contains(text, strings.ToUpper(kind)+"=") {
		t.Errorf("row 180: it is gone, and says %s", text)
	}
	if out, err := f.TryCommand("", "filter", "scanners"); err == nil || !strings.Contains(out, " down ") || !strings.Contains(out, "Connection refused") {
		t.Errorf("row 180: facteur filter scanners: %v\n%s", err, out)
	}
	WaitUntil(t, "row 180: a warning in the log", func() bool {
		return regexp.MustCompile(`[0-9A-F]{8,}: warning: connect to scanner ` + kind + ` inet:` + Loopback(port) + `: Connection refused`).MatchString(f.Log())
	})
}

// FLT-018, row 180: a real rspamd looks at letters. It does not look on once it has seen GTUBE: it
// says that it skipped the letter, and rejects it.
func TestScannerRspamd(t *testing.T) {
	t.Parallel()
	program, dir, port := Need(t, "rspamd"), Room(t), FreePort(t)
	WriteFile(t, filepath.Join(dir, "tld"), "test\n")
	conf := WriteFile(t, filepath.Join(dir, "conf"), fmt.Sprintf(`options {
	pidfile = "%[1]s/pid"; tempdir = "%[1]s"; hs_cache_dir = "%[1]s"; url_tld = "%[1]s/tld"; filters = ""; local_addrs = [];
	dns { nameserver = ["127.0.0.1:1"]; timeout = 1s; retransmits = 1; }
}
logging { type = "console"; level = "info"; }
worker "normal" { bind_socket = "127.0.0.1:%[2]d"; count = 1; }
actions { reject = 15; add_header = 6; greylist = 4; }
`, dir, port))
	p := Spawn(t, nil, program, "-i", "-f", "-c", conf)
	WaitListening(t, "tcp", Loopback(port), p)
	c := rspamd.New(rspamd.Config{Network: "tcp", Address: Loopback(port)})
	defer c.Close()
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	about := rspamd.Letter{From: "bob@far.example", To: []string{alice, "carol@example.test"}, IP: "192.0.2.9", Helo: "far.example", Hostname: "far.example", QueueID: "4AB"}
	check := func(line string) rspamd.Answer {
		letter := plainLetter(line)
		a, err := c.Check(t.Context(), about, strings.NewReader(letter), int64(len(letter)))
		if err != nil {
			t.Error(err)
		}
		return a
	}
	if a := check(gtube); a.Skipped || a.Action != "reject" || a.Score < 15 || len(a.Symbols) != 1 || a.Symbols[0].Name != "GTUBE" {
		t.Errorf("GTUBE: %+v", a)
	}
	if a := check(harmless); a.Skipped || a.Action != "no action" || a.Score >= 4 || a.Required != 15 {
		t.Errorf("a clean letter: %+v", a)
	}
	shows(t, "rspamd", port, p)
}

// FLT-018, row 180: a real spamd looks at letters, with SpamAssassin's rules that ask nobody.
func TestScannerSpamd(t *testing.T) {
	t.Parallel()
	NeedRoot(t)
	program, dir, port := Need(t, "spamd"), Room(t), FreePort(t)
	site := filepath.Join(dir, "site")
	WriteFile(t, filepath.Join(site, "local.cf"), "")
	var plugins string
	for _, name := range []string{"Check", "BodyEval", "HeaderEval", "MIMEEval", "RelayEval"} {
		plugins += "loadplugin Mail::SpamAssassin::Plugin::" + name + "\n"
	}
	WriteFile(t, filepath.Join(site, "init.pre"), plugins)
	p := Spawn(t, nil, program, "-L", "--nouser-config", "--listen", "127.0.0.1", "--port", strconv.Itoa(port), "--username", "nobody", "--pidfile", filepath.Join(dir, "pid"),
		"--siteconfigpath", site, "--configpath", "/usr/share/spamassassin", "--helper-home-dir="+dir, "--max-children", "1", "--allowed-ips", "127.0.0.1", "-s", "stderr")
	WaitListening(t, "tcp", Loopback(port), p)
	c := spamd.Config{Network: "tcp", Address: Loopback(port), User: "anna"}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	check := func(line string) spamd.Answer {
		letter := plainLetter(line)
		a, err := c.Check(t.Context(), strings.NewReader(letter), int64(len(letter)))
		if err != nil {
			t.Error(err)
		}
		return a
	}
	if a := check(gtube); !a.Spam || a.Score < 900 || a.Required != 5 || !slices.Contains(a.Tests, "GTUBE") {
		t.Errorf("GTUBE: %+v", a)
	}
	if a := check(harmless); a.Spam || a.Score >= 5 || a.Required != 5 || slices.Contains(a.Tests, "GTUBE") {
		t.Errorf("a clean letter: %+v", a)
	}
	shows(t, "spamd", port, p)
}
