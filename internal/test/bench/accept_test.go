package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

func TestMain(m *testing.M) { interop.Main(m) }

const (
	alice       = "alice@example.org"
	connections = 100
	letterSize  = 10240
)

// number reads the size of the run from the environment.
func number(name string, byDefault int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return byDefault
}

// columns are the numbers of a comparison over SMTP.
var columns = []column{
	{"accept/s", func(r result) float64 { return r.accept }, false},
	{"deliver/s", func(r result) float64 { return r.deliver }, false},
	{"CPU ms", func(r result) float64 { return milliseconds(r.cpu) }, true},
	{"MB", func(r result) float64 { return float64(r.memory) / (1 << 20) }, true},
	others,
}

// arrivals counts the letters that have come to their end.
type arrivals func() int

// load is what is sent, and how it is known to have arrived.
type load struct {
	title string
	to    string
	keep  bool // connections are used for many letters
	// config is added to the settings of facteur.
	config string
	// open prepares the other end and says how to count what arrives.
	open func(b *testing.B) (smarthost string, count func(interop.Post) arrivals)
}

// Letters into a Maildir of the same machine.
func BenchmarkMaildir(b *testing.B) {
	compare(b, load{title: "10 KB letters into a Maildir, a connection for each", to: alice, open: maildir})
}

func BenchmarkMaildirKeptConnections(b *testing.B) {
	compare(b, load{title: "10 KB letters into a Maildir, over kept connections", to: alice, keep: true, open: maildir})
}

// Letters to an alias of ten thousand, in two steps, beside letters to a mailbox of a
// server without aliases.
func BenchmarkAliases(b *testing.B) {
	const many = 10_000
	var aliases strings.Builder
	for i := range many {
		fmt.Fprintf(&aliases, "a%d@example.org b%d@example.org\nb%d@example.org %s\n", i, i, i, alice)
	}
	path := interop.WriteFile(b, filepath.Join(b.TempDir(), "virtual"), aliases.String())
	without, with := load{to: alice, open: maildir}, load{to: fmt.Sprintf("a%d@example.org", many/2), open: maildir}
	with.config = fmt.Sprintf("[addresses]\nvirtual_alias_maps = [%q]\n", "hash:"+path)
	source := interop.Need(b, "smtp-source")
	letters, rounds := number("FACTEUR_BENCH_LETTERS", 5000), number("FACTEUR_BENCH_ROUNDS", 3)
	rows := []row{{what: "none, to the mailbox"}, {what: "2 × 10,000, to an alias of an alias"}}
	for range rounds {
		rows[0].facteur = append(rows[0].facteur, without.measure(b, source, letters, "facteur"))
		rows[1].facteur = append(rows[1].facteur, with.measure(b, source, letters, "facteur"))
	}
	fmt.Print(markdown(fmt.Sprintf("10 KB letters into a Maildir (%d letters, %d connections, median of %d)", letters, connections, rounds), "aliases", columns, rows))
}

func compare(b *testing.B, l load) {
	source := interop.Need(b, "smtp-source")
	letters, rounds := number("FACTEUR_BENCH_LETTERS", 5000), number("FACTEUR_BENCH_ROUNDS", 3)
	var facteur, debian []result
	for range rounds {
		debian = append(debian, l.measure(b, source, letters, "debian"))
		if interop.Absent() == "" || interop.Required() {
			facteur = append(facteur, l.measure(b, source, letters, "facteur"))
		}
	}
	title := fmt.Sprintf("%s (%d letters, %d connections, median of %d)", l.title, letters, connections, rounds)
	fmt.Print(table(title, columns, facteur, debian))
}

// measure starts a server afresh, sends, and waits for the last letter.
func (l load) measure(b *testing.B, source string, letters int, which string) (r result) {
	b.Run(which, func(b *testing.B) {
		smarthost, count := l.open(b)
		setup := interop.Setup{Accounts: []string{alice}, Smarthost: smarthost, Services: []string{"smtp"}, Quiet: true, Config: l.config}
		post := open(b, which, setup)
		post.Start()
		l.send(b, source, post, connections) // warm: processes are there, files exist
		arrived := count(post)
		wait(b, arrived, connections)
		calm()

		pid := post.Processes()[0]
		cpu, start, disturbed := interop.CPU(pid), time.Now(), watchOthers()
		l.send(b, source, post, letters)
		r.accept = float64(letters) / time.Since(start).Seconds()
		r.memory = interop.Memory(pid)
		wait(b, arrived, connections+letters)
		r.deliver = float64(letters) / time.Since(start).Seconds()
		r.cpu = (interop.CPU(pid) - cpu) / time.Duration(letters)
		r.others = disturbed()
		b.ReportMetric(r.accept, "accept/s")
		b.ReportMetric(r.deliver, "deliver/s")
		b.ReportMetric(float64(r.cpu.Microseconds())/1000, "cpu-ms/letter")
	})
	return r
}

// calm lets the disk forget the round before: what others wrote is written.
func calm() {
	syscall.Sync()
	time.Sleep(2 * time.Second)
}

func open(b *testing.B, which string, setup interop.Setup) interop.Post {
	if which == "debian" {
		return interop.NewDebian(b, setup)
	}
	return interop.NewFacteur(b, setup)
}

func (l load) send(b *testing.B, source string, post interop.Post, letters int) {
	args := []string{"-s", strconv.Itoa(connections), "-m", strconv.Itoa(letters), "-l", strconv.Itoa(number("FACTEUR_BENCH_SIZE", letterSize)), "-f", "bob@example.net", "-t", l.to}
	if l.keep {
		args = append(args, "-d")
	}
	if out := interop.Run(b, "", source, append(args, post.Addr("smtp"))...); strings.Contains(out, "fatal") {
		b.Fatal(out)
	}
}

func wait(b *testing.B, arrived arrivals, want int) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Minute); arrived() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d letters arrived", arrived(), want)
		}
	}
}

// maildir counts the files in new: each read of the directory is paid by the
// counter, not by the server.
func maildir(*testing.B) (string, func(interop.Post) arrivals) {
	return "", func(post interop.Post) arrivals {
		return func() int {
			dir, err := os.Open(filepath.Join(post.Maildir(alice), "new"))
			if err != nil {
				return 0
			}
			defer dir.Close()
			names, _ := dir.Readdirnames(-1)
			return len(names)
		}
	}
}
