package spf

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
)

// Level is how much of SPF an admin enforces for an identity.
type Level string

// The levels, each with those above it, but for the first two.
const (
	// Unchecked: the identity is not even looked at.
	Unchecked Level = "unchecked"
	// Never: it is checked and written down, and nobody is refused for it.
	Never Level = "never"
	// NullSenderFail: fail is refused for mail with the null reverse-path (HELO only).
	NullSenderFail Level = "null_sender"
	// OnFail: fail is refused.
	OnFail Level = "fail"
	// OnSoftFail: fail and softfail are.
	OnSoftFail Level = "softfail"
	// OnNotPass: neutral is, too: all that is neither pass nor none nor an error.
	OnNotPass Level = "not_pass"
)

// refuses tells whether a result is refused at a level.
func (l Level) refuses(s Status) bool {
	switch s {
	case Fail:
		return l == OnFail || l == OnSoftFail || l == OnNotPass
	case SoftFail:
		return l == OnSoftFail || l == OnNotPass
	case Neutral:
		return l == OnNotPass
	}
	return false
}

// Policy is what an admin wants done with results. The zero Policy refuses nothing and,
// as its levels are empty, checks both identities.
type Policy struct {
	MailFrom, Helo Level
	// NotPass are domains, lower-case, whose results are treated as if their records
	// ended in -all, with their subdomains.
	NotPass []string
	// OnlyNoMail refuses for records that are "v=spf1 -all" and no others.
	OnlyNoMail bool
	// RejectPermError and DeferTempError are for results that are no statements.
	RejectPermError, DeferTempError bool
	// TestOnly: nothing is refused; Decision.Would says what would have been.
	TestOnly bool
	// Reason is the text of a refusal; see Expand. Empty: DefaultReason.
	Reason string
}

// DefaultReason is the text of a refusal if the admin has none.
const DefaultReason = "Message {rejectdefer}: {spf} {explanation}"

// Action is what is done with a recipient's mail because of SPF.
type Action string

// The actions.
const (
	Accept Action = "accept"
	Reject Action = "reject" // 550
	Defer  Action = "defer"  // 451
)

// Decision is what a policy makes of the results.
type Decision struct {
	Action Action
	// Would is what the action would be if it were not for TestOnly.
	Would Action
	// Code is the enhanced status code of RFC 7372 §3.2, "5.7.23"; Text is for the reply,
	// one line of printable ASCII. Both are empty for Accept in Would.
	Code, Text string
	// Result is what decided; nil for Accept in Would.
	Result *Result
}

// Checks tells whether an identity is to be checked at all.
func (p Policy) Checks(id Identity) bool {
	if id == Helo {
		return p.Helo != Unchecked
	}
	return p.MailFrom != Unchecked
}

// Decide says what becomes of mail with these results; nil is an identity that was not
// checked. The HELO name comes first, as it does in the session.
func (p Policy) Decide(q Question, helo, mailFrom *Result) Decision {
	for _, r := range []*Result{helo, mailFrom} {
		if r == nil {
			continue
		}
		if would := p.action(q, r); would != Accept {
			d := Decision{Action: would, Would: would, Code: code(r.Status, would), Text: p.text(q, r, would), Result: r}
			if p.TestOnly {
				d.Action = Accept
			}
			return d
		}
	}
	return Decision{Action: Accept, Would: Accept}
}

func (p Policy) action(q Question, r *Result) Action {
	level := p.MailFrom
	if r.Identity == Helo {
		level = p.Helo
	}
	if level == NullSenderFail && q.Sender == "" {
		level = OnFail
	}
	if slices.ContainsFunc(p.NotPass, func(d string) bool { return r.Domain != "" && isUnder(r.Domain, d) }) {
		level = OnNotPass
	}
	switch {
	case level == Never || level == NullSenderFail || level == "" || level == Unchecked:
		return Accept
	case r.Status == TempError && p.DeferTempError:
		return Defer
	case r.Status == PermError && p.RejectPermError:
		return Reject
	case level.refuses(r.Status) && (!p.OnlyNoMail || r.NoMail):
		return Reject
	}
	return Accept
}

// code is X.7.23 for a record's own statement, X.7.24 for an error (RFC 7372 §3.2).
func code(s Status, a Action) string {
	class, detail := "5", "7.23"
	if a == Defer {
		class = "4"
	}
	if s == TempError || s == PermError {
		detail = "7.24"
	}
	return class + "." + detail
}

// Placeholders are what a text of refusal may have, in braces.
func Placeholders() []string {
	return []string{"rejectdefer", "spf", "result", "domain", "ip", "identity", "explanation"}
}

// maxText bounds a reply, in octets.
const maxText = 600

func (p Policy) text(q Question, r *Result, a Action) string {
	template := p.Reason
	if template == "" {
		template = DefaultReason
	}
	verb := "rejected"
	if a == Defer {
		verb = "deferred"
	}
	explanation := ""
	if r.Explanation != "" {
		explanation = fmt.Sprintf("%s explains: %s", r.Domain, r.Explanation)
	}
	text := strings.NewReplacer("{rejectdefer}", verb, "{spf}", r.Sentence(q), "{result}", string(r.Status), "{domain}", r.Domain,
		"{ip}", q.IP.Unmap().String(), "{identity}", string(r.Identity), "{explanation}", explanation).Replace(template)
	return strings.Join(strings.Fields(plainTo(text, maxText)), " ")
}

// Sentence says in words what the result means.
func (r Result) Sentence(q Question) string {
	ip := q.IP.Unmap()
	if r.Domain == "" {
		return "there is no domain whose SPF record could be asked."
	}
	switch r.Status {
	case Pass:
		return fmt.Sprintf("%s allows %s to send its mail (SPF: %s).", r.Domain, ip, r.Mechanism)
	case Fail:
		return fmt.Sprintf("%s does not allow %s to send its mail (SPF: %s).", r.Domain, ip, r.Mechanism)
	case SoftFail:
		return fmt.Sprintf("%s probably does not allow %s to send its mail (SPF: %s).", r.Domain, ip, r.Mechanism)
	case Neutral:
		return fmt.Sprintf("%s does not say whether %s may send its mail (SPF: %s).", r.Domain, ip, r.Mechanism)
	case None:
		return fmt.Sprintf("%s has no SPF record.", r.Domain)
	case TempError:
		return fmt.Sprintf("the SPF record of %s can not be checked now: the DNS did not answer.", r.Domain)
	}
	return fmt.Sprintf("the SPF record of %s is wrong: %s.", r.Domain, r.Problem)
}

// Exemptions are clients that SPF is not checked for: relays and forwarders of people
// who are at home here.
type Exemptions struct {
	// Addresses are networks.
	Addresses []netip.Prefix
	// Helo are names that clients call themselves, if they have the client's address.
	Helo []string
	// Domains are domains whose own SPF records pass for the client.
	Domains []string
	// Names are domains that the client's confirmed name is in.
	Names []string
}

// For says why a client is exempted, in words; "" if it is not. name is the client's
// name that leads back to its address, or "".
func (x Exemptions) For(ctx context.Context, dns Resolver, q Question, name string) string {
	ip := q.IP.Unmap()
	switch {
	case slices.ContainsFunc(x.Addresses, func(p netip.Prefix) bool { return p.Contains(ip) }):
		return "its address is exempted from SPF"
	case name != "" && slices.ContainsFunc(x.Names, func(d string) bool { return isUnder(name, d) }):
		return "its name " + plain(name) + " is exempted from SPF"
	case x.heloFits(ctx, dns, q, ip):
		return "its HELO name " + plain(q.Helo) + " is exempted from SPF"
	}
	for _, domain := range x.Domains {
		if Check(ctx, dns, Question{IP: ip, Helo: domain, Sender: "postmaster@" + domain, Now: q.Now}).Status == Pass {
			return "it is a host of " + domain + ", which is exempted from SPF"
		}
	}
	return ""
}

func (x Exemptions) heloFits(ctx context.Context, dns Resolver, q Question, ip netip.Addr) bool {
	name, err := address.CanonicalDomain(q.Helo)
	if err != nil || !slices.Contains(x.Helo, name) {
		return false
	}
	ask := dns.AAAA
	if ip.Is4() {
		ask = dns.A
	}
	a := ask(ctx, name)
	return a.State() == lookup.Found && slices.Contains(a.Value(), ip)
}

// Judgement is all that SPF says of a client and a sender.
type Judgement struct {
	// Exempt says why nothing was checked, in words.
	Exempt string
	// Helo and MailFrom are the results; nil where the identity was not checked.
	// MailFrom is nil for the null reverse-path.
	Helo, MailFrom *Result
	Decision       Decision
}

// Judge checks what is to be checked, both identities at the same time, and decides.
func Judge(ctx context.Context, dns Resolver, p Policy, x Exemptions, q Question, name string) Judgement {
	j := Judgement{Exempt: x.For(ctx, dns, q, name), Decision: Decision{Action: Accept, Would: Accept}}
	if j.Exempt != "" {
		return j
	}
	mail := make(chan *Result, 1)
	go func() { mail <- p.check(ctx, dns, q, MailFrom) }()
	j.Helo = p.check(ctx, dns, q, Helo)
	j.MailFrom = <-mail
	j.Decision = p.Decide(q, j.Helo, j.MailFrom)
	return j
}

func (p Policy) check(ctx context.Context, dns Resolver, q Question, id Identity) *Result {
	if !p.Checks(id) || id == MailFrom && q.Sender == "" {
		return nil
	}
	if id == Helo {
		q.Sender = ""
	}
	r := Check(ctx, dns, q)
	return &r
}

// ForHeader is the result to write down: that of the reverse-path, or that of the HELO
// name where the first says nothing. Nil if there is none.
func (j Judgement) ForHeader() *Result {
	if j.MailFrom == nil || j.MailFrom.Status == None && j.Helo != nil && j.Helo.Status != None {
		return j.Helo
	}
	return j.MailFrom
}
