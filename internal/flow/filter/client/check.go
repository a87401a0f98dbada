package client

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/filter"
	"facteur/internal/net/dns"
)

// patience is how long the DNS is waited for; what comes later counts nothing.
const patience = 5 * time.Second

// Self is who we are, to notice those who say that they are us.
type Self struct {
	// Hostname is our name. Addrs are the addresses that others reach us at.
	Hostname string
	Addrs    []netip.Addr
	// Ours tells domains of our own.
	Ours func(domain string) bool
}

// Name is the check of what a client is called, by the DNS and by itself.
type Name struct {
	resolver *dns.Resolver
	self     func() Self
}

// NewName makes the check.
func NewName(r *dns.Resolver, self func() Self) *Name { return &Name{r, self} }

// Name implements filter.Check.
func (*Name) Name() string { return "client" }

// At implements filter.Check.
func (*Name) At() filter.Stage { return filter.Helo }

// Examine implements filter.Check.
func (n *Name) Examine(ctx context.Context, l *filter.Letter) []filter.Remark {
	if !l.Client.Addr.IsValid() || !dns.Public(l.Client.Addr) {
		return nil // its names are nobody's business
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v := view{addr: l.Client.Addr.Unmap(), told: l.Client.Helo, hello: readHello(l.Client.Helo), self: n.self()}
	leads := make(chan forward, 1)
	go func() { leads <- n.forward(ctx, v.hello, v.addr) }()
	v.reverse, v.name = n.reverse(ctx, l.Client)
	v.forward = <-leads
	v.judge()
	return v.remarks()
}

// reverse is what the DNS says of the name of an address.
type reverse int

// What it says.
const (
	unknown reverse = iota // it could not tell
	none
	mismatch
	confirmed
)

// reverse finds the name of a client. Where the door found one that leads back, nothing is
// asked.
func (n *Name) reverse(ctx context.Context, c filter.Client) (reverse, string) {
	if c.Name != "" && c.Name != "unknown" {
		return confirmed, c.Name
	}
	names := n.resolver.LookupPTR(ctx, c.Addr)
	switch names.State() {
	case lookup.TryAgain:
		return unknown, ""
	case lookup.NotFound:
		return none, ""
	}
	answer := n.resolver.ClientName(ctx, c.Addr)
	switch answer.State() {
	case lookup.Found:
		return confirmed, answer.Value()
	case lookup.TryAgain:
		return unknown, ""
	}
	return mismatch, names.Value()[0]
}

// forward is where the name in HELO leads.
type forward int

// Where.
const (
	untold    forward = iota // the DNS could not tell, or nobody asked
	nowhere                  // there is no such name, or it has no address
	elsewhere                // to other machines
	near                     // to a machine beside the client
	home                     // to the client
)

func (n *Name) forward(ctx context.Context, h hello, a netip.Addr) forward {
	if h.form != fqdn {
		return untold
	}
	found := n.resolver.LookupAddr(ctx, h.name)
	switch found.State() {
	case lookup.TryAgain:
		return untold
	case lookup.NotFound:
		return nowhere
	}
	switch {
	case slices.Contains(found.Value(), a):
		return home
	case slices.ContainsFunc(found.Value(), func(x netip.Addr) bool { return isNear(x, a) }):
		return near
	}
	return elsewhere
}

// isNear tells addresses of one network, as large senders and routers at home have: of the
// same family, or a machine's two families, of which nothing can be told.
func isNear(x, a netip.Addr) bool {
	if x.Is4() != a.Is4() {
		return true
	}
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	return err == nil && p.Contains(x)
}

// view is what is known of a client's names, and what is found wrong with them.
type view struct {
	addr    netip.Addr
	told    string // HELO, as it came
	hello   hello
	self    Self
	reverse reverse
	name    string
	forward forward

	found []filter.Remark
	small float64 // what amateurs have to pay for until now
}

// note adds a remark. What amateurs do, too, costs no more than amateurMost together.
func (v *view) note(s Symbol, format string, args ...any) {
	score := s.Score
	if s.Amateur {
		score = min(score, max(0, amateurMost-v.small))
		v.small += score
	}
	v.found = append(v.found, filter.Remark{Check: "client", Name: s.Name, Score: score, Sentence: fmt.Sprintf(format, args...)})
}

func (v *view) remarks() []filter.Remark { return v.found }

func (v *view) judge() {
	if v.claimsToBeUs() {
		return // nothing else matters beside that
	}
	v.judgeReverse()
	v.judgeHello()
}

// claimsToBeUs tells a client that calls itself by our name or address. None of ours comes
// here: they are trusted, or log in.
func (v *view) claimsToBeUs() bool {
	h := v.hello
	switch {
	case h.name != "" && h.form != short && (dns.Self{Names: []string{v.self.Hostname}}).IsHost(h.name),
		h.addr.IsValid() && dns.Self{Addrs: v.self.Addrs}.IsAddr(h.addr):
		v.note(heloOurs, "The client says HELO %s, which is this server.", quoted(v.told))
		return true
	case h.form == fqdn && (v.forward == nowhere || v.forward == elsewhere) && v.self.Ours != nil && v.self.Ours(h.name):
		v.note(heloOurs, "The client says HELO %s, which is a domain of this server.", quoted(v.told))
		return true
	}
	return false
}

func (v *view) judgeReverse() {
	six := v.addr.Is6()
	switch v.reverse {
	case none:
		v.note(pick(six, rdnsNoneSix, rdnsNone), "The client's address has no name in the DNS; whoever gives it the address can set one (PTR).")
	case mismatch:
		v.note(pick(six, rdnsBrokenSix, rdnsBroken), "The client's address is called %s in the DNS, which does not lead back to it; its PTR record and that name's address should agree.", v.name)
	}
	if v.name == "" {
		return
	}
	switch lookOf(v.name, v.addr) {
	case dynamic:
		if v.forward == home && v.hello.name != v.name && lookOf(v.hello.name, v.addr) == own {
			v.note(rdnsOwnName, "The client's address has the name of a line that changes hands, %s, though the client has a name of its own; its provider may set that as PTR record.", v.name)
			return
		}
		v.note(rdnsDynamic, "The client's address has the name of a line that changes hands, %s; mail from there should go through the provider's server, or the address get a name of its own (PTR).", v.name)
	case generic:
		v.note(rdnsGeneric, "The client's address has the name that its provider gave it, %s; a name of its own is better (PTR).", v.name)
	}
}

func pick(six bool, a, b Symbol) Symbol {
	if six {
		return a
	}
	return b
}

// judgeHello is about what the client calls itself.
func (v *view) judgeHello() {
	told := quoted(v.told)
	switch h := v.hello; h.form {
	case localhost:
		v.note(heloLocalhost, "The client says HELO %s, which is everybody's name for himself; its admin can set the server's full name.", told)
	case bare:
		v.note(heloBare, "The client says HELO %s, an address without brackets (RFC 5321, section 4.1.3); its admin can set the server's full name.", told)
	case literal:
		v.judgeLiteral(h.addr, told)
	case short:
		v.note(heloShort, "The client says HELO %s, which is no full name; its admin can set one that the DNS knows.", told)
		v.judgeRandom(h.name, told)
	case homeName:
		v.note(heloHome, "The client says HELO %s, a name that only its own network knows; its admin can set one that the DNS knows.", told)
	case invalid:
		v.note(heloSyntax, "The client says HELO %s, which can't be the name of a machine; its admin can set the server's full name.", told)
	case fqdn:
		v.judgeName(h.name, told)
	}
}

func (v *view) judgeLiteral(a netip.Addr, told string) {
	switch {
	case a == v.addr:
		v.note(heloLiteral, "The client says HELO %s, its own address; a name that the DNS knows is better.", told)
	case !dns.Public(a):
		v.note(heloPrivate, "The client says HELO %s, an address of its own network; its admin can set the server's full name.", told)
	case isNear(a, v.addr):
		v.note(heloLiteral, "The client says HELO %s, an address beside its own; a name that the DNS knows is better.", told)
	default:
		v.note(heloOther, "The client says HELO %s, the address of another machine.", told)
	}
}

func (v *view) judgeName(name, told string) {
	switch v.forward {
	case home:
		if v.reverse == confirmed && v.name == name && lookOf(name, v.addr) == own {
			v.note(heloGood, "The client says HELO %s, and the DNS agrees both ways.", told)
		}
	case elsewhere:
		v.note(heloElsewhere, "The client says HELO %s, a name that leads to other machines.", told)
	case nowhere:
		v.note(heloNowhere, "The client says HELO %s, a name that the DNS does not know; its admin can add it, or set another.", told)
		v.judgeRandom(firstLabel(name), told)
	}
	if lookOf(name, v.addr) == dynamic {
		v.note(heloDynamic, "The client says HELO %s, the name of a line that changes hands; its admin can set a name of its own.", told)
	}
}

func (v *view) judgeRandom(label, told string) {
	if isRandom(label) {
		v.note(heloRandom, "What the client says as HELO, %s, is letters thrown together.", told)
	}
}

func firstLabel(name string) string {
	for i := range len(name) {
		if name[i] == '.' {
			return name[:i]
		}
	}
	return name
}

var _ filter.Check = (*Name)(nil)
