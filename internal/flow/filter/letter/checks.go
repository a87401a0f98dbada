package letter

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/content"
	"facteur/internal/mail/dmarc"
)

// House is who we are, for letters that claim to be from us. Functions may be nil: then
// nothing is known.
type House struct {
	// Hostname is our name.
	Hostname string
	// Ours tells domains of ours, beside those of the recipients.
	Ours func(domain string) bool
	// Person gives the address of the user of ours who has a name ("Marie Curie"); "" if
	// nobody has.
	Person func(name string) string
	// Resembles says whether a domain looks like one that an account writes to, and is none of
	// those.
	Resembles func(ctx context.Context, account, domain string) bool
	// Languages are those that an account uses, as codes of ISO 639-1; none: not known.
	Languages func(account string) []string
}

// Checks are all checks of this package. house and rules are asked for each letter, so
// that they may change.
func Checks(house func() *House, rules func() *Attachments) []filter.Check {
	return []filter.Check{
		check{familyAttachment, func(l *view, n *notes) { l.attachments(rules(), n) }, house},
		check{familyHeader, (*view).header, house},
		check{familyIdentity, (*view).identity, house},
		check{familyHTML, (*view).html, house},
		check{familyLinks, (*view).links, house},
		check{familyLanguage, (*view).language, house},
	}
}

// check is one family.
type check struct {
	family string
	look   func(*view, *notes)
	house  func() *House
}

// Name implements filter.Check.
func (c check) Name() string { return c.family }

// At implements filter.Check.
func (check) At() filter.Stage { return filter.End }

// Quick implements filter.Quick.
func (check) Quick() {}

// Examine implements filter.Check.
func (c check) Examine(ctx context.Context, l *filter.Letter) []filter.Remark {
	v := view{ctx: ctx, Letter: l, house: c.house()}
	v.own = ownDomains(l.Recipients)
	if l.Content != nil {
		v.content = l.Content()
	}
	if v.content == nil {
		return nil
	}
	var n notes
	c.look(&v, &n)
	return n.list
}

// view is a letter with what all families want to know of it.
type view struct {
	ctx context.Context // of this one examination
	*filter.Letter
	content *content.Letter
	house   *House
	own     []string // domains of recipients, with which others are compared
}

// maxOwn is how many domains of recipients others are compared with.
const maxOwn = 10

func ownDomains(to []filter.Recipient) (list []string) {
	for _, r := range to {
		if _, domain, ok := strings.Cut(r.Account, "@"); ok && len(list) < maxOwn && !contains(list, domain) {
			list = append(list, domain)
		}
	}
	return list
}

// ours tells domains of ours, and below them.
func (v *view) ours(domain string) bool {
	for _, d := range v.own {
		if domain == d || strings.HasSuffix(domain, "."+d) {
			return true
		}
	}
	return v.house.Ours != nil && domain != "" && v.house.Ours(domain)
}

// proven tells that the author's domain vouches for the letter.
func (v *view) proven() bool { return v.Evidence != nil && v.Evidence.DMARC.Status == dmarc.Pass }

// excuse is what tricks that newsletters have in common with spam count: less where the
// author is proven and the letter says how to leave its list.
func (v *view) excuse() float64 {
	if v.proven() && v.Header.Count("List-Unsubscribe") > 0 {
		return 0.25
	}
	return 1
}

// registered is the organisation's domain of a host, or the host itself.
func registered(host string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return org
	}
	return host
}

// quote is a stranger's text for a sentence.
func quote(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return "\"" + plainText(s) + "\""
}

// language compares with what each recipient uses.
func (v *view) language(n *notes) {
	if v.house.Languages == nil || len(v.content.Languages) == 0 {
		return
	}
	first := v.content.Languages[0]
	if first.Share < 0.7 {
		return
	}
	told := map[string]bool{}
	for _, r := range v.Recipients {
		if r.Account == "" || told[r.Account] {
			continue
		}
		told[r.Account] = true
		uses := v.house.Languages(r.Account)
		if len(uses) > 0 && !slices.ContainsFunc(uses, func(code string) bool { return content.MayBe(first.Code, code) }) {
			n.list = append(n.list, filter.Remark{Check: familyLanguage, Name: foreign.Name, Score: foreign.Score, Of: r.Account,
				Sentence: "It is written in a language (" + first.Code + ") that the recipient does not use (" + strings.Join(uses, ", ") + ")."})
		}
	}
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if strings.EqualFold(one, s) {
			return true
		}
	}
	return false
}
