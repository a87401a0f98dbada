package filter

import "context"

// Visitor is a client while it is connected: what Connect and Helo checks find out about
// it serves all its letters. It belongs to one goroutine. Close it.
type Visitor struct {
	filter  *Filter
	ctx     context.Context
	cancel  context.CancelFunc
	arrival round
	hello   round
}

// round is the checks that were started for a client as it was then.
type round struct {
	about  Client
	begun  bool
	cancel context.CancelFunc
	probes []*probe
}

// Meet begins the Connect checks of a client. They end with ctx, or when the Visitor is
// closed. nil: nothing is found out about this client.
func (f *Filter) Meet(ctx context.Context, l Letter) *Visitor {
	if f == nil || f.rules.off() || l.Returned || f.rules.ignores(l.Client) {
		return nil
	}
	v := &Visitor{filter: f}
	v.ctx, v.cancel = context.WithCancel(ctx)
	v.arrive(l)
	return v
}

// arrive starts the Connect checks, again if the client turns out to be another (XCLIENT).
func (v *Visitor) arrive(l Letter) {
	l.Client = Client{Addr: l.Client.Addr}
	v.renew(&v.arrival, Connect, l)
}

// Greet starts the Helo checks. What was found under the same name stays.
func (v *Visitor) Greet(l Letter) {
	if v == nil {
		return
	}
	v.arrive(l)
	v.renew(&v.hello, Helo, l)
}

// renew starts the checks of a stage, unless they know this client.
func (v *Visitor) renew(r *round, at Stage, l Letter) {
	if r.begun && r.about == l.Client {
		return
	}
	if r.cancel != nil {
		r.cancel()
	}
	ctx, cancel := context.WithCancel(v.ctx)
	l.Now = v.filter.now()
	*r = round{about: l.Client, begun: true, cancel: cancel, probes: start(ctx, v.filter.rules.Checks, at, &l, v.filter.now)}
}

// probes are all that were started.
func (v *Visitor) probes() []*probe {
	return append(append([]*probe(nil), v.arrival.probes...), v.hello.probes...)
}

// Of tells that the Visitor goes by the rules of a Filter; after a reload it does not.
func (v *Visitor) Of(f *Filter) bool { return v != nil && v.filter == f }

// Close ends all that is still going on. It may be called more than once.
func (v *Visitor) Close() {
	if v != nil {
		v.cancel()
	}
}
