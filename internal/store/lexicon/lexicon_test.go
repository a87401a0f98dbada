package lexicon

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"path"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

const dir = "/data/lexicon"

// heard collects what was told.
type heard struct {
	mu   sync.Mutex
	text []string
}

func (h *heard) Emit(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, line := e.Line()
	h.text = append(h.text, line)
}

type fixture struct {
	*testing.T
	*Store
	mem   *vfs.Mem
	heard *heard
	clock time.Time
}

func newFixture(t *testing.T, l Limits) *fixture {
	f := &fixture{T: t, mem: vfs.NewMem(), heard: &heard{}, clock: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	f.again(l)
	return f
}

// again opens the store as after a restart.
func (f *fixture) again(l Limits) {
	f.Store = Open(f.mem, dir, l, f.heard)
	f.Store.now = func() time.Time { return f.clock }
}

// id makes a letter's ID; tokens makes those that have a name each.
func id(n int) (out [16]byte) {
	order.PutUint64(out[:], uint64(n+1)*0x9e3779b97f4a7c15)
	return out
}

func tokens(names ...string) (out []uint64) {
	for _, n := range names {
		x := uint64(14695981039346656037)
		for i := range len(n) {
			x = (x ^ uint64(n[i])) * 1099511628211
		}
		out = append(out, x)
	}
	return out
}

// split makes tokens of a text.
func split(text string) []uint64 { return tokens(strings.Fields(text)...) }

func (f *fixture) learn(owner string, letter int, text string, isSpam bool, want Outcome) {
	f.Helper()
	got, err := f.Learn(f.Context(), owner, id(letter), split(text), isSpam)
	if err != nil || got != want {
		f.Errorf("Learn(%s, %d, %q, %v) = %v, %v; want %v", owner, letter, text, isSpam, got, err, want)
	}
}

func (f *fixture) contribute(account string, letter int, text string, isSpam bool, want Outcome) {
	f.Helper()
	got, err := f.Contribute(f.Context(), account, id(letter), split(text), isSpam)
	if err != nil || got != want {
		f.Errorf("Contribute(%s, %d, %q, %v) = %v, %v; want %v", account, letter, text, isSpam, got, err, want)
	}
}

// says is a layer in a line: "2/1 pill 2/0".
func (f *fixture) says(owner, words string) string {
	l := f.Layer(owner)
	out := fmt.Sprintf("%d/%d", l.Spam, l.Ham)
	for _, w := range strings.Fields(words) {
		s, h := l.Count(tokens(w)[0])
		out += fmt.Sprintf(" %s %d/%d", w, s, h)
	}
	return out
}

func (f *fixture) expect(owner, words, want string) {
	f.Helper()
	if got := f.says(owner, words); got != want {
		f.Errorf("%s of %q: %s; want %s", words, owner, got, want)
	}
}

const anna, ben, carl = "anna@a.test", "ben@a.test", "carl@a.test"

// Row 175: what was learnt is counted once, turned exactly, and taken back exactly.
func TestRow175Learn(t *testing.T) {
	f := newFixture(t, Limits{})
	f.learn(anna, 1, "pill now now", true, Learnt)
	f.learn(anna, 1, "pill now", true, Same)
	f.learn(anna, 2, "minutes now", false, Learnt)
	f.expect(anna, "pill now minutes", "1/1 pill 1/0 now 1/1 minutes 0/1")
	f.learn(anna, 1, "pill now", false, Turned)
	f.expect(anna, "pill now minutes", "0/2 pill 0/1 now 0/2 minutes 0/1")
	if o, err := f.Forget(f.Context(), anna, id(1), split("pill now")); o != Undone || err != nil {
		t.Errorf("Forget = %v, %v", o, err)
	}
	if o, err := f.Forget(f.Context(), anna, id(1), split("pill now")); o != Same || err != nil {
		t.Errorf("Forget again = %v, %v", o, err)
	}
	f.expect(anna, "pill now minutes", "0/1 pill 0/0 now 0/1 minutes 0/1")
	f.learn(anna, 1, "pill now", true, Learnt)
	f.expect(anna, "pill", "1/1 pill 1/0")
	f.expect(ben, "pill now minutes", "0/0 pill 0/0 now 0/0 minutes 0/0")
	f.expect(Server, "pill", "0/0 pill 0/0")

	f.Sync()
	f.again(Limits{})
	f.expect(anna, "pill now minutes", "1/1 pill 1/0 now 1/1 minutes 0/1")
	f.learn(anna, 2, "minutes now", false, Same)
}

func TestPoisoning(t *testing.T) {
	t.Run("MAP-014 what one account teaches never reaches the server alone", func(t *testing.T) {
		f := newFixture(t, Limits{})
		for i := range 200 {
			f.Contribute(f.Context(), anna, id(i), split(fmt.Sprint("invoice minutes ", i)), true)
		}
		f.expect(Server, "invoice minutes", "10/0 invoice 0/0 minutes 0/0")
		f.expect(ben, "invoice", "0/0 invoice 0/0")
	})
	t.Run("MAP-014 two accounts agree", func(t *testing.T) {
		f := newFixture(t, Limits{})
		f.contribute(anna, 1, "pill cheap", true, Learnt)
		f.contribute(anna, 2, "pill", true, Learnt)
		f.expect(Server, "pill cheap", "2/0 pill 0/0 cheap 0/0")
		f.contribute(ben, 3, "pill", true, Learnt)
		f.expect(Server, "pill cheap", "3/0 pill 3/0 cheap 0/0")
		// The same letter came to both.
		f.contribute(ben, 1, "pill cheap", true, Learnt)
		f.contribute(ben, 1, "pill cheap", true, Same)
		f.expect(Server, "pill cheap", "4/0 pill 4/0 cheap 2/0")
		// Taken back, exactly.
		f.contribute(anna, 1, "pill cheap", false, Turned)
		f.expect(Server, "pill cheap", "3/1 pill 3/1 cheap 1/1")
		if o, err := f.Withdraw(f.Context(), anna, id(1), split("pill cheap")); o != Undone || err != nil {
			t.Errorf("Withdraw = %v, %v", o, err)
		}
		f.expect(Server, "pill cheap", "3/0 pill 3/0 cheap 1/0")
		f.Sync()
		f.again(Limits{})
		f.expect(Server, "pill cheap", "3/0 pill 3/0 cheap 1/0")
	})
	t.Run("MAP-014 nobody takes back what others taught", func(t *testing.T) {
		f := newFixture(t, Limits{})
		f.contribute(anna, 1, "pill", true, Learnt)
		f.contribute(ben, 2, "pill", true, Learnt)
		// Two letters that are one by their Message-ID and the beginning of their text.
		f.contribute(carl, 3, "hello", true, Learnt)
		if o, err := f.Withdraw(f.Context(), carl, id(3), split("pill")); o != Same || err != nil {
			t.Errorf("Withdraw = %v, %v", o, err)
		}
		f.contribute(carl, 3, "pill", false, Learnt)
		f.expect(Server, "pill", "3/1 pill 2/1")
	})
	t.Run("MAP-014 no account has more than a third", func(t *testing.T) {
		f := newFixture(t, Limits{PerTeacher: 1000})
		n := 0
		for i := range 20 {
			for range 5 {
				n++
				f.contribute(fmt.Sprintf("u%d@a.test", i), n, "meeting", false, Learnt)
			}
		}
		for range 300 {
			n++
			f.Contribute(f.Context(), anna, id(n), split("meeting"), false)
		}
		f.expect(Server, "meeting", "0/150 meeting 0/150")
	})
	t.Run("MAP-014 who turns what he taught has no larger share for it", func(t *testing.T) {
		f := newFixture(t, Limits{PerTeacher: 1000})
		n := 0
		for i := range 20 {
			for range 10 {
				n++
				f.contribute(fmt.Sprintf("u%d@a.test", i), n, "meeting", false, Learnt)
			}
		}
		f.contribute(ben, 1000, "meeting", true, Learnt)
		f.contribute(carl, 1001, "meeting", true, Learnt)
		for i := range 100 {
			f.contribute(anna, 2000+i, "meeting agenda", false, Learnt)
		}
		f.expect(Server, "meeting", "2/300 meeting 2/300")
		// He says that all of it is spam: ten letters more are, and the others are none of his.
		for i := range 100 {
			want := Turned
			if i >= freeShare {
				want = Undone
			}
			f.contribute(anna, 2000+i, "meeting agenda", true, want)
		}
		f.expect(Server, "meeting agenda", "12/200 meeting 12/200 agenda 0/0")
		f.Sync()
		f.again(Limits{PerTeacher: 1000})
		f.expect(Server, "meeting agenda", "12/200 meeting 12/200 agenda 0/0")
		// Nor can he take back what others said, however often he changes his mind.
		for range 3 {
			for i := range 100 {
				f.Contribute(t.Context(), anna, id(2000+i), split("meeting agenda"), i%2 == 0)
				f.Withdraw(t.Context(), anna, id(2000+i), split("meeting agenda"))
			}
		}
		f.expect(Server, "meeting agenda", "2/200 meeting 2/200 agenda 0/0")
	})
	t.Run("MAP-014 an account teaches only so much a day", func(t *testing.T) {
		f := newFixture(t, Limits{PerDay: 3, PerTeacher: 2})
		for i := range 3 {
			f.learn(anna, i, "a", true, Learnt)
		}
		f.learn(anna, 3, "a", true, Refused)
		f.learn(anna, 2, "a", false, Turned)
		f.learn(ben, 3, "a", true, Learnt)
		f.contribute(ben, 1, "a", true, Learnt)
		f.contribute(ben, 2, "a", true, Learnt)
		f.contribute(ben, 3, "a", true, Refused)
		f.clock = f.clock.Add(24 * time.Hour)
		f.learn(anna, 3, "a", true, Learnt)
		f.contribute(ben, 3, "a", true, Learnt)
	})
	t.Run("MAP-014 a million unique tokens in a letter", func(t *testing.T) {
		f := newFixture(t, Limits{})
		many := make([]uint64, 1_000_000)
		for i := range many {
			many[i] = rand.Uint64()
		}
		if o, err := f.Learn(t.Context(), anna, id(1), many, true); o != Learnt || err != nil {
			t.Fatal(o, err)
		}
		st, err := f.Standing(anna)
		if err != nil || st.Tokens != MaxTokens || st.Memory > 200_000 {
			t.Errorf("%+v, %v", st, err)
		}
		rand.Shuffle(len(many), func(i, j int) { many[i], many[j] = many[j], many[i] })
		if o, err := f.Forget(t.Context(), anna, id(1), many); o != Undone || err != nil {
			t.Fatal(o, err)
		}
		if st, err = f.Standing(anna); err != nil || st.Tokens != 0 {
			t.Errorf("%+v, %v", st, err)
		}
	})
	t.Run("MAP-014 rubbish never pushes out what is in use", func(t *testing.T) {
		f := newFixture(t, Limits{AccountTokens: 5000})
		for i := range 60 {
			f.learn(anna, i, "meeting minutes agenda", false, Learnt)
		}
		for i := range 100 {
			var rubbish []uint64
			for range 300 {
				rubbish = append(rubbish, rand.Uint64())
			}
			if _, err := f.Learn(t.Context(), anna, id(1000+i), rubbish, true); err != nil {
				t.Fatal(err)
			}
		}
		f.expect(anna, "meeting minutes agenda", "100/60 meeting 0/60 minutes 0/60 agenda 0/60")
		if st, _ := f.Standing(anna); st.Tokens > 5000 || st.Tokens < 3000 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("MAP-014 what waits for a second account is bounded", func(t *testing.T) {
		f := newFixture(t, Limits{ServerTokens: 2000})
		for i := range 30 {
			var rubbish []uint64
			for range 300 {
				rubbish = append(rubbish, rand.Uint64())
			}
			f.Contribute(t.Context(), fmt.Sprintf("u%d@a.test", i), id(i), rubbish, true)
		}
		if st, _ := f.Standing(Server); st.Waiting > 1000 || st.Waiting == 0 || st.Tokens != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// Old counts weigh less: everything is halved when there is much.
func TestAging(t *testing.T) {
	f := newFixture(t, Limits{PerDay: 100_000})
	for i := range 10_000 {
		f.learn(anna, i, fmt.Sprint("pill rare", i), true, Learnt)
	}
	f.expect(anna, "pill rare1", "5000/0 pill 5000/0 rare1 0/0")
	// What counted before the halving is not taken out twice.
	f.learn(anna, 9_000, "pill rare9000", false, Turned)
	f.expect(anna, "pill", "5000/1 pill 5000/1")
	f.Sync()
	f.again(Limits{})
	f.expect(anna, "pill rare9000", "5000/1 pill 5000/1 rare9000 0/1")
}

func TestLettersExpire(t *testing.T) {
	f := newFixture(t, Limits{})
	f.learn(anna, 1, "pill", true, Learnt)
	f.clock = f.clock.AddDate(0, 0, keepDays+1)
	f.learn(anna, 2, "pill", true, Learnt)
	if st, _ := f.Standing(anna); st.Letters != 1 || st.Spam != 2 {
		t.Errorf("%+v", st)
	}
	l := newLetters(10)
	for i := range 1000 {
		l.put(uint64(i), learnt{class: spam})
	}
	if len(l.known) != 10 || len(l.order) > 200 {
		t.Errorf("%d letters, %d in order", len(l.known), len(l.order))
	}
}

// A crash at any operation leaves what was durable, and never less than whole lessons.
func TestCrash(t *testing.T) {
	steps := func(f *fixture) (durable int) {
		for i := range 12 {
			if _, err := f.Learn(f.Context(), anna, id(i), split(fmt.Sprint("pill n", i)), true); err != nil {
				return durable
			}
			if i%3 == 2 {
				if f.Sync() != nil {
					return durable
				}
				durable = i + 1
			}
			if i == 7 {
				f.book(anna).log.spoilt = true // the counts are written anew
			}
		}
		return durable
	}
	whole := newFixture(t, Limits{})
	steps(whole)
	for n := range whole.mem.Ops() {
		f := newFixture(t, Limits{})
		f.mem.StopAfter(n)
		durable := steps(f)
		for seed := range uint64(4) {
			after := &fixture{T: t, mem: f.mem.Crash(seed), heard: &heard{}, clock: f.clock}
			after.again(Limits{})
			l := after.Layer(anna)
			if s, _ := l.Count(tokens("pill")[0]); int(l.Spam) < durable || s != l.Spam {
				t.Fatalf("stopped after %d operations, seed %d: %d letters, pill in %d; %d were durable: %q", n, seed, l.Spam, s, durable, after.heard.text)
			}
			for _, line := range after.heard.text {
				if strings.Contains(line, "anew") {
					t.Fatalf("stopped after %d operations, seed %d: %s", n, seed, line)
				}
			}
			after.learn(anna, 100, "pill", true, Learnt)
			after.Sync()
			before := after.says(anna, "pill")
			after.again(Limits{})
			after.expect(anna, "pill", before)
			// What is left can be taken back, exactly.
			for i := range 12 {
				after.Forget(t.Context(), anna, id(i), split(fmt.Sprint("pill n", i)))
			}
			after.Forget(t.Context(), anna, id(100), split("pill"))
			if st, err := after.Standing(anna); err != nil || st.Tokens != 0 || st.Spam+st.Ham != 0 {
				t.Fatalf("stopped after %d operations, seed %d: all was taken back, and %+v is left, %v", n, seed, st, err)
			}
		}
	}
}

// What can't be written is not learnt, and does no harm to what comes later.
func TestFullDisk(t *testing.T) {
	f := newFixture(t, Limits{})
	f.learn(anna, 1, "pill", true, Learnt)
	f.mem.Inject(vfs.Fault{Op: vfs.OpWrite, Match: ".log", Nth: 1, Err: syscall.ENOSPC, Short: true})
	if _, err := f.Learn(t.Context(), anna, id(2), split("pill"), true); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	f.expect(anna, "pill", "1/0 pill 1/0")
	f.mem.Heal()
	f.learn(anna, 3, "pill", true, Learnt)
	f.again(Limits{})
	f.expect(anna, "pill", "2/0 pill 2/0")
}

func TestDamage(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"a bit":         func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"half":          func(b []byte) []byte { return b[:len(b)/2] },
		"nothing":       func(b []byte) []byte { return nil },
		"newer version": func(b []byte) []byte { b[7]++; return b },
	} {
		f := newFixture(t, Limits{})
		f.learn(anna, 1, "pill", true, Learnt)
		f.learn(ben, 1, "pill", true, Learnt)
		f.Sync()
		file := path.Join(dir, fileName(anna)) + ".words"
		data, err := vfs.ReadFile(f.mem, file, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFile(f.mem, file, spoil(data), 0o600); err != nil {
			t.Fatal(err)
		}
		f.again(Limits{})
		f.expect(anna, "pill", "0/0 pill 0/0")
		f.expect(ben, "pill", "1/0 pill 1/0")
		if len(f.heard.text) != 1 || !strings.Contains(f.heard.text[0], anna) || !strings.Contains(f.heard.text[0], "aside-20260501T120000") {
			t.Errorf("%s: told %q", name, f.heard.text)
		}
		if _, err := f.mem.Stat(file + ".aside-20260501T120000"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.learn(anna, 1, "pill", true, Learnt)
		f.again(Limits{})
		f.expect(anna, "pill", "1/0 pill 1/0")
	}
}

// A file that can't be read for a while is neither empty nor damaged.
func TestUnreadable(t *testing.T) {
	f := newFixture(t, Limits{})
	f.learn(anna, 1, "pill", true, Learnt)
	f.again(Limits{})
	f.mem.Inject(vfs.Fault{Op: vfs.OpAny, Match: ".words", For: -1, Err: syscall.EIO})
	f.expect(anna, "pill", "0/0 pill 0/0")
	if _, err := f.Learn(t.Context(), anna, id(2), split("pill"), true); err == nil {
		t.Error("learnt without knowing what was learnt before")
	}
	f.mem.Heal()
	f.clock = f.clock.Add(2 * retryAfter * time.Second)
	f.expect(anna, "pill", "1/0 pill 1/0")
}

// Accounts at rest leave the memory, and those that are in use do if they are too many.
func TestTidy(t *testing.T) {
	f := newFixture(t, Limits{Memory: 40_000})
	for i := range 40 {
		f.learn(fmt.Sprintf("u%d@a.test", i), 1, "pill", true, Learnt)
		f.clock = f.clock.Add(time.Second)
	}
	f.tidy()
	if n := len(f.books); n != 40 {
		t.Errorf("%d books: what is not durable stays", n)
	}
	f.Sync()
	f.tidy()
	if n := len(f.books); n >= 40 || n < 5 || f.books["u39@a.test"] == nil {
		t.Errorf("%d books", n)
	}
	f.Layer(Server)
	f.clock = f.clock.Add((restAfter + 60) * time.Second)
	f.tidy()
	if n := len(f.books); n != 1 {
		t.Errorf("%d books", n)
	}
	f.expect("u3@a.test", "pill", "1/0 pill 1/0")
	list, err := f.List(t.Context())
	if err != nil || len(list) != 40 || list[0].Owner != "u0@a.test" || list[0].Spam != 1 || list[0].Disk == 0 {
		t.Errorf("%d, %v, %+v", len(list), err, list[0])
	}
	if err := f.Remove(t.Context(), "u3@a.test"); err != nil {
		t.Error(err)
	}
	f.expect("u3@a.test", "pill", "0/0 pill 0/0")
	if list, err = f.List(t.Context()); err != nil || len(list) != 39 {
		t.Errorf("%d, %v", len(list), err)
	}
}

// Readers and teachers, and accounts that leave under them.
func TestTogether(t *testing.T) {
	f := newFixture(t, Limits{Memory: 1})
	var busy sync.WaitGroup
	for g := range 4 {
		busy.Go(func() {
			for i := range 200 {
				text := fmt.Sprintf("pill w%d w%d", g*1000+i, i)
				if _, err := f.Learn(t.Context(), anna, id(g*1000+i), split(text), true); err != nil {
					t.Error(err)
				}
				if _, err := f.Contribute(t.Context(), fmt.Sprint(g), id(i), split(text), i%2 == 0); err != nil {
					t.Error(err)
				}
				l := f.Layer(anna)
				if s, h := l.Count(tokens("pill")[0]); h != 0 || s > 800 {
					t.Error(s, h)
				}
				if i%20 == 0 {
					f.Sync()
					f.tidy()
				}
			}
		})
	}
	busy.Wait()
	f.Sync()
	f.tidy()
	f.expect(anna, "pill", "800/0 pill 800/0")
	f.again(Limits{})
	f.expect(anna, "pill", "800/0 pill 800/0")
}

// A book does what a map would do.
func TestModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := newFixture(t, Limits{})
	said := map[int]bool{}
	text := func(n int) string { return fmt.Sprintf("a%d b%d c%d", n%3, n%7, n%31) }
	for range 3000 {
		n, isSpam := rng.IntN(400), rng.IntN(2) == 0
		was, known := said[n]
		switch {
		case rng.IntN(10) == 0:
			f.Forget(t.Context(), anna, id(n), split(text(n)))
			delete(said, n)
		case known && was == isSpam:
			f.learn(anna, n, text(n), isSpam, Same)
		case known:
			f.learn(anna, n, text(n), isSpam, Turned)
			said[n] = isSpam
		default:
			if o, _ := f.Learn(t.Context(), anna, id(n), split(text(n)), isSpam); o == Learnt {
				said[n] = isSpam
			}
		}
		if rng.IntN(300) == 0 {
			f.Sync()
			f.again(Limits{})
		}
	}
	counts := map[string][2]int{}
	letters := [2]int{}
	for n, isSpam := range said {
		at := 1
		if isSpam {
			at = 0
		}
		letters[at]++
		for _, w := range strings.Fields(text(n)) {
			c := counts[w]
			c[at]++
			counts[w] = c
		}
	}
	for w, c := range counts {
		f.expect(anna, w, fmt.Sprintf("%d/%d %s %d/%d", letters[0], letters[1], w, c[0], c[1]))
	}
}

// A million tokens take 20 MB, in memory and on the disk.
func TestRow175MemoryOfAMillionTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	s := Open(vfs.OS{}, path.Join(t.TempDir(), "lexicon"), Limits{ServerTokens: 1_100_000}, event.Discard)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 1_000_000 / 4000 {
		letter := make([]uint64, 4000)
		for j := range letter {
			letter[j] = rng.Uint64()
		}
		if _, err := s.Learn(t.Context(), Server, id(i), letter, i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	st, err := s.Standing(Server)
	if err != nil || st.Tokens < 999_000 {
		t.Fatalf("%+v, %v", st, err)
	}
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d tokens: %d bytes of heap, %d reckoned, %d on disk", st.Tokens, grown, st.Memory, st.Disk)
	if most := int64(20 << 20); grown > most || st.Memory > most {
		t.Errorf("%d bytes of heap, %d reckoned", grown, st.Memory)
	}
	s.Sync()
	again := Open(vfs.OS{}, s.dir, Limits{ServerTokens: 1_100_000}, event.Discard)
	if got, err := again.Standing(Server); err != nil || got.Tokens != st.Tokens || got.Memory > 20<<20 {
		t.Errorf("%+v after a restart, %v", got, err)
	}
}

func FuzzFiles(f *testing.F) {
	s := &fixture{mem: vfs.NewMem(), heard: &heard{}, clock: time.Unix(1_800_000_000, 0)}
	s.again(Limits{})
	s.Learn(context.Background(), Server, id(1), split("pill now"), true)
	s.Contribute(context.Background(), anna, id(2), split("pill now"), true)
	b := s.book(Server)
	f.Add(b.read.Load().encode(Server), appendLesson(nil, &lesson{key: 1, class: spam, day: 3, tokens: []uint64{1, 2}}))
	f.Fuzz(func(t *testing.T, counts, log []byte) {
		p := newPages(1, Limits{}.filled().of(Server))
		if len(counts) > 4 { // so that more than the checksum is tried
			counts = resum(counts)
		}
		if _, err := p.decode(counts); err == nil {
			p.encode("x")
		}
		p = newPages(1, Limits{}.filled().of(Server))
		p.replay(log)
	})
}

// resum gives a file the checksum that it should have.
func resum(b []byte) []byte {
	body := b[:len(b)-4]
	return order.AppendUint32(append([]byte(nil), body...), crc32.Checksum(body, castagnoli))
}

func BenchmarkCount(b *testing.B) {
	t := table{seed: 7}
	known := make([]uint64, 1_000_000)
	for i := range known {
		known[i] = rand.Uint64()
		t.add(known[i], 1, 0, 1)
	}
	some := known[:1000]
	for name, list := range map[string]func(i int) uint64{
		"known":    func(i int) uint64 { return known[i%len(known)] },
		"habitual": func(i int) uint64 { return some[i%len(some)] },
		"unknown":  func(i int) uint64 { return known[i%len(known)] + 1 },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t.count(list(i))
			}
		})
	}
}
