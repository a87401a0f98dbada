package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"facteur/internal/mail/words"
)

// How the regression is done. Chosen by swapping the halves of the corpus, and by letters
// from elsewhere; see docs/LEARNING.md.
const (
	lettersLeast = 5     // a feature is in so many letters
	sourcesLeast = 4     // of so many sources: what one list or sender always says is no feature
	weightMost   = 2.0   // no weight is larger
	ridge        = 0.001 // the pull of weights towards nothing
	rate         = 0.3   // the first step
	epochs       = 30
	sourcePower  = 0.5 // a source of n letters counts as √n
)

// feature is what is counted of a token before it has a weight.
type feature struct {
	print   uint32
	letters [2]float64 // of other mail and of spam, by their weights
	count   int
	sources map[string]struct{}
	index   int
}

// example is a letter as the regression sees it.
type example struct {
	features []int32
	spam     bool
	weight   float64
}

// train makes a prior of letters.
func train(letters []*letter) *words.Prior {
	balance(letters)
	var out []words.Feature
	for i := range letters[0].tokens.Views() {
		view := func(t *words.Tokens) *words.View { return t.Views()[i] }
		features := choose(letters, view)
		weights := regress(examples(letters, view, features), len(features))
		total := totals(letters)
		for _, f := range features {
			out = append(out, words.Feature{
				Print:  f.print,
				Weight: int8(math.Round(weights[f.index] * 32)),
				Spam:   share(f.letters[1], total[1]),
				Ham:    share(f.letters[0], total[0]),
			})
		}
	}
	return words.NewPrior(out)
}

func share(part, whole float64) uint8 {
	if whole == 0 {
		return 0
	}
	return uint8(math.Round(255 * min(1, part/whole)))
}

func class(l *letter) int {
	if l.spam {
		return 1
	}
	return 0
}

func totals(letters []*letter) (total [2]float64) {
	for _, l := range letters {
		total[class(l)] += l.weight
	}
	return total
}

// balance weighs letters: a source with many of them counts less than as many sources,
// and spam as much as other mail.
func balance(letters []*letter) {
	var from [2]map[string]int
	from[0], from[1] = map[string]int{}, map[string]int{}
	for _, l := range letters {
		from[class(l)][l.source]++
	}
	for _, l := range letters {
		l.weight = l.importance * math.Pow(float64(from[class(l)][l.source]), -sourcePower)
	}
	total := totals(letters)
	for _, l := range letters {
		l.weight *= float64(len(letters)) / 2 / total[class(l)]
	}
}

// choose finds what is in enough letters of enough sources, in a fixed order.
func choose(letters []*letter, view func(*words.Tokens) *words.View) map[uint32]*feature {
	all := map[uint32]*feature{}
	for _, l := range letters {
		for print := range view(l.tokens).General() {
			f := all[print]
			if f == nil {
				f = &feature{print: print, sources: map[string]struct{}{}}
				all[print] = f
			}
			f.count++
			f.letters[class(l)] += l.weight
			f.sources[l.source] = struct{}{}
		}
	}
	var kept []*feature
	for print, f := range all {
		if f.count < lettersLeast || len(f.sources) < sourcesLeast {
			delete(all, print)
			continue
		}
		kept = append(kept, f)
	}
	slices.SortFunc(kept, func(a, b *feature) int { return cmp.Compare(a.print, b.print) })
	for i, f := range kept {
		f.index = i
	}
	return all
}

func examples(letters []*letter, view func(*words.Tokens) *words.View, features map[uint32]*feature) []example {
	out := make([]example, 0, len(letters))
	for _, l := range letters {
		e := example{spam: l.spam, weight: l.weight}
		for print := range view(l.tokens).General() {
			if f := features[print]; f != nil {
				e.features = append(e.features, int32(f.index))
			}
		}
		out = append(out, e)
	}
	return out
}

// regress finds weights by logistic regression: stochastic gradient descent with steps
// that shrink for each weight (AdaGrad). A letter is judged as words.Judge does it, by
// its strongest features. There is no constant: of what nothing is known, nothing is said.
// Every product is rounded by itself, so that all machines find the same bytes.
func regress(all []example, features int) []float64 {
	weights, steps := make([]float64, features), make([]float64, features)
	random := rand.New(rand.NewPCG(1, 2))
	for range epochs {
		for _, i := range random.Perm(len(all)) {
			e := &all[i]
			active := strongest(e.features, weights)
			sum, scale := 0.0, words.PriorScale(len(active))
			for _, f := range active {
				sum += weights[f]
			}
			side := -1.0
			if e.spam {
				side = 1
			}
			slope := -side * e.weight * scale / (1 + math.Exp(side*sum*scale))
			for _, f := range active {
				g := slope + float64(ridge*weights[f])
				steps[f] += float64(g * g)
				w := weights[f] - float64(rate*g)/math.Sqrt(steps[f]+1e-2)
				weights[f] = max(-weightMost, min(weightMost, w))
			}
		}
	}
	return weights
}

// strongest are the features that words.Judge would add up.
func strongest(features []int32, weights []float64) []int32 {
	if len(features) <= words.Strongest {
		return features
	}
	sorted := slices.Clone(features)
	slices.SortFunc(sorted, func(a, b int32) int {
		return cmp.Or(cmp.Compare(math.Abs(weights[b]), math.Abs(weights[a])), cmp.Compare(a, b))
	})
	return sorted[:words.Strongest]
}
