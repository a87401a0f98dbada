package words

import (
	"cmp"
	"math"
	"slices"
)

// Opinion is what one view of a letter says.
type Opinion struct {
	// Odds is the logarithm of the odds that it is spam: 0 is unsure, negative speaks
	// for the letter.
	Odds float64
	// Known is how many of its tokens anything was known of.
	Known int
	// Learnt is how much of what could be learnt of all letters was, from 0 to 1.
	Learnt float64
	// Words are those that spoke most, the strongest first.
	Words []Word
}

// Word is a token and what it added.
type Word struct {
	// Text is the token in lower case: a stranger's text, to be encoded for wherever it
	// goes.
	Text string
	// Weight is what it added to the odds; positive speaks for spam.
	Weight float64
}

const (
	// Strongest is how many tokens of the prior are added up, those with the largest weights,
	// and as many of each kind of what was learnt.
	Strongest = 1000
	// wordsTold is how many words an opinion names.
	wordsTold = 8
	// faintLeast is how much a record must say to be heard, odds of two to one, when hardly
	// anything was learnt, and faintMost when much was: odds of 55 to one.
	faintLeast, faintMost = 0.7, 4
	// doubt is how many letters of doubt each record starts with: where much was learnt, it
	// takes three on one side, and none on the other, to be heard.
	doubt = 0.1
	// mostlyKnown is the part of its tokens of which something must be known, for an opinion
	// to count in full.
	mostlyKnown = 0.15
	// few is how many records of a kind it takes until they speak for themselves.
	few = 10
	// standIn is how many letters of each kind must have been learnt before the prior's
	// rates no longer stand in for the rest, settled how many until what was learnt counts
	// half of what it can.
	standIn = 20
	settled = 40
)

// kindWeight is how much what was learnt of a token of each kind counts: found by logistic
// regression on letters that were not among those learnt (docs/LEARNING.md).
var kindWeight = [kinds]float64{single: 0.06, pair: 0.32, subject: 1.2, general: 1, author: 1.2, link: 1, path: 1.2, other: 0.8, place: 0.6}

// Judge says what a view of a letter says, by the prior and by what was learnt: the
// server's layer first, then the account's. Either may be missing.
func Judge(v *View, prior *Prior, layers ...Layer) Opinion {
	j := judge{view: v, prior: prior, sums: make([]float64, len(v.tokens))}
	for _, l := range layers {
		if l.Count != nil && (l.Spam > 0 || l.Ham > 0) {
			j.layers = append(j.layers, l)
		}
	}
	j.trust()
	j.collect()
	j.addPrior()
	for k := range j.records {
		j.addRecords(kind(k))
	}
	return j.opinion()
}

// judge is one judgement.
type judge struct {
	view   *View
	prior  *Prior
	layers []Layer
	// trusted is how much what was learnt counts, from 0 to 1; old how much the prior.
	trusted, old float64
	// faint is what a record must say to be heard.
	faint float64

	weights []said
	records [kinds][]said
	known   int
	odds    float64
	sums    []float64 // what each token of the view added
}

// said is what is known of a token, in odds.
type said struct {
	token int32
	odds  float64
}

// trust weighs what was learnt against the prior: the more letters the more, and less
// while hardly any of one kind are among them.
func (j *judge) trust() {
	var spam, ham float64
	for _, l := range j.layers {
		spam += float64(l.Spam)
		ham += float64(l.Ham)
	}
	j.trusted = (spam + ham) / (spam + ham + settled) * (0.3 + 0.7*math.Min(1, math.Min(spam, ham)/10))
	j.old = 1 + 0.4*j.trusted
	j.faint = faintLeast + (faintMost-faintLeast)*math.Pow(j.trusted, 0.7)
}

func (j *judge) collect() {
	j.weights = make([]said, 0, len(j.view.tokens)/2)
	for i := range j.view.tokens {
		t := &j.view.tokens[i]
		f, ok := j.prior.find(t)
		if ok {
			j.weights = append(j.weights, said{int32(i), float64(f.Weight) / weightUnit})
		}
		learnt, odds := j.record(t, f)
		if learnt && math.Abs(odds) >= j.faint {
			j.records[t.kind] = append(j.records[t.kind], said{int32(i), odds})
		}
		if ok || learnt {
			j.known++
		}
	}
}

// record is what the layers know of a token: the logarithm of how much more often it was
// in spam than in other mail.
func (j *judge) record(t *token, f Feature) (learnt bool, odds float64) {
	if len(j.layers) == 0 {
		return false, 0
	}
	spam, ham := rate{of: float64(f.Spam) / 255}, rate{of: float64(f.Ham) / 255}
	seen := 0.0
	for i := range j.layers {
		l := &j.layers[i]
		s, h := l.Count(t.hash)
		spam.add(s, l.Spam)
		ham.add(h, l.Ham)
		seen += float64(s) + float64(h)
	}
	if seen == 0 || spam.of+ham.of == 0 {
		return false, 0
	}
	p := (doubt/2 + seen*spam.of/(spam.of+ham.of)) / (doubt + seen)
	return true, math.Log(p / (1 - p))
}

// rate is in what part of letters a token is.
type rate struct{ of float64 }

// add takes what a layer says: wholly if it has learnt very much, else between that and
// what is known without it.
func (r *rate) add(n, of uint32) {
	if of > 0 {
		share := float64(of) / (float64(of) + standIn)
		r.of = share*math.Min(1, float64(n)/float64(of)) + (1-share)*r.of
	}
}

func (j *judge) addPrior() {
	strongest(&j.weights)
	scale := PriorScale(len(j.weights)) * j.old
	j.add(j.weights, scale)
}

func (j *judge) addRecords(k kind) {
	records := j.records[k]
	strongest(&records)
	j.add(records, kindWeight[k]*j.trusted/math.Sqrt(float64(len(records))+few))
}

// strongest keeps those that say most.
func strongest(all *[]said) {
	if len(*all) <= Strongest {
		return
	}
	slices.SortFunc(*all, func(a, b said) int {
		return cmp.Or(cmp.Compare(math.Abs(b.odds), math.Abs(a.odds)), cmp.Compare(a.token, b.token))
	})
	*all = (*all)[:Strongest]
}

func (j *judge) add(all []said, scale float64) {
	for _, s := range all {
		j.odds += s.odds * scale
		j.sums[s.token] += s.odds * scale
	}
}

// moderate takes back part of what was said of a letter that is mostly unknown: of a
// language that hardly anybody here has written, the few words that are known say little.
func (j *judge) moderate() {
	if float64(j.known) >= mostlyKnown*float64(len(j.view.tokens)) {
		return
	}
	part := float64(j.known) / (mostlyKnown * float64(len(j.view.tokens)))
	j.odds *= part
	for t := range j.sums {
		j.sums[t] *= part
	}
}

func (j *judge) opinion() Opinion {
	j.moderate()
	o := Opinion{Odds: j.odds, Known: j.known, Learnt: j.trusted}
	told := j.told()
	o.Words = make([]Word, len(told))
	for i, s := range told {
		o.Words[i] = Word{j.view.text(j.view.tokens[s.token]), s.odds}
	}
	return o
}

// told are the wordsTold tokens that spoke most, the strongest first.
func (j *judge) told() []said {
	best := make([]said, 0, wordsTold+1)
	for t, odds := range j.sums {
		if odds == 0 || len(best) == wordsTold && math.Abs(odds) <= math.Abs(best[wordsTold-1].odds) {
			continue
		}
		at := len(best)
		for at > 0 && math.Abs(odds) > math.Abs(best[at-1].odds) {
			at--
		}
		best = slices.Insert(best, at, said{int32(t), odds})
		best = best[:min(len(best), wordsTold)]
	}
	return best
}
