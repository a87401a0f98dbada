package conf

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time in a settings file: "90s", "5m", "1h30m", "5d",
// "2w". A unit is always written; days have 24 hours. It is never negative.
type Duration time.Duration

var durationUnits = []struct {
	name   string
	length time.Duration
}{
	{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour},
	{"ms", time.Millisecond}, {"m", time.Minute}, {"s", time.Second},
}

// Form implements Form.
func (Duration) Form() string { return `a duration such as "90s", "5m", "4h" or "5d"` }

// Std is the duration as the standard library knows it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// UnmarshalText reads a sequence of whole numbers with units.
func (d *Duration) UnmarshalText(text []byte) error {
	var sum time.Duration
	rest := string(text)
	for first := true; first || rest != ""; first = false {
		part, after, ok := cutDuration(rest)
		if !ok || sum+part < sum {
			return fmt.Errorf("%q is not %s", clip(string(text)), d.Form())
		}
		sum, rest = sum+part, after
	}
	*d = Duration(sum)
	return nil
}

// cutDuration takes one number with its unit from the front.
func cutDuration(s string) (time.Duration, string, bool) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil {
		return 0, "", false
	}
	for _, unit := range durationUnits {
		if rest, ok := strings.CutPrefix(s[digits:], unit.name); ok && n <= int64(1<<62)/int64(unit.length) {
			return time.Duration(n) * unit.length, rest, true
		}
	}
	return 0, "", false
}

// MarshalText writes the shortest form that UnmarshalText reads: "1h30m", "5d".
func (d Duration) MarshalText() ([]byte, error) {
	if d == 0 {
		return []byte("0s"), nil
	}
	var out []byte
	rest := time.Duration(d)
	for _, name := range []string{"d", "h", "m", "s", "ms"} {
		unit := unitLength(name)
		if n := rest / unit; n > 0 {
			out = append(strconv.AppendInt(out, int64(n), 10), name...)
			rest -= n * unit
		}
	}
	return out, nil
}

func unitLength(name string) time.Duration {
	for _, unit := range durationUnits {
		if unit.name == name {
			return unit.length
		}
	}
	panic("conf: no such unit: " + name)
}
