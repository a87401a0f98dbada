package greylist

import (
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	store "facteur/internal/store/greylist"
)

// Letter is what a stranger brings, as far as it is known.
type Letter struct {
	// ID is the queue ID that it will have, Session the connection: for the journey.
	ID, Session string
	Client      netip.Addr
	// Name is the client's name, if that leads back to its address; else "" or "unknown".
	Name, Helo string
	Sender     address.Address
	Recipients []Recipient
	// What follows is known at the end of DATA only.

	// MessageID is as in the header.
	MessageID string
	Size      int64
	// Proven are domains that SPF or DKIM prove to have sent it. Authentic: the sender's is
	// one of them. Aligned: DMARC passes as well.
	Proven             []string
	Authentic, Aligned bool
	// Suspicion is the score; Junk tells that it would go to the junk folder.
	Suspicion float64
	Junk      bool
}

// Recipient is somebody whom a letter is for; Account is "" where he has none here.
type Recipient struct {
	Address address.Address
	Account string
}

// provenMost is how many domains that are proven a stranger is known by; more are of no use
// but to him who has many.
const provenMost = 3

// names are those by which the stranger may be known; the first is the best.
func (l *Letter) names() []store.Name {
	var out []store.Name
	for _, d := range l.Proven {
		if n := store.Domain(organisation(d)); d != "" && !slices.Contains(out, n) && len(out) < provenMost {
			out = append(out, n)
		}
	}
	sender := Plain(l.Sender)
	out = append(out, store.Host(network(l.Client), sender))
	if named(l.Name) {
		out = append(out, store.Farm(organisation(l.Name), sender))
	}
	if l.MessageID != "" && l.MessageID != "<>" {
		out = append(out, store.Letter(l.MessageID, sender))
	}
	return out
}

func named(name string) bool { return name != "" && name != "unknown" }

// organisation is the domain that somebody registered, of a name below it.
func organisation(name string) string { return dkim.Organisation(fold(name)) }

func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// network is what a client counts in: the /24 of an IPv4 address, the /48 of an IPv6
// address. Who has a /48 has 65536 networks of the usual size, and a farm in it retries
// from any of them.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}

// domains are those of the recipients, each once; the most that one letter waits for.
func (l *Letter) domains() (out []string) {
	const most = 8
	for _, r := range l.Recipients {
		if d := r.Address.Domain; !slices.Contains(out, d) && len(out) < most {
			out = append(out, d)
		}
	}
	return out
}

// at are the recipients in a domain, and their accounts where these are called otherwise.
func (l *Letter) at(domain string) (out []string) {
	for _, r := range l.Recipients {
		if r.Address.Domain != domain {
			continue
		}
		if out = append(out, r.Address.String()); r.Account != "" && r.Account != r.Address.Key() {
			out = append(out, r.Account)
		}
	}
	return out
}

// client is name[address], as Postfix writes it.
func (l *Letter) client() string {
	name := l.Name
	if name == "" {
		name = "unknown"
	}
	return name + "[" + l.Client.Unmap().String() + "]"
}
