package takeover

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func small() *Takeover {
	s := NewSettings("Made from /etc/postfix.")
	s.Append("domain").Set("name", "example.org", "mydestination")
	s.Table("outbound").Set("smarthost", []string{"smtp.isp.example:587"}, "relayhost")
	s.Table("").Set("hostname", "mail.example.org", "myhostname, \"as it\"\nwas")
	r := &Report{From: "/etc/postfix"}
	r.Add(Line{File: "/etc/postfix/main.cf", Line: 3, Text: "relayhost = x", Verdict: Understood, Key: "outbound.smarthost"})
	r.Add(Line{File: "/etc/postfix/main.cf", Line: 4, Text: "relayhots = \x1b[2J", Verdict: Unknown, Why: "no such parameter"})
	return &Takeover{Settings: s, Report: r, Secrets: []Secret{{"relay_passwords", []byte("x y:z\n")}}}
}

func TestSettingsText(t *testing.T) {
	want := `# Made from /etc/postfix.

# myhostname, "as it"
# was
hostname = "mail.example.org"

[[domain]]
# mydestination
name = "example.org"

[outbound]
# relayhost
smarthost = ["smtp.isp.example:587"]
`
	for range 2 {
		if got := string(small().Settings.Text()); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	if errs := small().Check("facteur.toml"); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestWriteOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	var said bytes.Buffer
	o := Output{Settings: filepath.Join(dir, "facteur.toml"), Report: filepath.Join(dir, "report"), Stdout: &said}
	if err := small().Write(o); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"facteur.toml": 0o640, "relay_passwords": 0o600, "report": 0o640} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v, want %v", name, info.Mode(), err, mode)
		}
	}
	for _, there := range []string{"facteur.toml", "relay_passwords", "report"} {
		only := t.TempDir()
		os.WriteFile(filepath.Join(only, there), []byte("mine"), 0o600)
		o.Settings, o.Report = filepath.Join(only, "facteur.toml"), filepath.Join(only, "report")
		if err := small().Write(o); err == nil || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: %v", there, err)
		}
		if files, _ := os.ReadDir(only); len(files) != 1 {
			t.Errorf("%s: something was written: %v", there, files)
		}
	}
	o.Force = true
	if err := small().Write(o); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(filepath.Dir(o.Settings)); len(files) != 3 {
		t.Errorf("files are left: %v", files)
	}
}

func TestReport(t *testing.T) {
	var b bytes.Buffer
	if err := small().Report.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 lines: 1 understood, 1 unknown", "To be looked at", "relayhots = ?[2J", "→ outbound.smarthost\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	small().Report.WriteJSON(&b)
	if want := `{"file":"/etc/postfix/main.cf","line":3,"text":"relayhost = x","verdict":"understood","key":"outbound.smarthost"}` + "\n"; !strings.HasPrefix(b.String(), want) {
		t.Errorf("got %s", b.String())
	}
}
