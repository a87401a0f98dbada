package smtpc

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// keepAlive is how often the system asks whether an idle peer is still there.
const keepAlive = time.Minute

// maxRunning is how many connections to one host are being opened at a time. Hosts
// count the connections of a client, and those that it drops.
const maxRunning = 2

// race opens connections to the addresses of a host, in their order, the next one
// when the last has failed or not answered for a while.
type race struct {
	ctx    context.Context
	cancel context.CancelFunc
	target Target
	cfg    Config

	rest    []netip.Addr
	running int
	arrived chan arrival
}

// arrival is how the opening of a connection ended.
type arrival struct {
	addr    netip.Addr
	raw     net.Conn
	failure *Failure
}

func newRace(ctx context.Context, target Target, cfg Config) *race {
	r := &race{target: target, cfg: cfg, rest: target.Addrs, arrived: make(chan arrival, maxRunning)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// arrivals gives what became of each address, as it becomes known.
func (r *race) arrivals(yield func(arrival) bool) {
	if len(r.rest) == 1 {
		raw, failure := connect(r.ctx, r.target, r.rest[0], r.cfg)
		yield(arrival{r.rest[0], raw, failure})
		return
	}
	for (r.running > 0 || len(r.rest) > 0) && yield(r.next()) {
	}
}

// next waits for one to arrive, and sends off others meanwhile.
func (r *race) next() arrival {
	if r.running == 0 {
		r.launch()
	}
	for {
		var late <-chan time.Time
		if r.running < maxRunning && len(r.rest) > 0 {
			timer := time.NewTimer(r.cfg.Timeouts.Stagger)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case a := <-r.arrived:
			r.running--
			return a
		case <-late:
			r.launch()
		}
	}
}

func (r *race) launch() {
	addr := r.rest[0]
	r.rest = r.rest[1:]
	r.running++
	go func() {
		raw, failure := connect(r.ctx, r.target, addr, r.cfg)
		r.arrived <- arrival{addr, raw, failure}
	}()
}

// end calls back those that still run, and closes what arrives all the same.
func (r *race) end() {
	r.cancel()
	if r.running == 0 {
		return
	}
	go func(n int) {
		for range n {
			if a := <-r.arrived; a.raw != nil {
				a.raw.Close()
			}
		}
	}(r.running)
}
