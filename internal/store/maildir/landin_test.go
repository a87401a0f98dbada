package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"

	"facteur/internal/base/vfs"
)

// junkPost is post for a letter that is to land in a folder, where there is one.
func junkPost(m *vfs.Mem, text string, row *string) error {
	d, err := Create(m, "/home/Maildir")
	if err != nil {
		return err
	}
	b := Delivery{Dir: d, Name: "1.Q1R0.h"}
	if *row == "queued" {
		if _, err := b.Stage(strings.NewReader(text)); err != nil {
			return err
		}
		if err := SyncStaged([]Delivery{b}); err != nil {
			return err
		}
		*row = "landing"
	}
	if *row == "landing" {
		if at, err := Open(m, "/home/Maildir/.Junk"); err == nil {
			b.Into = at
		}
		if err := b.Land(Size{}); err != nil {
			return err
		}
		if err := SyncLanded([]Delivery{b}); err != nil {
			return err
		}
		*row = ""
	}
	return nil
}

// everywhere are the letters in INBOX and in all folders.
func everywhere(t *testing.T, m *vfs.Mem) (out []string) {
	t.Helper()
	for _, dir := range []string{"", ".Junk", ".Spam"} {
		entries, err := m.ReadDir(path.Join("/home/Maildir", dir, "new"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(t, err)
		for _, e := range entries {
			b, err := vfs.ReadFile(m, path.Join("/home/Maildir", dir, "new", e.Name), 1<<20)
			must(t, err)
			out = append(out, dir+":"+string(b))
		}
	}
	return out
}

// TestLandInCrash: a letter for a folder arrives once and whole, whatever a crash undoes,
// and whatever its owner does with the folder while the letter is landing.
func TestLandInCrash(t *testing.T) {
	t.Parallel()
	meanwhile := map[string]func(*vfs.Mem){
		"nothing":      func(*vfs.Mem) {},
		"renamed":      func(m *vfs.Mem) { m.Rename("/home/Maildir/.Junk", "/home/Maildir/.Spam") },
		"not a folder": func(m *vfs.Mem) { m.Rename("/home/Maildir/.Junk/new", "/home/Maildir/.Junk/old") },
	}
	for what, change := range meanwhile {
		t.Run("FLT-002 "+what, func(t *testing.T) {
			for n := 0; ; n++ {
				done := false
				for seed := range uint64(crashSeeds) {
					row, m := "queued", vfs.NewMem()
					must(t, m.Mkdir("/home", 0o700))
					_, err := CreateFolder(m, "/home/Maildir", "Junk")
					must(t, err)
					must(t, m.SyncFS("/"))
					m.StopAfter(n)
					done = junkPost(m, "text", &row) == nil
					m = m.Crash(seed)
					if row != "" { // what has arrived there is his to move
						change(m)
					}
					must(t, m.SyncFS("/"))
					if err := junkPost(m, "text", &row); err != nil {
						t.Fatalf("stop %d seed %d: %v", n, seed, err)
					}
					got := everywhere(t, m.Crash(seed+1000))
					if what == "not a folder" && len(got) == 0 {
						got = oldOnes(t, m)
					}
					if len(got) != 1 || !strings.HasSuffix(got[0], ":text") {
						t.Fatalf("stop %d seed %d: %q", n, seed, got)
					}
				}
				if done {
					return
				}
			}
		})
	}
}

// oldOnes are letters that had landed before their folder was taken apart.
func oldOnes(t *testing.T, m *vfs.Mem) (out []string) {
	t.Helper()
	entries, err := m.ReadDir("/home/Maildir/.Junk/old")
	must(t, err)
	for range entries {
		out = append(out, fmt.Sprint(".Junk/old:text"))
	}
	return out
}
