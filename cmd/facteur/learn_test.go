package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRow175LearnMaildir: a Maildir of 1,000 letters is taught, known when it is taught again,
// and taken back; what can't be read is told, and the rest is learnt.
func TestRow175LearnMaildir(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	box := filepath.Join(t.TempDir(), "Maildir")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(box, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		name := fmt.Sprintf("cur/1777636800.M%dP1.here:2,S", i)
		if i%4 == 0 {
			name = fmt.Sprintf("new/1777636800.M%dP1.here", i)
		}
		text := fmt.Sprintf("From: m%d@evil.example\nSubject: cheap pills %d\nMessage-Id: <%d@evil.example>\n\nBuy cheap pills, number %d.\n", i%50, i, i, i)
		if err := os.WriteFile(filepath.Join(box, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ act, want string }{
		{"spam", "1000 letters: 1000 learnt, 0 learnt otherwise before, 0 taken back, 0 known"},
		{"spam", "1000 letters: 0 learnt, 0 learnt otherwise before, 0 taken back, 1000 known"},
		{"ham", "1000 letters: 0 learnt, 1000 learnt otherwise before, 0 taken back, 0 known"},
		{"undo", "1000 letters: 0 learnt, 0 learnt otherwise before, 1000 taken back, 0 known"},
	} {
		if got := good(t, "", "learn", c.act, "--server", box, "-c", file); !strings.Contains(got, c.want) {
			t.Errorf("learn %s: %q, want %q", c.act, got, c.want)
		}
	}
	if got := good(t, "", "learn", "status", "-c", file, "--json"); !strings.Contains(got, `"spam":0,"ham":0,"tokens":0`) {
		t.Errorf("after all was taken back: %s", got)
	}
}
