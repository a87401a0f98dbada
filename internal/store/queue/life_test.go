package queue

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkLife is what a message costs from its commit to its end: it is accepted,
// staged and delivered, together with some others. Beside the time it tells what does
// not depend on the machine: calls of write and bytes written for each.
func BenchmarkLife(b *testing.B) {
	for _, together := range []int{1, 20} {
		for _, size := range []int{2 << 10, 10 << 10, 40 << 10} {
			b.Run(fmt.Sprintf("%d of %d KB", together, size>>10), func(b *testing.B) { live(b, together, size) })
		}
	}
}

func live(b *testing.B, together, size int) {
	q := openTest(b, b.TempDir())
	body := bytes.Repeat([]byte("x"), size)
	b.ReportAllocs()
	calls, written, cpu := spent(b)
	for b.Loop() {
		var wg sync.WaitGroup
		for range together {
			wg.Go(func() {
				d := draft(q, 1, "a")
				d.Spool.Write(body)
				commit(b, q, d)
			})
		}
		wg.Wait()
		items := q.takeFresh(together)
		for _, r := range []Result{Staged, Delivered} {
			var s []Settlement
			for _, it := range items {
				s = append(s, Settlement{Item: it.ID, Outcomes: []Outcome{{N: 1, Result: r}}})
			}
			if _, err := q.Settle(ctx, s...); err != nil {
				b.Fatal(err)
			}
		}
	}
	n := float64(b.N * together)
	c, w, t := spent(b)
	b.ReportMetric((c-calls)/n, "writes/letter")
	b.ReportMetric((w-written)/n, "B-written/letter")
	b.ReportMetric(float64(t-cpu)/1000/n, "cpu-µs/letter")
	b.ReportMetric(0, "ns/op")
}

// spent is what this process has written, in calls and in bytes, and its processor
// time.
func spent(b *testing.B) (calls, written float64, cpu time.Duration) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	for line := range bytes.Lines(text) {
		fmt.Sscanf(string(line), "wchar: %g", &written)
		fmt.Sscanf(string(line), "syscw: %g", &calls)
	}
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return calls, written, time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
