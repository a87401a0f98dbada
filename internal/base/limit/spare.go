package limit

import "cmp"

// few is among how many entries one is chosen: enough that what is worth something stays,
// and no more work in a full table than in a small one.
const few = 16

// Spare is the key of what a full table can do without: of a few entries, which are looked
// at in an order by chance, the one that is worth least. The zero key for an empty table.
func Spare[K comparable, V any, W cmp.Ordered](table map[K]V, worth func(V) W) (spare K) {
	var least W
	seen := 0
	for key, v := range table {
		if w := worth(v); seen == 0 || w < least {
			spare, least = key, w
		}
		if seen++; seen == few {
			break
		}
	}
	return spare
}
