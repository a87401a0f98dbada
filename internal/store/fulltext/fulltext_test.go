package fulltext

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/collate"
)

func letter(uid uint32) Letter { return Letter{uid, 1000, int64(uid)} }

// TestNeverRulesOut: a text that is in a letter is never ruled out.
func TestNeverRulesOut(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	alphabet := []rune("abcdefgh äöﬁ東\n")
	p := NewPage()
	texts := map[uint32]string{}
	var s Signature
	for uid := uint32(64); uid < 120; uid += 1 + rng.Uint32N(3) {
		var b strings.Builder
		for range rng.IntN(400) {
			b.WriteRune(alphabet[rng.IntN(len(alphabet))])
		}
		texts[uid] = b.String()
		s.Reset()
		s.Add([]byte(texts[uid]))
		p.Put(letter(uid), &s)
	}
	ruledOut := 0
	for uid, text := range texts {
		if !p.Has(letter(uid)) {
			t.Error("lost", uid)
		}
		for range 50 {
			r := []rune(text)
			from := rng.IntN(len(r) + 1)
			part := string(r[from:min(len(r), from+1+rng.IntN(12))])
			if !p.May(letter(uid), Rows(collate.Fold(part))) {
				t.Fatalf("%q is ruled out of %q", part, text)
			}
		}
		if !p.May(letter(uid), Rows("QUINCUNX")) {
			ruledOut++
		}
	}
	if ruledOut < len(texts)*9/10 {
		t.Errorf("ruled out %d of %d", ruledOut, len(texts))
	}
	if s.Fill(); !p.May(letter(999), nil) || p.Has(letter(63)) || Rows("AB") != nil {
		t.Error("what is not known rules nothing out")
	}
}

func TestIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "search.db")
	ctx := context.Background()
	x := New(path)
	defer x.Close()
	if x.Exists() {
		t.Error("nothing was asked, but the file is there")
	}
	put := func(validity, uid uint32) {
		t.Helper()
		p := NewPage()
		var s Signature
		s.Add([]byte("some text"))
		p.Put(letter(uid), &s)
		if err := x.Put(ctx, validity, uid, p); err != nil {
			t.Fatal(err)
		}
	}
	has := func(validity, uid uint32) bool {
		r := x.Reader(ctx, validity)
		defer r.Close()
		return r.Page(uid).Has(letter(uid))
	}
	put(7, 100)
	put(1<<32-1, 1<<32-1)
	if !has(7, 100) || !has(1<<32-1, 1<<32-1) || has(7, 101) || has(8, 100) || has(7, 100+64) {
		t.Error("pages are mixed up")
	}
	if err := x.Sweep(ctx, []uint32{7}, 7, slices.Values([]uint32{100})); err != nil || !has(7, 100) || has(1<<32-1, 1<<32-1) {
		t.Error("Sweep", err)
	}
	t.Run("letters that are gone", func(t *testing.T) {
		for _, uid := range []uint32{1, 400, 401, 900, 5000} {
			put(7, uid)
		}
		if err := x.Sweep(ctx, []uint32{7}, 7, slices.Values([]uint32{100, 401, 905})); err != nil {
			t.Fatal(err)
		}
		if has(7, 1) || has(7, 5000) || !has(7, 100) || !has(7, 401) || !has(7, 900) {
			t.Error("pages of letters that are gone stay, or others go")
		}
	})
	t.Run("another letter of the same UID", func(t *testing.T) {
		r := x.Reader(ctx, 7)
		defer r.Close()
		if l := (Letter{100, 1001, 100}); r.Page(100).Has(l) || !r.Page(100).May(l, Rows("NOWHERE")) {
			t.Error("a letter is ruled out by what another one said")
		}
	})
	t.Run("damaged", func(t *testing.T) {
		db, err := x.use()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("UPDATE page SET data = zeroblob(length(data))"); err != nil {
			t.Fatal(err)
		}
		if x.release(nil); has(7, 100) {
			t.Error("a page with a wrong sum is believed")
		}
	})
	t.Run("torn", func(t *testing.T) { // in the middle, while it is open
		for uid := range uint32(50) {
			put(7, uid*Beside)
		}
		x.Close()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(bytes.Repeat([]byte("nonsense"), int(info.Size()-4096)/8), 4096); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if has(7, 640) {
			t.Error("where from?")
		}
		if put(7, 640); !has(7, 640) {
			t.Error("not begun anew")
		}
	})
	for name, spoil := range map[string]func() error{
		"deleted":  func() error { return os.Remove(path) },
		"no index": func() error { return os.WriteFile(path, []byte(strings.Repeat("nonsense ", 1000)), 0o600) },
		"empty":    func() error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			x.Close()
			os.Remove(path + "-wal")
			os.Remove(path + "-shm")
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			if has(7, 100) {
				t.Error("where from?")
			}
			if put(7, 100); !has(7, 100) {
				t.Error("not begun anew")
			}
		})
	}
}

func BenchmarkSignature(b *testing.B) {
	text := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody cares.\r\n", 80))
	var s Signature
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.Add(text)
	}
}
