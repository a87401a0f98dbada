package mailbox

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// samplePage has letters of all kinds.
func samplePage(rnd *rand.Rand, n uint32) (list []record, names []named) {
	for uid := n << pageBits; uid < (n+1)<<pageBits; uid++ {
		if uid == 0 || rnd.IntN(3) == 0 {
			continue
		}
		f := SystemFlags(rnd.IntN(32))
		r := record{letter{uid: uid, modSeq: rnd.Uint64N(1 << 40), received: rnd.Int64N(1 << 37), saved: rnd.Uint32(),
			size: rnd.Int64N(1 << 40), flags: f, words: rnd.Uint32N(3)}, plain(false, f)}
		switch rnd.IntN(4) {
		case 0:
			r.flags, r.found = 0, found{isNew: true}
		case 1:
			r.info = [...]string{"", ":2,Sz", ":1,x", strings.Repeat("y", 300)}[rnd.IntN(4)]
		}
		list = append(list, r)
		names = append(names, named{uid, fmt.Sprintf("%d.M%dP%d.host%s", rnd.IntN(1000), rnd.IntN(10), rnd.IntN(10), strings.Repeat(",", rnd.IntN(4)))})
	}
	return list, names
}

func TestPages(t *testing.T) {
	t.Parallel()
	words := []string{"", packWords([]uint16{0, 3, 999}), packWords([]uint16{7})}
	set := func(b []byte) uint32 { return uint32(slices.Index(words, string(b))) }
	rnd := rand.New(rand.NewPCG(5, 5))
	for n := range uint32(200) {
		id := int64(7)<<32 | int64(n)
		list, names := samplePage(rnd, n)
		blob := encodeRecords(id, list, func(n uint32) string { return words[n] })
		got, err := decodeRecords(id, blob, nil, set)
		if err != nil || !reflect.DeepEqual(got, list) {
			t.Fatalf("%v: got %v\nwant %v", err, got, list)
		}
		if _, err := decodeRecords(id+1, blob, nil, set); err == nil {
			t.Fatal("a page counts in another place")
		}
		blob[rnd.IntN(len(blob))] ^= 1 << rnd.IntN(8)
		if _, err := decodeRecords(id, blob, nil, set); err == nil {
			t.Fatal("a damaged page was believed")
		}
		for len(names) > 0 {
			k := names[0].uid >> nameBits
			var part []named
			part, names = cut(names, func(x named) bool { return x.uid>>nameBits > k })
			id := int64(9)<<32 | int64(k)
			got, err := decodeNames(id, encodeNames(id, part), nil)
			if err != nil || !reflect.DeepEqual(got, part) {
				t.Fatalf("%v: got %v\nwant %v", err, got, part)
			}
		}
	}
}

func TestTodos(t *testing.T) {
	t.Parallel()
	list := []todo{{"cur/a:2,S", ".Trash/cur/b:2,S"}, {"cur/ab:2,S", ""}, {".X", ".Y"}, {"tmp/z", "new/z"}}
	got, err := decodeTodos(encodeTodos(list))
	if err != nil || !slices.Equal(got, list) {
		t.Fatal(got, err)
	}
}

// FuzzPages: what is damaged is an error, whatever the checksum says.
func FuzzPages(f *testing.F) {
	list, names := samplePage(rand.New(rand.NewPCG(1, 2)), 3)
	f.Add(encodeRecords(3, list, func(uint32) string { return "\x01" }))
	f.Add(encodeNames(12, names[:20]))
	f.Add(encodeTodos([]todo{{"cur/a", ""}, {"cur/b", "new/b"}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = data[:max(len(data)-4, 0)]
		if list, err := decodeRecords(3, seal(kindLetters, 3, slices.Clone(data)), nil, nil); err == nil {
			for i := range list {
				if list[i].uid>>pageBits != 3 || i > 0 && list[i-1].uid >= list[i].uid {
					t.Fatal(list)
				}
			}
		}
		if list, err := decodeNames(12, seal(kindNames, 12, slices.Clone(data)), nil); err == nil {
			again, err := decodeNames(12, encodeNames(12, list), nil)
			if err != nil || !slices.Equal(again, list) {
				t.Fatal(list, again, err)
			}
		}
		if list, err := decodeTodos(seal(kindTodo, 0, slices.Clone(data))); err == nil {
			if again, err := decodeTodos(encodeTodos(list)); err != nil || !slices.Equal(again, list) {
				t.Fatal(list, again, err)
			}
		}
	})
}

// spoil changes a byte of a page.
func (f *fixture) spoil(table, column string, page int64, at int) {
	f.t.Helper()
	id := f.boxes["INBOX"].id<<32 | page
	var blob []byte
	must(f.t, f.idx.db.QueryRow("SELECT "+column+" FROM "+table+" WHERE id = ?", id).Scan(&blob))
	blob[at%len(blob)] ^= 0x41
	_, err := f.idx.db.Exec("UPDATE "+table+" SET "+column+" = ? WHERE id = ?", blob, id)
	must(f.t, err)
}

// TestDamagedPages: a damaged page costs its letters' keywords, or their UIDs, but
// no UID ever shows another letter and no letter is lost; with sessions and without.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	const n = 300 // two pages of letters, five of names
	for _, c := range []struct {
		name, table, column string
		page                int64
		lost                func(uid uint32) bool // UIDs that can't be kept
	}{
		{"letters", "page", "letters", 0, func(uint32) bool { return false }},
		{"last letters", "page", "letters", 1, func(uint32) bool { return false }},
		{"names", "name", "bases", 1, func(uid uint32) bool { return uid>>nameBits == 1 }},
	} {
		for _, session := range []bool{false, true} {
			t.Run(fmt.Sprintf("INV-10 INV-13 IMAP-019 %s, session %t", c.name, session), func(t *testing.T) {
				f := open(t, t.TempDir())
				list := []*Staged{}
				for i := range n {
					s := f.stage("INBOX", fmt.Sprint(i+1), SystemFlags(i%32))
					list = append(list, s)
				}
				_, _, err := f.Commit(bg, "INBOX", list)
				must(t, err)
				v := f.selectBox("INBOX")
				_, err = v.Store(bg, []uint32{5, 299}, FlagsAdd, Flags{Keywords: []string{"Red"}})
				must(t, err)
				before := v.HighestModSeq()
				if !session {
					must(t, v.Close())
				}
				f.spoil(c.table, c.column, c.page, 77)
				if !session {
					f.shut()
					f.reopen()
					v = f.selectBox("INBOX")
				}
				f.boxes["INBOX"].where.forget()
				for i := range n { // whoever reads first finds out
					if r, err := v.Open(bg, uint32(i+1)); err == nil {
						r.Close()
					}
				}
				_, err = v.Store(bg, []uint32{7, 298}, FlagsAdd, Flags{System: Answered})
				if err != nil {
					_, err = v.Store(bg, []uint32{7, 298}, FlagsAdd, Flags{System: Answered})
				}
				must(t, err)
				must(t, f.Check())
				f.poll(v)
				seen := map[string]bool{}
				for _, l := range v.Letters(all(v)) {
					_, s, _ := strings.Cut(read(t, v, l.UID), "Subject: ")
					s, _, _ = strings.Cut(s, "\r\n")
					if seen[s] {
						t.Fatalf("letter %s twice", s)
					}
					seen[s] = true
					was, _ := strconv.Atoi(s)
					if int(l.UID) != was && (!c.lost(uint32(was)) || l.UID <= n) {
						t.Fatalf("letter %s has UID %d", s, l.UID)
					}
					if want := SystemFlags((was - 1) % 32); l.Flags.System&^Answered != want&^Answered {
						t.Fatalf("letter %s has flags %b, not %b", s, l.Flags.System, want)
					}
				}
				if len(seen) != n {
					t.Fatalf("%d letters of %d", len(seen), n)
				}
				gone, err := v.Vanished(bg, before, nil, 0)
				must(t, err)
				for uid := uint32(1); uid <= n; uid++ {
					if c.lost(uid) != gone.Contains(uid) {
						t.Fatalf("vanished %v", gone)
					}
				}
				f.shut()
			})
		}
	}
}

// TestMigrate: an index whose letters are rows becomes one with pages: UIDs,
// MODSEQs, keywords and what was to be done are kept; a row that was changed is not
// believed.
func TestMigrate(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	for i := range 300 {
		f.append("INBOX", fmt.Sprint(i+1), SystemFlags(i%8), []string{"Red", "Green"}[:i%3]...)
	}
	v := f.selectBox("INBOX")
	_, err := v.Store(bg, []uint32{3, 17}, FlagsAdd, Flags{System: Deleted})
	must(t, err)
	must(t, v.Expunge(bg, nil))
	f.poll(v)
	want := map[uint32]Letter{}
	for _, l := range v.Letters(all(v)) {
		l.Recent = false
		want[l.UID] = l
	}
	status := f.status("INBOX")
	must(t, v.Close())
	f.shut()
	f.backToRows(t)
	f.reopen()
	if s := f.status("INBOX"); s.UIDValidity != status.UIDValidity || s.Messages != status.Messages || s.Unseen != status.Unseen ||
		s.Size != status.Size || s.UIDNext < status.UIDNext {
		t.Fatalf("%+v → %+v", status, s)
	}
	v = f.selectBox("INBOX")
	if v.Len() != uint32(len(want)) {
		t.Fatal(v.Len(), len(want))
	}
	for _, l := range v.Letters(all(v)) {
		l.Recent = false
		if w, ok := want[l.UID]; !ok && l.UID < status.UIDNext || ok && !reflect.DeepEqual(w, l) {
			t.Fatalf("%+v\nwas %+v", l, w)
		}
		if s := fmt.Sprint(l.UID); l.UID < status.UIDNext && read(t, v, l.UID) != letterText(s) {
			t.Fatal("UID", s, "is another letter")
		}
	}
	if v.Seq(9) != 0 || v.UIDNext() != status.UIDNext+1 || v.Seq(8) == 0 {
		t.Fatal("a changed row was believed", v.Seq(9), v.Seq(8), v.UIDNext(), status.UIDNext)
	}
	if g, err := v.Vanished(bg, 1, nil, 0); err != nil || g.String() != "3,9,17" {
		t.Fatal(g, err)
	}
	if left := f.todos; len(left) > 0 {
		t.Fatal(left)
	}
	f.shut()
}

// backToRows makes the index one of version 2, with a row of letter 9 changed.
func (f *fixture) backToRows(t *testing.T) {
	t.Helper()
	x, err := openIndex(filepath.Join(f.owner.Home, "index.db"), false)
	must(t, err)
	f.idx = x
	b := &box{acct: f.Account, id: 0}
	must(t, x.db.QueryRow("SELECT id FROM mailbox WHERE name = 'INBOX'").Scan(&b.id))
	type row struct {
		record
		base, words string
	}
	var rows []row
	must(t, b.each(bg, queryPages, func(r *record, base string) error {
		var words []string
		for _, n := range unpackWords(b.setText(r.words)) {
			words = append(words, fmt.Sprint(n))
		}
		rows = append(rows, row{*r, base, strings.Join(words, " ")})
		return nil
	}))
	must(t, x.write(bg, func(tx *sql.Tx) error {
		_, err := tx.Exec(`DROP TABLE page; DROP TABLE name; DROP TABLE history; DROP TABLE todo;
			ALTER TABLE mailbox DROP COLUMN unseen; ALTER TABLE mailbox DROP COLUMN deleted;
			ALTER TABLE mailbox DROP COLUMN historyfloor; ALTER TABLE mailbox DROP COLUMN historysize;
			CREATE TABLE letter (mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, base TEXT NOT NULL, info TEXT NOT NULL,
				isnew INTEGER NOT NULL, modseq INTEGER NOT NULL, flags INTEGER NOT NULL, keywords TEXT NOT NULL,
				received INTEGER NOT NULL, size INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;
			CREATE INDEX letter_base ON letter (mailbox, base);
			CREATE TABLE todo (id INTEGER PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL);
			INSERT INTO todo (source, target) VALUES ('tmp/nothing', 'new/nothing');
			PRAGMA user_version = 2`)
		if err != nil {
			return err
		}
		for _, r := range rows {
			crc := oldChecksum(b.id, r.uid, r.base)
			if r.uid == 9 {
				crc++
			}
			if _, err := tx.Exec("INSERT INTO letter VALUES (?,?,?,?,?,?,?,?,?,?,?)", b.id, r.uid, r.base, r.info, r.isNew,
				int64(r.modSeq), r.flags, r.words, r.received, r.size, crc); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, x.close())
}

// TestKnownAgain: a letter that another program moves back to new/, or that comes
// into new/ again under a name that is known, is no new letter.
func TestKnownAgain(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-025", func(t *testing.T) {
		f := open(t, t.TempDir())
		f.drop("cur/100.M1.h,S=5,W=5:2,S", "a\r\nb\n")
		f.drop("cur/odd:2,S", "a\r\nb\n")
		time.Sleep(2 * settled)
		v := f.selectBox("INBOX")
		f.drop("new/100.M1.h,S=5,W=5", "c\r\nd\n")
		f.drop("new/odd", "c\r\nd\n")
		f.drop("new/100.M2.h,S=5,W=5", "c\r\nd\n")
		f.poll(v)
		f.poll(v) // the first finds that all is to be looked at
		if v.Len() != 5 || read(t, v, 1) != "a\r\nb\r\n" && read(t, v, 2) != "a\r\nb\r\n" {
			t.Fatal(v.Len())
		}
		f.shut()
	})
}

// TestIndexSize tells what a letter takes on disk.
func TestIndexSize(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many files")
	}
	t.Parallel()
	home := t.TempDir()
	fill(t, home, 10_000)
	s := New(vfs.OS{}, event.Discard)
	s.linger = 0
	a, err := s.Open(bg, Owner{Home: home})
	must(t, err)
	_, err = a.Status(bg, "INBOX")
	must(t, err)
	var letters, names int64
	must(t, a.idx.db.QueryRow("SELECT sum(length(letters)) FROM page").Scan(&letters))
	must(t, a.idx.db.QueryRow("SELECT sum(length(bases)) FROM name").Scan(&names))
	t.Logf("a letter: %.1f bytes, its name: %.1f", float64(letters)/1e4, float64(names)/1e4)
	if letters > 20*1e4 || names > 70*1e4 {
		t.Error("pages are larger than they should be")
	}
	must(t, a.Close())
}

// TestDamagedFile: whichever page of the SQLite file is garbage, found at the start or
// after a sleep, the account is well again after at most two failures, with all its
// letters (INV-13).
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	for i := range 20 {
		f.append("INBOX", fmt.Sprint(i+1), Seen, fmt.Sprint("k", i%7))
	}
	f.shut()
	whole, err := os.ReadFile(filepath.Join(f.owner.Home, "index.db"))
	must(t, err)
	const size = 4096
	for page := range len(whole) / size {
		for _, asleep := range []bool{false, true} {
			t.Run(fmt.Sprintf("IMAP-018 INV-13 page %d asleep %t", page, asleep), func(t *testing.T) {
				home := t.TempDir()
				must(t, os.CopyFS(home, os.DirFS(f.owner.Home)))
				index := filepath.Join(home, "index.db")
				data := slices.Clone(whole)
				for i := range data[page*size : (page+1)*size] {
					if page > 0 || i >= 100 {
						data[page*size+i] = byte(i*7 + 3)
					}
				}
				g := &fixture{t: t, store: newStore(vfs.OS{}), owner: Owner{Home: home}}
				g.reopenWith(t, asleep, func() { must(t, os.WriteFile(index, data, 0o600)) })
				for failures := 0; ; failures++ {
					err := g.use()
					if err == nil {
						break
					}
					if failures == 2 {
						t.Fatal(err)
					}
				}
				if _, list := g.letters("INBOX"); len(list) != 21 {
					t.Error(list)
				}
				g.shut()
			})
		}
	}
}

// reopenWith opens the account after the damage, or damages it while it sleeps.
func (f *fixture) reopenWith(t *testing.T, asleep bool, damage func()) {
	t.Helper()
	if !asleep {
		damage()
	}
	a, err := f.store.Open(bg, f.owner)
	must(t, err)
	if f.Account = a; asleep {
		f.doze()
		damage()
	}
}

// use does a bit of everything.
func (f *fixture) use() error {
	v, err := f.Select(bg, "INBOX", false)
	if err != nil {
		return err
	}
	defer v.Close()
	for seq := range v.Len() {
		r, err := v.Open(bg, v.Letter(seq+1).UID)
		if err != nil {
			return err
		}
		r.Close()
	}
	if _, err := v.Vanished(bg, 1, nil, 0); err != nil {
		return err
	}
	_, _, err = f.Append(bg, "INBOX", strings.NewReader(letterText("new")), 0, AppendOptions{Flags: Flags{Keywords: []string{"new"}}})
	return err
}
