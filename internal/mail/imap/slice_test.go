package imap

import "testing"

func TestSlice(t *testing.T) {
	all := Ranges{{2, 4}, {7, 7}, {10, 12}, {1<<32 - 2, 1<<32 - 1}}
	var numbers []uint32
	for _, r := range all {
		for n := uint64(r.From); n <= uint64(r.To); n++ {
			numbers = append(numbers, uint32(n))
		}
	}
	for from := range len(numbers) + 2 {
		for to := range len(numbers) + 2 {
			want := ""
			if lo := min(from, len(numbers)); lo < min(to, len(numbers)) {
				want = Runs(numbers[lo:min(to, len(numbers))]).String()
			}
			if got := all.Slice(from, to).String(); got != want {
				t.Errorf("%d:%d: %s, want %s", from, to, got, want)
			}
		}
	}
	if got := (Ranges{{1, 1<<32 - 1}}).Slice(0, 1<<40).String(); got != "1:4294967295" {
		t.Error(got)
	}
}
