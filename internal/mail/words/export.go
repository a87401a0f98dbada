package words

import "iter"

// Feature is a token as a trainer sees it.
type Feature struct {
	Hash uint64
	// Local: it means nothing elsewhere, and is not for a prior.
	Local bool
	// Pair: it is two words.
	Pair bool
}

// Features walks over the tokens of a view, in the order in which they were found.
func (v *View) Features() iter.Seq2[Feature, func() string] {
	return func(yield func(Feature, func() string) bool) {
		for _, t := range v.tokens {
			if !yield(Feature{t.hash, t.local, t.second >= 0}, func() string { return v.text(t) }) {
				return
			}
		}
	}
}
