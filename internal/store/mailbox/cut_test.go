package mailbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/base/vfs"
)

// What goes from an account whose copy is still to come into one whose copy was made is
// in the copy of the first, whatever way it goes.
func TestCutWhileLettersMove(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*View, *Account) error{
		"MOVE": func(v *View, to *Account) error {
			_, _, err := v.MoveTo(bg, []uint32{1}, to, "INBOX", AllRights)
			return err
		},
		"COPY and EXPUNGE": func(v *View, to *Account) error {
			if _, _, err := v.CopyTo(bg, []uint32{1}, to, "INBOX", AllRights); err != nil {
				return err
			}
			return v.Remove(bg, []uint32{1})
		},
		"COPY and DELETE": func(v *View, to *Account) error {
			if _, _, err := v.CopyTo(bg, []uint32{1}, to, "INBOX", AllRights); err != nil {
				return err
			}
			return v.acct.Delete(bg, "Work")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			s := newStore(vfs.OS{})
			defer s.Close()
			open := func(name string) *Account {
				a, err := s.Open(bg, Owner{Home: filepath.Join(data, name)})
				must(t, err)
				return a
			}
			first, second := open("a"), open("b")
			defer first.Close()
			defer second.Close()
			must(t, second.Create(bg, "Work"))
			_, _, err := second.Append(bg, "Work", strings.NewReader(letterText("here")), 0, AppendOptions{})
			must(t, err)
			v, err := second.Select(bg, "Work", false)
			must(t, err)
			defer v.Close()

			c, err := s.BeginCut(func(home string) (string, bool) {
				return filepath.Join(data, "cut", filepath.Base(home)), true
			})
			must(t, err)
			if _, err := s.BeginCut(nil); err != ErrCutting {
				t.Error("a second copy:", err)
			}
			must(t, c.Take(bg, first))
			must(t, leave(v, first))
			must(t, c.Take(bg, second))
			c.End()
			found, _ := filepath.Glob(filepath.Join(data, "cut/b/Maildir/.Work/[cn][ue][rw]/*"))
			if len(found) != 1 {
				t.Errorf("in the copy of the account that it left are %q", found)
			}
		})
	}
}

// Files that others rename while they are copied are in the copy, once.
func TestCutBesideOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, sub := range letterDirs {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	name := "1.M000001Q7R1.facteur"
	way := []string{"tmp/" + name, "new/" + name + ",S=1,W=1", "cur/" + name + ",S=1,W=1:2,", "cur/" + name + ",S=1,W=1:2,S"}
	for n := range 50 { // so that reading a directory takes a while
		must(t, os.WriteFile(filepath.Join(dir, "cur", fmt.Sprint(n)), nil, 0o600))
	}
	for round := range 100 {
		must(t, os.WriteFile(filepath.Join(dir, way[0]), []byte("x"), 0o600))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range way[1:] {
				os.Rename(filepath.Join(dir, way[i]), filepath.Join(dir, way[i+1]))
			}
		}()
		to := t.TempDir()
		must(t, cutTree(dir, to, 0))
		<-done
		if found, _ := filepath.Glob(filepath.Join(to, "*", name+"*")); len(found) != 1 {
			t.Fatalf("round %d: %q", round, found)
		}
		must(t, os.Remove(filepath.Join(dir, way[3])))
	}
}
