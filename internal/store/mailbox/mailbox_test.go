package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/store/quota"
)

var bg = context.Background()

// newStore is New without the rest of accounts that nobody uses.
func newStore(fs vfs.FS) *Store {
	s := New(fs, event.Discard)
	s.linger = 0
	return s
}

// letterText is a small valid letter.
func letterText(subject string) string {
	return "From: a@example.org\r\nTo: b@example.org\r\nSubject: " + subject + "\r\n\r\nHello " + subject + "\r\n"
}

// fixture is a store on the real file system with one account.
type fixture struct {
	t     *testing.T
	store *Store
	owner Owner
	*Account
}

func open(t *testing.T, home string) *fixture {
	t.Helper()
	return openAs(t, Owner{Address: "a@example.org", Home: home})
}

func openAs(t *testing.T, o Owner) *fixture {
	t.Helper()
	f := &fixture{t: t, store: newStore(vfs.OS{}), owner: o}
	f.reopen()
	t.Cleanup(func() { f.store.Close() })
	return f
}

func (f *fixture) reopen() {
	f.t.Helper()
	var err error
	if f.Account, err = f.store.Open(bg, f.owner); err != nil {
		f.t.Fatal(err)
	}
}

// clock sets the store's clock: two UIDVALIDITYs may have to lie apart.
func (s *Store) clock(now func() time.Time) { s.now = now }

// shut checks the account and closes it.
func (f *fixture) shut() {
	f.t.Helper()
	must(f.t, f.Check())
	must(f.t, f.Account.Close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) append(name, subject string, flags SystemFlags, keywords ...string) uint32 {
	f.t.Helper()
	text := letterText(subject)
	_, uid, err := f.Append(bg, name, strings.NewReader(text), int64(len(text)),
		AppendOptions{Flags: Flags{flags, keywords}})
	must(f.t, err)
	return uid
}

func (f *fixture) selectBox(name string) *View {
	f.t.Helper()
	v, err := f.Select(bg, name, false)
	must(f.t, err)
	f.t.Cleanup(func() { v.Close() })
	return v
}

func (f *fixture) poll(v *View) []Change {
	f.t.Helper()
	c, err := v.Poll(bg, true)
	must(f.t, err)
	return c
}

func (f *fixture) status(name string) Status {
	f.t.Helper()
	s, err := f.Status(bg, name)
	must(f.t, err)
	return s
}

func read(t *testing.T, v *View, uid uint32) string {
	t.Helper()
	r, err := v.Open(bg, uid)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	if int64(len(b)) != r.Size() {
		t.Fatalf("Size %d, read %d", r.Size(), len(b))
	}
	return string(b)
}

func TestFirstOpen(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	list, err := f.List(bg)
	must(t, err)
	var got []string
	for _, i := range list {
		got = append(got, fmt.Sprint(i.Name, " ", i.SpecialUse, " ", i.Subscribed, i.Exists, i.HasChildren))
	}
	want := []string{`INBOX  true true false`, `Archive \Archive true true false`, `Drafts \Drafts true true false`,
		`Junk \Junk true true false`, `Sent \Sent true true false`, `Trash \Trash true true false`}
	if !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	must(t, f.Delete(bg, "Archive"))
	f.shut()
	f.reopen()
	if _, err := f.Status(bg, "Archive"); !errors.Is(err, ErrNoMailbox) {
		t.Fatal("a deleted default came back:", err)
	}
	f.shut()
}

func TestAppendSelectFetch(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	when := time.Unix(1234567890, 0)
	text := letterText("one")
	validity, uid, err := f.Append(bg, "inbox", strings.NewReader(text), int64(len(text)),
		AppendOptions{Received: when, Flags: Flags{Seen | Draft, []string{"$Forwarded", "work"}}})
	must(t, err)
	f.append("INBOX", "two", 0)
	v := f.selectBox("INBOX")
	if v.UIDValidity() != validity || uid != 1 || v.UIDNext() != 3 || v.Len() != 2 {
		t.Fatal(v.UIDValidity(), validity, uid, v.UIDNext(), v.Len())
	}
	l := v.Letter(1)
	if l.UID != 1 || !l.Received.Equal(when) || l.Size != int64(len(text)) || l.Flags.System != Seen|Draft ||
		!slices.Equal(l.Flags.Keywords, []string{"$Forwarded", "work"}) || !l.Recent {
		t.Fatalf("%+v", l)
	}
	if got := read(t, v, 1); got != text {
		t.Fatalf("%q", got)
	}
	for range 2 { // the second time from the cache
		p, err := v.Structure(bg, 2)
		must(t, err)
		if p.Envelope == nil || p.Envelope.Subject != "two" {
			t.Fatalf("%+v", p)
		}
		f.append("Drafts", "flush", 0)
	}
	w := f.selectBox("INBOX")
	if w.Letter(1).Recent {
		t.Fatal("recent in two sessions")
	}
	s := f.status("INBOX")
	if s.Messages != 2 || s.Unseen != 1 || s.Recent != 0 || s.UIDNext != 3 || s.Size != l.Size+int64(len(letterText("two"))) {
		t.Fatalf("%+v", s)
	}
	must(t, v.Close())
	must(t, w.Close())
	f.shut()
	f.reopen()
	v = f.selectBox("INBOX")
	if got := v.Letter(1); got.ModSeq != l.ModSeq || !slices.Equal(got.Flags.Keywords, l.Flags.Keywords) || v.UIDValidity() != validity {
		t.Fatalf("%+v", got)
	}
	f.shut()
}

func TestStoreAndPoll(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	for i := range 5 {
		f.append("INBOX", fmt.Sprint(i), 0)
	}
	v, w := f.selectBox("INBOX"), f.selectBox("INBOX")
	got, err := v.Store(bg, []uint32{2, 3, 99}, FlagsAdd, Flags{Seen, []string{"Blue"}})
	must(t, err)
	if len(got) != 2 || got[0].Flags.System != Seen || got[0].ModSeq <= 1 || got[0].Flags.Keywords[0] != "Blue" {
		t.Fatalf("%+v", got)
	}
	if c := f.poll(v); len(c) != 1 || c[0].Kind != KeywordsChanged {
		t.Fatalf("own change told: %+v", c)
	}
	want := []Change{{Reflagged, 2, 2}, {Reflagged, 3, 3}, {Kind: KeywordsChanged}}
	if c := f.poll(w); !slices.Equal(c, want) {
		t.Fatalf("%+v", c)
	}
	_, err = w.Store(bg, []uint32{1, 3}, FlagsSet, Flags{Deleted, nil})
	must(t, err)
	must(t, w.Expunge(bg, nil))
	select {
	case <-v.Wake():
	case <-time.After(10 * time.Second):
		t.Fatal("not woken")
	}
	c, err := v.Poll(bg, false)
	must(t, err)
	if len(c) != 0 || v.Len() != 5 || v.Letter(3).UID != 3 || v.Letter(3).Size == 0 {
		t.Fatalf("%+v %d %+v", c, v.Len(), v.Letter(3))
	}
	if _, err := v.Open(bg, 3); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
	f.append("INBOX", "late", 0)
	want = []Change{{Expunged, 1, 1}, {Expunged, 2, 3}, {Arrived, 4, 6}}
	if c := f.poll(v); !slices.Equal(c, want) {
		t.Fatalf("%+v", c)
	}
	if v.Seq(2) != 1 || v.Seq(3) != 0 || v.Seq(6) != 4 {
		t.Fatal("numbers")
	}
	ro, err := f.Select(bg, "INBOX", true)
	must(t, err)
	if _, err := ro.Store(bg, []uint32{2}, FlagsAdd, Flags{System: Seen}); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	must(t, ro.Close())
	f.shut()
}

func TestCopyMove(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	f.append("INBOX", "a", Seen, "k1")
	f.append("INBOX", "b", 0)
	f.append("Sent", "s", 0, "other")
	v := f.selectBox("INBOX")
	_, pairs, err := v.Copy(bg, []uint32{1, 2}, "Sent")
	must(t, err)
	if !slices.Equal(pairs, []UIDPair{{1, 2}, {2, 3}}) {
		t.Fatal(pairs)
	}
	_, pairs, err = v.Move(bg, []uint32{1}, "Trash")
	must(t, err)
	if !slices.Equal(pairs, []UIDPair{{1, 1}}) {
		t.Fatal(pairs)
	}
	if c := f.poll(v); !slices.Equal(c, []Change{{Expunged, 1, 1}}) {
		t.Fatal(c)
	}
	tr := f.selectBox("Trash")
	if l := tr.Letter(1); l.Flags.System != Seen || !slices.Equal(l.Flags.Keywords, []string{"k1"}) {
		t.Fatalf("%+v", l)
	}
	if got := read(t, tr, 1); got != letterText("a") {
		t.Fatal(got)
	}
	// To itself: new UIDs.
	_, pairs, err = v.Move(bg, []uint32{2}, "INBOX")
	must(t, err)
	if !slices.Equal(pairs, []UIDPair{{2, 3}}) {
		t.Fatal(pairs)
	}
	if c := f.poll(v); !slices.Equal(c, []Change{{Expunged, 1, 2}, {Arrived, 1, 3}}) {
		t.Fatal(c)
	}
	if _, _, err := v.Copy(bg, []uint32{3}, "Nowhere"); !errors.Is(err, ErrNoMailbox) {
		t.Fatal(err)
	}
	f.shut()
}

func TestQuota(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	limit := func(l quota.Limits) {
		f.owner.Quota = l
		again, err := f.store.Open(bg, f.owner)
		must(t, err)
		must(t, again.Close())
	}
	usage := func() quota.Usage {
		used, _, err := f.Usage(bg)
		must(t, err)
		return used
	}
	f.append("INBOX", "a", 0)
	text := letterText("b")
	trash, err := quota.ParseRule("Trash:storage=+1M")
	must(t, err)
	size := int64(len(letterText("a")))
	limit(quota.Limits{Bytes: size + 10, Rules: []quota.Rule{trash}})
	if used := usage(); used != (quota.Usage{Bytes: size, Messages: 1}) {
		t.Fatal(used)
	}
	if _, _, err := f.Append(bg, "INBOX", strings.NewReader(text), int64(len(text)), AppendOptions{}); !errors.Is(err, ErrOverQuota) {
		t.Fatal(err)
	}
	// A client that announces less than it sends does not get past.
	if _, _, err := f.Append(bg, "INBOX", strings.NewReader(text), 1, AppendOptions{}); !errors.Is(err, ErrOverQuota) {
		t.Fatal(err)
	}
	v := f.selectBox("INBOX")
	if _, _, err := v.Copy(bg, []uint32{1}, "Sent"); !errors.Is(err, ErrOverQuota) {
		t.Fatal(err)
	}
	if e, _ := os.ReadDir(filepath.Join(f.owner.Home, "Maildir/tmp")); len(e) != 0 {
		t.Fatal("left in tmp:", e)
	}
	// A full account is tidied up: what moves takes no room, Trash has some, and
	// what is expunged is room at once.
	if _, _, err := v.Copy(bg, []uint32{1}, "Trash"); err != nil || usage().Messages != 2 {
		t.Fatal(err, usage())
	}
	if _, _, err := v.Move(bg, []uint32{1}, "Archive"); err != nil || usage().Messages != 2 {
		t.Fatal(err, usage())
	}
	w := f.selectBox("Trash")
	if _, err := w.Store(bg, []uint32{1}, FlagsAdd, Flags{System: Deleted}); err != nil {
		t.Fatal(err)
	}
	must(t, w.Expunge(bg, nil))
	if used := usage(); used != (quota.Usage{Bytes: size, Messages: 1}) {
		t.Fatal(used)
	}
	must(t, f.Delete(bg, "Archive"))
	if used := usage(); used != (quota.Usage{}) {
		t.Fatal(used)
	}
	limit(quota.Limits{Messages: 1})
	f.append("INBOX", "c", 0)
	if _, _, err := f.Append(bg, "INBOX", strings.NewReader(text), 1, AppendOptions{}); !errors.Is(err, ErrOverQuota) {
		t.Fatal(err)
	}
	f.shut()
}

// TestQuotaSeesOthers: what another program does counts when the mailbox is looked at.
func TestQuotaSeesOthers(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	f.owner.Quota = quota.Limits{Bytes: 1 << 20}
	again, err := f.store.Open(bg, f.owner)
	must(t, err)
	must(t, again.Close())
	if used, _, err := f.Usage(bg); err != nil || used != (quota.Usage{}) {
		t.Fatal(used, err)
	}
	file := filepath.Join(f.owner.Home, "Maildir/new/1700000000.other.host")
	must(t, os.WriteFile(file, []byte("Subject: x\r\n\r\n"), 0o600))
	f.selectBox("INBOX")
	if used, _, err := f.Usage(bg); err != nil || used != (quota.Usage{Bytes: 14, Messages: 1}) {
		t.Fatal(used, err)
	}
	f.shut()
}

func TestFolders(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	must(t, f.Create(bg, "Büro/v1.2/"))
	f.append("Büro/v1.2", "x", 0)
	if err := f.Create(bg, "Büro/v1.2"); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	list, err := f.List(bg)
	must(t, err)
	i := slices.IndexFunc(list, func(i Info) bool { return i.Name == "Büro" })
	if i < 0 || list[i].Exists || !list[i].HasChildren {
		t.Fatalf("%+v", list)
	}
	v := f.selectBox("Büro/v1.2")
	before := f.status("Büro/v1.2")
	must(t, f.Rename(bg, "Büro", "Office"))
	if _, err := v.Poll(bg, true); !errors.Is(err, ErrMailboxGone) {
		t.Fatal(err)
	}
	if after := f.status("Office/v1.2"); after != before {
		t.Fatalf("%+v %+v", before, after)
	}
	must(t, f.Rename(bg, "Office/v1.2", "INBOX/deep"))
	must(t, f.Delete(bg, "INBOX/deep"))
	for _, err := range []error{f.Delete(bg, "INBOX"), f.Rename(bg, "Sent", "Sent/x"), f.Create(bg, "a*")} {
		if !errors.Is(err, ErrBadName) {
			t.Fatal(err)
		}
	}
	f.append("INBOX", "y", Seen, "k")
	must(t, f.Rename(bg, "INBOX", "Old"))
	if f.status("INBOX").Messages != 0 || f.status("Old").Messages != 1 {
		t.Fatal("INBOX not moved")
	}
	must(t, f.Subscribe(bg, "Old", true))
	must(t, f.Subscribe(bg, "not/there.yet", true))
	must(t, f.Subscribe(bg, "Sent", false))
	list, err = f.List(bg)
	must(t, err)
	var subs []string
	for _, i := range list {
		if i.Subscribed {
			subs = append(subs, i.Name)
		}
	}
	if !slices.Equal(subs, []string{"INBOX", "Archive", "Drafts", "Junk", "Old", "Trash", "not/there.yet"}) {
		t.Fatal(subs)
	}
	f.shut()
}

// TestRecreate: a name that is used again gets a larger UIDVALIDITY.
func TestRecreate(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-019", func(t *testing.T) {
		f := open(t, t.TempDir())
		var last uint32
		for range 3 {
			must(t, f.Create(bg, "again"))
			f.append("again", "x", 0)
			s := f.status("again")
			if s.UIDValidity <= last {
				t.Fatal(s.UIDValidity, last)
			}
			last = s.UIDValidity
			must(t, f.Delete(bg, "again"))
		}
		f.shut()
	})
}

func TestBareLF(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	text := strings.Repeat("a\nbb\r\nccc\n", 20000)
	want := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	must(t, os.WriteFile(filepath.Join(f.owner.Home, "Maildir/new/1000.x.y"), []byte(text), 0o600))
	v := f.selectBox("INBOX")
	l := v.Letter(1)
	if l.Size != int64(len(want)) || l.Received.Unix() != 1000 {
		t.Fatalf("%+v", l)
	}
	if got := read(t, v, 1); got != want {
		t.Fatal("not converted")
	}
	r, err := v.Open(bg, 1)
	must(t, err)
	defer r.Close()
	for off := 0; off < len(want); off += 33333 {
		buf := make([]byte, 100)
		n, err := r.ReadAt(buf, int64(off))
		if err != nil && err != io.EOF || !bytes.Equal(buf[:n], []byte(want[off:min(off+100, len(want))])) {
			t.Fatal(off, n, err)
		}
	}
	f.shut()
}
