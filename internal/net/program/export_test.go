package program

// Expand is expand for the tests of the package's outside.
func Expand(p *Program, l Letter) ([]string, error) { return p.expand(&l) }
