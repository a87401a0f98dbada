package greylist

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

// Rules is what the admin set. It is not changed once it is in use.
type Rules struct {
	// Hostname is our name.
	Hostname string
	// From is the score from which on a stranger is suspicious enough to wait, Full that
	// from which on he waits for Longest.
	From, Full float64
	// Shortest and Longest are how long he waits. Most is after what time a letter is let
	// in whatever brings it.
	Shortest, Longest, Most time.Duration
	// Window is how long he may take to come back, Holds how long it counts that he did.
	Window, Holds time.Duration
	// TestOnly: it is only told who would wait.
	TestOnly bool
	// Networks, Names (confirmed names of clients) and Domains (of senders, as SPF or DKIM
	// prove) never wait. A name or domain stands for itself and all below it.
	Networks []netip.Prefix
	Names    []string
	Domains  []string
	// Recipients, addresses and domains, never have anybody wait.
	Recipients map[string]bool
}

// NewRecipients makes the set of Rules.Recipients.
func NewRecipients(list []string) map[string]bool {
	out := make(map[string]bool, len(list))
	for _, r := range list {
		if a, err := address.Parse(r); err == nil && a.Domain != "" {
			r = a.Key()
		}
		out[r] = true
	}
	return out
}

// wait is how long somebody with such a score waits.
func (r *Rules) wait(score float64) time.Duration {
	if r.Full <= r.From || score >= r.Full {
		return r.Longest
	}
	part := max(score-r.From, 0) / (r.Full - r.From)
	return (r.Shortest + time.Duration(part*float64(r.Longest-r.Shortest))).Round(time.Second)
}

// isBelow tells that a domain is in a list, or below one that is.
func isBelow(domain string, list []string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		rest, ok := strings.CutSuffix(domain, strings.TrimPrefix(entry, "."))
		return ok && (rest == "" || rest[len(rest)-1] == '.')
	})
}

func contains(nets []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(a) })
}
