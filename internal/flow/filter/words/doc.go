// Package words judges letters by statistics (mail/words): three checks, "words" by what a
// letter says, "heading" by what its header says and "shape" by how its body is made. None
// condemns a letter alone, as no check does; two that agree do, and each speaks for letters
// too.
//
// What the prior and the server's counts say holds for everybody. For an account that has
// learnt something itself, a further remark tells what that changes.
package words

import (
	"facteur/internal/flow/filter"
)

var _ filter.Check = (*check)(nil)
