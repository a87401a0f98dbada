package conf

import "strings"

// Nearest is the candidate that was probably meant by a mistyped name: at most a
// third of its letters away, or one that only lacks an ending or a beginning.
func Nearest(name string, candidates []string) string {
	if len(name) > 64 {
		return "" // no typing error; and the distance costs a product of lengths
	}
	best, least := "", max(1, len(name)/3)
	for _, c := range candidates {
		d := distance(strings.ToLower(name), c)
		if len(name) >= 4 && (strings.HasPrefix(c, name) || strings.HasSuffix(c, name)) {
			d = min(d, 1)
		}
		if d <= least && (best == "" || d < least) {
			best, least = c, d
		}
	}
	return best
}

// distance counts the letters to insert, drop, change or swap with a neighbour
// to get from a to b (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
