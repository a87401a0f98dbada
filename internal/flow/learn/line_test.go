package learn

import (
	"context"
	"fmt"
	"testing"
)

// TestLine: one account that has very many things learnt keeps the others neither waiting nor
// out, and the memory is bounded.
func TestLine(t *testing.T) {
	noop := func(context.Context) {}
	dropped, l := int64(0), newLine()
	for range 3 * queueMost {
		dropped += l.put("flood@a.test", task{1, noop})
	}
	if l.len() != queueMost || dropped != 2*queueMost {
		t.Fatalf("MAP-014: %d wait, %d dropped", l.len(), dropped)
	}
	for i := range 5 {
		l.put(fmt.Sprint(i, "@a.test"), task{2, noop})
	}
	sum := int64(0)
	for range 6 {
		one, _ := l.take()
		sum += one.size
	}
	if sum != 1+5*2 || l.len() != queueMost-6 {
		t.Errorf("MAP-014: the others wait: %d, %d", sum, l.len())
	}
	for ok := true; ok; {
		_, ok = l.take()
	}
	if l.len() != 0 || l.bytes != 0 || len(l.rows) != 0 || len(l.turns) != 0 {
		t.Errorf("left: %+v", l)
	}
	for range 3 {
		l.put("flood@a.test", task{bytesMost / 2, noop})
	}
	if l.bytes > bytesMost || l.room(1) || l.put("anna@a.test", task{1, noop}) != 1 {
		t.Errorf("MAP-014: %d bytes wait", l.bytes)
	}
}
