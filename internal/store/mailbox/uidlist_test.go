package mailbox

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/test/doubling"
)

// dropIndex deletes the index of an account that nobody uses.
func (f *fixture) dropIndex() {
	f.t.Helper()
	for _, end := range []string{"", "-wal", "-shm"} {
		os.Remove(filepath.Join(f.owner.Home, "index.db"+end))
	}
}

// paths are the list and facteur-uids of INBOX.
func (f *fixture) list() string  { return filepath.Join(f.owner.Home, "Maildir", listFile) }
func (f *fixture) state() string { return filepath.Join(f.owner.Home, "Maildir", stateFile) }

// killed closes the account and leaves list and facteur-uids as a kill does.
func (f *fixture) killed() {
	f.t.Helper()
	state, err := os.ReadFile(f.state())
	must(f.t, err)
	if !strings.Contains(string(state), "open true") {
		f.t.Fatalf("%s", state)
	}
	list, lerr := os.ReadFile(f.list())
	must(f.t, f.Account.Close())
	must(f.t, os.WriteFile(f.state(), state, 0o600))
	if lerr == nil {
		must(f.t, os.WriteFile(f.list(), list, 0o600))
	} else {
		os.Remove(f.list())
	}
}

// letters are the UIDs of a mailbox with the subjects.
func (f *fixture) letters(name string) (validity uint32, list []string) {
	f.t.Helper()
	v, err := f.Select(bg, name, true)
	must(f.t, err)
	defer v.Close()
	for seq := range v.Len() {
		l := v.Letter(seq + 1)
		text := read(f.t, v, l.UID)
		_, s, _ := strings.Cut(text, "Subject: ")
		s, _, _ = strings.Cut(s, "\r\n")
		list = append(list, fmt.Sprint(l.UID, " ", s))
	}
	return v.UIDValidity(), list
}

// expunged has an account whose INBOX has had five letters and has three, in
// two runs: UIDs 2, 4 and 5.
func expunged(t *testing.T) *fixture {
	f := open(t, t.TempDir())
	for i := range 4 {
		f.append("INBOX", fmt.Sprint(i+1), 0)
	}
	f.shut()
	f.reopen()
	f.append("INBOX", "5", Seen)
	v := f.selectBox("INBOX")
	_, err := v.Store(bg, []uint32{1, 3}, FlagsAdd, Flags{System: Deleted})
	must(t, err)
	must(t, v.Expunge(bg, nil))
	must(t, v.Close())
	return f
}

var left = []string{"2 2", "4 4", "5 5"}

// TestIndexLost: UIDs outlive the index if the last run ended properly and the
// list is that of its end, and only then.
func TestIndexLost(t *testing.T) {
	t.Parallel()
	same := func(t *testing.T, f *fixture, before Status) {
		t.Helper()
		f.reopen()
		if v, list := f.letters("INBOX"); v != before.UIDValidity || !slices.Equal(list, left) {
			t.Fatal(before.UIDValidity, v, list)
		}
		if s := f.status("INBOX"); s.UIDNext != before.UIDNext || s.HighestModSeq <= before.HighestModSeq {
			t.Fatalf("%+v after %+v", s, before)
		}
		if uid := f.append("INBOX", "6", 0); uid != before.UIDNext {
			t.Fatal(uid)
		}
		f.shut()
	}
	other := func(t *testing.T, f *fixture, before Status) {
		t.Helper()
		f.reopen()
		if s := f.status("INBOX"); s.UIDValidity <= before.UIDValidity || s.Messages != before.Messages {
			t.Fatalf("%+v after %+v", s, before)
		}
		f.shut()
	}
	for name, damage := range map[string]struct {
		do     func(t *testing.T, f *fixture)
		expect func(*testing.T, *fixture, Status)
	}{
		"deleted":   {func(t *testing.T, f *fixture) { f.dropIndex() }, same},
		"corrupt":   {func(t *testing.T, f *fixture) { must(t, os.Truncate(f.owner.Home+"/index.db", 5000)) }, same},
		"new store": {func(t *testing.T, f *fixture) { f.dropIndex(); f.store = newStore(vfs.OS{}) }, same},
		"list gone": {func(t *testing.T, f *fixture) { f.dropIndex(); must(t, os.Remove(f.list())) }, other},
		"no state":  {func(t *testing.T, f *fixture) { f.dropIndex(); must(t, os.Remove(f.state())) }, other},
		"list cut": {func(t *testing.T, f *fixture) {
			f.dropIndex()
			info, err := os.Stat(f.list())
			must(t, err)
			must(t, os.Truncate(f.list(), info.Size()-3))
		}, other},
		"UID twice": {func(t *testing.T, f *fixture) {
			f.dropIndex()
			b, err := os.ReadFile(f.list())
			must(t, err)
			must(t, os.WriteFile(f.list(), append(b, "5 :x\n"...), 0o600))
		}, other},
	} {
		t.Run("INV-10 INV-13 "+name, func(t *testing.T) {
			f := expunged(t)
			before := f.status("INBOX")
			f.shut()
			damage.do(t, f)
			damage.expect(t, f, before)
		})
	}
	t.Run("INV-10 killed", func(t *testing.T) {
		f := expunged(t)
		before := f.status("INBOX")
		f.killed()
		f.dropIndex()
		other(t, f, before)
	})
	t.Run("INV-10 killed, then closed", func(t *testing.T) {
		f := expunged(t)
		before := f.status("INBOX")
		f.killed()
		f.reopen()
		f.shut()
		f.dropIndex()
		before.UIDNext += uncleanGap
		same(t, f, before)
	})
	t.Run("INV-10 an older list", func(t *testing.T) {
		f := expunged(t)
		older, err := os.ReadFile(f.list())
		must(t, err)
		before := f.status("INBOX")
		f.shut()
		must(t, os.WriteFile(f.list(), older, 0o600))
		f.dropIndex()
		other(t, f, before)
	})
	t.Run("INV-10 an older list, index good", func(t *testing.T) {
		f := expunged(t)
		older, err := os.ReadFile(f.list())
		must(t, err)
		before := f.status("INBOX")
		f.shut()
		must(t, os.WriteFile(f.list(), older, 0o600))
		f.reopen()
		f.status("INBOX") // sees it
		f.shut()          // and writes it again
		f.dropIndex()
		same(t, f, before)
	})
	t.Run("INV-10 a backup without its index", func(t *testing.T) {
		f := expunged(t)
		before := f.status("INBOX")
		f.shut()
		state, err := os.ReadFile(f.state())
		must(t, err)
		list, err := os.ReadFile(f.list())
		must(t, err)
		f.reopen()
		f.append("INBOX", "6", 0)
		f.shut()
		must(t, os.WriteFile(f.state(), state, 0o600))
		must(t, os.WriteFile(f.list(), list, 0o600))
		f.reopen()
		if s := f.status("INBOX"); s.UIDValidity <= before.UIDValidity {
			t.Fatalf("%+v after %+v: UIDs were given that the list doesn't know", s, before)
		}
		f.shut()
	})
}

// TestListsAtRest: lists are written for what changed, and read by nobody else.
func TestListsAtRest(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	f.append("INBOX", "x", 0)
	f.shut()
	if _, err := os.Stat(filepath.Join(f.owner.Home, "Maildir/.Sent", listFile)); err == nil {
		t.Error("a list of nothing was written")
	}
	long := time.Unix(1_000_000_000, 0)
	must(t, os.Chtimes(f.list(), long, long))
	f.reopen()
	f.status("INBOX")
	f.shut() // written again: somebody had touched it
	stamp := func() time.Time {
		info, err := os.Stat(f.list())
		must(t, err)
		return info.ModTime()
	}
	first := stamp()
	if first.Equal(long) {
		t.Error("a list that another program wrote is left as it is")
	}
	before, err := os.ReadFile(f.state())
	must(t, err)
	f.reopen()
	must(t, f.Account.Close())
	f.reopen()
	f.status("INBOX")
	v := f.selectBox("INBOX")
	_, err = v.Store(bg, []uint32{1}, FlagsAdd, Flags{System: Seen})
	must(t, err)
	must(t, v.Close())
	f.shut()
	if !stamp().Equal(first) {
		t.Error("written without a change of letters")
	}
	after, err := os.ReadFile(f.state())
	must(t, err)
	if string(before) == string(after) {
		t.Error("facteur-uids still names the old run")
	}
}

// TestFromDovecot takes over what Dovecot left, without Dovecot.
func TestFromDovecot(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	put := func(name, text string) {
		must(t, os.WriteFile(filepath.Join(home, "Maildir", name), []byte(text), 0o600))
	}
	for _, dir := range []string{"", ".Later", ".Copy"} {
		for _, sub := range []string{"cur", "new", "tmp"} {
			must(t, os.MkdirAll(filepath.Join(home, "Maildir", dir, sub), 0o700))
		}
	}
	future := uint32(time.Now().Unix()) + 1000
	put("dovecot-uidlist", "3 V1234 N12 G0123456789abcdef0123456789abcdef\n"+
		"3 W99 :200.b.h\n5 Puidl-5 :100.a.h,S=1\n7 :gone\n14 :300.c.h:2,S\n")
	put("dovecot-keywords", "0 $Forwarded\n1 Work\n2 bad(word\n")
	put("cur/200.b.h:2,Sab", letterText("b"))
	put("cur/100.a.h,S=1:2,", letterText("a"))
	put("cur/300.c.h:2,Fc", letterText("c"))
	put("new/50.d.h", letterText("not listed"))
	put(".Later/dovecot-uidlist", fmt.Sprintf("3 V%d N4\n", future))
	put(".Copy/dovecot-uidlist", "3 V1234 N2\n1 :1.x.h\n")
	put(".Copy/cur/1.x.h:2,", letterText("x"))
	f := open(t, home)
	v, list := f.letters("INBOX")
	if want := []string{"3 b", "5 a", "14 c", "15 not listed"}; v != 1234 || !slices.Equal(list, want) {
		t.Fatal(v, list)
	}
	view := f.selectBox("INBOX")
	if l := view.Letter(1); l.Flags.System != Seen || !slices.Equal(l.Flags.Keywords, []string{"$Forwarded", "Work"}) {
		t.Errorf("%+v", l)
	}
	if view.Recent() != 1 {
		t.Error("recent:", view.Recent())
	}
	must(t, view.Close())
	if s := f.status("Later"); s.UIDValidity != future || s.UIDNext != 4 {
		t.Errorf("%+v", s)
	}
	for _, name := range []string{"Sent", "Copy"} {
		if s := f.status(name); s.UIDValidity <= future {
			t.Errorf("%s: UIDVALIDITY %d is not above %d", name, s.UIDValidity, future)
		}
	}
	f.shut()
	text, err := os.ReadFile(f.list())
	must(t, err)
	want := "3 V1234 N16 G0123456789abcdef0123456789abcdef Xfacteur\n" +
		"3 W99 :200.b.h\n5 Puidl-5 :100.a.h,S=1\n14 :300.c.h\n15 :50.d.h\n"
	if string(text) != want {
		t.Errorf("%s", text)
	}
	// Dovecot again: it gives two UIDs, and removes the letter of the last.
	put("cur/400.e.h:2,", letterText("e"))
	put("dovecot-uidlist", want+"17 :400.e.h\n18 :500.f.h\n")
	f.reopen()
	f.append("INBOX", "g", 0)
	if _, list := f.letters("INBOX"); !slices.Equal(list[4:], []string{"17 e", "19 g"}) {
		t.Error(list)
	}
	f.shut()
	// And once more: it gives one and leaves no letter to show for it.
	text, err = os.ReadFile(f.list())
	must(t, err)
	must(t, os.WriteFile(f.list(), append(text, "30 :gone\n"...), 0o600))
	f.reopen()
	if uid := f.append("INBOX", "h", 0); uid != 31 {
		t.Error(uid)
	}
	f.shut()
}

func TestParseList(t *testing.T) {
	t.Parallel()
	const head = "3 V1 N2 G0\n"
	for _, bad := range []string{"", "\n", "1 1 2\n", "3\n", "3 N2\n", "3 V1\n", "3 V1 N0\n", "3 V4294967296 N2\n", "3 V1 N4294967295\n",
		"3 V1 N2", head + "1", head + "1\n", head + "1 x\n", head + "1 :\n", head + "0 :a\n", head + "-1 :a\n", head + "4294967296 :a\n",
		head + "4294967295 :a\n", head + "2 :a\n2 :b\n", head + "2 :a\n1 :b\n", head + "\n", head + "1 :" + strings.Repeat("a", maxListLine) + "\n",
		"3 V1 N2 " + strings.Repeat("X ", maxListLine) + "\n"} {
		if l, err := parseList(strings.NewReader(bad), nil); err == nil {
			t.Errorf("%.40q: %+v", bad, l)
		}
	}
	l, err := parseList(strings.NewReader("3 V7 N2 Gab Kkept Xfacteur\n1 W1 S2 :a b:2,S\n9 :c\n"), func(uid uint32, fields, base []byte) {
		if got := fmt.Sprintf("%d|%s|%s", uid, fields, base); got != "1|W1 S2|a b" && got != "9||c" {
			t.Error(got)
		}
	})
	if err != nil || l.validity != 7 || l.next != 10 || l.guid != "ab" || !l.ours() || len(l.fields) != 2 {
		t.Errorf("%+v %v", l, err)
	}
}

// FuzzList: no panic, UIDs ascend below the next one, and what is read is what
// is written.
func FuzzList(f *testing.F) {
	f.Add("3 V1700000000 N4 G0123456789abcdef0123456789abcdef\n1 W5 :1.a.h,S=5\n3 :2.b.h:2,S\n")
	f.Add("3 V1 N1\n")
	f.Add("3 N9 V1 Xfacteur K\n7 Pa Gb :x y\n8 : :z\n")
	f.Fuzz(func(t *testing.T, text string) {
		var entries []entry
		l, err := parseList(strings.NewReader(text), func(uid uint32, fields, base []byte) {
			entries = append(entries, entry{uid, string(base), string(fields)})
		})
		if err != nil {
			return
		}
		last := uint32(0)
		for _, e := range entries {
			if e.uid <= last || e.uid >= l.next {
				t.Fatal(e, last, l.next)
			}
			last = e.uid
		}
		var again []entry
		written := formatList(l, entries)
		if slices.ContainsFunc(strings.SplitAfter(string(written), "\n"), func(s string) bool { return len(s) > maxListLine }) {
			return // "G" and blanks may have come in
		}
		m, err := parseList(strings.NewReader(string(written)), func(uid uint32, fields, base []byte) {
			again = append(again, entry{uid, string(base), string(fields)})
		})
		if err != nil || m.validity != l.validity || m.next != l.next || m.guid != l.guid || !slices.Equal(m.fields, l.fields) || !slices.Equal(entries, again) {
			t.Fatalf("%+v %+v %v\n%s", l, m, err, written)
		}
	})
}

func FuzzKeywords(f *testing.F) {
	f.Add("0 $Forwarded\n1 Junk\n25 z\n26 no\n", ":2,Sabz")
	f.Fuzz(func(t *testing.T, text, info string) {
		for _, w := range wordsOf(info, parseKeywords(text)) {
			if !isAtom(w) || len(w) > maxKeywordSize {
				t.Fatalf("%q", w)
			}
		}
	})
}

// TestListDoubling: reading takes time in proportion.
func TestListDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	doubling.Check(t, "entries", 100_000, func(n int) func() {
		var b strings.Builder
		b.WriteString("3 V1 N1 G0\n")
		for i := range n {
			fmt.Fprintf(&b, "%d W123 :1700000000.M1P%d.host,S=123\n", i+1, i)
		}
		return func() {
			if _, err := parseList(strings.NewReader(b.String()), nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestTakeoverCut: a power cut at any moment of the first opening leaves
// everything to be taken over, or has it all.
func TestTakeoverCut(t *testing.T) {
	t.Parallel()
	t.Run("INV-10", func(t *testing.T) {
		for n := 0; ; n++ {
			home, mem := t.TempDir(), vfs.NewMem()
			for _, dir := range []string{"", "/.Work"} {
				for _, sub := range []string{"cur", "new", "tmp"} {
					must(t, vfs.MkdirAll(mem, home+"/Maildir"+dir+"/"+sub, 0o700))
				}
				must(t, vfs.WriteFile(mem, home+"/Maildir"+dir+"/cur/100.a.h:2,", []byte(letterText("a")), 0o600))
				text := fmt.Sprintf("3 V%d N9 G0\n7 :100.a.h\n", 1000+len(dir))
				must(t, vfs.WriteFile(mem, home+"/Maildir"+dir+"/"+listFile, []byte(text), 0o600))
			}
			must(t, mem.SyncFS("/"))
			mem.StopAfter(n)
			a, err := newStore(mem).Open(bg, Owner{Home: home})
			if err == nil {
				_, err = a.Status(bg, "INBOX")
				a.idx.close()
			}
			done := err == nil
			f := &fixture{t: t, store: newStore(mem.Crash(uint64(n))), owner: Owner{Home: home}}
			f.reopen()
			for name, want := range map[string]uint32{"INBOX": 1000, "Work": 1006} {
				if v, list := f.letters(name); v != want || !slices.Equal(list, []string{"7 a"}) {
					t.Fatalf("cut %d (done %t): %s has UIDVALIDITY %d, %q", n, done, name, v, list)
				}
			}
			f.shut()
			if done {
				t.Logf("%d operations", n)
				return
			}
		}
	})
}

// TestRunBegins: a crash, or a full disk, between the word of facteur-uids that a run
// has begun and its first change in the index leaves the index the right one, with
// its keywords; after that change it is a backup (IMAP-018 INV-10).
func TestRunBegins(t *testing.T) {
	t.Parallel()
	begins := func(t *testing.T) (*fixture, uint32) {
		f := open(t, t.TempDir())
		f.append("INBOX", "1", Seen, "Red")
		f.shut()
		f.reopen()
		return f, f.status("INBOX").UIDValidity
	}
	// again opens what a crash now leaves, with the index of another home.
	again := func(t *testing.T, f *fixture, index string) *fixture {
		home := t.TempDir()
		must(t, os.CopyFS(filepath.Join(home, "Maildir"), os.DirFS(f.root)))
		copyIndex(t, index, home)
		return open(t, home)
	}
	same := func(t *testing.T, f *fixture, validity uint32) {
		t.Helper()
		v := f.selectBox("INBOX")
		if l := v.Letter(1); v.UIDValidity() != validity || l.UID != 1 || len(l.Flags.Keywords) != 1 {
			t.Errorf("UIDVALIDITY was %d, is %d: %+v", validity, v.UIDValidity(), l)
		}
		f.append("INBOX", "2", 0)
		f.shut()
		f.reopen()
		if got := f.status("INBOX"); got.UIDValidity != validity || got.UIDNext%uncleanGap != 3 {
			t.Errorf("%+v", got)
		}
		f.shut()
	}
	mark := func(t *testing.T, f *fixture) {
		f.mu.Lock()
		defer f.mu.Unlock()
		must(t, f.mark())
	}
	t.Run("crash", func(t *testing.T) {
		f, validity := begins(t)
		mark(t, f)
		same(t, again(t, f, f.owner.Home), validity)
	})
	t.Run("crash after waking", func(t *testing.T) {
		f, validity := begins(t)
		f.doze()
		f.status("INBOX")
		mark(t, f)
		same(t, again(t, f, f.owner.Home), validity)
	})
	t.Run("failure", func(t *testing.T) {
		f, validity := begins(t)
		f.mu.Lock()
		err := f.write(bg, func(*sql.Tx) error { return syscall.ENOSPC })
		f.mu.Unlock()
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		f.shut()
		f.reopen()
		same(t, f, validity)
	})
	t.Run("failure, then a change", func(t *testing.T) {
		f, validity := begins(t)
		f.mu.Lock()
		f.write(bg, func(*sql.Tx) error { return syscall.ENOSPC })
		f.mu.Unlock()
		same(t, f, validity)
	})
	t.Run("index from a backup", func(t *testing.T) {
		f, validity := begins(t)
		backup := t.TempDir()
		copyIndex(t, f.owner.Home, backup)
		f.append("INBOX", "2", 0)
		f = again(t, f, backup)
		if got := f.status("INBOX"); got.UIDValidity <= validity || got.Messages != 2 {
			t.Errorf("%+v", got)
		}
		f.shut()
	})
}

// TestRollback: an index that lost its last transactions, by a WAL that somebody
// removed after a crash or a copy of index.db from the same run, gives no UID twice
// (INV-10).
func TestRollback(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	f.append("INBOX", "1", 0)
	f.mu.Lock()
	_, err := f.idx.db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	f.mu.Unlock()
	must(t, err)
	copied := t.TempDir()
	copyIndex(t, f.owner.Home, copied)
	lost := []uint32{f.append("INBOX", "2", 0), f.append("INBOX", "3", 0)}
	validity := f.status("INBOX").UIDValidity
	must(t, f.expunge("INBOX", lost[0]))

	home := t.TempDir()
	must(t, os.CopyFS(filepath.Join(home, "Maildir"), os.DirFS(f.root)))
	copyIndex(t, copied, home)
	g := open(t, home)
	v := g.selectBox("INBOX")
	if v.UIDValidity() != validity {
		t.Fatal("the index of this very run was not believed")
	}
	for seq := range v.Len() {
		if uid := v.Letter(seq + 1).UID; uid != 1 && uid <= lost[1] {
			t.Errorf("UID %d names another letter now", uid)
		}
	}
	if uid := g.append("INBOX", "4", 0); uid <= uncleanGap {
		t.Errorf("UID %d after an unclean end", uid)
	}
	g.shut()
}
