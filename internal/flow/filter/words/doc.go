// Package words judges letters by statistics (mail/words): two checks, "words" by what a
// letter says and "shape" by how it is made. Neither condemns a letter alone, as no check
// does; together they do, and each speaks for letters too.
//
// What the prior and the server's counts say holds for everybody. For an account that has
// learnt something itself, a further remark tells what that changes.
package words

import (
	"facteur/internal/flow/filter"
)

var (
	_ filter.Check = (*Words)(nil)
	_ filter.Check = (*Shape)(nil)
)
