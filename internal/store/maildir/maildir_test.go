package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"facteur/internal/base/vfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		want Name
	}{
		{"1234567890.M1P2.host,S=10,W=12:2,FS", Name{"1234567890.M1P2.host,S=10,W=12", "FS", 1234567890, 10, 12}},
		{"12.a.b", Name{"12.a.b", "", 12, -1, -1}},
		{"12.a.b:2,", Name{"12.a.b", "", 12, -1, -1}},
		{"12.a.b,W=5,S=4:2,Sabc?Z", Name{"12.a.b,W=5,S=4", "Sabc?Z", 12, 4, 5}},
		{"12.a.b:1,exp", Name{"12.a.b", "", 12, -1, -1}},
		{"letter", Name{"letter", "", 0, -1, -1}},
		{"999999999999999999.x,S=-1,W=99999999999999999999", Name{"999999999999999999.x,S=-1,W=99999999999999999999", "", 0, -1, -1}},
		{",S=,W=x,:", Name{",S=,W=x,", "", 0, -1, -1}},
	} {
		if got := ParseName(c.file); got != c.want {
			t.Errorf("%q: %+v", c.file, got)
		}
	}
}

func TestSetFlags(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"", "S", "S"}, {"FS", "", ""}, {"SF", "FT", "FT"}, {"PSab", "R", "PRab"},
		{"!S\xff/:", "S", "!S"}, {"SSS", "S", "S"},
	} {
		if got := SetFlags(c[0], c[1]); got != c[2] {
			t.Errorf("%q %q: %q", c[0], c[1], got)
		}
	}
}

func TestDeliveryName(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000000, 5000)
	// Never change it: letters of an earlier version may be in tmp under it.
	if got := DeliveryName("AB12", 3, at); got != "1700000000.M000005QAB12R3.facteur" {
		t.Fatal(got)
	}
}

func TestFolderNames(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-008 IMAP-009", func(t *testing.T) {
		for name, want := range map[string]string{
			"INBOX": "", "inbox": "", "Work": ".Work", "Work/2024": ".Work.2024",
			"inbox/x": ".INBOX.x", "Büro": ".B&APw-ro", "a.b": ".a&AC4-b", "a&b": ".a&-b",
			"é.b": ".&AOkALg-b", "台北": ".&U,BTFw-", "cur": ".cur", "x.lock": ".x&AC4-lock",
			"~user/x": ".~user.x", "INBOX.": ".INBOX&AC4-", "dovecot-uidlist": ".dovecot-uidlist",
			"😀": ".&2D3eAA-", "e\u0301": ".&AOk-", "trailing ": ".trailing ",
		} {
			got, err := Folder(name)
			if err != nil || got != want {
				t.Errorf("%q: %q %v", name, got, err)
			}
			back, err := FolderName(got)
			if canonical, _ := Canonical(name); err != nil || back != canonical {
				t.Errorf("%q: back %q %v", name, back, err)
			}
		}
		for _, name := range []string{"", "/abs", "a//b", ".", "..", "a/../b", "../../etc", "a/", "nul\x00", "cr\r", "lf\n",
			"\xff", strings.Repeat("x", 4096), strings.Repeat("a/", 200) + "a", strings.Repeat("é", 90), "\u2028", "\u0085"} {
			if got, err := Folder(name); !errors.Is(err, ErrBadName) {
				t.Errorf("%q: %q", name, got)
			}
		}
		for _, folder := range []string{"x", "..", ".a..b", ".&AAAA-", ".&", ".&AGE-", ".&2D0-", ".&AOk", ".INBOX", ".inbox", ".&AC8-", ".&AAA-", ".&AOn-"} {
			if got, err := FolderName(folder); err == nil {
				t.Errorf("%q read as %q", folder, got)
			}
		}
		if got, err := FolderName(".Büro"); got != "Büro" || err != nil {
			t.Error("raw UTF-8", got, err)
		}
	})
}

func FuzzFolder(f *testing.F) {
	for _, s := range []string{"INBOX", "a/b.c", "é&", "../x", "&AC4-", "台/北", "\\2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if folder, err := Folder(s); err == nil {
			if strings.ContainsAny(folder, "/\x00") || folder != "" && folder[0] != '.' || strings.Contains(folder, "..") {
				t.Fatalf("%q → %q leaves its place", s, folder)
			}
			canonical, _ := Canonical(s)
			if back, err := FolderName(folder); err != nil || back != canonical {
				t.Fatalf("%q → %q → %q %v", s, folder, back, err)
			}
		}
		if name, err := FolderName(s); err == nil {
			folder, err := Folder(name)
			if err != nil && len(s) < maxFolder/8 {
				t.Fatalf("%q → %q: %v", s, name, err)
			}
			if utf8.ValidString(s) && err == nil && folder != s && strings.Contains(s, "&") && name == mustCanonical(name) {
				if again, _ := FolderName(folder); again != name {
					t.Fatalf("%q → %q → %q", s, name, again)
				}
			}
		}
	})
}

func mustCanonical(s string) string { c, _ := Canonical(s); return c }

func FuzzParseName(f *testing.F) {
	f.Add("1234567890.M1P2.host,S=10,W=12:2,FS")
	f.Add(":2,S,S=1")
	f.Fuzz(func(t *testing.T, s string) {
		n := ParseName(s)
		if !strings.HasPrefix(s, n.Base) || strings.Contains(n.Base, ":") || n.Sec < 0 || n.Size < -1 || n.VSize < -1 {
			t.Fatalf("%q: %+v", s, n)
		}
	})
}

// TestDoubling: parsing names takes time linear in their length.
func TestDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	parsers := map[string]func(string){
		"ParseName":  func(s string) { ParseName(s) },
		"SetFlags":   func(s string) { SetFlags(s, "S") },
		"Folder":     func(s string) { var b strings.Builder; encodeUTF7(&b, s) },
		"FolderName": func(s string) { decodeUTF7(s) },
	}
	for name, parse := range parsers {
		for _, unit := range []string{",S=1", "&", "&AOk-", "é", ".a", ":2,"} {
			best := func(n int) time.Duration {
				text, min := strings.Repeat(unit, n), time.Hour
				for range 7 {
					start := time.Now()
					parse(text)
					if d := time.Since(start); d < min {
						min = d
					}
				}
				return min
			}
			// Three doublings: eight times the time when linear, 64 when square.
			// A busy machine may disturb some tries, not all.
			linear := false
			for try := 0; try < 6 && !linear; try++ {
				linear = best(160000) <= 40*max(best(20000), 100*time.Microsecond)
			}
			if !linear {
				t.Errorf("%s of %q is not linear", name, unit)
			}
		}
	}
}

func TestLetterConverts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "\r\n", "\r\r\n", "a\nb\r\nc\rd\n", strings.Repeat("x\n", stride),
		strings.Repeat("\n", small), strings.Repeat("\n", small+1), strings.Repeat("a line\n", 700), strings.Repeat("\r\n", small/2),
		strings.Repeat("y", stride-1) + "\r\n" + "z\n"} {
		want := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
		m := vfs.NewMem()
		d, err := Create(m, "/m")
		must(t, err)
		size, err := d.Stage("t", iotest.HalfReader(strings.NewReader(text)))
		must(t, err)
		if size != (Size{int64(len(text)), int64(len(want))}) {
			t.Fatalf("%.20q: %+v", text, size)
		}
		l, err := OpenLetter(m, d.Tmp("t"))
		must(t, err)
		if len(want) < 100 { // it takes the square of the length
			must(t, iotest.TestReader(l, []byte(want)))
		}
		must(t, sameReader(l, want))
		must(t, l.Close())
		must(t, l.Close())
		if n, err := l.ReadAt(make([]byte, 1), 0); want != "" && len(text) <= small && (n > 0 || err == nil) {
			t.Fatalf("%.20q: read %d bytes after Close", text, n)
		}
	}
}

// sameReader compares what Read and ReadAt give with want.
func sameReader(l *Letter, want string) error {
	if _, err := l.Seek(0, io.SeekStart); err != nil {
		return err
	}
	got, err := io.ReadAll(l)
	if err != nil || string(got) != want || l.Size() != int64(len(want)) {
		return fmt.Errorf("read %d of %d bytes, Size %d: %v", len(got), len(want), l.Size(), err)
	}
	for off := 0; off < len(want); off += 4099 {
		buf := make([]byte, 5)
		n, err := l.ReadAt(buf, int64(off))
		if string(buf[:n]) != want[off:min(off+5, len(want))] || n < 5 && err != io.EOF {
			return fmt.Errorf("at %d: %q %v", off, buf[:n], err)
		}
	}
	return nil
}

// post is the protocol of package flow/deliver, with a queue row as a variable
// that survives crashes: what the queue's durable commits do.
type post struct {
	fs   vfs.FS
	text string
	row  *string // "queued", "landing", "" when settled
	name string
	// alone: the letter is synced by itself.
	alone bool
}

// run delivers from whatever state a crash has left.
func (p post) run() error {
	d, err := Create(p.fs, "/home/Maildir")
	if err != nil {
		return err
	}
	batch := []Delivery{{Dir: d, Name: p.name, Synced: p.alone}}
	if *p.row == "queued" {
		if _, err = batch[0].Stage(strings.NewReader("Delivered-To: x\r\n"), strings.NewReader(p.text)); err != nil {
			return err
		}
		if err := SyncStaged(batch); err != nil {
			return err
		}
		*p.row = "landing"
	}
	if *p.row == "landing" {
		if err := d.Land(p.name, Size{}); err != nil {
			return err
		}
		if err := SyncLanded(batch); err != nil {
			return err
		}
		*p.row = ""
	}
	return nil
}

// letters reads all letters in new and cur.
func letters(t *testing.T, f vfs.FS) []string {
	t.Helper()
	var out []string
	for _, sub := range []string{"new", "cur"} {
		entries, err := f.ReadDir("/home/Maildir/" + sub)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(t, err)
		for _, e := range entries {
			b, err := vfs.ReadFile(f, path.Join("/home/Maildir", sub, e.Name), 1<<20)
			must(t, err)
			out = append(out, string(b))
		}
	}
	return out
}

const crashSeeds = 12

// TestDeliveryCrash stops after every n-th operation, loses power, and delivers
// again; crashes may come again during the recovery.
func TestDeliveryCrash(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("A line of a letter\r\n", 200)
	want := "Delivered-To: x\r\n" + text
	for _, alone := range []bool{false, true} {
		t.Run(fmt.Sprintf("FLT-002 FLT-003 alone=%t", alone), func(t *testing.T) {
			for n := 0; ; n++ {
				done := false
				for seed := range uint64(crashSeeds) {
					row := "queued"
					m := vfs.NewMem()
					must(t, m.Mkdir("/home", 0o700))
					must(t, m.SyncFS("/"))
					m.StopAfter(n)
					err := post{m, text, &row, "1.Q1R0.h", alone}.run()
					done = err == nil
					checkNew(t, n, seed, m.Crash(seed), want, row)
					// Again, and cut again at another place, then to the end.
					m = m.Crash(seed)
					m.StopAfter(int(seed) % 7)
					post{m, text, &row, "1.Q1R0.h", alone}.run()
					m = m.Crash(seed + 1000)
					if err := (post{m, text, &row, "1.Q1R0.h", alone}).run(); err != nil {
						t.Fatalf("stop %d seed %d: %v", n, seed, err)
					}
					m = m.Crash(seed + 2000)
					if got := letters(t, m); len(got) != 1 || got[0] != want {
						t.Fatalf("stop %d seed %d: %d letters at the end", n, seed, len(got))
					}
				}
				if done {
					t.Logf("%d operations", n)
					return
				}
			}
		})
	}
}

// checkNew: at no time is there a torn letter, and a settled row has its letter.
func checkNew(t *testing.T, n int, seed uint64, m *vfs.Mem, want, row string) {
	t.Helper()
	got := letters(t, m)
	for _, l := range got {
		if l != want {
			t.Fatalf("stop %d seed %d: torn letter of %d bytes", n, seed, len(l))
		}
	}
	if row == "" && len(got) != 1 {
		t.Fatalf("stop %d seed %d: settled, but %d letters", n, seed, len(got))
	}
}

// TestReadBeforeSettled: a letter that its owner has read or deleted before the
// row was settled is not delivered again.
func TestReadBeforeSettled(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		m := vfs.NewMem()
		d, err := Create(m, "/home/Maildir")
		must(t, err)
		_, err = d.Stage("n", strings.NewReader("x"))
		must(t, err)
		must(t, SyncStaged([]Delivery{{Dir: d, Name: "n"}}))
		must(t, d.Land("n", Size{1, 1}))
		must(t, m.Rename(d.New("n,S=1,W=1"), d.Cur("n,S=1,W=1:2,S")))
		if seed%2 == 0 {
			must(t, m.Remove(d.Cur("n,S=1,W=1:2,S")))
			must(t, m.SyncDir(d.Cur("")))
		}
		m = m.Crash(seed)
		row := "landing"
		must(t, post{m, "x", &row, "n", false}.run())
		if got := letters(t, m); len(got) != int(seed%2) {
			t.Fatalf("seed %d: %d letters", seed, len(got))
		}
	}
}

// TestBatch syncs a batch with one call, and file by file where that call is
// not to be had.
func TestBatch(t *testing.T) {
	t.Parallel()
	for _, fallback := range []bool{false, true} {
		m := vfs.NewMem()
		if fallback {
			m.Inject(vfs.Fault{Op: vfs.OpSyncFS, Nth: 1, For: -1, Err: vfs.ErrNoSyncFS})
		}
		var batch []Delivery
		for i := range 10 {
			d, err := Create(m, fmt.Sprintf("/home%d/Maildir", i%3))
			must(t, err)
			name := DeliveryName("Q", i, time.Unix(1, 0))
			_, err = d.Stage(name, strings.NewReader("text"))
			must(t, err)
			batch = append(batch, Delivery{Dir: d, Name: name})
		}
		must(t, SyncStaged(batch))
		for seed := range uint64(20) {
			c := m.Crash(seed)
			for _, b := range batch {
				if got, err := vfs.ReadFile(c, b.Dir.Tmp(b.Name), 9); string(got) != "text" {
					t.Fatalf("fallback %t seed %d: %q %v", fallback, seed, got, err)
				}
			}
		}
		for _, b := range batch {
			must(t, b.Dir.Land(b.Name, Size{}))
		}
		must(t, SyncLanded(batch))
		c := m.Crash(3)
		for _, b := range batch {
			if _, err := c.Stat(b.Dir.New(Sized(b.Name, Size{4, 4}))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDeliveryFaults: an error is told, leaves nothing behind, and a later try
// succeeds even where a sync has failed and would now "work".
func TestDeliveryFaults(t *testing.T) {
	t.Parallel()
	for _, f := range []vfs.Fault{
		{Op: vfs.OpWrite, Match: "/tmp/", Err: syscall.ENOSPC, Short: true},
		{Op: vfs.OpCreate, Err: syscall.EDQUOT}, {Op: vfs.OpSync, Err: syscall.EIO}, {Op: vfs.OpSyncDir, Match: "/tmp", Err: syscall.EIO},
		{Op: vfs.OpRename, Err: syscall.EIO}, {Op: vfs.OpSyncDir, Match: "/new", Err: syscall.EIO},
	} {
		t.Run(fmt.Sprintf("FLT-005 FLT-006 %v %s", f.Op, f.Match), func(t *testing.T) {
			for seed := range uint64(crashSeeds) {
				m := vfs.NewMem()
				_, err := Create(m, "/home/Maildir")
				must(t, err)
				must(t, m.SyncFS("/"))
				f.Nth = 1
				m.Inject(f)
				row := "queued"
				p := post{m, "text", &row, "n", false}
				if err := p.run(); !errors.Is(err, f.Err) {
					t.Fatal(err)
				}
				m.Heal()
				must(t, p.run())
				if row != "" {
					t.Fatal(row)
				}
				got := letters(t, m.Crash(seed))
				if len(got) == 1 && strings.HasSuffix(got[0], "text") {
					continue
				}
				t.Fatalf("seed %d: %d letters %.30q", seed, len(got), got)
			}
		})
	}
}

func TestLandWithoutMaildir(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	d := Dir{FS: m, Path: "/gone"}
	if err := d.Land("x", Size{}); !errors.Is(err, ErrNoMaildir) {
		t.Fatal(err)
	}
	if _, err := d.Stage("x", strings.NewReader("")); !errors.Is(err, ErrNoMaildir) {
		t.Fatal(err)
	}
	d, err := Create(m, "/gone")
	must(t, err)
	must(t, d.Land("x", Size{}))
	must(t, d.Unstage("x"))
	if ok, err := d.Staged("x"); ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := d.Stage("x", iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if ok, _ := d.Staged("x"); ok {
		t.Fatal("left behind")
	}
}

// TestDamaged: what is not a letter, or no longer all of one, is told as such, not as
// the end of something.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenLetter(vfs.OS{}, dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("a directory: %v", err)
	}
	name := filepath.Join(dir, "1.a.b,S=6,W=6")
	if err := os.WriteFile(name, []byte("text\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLetter(vfs.OS{}, name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Truncate(name, 3); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(l); !errors.Is(err, ErrDamaged) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", text, err)
	}
}
