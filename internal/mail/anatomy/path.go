package anatomy

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"facteur/internal/mail/address"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/message"
)

// Belief is how much a line of the header is worth.
type Belief string

// The beliefs.
const (
	// Ours: a host that the reader trusts wrote it, and nobody below could.
	Ours Belief = "ours"
	// Consistent: it fits the line above it; true if the hosts between are honest.
	Consistent Belief = "consistent"
	// Unproven: nothing connects it with the lines above. It may be invented.
	Unproven Belief = "unproven"
)

// Claim is an Authentication-Results field, or its kin of ARC.
type Claim struct {
	authres.Results
	// Field is the name of the field, Instance the i= of ARC's.
	Field    string `json:"field"`
	Instance int    `json:"instance,omitempty"`
	Belief   Belief `json:"belief"`
	Why      string `json:"why"`
}

// path reads the way and what was claimed on it.
func (l *Letter) path(h message.Header, o Options) {
	var claims []placed
	var hops []Hop // newest first
	for f := range h.Fields() {
		switch {
		case f.Is("Received"):
			if len(hops) == maxHops {
				l.LeftOut++
				continue
			}
			hops = append(hops, ParseReceived(f.Text()))
		case f.Is(authres.FieldName), f.Is("ARC-" + authres.FieldName):
			if len(claims) == maxClaims {
				l.LeftOut++
				continue
			}
			claims = append(claims, placed{f, len(hops)})
		}
	}
	trusted := hosts(o.Trusted)
	if len(trusted) == 0 && len(hops) > 0 && hops[0].By != "" {
		trusted = hosts([]string{hops[0].By})
	}
	ours := believe(hops, trusted)
	for _, p := range claims {
		l.Claims = append(l.Claims, p.claim(trusted, ours))
	}
	slices.Reverse(hops)
	delays(hops)
	l.Hops = hops
}

// placed is a field and how many Received lines stand above it.
type placed struct {
	message.Field
	below int
}

func (p placed) claim(trusted []string, ours int) Claim {
	c := Claim{Field: string(p.Name), Belief: Unproven}
	if p.Is(authres.FieldName) {
		c.Results, _ = authres.Parse(p.Text())
	} else {
		c.Instance, c.Results, _ = authres.ParseARC(p.Text())
	}
	c.Results = legible(c.Results)
	switch mine := slices.Contains(trusted, host(c.ID)); {
	case c.Instance > 0:
		c.Why = "worth what the ARC chain and its sealer are worth"
	case c.ID == "":
		c.Why = "names nobody who says it"
	case !mine:
		c.Why = "the word of a host that is not trusted"
	case p.below > ours:
		c.Why = "has a trusted name, but came in from outside"
	default:
		c.Belief, c.Why = Ours, "written here; this host removes what others write under its name"
	}
	return c
}

// legible makes the texts of a field fit for people.
func legible(r authres.Results) authres.Results {
	r.ID = text(r.ID)
	for i := range r.Methods {
		m := &r.Methods[i]
		m.Reason, m.Comment = text(m.Reason), text(m.Comment)
		for j := range m.Properties {
			m.Properties[j].Value = text(m.Properties[j].Value)
		}
	}
	return r
}

// believe judges the lines from the top, and tells how many are ours.
func believe(hops []Hop, trusted []string) (ours int) {
	for ours < len(hops) && (slices.Contains(trusted, host(hops[ours].By)) || inside(hops, ours)) {
		hops[ours].Belief, hops[ours].Why = Ours, "written by a host that is trusted, with only its own kind above"
		ours++
	}
	broken := false
	for i := ours; i < len(hops); i++ {
		h := &hops[i]
		var why string
		switch {
		case i == 0:
			why, broken = "the topmost line, and not by a host that is trusted", true
		case broken:
			why = "below a line that nothing proves"
		default:
			why, broken = link(hops[i-1], *h)
		}
		if h.Belief, h.Why = Consistent, why; broken {
			h.Belief = Unproven
		}
		if broken && slices.Contains(trusted, host(h.By)) {
			h.Why = "names a trusted host, but stands below lines of others: anybody could have written it"
		}
	}
	return ours
}

// inside tells of a line by "localhost" that the trusted line above it received from
// its own machine: a filter there, which hands back what it was given.
func inside(hops []Hop, i int) bool {
	return i > 0 && host(hops[i].By) == "localhost" && hops[i-1].IP.IsLoopback()
}

// link tells whether the host that the upper line received from is the one that
// wrote the lower line.
func link(upper, lower Hop) (why string, broken bool) {
	by := host(lower.By)
	switch {
	case by == "":
		return "does not say which host wrote it", true
	case upper.Local || upper.IP.IsLoopback():
		if by == host(upper.By) || by == "localhost" || by == host(upper.Helo) || host(upper.By) == "localhost" {
			return "handed on within one machine", false
		}
		return "the line above was handed in on " + upper.By + " itself, and this is of " + lower.By, true
	case upper.Name != "" && by == host(upper.Name):
		return "written by the host that the line above knows by its address", false
	case by == host(upper.Helo):
		return "written by the host that the line above calls by this name, which the client chose itself", false
	case sameHouse(by, host(upper.Name)), upper.Name == "" && sameHouse(by, host(upper.Helo)):
		return "written in the house that the line above received from", false
	}
	return "nothing connects " + lower.By + " with the line above", true
}

// sameHouse tells whether two hosts are of one registered domain.
func sameHouse(a, b string) bool {
	x, errX := publicsuffix.EffectiveTLDPlusOne(a)
	y, errY := publicsuffix.EffectiveTLDPlusOne(b)
	return errX == nil && errY == nil && x == y
}

// host is one spelling of the name of a host.
func host(name string) string {
	if c, err := address.CanonicalDomain(name); err == nil {
		return c
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

func hosts(names []string) []string {
	var list []string
	for _, n := range names {
		list = append(list, host(n))
	}
	return list
}

// delays are from hop to hop, the first on the way first; a line without a time is
// jumped over.
func delays(hops []Hop) {
	var last time.Time
	for i := range hops {
		if hops[i].Time.IsZero() {
			continue
		}
		if !last.IsZero() {
			hops[i].Delay = hops[i].Time.Sub(last)
		}
		last = hops[i].Time
	}
}

// Handover is the hop by which the letter came into trusted hands: its address is
// the last that is certain. Nil if no line is ours, or all are.
func (l *Letter) Handover() *Hop {
	for i := range l.Hops {
		if l.Hops[i].Belief == Ours {
			return &l.Hops[i]
		}
	}
	return nil
}
