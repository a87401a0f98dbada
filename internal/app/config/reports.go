package config

import (
	"fmt"
	"slices"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/flow/report"
	"facteur/internal/mail/address"
)

// Reports is what is told to other servers about their mail, and what they tell us about
// ours. See docs/REPORTS.md.
type Reports struct {
	// Send a DMARC aggregate report each night to every domain that asks for it: which
	// machines sent mail in its name, and whether it was authentic. It tells nothing about
	// who here got mail. OpenDMARC does that with opendmarc-reports.
	SendAggregate bool `toml:"send_aggregate"`
	// Send a report each night to every domain that asks how our connections to its mail
	// hosts came to their TLS (TLSRPT, RFC 8460).
	SendTLS bool `toml:"send_tls"`
	// The address that these reports come from. Its domain should be one that this server
	// signs for. Empty: postmaster at the first domain. OpenDMARC calls this
	// report-email.
	From string `toml:"from"`
	// How we call ourselves in them. Empty: the hostname. OpenDMARC calls this report-org.
	Organization string `toml:"organization"`
	// How we can be reached beside by mail: an address of the web, a telephone number.
	// Empty: not at all.
	Contact string `toml:"contact"`
	// Domains that get no reports, though they ask for them. OpenDMARC calls this
	// IgnoreMailFrom, more or less.
	Never conf.Strings `toml:"never"`
	// The largest letter with a report. A domain may ask for less ("!10m").
	MaxSize conf.Size `toml:"max_size"`
	// How many reports one host gets a day, whatever domains name it.
	MaxPerHost int `toml:"max_per_host"`
	// Addresses here that get reports from others: what comes there is read, and delivered
	// as any letter. A name without a domain stands for that name in each of our domains;
	// what follows a "+" does not count. The address needs a mailbox or an alias.
	Addresses conf.Strings `toml:"addresses"`
	// How many days reports and complaints are kept.
	KeepDays int `toml:"keep_days"`
	// How many complaints about mail of one account in a week make a letter to the
	// postmaster, if notices.classes has "complaint". 0: there is none.
	Complaints int `toml:"complaints"`
}

func defaultReports() Reports {
	return Reports{SendAggregate: true, SendTLS: true, MaxSize: 10 << 20, MaxPerHost: 500, KeepDays: 90, Complaints: 5,
		Addresses: conf.Strings{"postmaster", "abuse", "dmarc", "dmarc-reports", "tlsrpt", "tls-reports", "fbl", "abuse-feedback"}}
}

func (k *checker) reports() {
	r := k.c.Reports
	k.atLeast("reports.keep_days", int64(r.KeepDays), 1)
	k.atLeast("reports.max_per_host", int64(r.MaxPerHost), 1)
	k.atLeast("reports.max_size", int64(r.MaxSize), 64<<10)
	k.atLeast("reports.complaints", int64(r.Complaints), 0)
	if _, err := address.Parse(r.From); r.From != "" && err != nil {
		k.failf("reports.from", "%q is no mail address, such as \"dmarc-noreply@example.org\"", r.From)
	}
	for i, name := range r.Addresses {
		if _, _, err := splitTaker(name); err != nil {
			k.failf(fmt.Sprintf("reports.addresses[%d]", i), "%q is neither an address nor the name of one, such as \"dmarc-reports\"", name)
		}
	}
	for i, d := range r.Never {
		if _, err := canonicalName(d); err != nil {
			k.failf(fmt.Sprintf("reports.never[%d]", i), "%v", err)
		}
	}
}

// splitTaker reads an address, or a name without a domain.
func splitTaker(name string) (local, domain string, err error) {
	if !strings.Contains(name, "@") {
		_, err := address.Parse(name + "@example.org")
		return strings.ToLower(name), "", err
	}
	a, err := address.Parse(name)
	return strings.ToLower(a.Local), a.Domain, err
}

// ReportRules are the settings as package report wants them.
func (c *Config) ReportRules() report.Settings {
	r := c.Reports
	s := report.Settings{Aggregate: r.SendAggregate, TLS: r.SendTLS, Org: r.Organization, Contact: r.Contact, Never: map[string]bool{},
		MaxSize: int64(r.MaxSize), PerHost: r.MaxPerHost, KeepDays: r.KeepDays, Complaints: r.Complaints, Takes: takers(r.Addresses)}
	s.From = address.Address{Local: "postmaster", Domain: c.Home()}
	if a, err := address.Parse(r.From); err == nil {
		s.From = a
	}
	for _, d := range r.Never {
		if name, err := canonicalName(d); err == nil {
			s.Never[name] = true
		}
	}
	return s
}

// takers tells the addresses of a list. Whether they are ours nobody asks: a letter that
// came in is for addresses of ours.
func takers(list []string) func(address.Address) bool {
	var names, whole []string
	for _, name := range list {
		local, domain, err := splitTaker(name)
		switch {
		case err != nil:
		case domain == "":
			names = append(names, local)
		default:
			whole = append(whole, local+"@"+domain)
		}
	}
	return func(a address.Address) bool {
		local := strings.ToLower(a.Local)
		bare, _, _ := strings.Cut(local, "+")
		return slices.Contains(names, bare) || slices.Contains(names, local) ||
			slices.Contains(whole, bare+"@"+a.Domain) || slices.Contains(whole, local+"@"+a.Domain)
	}
}
