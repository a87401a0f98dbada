package mailbox

import (
	"os"
	"path/filepath"
	"testing"
)

// IMAP-017: what others changed is told to a session even where it changed the same
// letter itself before it was told, and its own change alone is not.
func TestOwnChangeDoesNotHideAnothers(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	uid := f.append("INBOX", "one", 0)
	mine, theirs := f.selectBox("INBOX"), f.selectBox("INBOX")
	add := func(v *View, flags SystemFlags) {
		t.Helper()
		_, err := v.Store(bg, []uint32{uid}, FlagsAdd, Flags{System: flags})
		must(t, err)
	}
	add(mine, Seen)
	if got := f.poll(mine); len(got) != 0 {
		t.Errorf("its own change is told: %v", got)
	}
	add(theirs, Flagged)
	add(mine, Draft)
	if got := f.poll(mine); len(got) != 1 || got[0].Kind != Reflagged {
		t.Errorf("told %v, and another has set a flag", got)
	}
	if got := f.poll(mine); len(got) != 0 {
		t.Errorf("told again: %v", got)
	}
}

// IMAP-018, IMAP-025: another program gives a file other flags, or takes it from new/ to
// cur/, between the decision to move the letter and its rename. The letter comes to be
// where COPYUID said, under the UID that it said, with the flags that it was given.
func TestMoveBesideRename(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	f.append("INBOX", "one", Seen)
	must(t, f.Create(bg, "Other"))
	files, err := filepath.Glob(filepath.Join(f.root, "cur", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	source, target := "cur/"+filepath.Base(files[0]), ".Other/cur/1.M2P3.moved:2,S"
	for other, want := range map[string]string{
		files[0] + "T": target + "T",
		filepath.Join(f.root, "new", baseOf(filepath.Base(files[0]))): target,
	} {
		must(t, os.Rename(files[0], other))
		for range 2 { // again after a crash
			must(t, f.perform(todo{source, target}, strays{}))
			if _, err := os.Stat(filepath.Join(f.root, want)); err != nil {
				t.Fatalf("renamed to %s: %v", other, err)
			}
		}
		must(t, os.Rename(filepath.Join(f.root, want), files[0]))
	}
	must(t, os.Remove(files[0]))
	must(t, f.perform(todo{source, target}, strays{})) // taken away: there is nothing to do
}
