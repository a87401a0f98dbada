package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"facteur/internal/mail/words"
)

func env(k string, d float64) float64 {
	if v := os.Getenv(k); v != "" {
		f, _ := strconv.ParseFloat(v, 64)
		return f
	}
	return d
}

type model struct {
	w     map[uint64]float64
	names map[uint64]string
}

type view func(*letter) *words.View

func wordsView(l *letter) *words.View { return &l.tokens.Words }
func shapeView(l *letter) *words.View { return &l.tokens.Shape }

// train LR
func trainLR(ls []*letter, v view) *model {
	minDF, minSrc := int(env("DF", 5)), int(env("SRC", 4))
	type info struct {
		id   int
		df   int
		src  map[string]struct{}
		name string
	}
	feats := map[uint64]*info{}
	nsrc := [2]map[string]int{{}, {}}
	for _, l := range ls {
		nsrc[b2i(l.spam)][l.source]++
		for f, name := range v(l).Features() {
			if f.Local {
				continue
			}
			x := feats[f.Hash]
			if x == nil {
				x = &info{src: map[string]struct{}{}, name: name()}
				feats[f.Hash] = x
			}
			x.df++
			x.src[l.source] = struct{}{}
		}
	}
	ids := []uint64{}
	for h, x := range feats {
		if x.df >= minDF && len(x.src) >= minSrc {
			ids = append(ids, h)
		}
	}
	slices.Sort(ids)
	for i, h := range ids {
		feats[h].id = i + 1
	}
	type ex struct {
		x []int
		y float64
		c float64
		n float64
	}
	exs := []ex{}
	tot := [2]float64{}
	p := env("SRCPOW", 0.5)
	for _, l := range ls {
		e := ex{y: -1}
		if l.spam {
			e.y = 1
		}
		for f := range v(l).Features() {
			if x := feats[f.Hash]; x != nil && x.id > 0 {
				e.x = append(e.x, x.id-1)
			}
		}
		e.c = math.Pow(float64(nsrc[b2i(l.spam)][l.source]), -p)
		if strings.Contains(l.path, "/hard-ham") {
			e.c *= env("HARD", 1)
		}
		e.n = norm(len(e.x))
		tot[b2i(l.spam)] += e.c
		exs = append(exs, e)
	}
	for i := range exs {
		exs[i].c *= float64(len(exs)) / 2 / tot[b2i(exs[i].y > 0)]
	}
	w := make([]float64, len(ids))
	g2 := make([]float64, len(ids))
	rng := rand.New(rand.NewPCG(1, 2))
	lr, l2, cap := env("LR", 0.3), env("L2", 0.0003), env("CAP", 2)
	epochs := int(env("EPOCHS", 30))
	for range epochs {
		for _, i := range rng.Perm(len(exs)) {
			e := &exs[i]
			s := 0.0
			for _, j := range e.x {
				s += w[j]
			}
			s *= e.n
			g := -e.y * e.c / (1 + math.Exp(e.y*s)) * e.n
			for _, j := range e.x {
				gj := g + l2*w[j]
				g2[j] += gj * gj
				w[j] -= lr * gj / math.Sqrt(g2[j]+1e-2)
				w[j] = max(-cap, min(cap, w[j]))
			}
		}
	}
	m := &model{w: map[uint64]float64{}, names: map[uint64]string{}}
	for i, h := range ids {
		m.w[h] = w[i]
		m.names[h] = feats[h].name
	}
	return m
}

func norm(n int) float64 { return env0.scale / math.Sqrt(float64(n)+env0.n0) }

var env0 = struct{ scale, n0 float64 }{env("SCALE", 3), env("N0", 20)}

func (m *model) score(v *words.View) float64 {
	s, n := 0.0, 0
	for f := range v.Features() {
		if w, ok := m.w[f.Hash]; ok && !f.Local {
			s += w
			n++
		}
	}
	return s * norm(n)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// counts
type counts struct {
	spam, ham uint32
	c         map[uint64][2]uint32
}

func learn(ls []*letter) *counts {
	k := &counts{c: map[uint64][2]uint32{}}
	for _, l := range ls {
		if l.spam {
			k.spam++
		} else {
			k.ham++
		}
		for _, h := range l.tokens.Hashes() {
			x := k.c[h]
			x[1-b2i(!l.spam)]++
			k.c[h] = x
		}
	}
	return k
}

// chi
func (k *counts) chi(v *words.View) float64 {
	S, X := env("BS", 0.05), 0.5
	N := int(env("TOP", 150))
	mind := env("MIND", 0.1)
	ps := []float64{}
	for f := range v.Features() {
		c, ok := k.c[f.Hash]
		if !ok {
			continue
		}
		a, b := float64(c[1])/float64(k.spam), float64(c[0])/float64(k.ham)
		p := a / (a + b)
		n := float64(c[0] + c[1])
		q := (S*X + n*p) / (S + n)
		if math.Abs(q-0.5) >= mind {
			ps = append(ps, q)
		}
	}
	sort.Slice(ps, func(i, j int) bool { return math.Abs(ps[i]-.5) > math.Abs(ps[j]-.5) })
	if len(ps) > N {
		ps = ps[:N]
	}
	ls, lh := 0.0, 0.0
	for _, p := range ps {
		ls += math.Log(1 - p)
		lh += math.Log(p)
	}
	return (ls2(lh, len(ps)) - ls2(ls, len(ps)))
}

// returns H = chi2Q(-2 ln, 2n)
func ls2(sum float64, n int) float64 {
	return chi2q(-2*sum, 2*n)
}
func chi2q(x2 float64, v int) float64 {
	m := x2 / 2
	t := math.Exp(-m)
	s := t
	if m > 700 {
		return 0
	}
	for i := 1; i < v/2; i++ {
		t *= m / float64(i)
		s += t
	}
	return min(s, 1)
}

// nb: log odds sum of top N normalised
func (k *counts) nb(v *words.View) float64 {
	S := env0b.s
	N := env0b.n
	ps := []float64{}
	for f := range v.Features() {
		c, ok := k.c[f.Hash]
		if !ok {
			continue
		}
		a, b := float64(c[1])/float64(k.spam), float64(c[0])/float64(k.ham)
		p := a / (a + b)
		n := float64(c[0] + c[1])
		q := (S*0.5 + n*p) / (S + n)
		ps = append(ps, math.Log(q/(1-q)))
	}
	sort.Slice(ps, func(i, j int) bool { return math.Abs(ps[i]) > math.Abs(ps[j]) })
	if len(ps) > N {
		ps = ps[:N]
	}
	s := 0.0
	for _, p := range ps {
		s += p
	}
	return s * env0b.scale / math.Sqrt(float64(len(ps))+env0b.n0)
}

var env0b = struct {
	s, n0, scale float64
	n            int
}{env("NBS", 1), env("NBN0", 5), env("NBSCALE", 1), int(env("NBTOP", 100))}

func report(name string, ls []*letter, score func(*letter) float64, th float64) {
	var ham, spam []float64
	fp, miss := 0, 0
	for _, l := range ls {
		s := score(l)
		if l.spam {
			spam = append(spam, s)
			if s < th {
				miss++
			}
		} else {
			ham = append(ham, s)
			if s >= th {
				fp++
			}
		}
	}
	sort.Sort(sort.Reverse(sort.Float64Slice(ham)))
	line := fmt.Sprintf("%-22s fp %3d/%d miss %3d/%d at %.2f |", name, fp, len(ham), miss, len(spam), th)
	for _, k := range []int{0, 1, 3, 10} {
		if k < len(ham) {
			m := 0
			for _, s := range spam {
				if s <= ham[k] {
					m++
				}
			}
			line += fmt.Sprintf(" fp%d: miss %d (th %.2f)", k, m, ham[k])
		}
	}
	fmt.Println(line)
}

func half(ls []*letter, h int) (out []*letter) {
	for _, l := range ls {
		if l.half == h {
			out = append(out, l)
		}
	}
	return
}

func experiments(ls []*letter) {
	tr, te := half(ls, 0), half(ls, 1)
	if os.Getenv("SWAP") != "" {
		tr, te = te, tr
	}
	w, s := trainLR(tr, wordsView), trainLR(tr, shapeView)
	fmt.Println("features", len(w.w), len(s.w))
	fw := func(l *letter) float64 { return w.score(&l.tokens.Words) }
	fs := func(l *letter) float64 { return s.score(&l.tokens.Shape) }
	report("prior words", te, fw, 0)
	report("prior shape", te, fs, 0)
	report("prior both", te, func(l *letter) float64 { return fw(l) + fs(l) }, 0)
	clip := func(x float64) float64 { return max(-3.5, min(4.5, x)) }
	report("prior clipped", te, func(l *letter) float64 { return clip(fw(l)) + clip(fs(l)) }, 5)
	if os.Getenv("HARDL") != "" {
		hard(te, "", func(l *letter) float64 { return fw(l) + fs(l) }, 30)
	}
	if os.Getenv("LAYER") != "" {
		k := learn(tr)
		fmt.Println("counts", len(k.c))
		cw := func(l *letter) float64 { return k.chi(&l.tokens.Words) }
		cs := func(l *letter) float64 { return k.chi(&l.tokens.Shape) }
		report("chi words", te, cw, 0)
		report("chi shape", te, cs, 0)
		report("chi both", te, func(l *letter) float64 { return cw(l) + cs(l) }, 1)
		nw := func(l *letter) float64 { return k.nb(&l.tokens.Words) }
		ns := func(l *letter) float64 { return k.nb(&l.tokens.Shape) }
		report("nb words", te, nw, 0)
		report("nb shape", te, ns, 0)
		report("nb both", te, func(l *letter) float64 { return nw(l) + ns(l) }, 0)
		report("nb+lr words", te, func(l *letter) float64 { return nw(l) + fw(l) }, 0)
		report("nb+lr all", te, func(l *letter) float64 { return nw(l) + fw(l) + ns(l) + fs(l) }, 0)
	}
	if os.Getenv("STACK") != "" {
		stacked(tr, te)
	}
	if os.Getenv("TOPW") != "" {
		for _, m := range []*model{w, s} {
			var hs []uint64
			for h := range m.w {
				hs = append(hs, h)
			}
			sort.Slice(hs, func(i, j int) bool { return m.w[hs[i]] > m.w[hs[j]] })
			for i, h := range hs {
				if i < 150 || i > len(hs)-150 {
					fmt.Printf("%s %.2f; ", m.names[h], m.w[h])
				}
				if i == 150 {
					fmt.Println("\n----")
				}
			}
			fmt.Println()
		}
	}
	if os.Getenv("LOSO") != "" {
		loso(ls)
	}
}

// leave one source out: ham lists grouped
func loso(ls []*letter) {
	groups := map[string][]*letter{}
	n := map[string]int{}
	for _, l := range ls {
		n[l.source]++
	}
	for _, l := range ls {
		g := l.source
		if n[g] < 40 {
			g = "rest " + strconv.Itoa(int(l.digest[0])%4)
		}
		groups[g] = append(groups[g], l)
	}
	var all []*letter
	scores := map[*letter][2]float64{}
	for g, out := range groups {
		srcs := map[string]bool{}
		for _, l := range out {
			srcs[l.source] = true
		}
		var tr []*letter
		for _, l := range ls {
			if !srcs[l.source] {
				tr = append(tr, l)
			}
		}
		w, s := trainLR(tr, wordsView), trainLR(tr, shapeView)
		for _, l := range out {
			scores[l] = [2]float64{w.score(&l.tokens.Words), s.score(&l.tokens.Shape)}
			all = append(all, l)
		}
		_ = g
	}
	report("loso words", all, func(l *letter) float64 { return scores[l][0] }, 0)
	report("loso shape", all, func(l *letter) float64 { return scores[l][1] }, 0)
	report("loso both", all, func(l *letter) float64 { return scores[l][0] + scores[l][1] }, 0)
	clip := func(x float64) float64 { return max(-3.5, min(4.5, x)) }
	report("loso clipped", all, func(l *letter) float64 { return clip(scores[l][0]) + clip(scores[l][1]) }, 5)
	byFolder := map[string][]*letter{}
	for _, l := range all {
		if !l.spam {
			f := strings.Split(l.path, "/")
			byFolder[f[len(f)-2]] = append(byFolder[f[len(f)-2]], l)
		}
	}
	for f, x := range byFolder {
		report(f, x, func(l *letter) float64 { return clip(scores[l][0]) + clip(scores[l][1]) }, 5)
	}
}
