package lexicon

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// TestKilled: kill -9 while letters are learnt. What was synced is there, nothing is
// damaged, and what is left can be taken back, exactly.
func TestKilled(t *testing.T) {
	const place = "LEXICON_OF_THE_KILLED"
	text := func(i int) []uint64 { return split(fmt.Sprintf("pill a%d b%d", i%5, i)) }
	if dir := os.Getenv(place); dir != "" {
		s := Open(vfs.OS{}, dir, Limits{PerDay: 1 << 20}, event.Discard)
		for i := 0; ; i++ {
			if _, err := s.Learn(context.Background(), anna, id(i), text(i), i%3 > 0); err != nil {
				os.Exit(1)
			}
			if i%7 == 0 {
				s.Learn(context.Background(), anna, id(i/2), text(i/2), i/2%3 == 0) // says the other thing
			}
			if i%10 == 9 && s.Sync() == nil {
				fmt.Println(i + 1)
			}
			if i%40 == 0 {
				s.book(anna).log.spoilt = true // the counts are written anew
			}
		}
	}
	for round := range 3 {
		dir := t.TempDir()
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), place+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		durable, last := 0, 100+150*round
		for lines := bufio.NewScanner(out); durable < last && lines.Scan(); {
			fmt.Sscan(lines.Text(), &durable)
		}
		child.Process.Kill()
		child.Wait()
		told := &heard{}
		s := Open(vfs.OS{}, dir, Limits{}, told)
		st, err := s.Standing(anna)
		if err != nil || int(st.Spam+st.Ham) < durable || durable < last || len(told.text) > 0 {
			t.Fatalf("%d letters were durable: %+v, %v, told %q", durable, st, err, told.text)
		}
		for i := range st.Letters {
			s.Forget(t.Context(), anna, id(i), text(i))
		}
		if st, err = s.Standing(anna); err != nil || st.Tokens != 0 || st.Spam+st.Ham != 0 {
			t.Errorf("all was taken back, and %+v is left, %v", st, err)
		}
	}
}

// TestCopy: a backup copies an owner's journal, then the counts, while letters are learnt. It
// has all that was learnt when the journal was copied, and nothing is damaged.
func TestCopy(t *testing.T) {
	type moment struct{ journal, counts []byte }
	f := newFixture(t, Limits{})
	name := path.Join(dir, fileName(anna))
	var moments []moment
	for i := range 12 {
		if i == 4 || i == 9 {
			f.book(anna).log.spoilt = true // the counts are written anew
		}
		f.learn(anna, i, "pill", true, Learnt)
		journal, _ := vfs.ReadFile(f.mem, name+".log", 1<<20)
		counts, err := vfs.ReadFile(f.mem, name+".words", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		moments = append(moments, moment{journal, counts})
	}
	for i, first := range moments {
		for j := i; j < len(moments); j++ {
			c := newFixture(t, Limits{})
			if err := vfs.MkdirAll(c.mem, path.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			for suffix, data := range map[string][]byte{".log": first.journal, ".words": moments[j].counts} {
				if err := vfs.WriteFile(c.mem, name+suffix, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l := c.Layer(anna)
			if n, _ := l.Count(tokens("pill")[0]); int(l.Spam) < i+1 || int(l.Spam) > j+1 || n != l.Spam || len(c.heard.text) > 0 {
				t.Errorf("journal after %d letters, counts after %d: %d letters, pill in %d; told %q", i+1, j+1, l.Spam, n, c.heard.text)
			}
		}
	}
}
