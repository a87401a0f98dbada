package mailbox

import (
	"os"
	"path/filepath"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

func TestFind(t *testing.T) {
	t.Parallel()
	fresh := func(t *testing.T) (*Store, Owner) {
		s := New(vfs.OS{}, event.Discard)
		t.Cleanup(func() { s.Close() })
		o := Owner{Address: "bob@example.org", Home: t.TempDir()}
		_, err := maildir.Create(vfs.OS{}, o.root())
		must(t, err)
		return s, o
	}
	find := func(t *testing.T, s *Store, o Owner, folder, want string) {
		t.Helper()
		name, at, err := s.Find(o, folder)
		if err != nil || name != want || (at.Path == "") != (want == "") {
			t.Errorf("%s: %q at %q, %v; %q expected", folder, name, at.Path, err, want)
		}
	}
	t.Run("nobody has opened it yet", func(t *testing.T) {
		s, o := fresh(t)
		find(t, s, o, `\junk`, "Junk")
		find(t, s, o, `\Junk`, "Junk")
		a, err := s.Open(t.Context(), o)
		must(t, err)
		defer a.Close()
		list, err := a.List(t.Context())
		must(t, err)
		for _, box := range list {
			if box.Name == "Junk" && (box.SpecialUse != `\Junk` || !box.Subscribed) {
				t.Errorf("%+v", box)
			}
		}
	})
	t.Run("another letter is making it", func(t *testing.T) {
		s, o := fresh(t)
		must(t, os.MkdirAll(filepath.Join(o.root(), ".Junk", "tmp"), 0o700))
		find(t, s, o, `\Junk`, "Junk")
	})
	t.Run("the use that was given goes before that of the name", func(t *testing.T) {
		s, o := fresh(t)
		a, err := s.Open(t.Context(), o)
		must(t, err)
		defer a.Close()
		find(t, s, o, `\Junk`, "Junk")
		must(t, a.CreateFor(t.Context(), "Spam", `\Junk`))
		find(t, s, o, `\Junk`, "Spam")
		find(t, s, o, "Spam", "Spam")
		must(t, a.Delete(t.Context(), "Spam"))
		find(t, s, o, `\Junk`, "Junk")
		must(t, a.Delete(t.Context(), "Junk"))
		find(t, s, o, `\Junk`, "") // he does not want one
		find(t, s, o, "../x", "")
		find(t, s, o, "INBOX", "")
	})
	t.Run("nothing is made in the home of a Unix user", func(t *testing.T) {
		s, o := fresh(t)
		o.FS = vfs.OS{}
		find(t, s, o, `\Junk`, "")
		if _, err := os.Stat(filepath.Join(o.root(), ".Junk")); err == nil {
			t.Error("it was made")
		}
		_, err := maildir.CreateFolder(vfs.OS{}, o.root(), "Junk")
		must(t, err)
		find(t, s, o, `\Junk`, "Junk")
	})
}
