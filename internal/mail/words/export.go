package words

import "iter"

// General walks over the tokens of a view that mean the same everywhere, by their prints:
// what a Prior may be trained on.
func (v *View) General() iter.Seq2[uint32, func() string] {
	return func(yield func(uint32, func() string) bool) {
		for _, t := range v.tokens {
			if !t.kind.local() && !yield(uint32(t.hash>>32), func() string { return v.text(t) }) {
				return
			}
		}
	}
}
