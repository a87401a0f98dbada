package conf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes in a settings file: 52428800, or "50M" with K, M, G
// or T for powers of 1024. It is never negative.
type Size int64

const sizeUnits = "KMGT"

// Form implements Form.
func (Size) Form() string { return `a size in bytes such as 52428800 or "50M" (K, M, G, T)` }

// UnmarshalText reads digits and at most one unit.
func (s *Size) UnmarshalText(text []byte) error {
	word := strings.ToUpper(strings.ReplaceAll(string(text), "_", ""))
	shift := 0
	if n := len(word); n > 0 {
		if i := strings.IndexByte(sizeUnits, word[n-1]); i >= 0 {
			word, shift = word[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is not %s", clip(string(text)), s.Form())
	}
	*s = Size(n << shift)
	return nil
}

// MarshalText writes the largest unit that leaves a whole number.
func (s Size) MarshalText() ([]byte, error) {
	n, unit := int64(s), ""
	for i := 0; i < len(sizeUnits) && n != 0 && n%1024 == 0; i++ {
		n, unit = n/1024, sizeUnits[i:i+1]
	}
	return []byte(strconv.FormatInt(n, 10) + unit), nil
}
