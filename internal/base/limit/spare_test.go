package limit

import "testing"

func TestSpare(t *testing.T) {
	worth := func(n int) int { return n }
	if got := Spare(map[string]int{}, worth); got != "" {
		t.Errorf("%q of an empty table", got)
	}
	if got := Spare(map[string]int{"a": 3, "b": -1, "c": 2}, worth); got != "b" {
		t.Errorf("%q, want the one that is worth least", got)
	}
	large := map[int]int{}
	for i := range 1000 {
		large[i] = i
	}
	looked := 0
	if key := Spare(large, func(n int) int { looked++; return n }); key > 999-few+1 || looked != few {
		t.Errorf("key %d after %d looks", key, looked)
	}
}
