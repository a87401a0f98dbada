package records

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
)

// Placeholder stands where an address of ours is not known.
const Placeholder = "ADDRESS"

// House is who we are, to one domain.
type House struct {
	Domain, Hostname string
	// Addresses are those that the world knows us by; none: not known here.
	Addresses []netip.Addr
	// NeverSends: no mail comes from the domain, and the world is told so.
	NeverSends bool
	// Receives: mail for the domain comes to us. Relayed: it is kept elsewhere, and goes on.
	Receives, Relayed bool
	// Smarthost is the machine that takes our mail for elsewhere; "": we send it ourselves.
	Smarthost string
	// Keys are the records of the domain's DKIM keys.
	Keys []Record
	// Certificates are those that port 25 shows, without their chains, and those that it
	// will show next.
	Certificates []*x509.Certificate
	// Services are what mail programs find by SRV records.
	Services []Service
	// Secure: the zone is signed by DNSSEC as far as we know, without which TLSA says nothing.
	Secure bool
	// PolicyServer: https://mta-sts.DOMAIN is or will be served.
	PolicyServer bool
}

// Service is a service for mail programs.
type Service struct {
	Name string // "imaps", "submission"
	Port uint16
}

// Of is what a domain should publish, the most needed first.
func Of(h House) []Record {
	list := h.mail()
	if h.Receives || !h.NeverSends {
		list = append(list, h.addresses()...)
	}
	list = append(list, h.origin()...)
	if !h.NeverSends {
		list = append(list, h.Keys...)
	}
	list = append(list, h.DMARC())
	if h.Receives {
		list = append(list, h.transport()...)
		list = append(list, h.services()...)
	}
	return append(list, h.authorities()...)
}

func (h House) mail() []Record {
	if !h.Receives {
		return []Record{{Name: h.Domain, Type: "MX", Value: "0 .", Need: Should, Why: "The domain takes no mail (RFC 7505): what is sent to it comes back at once."}}
	}
	why := "Mail for the domain comes to this machine."
	if h.Relayed {
		why = "Mail for the domain comes to this machine, which hands it on. If it stands in for the domain's own mail host only, give it a higher number than that."
	}
	return []Record{{Name: h.Domain, Type: "MX", Value: "10 " + h.Hostname + ".", Need: Must, Why: why}}
}

// addresses are those of the host itself, and the way back from them.
func (h House) addresses() (list []Record) {
	const why = "Where this machine is."
	if len(h.Addresses) == 0 {
		list = append(list, Record{Name: h.Hostname, Type: "A", Value: Placeholder, Need: Must, Why: why})
	}
	for _, a := range h.Addresses {
		list = append(list, Record{Name: h.Hostname, Type: Family(a), Value: a.String(), Need: Must, Why: why})
	}
	for _, a := range h.Addresses {
		list = append(list, h.PTR(a))
	}
	return list
}

// PTR is the record that leads from an address to our name.
func (h House) PTR(a netip.Addr) Record {
	return Record{Name: Reverse(a), Type: "PTR", Value: h.Hostname + ".", Need: Must, Where: "set by whoever gives you the address",
		Why: "The address has our name: without it, large providers refuse mail from here."}
}

// Family is the type of the records of an address.
func Family(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "A"
	}
	return "AAAA"
}

// Reverse is the name of an address in the DNS.
func Reverse(a netip.Addr) string {
	a = a.Unmap()
	raw := a.AsSlice()
	var b strings.Builder
	for i := len(raw) - 1; i >= 0; i-- {
		if a.Is4() {
			fmt.Fprintf(&b, "%d.", raw[i])
		} else {
			fmt.Fprintf(&b, "%x.%x.", raw[i]&15, raw[i]>>4)
		}
	}
	if a.Is4() {
		return b.String() + "in-addr.arpa"
	}
	return b.String() + "ip6.arpa"
}

// origin says who may send mail of the domain (row 220), or that nobody does (row 222).
func (h House) origin() []Record {
	spf := h.SPF()
	list := []Record{spf}
	if h.Hostname != h.Domain && (h.Receives || !h.NeverSends) {
		list = append(list, Record{Name: h.Hostname, Type: "TXT", Value: "v=spf1 a -all", Need: Should,
			Why: "The name that this machine gives in EHLO, which stands for the sender of notices, is this machine's alone."})
	}
	return list
}

// SPF is the record that says who sends mail of the domain.
func (h House) SPF() Record {
	if h.NeverSends {
		return Record{Name: h.Domain, Type: "TXT", Value: "v=spf1 -all", Need: Must, Why: "No mail comes from the domain: what says it does is forged."}
	}
	value, end, why := "v=spf1 mx", " -all", "Mail of the domain comes from here and from nowhere else (RFC 7208). A TXT record: the type SPF is dead."
	if !h.Receives {
		value = "v=spf1 a:" + h.Hostname
	}
	switch {
	case h.Smarthost != "":
		end, why = " ~all", "Mail of the domain leaves through "+h.Smarthost+": put what its provider names for SPF, often an include:, before ~all. Then end with -all."
	case h.Relayed:
		end, why = " ~all", "Put all hosts that send mail of the domain before ~all, then end with -all (RFC 7208)."
	}
	return Record{Name: h.Domain, Type: "TXT", Value: value + end, Need: Must, Why: why}
}

// DMARC is what others are asked to do with mail that only says it is of the domain.
func (h House) DMARC() Record {
	r := Record{Name: "_dmarc." + h.Domain, Type: "TXT", Need: Should}
	if h.NeverSends {
		r.Value, r.Why = "v=DMARC1; p=reject; sp=reject; np=reject; adkim=s; aspf=s", "Mail that claims to be of the domain is to be refused."
		return r
	}
	r.Value = "v=DMARC1; p=none; rua=mailto:postmaster@" + h.Domain
	r.Why = "Who pretends to be the domain is told of, and after some weeks of reports refused: p=none, then p=quarantine, then p=reject (RFC 9989)."
	return r
}

// transport is how mail comes under TLS that can't be taken away.
func (h House) transport() []Record {
	list := []Record{{Name: "_smtp._tls." + h.Domain, Type: "TXT", Value: "v=TLSRPTv1; rua=mailto:postmaster@" + h.Domain, Need: Should,
		Why: "Others report how their connections to here came to TLS (RFC 8460)."}}
	if h.PolicyServer {
		list = append(list, h.STS())
	}
	if h.Secure {
		list = append(list, h.TLSA()...)
	}
	return list
}

// STS is the record that announces the policy of PolicyText.
func (h House) STS() Record {
	sum := sha256.Sum256([]byte(h.PolicyText()))
	return Record{Name: "_mta-sts." + h.Domain, Type: "TXT", Value: "v=STSv1; id=" + hex.EncodeToString(sum[:8]), Need: May,
		Why: "Others send to here under TLS only (RFC 8461). Serve the policy first, at " + h.PolicyURL() + ", and change the id with it."}
}

// PolicyURL is where the MTA-STS policy of the domain is served.
func (h House) PolicyURL() string { return "https://mta-sts." + h.Domain + "/.well-known/mta-sts.txt" }

// PolicyText is an MTA-STS policy that fits (RFC 8461 §3.2). It asks others to tell first;
// when TLSRPT reports no failures for some weeks, the mode is to be "enforce".
func (h House) PolicyText() string {
	return "version: STSv1\r\nmode: testing\r\nmx: " + h.Hostname + "\r\nmax_age: 604800\r\n"
}

// TLSA are the records for the certificates of port 25, by their keys: they stay right when
// a certificate is renewed with the same key (RFC 7672 §3.1.1).
func (h House) TLSA() (list []Record) {
	for _, c := range h.Certificates {
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		list = append(list, Record{Name: "_25._tcp." + h.Hostname, Type: "TLSA", Value: "3 1 1 " + hex.EncodeToString(sum[:]), Need: May,
			Why: "Others know our key (DANE, RFC 7672). Only where the zone is signed by DNSSEC; publish the next key two days before you use it."})
	}
	return list
}

// services are found by mail programs (RFC 6186, RFC 8314 §5.1).
func (h House) services() (list []Record) {
	for _, s := range h.Services {
		list = append(list, h.Service(s))
	}
	return list
}

// Service is the record of one of them.
func (h House) Service(s Service) Record {
	return Record{Name: "_" + s.Name + "._tcp." + h.Domain, Type: "SRV", Value: fmt.Sprintf("0 1 %d %s.", s.Port, h.Hostname), Need: May,
		Why: "Mail programs find their servers by the address alone (RFC 6186)."}
}

// authorities says who may make certificates for us, where we know who did.
func (h House) authorities() (list []Record) {
	for _, c := range h.Certificates {
		if name := authority(c); name != "" {
			return []Record{{Name: h.Hostname, Type: "CAA", Value: fmt.Sprintf("0 issue %q", name), Need: May,
				Why: "Nobody but your authority makes certificates for this machine (RFC 8659)."}}
		}
	}
	return nil
}

// authority is how the maker of a certificate is called in CAA records; "" if not known.
func authority(c *x509.Certificate) string {
	known := map[string]string{
		"Let's Encrypt": "letsencrypt.org", "ZeroSSL": "sectigo.com", "Sectigo Limited": "sectigo.com", "DigiCert Inc": "digicert.com",
		"Google Trust Services": "pki.goog", "Google Trust Services LLC": "pki.goog", "Buypass AS-983163327": "buypass.com",
		"GlobalSign nv-sa": "globalsign.com", "Actalis S.p.A.": "actalis.it", "SSL Corporation": "ssl.com",
	}
	for _, o := range c.Issuer.Organization {
		if name := known[o]; name != "" {
			return name
		}
	}
	return ""
}
