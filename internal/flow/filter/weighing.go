package filter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/smtp"
	"facteur/internal/mail/spf"
	"facteur/internal/store/policy"
)

// Add has one more remark counted: a rule of the admin's. It comes before Weigh.
func (c *Case) Add(r Remark) { c.remarks = append(c.remarks, r) }

// Weigh adds up what was found, for each recipient as he wants it. v is what Judge gave, id
// is how the sender may name the letter when he asks why.
//
// The header is the same for all. Where the recipients' fates differ, it tells what holds
// for everybody, by its levels and lists: what one has learnt or wants is not the
// others' business.
func (c *Case) Weigh(ctx context.Context, v Verdict, to []Recipient, id string) Outcome {
	var o Outcome
	rules, server := c.filter.rules, c.filter.wants(ctx, address.Address{})
	for i := range to {
		account := to[i].policyAddress()
		wants := c.filter.wants(ctx, account)
		f := rules.fate(c.remarks, v, to[i].Account, wants, server.Junk, c.filter.listed(ctx, account, &c.evidence))
		o.Fates = append(o.Fates, f)
	}
	o.Server = rules.fate(c.remarks, v, "", server, server.Junk, c.filter.listed(ctx, address.Address{}, &c.evidence))
	o.Shown = shared(o.Fates, o.Server)
	o.settle(rules.Scale.inEarnest(c.remarks), func(f Fate) *smtp.Reply { return c.refusal(f, id) })
	return o
}

// shared is the fate that may be told to everybody: that of all, or what the server says.
func shared(fates []Fate, server Fate) Fate {
	same := len(fates) > 0 && !slices.ContainsFunc(fates[1:], func(f Fate) bool {
		return f.Disposition != fates[0].Disposition || f.Allowed != fates[0].Allowed || f.Tally.Score != fates[0].Tally.Score ||
			f.Tally.isPersonal() || fates[0].Tally.isPersonal()
	})
	if same {
		return fates[0]
	}
	return server
}

// policyAddress is whose policy holds: the account's, else that of the address that leads
// elsewhere.
func (r *Recipient) policyAddress() address.Address {
	if r.Account != "" {
		if a, err := address.Parse(r.Account); err == nil {
			return a
		}
	}
	return r.Address
}

// wants is what an account wants of the filter.
func (f *Filter) wants(ctx context.Context, account address.Address) *policy.Effective {
	if f.policies != nil {
		if a := f.policies.Effective(ctx, account); a.State() == lookup.Found {
			e := a.Value()
			return &e
		}
	}
	return &f.standard
}

// listed is what an account's lists say of who sent the letter.
func (f *Filter) listed(ctx context.Context, account address.Address, e *Evidence) (l listing) {
	if f.policies == nil {
		return l
	}
	all := policy.From{Client: e.Client.Addr, Senders: e.senders()}
	a := f.policies.Listed(ctx, account, all)
	if a.State() != lookup.Found {
		return l
	}
	l.Listing = a.Value()
	if l.Kind == policy.Allow && !l.By.Network.IsValid() {
		all.Senders = slices.DeleteFunc(all.Senders, func(s policy.Sender) bool { return !e.proves(s.Address.Domain) })
		a = f.policies.Listed(ctx, account, all)
		if l.proven = a.State() == lookup.Found && a.Value().Kind == policy.Allow; l.proven {
			l.By = a.Value().By // of several, the one that was proven
		}
	} else {
		l.proven = l.Kind == policy.Allow // an address of the network can't be forged
	}
	return l
}

// senders are whom the letter names: the sender of the envelope, and the author.
func (e *Evidence) senders() (out []policy.Sender) {
	if !e.Sender.IsNull() {
		s := e.SPF()
		out = append(out, policy.Sender{Address: e.Sender, Forged: s != nil && (s.Status == spf.Fail || s.Status == spf.SoftFail) && !e.Authentic()})
	}
	if a := e.Author; !a.IsNull() && a != e.Sender {
		out = append(out, policy.Sender{Address: a, Forged: e.DMARC.Status == dmarc.Fail})
	}
	return out
}

// proves tells that the letter is proven to be from a domain.
func (e *Evidence) proves(domain string) bool {
	if domain == "" {
		return false
	}
	if s := e.SPFMail; s != nil && s.Status == spf.Pass && sameOrAbove(s.Domain, domain) {
		return true
	}
	return slices.ContainsFunc(e.DKIM, func(d dkim.Result) bool {
		return d.Status == dkim.Pass && !d.Testing && sameOrAbove(d.Domain, domain)
	})
}

// tellable are families whose remarks an honest sender's postmaster can do something about.
// What is read in the text helps only those who try until it passes.
var tellable = [...]string{"client", "dns_list", familyAuth}

// refusal tells the sender what he can do.
func (c *Case) refusal(f Fate, id string) *smtp.Reply {
	lines := []string{"Message rejected: it looks like spam to this server."}
	switch f.Category {
	case Virus, Banned, BadHeader:
		lines[0] = "Message rejected: " + f.Because
	default:
		for _, row := range f.Tally.Weightiest() {
			if row.Counts > 0 && slices.Contains(tellable[:], row.Check) && len(lines) < 4 {
				lines = append(lines, row.Sentence)
			}
		}
	}
	if c.evidence.Client.Addr.IsValid() {
		lines = append(lines, fmt.Sprintf("If that is wrong, write to postmaster@%s and name %s.", c.filter.rules.Hostname, id))
	}
	for i := range lines {
		lines[i] = ascii(cutShort(lines[i], 200))
	}
	return &smtp.Reply{Code: 550, Enhanced: "5.7.1", Lines: lines}
}

// ascii is a text as a reply may have it.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// Spoken is what a rule of the admin's counts for.
func Spoken(by string, points float64, why string) Remark {
	name := Ruled(strings.TrimPrefix(by, "rule ")).Name
	s := fmt.Sprintf("The %s says so", by)
	if why != "" {
		s = fmt.Sprintf("The %s says: %s", by, shown(why))
	}
	return Remark{Check: familyRule, Name: name, Score: points, Sentence: s + "."}
}
