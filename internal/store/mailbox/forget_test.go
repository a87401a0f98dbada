package mailbox

import (
	"os"
	"testing"
)

// TestDiscard: what the sessions of a removed account have open is closed, and whoever
// gets its home next has an account of his own.
func TestDiscard(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	f.append("INBOX", "one", 0)
	v := f.selectBox("INBOX")
	must(t, f.store.Discard(f.home))
	must(t, os.RemoveAll(f.home))
	next, err := f.store.Open(bg, f.owner)
	must(t, err)
	if _, err := v.Poll(bg, true); err == nil {
		t.Error("IMAP-021 the old session goes on")
	}
	if _, err := v.Open(bg, 1); err == nil {
		t.Error("IMAP-021 the old session reads")
	}
	if st, err := next.Status(bg, "INBOX"); err != nil || st.Messages != 0 {
		t.Errorf("%+v %v", st, err)
	}
	v.Close() //nolint:errcheck // of a closed account
	must(t, f.Close())
	if st, err := next.Status(bg, "INBOX"); err != nil || st.Messages != 0 {
		t.Errorf("the end of an old session disturbs: %+v %v", st, err)
	}
	must(t, next.Close())
	must(t, f.store.Close())
}
