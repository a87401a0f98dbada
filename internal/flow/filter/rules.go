package filter

import (
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/spf"
)

// Rules is what the admin set. It is not changed once it is in use.
type Rules struct {
	// Hostname is our name: the authserv-id of what we write (RFC 8601 §2.2).
	Hostname string
	SPF      SPFRules
	// DKIM: signatures are verified. ARC: so are chains of them.
	DKIM, ARC bool
	// Signatures says how, Seals the same for chains.
	Signatures dkim.Options
	Seals      arc.Options
	DMARC      DMARCRules
	// Ignored are networks of hosts that nothing is asked about, and IgnoredNames their
	// names, ".example.org" for all below example.org.
	Ignored      []netip.Prefix
	IgnoredNames []string
	// TrustedIDs are the names of servers of ours in front of this one, whose
	// Authentication-Results are believed where they come from those servers themselves.
	TrustedIDs []string
	// Sealers are domains whose ARC seals are believed: each of them and those below.
	Sealers []string
	// Forwarders are domains, names of hosts and networks that are known to send on the
	// letters of others, and to change them.
	Forwarders        []string
	ForwarderNetworks []netip.Prefix
	// Learn: those are believed, too, who have brought good letters of others for a while.
	Learn bool
	// Checks look at the letters of strangers. Own look at those of our users, for what must
	// not go out: viruses, banned files; see Filter.Inspect. They want to know the letter
	// (Stage End), or its sender and recipients. A check may be in both.
	Checks, Own []Check
	// Viruses: one of them is a virus scanner, and nobody else's word on viruses stands in
	// the header.
	Viruses bool
	// Scoring: what is found adds up to a score, which decides what becomes of a letter.
	Scoring bool
	// Scale says how much what they find counts, Blocked what becomes of letters from
	// senders on a block list.
	Scale   Scale
	Blocked Blocked
}

// SPFRules are the settings of SPF.
type SPFRules struct {
	// Enabled: SPF is asked.
	Enabled bool
	// Policy is what is refused for it at RCPT, Exemptions is who is not asked about.
	Policy     spf.Policy
	Exemptions spf.Exemptions
	// ReceivedSPF and Results say which of the two fields tell of SPF.
	ReceivedSPF, Results bool
	// HideReceiver keeps the recipient out of Received-SPF.
	HideReceiver bool
}

// Policy is what becomes of a letter whose author's domain disowns it.
type Policy string

// The policies.
const (
	// Honour does what the domain asks for, unless somebody vouches for the letter.
	Honour Policy = "honour"
	// Quarantine puts into the junk folder what would be refused.
	Quarantine Policy = "quarantine"
	// Score finds out, and lets everything pass.
	Score Policy = "score"
	// Off does not ask.
	Off Policy = "off"
)

// Odd is what becomes of a letter without an author that can be read.
type Odd string

// The choices.
const (
	OddAccept Odd = "accept"
	OddJunk   Odd = "junk"
	OddReject Odd = "reject"
)

// DMARCRules are the settings of DMARC.
type DMARCRules struct {
	Policy Policy
	// RejectMultipleFrom refuses letters with authors in several domains; else the worst
	// of what these ask for counts.
	RejectMultipleFrom bool
	// NoFrom is what becomes of a letter without From, UnreadableFrom of one whose author
	// has no domain that could be asked.
	NoFrom, UnreadableFrom Odd
	// DeferTempError: what the DNS could not tell makes the client come again.
	DeferTempError bool
}

// off tells that nothing is to be found out at all.
func (r *Rules) off() bool {
	return !r.SPF.Enabled && !r.DKIM && !r.ARC && (r.DMARC.Policy == Off || r.DMARC.Policy == "") && !r.Scoring
}

// Scores tells that letters are scored.
func (r *Rules) Scores() bool { return r.Scoring }

// ignores tells hosts that nothing is asked about.
func (r *Rules) ignores(c Client) bool {
	return inNetworks(r.Ignored, c.Addr) || c.named() && isBelow(c.Name, r.IgnoredNames)
}

// isOurs tells that the client is a server of ours in front of this one.
func (r *Rules) isOurs(c Client) bool {
	return c.named() && slices.ContainsFunc(r.TrustedIDs, func(id string) bool { return strings.EqualFold(id, strings.TrimSuffix(c.Name, ".")) })
}

func inNetworks(nets []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(a) })
}

// isBelow tells that a name is in a list: itself, or below one that begins with a dot.
func isBelow(name string, list []string) bool {
	name = fold(name)
	return slices.ContainsFunc(list, func(entry string) bool {
		entry = fold(entry)
		return name == entry || entry != "" && entry[0] == '.' && strings.HasSuffix(name, entry)
	})
}

// isOneOf tells that a domain is in a list, or below one that is.
func isOneOf(domain string, list []string) bool {
	return slices.ContainsFunc(list, func(entry string) bool { return sameOrAbove(strings.TrimPrefix(entry, "."), domain) })
}
