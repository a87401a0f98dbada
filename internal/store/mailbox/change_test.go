package mailbox

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/mail/imap"
	"facteur/internal/store/quota"
)

func (f *fixture) stage(name, subject string, flags SystemFlags) *Staged {
	f.t.Helper()
	text := letterText(subject)
	s, err := f.Stage(bg, name, strings.NewReader(text), int64(len(text)), AppendOptions{Flags: Flags{System: flags}})
	must(f.t, err)
	return s
}

// TestCommit: MULTIAPPEND makes letters of all or of none.
func TestCommit(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	list := []*Staged{f.stage("INBOX", "a", Seen), f.stage("INBOX", "b", 0), f.stage("Trash", "c", Flagged)}
	validity, uids, err := f.Commit(bg, "INBOX", list)
	if err != nil || !slices.Equal(uids, []uint32{1, 2, 3}) || validity != f.status("INBOX").UIDValidity {
		t.Fatal(validity, uids, err)
	}
	v := f.selectBox("INBOX")
	for i, want := range []string{"a", "b", "c"} {
		if got := read(t, v, uint32(i+1)); got != letterText(want) {
			t.Fatal(got)
		}
	}
	if l := v.Letter(3); l.Flags.System != Flagged || l.Saved.IsZero() || time.Since(l.Saved) > time.Hour {
		t.Fatalf("%+v", l)
	}
	list[0].Discard()
	if _, _, err := f.Commit(bg, "INBOX", list[:1]); err == nil {
		t.Fatal("a message was stored twice")
	}
	if _, _, err := f.Commit(bg, "Nowhere", []*Staged{f.stage("INBOX", "d", 0), f.stage("INBOX", "e", 0)}); !errors.Is(err, ErrNoMailbox) {
		t.Fatal(err)
	}
	f.stage("INBOX", "f", 0).Discard()
	left, _ := filepath.Glob(filepath.Join(f.owner.Home, "Maildir", "tmp", "*"))
	if len(left) > 0 {
		t.Fatal(left)
	}
	f.shut()
}

func TestReplace(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	f.append("INBOX", "old", Draft)
	f.append("INBOX", "other", 0)
	v := f.selectBox("INBOX")
	if _, uid, err := v.Replace(bg, 1, "INBOX", f.stage("INBOX", "new", Draft)); err != nil || uid != 3 {
		t.Fatal(uid, err)
	}
	if c := f.poll(v); len(c) != 2 || c[0].UID != 1 || read(t, v, 3) != letterText("new") {
		t.Fatal(c)
	}
	if _, uid, err := v.Replace(bg, 3, "Sent", f.stage("Sent", "sent", Seen)); err != nil || uid != 1 {
		t.Fatal(uid, err)
	}
	if _, _, err := v.Replace(bg, 3, "Sent", f.stage("Sent", "again", Seen)); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
	if n := f.status("Sent").Messages; n != 1 || f.status("INBOX").Messages != 1 {
		t.Fatal(n)
	}
	f.shut()
}

// TestStoreIf is RFC 7162 §3.1.3: a letter that changed since is passed over.
func TestStoreIf(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	for i := range 4 {
		f.append("INBOX", fmt.Sprint(i), 0)
	}
	v := f.selectBox("INBOX")
	since := v.HighestModSeq()
	_, err := v.Store(bg, []uint32{2}, FlagsAdd, Flags{System: Seen})
	must(t, err)
	now, modified, err := v.StoreIf(bg, []uint32{1, 2, 3, 99}, FlagsAdd, Flags{System: Flagged}, since)
	must(t, err)
	if len(now) != 2 || now[0].UID != 1 || now[1].UID != 3 || !slices.Equal(modified, []uint32{2}) {
		t.Fatalf("%+v, modified %v", now, modified)
	}
	if l := v.Letter(2); l.Flags.System != Seen || v.Letter(3).ModSeq <= since {
		t.Fatalf("%+v", l)
	}
	f.shut()
}

func TestLetters(t *testing.T) {
	f := open(t, t.TempDir())
	for i := range 5 {
		f.append("INBOX", fmt.Sprint(i), 0, "k")
	}
	v := f.selectBox("INBOX")
	var seqs []uint32
	for seq, l := range v.Letters(imap.Ranges{{From: 2, To: 3}, {From: 5, To: 900}}) {
		seqs = append(seqs, seq)
		if !reflect.DeepEqual(l, v.Letter(seq)) {
			t.Fatalf("%d: %+v", seq, l)
		}
	}
	if !slices.Equal(seqs, []uint32{2, 3, 5}) {
		t.Fatal(seqs)
	}
	every := all(v)
	if n := testing.AllocsPerRun(100, func() {
		for range v.Letters(every) {
		}
	}); n > 8 {
		t.Errorf("%v allocations", n)
	}
	f.shut()
}

// TestVanished: the history tells which letters went, and too many rather than
// too few where it does not reach.
func TestVanished(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	for i := range 9 {
		f.append("INBOX", fmt.Sprint(i), Deleted)
	}
	v := f.selectBox("INBOX")
	var marks []uint64
	vanished := func(v *View, since uint64, known imap.Ranges) string {
		t.Helper()
		got, err := v.Vanished(bg, since, known, 0)
		must(t, err)
		return got.String()
	}
	for _, uids := range [][]uint32{{2, 3}, {7}, {5}} {
		marks = append(marks, v.HighestModSeq())
		must(t, v.Expunge(bg, uids))
		f.poll(v)
	}
	for i, want := range []string{"2:3,5,7", "5,7", "5"} {
		if got := vanished(v, marks[i], nil); got != want {
			t.Errorf("since %d: %q", marks[i], got)
		}
	}
	if got := vanished(v, marks[0], imap.Ranges{{From: 3, To: 5}}); got != "3,5" {
		t.Error(got)
	}
	// Who says to have the right letters up to 6 is believed where the history does not
	// reach, and nowhere else: he may have heard of 6 and not of 4.
	if got, err := v.Vanished(bg, marks[1], nil, 6); err != nil || got.String() != "5,7" {
		t.Error(got, err)
	}
	must(t, v.Expunge(bg, []uint32{9}))
	_, err := v.Poll(bg, false)
	must(t, err)
	if got := vanished(v, v.HighestModSeq(), nil); got != "" || v.HighestModSeq() >= f.status("INBOX").HighestModSeq {
		t.Errorf("%q: what was not told is in the view", got)
	}
	must(t, v.Close())
	f.shut()
	f.reopen()
	v = f.selectBox("INBOX")
	if got := vanished(v, marks[1], nil); got != "5,7,9" {
		t.Errorf("after a restart: %q", got)
	}
	f.mu.Lock()
	_, err = f.idx.db.Exec("UPDATE history SET uids = x'0102030405'")
	f.mu.Unlock()
	must(t, err)
	if got := vanished(v, marks[1], imap.Ranges{{From: 1, To: 8}}); got != "2:3,5,7" {
		t.Errorf("with a damaged history: %q", got)
	}
	if got, err := v.Vanished(bg, marks[1], nil, 6); err != nil || got.String() != "7,9" {
		t.Error(got, err)
	}
	f.shut()
}

// TestHistoryBound: the history keeps to its size, and says how far it reaches.
func TestHistoryBound(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	f.append("INBOX", "x", 0)
	b := f.boxes["INBOX"]
	f.mu.Lock()
	defer f.mu.Unlock()
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		var c change
		d := c.of(b)
		for uid := uint32(10); len(d.removed) < 1000; uid += 1 + rnd.Uint32N(900) {
			d.removed = append(d.removed, uid)
		}
		must(t, f.write(bg, func(tx *sql.Tx) (err error) {
			b.historyFloor, b.historySize, err = d.remember(tx)
			return err
		}))
		b.modSeq++
	}
	var rows, size, oldest int64
	must(t, f.idx.db.QueryRow("SELECT count(*), sum(length(uids)), min(modseq) FROM history").Scan(&rows, &size, &oldest))
	if size > maxHistory || size < maxHistory/4 || b.historyFloor+1 != uint64(oldest) {
		t.Fatal(rows, size, oldest, b.historyFloor)
	}
}

func FuzzHistory(f *testing.F) {
	f.Add(encodeUIDs(imap.Ranges{{From: 1, To: 3}, {From: 7, To: 7}, {From: 4294967000, To: 4294967290}}))
	f.Add([]byte{1, 2, 3, 4})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, blob []byte) {
		rs, ok := decodeUIDs(blob)
		if !ok {
			return
		}
		if back, ok := decodeUIDs(encodeUIDs(rs)); !ok || !slices.Equal(back, rs) {
			t.Fatalf("%v → %v", rs, back)
		}
	})
}

func TestRanges(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var x, y []uint32
		for n := range uint32(40) {
			if rnd.IntN(3) > 0 {
				x = append(x, n+1)
			}
			if rnd.IntN(2) > 0 {
				y = append(y, n+1)
			}
		}
		both := intersect(imap.Runs(x), imap.Runs(y))
		holes := gaps(x, 41)
		for n := range uint32(45) {
			_, inX := slices.BinarySearch(x, n)
			_, inY := slices.BinarySearch(y, n)
			if both.Contains(n) != (inX && inY) || holes.Contains(n) != (!inX && n > 0 && n < 41) {
				t.Fatal(n, x, y, both, holes)
			}
		}
	}
}

// TestAcross: letters go to another account whole or not at all.
func TestAcross(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	other, err := f.store.Open(bg, Owner{Address: "b@example.org", Home: t.TempDir(), Quota: quota.Limits{Bytes: 200}})
	must(t, err)
	for i := range 4 {
		f.append("INBOX", fmt.Sprint(i), Seen, "Red")
	}
	v := f.selectBox("INBOX")
	if _, _, err := v.CopyTo(bg, []uint32{1, 2, 3, 4}, other, "INBOX", AllRights); !errors.Is(err, ErrOverQuota) {
		t.Fatal(err)
	}
	if _, _, err := v.CopyTo(bg, []uint32{1}, other, "Nowhere", AllRights); !errors.Is(err, ErrNoMailbox) {
		t.Fatal(err)
	}
	_, pairs, err := v.CopyTo(bg, []uint32{1}, other, "INBOX", AllRights)
	if err != nil || !slices.Equal(pairs, []UIDPair{{1, 1}}) {
		t.Fatal(pairs, err)
	}
	_, pairs, err = v.MoveTo(bg, []uint32{3}, other, "INBOX", AllRights)
	if err != nil || !slices.Equal(pairs, []UIDPair{{3, 2}}) {
		t.Fatal(pairs, err)
	}
	w, err := other.Select(bg, "INBOX", false)
	must(t, err)
	if got := read(t, w, 2); got != letterText("2") || w.Letter(2).Flags.Keywords[0] != "Red" || w.Letter(2).Flags.System != Seen {
		t.Fatal(got, w.Letter(2))
	}
	if c := f.poll(v); len(c) != 1 || c[0].UID != 3 {
		t.Fatal(c)
	}
	must(t, w.Close())
	must(t, other.Check())
	must(t, other.Close())
	f.shut()
}

// TestWatch: who watches hears of everything once, from whomever it comes.
func TestWatch(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	w := f.Watch()
	defer w.Close()
	got := map[Notice]bool{}
	until := func(what string, want ...Notice) {
		t.Helper()
		deadline := time.After(30 * time.Second)
		for {
			for _, n := range w.Next() {
				got[n] = true
			}
			missing := slices.ContainsFunc(want, func(n Notice) bool { return !got[n] })
			if !missing {
				clear(got)
				return
			}
			select {
			case <-w.C:
			case <-deadline:
				t.Fatalf("%s: want %v, got %v", what, want, got)
			}
		}
	}
	f.append("INBOX", "a", Deleted)
	until("append", Notice{"INBOX", "", NoticeNew})
	v := f.selectBox("INBOX")
	_, err := v.Store(bg, []uint32{1}, FlagsAdd, Flags{System: Seen})
	must(t, err)
	must(t, v.Expunge(bg, nil))
	until("flags, expunge", Notice{"INBOX", "", NoticeFlags}, Notice{"INBOX", "", NoticeExpunged})
	must(t, f.Create(bg, "New"))
	until("create", Notice{"New", "", NoticeCreated})
	must(t, f.Rename(bg, "New", "Newer"))
	until("rename", Notice{"Newer", "New", NoticeRenamed})
	must(t, f.Subscribe(bg, "Newer", true))
	f.Announce("Newer", NoticeMetadata)
	until("subscribe", Notice{"Newer", "", NoticeSubscribed}, Notice{"Newer", "", NoticeMetadata})
	f.drop(".Sent/new/1700000000.M1P1.elsewhere", letterText("b"))
	until("another program's letter", Notice{"Sent", "", NoticeNew})
	must(t, f.Delete(bg, "Newer"))
	until("delete", Notice{"Newer", "", NoticeDeleted})
	for i := range maxNotices + 1 {
		f.Announce(fmt.Sprint("X", i), NoticeMetadata)
	}
	if n := w.Next(); len(n) != 1 || n[0].Kind != NoticeLost {
		t.Fatal("bound:", len(n))
	}
	f.shut()
}

// TestCrashesAcross: at every cut of a move into another account the letter is in
// one of the two, or in both.
func TestCrashesAcross(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-018 INV-09 move across accounts", func(t *testing.T) {
		for n := 0; ; n++ {
			r := prepared(t)
			second := t.TempDir()
			must(t, vfs.MkdirAll(r.mem, second, 0o700))
			must(t, r.mem.SyncFS("/"))
			s := New(r.mem, event.Discard)
			s.linger = 0
			a, err := s.Open(bg, Owner{Home: r.home})
			must(t, err)
			b, err := s.Open(bg, Owner{Home: second})
			must(t, err)
			must(t, r.mem.SyncFS("/"))
			v, err := a.Select(bg, "INBOX", false)
			must(t, err)
			r.mem.StopAfter(n)
			_, _, err = v.MoveTo(bg, []uint32{1, 3}, b, "Archive", AllRights)
			done := err == nil
			a.idx.close()
			b.idx.close()
			after := &cutRun{t: t, home: r.home, mem: r.mem.Crash(uint64(n))}
			all := map[string]int{}
			for _, home := range []string{r.home, second} {
				s := newStore(after.mem)
				a, err := s.Open(bg, Owner{Home: home})
				must(t, err)
				for _, list := range after.subjects(a) {
					for _, subject := range list {
						all[subject]++
					}
				}
				must(t, a.Check())
				must(t, a.Close())
			}
			for _, subject := range []string{"0", "1", "2"} {
				if all[subject] == 0 || done && all[subject] != 1 {
					t.Fatalf("cut %d, done %t: %v", n, done, all)
				}
			}
			if done {
				return
			}
		}
	})
}

// all is every letter of a view.
func all(v *View) imap.Ranges { return imap.Ranges{{From: 1, To: v.Len()}} }

// TestTouches: a session hears of every change of flags, however many there were
// since it last asked.
func TestTouches(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	for i := range 10 {
		f.append("INBOX", fmt.Sprint(i+1), 0)
	}
	v, w := f.selectBox("INBOX"), f.selectBox("INBOX")
	for _, times := range []int{1, 3, maxTouches, 2 * maxTouches} {
		want := map[uint32]bool{}
		for i := range times {
			uid := uint32(1 + i*7%10)
			want[uid] = true
			_, err := v.Store(bg, []uint32{uid}, []FlagOp{FlagsAdd, FlagsRemove}[i/10%2], Flags{Keywords: []string{fmt.Sprint("k", times)}})
			must(t, err)
		}
		for _, c := range f.poll(w) {
			if c.Kind == Reflagged {
				delete(want, c.UID)
			}
		}
		if len(want) > 0 {
			t.Fatalf("%d changes: not told of %v", times, want)
		}
		if f.poll(v); len(f.poll(w)) > 0 {
			t.Fatal("told twice")
		}
	}
	f.shut()
}

// TestFanOut: however much happens, a session that waits is woken once and told in
// one piece.
func TestFanOut(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-014", func(t *testing.T) {
		f := open(t, t.TempDir())
		views := make([]*View, 200)
		for i := range views {
			views[i] = f.selectBox("INBOX")
		}
		const letters = 100
		for i := range letters {
			f.append("INBOX", fmt.Sprint(i), 0)
		}
		for _, v := range views {
			<-v.Wake()
			if c := f.poll(v); len(c) != 1 || c[0] != (Change{Arrived, letters, letters}) {
				t.Fatalf("%+v", c)
			}
			select {
			case <-v.Wake(): // inotify may still have told of the last one
				if c := f.poll(v); len(c) > 0 {
					t.Fatalf("%+v", c)
				}
			default:
			}
		}
		f.shut()
	})
}
