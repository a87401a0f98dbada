package spf

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
)

// Status is the result of a check (RFC 7208 §2.6), in the words of
// Authentication-Results (RFC 8601 §2.7.2).
type Status string

// The results.
const (
	// None: there is no record, or no domain that could have one.
	None Status = "none"
	// Neutral: the owner says that he does not say.
	Neutral Status = "neutral"
	// Pass: the client may use the domain.
	Pass Status = "pass"
	// Fail: it may not.
	Fail Status = "fail"
	// SoftFail: it probably may not.
	SoftFail Status = "softfail"
	// TempError: the DNS could not tell; another time it may.
	TempError Status = "temperror"
	// PermError: the records are wrong, and somebody has to correct them.
	PermError Status = "permerror"
)

// Identity is the name that was checked (RFC 7208 §2.3, §2.4).
type Identity string

// The identities.
const (
	MailFrom Identity = "mailfrom"
	Helo     Identity = "helo"
)

// Timeout is how long a check may take (RFC 7208 §4.6.4).
const Timeout = 20 * time.Second

// Resolver is what a check asks of the DNS. NotFound means that the servers said so, and
// TryAgain anything else that is no answer. Names are as the records and macros made
// them, which need not be names of hosts; they have labels of 1 to 63 octets.
type Resolver struct {
	// TXT finds text records, the strings of each joined.
	TXT func(ctx context.Context, name string) lookup.Answer[[]string]
	// A and AAAA find the addresses of a host.
	A, AAAA func(ctx context.Context, name string) lookup.Answer[[]netip.Addr]
	// MX finds mail hosts by their records only, in any order; a null MX (RFC 7505)
	// gives none.
	MX func(ctx context.Context, name string) lookup.Answer[[]string]
	// PTR finds the names that an address claims.
	PTR func(ctx context.Context, addr netip.Addr) lookup.Answer[[]string]
}

// Question is who sends, and from where.
type Question struct {
	// IP is the client's address; IPv4 in IPv6 is IPv4.
	IP netip.Addr
	// Helo is what the client called itself.
	Helo string
	// Sender is the reverse-path without its brackets. Empty, or without a domain: the
	// HELO name is checked in its place (RFC 7208 §2.4).
	Sender string
	// Receiver is our own name, for the macro %{r} and the header. May be empty.
	Receiver string
	// Now is for the macro %{t}.
	Now time.Time
}

// Result is the answer.
type Result struct {
	Status   Status
	Identity Identity
	// Domain is the domain that was checked, lower-case, in A-labels; "" if the question
	// names none.
	Domain string
	// Mechanism is the term of the domain's own record that decided, as it stands there
	// ("ip4:192.0.2.0/24", "-all", "include:_spf.example.com"), or at which the check
	// ended with an error; "default" if none did, and empty without a record.
	Mechanism string
	// Path is how it was decided, from the record of Domain inwards through includes and
	// redirects.
	Path []Step
	// Explanation is what the owner tells those who fail, in printable ASCII, at most
	// 500 octets. It is a stranger's text.
	Explanation string
	// Lookups is how many terms with DNS look-ups were evaluated, of 10; Voids is how
	// many of their look-ups had no answer, of 2.
	Lookups, Voids int
	// NoMail: the domain's own record is "v=spf1 -all", which says that it sends nothing.
	NoMail bool
	// Problem is what is wrong, in words, for the three results that are no statement
	// of the domain's owner.
	Problem string
}

// Step is a term that matched, in the record of a domain.
type Step struct {
	Domain, Term string
}

// Check evaluates the records of a domain for a client.
func Check(ctx context.Context, dns Resolver, q Question) Result {
	e := evaluation{dns: dns, ip: q.IP.Unmap().WithZone(""), question: q}
	r := Result{Status: None, Identity: e.identify(q)}
	if !e.ip.IsValid() {
		r.Problem = "the client has no IP address"
		return r
	}
	domain, ok := initialDomain(e.domain)
	if !ok {
		r.Problem = "no domain to check"
		return r
	}
	r.Domain, e.domain = domain, domain
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	v := e.evaluate(ctx, domain)
	r.Status, r.Path, r.Problem = v.status, v.path, v.problem
	r.NoMail = e.noMail && e.terms == 0
	r.Lookups, r.Voids = e.terms, e.voids
	if len(v.path) > 0 {
		r.Mechanism = v.path[0].Term
	}
	if v.status == Fail {
		r.Explanation = e.explain(ctx, v)
	}
	return r
}

// identify splits the sender, or the postmaster of the HELO name, into its parts.
func (e *evaluation) identify(q Question) Identity {
	at := strings.LastIndexByte(q.Sender, '@')
	e.helo = q.Helo
	if ascii, err := address.CanonicalDomain(q.Helo); err == nil {
		e.helo = ascii
	}
	if at < 0 || at == len(q.Sender)-1 {
		e.local, e.domain = "postmaster", e.helo
		e.sender = e.local + "@" + e.domain
		return Helo
	}
	e.local, e.domain = q.Sender[:at], q.Sender[at+1:]
	if e.local == "" { // §4.3
		e.local = "postmaster"
	}
	e.sender = e.local + "@" + e.domain
	return MailFrom
}

// initialDomain is the domain to start with: one of at least two labels, and no address
// (§4.3).
func initialDomain(s string) (string, bool) {
	domain, err := address.CanonicalDomain(s)
	if err != nil || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "[]:") {
		return "", false
	}
	return domain, true
}
