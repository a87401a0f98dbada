package mailbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// TestWriteDovecot: keywords and UIDs stand where Dovecot finds them; an index that
// is made anew from that has them again.
func TestWriteDovecot(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	must(t, os.WriteFile(filepath.Join(f.root, keywordFile), []byte("1 Old\n"), 0o600))
	f.drop("cur/100.M1.h,S=6,W=6:2,Sbz", "a\r\nb\r\n")
	f.append("INBOX", "one", Seen, "Red", "$Junk")
	f.append("INBOX", "two", 0, "Red")
	f.append("INBOX", "three", 0)
	v := f.selectBox("INBOX")
	_, _, err := v.Copy(bg, []uint32{1, 2, 3, 4}, "Archive")
	must(t, err)
	if left, err := f.WriteDovecot(bg); err != nil || left != 0 {
		t.Fatal(left, err)
	}
	text, err := os.ReadFile(filepath.Join(f.root, keywordFile))
	must(t, err)
	names := parseKeywords(string(text))
	if names[1] != "Old" || indexFold(names[:], "red") < 0 || indexFold(names[:], "$junk") < 0 {
		t.Fatalf("%q", text)
	}
	for _, name := range f.tree() {
		if strings.Contains(name, "100.M1.h") && !strings.HasSuffix(name, ":2,Sbz") {
			t.Error(name)
		}
	}
	want := map[string][][]string{}
	flags := func(v *View) (list [][]string) {
		for _, l := range v.Letters(all(v)) {
			list = append(list, l.Flags.Keywords)
		}
		return list
	}
	for _, name := range []string{"INBOX", "Archive"} {
		w := f.selectBox(name)
		want[name] = flags(w)
		must(t, w.Close())
	}
	must(t, v.Close())
	f.shut()
	f.dropIndex()
	f.reopen()
	for name, list := range want {
		w := f.selectBox(name)
		if got := flags(w); !slices.EqualFunc(got, list, slices.Equal[[]string]) || len(got) != 4 {
			t.Errorf("%s: %v, was %v", name, got, list)
		}
		must(t, w.Close())
	}
	must(t, func() error { _, err := f.WriteDovecot(bg); return err }())
	f.shut()
}

// TestWordsOfCopies: the small letters of one mailbox are not taken along to another,
// where they mean something else.
func TestWordsOfCopies(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	must(t, os.WriteFile(filepath.Join(f.root, keywordFile), []byte("0 Here\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(f.root, ".Trash", keywordFile), []byte("0 There\n"), 0o600))
	f.drop("cur/100.M1.h,S=6,W=6:2,Sa", "a\r\nb\r\n")
	v := f.selectBox("INBOX")
	_, _, err := v.Move(bg, []uint32{1}, "Trash")
	must(t, err)
	must(t, v.Close())
	f.shut()
	if slices.ContainsFunc(f.tree(), func(name string) bool { return strings.HasSuffix(name, "a") }) {
		t.Fatal(f.tree())
	}
}

// TestListAsleep: the list of a large mailbox is not written each time that sessions
// wait.
func TestListAsleep(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	fill(t, home, maxListedAsleep+1)
	s := New(vfs.OS{}, event.Discard)
	s.linger, s.wake = 0, time.Hour
	a, err := s.Open(bg, Owner{Home: home})
	must(t, err)
	v, err := a.Select(bg, "INBOX", false)
	must(t, err)
	a.mu.Lock()
	err = a.sleep()
	a.mu.Unlock()
	must(t, err)
	if _, err := os.Stat(filepath.Join(a.root, listFile)); err == nil {
		t.Error("written")
	}
	must(t, v.Close())
	must(t, a.Close())
	if _, err := os.Stat(filepath.Join(a.root, listFile)); err != nil {
		t.Error("not written at the end:", err)
	}
}
