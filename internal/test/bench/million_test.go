package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/internal/store/queue"
	"facteur/internal/store/queue/queuetest"
	"facteur/internal/test/interop"
	"facteur/internal/test/sim"
)

// BenchmarkMillion measures a server with a million letters in its queue, of ten senders,
// for a thousand domains whose hosts refuse connections: a tenth is due at the start.
// FACTEUR_BENCH_QUEUED is how many. Postfix is given a tenth, FACTEUR_BENCH_QUEUED_POSTFIX,
// and nothing of it to try.
func BenchmarkMillion(b *testing.B) {
	if interop.Absent() == "" || interop.Required() {
		b.Run("facteur", func(b *testing.B) { laden(b, number("FACTEUR_BENCH_QUEUED", 1_000_000)) })
	}
	b.Run("debian", func(b *testing.B) { ladenPostfix(b, number("FACTEUR_BENCH_QUEUED_POSTFIX", 100_000)) })
}

// watch prints what steps take, and what memory the server has then.
type watch struct {
	b       *testing.B
	who     string
	pid     func() int
	heading bool
}

func (w *watch) step(what string, do func()) {
	w.b.Helper()
	if !w.heading {
		w.heading = true
		fmt.Printf("\n%s\n\n| | seconds | MB |\n|---|---|---|\n", w.who)
	}
	start := time.Now()
	do()
	took := time.Since(start)
	var memory int64
	if w.pid != nil {
		memory = interop.Memory(w.pid())
	}
	fmt.Printf("| %s | %.2f | %d |\n", what, took.Seconds(), memory>>20)
	w.b.ReportMetric(took.Seconds(), "s-"+strings.ReplaceAll(what, " ", "-"))
}

func laden(b *testing.B, queued int) {
	sink := startSink(b)
	_, port, _ := strings.Cut(sink.addr, ":")
	names, err := sim.StartDNS("127.0.0.1:0", `healthy.test. MX 10 mx.healthy.test.
		mx.healthy.test. A 127.0.0.1
		*.example. MX 10 mx.dead.example.
		mx.dead.example. A 127.0.0.2`)
	if err != nil {
		b.Fatal(err)
	}
	defer names.Close()
	f := interop.NewFacteur(b, interop.Setup{Accounts: []string{alice}, Services: []string{"smtp"},
		Config: fmt.Sprintf("[outbound]\nport = %s\nallow_private = true\n\n[dns]\nservers = [%q]\n", port, names.Addr())})
	w := &watch{b: b, who: fmt.Sprintf("facteur with %d letters queued", queued)}
	w.step("filling the queue", func() { fill(b, f.Data(), queued) })
	calm()
	w.pid = func() int { return f.Processes()[0] }
	w.step("start until the first 250", func() {
		f.Start()
		letter(b, f.Addr("smtp"), "a@healthy.test")
	})
	list := fmt.Sprintf("%s postqueue -c %s -p | head -20", interop.Binary(b), f.Config())
	w.step("mailq | head", func() { shell(b, list) })
	w.step("mailq | head again", func() { shell(b, list) })
	slowest(b, f.Addr("smtp"), sink)
	w.step("deleting a tenth by its sender", func() { f.Command("", "queue", "delete", "--from", "s3@sender.example", "--yes") })
	w.step("mailq", func() { shell(b, strings.Replace(list, "head -20", "tail -1", 1)) })
	slowest(b, f.Addr("smtp"), sink)
	fmt.Printf("\nAt its peak it had %d MB resident.\n", peak(f.Processes()[0])>>20)
}

// fill puts letters into the queue of a server that is down.
func fill(b *testing.B, data string, queued int) {
	b.Helper()
	m := queuetest.Mail{Senders: 10, Domains: 1000, Attempts: 3, Reply: "connect to mx.dead.example[127.0.0.2]:25: Connection refused",
		Message: []byte(interop.PlantedLetter(1, 2000)), Arrived: time.Now().Add(-24 * time.Hour)}
	// Later than an attempt could have put it off, it would be taken for what a clock that
	// has been set back left, and be made due now.
	m.Items, m.Due = queued-queued/10, time.Now().Add(time.Hour)
	if err := queuetest.Fill(data, queue.Migrations(), m); err != nil {
		b.Fatal(err)
	}
	m.Items, m.Due, m.Arrived = queued/10, time.Now(), m.Arrived.Add(time.Hour)
	if err := queuetest.Fill(data, queue.Migrations(), m); err != nil {
		b.Fatal(err)
	}
}

// letter hands one over.
func letter(b *testing.B, addr, to string) {
	b.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	err = errors.Join(c.Mail("bob@example.net"), c.Rcpt(to))
	data, dataErr := c.Data()
	if err = errors.Join(err, dataErr); err == nil {
		fmt.Fprint(data, "Subject: fresh\r\n\r\nhello\r\n")
		err = errors.Join(data.Close(), c.Quit())
	}
	if err != nil {
		b.Fatal(err)
	}
}

// slowest tells how long fresh letters to a host that takes them wait in the queue
// (INV-24): the median of 50, and the worst.
func slowest(b *testing.B, addr string, sink *smtpSink) {
	b.Helper()
	var took []time.Duration
	for range 50 {
		before := sink.count()
		letter(b, addr, "a@healthy.test")
		start := time.Now()
		wait(b, sink.count, before+1)
		took = append(took, time.Since(start))
		time.Sleep(100 * time.Millisecond)
	}
	slices.Sort(took)
	fmt.Printf("| a fresh letter to a good host: median, worst | %.2f, %.2f | |\n", took[len(took)/2].Seconds(), took[len(took)-1].Seconds())
}

func shell(b *testing.B, line string) {
	b.Helper()
	if out := interop.Run(b, "", "/bin/sh", "-c", line); strings.Contains(out, "fatal") {
		b.Fatal(out)
	}
}

// peak is the most memory that a process has had (VmHWM).
func peak(pid int) int64 {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	_, rest, _ := bytes.Cut(text, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kib << 10
}

func ladenPostfix(b *testing.B, queued int) {
	source := interop.Need(b, "smtp-source")
	p := interop.NewPostfix(b, interop.PostfixSetup{Quiet: true, Main: map[string]string{
		"defer_transports": "smtp", "minimal_backoff_time": "300s", "maximal_backoff_time": "4000s", "queue_run_delay": "300s"}})
	w := &watch{b: b, who: fmt.Sprintf("Postfix with %d letters queued", queued)}
	p.Start()
	w.step("filling the queue", func() {
		for n := range 10 {
			interop.Run(b, "", source, "-s", "50", "-m", strconv.Itoa(queued/10), "-l", "2000", "-f", fmt.Sprintf("s%d@sender.example", n),
				"-t", "r@dead.example", p.Addr())
		}
		interop.WaitUntil(b, "all is queued", func() bool { n, err := p.Queued(); return err == nil && n >= queued })
	})
	p.Stop()
	calm()
	w.pid = p.PID
	w.step("start until the first 250", func() {
		p.Start()
		letter(b, p.Addr(), "a@healthy.test")
	})
	list := fmt.Sprintf("%s -c %s -p", interop.Need(b, "postqueue"), p.Config())
	w.step("mailq | head", func() { shell(b, list+" | head -20") })
	w.step("mailq | head again", func() { shell(b, list+" | head -20") })
	w.step("deleting a tenth by its sender", func() {
		shell(b, fmt.Sprintf("%s | awk '$NF == \"s3@sender.example\" { print $1 }' | tr -d '*!' | %s -c %s -d -", list, interop.Need(b, "postsuper"), p.Config()))
	})
	w.step("mailq", func() { shell(b, list+" | tail -1") })
}
