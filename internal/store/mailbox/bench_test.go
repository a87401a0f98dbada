package mailbox

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// fill makes n letters with sizes in their names. All are links to a few files:
// the letters' bytes don't matter here.
func fill(tb testing.TB, home string, n int) {
	tb.Helper()
	dir := filepath.Join(home, "Maildir")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	var seed string
	for i := range n {
		name := filepath.Join(dir, "cur", fmt.Sprintf("%d.M%dP77Q%d.mail.example.org,S=1024,W=1024:2,S", 1700000000+i, i%1000000, i))
		if i%10000 == 0 {
			seed = name
			if err := os.WriteFile(name, make([]byte, 1024), 0o600); err != nil {
				tb.Fatal(err)
			}
		} else if err := os.Link(seed, name); err != nil {
			tb.Fatal(err)
		}
	}
}

func benchOpen(b *testing.B, n int) {
	home := b.TempDir()
	fill(b, home, n)
	owner := Owner{Home: home}
	use := func(b *testing.B) {
		s := New(vfs.OS{}, event.Discard)
		a, err := s.Open(bg, owner)
		if err != nil {
			b.Fatal(err)
		}
		v, err := a.Select(bg, "INBOX", false)
		if err != nil || v.Len() != uint32(n) {
			b.Fatal(err, v.Len())
		}
		v.Close()
		a.Close()
	}
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			os.Remove(filepath.Join(home, "index.db"))
			use(b)
		}
	})
	b.Run("select", func(b *testing.B) {
		for b.Loop() {
			use(b)
		}
	})
	b.Run("status", func(b *testing.B) {
		s := New(vfs.OS{}, event.Discard)
		a, err := s.Open(bg, owner)
		if err != nil {
			b.Fatal(err)
		}
		defer a.Close()
		for b.Loop() {
			if _, err := a.Status(bg, "INBOX"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("flags", func(b *testing.B) {
		s := New(vfs.OS{}, event.Discard)
		a, err := s.Open(bg, owner)
		if err != nil {
			b.Fatal(err)
		}
		defer a.Close()
		v, err := a.Select(bg, "INBOX", false)
		if err != nil {
			b.Fatal(err)
		}
		defer v.Close()
		uids := v.uids
		for i := 0; b.Loop(); i++ {
			op := []FlagOp{FlagsAdd, FlagsRemove}[i%2]
			if _, err := v.Store(bg, uids, op, Flags{System: Flagged}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen10k(b *testing.B)  { benchOpen(b, 10_000) }
func BenchmarkOpen100k(b *testing.B) { benchOpen(b, 100_000) }

// TestViewMemory: the shared letters and one session's list stay under 5 MB for
// 100,000 letters.
func TestViewMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many files")
	}
	const n = 100_000
	home := t.TempDir()
	fill(t, home, n)
	s := New(vfs.OS{}, event.Discard)
	a, err := s.Open(bg, Owner{Home: home})
	must(t, err)
	defer a.Close()
	_, err = a.Status(bg, "INBOX") // the scan is done, and its garbage made
	must(t, err)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	v, err := a.Select(bg, "INBOX", false)
	must(t, err)
	used := heap() - before
	t.Logf("%d letters: %d bytes", v.Len(), used)
	if used > 5<<20 {
		t.Errorf("an open mailbox of %d letters takes %d bytes", n, used)
	}
	must(t, v.Close())
}

// BenchmarkRest is what the end of a session costs that changed one letter of
// 100,000: the list of UIDs is written, with the account locked.
func BenchmarkRest(b *testing.B) {
	const n = 100_000
	home := b.TempDir()
	fill(b, home, n)
	s := New(vfs.OS{}, event.Discard)
	s.linger = 0
	for b.Loop() {
		b.StopTimer()
		a, err := s.Open(bg, Owner{Home: home})
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := a.Append(bg, "INBOX", strings.NewReader(letterText("x")), 0, AppendOptions{}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := a.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMillion opens a mailbox of a million letters that the index knows.
func BenchmarkMillion(b *testing.B) {
	a, v := benchBox(b, 1_000_000)
	v.Close()
	for b.Loop() {
		w, err := a.Select(bg, "INBOX", true)
		if err != nil {
			b.Fatal(err)
		}
		w.Close()
	}
}

// benchBox is a mailbox of n letters that a session has open.
func benchBox(b *testing.B, n int) (*Account, *View) {
	b.Helper()
	home := b.TempDir()
	fill(b, home, n)
	s := New(vfs.OS{}, event.Discard)
	b.Cleanup(func() { s.Close() })
	a, err := s.Open(bg, Owner{Home: home})
	if err != nil {
		b.Fatal(err)
	}
	v, err := a.Select(bg, "INBOX", false)
	if err != nil {
		b.Fatal(err)
	}
	return a, v
}

func BenchmarkAppend(b *testing.B) {
	a, _ := benchBox(b, 1000)
	text := letterText("x") + strings.Repeat("line of text\r\n", 200)
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := a.Append(bg, "INBOX", strings.NewReader(text), int64(len(text)), AppendOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("eight at once", func(b *testing.B) {
		b.SetParallelism(4)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, _, err := a.Append(bg, "INBOX", strings.NewReader(text), int64(len(text)), AppendOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkThousand copies and moves a thousand letters.
func BenchmarkThousand(b *testing.B) {
	_, v := benchBox(b, 10_000)
	uids := v.uids[:1000]
	b.Run("copy", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := v.Copy(bg, uids, "Archive"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("move and expunge", func(b *testing.B) {
		for i := 0; b.Loop() && (i+1)*1000 < len(v.uids); i++ {
			if _, _, err := v.Move(bg, v.uids[i*1000:(i+1)*1000], "Trash"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkExpunge10k(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		_, v := benchBox(b, 10_000)
		if _, err := v.Store(bg, v.uids, FlagsAdd, Flags{System: Deleted}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := v.Expunge(bg, nil); err != nil {
			b.Fatal(err)
		}
		if _, err := v.Poll(bg, true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMinute is what a session does again and again in a large mailbox.
func BenchmarkMinute(b *testing.B) {
	a, v := benchBox(b, 100_000)
	b.Run("letters", func(b *testing.B) {
		for b.Loop() {
			for range v.Letters(all(v)) {
			}
		}
	})
	b.Run("poll", func(b *testing.B) {
		for b.Loop() {
			if _, err := v.Poll(bg, true); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("flag and poll", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			op := []FlagOp{FlagsAdd, FlagsRemove}[i%2]
			if _, err := v.Store(bg, v.uids[50_000:50_001], op, Flags{System: Flagged}); err != nil {
				b.Fatal(err)
			}
			if _, err := v.Poll(bg, true); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("delivery and poll", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i++
			name := filepath.Join(a.root, "new", fmt.Sprintf("17600%05d.M1Q%dR0.facteur,S=6,W=6", i, i))
			if err := os.WriteFile(name, []byte("a\r\nb\r\n"), 0o600); err != nil {
				b.Fatal(err)
			}
			if c, err := v.Poll(bg, true); err != nil || len(c) == 0 {
				b.Fatal(c, err)
			}
		}
	})
	b.Run("select", func(b *testing.B) {
		for b.Loop() {
			w, err := a.Select(bg, "INBOX", true)
			if err != nil {
				b.Fatal(err)
			}
			w.Close()
		}
	})
	b.Run("open 1000", func(b *testing.B) {
		for b.Loop() {
			for _, uid := range v.uids[:1000] {
				r, err := v.Open(bg, uid)
				if err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		}
	})
}
