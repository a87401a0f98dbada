package config

import (
	"fmt"
	"net/netip"
	"slices"

	"facteur/internal/base/conf"
)

// Doctor is how the server looks after itself: what the world sees of it, and what is to
// be changed. See docs/DOCTOR.md.
type Doctor struct {
	// Whether the server does once a day what "facteur doctor" does, and writes a letter
	// when something has become worse or is mended.
	Daily bool `toml:"daily"`
	// Who gets that letter. Empty: the postmaster.
	MailTo string `toml:"mail_to"`
	// The DNS block lists that our own addresses are looked up in. RBLMon has such a list
	// of lists, too. "[]": none.
	BlockLists []string `toml:"block_lists"`
	// The lists that the names of our domains are looked up in.
	DomainBlockLists []string `toml:"domain_block_lists"`
	// Domains of yours that never send mail, here or elsewhere. Each should say so
	// ("v=spf1 -all").
	NeverSend []string `toml:"never_send"`
	// A mail server of others, for the test whether port 25 leads out of this network. It
	// is connected to, greeted and left. Empty: no test.
	Probe conf.HostPort `toml:"probe"`
}

func defaultDoctor() Doctor {
	return Doctor{
		Daily: true,
		BlockLists: []string{"zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org", "psbl.surriel.com", "dnsbl.dronebl.org",
			"bl.mailspike.net", "ix.dnsbl.manitu.net", "dnsbl-1.uceprotect.net"},
		DomainBlockLists: []string{"dbl.spamhaus.org"},
		Probe:            conf.HostPort{Host: "gmail-smtp-in.l.google.com", Port: 25},
	}
}

// listsMax is how many block lists are asked.
const listsMax = 50

func (k *checker) doctor() {
	d := &k.c.Doctor
	k.canonicalNames("doctor.block_lists", d.BlockLists)
	k.canonicalNames("doctor.domain_block_lists", d.DomainBlockLists)
	k.canonicalNames("doctor.never_send", d.NeverSend)
	if d.MailTo != "" {
		if _, err := canonicalAddress(d.MailTo); err != nil {
			k.failf("doctor.mail_to", "%v", err)
		}
	}
}

// canonicalNames checks a list of domains and brings it to their one form.
func (k *checker) canonicalNames(key string, names []string) {
	if len(names) > listsMax {
		k.failf(key, "expected at most %d, found %d", listsMax, len(names))
	}
	for i, name := range names {
		canonical, err := canonicalName(name)
		if err != nil {
			k.failf(fmt.Sprintf("%s[%d]", key, i), "%v", err)
			continue
		}
		names[i] = canonical
	}
}

// PublicAddresses are the addresses that the settings know of this server: those that
// mail leaves from, those that it listens on, those that only the world sees.
func (c *Config) PublicAddresses() (out []netip.Addr) {
	add := func(a netip.Addr) {
		if a = a.Unmap(); a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsPrivate() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for _, a := range c.OwnAddresses() {
		add(a)
	}
	for _, s := range c.Sources() {
		add(s)
	}
	for _, l := range c.Listen {
		if a, err := netip.ParseAddr(l.Address.Host); err == nil && l.Service == SMTP {
			add(a)
		}
	}
	return out
}

// Sources are the addresses that mail leaves from, as far as the settings name them: those
// of [outbound] and of all transports.
func (c *Config) Sources() (out []netip.Addr) {
	add := func(list []conf.Addr) {
		for _, a := range list {
			if !slices.Contains(out, a.Unmap()) {
				out = append(out, a.Unmap())
			}
		}
	}
	add(c.Outbound.BindAddress)
	for _, t := range c.Transports {
		add(t.BindAddress)
	}
	return out
}
