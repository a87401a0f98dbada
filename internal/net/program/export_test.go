package program

import "time"

// Expand is expand for the tests of the package's outside.
func Expand(p *Program, l Letter) ([]string, error) { return p.expand(&l) }

// MaxStrays is maxStrays.
const MaxStrays = maxStrays

// Hasten shortens the wait for a program that was killed.
func Hasten(p *Program, patience time.Duration) { p.patience = patience }
