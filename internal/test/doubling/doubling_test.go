package doubling

import "testing"

// complaints is a test that may fail.
type complaints struct {
	testing.TB
	n int
}

func (c *complaints) Helper()               {}
func (c *complaints) Errorf(string, ...any) { c.n++ }

func TestCheck(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	sum := 0
	Check(t, "in proportion", 200_000, func(n int) func() {
		return func() {
			for i := range n {
				sum += i
			}
		}
	})
	squared := &complaints{TB: t}
	Check(squared, "squared", 1000, func(n int) func() {
		return func() {
			for i := range n * n {
				sum += i
			}
		}
	})
	if squared.n != 1 {
		t.Errorf("squared work was not noticed (%d)", sum)
	}
}
