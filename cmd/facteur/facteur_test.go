package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/app/control"
	"facteur/internal/base/build"
)

// call runs the program and gives what it printed.
func call(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	c := &command{in: strings.NewReader(stdin), out: &out, err: &err}
	status = c.run(t.Context(), args)
	return status, out.String(), err.String()
}

// good is call for what has to work.
func good(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	status, stdout, stderr := call(t, stdin, args...)
	if status != 0 || stderr != "" {
		t.Fatalf("facteur %s: status %d\n%s", strings.Join(args, " "), status, stderr)
	}
	return stdout
}

func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "facteur.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const small = "hostname = 'mail.example.org'\ndata_dir = 'data'\n[[domain]]\nname = 'example.org'\n[[listen]]\nservice = 'smtp'\naddress = '127.0.0.1:0'\n"

func TestAccountsAndDomains(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	good(t, "secret\n", "account", "add", "alice@example.org", "--password-stdin", "-c", file, "--quota", "1G")
	good(t, "", "domain", "add", "example.net", "-c", file)
	good(t, "other\n", "account", "passwd", "alice@example.org", "--password-stdin", "-c", file)
	var alice map[string]any
	if err := json.Unmarshal([]byte(good(t, "", "account", "list", "--json", "-c", file)), &alice); err != nil || alice["address"] != "alice@example.org" || alice["quota"] != float64(1<<30) {
		t.Errorf("%v, %v", alice, err)
	}
	if got := good(t, "", "account", "list", "-c", file); !strings.Contains(got, "alice@example.org  1G     active") {
		t.Error(got)
	}
	if got, want := good(t, "", "domain", "list", "-c", file), "DOMAIN       SOURCE    CLASS\nexample.net  database  mailbox\nexample.org  file      mailbox\n"; got != want {
		t.Errorf("got\n%s", got)
	}
	good(t, "", "domain", "remove", "example.net", "-c", file)
	good(t, "", "account", "remove", "alice@example.org", "-c", file)
	if got := good(t, "", "account", "list", "-c", file); got != "" {
		t.Error(got)
	}
	if got := good(t, "", "queue", "list", "-c", file); got != "Mail queue is empty\n" {
		t.Error(got)
	}
}

// An alias that leads to more than may be is made, with a warning.
func TestAliasBeyondTheLimit(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small+"[addresses]\nexpansion_limit = 2\n")
	good(t, "", "alias", "add", "two@example.org", "a@far.example", "b@far.example", "-c", file)
	status, _, stderr := call(t, "", "alias", "add", "three@example.org", "a@far.example", "b@far.example", "c@far.example", "-c", file)
	if status != 0 || !strings.Contains(stderr, "warning: three@example.org has 3 targets, and addresses.expansion_limit is 2") {
		t.Errorf("%d %s", status, stderr)
	}
}

// TestSocketWithoutDirectory: the check says what would stop the server.
func TestSocketWithoutDirectory(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small+"[[listen]]\nservice = 'lmtp'\naddress = 'unix:/nowhere/lmtp.sock'\n")
	status, _, stderr := call(t, "", "check", "-c", file)
	if status != 0 || !strings.Contains(stderr, "warning: listen[1].address: the directory /nowhere is not there") {
		t.Errorf("%d %s", status, stderr)
	}
}

// TestBadLines: the check ends with an error for a line that the server only warns of.
func TestBadLines(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small+"[addresses]\nalias_maps = ['hash:aliases']\n[[directory]]\nname = 'v'\nkind = 'maps'\nsource = 'hash:vmailbox, inline:{a@example.org=a, b@example.org=b}'\n")
	for name, text := range map[string]string{"aliases": "root: alice\nbob alice\n", "vmailbox": "carol@example.org c\ndave@example.org caf\xe9\n"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status, stdout, stderr := call(t, "", "check", "-c", file)
	if status != 1 || stdout != "" || !strings.Contains(stderr, "aliases:2: expected") || !strings.Contains(stderr, "vmailbox:2: the line is no text") {
		t.Errorf("%d %s %s", status, stdout, stderr)
	}
	for name, want := range map[string]string{"dave": "451 4.3.0", "carol": "mailbox:carol@example.org", "b": "mailbox:b@example.org"} {
		if _, stdout, stderr := call(t, "", "address", name+"@example.org", "-c", file); !strings.Contains(stdout, want) {
			t.Errorf("%s: %s %s", name, stdout, stderr)
		}
	}
}

// Every mistake is one clear line and a status that is not 0.
func TestMistakes(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	bad := settingsFile(t, "hostnam = 'x'\nrecipient_limit = 'many'\n")
	incomplete := settingsFile(t, "recipient_limit = 1\n")
	noCertificate := settingsFile(t, small+"[tls]\ncertificate = ['c.pem']\nkey = ['k.pem']\n")
	notPEM := settingsFile(t, small+"[tls]\ncertificate = ['facteur.toml']\nkey = ['facteur.toml']\n")
	file2 := func(path string) string { return filepath.Join(filepath.Dir(path), "facteur.toml") }
	readOnly := settingsFile(t, strings.Replace(small, "'data'", "'/proc/nowhere'", 1))
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"sevre"}, `unknown command "sevre" for "facteur"`},
		{[]string{"account", "lst"}, `unknown command "lst"; "facteur account --help" lists what there is`},
		{[]string{"account", "add", "-c", file}, `facteur account add: expected ADDRESS after it, found 0 arguments`},
		{[]string{"account", "add", "bob@example.org", "-c", file}, errNoTerminal.Error()},
		{[]string{"account", "add", "bob@example.org", "--password-stdin", "-c", file}, "bob@example.org: a password has 1 to 1024 bytes and no control characters"},
		{[]string{"account", "add", "bob@example.org", "--quota", "1X", "-c", file}, `--quota: "1X" is not a size in bytes such as 52428800 or "50M" (K, M, G, T)`},
		{[]string{"account", "remove", "bob\x1b[2J@example.org", "-c", file}, `"bob\x1b[2J@example.org" is not an address: bad address syntax: no domain`},
		{[]string{"queue", "show", "zz", "-c", file}, `"zz" is not a queue ID (hexadecimal digits are expected)`},
		{[]string{"queue", "show", "ABC", "-c", file}, `ABC: no such item in the queue`},
		{[]string{"check", "-c", "/nowhere.toml"}, "settings: open /nowhere.toml: no such file or directory"},
		{[]string{"serve", "-c", bad}, bad + `:1:1: unknown key "hostnam"; did you mean "hostname"?` + "\n" + bad + `:2:19: recipient_limit: expected a whole number, found "many"`},
		{[]string{"check", "-c", incomplete}, incomplete + `: hostname: is missing; expected the full name of this machine, such as "mail.example.org"` + "\n" + incomplete + `:1:19: recipient_limit: expected at least 100, found 1`},
		{[]string{"serve", "-c", noCertificate}, noCertificate + ":9:16: tls.certificate[0]: stat " + filepath.Join(filepath.Dir(noCertificate), "c.pem") + ": no such file or directory\n" +
			noCertificate + ":10:8: tls.key[0]: stat " + filepath.Join(filepath.Dir(noCertificate), "k.pem") + ": no such file or directory"},
		{[]string{"check", "-c", notPEM}, "certificate " + file2(notPEM) + " with key " + file2(notPEM) + ": tls: failed to find any PEM data in certificate input"},
		{[]string{"serve", "-c", readOnly}, "data directory: mkdir /proc/nowhere: no such file or directory"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			status, stdout, stderr := call(t, "", test.args...)
			want := "facteur: " + strings.ReplaceAll(test.want, "\n", "\nfacteur: ") + "\n"
			if status != 1 || stdout != "" || stderr != want {
				t.Errorf("status %d, printed %q and\n got %q\nwant %q", status, stdout, stderr, want)
			}
		})
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := settingsFile(t, strings.Replace(small, "127.0.0.1:0", l.Addr().String(), 1))
	status, _, stderr := call(t, "", "serve", "-c", file)
	last := stderr[strings.LastIndexByte(strings.TrimSpace(stderr), '\n')+1:]
	if status != 1 || !strings.HasPrefix(last, "facteur: ") || !strings.Contains(last, l.Addr().String()) || !strings.Contains(last, "in use") {
		t.Errorf("status %d\n%s", status, stderr)
	}
}

func TestFLT011SecondServerIsRefused(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	claim, err := control.NewClaim(t.Context(), filepath.Join(filepath.Dir(file), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Release()
	status, _, stderr := call(t, "", "serve", "-c", file)
	if want := fmt.Sprintf("is in use by process %d\n", os.Getpid()); status != 1 || !strings.HasSuffix(stderr, want) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d\n%s", status, stderr)
	}
}

func TestInit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, data := filepath.Join(dir, "facteur.toml"), filepath.Join(dir, "data")
	args := []string{"init", "Example.org", "-c", file, "--data-dir", data, "--password-stdin"}
	said := good(t, "secret\n", args...)
	for _, want := range []string{"example.org. IN MX 10 mail.example.org.", "v=spf1", `facteur1._domainkey.example.org. IN TXT "v=DKIM1; k=rsa; p=`, "_dmarc.example.org.", "facteur serve -c " + file} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said in\n%s", want, said)
		}
	}
	if strings.Contains(said, "secret") {
		t.Error("the password is printed")
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("MAP-011: %v, %v", info, err)
	}
	if got := good(t, "", "check", "-c", file); got != file+": no mistakes found\n" {
		t.Error(got)
	}
	if got := good(t, "", "account", "list", "-c", file); !strings.Contains(got, "postmaster@example.org") {
		t.Error(got)
	}
	before, _ := os.ReadFile(file)
	if status, _, stderr := call(t, "secret\n", args...); status != 1 || !strings.Contains(stderr, "exists already") {
		t.Errorf("%d %s", status, stderr)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("the settings file was touched")
	}
}

// What init began and could not finish is not left in the way of the next try.
func TestInitLeavesNoHalfFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "facteur.toml")
	if status, _, _ := call(t, "\n", "init", "example.org", "-c", file, "--data-dir", "data", "--password-stdin"); status != 1 {
		t.Error("an empty password was taken")
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestConfigPrintsSettingsFiles(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	show := settingsFile(t, good(t, "", "config", "show", "-c", file))
	if a, b := good(t, "", "config", "diff", "-c", file), good(t, "", "config", "diff", "-c", show); a != b || !strings.Contains(a, `name = "example.org"`) {
		t.Errorf("%s\nand\n%s", a, b)
	}
	if got := good(t, "", "config", "defaults"); !strings.Contains(got, "\nrecipient_limit = 1000\n") {
		t.Error(got)
	}
}

func TestVersionAndCompletion(t *testing.T) {
	t.Parallel()
	if got := good(t, "", "version"); !strings.HasPrefix(got, "facteur ") {
		t.Error(got)
	}
	var b build.Info
	if err := json.Unmarshal([]byte(good(t, "", "version", "--json")), &b); err != nil || b.Go == "" {
		t.Errorf("%+v, %v", b, err)
	}
	if got := good(t, "", "completion", "bash"); !strings.Contains(got, "facteur") {
		t.Error(got)
	}
}

// The listing has Postfix's form, and what peers wrote does not reach the terminal
// as it is.
func TestMailq(t *testing.T) {
	t.Parallel()
	arrived := time.Date(2026, 11, 2, 3, 4, 5, 0, time.Local)
	var out bytes.Buffer
	mailqItem(&out, control.Entry{ID: "660D29D2CAEEB", Active: true, Size: 414, Arrived: arrived, Sender: "alice@example.org", Recipients: []control.ToDelivery{
		{Address: "bob@example.net", State: "queued"},
		{Address: "carol@example.net", State: "queued", Reason: "host mx.example.net[192.0.2.1] said: 450 4.2.0 \x1b[2Jlater\r\nX (in reply to RCPT TO)"},
		{Address: "dave@example.net", State: "queued", Reason: "host mx.example.net[192.0.2.1] said: 450 4.2.0 \x1b[2Jlater\r\nX (in reply to RCPT TO)"},
	}})
	mailqItem(&out, control.Entry{ID: "660D29D2CAEEC", Size: 7, Arrived: arrived, Shelf: "hold", Recipients: []control.ToDelivery{{Address: "x@example.net", State: "held"}}})
	want := `660D29D2CAEEB*         414 Mon Nov  2 03:04:05 alice@example.org
                                               bob@example.net
(host mx.example.net[192.0.2.1] said: 450 4.2.0 ?[2Jlater??X (in reply to RCPT TO))
                                               carol@example.net
                                               dave@example.net

660D29D2CAEEC!           7 Mon Nov  2 03:04:05 MAILER-DAEMON
                                               x@example.net

`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
