package config

import (
	"fmt"
	"net/netip"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/flow/filter"
)

// DMARC is what becomes of letters whose author's domain says that they are not from
// there. See docs/AUTHENTICATION.md.
type DMARC struct {
	// What is done with a letter that fails: "honour" (what the author's domain asks for,
	// unless somebody who is trusted vouches for the letter: a sealer, a known forwarder;
	// what a mailing list may have changed goes to the junk folder instead of being
	// refused), "quarantine" (what would be refused goes to the junk folder), "score" (it
	// is found out and written into the header, and nothing is done) or "off" (it is not
	// asked). opendmarc's RejectFailures is "honour" when true and "score" when false.
	Policy DMARCPolicy `toml:"policy"`
	// Whether a letter is refused whose From names authors in several domains, or that has
	// several From fields. Else each domain is asked, and the worst answer counts.
	// opendmarc calls this RejectMultiValueFrom.
	RejectMultipleFrom bool `toml:"reject_multiple_from"`
	// What becomes of a letter without a From field: "accept", "junk" or "reject".
	// opendmarc calls this RequiredHeaders, for "reject".
	NoFrom OddFrom `toml:"no_from"`
	// What becomes of a letter whose From has no author with a domain, or hides one among
	// others who can be asked about (a domain that can't be, more domains than are looked
	// at, a header too long to be looked at whole): "accept", "junk" or "reject".
	UnreadableFrom OddFrom `toml:"unreadable_from"`
	// Whether a client is told to come again later when the DNS does not tell what the
	// author's domain wants. Else the letter is taken.
	TempErrorDefer bool `toml:"temperror_defer"`
	// Servers of yours in front of this one (a first MX): their names, which are the
	// authserv-ids of the Authentication-Results that they write. Where the client is one
	// of them, and its name leads back to it, its word on SPF is taken in place of our own.
	// opendmarc calls this TrustedAuthservIDs.
	TrustedAuthservIDs conf.Strings `toml:"trusted_authserv_ids"`
	// Hosts whose letters nothing is found out about: addresses, networks, or names such as
	// "relay.example.org" and ".example.org" (all below it). Trusted networks, users who
	// logged in and programs of this machine are never checked (opendmarc's
	// IgnoreAuthenticatedClients). opendmarc calls this IgnoreHosts, a file of such lines.
	IgnoreHosts conf.Strings `toml:"ignore_hosts"`
	// Who is known to send on the letters of others, and may change them: addresses,
	// networks, names of hosts, and domains that prove themselves by DKIM or SPF. What they
	// bring is not refused for its author's policy.
	KnownForwarders conf.Strings `toml:"known_forwarders"`
	// Whether those are known forwarders, too, who have brought good letters of many
	// authors for some weeks.
	LearnForwarders bool `toml:"learn_forwarders"`
}

func defaultDMARC() DMARC {
	return DMARC{Policy: DMARCPolicy(filter.Honour), NoFrom: OddFrom(filter.OddAccept), UnreadableFrom: OddFrom(filter.OddJunk), LearnForwarders: true}
}

// DMARCPolicy is what is done with letters that fail.
type DMARCPolicy filter.Policy

// Form says what may be written.
func (DMARCPolicy) Form() string {
	return oneOf(filter.Honour, filter.Quarantine, filter.Score, filter.Off)
}

// UnmarshalText takes one of the choices.
func (p *DMARCPolicy) UnmarshalText(text []byte) error {
	return choose(p, text, DMARCPolicy(filter.Honour), DMARCPolicy(filter.Quarantine), DMARCPolicy(filter.Score), DMARCPolicy(filter.Off))
}

// OddFrom is what becomes of letters without an author.
type OddFrom filter.Odd

// Form says what may be written.
func (OddFrom) Form() string { return oneOf(filter.OddAccept, filter.OddJunk, filter.OddReject) }

// UnmarshalText takes one of the choices.
func (o *OddFrom) UnmarshalText(text []byte) error {
	return choose(o, text, OddFrom(filter.OddAccept), OddFrom(filter.OddJunk), OddFrom(filter.OddReject))
}

// FilterRules are the settings of the checks, as flow/filter has them.
func (c *Config) FilterRules() *filter.Rules {
	d := &c.DMARC
	r := &filter.Rules{
		Hostname: c.Hostname,
		SPF: filter.SPFRules{Enabled: c.SPF.Enabled, Policy: c.SPF.Policy(), Exemptions: c.SPF.Exemptions(),
			ReceivedSPF: c.SPF.Header.Received(), Results: c.SPF.Header.Results(), HideReceiver: c.SPF.HideReceiver},
		DKIM: c.DKIM.Verify, Signatures: c.DKIM.Options(),
		ARC: c.ARC.Verify, Seals: c.ARC.Options(c.DKIM), Sealers: c.ARC.TrustedSealers,
		DMARC: filter.DMARCRules{Policy: filter.Policy(d.Policy), RejectMultipleFrom: d.RejectMultipleFrom,
			NoFrom: filter.Odd(d.NoFrom), UnreadableFrom: filter.Odd(d.UnreadableFrom), DeferTempError: d.TempErrorDefer},
		TrustedIDs: d.TrustedAuthservIDs, Learn: d.LearnForwarders,
		Scoring: c.Filter.Enabled, Blocked: filter.Blocked(c.Filter.Blocked),
	}
	r.Scale, _ = c.Filter.scale()
	r.Ignored, r.IgnoredNames, _ = hosts(d.IgnoreHosts)
	r.ForwarderNetworks, r.Forwarders, _ = hosts(d.KnownForwarders)
	return r
}

// hosts divides a list of hosts into networks and names; bad is the first entry that is
// neither, or -1.
func hosts(list []string) (nets []netip.Prefix, names []string, bad int) {
	bad = -1
	for i, entry := range list {
		var p conf.Prefix
		if err := p.UnmarshalText([]byte(entry)); err == nil {
			nets = append(nets, p.Prefix)
			continue
		}
		name, err := canonicalName(strings.TrimPrefix(entry, "."))
		if err != nil && bad < 0 {
			bad = i
		}
		if strings.HasPrefix(entry, ".") {
			name = "." + name
		}
		names = append(names, name)
	}
	return nets, names, bad
}

func (k *checker) dmarc() {
	d := &k.c.DMARC
	for key, list := range map[string][]string{"ignore_hosts": d.IgnoreHosts, "known_forwarders": d.KnownForwarders} {
		if _, _, bad := hosts(list); bad >= 0 {
			k.failf(fmt.Sprintf("dmarc.%s[%d]", key, bad), "%q is no address, network or name of a host; expected such as %q, %q or %q", list[bad], "192.0.2.1", "192.0.2.0/24", "relay.example.org")
		}
	}
	for i, id := range d.TrustedAuthservIDs {
		if err := checkName(id); err != nil {
			k.failf(fmt.Sprintf("dmarc.trusted_authserv_ids[%d]", i), "%v; expected the full name of a server of yours", err)
		}
	}
}
