package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/test/interop"
	"facteur/internal/test/sim"
)

const (
	// inboundHosts is how many mail servers of strangers send, each of a domain of its own
	// and from its own address, inboundBoxes to how many accounts.
	inboundHosts = 40
	inboundBoxes = 10
	// inboundLetters is how many different letters each of them has.
	inboundLetters = 8
)

// inboundColumns are the numbers of BenchmarkInbound; busy/s is what two processors would
// take if they did nothing else, the load generator included.
var inboundColumns = []column{
	{"accept/s", func(r result) float64 { return r.accept }, false},
	{"CPU ms", func(r result) float64 { return milliseconds(r.cpu) }, true},
	{"load ms", func(r result) float64 { return milliseconds(r.load) }, true},
	{"busy/s", func(r result) float64 { return 2000 / milliseconds(r.cpu+r.load) }, false},
	{"MB", func(r result) float64 { return float64(r.memory) / (1 << 20) }, true},
	{"p50 ms", func(r result) float64 { return milliseconds(r.p50) }, true},
	{"p99 ms", func(r result) float64 { return milliseconds(r.p99) }, true},
	others,
}

// BenchmarkInbound: letters of strangers of 5 to 10 KB through all that looks at them: SPF,
// DKIM, DMARC, the filter with its lists, what is learnt, greylisting, reputation, and into
// Maildirs. Half of the letters are signed; the name server is on loopback, in this process
// (rspamd, which remembers no answers, asks it more often: "load ms"). Beside it the same
// letters through Debian's Postfix with its rspamd.
func BenchmarkInbound(b *testing.B) {
	rounds, period := number("FACTEUR_BENCH_ROUNDS", 3), seconds("FACTEUR_BENCH_SECONDS", 8)
	world := newStrangers(b)
	rows := []row{{what: "everything on"}, {what: "not scored"}}
	for range rounds {
		for i, config := range []string{"", "\n[filter]\nenabled = false\n"} {
			if r := world.measure(b, rows[i].what, period, config); r.accept > 0 {
				rows[i].facteur = append(rows[i].facteur, r)
			}
		}
		if r := world.measureRspamd(b, period); r.accept > 0 {
			rows[0].debian = append(rows[0].debian, r)
		}
	}
	fmt.Print(markdown(fmt.Sprintf("Strangers' letters of 5 to 10 KB, for %v each, median of %d", period, rounds), "letters", inboundColumns, rows))
}

// strangers are mail servers elsewhere, and the name server that knows them.
type strangers struct {
	dns   *sim.DNS
	hosts []*stranger
}

// stranger is one of them.
type stranger struct {
	addr    *net.TCPAddr
	helo    string
	sender  string
	letters [][]byte
}

func newStrangers(b *testing.B) *strangers {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	w := &strangers{}
	zone := "2.0.0.127.bl.example. A 127.0.0.2\n"
	random := mathrand.New(mathrand.NewPCG(7, 7))
	for n := range inboundHosts {
		domain, ip := fmt.Sprintf("sender%d.example", n), net.IPv4(127, 7, 0, byte(n+1))
		s := &stranger{addr: &net.TCPAddr{IP: ip}, helo: "mx." + domain, sender: "person@" + domain}
		zone += fmt.Sprintf("%[1]s. A %[2]s\n%[1]s. MX 10 mx.%[1]s.\nmx.%[1]s. A %[2]s\n%[1]s. TXT \"v=spf1 mx -all\"\nmx.%[1]s. TXT \"v=spf1 a -all\"\n"+
			"_dmarc.%[1]s. TXT \"v=DMARC1; p=reject\"\n%[3]d.0.7.127.in-addr.arpa. PTR mx.%[1]s.\n", domain, ip, n+1)
		encoded := base64.StdEncoding.EncodeToString(public)
		zone += fmt.Sprintf("s1._domainkey.%s. TXT \"v=DKIM1; k=rsa; p=%s\" \"%s\"\n", domain, encoded[:200], encoded[200:])
		for i := range inboundLetters {
			s.letters = append(s.letters, strangersLetter(b, random, domain, n*inboundLetters+i, dkim.Key{Domain: domain, Selector: "s1", Private: key}))
		}
		w.hosts = append(w.hosts, s)
	}
	if w.dns, err = sim.StartDNS("127.0.0.1:0", zone); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.dns.Close)
	return w
}

// strangersLetter is text with HTML beside it, as programs of people write it, with an end;
// every other one is signed.
func strangersLetter(b *testing.B, random *mathrand.Rand, domain string, n int, key dkim.Key) []byte {
	b.Helper()
	text := paragraphs(random, 2000+random.IntN(1500))
	header := fmt.Sprintf("Received: from laptop.%[1]s (laptop.%[1]s [192.0.2.%[4]d])\r\n\tby mx.%[1]s with ESMTPSA id %[2]d\r\n\tfor <box0@example.org>; %[3]s\r\n"+
		"From: A Person <person@%[1]s>\r\nTo: Box <box%[5]d@example.org>\r\nSubject: %[6]s\r\nDate: %[3]s\r\nMessage-ID: <letter-%[2]d@%[1]s>\r\n"+
		"References: <letter-%[7]d@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"edge-%[2]d\"\r\n\r\n",
		domain, n, time.Now().Format(time.RFC1123Z), n%250+1, n%inboundBoxes, sentence(random, 5), n-1)
	var body strings.Builder
	fmt.Fprintf(&body, "--edge-%d\nContent-Type: text/plain; charset=utf-8\n\n%s\nhttps://www.%s/page/%d\n", n, text, domain, n)
	fmt.Fprintf(&body, "--edge-%d\nContent-Type: text/html; charset=utf-8\n\n<html><head><style>p { margin: 0; color: #222 }</style></head><body>\n", n)
	for line := range strings.Lines(text) {
		fmt.Fprintf(&body, "<p class=\"text\"><span style=\"font-family: sans-serif\">%s</span></p>\n", strings.TrimSpace(line))
	}
	fmt.Fprintf(&body, "<p><a href=\"https://www.%s/page/%d\">our page</a></p></body></html>\n--edge-%[2]d--\n", domain, n)
	crlf := strings.ReplaceAll(body.String(), "\n", "\r\n")
	var field []byte
	if n%2 == 0 {
		form := dkim.Form{Header: dkim.Relaxed, Body: dkim.Relaxed}
		hashes := dkim.NewBody()
		digest := form.Wants(hashes)
		hashes.Write([]byte(crlf))
		var err error
		if field, err = dkim.Sign(message.Header(header), hashes.Sum(digest), key, form, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	return []byte(string(field) + header + crlf + ".\r\n")
}

// config is that of a server which knows the world from its name server. Addresses of
// loopback are strangers' here.
func (w *strangers) config() string {
	return fmt.Sprintf("[dns]\nservers = [%q]\n\n[greylist]\nnetworks = []\n\n[pregreet]\ngreet_wait = \"0s\"\nstress_greet_wait = \"0s\"\n\n"+
		"[[dns_list]]\nname = \"bl\"\nzone = \"bl.example\"\nkind = \"client\"\ncodes = [\"any = 3\"]\n", w.dns.Addr())
}

// measure starts a server afresh and has all strangers send to it for a while.
func (w *strangers) measure(b *testing.B, what string, period time.Duration, config string) (r result) {
	b.Run(what, func(b *testing.B) {
		f := w.serve(b, config)
		f.Start()
		r = w.load(b, f, period, f.Processes()...)
	})
	return r
}

// load has all strangers send to a server of these processes.
func (w *strangers) load(b *testing.B, post interop.Post, period time.Duration, pids ...int) (r result) {
	b.Helper()
	arrivals := func() int { return arrivedIn(post) }
	warm := w.during(b, post.Addr("smtp"), 2*time.Second)
	wait(b, arrivals, len(warm))
	calm()
	settle(pids)

	cpu, own, start, disturbed := cpuOf(pids), ownCPU(), time.Now(), watchOthers()
	took := w.during(b, post.Addr("smtp"), period)
	letters := len(took)
	r.accept = float64(letters) / time.Since(start).Seconds()
	r.load = (ownCPU() - own) / time.Duration(letters)
	r.p50, r.p99 = took[letters/2], took[letters*99/100]
	for _, pid := range pids {
		r.memory += interop.Memory(pid)
	}
	wait(b, arrivals, len(warm)+letters)
	r.cpu = (cpuOf(pids) - cpu) / time.Duration(letters)
	r.others = disturbed()
	b.ReportMetric(r.accept, "accept/s")
	b.ReportMetric(milliseconds(r.cpu), "cpu-ms/letter")
	return r
}

// settle waits for servers to end what they do at their start: rspamd compiles its
// expressions, for half a minute.
func settle(pids []int) {
	for range 60 {
		before := cpuOf(pids)
		time.Sleep(2 * time.Second)
		if cpuOf(pids)-before < 100*time.Millisecond {
			return
		}
	}
}

func cpuOf(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		sum += interop.CPU(pid)
	}
	return sum
}

func (w *strangers) serve(b *testing.B, config string) *interop.Facteur {
	b.Helper()
	f := interop.NewFacteur(b, interop.Setup{Accounts: inboundAccounts(), Services: []string{"smtp"}, Trusted: "127.0.0.1/32", Config: w.config() + config})
	f.Edit("exempt = [\"127.0.0.1/32\"]", "exempt = [\"127.0.0.0/8\"]") // all strangers are one machine here
	return f
}

func inboundAccounts() (all []string) {
	for n := range inboundBoxes {
		all = append(all, fmt.Sprintf("box%d@example.org", n))
	}
	return all
}

// arrivedIn counts what is in the mailboxes.
func arrivedIn(post interop.Post) (n int) {
	for _, account := range inboundAccounts() {
		for _, sub := range []string{"new", ".Junk/new"} {
			if dir, err := os.Open(filepath.Join(post.Maildir(account), sub)); err == nil {
				names, _ := dir.Readdirnames(-1)
				n += len(names)
				dir.Close()
			}
		}
	}
	return n
}

// during has every stranger send for a while, a connection for each letter; nothing may
// fail. It returns how long each letter took.
func (w *strangers) during(b *testing.B, addr string, period time.Duration) []time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), period)
	defer cancel()
	var (
		mu      sync.Mutex
		all     []time.Duration
		problem error
		clients sync.WaitGroup
		next    atomic.Int64
	)
	for _, s := range w.hosts {
		clients.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				err := s.send(addr, int(next.Add(1)))
				mu.Lock()
				all, problem = append(all, time.Since(start)), errors.Join(problem, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	clients.Wait()
	if problem != nil || len(all) == 0 {
		b.Fatalf("%d letters, %v", len(all), problem)
	}
	slices.Sort(all)
	return all
}

// send is one letter over one connection, from the stranger's own address.
func (s *stranger) send(addr string, n int) error {
	conn, err := (&net.Dialer{Timeout: patience, LocalAddr: s.addr}).Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	t := &talk{conn, bufio.NewReaderSize(conn, 512)}
	if err := t.answer("220"); err != nil {
		return err
	}
	fmt.Fprintf(conn, "EHLO %s\r\n", s.helo)
	if err := t.answer("250"); err != nil {
		return err
	}
	if err := t.post(s.sender, fmt.Sprintf("box%d@example.org", n%inboundBoxes), s.letters[n%len(s.letters)]); err != nil {
		return err
	}
	t.quit()
	return nil
}
