package dmarc

import (
	"slices"
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// MaxAuthors is how many different domains in From are evaluated.
const MaxAuthors = 5

// maxAuthorAddresses bounds the addresses of From that are looked at.
const maxAuthorAddresses = 1000

// Author is what the From fields of a message say, as every reader of our house
// sees it: message.ParseAddresses is the parser of the envelope, of what clients
// are shown, and of this.
type Author struct {
	// Fields is how many From fields there are; one is right (RFC 5322 §3.6).
	Fields int `json:"fields"`
	// Addresses is how many addresses they have together, groups not counted.
	Addresses int `json:"addresses"`
	// Domains are the different domains in canonical form, in order of appearance.
	Domains []string `json:"domains"`
	// More tells that there were more than MaxAuthors, or too many addresses to look at,
	// and that they were left out.
	More bool `json:"more,omitempty"`
	// Disguised are domains that a careless reader could take for the author's: in a
	// From field with an odd name, or behind an "@" that belongs to no address of
	// the field, as in "boss@bank.example <x@evil.example>" without quotes.
	Disguised []string `json:"disguised,omitempty"`
	// Unreadable tells that From has an address, or a whole field, which other readers
	// may take for the author's and which nobody could be asked about.
	Unreadable bool `json:"unreadable,omitempty"`
	// Problem says what is wrong with From; "" if nothing.
	Problem string `json:"problem,omitempty"`
}

// ReadAuthor reads the author of a message.
func ReadAuthor(h message.Header) Author {
	var a Author
	for f := range h.Fields() {
		switch {
		case f.Is("From"):
			a.Fields++
			a.field(f.Text())
		case strings.EqualFold(strings.Trim(string(f.Name), "\x00 \t\r\v\f\u00a0\ufeff"), "From"):
			a.Unreadable = true
			a.problem("a field that is From for some readers and not for others")
			a.disguise(f.Text(), nil)
		}
	}
	switch {
	case a.Fields == 0:
		a.problem("no From field")
	case a.Fields > 1:
		a.problem("several From fields")
	case a.Addresses == 0:
		a.problem("no address in From")
	case a.Addresses > 1:
		a.problem("several addresses in From")
	}
	a.Disguised = slices.DeleteFunc(a.Disguised, func(d string) bool { return slices.Contains(a.Domains, d) })
	return a
}

// problem keeps the first, which is the worst of what was found.
func (a *Author) problem(text string) {
	if a.Problem == "" {
		a.Problem = text
	}
}

// field takes the addresses of one From field.
func (a *Author) field(value string) {
	var spent []string
	for _, m := range message.ParseAddresses(value) {
		if m.GroupStart || m.GroupEnd {
			continue
		}
		if a.Addresses++; a.Addresses > maxAuthorAddresses {
			a.More = true
			break
		}
		domain, err := address.CanonicalDomain(m.Host)
		switch {
		case err != nil || strings.HasPrefix(domain, "["):
			a.Unreadable = a.Unreadable || m.Host != "" // "Smith, Joe <joe@x>" has no other address
			a.problem("an address in From without a domain name")
		case slices.Contains(a.Domains, domain):
		case len(a.Domains) == MaxAuthors:
			a.More = true
		default:
			a.Domains = append(a.Domains, domain)
		}
		spent = append(spent, m.Host)
	}
	a.disguise(value, spent)
}

// disguise notes the domains behind "@" outside of quotes and comments that no
// address accounts for.
func (a *Author) disguise(value string, spent []string) {
	for _, host := range message.Hosts(value) {
		if slices.Contains(spent, host) {
			continue
		}
		domain, err := address.CanonicalDomain(host)
		if err == nil && len(a.Disguised) < MaxAuthors && !slices.Contains(a.Disguised, domain) {
			a.Disguised = append(a.Disguised, domain)
		}
	}
}

// canonical is one spelling of a domain that SPF or DKIM passed for; "" for what
// is none.
func canonical(domain string) string {
	c, err := address.CanonicalDomain(domain)
	if err != nil || strings.HasPrefix(c, "[") {
		return ""
	}
	return c
}
