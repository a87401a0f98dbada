package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"facteur/internal/mail/words"
)

const levels = 15

func kindOf(f words.Feature, name string, shape bool) int {
	switch {
	case shape && !f.Local:
		return 3
	case shape:
		if strings.HasPrefix(name, "from ") {
			return 4
		}
		if strings.HasPrefix(name, "link ") {
			return 5
		}
		if strings.HasPrefix(name, "by ") {
			return 6
		}
		return 7
	case f.Pair:
		return 1
	case strings.HasPrefix(name, "subject:"):
		return 2
	}
	return 0
}

const kinds = 8

// bins gives the histogram
func (k *counts) bins(l *letter, m [2]*model, which int) []float64 {
	out := make([]float64, kinds*levels+2)
	for vi, v := range []*words.View{&l.tokens.Words, &l.tokens.Shape} {
		if which >= 0 && which != vi {
			continue
		}
		for f, name := range v.Features() {
			c, ok := k.c[f.Hash]
			if !ok {
				continue
			}
			a, b := float64(c[1])/float64(k.spam), float64(c[0])/float64(k.ham)
			p := a / (a + b)
			n := float64(c[0] + c[1])
			S := env0b.s
			q := (S*0.5 + n*p) / (S + n)
			lo := math.Log(q / (1 - q))
			bin := int(math.Round(lo*1.5)) + levels/2
			bin = max(0, min(levels-1, bin))
			out[kindOf(f, name(), vi == 1)*levels+bin]++
		}
	}
	if env("LIN", 0) > 0 {
		lin := make([]float64, kinds+2)
		for kd := range kinds {
			t, sum := 0.0, 0.0
			for i := range levels {
				n := out[kd*levels+i]
				lo := float64(i-levels/2) / 1.5
				if math.Abs(lo) < env1.minlo {
					continue
				}
				t += n
				sum += n * math.Copysign(math.Pow(math.Abs(lo), env1.pow), lo)
			}
			lin[kd] = sum / math.Pow(t+env1.n0, env1.tp) / 5
		}
		if m[0] != nil {
			if which != 1 {
				lin[kinds] = m[0].score(&l.tokens.Words)
			}
			if which != 0 {
				lin[kinds+1] = m[1].score(&l.tokens.Shape)
			}
		}
		return lin
	}
	for kd := range kinds {
		t := 0.0
		for i := range levels {
			t += out[kd*levels+i]
		}
		for i := range levels {
			out[kd*levels+i] /= math.Sqrt(t + 4)
		}
	}
	if m[0] != nil {
		if which != 1 {
			out[kinds*levels] = m[0].score(&l.tokens.Words)
		}
		if which != 0 {
			out[kinds*levels+1] = m[1].score(&l.tokens.Shape)
		}
	}
	return out
}

// crossfit trains the stack on tr by folds
func stack(tr []*letter, which int, withPrior bool) []float64 {
	const folds = 4
	type ex struct {
		x []float64
		y float64
		c float64
	}
	var exs []ex
	for f := range folds {
		var a, b []*letter
		for _, l := range tr {
			if int(l.digest[5])%folds == f {
				b = append(b, l)
			} else {
				a = append(a, l)
			}
		}
		k := learn(a)
		var m [2]*model
		if withPrior {
			m = [2]*model{trainLR(a, wordsView), trainLR(a, shapeView)}
		}
		for _, l := range b {
			e := ex{x: k.bins(l, m, which), y: -1, c: 1}
			if l.spam {
				e.y = 1
			} else {
				e.c = env("HAMW", 1)
			}
			exs = append(exs, e)
		}
	}
	n := len(exs[0].x)
	w := make([]float64, n+1)
	g2 := make([]float64, n+1)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		for _, i := range rng.Perm(len(exs)) {
			e := &exs[i]
			s := w[n]
			for j, x := range e.x {
				s += w[j] * x
			}
			g := -e.y * e.c / (1 + math.Exp(e.y*s))
			for j, x := range e.x {
				gj := g*x + env("SL2", 0.002)*w[j]
				g2[j] += gj * gj
				w[j] -= 0.1 * gj / math.Sqrt(g2[j]+1e-2)
			}
			g2[n] += g * g
			w[n] -= 0.1 * g / math.Sqrt(g2[n]+1e-2)
		}
	}
	return w
}

var env1 = struct{ minlo, pow, n0, tp float64 }{env("MINLO", 0.6), env("POW", 1), env("LN0", 4), env("TP", 0.5)}

func dot(w, x []float64) float64 {
	s := w[len(x)]
	for i := range x {
		s += w[i] * x[i]
	}
	return s
}

func stacked(tr, te []*letter) {
	k := learn(tr)
	for _, withPrior := range []bool{false, true} {
		var m [2]*model
		if withPrior {
			m = [2]*model{trainLR(tr, wordsView), trainLR(tr, shapeView)}
		}
		w := stack(tr, -1, withPrior)
		if env("LIN", 0) > 0 {
			fmt.Printf("%.2f\n", w)
		}
		report("stack all", te, func(l *letter) float64 { return dot(w, k.bins(l, m, -1)) }, 0)
		w0 := stack(tr, 0, withPrior)
		w1 := stack(tr, 1, withPrior)
		f0 := func(l *letter) float64 { return dot(w0, k.bins(l, m, 0)) }
		f1 := func(l *letter) float64 { return dot(w1, k.bins(l, m, 1)) }
		report("stack words", te, f0, 0)
		report("stack shape", te, f1, 0)
		report("stack sum", te, func(l *letter) float64 { return f0(l) + f1(l) }, 0)
		clip := func(x float64) float64 { return max(-3.5, min(4.5, x)) }
		report("stack clip", te, func(l *letter) float64 { return clip(f0(l)) + clip(f1(l)) }, 5)
	}
}
