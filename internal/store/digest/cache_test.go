package digest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// say makes the digest of the i-th of many letters.
func say(t testing.TB, i int) (Key, *Digest) {
	t.Helper()
	l := letter(fmt.Sprintf("From: u%d@example.org\nSubject: number %d\nMessage-ID: <%d@example.org>\nReferences: <a@b> <%d@c>\n"+
		"Date: Tue, 3 Mar 2026 10:20:30 +0100\n\n%s\n", i, i, i, i, strings.Repeat("text ", i%50)))
	d, err := new(Maker).Make(l)
	if err != nil {
		t.Fatal(err)
	}
	d.UID = uint32(i)
	return Key{Validity: 7, UID: uint32(i), Size: l.Size(), Received: int64(1_000 + i)}, d
}

func same(t *testing.T, got, want *Digest) {
	t.Helper()
	if got == nil || !got.Sent.Equal(want.Sent) || got.Sent.Format("-0700") != want.Sent.Format("-0700") {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	a, b := *got, *want
	a.Sent = b.Sent // the same zone under another pointer
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("\n got %+v\nwant %+v", a, b)
	}
}

// TestCache: what was kept is there at once, after a rest, and after a new start;
// each part alone too.
func TestCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	c := New(path)
	if _, err := os.Stat(path); err == nil {
		t.Error("a cache that nobody uses makes a file")
	}
	look := func(c *Cache) {
		t.Helper()
		for want := List; want <= All; want++ {
			if want == IDs&^Keys {
				continue // it asks for no part
			}
			r := c.Reader(want)
			for _, i := range []int{1, 2, 63, 64, 200, 4_000_000_000} {
				k, d := say(t, i)
				if !r.Has(k) {
					t.Fatalf("%d: letter %d is not there", want, i)
				}
				if want == All {
					same(t, r.Get(k), d)
				} else if r.Get(k) == nil {
					t.Fatalf("%d: letter %d can't be had", want, i)
				}
			}
			if k, _ := say(t, 3); r.Has(k) || r.Get(k) != nil {
				t.Error("a letter is there that was never kept")
			}
		}
	}
	for _, i := range []int{1, 63, 64, 200, 4_000_000_000} {
		c.Keep(say(t, i))
	}
	c.Keep(say(t, 2)) // joins the others of its page
	look(c)
	c.Flush()
	look(c)
	c.rest()
	c.rest()
	if c.file != nil {
		t.Error("the file is open after a rest")
	}
	look(c)
	c.Close()
	if k, _ := say(t, 1); c.Reader(All).Has(k) {
		t.Error("a closed cache answers")
	}
	c.Open()
	look(c)
	c.Close()
	c = New(path)
	look(c)
	c.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

// TestMark: a digest is not believed for a letter of another size or time, another
// mailbox, or another UID.
func TestMark(t *testing.T) {
	c := New(filepath.Join(t.TempDir(), "cache.db"))
	defer c.Close()
	k, d := say(t, 5)
	c.Keep(k, d)
	for _, other := range []Key{
		{k.Validity, k.UID, k.Size + 1, k.Received}, {k.Validity, k.UID, k.Size, k.Received - 1},
		{k.Validity + 1, k.UID, k.Size, k.Received}, {k.Validity, k.UID + 1, k.Size, k.Received},
	} {
		if c.Reader(List).Get(other) != nil {
			t.Errorf("%+v is taken for %+v", other, k)
		}
	}
}

// TestDamage: whatever happens to the file, the cache gives what was kept or
// nothing, and works again afterwards.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cache.db")
	c := New(path)
	for i := range 100 {
		c.Keep(say(t, i))
	}
	c.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	damage := map[string]func() []byte{
		"empty":     func() []byte { return nil },
		"text":      func() []byte { return []byte(strings.Repeat("no database ", 1000)) },
		"cut":       func() []byte { return good[:rnd.IntN(len(good))] },
		"zeros":     func() []byte { return make([]byte, len(good)) },
		"half":      func() []byte { return append(bytes.Clone(good[:len(good)/2]), make([]byte, len(good)/2)...) },
		"version":   func() []byte { b := bytes.Clone(good); b[63]++; return b },
		"one byte":  func() []byte { b := bytes.Clone(good); b[rnd.IntN(len(b))] ^= byte(1 + rnd.IntN(255)); return b },
		"many bits": func() []byte { b := bytes.Clone(good); flip(b, rnd, 200); return b },
		"two pages": func() []byte {
			b := bytes.Clone(good)
			n := len(b) / filePage
			copy(b[(1+rnd.IntN(n-1))*filePage:], good[(1+rnd.IntN(n-1))*filePage:][:filePage])
			return b
		},
	}
	for name, harm := range damage {
		rounds := 12
		if testing.Short() {
			rounds = 5
		}
		for range rounds {
			if err := os.WriteFile(path, harm(), 0o600); err != nil {
				t.Fatal(err)
			}
			os.Remove(path + "-journal")
			checkAll(t, name, path)
		}
	}
	// A directory in the way: there is no cache, and no answer is wrong.
	os.Remove(path)
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	checkAll(t, "directory", path)
}

func flip(b []byte, rnd *rand.Rand, n int) {
	for range n {
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
	}
}

// checkAll reads what is there, and then keeps a letter in it.
func checkAll(t *testing.T, name, path string) {
	t.Helper()
	c := New(path)
	defer c.Close()
	r := c.Reader(All)
	for i := range 110 {
		k, d := say(t, i)
		if got := r.Get(k); got != nil {
			if i >= 100 {
				t.Fatalf("%s: letter %d was never kept", name, i)
			}
			same(t, got, d)
		}
	}
	k, d := say(t, 105)
	c.Keep(k, d)
	same(t, c.Reader(All).Get(k), d)
	c.Flush()
	if got := c.Reader(All).Get(k); got != nil {
		same(t, got, d)
		return
	}
	// The file was found to be damaged, and the next try has a new one.
	c.Keep(k, d)
	c.Flush()
	if c.Reader(All).Get(k) == nil && name != "directory" {
		t.Errorf("%s: a letter can't be kept any more", name)
	}
}

// TestSweep: mailboxes and pages that are gone go, others stay.
func TestSweep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	c := New(path)
	defer c.Close()
	for _, validity := range []uint32{1, 7, 8, 1<<32 - 1} {
		for _, uid := range []uint32{1, 64, 300, 1<<32 - 2} {
			_, d := say(t, 1)
			c.Keep(Key{Validity: validity, UID: uid}, d)
		}
	}
	c.Flush()
	c.Sweep(func(v uint32) bool { return v == 7 || v == 1<<32-1 }, 7, []uint32{70, 71, 1<<32 - 3})
	for _, x := range []struct {
		validity, uid uint32
		there         bool
	}{{1, 1, false}, {8, 300, false}, {7, 1, false}, {7, 64, true}, {7, 300, false}, {7, 1<<32 - 2, true}, {1<<32 - 1, 300, true}} {
		if got := c.Reader(List).Has(Key{Validity: x.validity, UID: x.uid}); got != x.there {
			t.Errorf("%d/%d: there is %v", x.validity, x.uid, got)
		}
	}
}

// TestReserve: of many who need a page one makes it.
func TestReserve(t *testing.T) {
	c := New(filepath.Join(t.TempDir(), "cache.db"))
	defer c.Close()
	k, d := say(t, 9)
	var made atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			release, err := c.Reserve(context.Background(), k)
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			if !c.Reader(List).Has(k) {
				made.Add(1)
				c.Keep(k, d)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
	release, _ := c.Reserve(context.Background(), k)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Reserve(ctx, k); err == nil {
		t.Error("who went away waits")
	}
	release()
}

func FuzzDecode(f *testing.F) {
	for i := range 3 {
		_, d := say(f, i)
		for part := range parts {
			f.Add(part, d.append(nil, part))
		}
	}
	f.Fuzz(func(t *testing.T, part int, data []byte) {
		var d Digest
		if part >= 0 && part < parts && d.decode(data, part, All) && part == keysPart {
			var again Digest
			if !again.decode(d.append(nil, part), part, All) || again.Subject != d.Subject || again.ThreadID != d.ThreadID {
				t.Errorf("%+v\n%+v", d, again)
			}
		}
	})
}

func FuzzPage(f *testing.F) {
	var p page
	p[0], p[63] = entry{1, []byte("a")}, entry{2, []byte{}}
	f.Add(p.encode(64))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= 4 { // a sum that is right, so that the rest is looked at
			s := pageID(64).sum(data)
			data[0], data[1], data[2], data[3] = byte(s), byte(s>>8), byte(s>>16), byte(s>>24)
		}
		if b := check(64, data); b != nil {
			again := check(64, b.page().encode(64))
			for i := range pageLetters {
				if !bytes.Equal(b.get(i).data, again.get(i).data) {
					t.Error("another page")
				}
			}
		}
	})
}
