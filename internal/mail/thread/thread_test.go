package thread

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

// letters reads "id<ref,ref subject@sent" in their order; "Re:" in front of the
// subject makes a reply.
func letters(text string) (out []Letter) {
	for i, f := range strings.Fields(text) {
		l := Letter{Number: uint32(i + 1), Sent: int64(i)}
		f, sent, dated := strings.Cut(f, "@")
		if dated {
			fmt.Sscan(sent, &l.Sent)
		}
		f, l.Subject, _ = strings.Cut(f, "/")
		l.Subject, l.Reply = strings.CutPrefix(l.Subject, "Re:")
		id, refs, answers := strings.Cut(f, "<")
		if l.ID = id; answers {
			l.References = strings.Split(refs, ",")
		}
		out = append(out, l)
	}
	return out
}

func TestAlgorithms(t *testing.T) {
	for _, c := range []struct {
		name, in, subject, references, refs string
	}{
		{"none", "", "", "", ""},
		{"one", "a", "(1)", "(1)", "(1)"},
		{"line", "a/s b<a/Re:s c<a,b/Re:s", "(1 (2)(3))", "(1 2 3)", "(1 2 3)"},
		{"branches", "a b<a c<a d<a,b", "(1 (2)(3)(4))", "(1 (2 4)(3))", "(1 (2 4)(3))"},
		{"the root is missing", "b<a/x c<a/y", "(1)(2)", "((1)(2))", "((1)(2))"},
		{"a middle is missing", "a/x d<a,b,c/y", "(1)(2)", "(1 2)", "(1 2)"},
		{"the root is missing, dates", "b<a/x@5 c<a/y@3", "(2)(1)", "((2)(1))", "((2)(1))"},
		{"only one below a missing root", "b<a/x", "(1)", "(1)", "(1)"},
		{"answers come first", "c<a,b/x b<a/x a/x", "(1 (2)(3))", "(3 2 1)", "(3 2 1)"},
		{"dates", "a/x@5 b/y@3 c<a/x@1", "(3 1)(2)", "(2)(1 3)", "(2)(1 3)"},
		{"subjects are one", "a/x b/Re:x c/x", "(1 (2)(3))", "((1 2)(3))", "(1)(2)(3)"},
		{"two replies", "a/Re:x b/Re:x", "(1 2)", "((1)(2))", "(1)(2)"},
		{"reply before", "a/Re:x b/x", "(1 2)", "(2 1)", "(1)(2)"},
		{"empty subjects stay apart", "a/ b/", "(1 2)", "(1)(2)", "(1)(2)"},
		{"two roots that are missing", "b<a/x c<a/x e<d/x f<d/x", "(1 (2)(3)(4))", "((1)(2)(3)(4))", "((1)(2))((3)(4))"},
		{"same id twice", "a/x a/y b<a/z", "(1)(2)(3)", "(1 3)(2)", "(2)(1 3)"},
		{"answers itself", "a<a/x", "(1)", "(1)", "(1)"},
		{"loop", "a<b/x b<a/x", "(1 2)", "(2 1)", "(2 1)"},
		{"long loop", "a<c/x b<a/y c<b/z", "(1)(2)(3)", "(3 1 2)", "(3 1 2)"},
		{"refs by the youngest", "a/x@1 b/y@2 c<a/z@9", "(1)(2)(3)", "(1 3)(2)", "(2)(1 3)"},
	} {
		for name, f := range map[string]struct {
			do   func([]Letter) []*Thread
			want string
		}{"ORDEREDSUBJECT": {OrderedSubject, c.subject}, "REFERENCES": {References, c.references}, "REFS": {Refs, c.refs}} {
			if got := string(Append(nil, f.do(letters(c.in)))); got != f.want {
				t.Errorf("%s by %s: %s, want %s", c.name, name, got, f.want)
			}
		}
	}
}

// TestEveryLetterOnce: whatever the references, each letter stands in the answer
// once, and parentheses fit.
func TestEveryLetterOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 3000 {
		ls := make([]Letter, rng.IntN(12))
		for i := range ls {
			ls[i] = Letter{Number: uint32(i + 1), Sent: rng.Int64N(5), ID: string(rune('a' + rng.IntN(12))), Subject: []string{"", "x", "y"}[rng.IntN(3)], Reply: rng.IntN(2) == 0}
			for range rng.IntN(4) {
				ls[i].References = append(ls[i].References, string(rune('a'+rng.IntN(14))))
			}
		}
		for name, f := range map[string]func([]Letter) []*Thread{"ORDEREDSUBJECT": OrderedSubject, "REFERENCES": References, "REFS": Refs} {
			got := string(Append(nil, f(ls)))
			seen := map[string]int{}
			for _, n := range strings.FieldsFunc(got, func(r rune) bool { return r < '0' }) {
				seen[n]++
			}
			bad := len(seen) != len(ls) || strings.Count(got, "(") != strings.Count(got, ")")
			for _, n := range seen {
				bad = bad || n != 1
			}
			if bad {
				t.Fatalf("%s: %+v\ngives %s", name, ls, got)
			}
		}
	}
}

func TestINV16ThreadDoubling(t *testing.T) {
	id := func(n int) string { return fmt.Sprint("<", n, "@x>") }
	for name, one := range map[string]func(i, n int) Letter{
		"chain":     func(i, _ int) Letter { return Letter{ID: id(i), References: []string{id(i - 1)}} },
		"backwards": func(i, n int) Letter { return Letter{ID: id(n - i), References: []string{id(n - i - 1)}} },
		"star":      func(i, _ int) Letter { return Letter{ID: id(i), References: []string{id(0)}} },
		"missing":   func(i, _ int) Letter { return Letter{References: []string{id(-i), id(-i - 1)}} },
		"knots": func(i, n int) Letter {
			return Letter{ID: id(i), References: []string{id((i * 7919) % n), id((i * 104729) % n), id(i + 1)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Check(t, name, 4000, func(n int) func() {
				ls := make([]Letter, n)
				for i := range ls {
					ls[i] = one(i, n)
					ls[i].Number, ls[i].Subject = uint32(i+1), fmt.Sprint(i%100)
				}
				return func() { Append(nil, References(ls)) }
			})
		})
	}
}
