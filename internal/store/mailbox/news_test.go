package mailbox

import "testing"

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
