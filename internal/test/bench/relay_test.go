package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// relayColumns are the numbers of what goes on to the next server.
var relayColumns = []column{
	{"accept/s", func(r result) float64 { return r.accept }, false},
	{"drain/s", func(r result) float64 { return r.deliver }, false},
	{"CPU ms", func(r result) float64 { return milliseconds(r.cpu) }, true},
	{"MB", func(r result) float64 { return float64(r.memory) / (1 << 20) }, true},
	others,
}

// relayCells are what is measured: a cross through the middle, or with
// FACTEUR_BENCH_FULL=1 everything.
func relayCells() (list []cell) {
	if os.Getenv("FACTEUR_BENCH_FULL") != "1" {
		return []cell{{size: 10_000, connections: 1}, {size: 10_000, connections: 20}, {size: 10_000, connections: 100},
			{size: 1_000, connections: 100}, {size: 100_000, connections: 100}}
	}
	for _, size := range []int{1_000, 10_000, 100_000} {
		for _, connections := range []int{1, 20, 100} {
			list = append(list, cell{size: size, connections: connections})
		}
	}
	return list
}

// BenchmarkRelay sends letters through the server to smtp-sink, which takes them as they
// come: what comes in and what goes out are at work at the same time.
func BenchmarkRelay(b *testing.B) {
	relay(b, "Letters relayed to smtp-sink as they come", false)
}

// BenchmarkQueue lets smtp-sink sleep until all letters are queued: drain/s is what the
// server makes of a backlog, and CPU both ways together.
func BenchmarkQueue(b *testing.B) {
	relay(b, "Letters queued first, then relayed to smtp-sink", true)
}

func relay(b *testing.B, title string, backlog bool) {
	source, rounds := interop.Need(b, "smtp-source"), number("FACTEUR_BENCH_ROUNDS", 3)
	var rows []row
	for _, c := range relayCells() {
		r := row{what: c.String()}
		for range rounds {
			r.debian = append(r.debian, passOn(b, source, c, backlog, "debian"))
			if interop.Absent() == "" || interop.Required() {
				r.facteur = append(r.facteur, passOn(b, source, c, backlog, "facteur"))
			}
		}
		rows = append(rows, r)
	}
	fmt.Print(markdown(fmt.Sprintf("%s, median of %d", title, rounds), "letters", relayColumns, rows))
}

// letters is how many a cell can do in a time that one waits for.
func (c cell) letters() int {
	n := number("FACTEUR_BENCH_LETTERS", 5000)
	if c.connections == 1 {
		n /= 4
	}
	if c.size > 50_000 {
		n /= 4
	}
	return n
}

// passOn starts a server afresh, sends, and waits until smtp-sink has everything.
func passOn(b *testing.B, source string, c cell, backlog bool, which string) (r result) {
	b.Run(c.String()+" "+which, func(b *testing.B) {
		s := startSink(b)
		post := open(b, which, interop.Setup{Accounts: []string{alice}, Smarthost: s.addr, Services: []string{"smtp"}, Quiet: true})
		post.Start()
		push(b, source, post, c, c.connections) // warm: processes are there, files exist
		wait(b, s.count, c.connections)
		calm()
		if backlog {
			s.process.Signal(syscall.SIGSTOP)
		}
		pid, letters := post.Processes()[0], c.letters()
		cpu, start, disturbed := interop.CPU(pid), time.Now(), watchOthers()
		push(b, source, post, c, letters)
		r.accept = float64(letters) / time.Since(start).Seconds()
		r.memory = interop.Memory(pid)
		if backlog {
			start = time.Now()
			s.process.Signal(syscall.SIGCONT)
		}
		wait(b, s.count, c.connections+letters/2)
		r.memory = max(r.memory, interop.Memory(pid))
		wait(b, s.count, c.connections+letters)
		r.deliver = float64(letters) / time.Since(start).Seconds()
		r.cpu = (interop.CPU(pid) - cpu) / time.Duration(letters)
		r.others = disturbed()
		b.ReportMetric(r.accept, "accept/s")
		b.ReportMetric(r.deliver, "drain/s")
		b.ReportMetric(milliseconds(r.cpu), "cpu-ms/letter")
	})
	return r
}

// push sends letters for elsewhere.
func push(b *testing.B, source string, post interop.Post, c cell, letters int) {
	out := interop.Run(b, "", source, "-s", strconv.Itoa(c.connections), "-m", strconv.Itoa(letters), "-l", strconv.Itoa(c.size),
		"-f", "bob@example.net", "-t", "dave@remote.test", post.Addr("smtp"))
	if strings.Contains(out, "fatal") {
		b.Fatal(out)
	}
}

// smtpSink is Postfix's smtp-sink, which counts what it takes.
type smtpSink struct {
	addr    string
	process *interop.Process
}

func startSink(b *testing.B) *smtpSink {
	b.Helper()
	s := &smtpSink{addr: interop.Loopback(interop.FreePort(b))}
	s.process = interop.Spawn(b, nil, interop.Need(b, "smtp-sink"), "-u", "nobody", "-c", s.addr, "1000")
	interop.WaitBanner(b, s.addr, "220", s.process)
	return s
}

// count reads the running counter that smtp-sink -c prints: "sess=12 quit=11 mesg=10"
// with carriage returns between.
func (s *smtpSink) count() int {
	output := s.process.Output()
	i := strings.LastIndex(output, "mesg=")
	if i < 0 {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimRight(strings.Fields(output[i+len("mesg="):])[0], "\r"))
	return n
}
