package postfix

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"facteur/internal/app/takeover"
)

var update = flag.Bool("update", false, "write the expected settings anew")

// unpack puts the files of an archive below dir; "/etc/" in them becomes dir.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		text := strings.ReplaceAll(string(f.Data), "/etc/", dir+"/")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// imported is the takeover of dir/postfix, written to dir/out.
func imported(t *testing.T, dir string) *takeover.Takeover {
	t.Helper()
	out := filepath.Join(dir, "out")
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	took := takeover.New(filepath.Join(dir, "postfix"), "Made by a test.")
	err := Import(took, Options{Dir: filepath.Join(dir, "postfix"), Settings: out, Hostname: "here.example.net",
		Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24"), netip.MustParsePrefix("127.0.0.1/8")}})
	if err != nil {
		t.Fatal(err)
	}
	return took
}

// TestPrintedConfigurations: what people print of their main.cf and master.cf is taken
// over without a line that nobody knows, and makes a file without a mistake.
func TestPrintedConfigurations(t *testing.T) {
	t.Parallel()
	archives, _ := filepath.Glob("testdata/*.txtar")
	if len(archives) < 6 {
		t.Fatalf("%q", archives)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			unpack(t, archive, dir)
			took := imported(t, dir)
			for _, l := range took.Report.Lines {
				if l.Verdict == takeover.Unknown || l.Verdict == "" {
					t.Errorf("%s:%d: %q is %q: %s", l.File, l.Line, l.Text, l.Verdict, l.Why)
				}
				if strings.Contains(l.Text, "secret words") || strings.Contains(l.Text, "username:password") {
					t.Errorf("a password in the report: %+v", l)
				}
			}
			settings := filepath.Join(dir, "out", "facteur.toml")
			if err := took.Write(takeover.Output{Settings: settings, Stdout: io.Discard}); err != nil {
				t.Errorf("%v\n%s", err, took.Settings.Text())
			}
			golden(t, strings.TrimSuffix(archive, ".txtar"), dir, took)
			if again := imported(t, dir).Settings.Text(); string(again) != string(took.Settings.Text()) {
				t.Error("a second import writes something else")
			}
		})
	}
}

// golden compares with the files that a person has read: the settings without comments, and
// one line for each verdict.
func golden(t *testing.T, name, dir string, took *takeover.Takeover) {
	t.Helper()
	var verdicts strings.Builder
	for _, l := range took.Report.Lines {
		fmt.Fprintf(&verdicts, "%s:%d: %s → %s %s: %s\n", l.File, l.Line, l.Text, l.Verdict, l.Key, l.Why)
	}
	for file, got := range map[string]string{name + ".toml": bare(took.Settings.Text()), name + ".report": verdicts.String()} {
		got = strings.ReplaceAll(got, dir+"/", "/etc/")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if string(want) != got {
			t.Errorf("%s: not as expected (-update writes it anew); got\n%s", file, got)
		}
	}
}

// bare is settings without comments, and with lists in one line: where lines break depends
// on the name of the directory.
func bare(text []byte) string {
	var b strings.Builder
	open := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasSuffix(line, "= ["):
			open = true
			b.WriteString(line)
		case open && line == "]":
			open = false
			b.WriteString("]\n")
		case open:
			b.WriteString(strings.TrimSpace(line) + " ")
		default:
			b.WriteString(line + "\n")
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(b.String(), ", ]", "]"), ",]", "]")
}
