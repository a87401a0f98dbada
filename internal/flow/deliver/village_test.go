package deliver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/flow/route"
	"facteur/internal/net/dns"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// village is a house in an Internet in memory, where hours pass in no time.
type village struct {
	*corridor
	*sim.Internet
	book *record

	// poison is an address that makes the program fail that calls it.
	poison netip.Addr

	mu    sync.Mutex
	calls map[netip.Addr]int // connections that were tried
	open  map[netip.Addr]int // that are open
	most  map[netip.Addr]int // that were open at the same time
}

// inVillage runs a test in a bubble of its own.
func inVillage(t *testing.T, run func(t *testing.T, v *village)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &village{book: &record{}, calls: map[netip.Addr]int{}, open: map[netip.Addr]int{}, most: map[netip.Addr]int{}}
		var err error
		v.Internet, err = sim.NewInternet(1)
		check(t, err)
		defer v.Internet.Close()
		c := &corridor{t: t, hostname: "mail.example.org", dir: room(t), fs: vfs.OS{}, events: v.book, schedule: usual}
		v.corridor = c
		state, err := db.Open(filepath.Join(c.dir, "facteur.db"), directory.Migrations())
		check(t, err)
		defer state.Close()
		c.accounts = directory.New(state, []string{"example.org"}, c.dir, 0)
		check(t, c.accounts.AddHashed(t.Context(), mustParse(t, "alice@example.org"), "{PLAIN}secret", 0))
		c.queue, err = queue.Open(c.dir)
		check(t, err)
		defer c.queue.Close()
		machine := v.Machine(netip.MustParseAddr("192.0.2.1"))
		c.resolver, err = dns.New(dns.Config{Servers: v.Servers(), Dial: machine.DialContext})
		check(t, err)
		c.router = route.New(c.accounts, c.hostname, func() string { return "example.org" })
		c.tune = func(o *Outbound) {
			o.Port, o.DestinationConcurrency, o.Concurrency = 25, 20, 100
			o.ReuseCount, o.ReuseTime, o.IdleTime = 1000, 5*time.Minute, 2*time.Second
			o.Dial = func(ctx context.Context, network string, to netip.AddrPort, from netip.Addr) (net.Conn, error) {
				return v.call(to.Addr(), func() (net.Conn, error) { return machine.Dial(ctx, network, to, from) })
			}
		}
		run(t, v)
	})
}

// room is a directory in memory, where there is one: this is not about the disk.
func room(t *testing.T) string {
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "facteur-deliver-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// call counts connections.
func (v *village) call(to netip.Addr, dial func() (net.Conn, error)) (net.Conn, error) {
	v.count(to, 1, true)
	if to == v.poison {
		v.count(to, -1, false)
		panic("poison")
	}
	conn, err := dial()
	if err != nil {
		v.count(to, -1, false)
		return nil, err
	}
	return &counted{Conn: conn, end: sync.OnceFunc(func() { v.count(to, -1, false) })}, nil
}

func (v *village) count(to netip.Addr, n int, call bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if call {
		v.calls[to]++
	}
	v.open[to] += n
	v.most[to] = max(v.most[to], v.open[to])
}

// called is how many connections were tried to a host, and the most at a time since the
// last call.
func (v *village) called(to netip.Addr) (calls, most int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	calls, most = v.calls[to], v.most[to]
	v.most[to] = v.open[to]
	return calls, most
}

type counted struct {
	net.Conn
	end func()
}

func (c *counted) Close() error {
	c.end()
	return c.Conn.Close()
}

// mails puts n letters of an account into the queue.
func (v *village) mails(n int, account, to string) {
	v.t.Helper()
	for i := range n {
		it := &queue.Item{Sender: mustParse(v.t, account), Origin: queue.Origin{Account: account}}
		v.put(it, letterText, queue.Recipient{Address: mustParse(v.t, strings.ReplaceAll(to, "#", fmt.Sprint(i)))})
	}
}

// serve runs a dispatcher; what it gives ends that.
func (v *village) serve() (d *Dispatcher, stop func()) {
	d = v.dispatcher()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(v.t, d.Run(ctx, time.Second))
	}()
	return d, func() { cancel(); <-done }
}

// waiting is how many recipients are in the queue.
func (v *village) waiting() int {
	_, n, err := v.queue.Depth(context.Background())
	check(v.t, err)
	return n
}
