package bench

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"facteur/internal/flow/filter"
	filterwords "facteur/internal/flow/filter/words"
)

// folds is in how many parts the half of the corpus that trains is divided.
const folds = 5

// BenchmarkFolds judges the half of the corpus that trains, part by part, each after learning
// the other parts: by it the constants of the filter are chosen, so that the other half says
// something. Then each folder is judged after learning the others: letters like which
// nothing was learnt.
func BenchmarkFolds(b *testing.B) {
	train, _ := corpus(b)
	var sums [4]tally
	for k := range folds {
		for i, t := range unlike(b, train, strconv.Itoa(k), func(l judged) string { return l.fold }) {
			sums[i].falsely += t.falsely
			sums[i].missed += t.missed
		}
	}
	fmt.Printf("\n| five folds | false positives | missed |\n|---|---|---|\n")
	for i, name := range []string{"prior alone", "prior and learnt", "whole local filter", "whole, a twentieth was learnt"} {
		fmt.Printf("| %s | %d | %d |\n", name, sums[i].falsely, sums[i].missed)
	}
	fmt.Printf("\n| without folder | letters | junk by statistics | by all |\n|---|---|---|---|\n")
	for _, folder := range []string{"easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"} {
		all := unlike(b, train, folder, func(l judged) string { return l.folder })
		fmt.Printf("| %s | %d | %d | %d |\n", folder, all[1].letters, all[1].junk(), all[2].junk())
	}
}

// unlike judges a part of the corpus after learning the rest: by the prior alone, by the
// prior and what was learnt, by the whole local filter, and by that after it learnt a
// twentieth of the rest only.
func unlike(b *testing.B, all []judged, part string, of func(judged) string) (found [4]tally) {
	var rest, some, judges []judged
	for _, l := range all {
		if of(l) == part {
			judges = append(judges, l)
			continue
		}
		if len(rest)%20 == 0 {
			some = append(some, l)
		}
		rest = append(rest, l)
	}
	prior := halfPrior(b, part)
	untaught := filterwords.Checks(filterwords.Learnt{Prior: prior})
	learnt := filterwords.Checks(filterwords.Learnt{Prior: prior, Layer: taught(b, rest).Layer})
	little := filterwords.Checks(filterwords.Learnt{Prior: prior, Layer: taught(b, some).Layer})
	for i, checks := range [][]filter.Check{untaught, learnt, slices.Concat(learnt, letterChecks()), slices.Concat(little, letterChecks())} {
		found[i] = weighAll(checks, judges)
	}
	return found
}
