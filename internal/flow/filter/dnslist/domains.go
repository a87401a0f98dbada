package dnslist

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/net/dns"
)

const (
	// linksMost is how many domains of links are asked about, sendersMost how many of the
	// sender.
	linksMost   = 20
	sendersMost = 12
	// questionsMost is how many questions one letter may cause, and textsMost how many
	// more for the texts of entries.
	questionsMost = 64
	textsMost     = 16
	// toldMost is how many domains one sentence names.
	toldMost = 3
)

// Domains is the check of the domains that a letter is from and leads to.
type Domains struct{ lists *Lists }

// Domains asks about the domains in letters.
func (l *Lists) Domains() Domains { return Domains{l} }

// Name implements filter.Check.
func (Domains) Name() string { return FamilyDomains }

// At implements filter.Check.
func (Domains) At() filter.Stage { return filter.End }

// Examine implements filter.Check.
func (d Domains) Examine(ctx context.Context, l *filter.Letter) []filter.Remark {
	rules := d.lists.rules.Load()
	senders, links := rules.of(Sender), rules.of(Link)
	if len(senders)+len(links) == 0 {
		return nil // the letter is not taken apart for nobody
	}
	var all []asked
	if len(senders) > 0 {
		all = rules.about(all, Sender, senders, sendersOf(l), sendersMost)
	}
	if len(links) > 0 {
		all = rules.about(all, Link, links, linksOf(l), linksMost)
	}
	all = all[:min(len(all), questionsMost)]
	questions := make([]question, len(all))
	for i, a := range all {
		questions[i] = a.question
	}
	return remarksOn(all, d.lists.askAll(dns.WithBudget(ctx, questionsMost+textsMost), questions))
}

// asked is a question, and where in the letter its domain stands.
type asked struct {
	question
	kind Kind
}

// about adds the questions about domains, each to all lists: what comes first in the letter
// is asked first.
func (r *rules) about(all []asked, kind Kind, lists []*list, names []string, most int) []asked {
	var seen []string
	for _, name := range names {
		org, ok := organisation(name)
		if !ok || slices.Contains(seen, org) || isCommon(org) || r.Ours != nil && (r.Ours(org) || r.Ours(name)) {
			continue
		}
		if len(seen) == most {
			break
		}
		seen = append(seen, org)
		for _, one := range lists {
			all = append(all, asked{question{list: one, domain: org}, kind})
		}
	}
	return all
}

// organisation is the domain that somebody has registered; false for addresses and names
// that the DNS of the world does not have.
func organisation(name string) (string, bool) {
	name, err := address.CanonicalDomain(strings.TrimSuffix(name, "."))
	if err != nil || name[0] == '[' || !strings.Contains(name, ".") {
		return "", false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", false
	}
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "local", "localdomain", "localhost", "lan", "internal", "arpa", "invalid", "onion":
		return "", false
	}
	org, err := publicsuffix.EffectiveTLDPlusOne(name)
	return org, err == nil
}

// sendersOf are the domains that a letter is from, the author's first.
func sendersOf(l *filter.Letter) []string {
	names := append([]string(nil), dmarc.ReadAuthor(l.Header).Domains...)
	names = append(names, l.Sender.Domain)
	if l.Evidence != nil {
		for _, s := range l.Evidence.DKIM {
			if s.Status == dkim.Pass {
				names = append(names, s.Domain)
			}
		}
	}
	if l.Client.Name != "unknown" {
		names = append(names, l.Client.Name)
	}
	return append(names, l.Client.Helo)
}

// linksOf are the hosts that a letter leads to: from its beginning and its end by
// turns, so that the one that matters is not hidden behind many that do not.
func linksOf(l *filter.Letter) (names []string) {
	if l.Content == nil {
		return nil
	}
	c := l.Content()
	if c == nil {
		return nil
	}
	for i, j := 0, len(c.Links)-1; i <= j; i, j = i+1, j-1 {
		names = append(names, c.Links[i].Host)
		if i != j {
			names = append(names, c.Links[j].Host)
		}
	}
	return names
}

// finding is what one list says of a letter's domains of one kind.
type finding struct {
	list    *list
	kind    Kind
	score   float64
	domains []string
	codes   string
}

// remarksOn are one remark for a list and a kind: the heaviest domain counts, and not their
// number.
func remarksOn(all []asked, answers []answer) []filter.Remark {
	var found []*finding
	for i, a := range answers {
		if !a.listed() {
			continue
		}
		q := all[i]
		at := slices.IndexFunc(found, func(f *finding) bool { return f.list == q.list && f.kind == q.kind })
		if at < 0 {
			at = len(found)
			found = append(found, &finding{list: q.list, kind: q.kind})
		}
		found[at].add(q.domain, a)
	}
	remarks := make([]filter.Remark, len(found))
	for i, f := range found {
		remarks[i] = filter.Remark{Check: FamilyDomains, Name: f.list.remark(f.kind), Score: f.score, Sentence: f.sentence(), Test: f.list.TestOnly}
	}
	return remarks
}

func (f *finding) add(domain string, a answer) {
	if len(f.domains) == 0 || math.Abs(a.score) > math.Abs(f.score) {
		f.score, f.codes = a.score, words(a.codes)
	}
	f.domains = append(f.domains, domain)
}

func (f *finding) sentence() string {
	names := strings.Join(f.domains[:min(len(f.domains), toldMost)], ", ")
	if more := len(f.domains) - toldMost; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	if f.kind == Link {
		return fmt.Sprintf("It links to %s, on the list %s (%s).", names, f.list.Zone, f.codes)
	}
	return fmt.Sprintf("The sender uses %s, on the list %s (%s).", names, f.list.Zone, f.codes)
}
