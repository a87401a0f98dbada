package interop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Every reason not to start is one clear line on stderr and a status that is
// not zero.
func TestBadStart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(t *testing.T, f *Facteur)
		want  []string // all in that line
	}{
		{"unknown key", edit("hostname =", "hostnam = \"x\"\nhostname ="), []string{"facteur.toml:1:1", "hostnam", "hostname"}},
		{"unknown key in a table", edit("[limits]", "[limits]\nexemt = []"), []string{"facteur.toml:", "exemt", "exempt"}},
		{"wrong type", edit("hostname = ", "hostname = 12 #"), []string{"facteur.toml:1:", "hostname", "text in quotes"}},
		{"not TOML", edit("hostname = ", "hostname == "), []string{"facteur.toml:1:"}},
		{"missing certificate", noCertificate, []string{"facteur.toml:", "/nowhere/cert.pem", "no such file"}},
		{"no such file", func(t *testing.T, f *Facteur) { os.Remove(f.Config()) }, []string{"facteur.toml", "no such file"}},
		{"port in use", occupy, []string{"address already in use"}},
		{"data directory is a file", fileInTheWay, []string{"data"}},
		{"second server on the data directory", secondServer, []string{"data"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := NewFacteur(t, Setup{Accounts: []string{alice}})
			test.spoil(t, f)
			stderr, code := serveOnce(t, f)
			lines := complaints(stderr)
			if code == 0 || len(lines) != 1 {
				t.Errorf("status %d and %d lines, want not 0 and 1 line:\n%s", code, len(lines), stderr)
			}
			for _, word := range test.want {
				if !strings.Contains(strings.Join(lines, "\n"), word) {
					t.Errorf("no %q in %q", word, lines)
				}
			}
		})
	}
}

// complaints are the lines on stderr that are not records of the log.
func complaints(stderr string) (lines []string) {
	for line := range strings.Lines(stderr) {
		if !logRecord.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

var logRecord = regexp.MustCompile(`^\w{3} [ \d]\d [\d:]{8} \S+ facteur/\w+\[\d+\]: `)

// serveOnce runs a server that has to give up by itself.
func serveOnce(t *testing.T, f *Facteur) (stderr string, code int) {
	t.Helper()
	cmd := exec.Command(f.bin, "serve", "-c", f.Config())
	var text bytes.Buffer
	cmd.Stderr = &text
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tooLong := time.AfterFunc(StartWait, func() { cmd.Process.Kill() })
	cmd.Wait()
	if !tooLong.Stop() {
		t.Fatalf("it still runs after %v:\n%s", StartWait, text.String())
	}
	return text.String(), cmd.ProcessState.ExitCode()
}

// edit replaces something in the file; the test is broken if it is not there.
func edit(old, replacement string) func(*testing.T, *Facteur) {
	return func(t *testing.T, f *Facteur) { f.Edit(old, replacement) }
}

func noCertificate(t *testing.T, f *Facteur) {
	_, key := SelfSigned(t, f.dir)
	f.Edit("[limits]", fmt.Sprintf("[tls]\ncertificate = [%q]\nkey = [%q]\n\n[limits]", "/nowhere/cert.pem", key))
}

func occupy(t *testing.T, f *Facteur) {
	l, err := net.Listen("tcp", f.Addr("smtp"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

func fileInTheWay(t *testing.T, f *Facteur) {
	if err := os.RemoveAll(f.Data()); err != nil {
		t.Fatal(err)
	}
	WriteFile(t, f.Data(), "I am a file\n")
}

// secondServer starts a first one with the same data, on other ports.
func secondServer(t *testing.T, f *Facteur) {
	text, err := os.ReadFile(f.Config())
	if err != nil {
		t.Fatal(err)
	}
	other := &Facteur{t: t, bin: f.bin, dir: filepath.Join(f.dir, "first"), ports: map[string]int{"smtp": FreePort(t), "imap": FreePort(t)}}
	config := strings.ReplaceAll(string(text), f.Addr("smtp"), other.Addr("smtp"))
	WriteFile(t, other.Config(), strings.ReplaceAll(config, f.Addr("imap"), other.Addr("imap")))
	t.Cleanup(other.Kill)
	other.Start()
}
