package deliver

import (
	"context"
	"fmt"
	"strings"

	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/tlspolicy"
)

// Trace is the way that mail for an address would take now, for people.
type Trace struct {
	// Why says who decided; "" where nobody did and the usual way is taken.
	Why string `json:"why,omitempty"`
	// Transport and Kind are what it takes, LogName what the log calls it.
	Transport string `json:"transport"`
	Kind      string `json:"kind"`
	LogName   string `json:"log_name,omitempty"`
	NextHop   string `json:"nexthop,omitempty"`
	// Text is what is answered, or why it is held.
	Text  string      `json:"text,omitempty"`
	Hosts []TraceHost `json:"hosts,omitempty"`
	// Operator is whom the pace is shared with.
	Operator string `json:"operator,omitempty"`
	// TLS is what the next hop demands of it, in sentences.
	TLS    []string `json:"tls,omitempty"`
	Pace   string   `json:"pace,omitempty"`
	Source string   `json:"source,omitempty"`
	// Trouble is why there is no host now.
	Trouble string `json:"trouble,omitempty"`
	// Share is how much of such mail takes this way, in percent, and Others are the ways
	// of the rest.
	Share  int     `json:"share"`
	Others []Trace `json:"others,omitempty"`
}

// TraceHost is a host that would be tried.
type TraceHost struct {
	Name string `json:"name"`
	// Preference is that of an MX record; -1 for a relay.
	Preference int `json:"preference"`
	Weight     int `json:"weight,omitempty"`
	// Share is for how much of the mail on this way it is tried first, in percent.
	Share     float64  `json:"share,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	User      string   `json:"user,omitempty"`
	TLS       string   `json:"tls,omitempty"`
	Trouble   string   `json:"trouble,omitempty"`
}

// Follow finds the way that mail would take now, and the ways of the shares of it that are
// diverted. It asks the tables of transports and the name service, connects to no mail host, and
// sends nothing. Of a
// house it needs the name and the resolver.
func Follow(ctx context.Context, h House, out *Outbound, m transport.Mail) Trace {
	f := h.finder()
	m.Found = out.Tables.Ask(ctx, m)
	c := out.Ways.Choose(m.Undiverted())
	t, then := f.follow(ctx, out, c)
	diverted := 0 // of all such mail: who is diverted at first and who is later are told by the same number
	for _, from := range []transport.Choice{c, then} {
		if other, percent := from.Diversion(); percent > diverted {
			way := f.trace(ctx, out, other)
			way.Share, diverted = percent-diverted, percent
			t.Others = append(t.Others, way)
		}
	}
	t.Share = 100 - diverted
	return t
}

// follow is the way of a choice that its MX hosts may change, and what they make of it.
func (f *finder) follow(ctx context.Context, out *Outbound, c transport.Choice) (Trace, transport.Choice) {
	s, reply, text := f.site(ctx, out, c)
	switch then := out.forHosts(c, s); {
	case reply != nil || len(s.hosts) == 0:
		return f.traceSite(ctx, out, c, s, reply, text), c
	case out.sameHosts(c, then):
		return f.traceSite(ctx, out, then, s.by(then), nil, ""), then
	default:
		return f.trace(ctx, out, then), then
	}
}

// trace is the way of a choice that is settled.
func (f *finder) trace(ctx context.Context, out *Outbound, c transport.Choice) Trace {
	c.Relays = c.ByWeight()
	s, reply, text := f.site(ctx, out, c)
	return f.traceSite(ctx, out, c, s, reply, text)
}

func (f *finder) traceSite(ctx context.Context, out *Outbound, c transport.Choice, s site, reply *smtp.Reply, text string) Trace {
	t := describe(c, s, out)
	if reply != nil {
		t.Trouble = text
		return t
	}
	if s.demand != nil {
		t.TLS = s.demand.Explain()
	}
	weights := 0
	for _, r := range c.Relays {
		weights += r.Weight
	}
	for _, h := range s.hosts {
		host := f.traceHost(ctx, out, s, h)
		if host.Weight > 0 {
			host.Share = float64(host.Weight) * 100 / float64(weights)
		}
		t.Hosts = append(t.Hosts, host)
	}
	return t
}

// describe is what is known without asking anybody.
func describe(c transport.Choice, s site, out *Outbound) Trace {
	t := Trace{Why: c.Why, Transport: s.transport.Name, Kind: s.transport.Kind.String(), LogName: s.transport.LogName,
		NextHop: s.nexthop}
	switch {
	case s.transport.Kind.Dials():
		t.Operator = s.operator
		t.Pace, t.Source = paceText(out.paceOf(s.transport)), sourceText(out.source(s.transport))
	case s.transport.Kind == transport.Pipe:
		t.Pace, t.Text = paceText(out.paceOf(s.transport)), strings.Join(s.transport.Command, " ")
	case s.transport.Kind == transport.Error || s.transport.Kind == transport.Hold:
		t.Text = c.Text
	}
	return t
}

func paceText(p transport.Pace) string {
	text := fmt.Sprintf("%d connections at first, at most %d; %d recipients a message", p.InitialConcurrency, p.Concurrency, p.Recipients)
	if p.RateDelay > 0 {
		text += fmt.Sprintf("; one message every %v", p.RateDelay)
	}
	switch {
	case p.FailedCohort < 0:
		return text + "; never left alone"
	case p.FailedCohort == 1:
		return text + "; left alone when all of them fail"
	}
	return text + fmt.Sprintf("; left alone when all of them fail %d times in a row", p.FailedCohort)
}

func sourceText(s transport.Source) string {
	from := "any address"
	if len(s.Bind) > 0 {
		from = ""
		for i, a := range s.Bind {
			if i > 0 {
				from += " and "
			}
			from += a.String()
		}
	}
	return fmt.Sprintf("from %s, as %s", from, s.Helo)
}

func (f *finder) traceHost(ctx context.Context, out *Outbound, s site, h host) TraceHost {
	t := TraceHost{Name: h.place(), Preference: int(h.preference)}
	if h.relay != nil {
		t.Preference, t.Weight, t.User = -1, h.relay.Weight, h.relay.User
	}
	addrs, reply := f.addrs(ctx, out, h)
	if reply == nil && h.socket == "" {
		addrs.Addrs, _, reply = f.usable(ctx, out, out.source(s.transport), h, addrs.Addrs)
	}
	if reply != nil {
		t.Trouble = reply.Text()
		return t
	}
	for _, a := range addrs.Addrs {
		t.Addresses = append(t.Addresses, a.String())
	}
	demand := f.demandOf(ctx, out, s, h)
	t.TLS = demand.Level.String()
	terms, err := f.tls.Terms(ctx, demand, tlspolicy.Host{Name: h.name, Port: h.port, Secure: h.secure, Addrs: addrs})
	switch {
	case err != nil:
		t.Trouble = err.Error()
	case terms.Why != "":
		t.TLS += " (" + terms.Why + ")"
	}
	return t
}
