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
