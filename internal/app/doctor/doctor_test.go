package doctor

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/app/records"
	"facteur/internal/base/conf"
	"facteur/internal/flow/filter/scanner"
	"facteur/internal/net/dns"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/dkimkey"
	"facteur/internal/test/sim"
)

// good is the world of a server where all is well.
const good = `
	example.org.             MX   10 mail.example.org.
	mail.example.org.        A    198.51.100.7
	mail.example.org.        AAAA 2620:fe::7
	7.100.51.198.in-addr.arpa. PTR mail.example.org.
	7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.e.f.0.0.0.2.6.2.ip6.arpa. PTR mail.example.org.
	example.org.             TXT  "v=spf1 mx -all"
	_dmarc.example.org.      TXT  "v=DMARC1; p=reject; rua=mailto:postmaster@example.org"
	_smtp._tls.example.org.  TXT  "v=TLSRPTv1; rua=mailto:postmaster@example.org"
	_mta-sts.example.org.    TXT  "v=STSv1; id=1"
	_imaps._tcp.example.org. SRV  0 1 993 mail.example.org.
	probe.example.           A    127.0.0.1
	smtp.provider.example.   A    203.0.114.9
	2.0.0.127.list.example.  A    127.0.0.2
	test.names.example.      A    127.0.1.2`

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// town is the world of a zone, with one domain and a healthy machine.
func town(t *testing.T, zone string) *World {
	c := config.Default()
	c.Hostname, c.DataDir = "mail.example.org", t.TempDir()
	c.Doctor.BlockLists, c.Doctor.DomainBlockLists = []string{"list.example"}, []string{"names.example"}
	c.DNSLists = []config.DNSList{{Name: "list", Zone: "list.example", Kind: "client", Codes: make([]config.DNSCode, 1)}}
	c.Scanners = make([]config.Scanner, 1)
	c.Doctor.Probe = conf.HostPort{Host: "probe.example", Port: 25}
	c.Outbound.RequireIPv6Name = false
	chain, roots := certificate(t, "mail.example.org", now.AddDate(0, 2, 0))
	c.TLS.Certificate = []string{"fullchain.pem"}
	key := dkimkey.Key{Domain: "example.org", Selector: "s1", Algorithm: dkimkey.Ed25519, State: dkimkey.Active, Private: chain.PrivateKey.(ed25519.PrivateKey), Public: chain.Leaf.PublicKey}
	w := &World{
		Config: c, Resolver: sim.Zone(t, zone+"\n"+records.Record{Name: key.Name(), Type: "TXT", Value: key.Record()}.String()),
		Domains: []Domain{{Name: "example.org", Receives: true}}, Certificates: []tls.Certificate{chain}, Roots: roots, Now: now,
		Here: func(family string) (netip.Addr, error) {
			if family == "A" {
				return netip.MustParseAddr("198.51.100.7"), nil
			}
			return netip.MustParseAddr("2620:fe::7"), nil
		},
		House: func(domain string) records.House {
			return records.House{Domain: domain, Hostname: "mail.example.org", Receives: true, Services: []records.Service{{Name: "imaps", Port: 993}}}
		},
		Keys:  func(string) (dkimkey.Ring, error) { return dkimkey.Ring{key}, nil },
		Leads: func(_ context.Context, who string) ([]string, error) { return []string{who + " mailbox"}, nil },
		Knock: func(_ context.Context, tries []Try) (replies []Reply, err error) {
			for _, try := range tries {
				if strings.HasPrefix(try.To, "postmaster@") || strings.HasPrefix(try.To, "abuse@") {
					replies = append(replies, Reply{250, "250 2.1.5 Ok"})
				} else {
					replies = append(replies, Reply{554, "554 5.7.1 Relay access denied"})
				}
			}
			return replies, nil
		},
		Scanners: func(context.Context) ([]scanner.Status, error) {
			return []scanner.Status{{Name: "clamd", Socket: "unix:/s", State: scanner.Working}}, nil
		},
		Dial: func(context.Context, netip.Addr, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() { fmt.Fprint(far, "220 probe.example ESMTP\r\n"); far.Read(make([]byte, 100)) }() //nolint:errcheck // it is greeted
			return near, nil
		},
		Policy: func(context.Context, string) (tlspolicy.Policy, error) {
			return tlspolicy.Policy{Mode: tlspolicy.Enforce, MX: []string{"mail.example.org"}}, nil
		},
		Disk: func(string) (Disk, error) {
			return Disk{Kind: "ext4", Free: 1 << 40, Size: 2 << 40, Sync: time.Millisecond}, nil
		},
		Clock: func() (Clock, error) { return Clock{Synced: true}, nil },
	}
	return w
}

// certificate makes a chain of one, and who vouches for it.
func certificate(t *testing.T, name string, end time.Time) (tls.Certificate, *x509.CertPool) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: end,
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}, roots
}

// with is the good world with lines that take the place of those of the same name and type,
// or, after a minus, without those.
func changed(lines ...string) string {
	var kept []string
	for line := range strings.Lines(good) {
		keep := true
		for _, l := range lines {
			f, g := strings.Fields(line), strings.Fields(strings.TrimPrefix(l, "-"))
			keep = keep && !(len(f) > 1 && len(g) > 1 && f[0] == g[0] && f[1] == g[1])
		}
		if keep {
			kept = append(kept, line)
		}
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "-") {
			kept = append(kept, "\n"+l)
		}
	}
	return strings.Join(kept, "")
}

// A world where all is well has no warnings, and says so of each check.
func TestAllIsWell(t *testing.T) {
	t.Parallel()
	list := Run(context.Background(), town(t, good))
	well := map[string]bool{}
	for _, f := range list {
		well[f.Check] = well[f.Check] || f.Level == OK
		if f.isBad() || f.Level == Unknown {
			t.Errorf("%+v", f)
		}
	}
	for _, c := range Checks() {
		if !well[c.Name] && !slices.Contains([]string{"providers", "ports", "never-sends"}, c.Name) {
			t.Errorf("%s does not say that all is well", c.Name)
		}
	}
	if got := Exit(list); got != 0 {
		t.Errorf("exit %d", got)
	}
}

// Each bad world has one thing wrong, which is found, with what to do.
func TestFindings(t *testing.T) {
	t.Parallel()
	reverse := "7.100.51.198.in-addr.arpa."
	cases := []struct {
		name   string
		change []string
		world  func(*World)
		check  string
		level  Level
		what   string // is in What
		do     string // is in Do
	}{
		{"no MX", []string{"-example.org. MX"}, nil, "mx", Failure, "has no MX record", "example.org. IN MX 10 mail.example.org."},
		{"null MX", []string{"example.org. MX 0 ."}, nil, "mx", Failure, "takes no mail", "IN MX 10 mail.example.org."},
		{"MX to an address", []string{"example.org. MX 10 198.51.100.7."}, nil, "mx", Failure, "name no host", "IN MX 10 mail.example.org."},
		{"MX to somebody else", []string{"example.org. MX 10 mx.other.example.", "mx.other.example. A 192.0.2.9"}, nil, "mx", Failure, "not to mail.example.org", "IN MX 10"},
		{"MX to us under another name", []string{"example.org. MX 10 mx.example.org.", "mx.example.org. A 198.51.100.7"}, nil, "mx", OK, "goes to mx.example.org", ""},
		{"MX to an alias", []string{"example.org. MX 10 mx.example.org.", "mx.example.org. CNAME mail.example.org."}, nil, "mx", Warning, "alias (CNAME) of mail.example.org", ""},
		{"MX to nothing", []string{"example.org. MX 10 gone.example.org."}, nil, "mx", Failure, "gone.example.org has no address", "gone.example.org. IN A"},
		{"MX to a private address", []string{"mail.example.org. A 10.0.0.1"}, nil, "mx", Failure, "10.0.0.1, which the world can't reach", ""},
		{"MX unknown", []string{"!servfail example.org"}, nil, "mx", Unknown, "could not be told", ""},
		{"row 214 no AAAA", []string{"-mail.example.org. AAAA"}, nil, "address", Warning, "no AAAA record", "mail.example.org. IN AAAA 2620:fe::7"},
		{"row 213 no PTR", []string{"-" + reverse + " PTR"}, nil, "ptr", Failure, "198.51.100.7 has no name", "7.100.51.198.in-addr.arpa. IN PTR mail.example.org."},
		{"row 213 PTR that does not lead back", []string{reverse + " PTR liar.example.net."}, nil, "ptr", Failure, "does not lead back", "liar.example.net. IN A 198.51.100.7"},
		{"row 213 PTR of a line", []string{reverse + " PTR host-198-51-100-7.isp.example.", "host-198-51-100-7.isp.example. A 198.51.100.7"}, nil, "ptr", Warning, "customer's line", "IN PTR mail.example.org."},
		{"row 213 another name in EHLO", []string{reverse + " PTR www.example.org.", "www.example.org. A 198.51.100.7"}, nil, "helo", Warning, "is named www.example.org", `helo = "www.example.org"`},
		{"row 214 HELO without AAAA", []string{"helo.example.org. A 198.51.100.7"}, func(w *World) { w.Config.Outbound.Helo = "helo.example.org" }, "helo", Warning, "does not lead to 2620:fe::7", "helo.example.org. IN AAAA 2620:fe::7"},
		{"PTR unknown", []string{"!servfail 7.100.51.198.in-addr.arpa"}, nil, "ptr", Unknown, "could not be told", ""},
		{"no PTR of IPv6, which is not used then", []string{"-7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.e.f.0.0.0.2.6.2.ip6.arpa. PTR"}, func(w *World) { w.Config.Outbound.RequireIPv6Name = true }, "ptr", Warning, "2620:fe::7 has no name", "IN PTR"},
		{"row 220 no SPF", []string{"-example.org. TXT"}, nil, "spf", Failure, "has no SPF record", `example.org. IN TXT "v=spf1 mx -all"`},
		{"row 220 two SPF records", []string{`example.org. TXT "v=spf1 mx -all"`, `example.org. TXT "v=spf1 a -all"`}, nil, "spf", Failure, "has 2 SPF records", `"v=spf1 mx -all"`},
		{"row 220 SPF syntax", []string{`example.org. TXT "v=spf1 ipv4:192.0.2.1 -all"`}, nil, "spf", Failure, "can't be read", `"v=spf1 mx -all"`},
		{"row 220 not from here", []string{`example.org. TXT "v=spf1 ip4:192.0.2.1 ip6:2620:fe::7 -all"`}, nil, "spf", Failure, "does not let its mail come from 198.51.100.7", `"v=spf1 ip4:198.51.100.7 ip4:192.0.2.1`},
		{"row 220 +all", []string{`example.org. TXT "v=spf1 +all"`}, nil, "spf", Failure, "everybody", `"v=spf1 mx -all"`},
		{"row 220 ~all", []string{`example.org. TXT "v=spf1 mx ~all"`}, nil, "spf", Note, "ends with ~all", `"v=spf1 mx -all"`},
		{"row 220 no end", []string{`example.org. TXT "v=spf1 mx"`}, nil, "spf", Warning, "says nothing of everybody else", `"v=spf1 mx -all"`},
		{"row 221 ptr", []string{`example.org. TXT "v=spf1 mx ptr -all"`}, nil, "spf", Warning, "has ptr", ""},
		{"row 221 450 octets", []string{`example.org. TXT "v=spf1 mx" ` + strings.Repeat(`" ip4:198.51.100.200" `, 24) + `" -all"`}, nil, "spf", Warning, "octets", ""},
		{"row 221 look-ups", []string{`example.org. TXT "v=spf1 a:a.example a:b.example a:c.example -all"`}, nil, "spf", Failure, "fails for", ""},
		{"SPF unknown", []string{"!servfail example.org"}, nil, "spf", Unknown, "could not be told", ""},
		{"row 222 never sends, and says nothing", []string{"-_dmarc.example.org. TXT", "-example.org. TXT"}, neverSends, "never-sends", Warning, "does not say so", `example.org. IN TXT "v=spf1 -all"`},
		{"row 222 never sends, no DMARC", []string{"-_dmarc.example.org. TXT", `example.org. TXT "v=spf1 -all"`}, neverSends, "never-sends", Warning, "DMARC policy is missing", `p=reject; sp=reject`},
		{"row 222 never sends, says so", []string{`example.org. TXT "v=spf1 -all"`}, neverSends, "never-sends", OK, "says that it never sends", ""},
		{"row 223 no key", nil, func(w *World) { w.Keys = func(string) (dkimkey.Ring, error) { return nil, nil } }, "dkim", Warning, "no key", "facteur dkim"},
		{"row 223 key not published", []string{"!servfail x"}, func(w *World) { rename(w, "s2") }, "dkim", Failure, "is not published", "s2._domainkey.example.org. IN TXT"},
		{"row 223 another key", []string{`s3._domainkey.example.org. TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="`}, func(w *World) { rename(w, "s3") }, "dkim", Failure, "has another key", "s3._domainkey.example.org. IN TXT"},
		{"row 223 unknown", []string{"!servfail s4._domainkey.example.org"}, func(w *World) { rename(w, "s4") }, "dkim", Unknown, "could not be told", ""},
		{"row 225 no DMARC", []string{"-_dmarc.example.org. TXT"}, nil, "dmarc", Warning, "has no DMARC record", `_dmarc.example.org. IN TXT "v=DMARC1; p=none; rua=`},
		{"row 225 none", []string{`_dmarc.example.org. TXT "v=DMARC1; p=none; rua=mailto:a@example.org"`}, nil, "dmarc", Note, "policy of example.org is none", "p=quarantine"},
		{"row 225 no reports", []string{`_dmarc.example.org. TXT "v=DMARC1; p=reject"`}, nil, "dmarc", Note, "Nobody gets reports", "rua="},
		{"row 225 nonsense", []string{`_dmarc.example.org. TXT "v=DMARC1; p=maybe; rua=mailto:a@example.org"`}, nil, "dmarc", Warning, "In the DMARC record", "p=none"},
		{"DMARC unknown", []string{"!servfail _dmarc.example.org"}, nil, "dmarc", Unknown, "could not be told", ""},
		{"no MTA-STS", []string{"-_mta-sts.example.org. TXT"}, nil, "mta-sts", Note, "has no MTA-STS policy", "_mta-sts.example.org. IN TXT"},
		{"MTA-STS that is not served", nil, func(w *World) {
			w.Policy = func(context.Context, string) (tlspolicy.Policy, error) { return tlspolicy.Policy{}, tlspolicy.ErrFetch }
		}, "mta-sts", Warning, "could not be fetched", "mode: testing"},
		{"MTA-STS for another host", nil, func(w *World) {
			w.Policy = func(context.Context, string) (tlspolicy.Policy, error) {
				return tlspolicy.Policy{Mode: tlspolicy.Enforce, MX: []string{"mx.example.org"}}, nil
			}
		}, "mta-sts", Failure, "does not have its mail host", "mx: mail.example.org"},
		{"two MTA-STS records", []string{`_mta-sts.example.org. TXT "v=STSv1; id=1;"`, `_mta-sts.example.org. TXT "v=STSv1; id=2;"`}, nil, "mta-sts", Warning, "can't be read", "_mta-sts.example.org."},
		{"no TLSRPT", []string{"-_smtp._tls.example.org. TXT"}, nil, "tlsrpt", Note, "does not ask for reports", "v=TLSRPTv1"},
		{"TLSRPT without an address", []string{`_smtp._tls.example.org. TXT "v=TLSRPTv1; rua=postmaster@example.org"`}, nil, "tlsrpt", Warning, "can be read", "v=TLSRPTv1"},
		{"TLSA of another key", []string{"_25._tcp.mail.example.org. TLSA 3 1 1 " + strings.Repeat("00", 32)}, func(w *World) { w.Config.Outbound.AllowPrivate = true }, "tlsa", Warning, "not validated by DNSSEC", ""},
		{"no SRV", []string{"-_imaps._tcp.example.org. SRV"}, nil, "services", Note, "does not tell mail programs", "_imaps._tcp.example.org. IN SRV 0 1 993 mail.example.org."},
		{"SRV to elsewhere", []string{"_imaps._tcp.example.org. SRV 0 1 993 old.example.org."}, nil, "services", Warning, "old.example.org", "IN SRV 0 1 993 mail.example.org."},
		{"row 227 BIMI", []string{`default._bimi.example.org. TXT "v=BIMI1; l=https://example.org/logo.svg; a=https://example.org/logo.pem"`}, nil, "bimi", OK, "can be read", ""},
		{"row 227 BIMI without certificate", []string{`default._bimi.example.org. TXT "v=BIMI1; l=https://example.org/logo.svg"`}, nil, "bimi", Note, "no certificate", ""},
		{"row 227 BIMI with a PNG", []string{`default._bimi.example.org. TXT "v=BIMI1; l=https://example.org/logo.png; a="`}, nil, "bimi", Warning, "l= is not the address", ""},
		{"row 227 BIMI over http", []string{`default._bimi.example.org. TXT "v=BIMI1; l=http://example.org/logo.svg"`}, nil, "bimi", Warning, "l= is not the address", ""},
		{"row 227 BIMI needs DMARC", []string{`_dmarc.example.org. TXT "v=DMARC1; p=none"`, `default._bimi.example.org. TXT "v=BIMI1; l=https://example.org/logo.svg"`}, nil, "bimi", Warning, "DMARC policy is none", "p=quarantine"},
		{"row 227 BIMI declined", []string{`default._bimi.example.org. TXT "v=BIMI1; l=; a=;"`}, nil, "bimi", OK, "says that it has no logo", ""},
		{"nobody reads abuse", nil, func(w *World) {
			w.Leads = func(_ context.Context, who string) ([]string, error) {
				if strings.HasPrefix(who, "abuse") {
					return nil, &Refused{"550 5.1.1 User unknown"}
				}
				return []string{who}, nil
			}
		}, "roles", Warning, "Nobody reads abuse@example.org", "facteur alias add abuse@example.org"},
		{"postmaster is refused", nil, func(w *World) { w.Knock = replying(Reply{554, "554 5.7.1 no"}) }, "roles", Warning, "is refused: 554", ""},
		{"the door does not answer", nil, func(w *World) { w.Knock = replying(Reply{}) }, "relay", Unknown, "22 were put off", ""},
		{"no door", nil, func(w *World) { w.Knock = func(context.Context, []Try) ([]Reply, error) { return nil, ErrClosed } }, "relay", Note, "does not run", "facteur serve"},
		{"an open relay", nil, func(w *World) {
			w.Knock = replying(Reply{250, "250 2.1.5 Ok"})
			w.Leads = func(context.Context, string) ([]string, error) {
				return []string{"relay-test@example.com by smtp"}, nil
			}
		}, "relay", Failure, "open relay", "RCPT TO:<relay-test@example.com>"},
		{"REL-017 a wide network of the world", nil, func(w *World) {
			w.Config.TrustedNetworks = []conf.Prefix{{Prefix: netip.MustParsePrefix("203.0.0.0/8")}}
		}, "trusted", Failure, "203.0.0.0/8", "trusted_networks"},
		{"REL-017 a wide private network", nil, func(w *World) {
			w.Config.TrustedNetworks = []conf.Prefix{{Prefix: netip.MustParsePrefix("172.16.0.0/12")}}
		}, "trusted", Warning, "172.16.0.0/12", "trusted_networks"},
		{"certificate of another name", nil, func(w *World) { w.Config.Hostname = "mx.example.org" }, "certificate", Failure, "No certificate is for mx.example.org", ""},
		{"certificate without chain", nil, func(w *World) { w.Roots = x509.NewCertPool() }, "certificate", Warning, "does not lead to an authority", ""},
		{"certificate that ends soon", nil, func(w *World) { w.Now = now.AddDate(0, 1, 25) }, "certificate", Warning, "should have been renewed", ""},
		{"certificate that has ended", nil, func(w *World) { w.Now = now.AddDate(0, 3, 0) }, "certificate", Failure, "expired on", "facteur check"},
		{"certificate that is unreadable", nil, func(w *World) { w.CertificateError = errors.New("no such file") }, "certificate", Failure, "can't be read", ""},
		{"self-signed", nil, func(w *World) { w.Config.TLS.Certificate = nil }, "certificate", Warning, "self-signed", "certificate ="},
		{"port 25 is closed", nil, func(w *World) {
			w.Dial = func(context.Context, netip.Addr, string) (net.Conn, error) { return nil, os.ErrDeadlineExceeded }
		}, "port25", Failure, "no mail server was reached", "smarthost"},
		{"a smarthost that answers", nil, smarthost("smtp.provider.example:587"), "port25", OK, "The smarthost smtp.provider.example:587 answers", ""},
		{"a smarthost with TLS from the first byte says nothing first", nil, func(w *World) {
			smarthost("smtp.provider.example:465")(w)
			w.Dial = func(context.Context, netip.Addr, string) (net.Conn, error) { near, _ := net.Pipe(); return near, nil }
		}, "port25", OK, "provider.example:465 answers", ""},
		{"a smarthost that is away", nil, func(w *World) {
			smarthost("smtp.provider.example:587")(w)
			w.Dial = func(context.Context, netip.Addr, string) (net.Conn, error) { return nil, os.ErrDeadlineExceeded }
		}, "port25", Failure, "The smarthost was not reached: smtp.provider.example:587", "smarthost"},
		{"row 220 a smarthost that is not named", nil, smarthost("smtp.provider.example:587"), "spf", Warning, "which the SPF record of example.org does not name", `"v=spf1 mx ~all"`},
		{"row 220 a smarthost whose provider is included", []string{`example.org. TXT "v=spf1 mx include:_spf.provider.example -all"`, `_spf.provider.example. TXT "v=spf1 ip4:203.0.113.0/25 -all"`}, smarthost("smtp.provider.example:587"), "spf", Note, "can't be told from here", ""},
		{"row 220 a smarthost that is named", []string{`example.org. TXT "v=spf1 a:smtp.provider.example -all"`}, smarthost("smtp.provider.example:587"), "spf", OK, "mail leaves through smtp.provider.example", ""},
		{"a relayed domain sends from elsewhere", []string{`example.org. TXT "v=spf1 ip4:203.0.113.7 -all"`}, relayed, "spf", Note, "does not let its mail come from", ""},
		{"a relayed domain, and a smarthost", nil, func(w *World) { relayed(w); smarthost("smtp.provider.example:587")(w) }, "spf", Note, "can't be told from here", ""},
		{"a relayed domain has no keys here", nil, func(w *World) { relayed(w); w.Keys = func(string) (dkimkey.Ring, error) { return nil, nil } }, "dkim", OK, "is not signed here", ""},
		{"row 225 a policy is never taken back", []string{`_dmarc.example.org. TXT "v=DMARC1; p=reject; adkim=s"`}, nil, "dmarc", Note, "Nobody gets reports", `"v=DMARC1; p=reject; adkim=s; rua=mailto:postmaster@example.org"`},
		{"row 225 addresses for reports are kept", []string{`_dmarc.example.org. TXT "v=DMARC1; p=none; rua=mailto:a@example.net"`}, nil, "dmarc", Note, "is none", `"v=DMARC1; p=quarantine; rua=mailto:a@example.net"`},
		{"row 220 other senders are kept", []string{`example.org. TXT "v=spf1 ip4:198.51.100.7 ip6:2620:fe::7 ip4:203.0.113.9 +all"`}, nil, "spf", Failure, "everybody", `"v=spf1 ip4:198.51.100.7 ip6:2620:fe::7 ip4:203.0.113.9 -all"`},
		{"a disk that lies", nil, func(w *World) { w.Disk = disk(Disk{Kind: "ext4", Free: 1 << 40, Sync: time.Microsecond}) }, "disk", Warning, "no disk is that fast", ""},
		{"a slow disk", nil, func(w *World) { w.Disk = disk(Disk{Kind: "ext4", Free: 1 << 40, Sync: time.Second}) }, "disk", Warning, "needs 1s", ""},
		{"a disk of memory", nil, func(w *World) { w.Disk = disk(Disk{Kind: "tmpfs", Free: 1 << 40, Sync: time.Microsecond}) }, "disk", Failure, "in memory", ""},
		{"a full disk", nil, func(w *World) {
			w.Disk = disk(Disk{Kind: "ext4", Free: 1 << 20, Size: 1 << 40, Sync: time.Millisecond})
		}, "disk", Failure, "1.0 MiB free", "du -xh"},
		{"no inodes", nil, func(w *World) {
			w.Disk = disk(Disk{Kind: "ext4", Free: 1 << 40, Inodes: 10, All: 10000, Sync: time.Millisecond})
		}, "disk", Warning, "room for 10 more files", "df -i"},
		{"a clock that nobody keeps", nil, func(w *World) { w.Clock = func() (Clock, error) { return Clock{}, nil } }, "clock", Warning, "Nothing keeps the clock", "timedatectl"},
		{"no name service", []string{"!refused mail.example.org"}, nil, "dns", Failure, "does not answer", "servers ="},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := town(t, changed(c.change...))
			if c.world != nil {
				c.world(w)
			}
			list := only(t, w, c.check)
			for _, f := range list {
				if f.Level == c.level && strings.Contains(f.What, c.what) && strings.Contains(strings.Join(f.Do, "\n"), c.do) {
					return
				}
			}
			t.Errorf("no %s with %q and %q in\n%+v", c.level, c.what, c.do, list)
		})
	}
}

func relayed(w *World) { w.Domains[0].Backup = true }

// smarthost takes all mail for elsewhere.
func smarthost(at string) func(*World) {
	return func(w *World) {
		host, port, _ := strings.Cut(at, ":")
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			panic(err)
		}
		w.Config.Outbound.Smarthost = conf.HostPorts{{Host: host, Port: uint16(number)}}
		house := w.House
		w.House = func(domain string) records.House { h := house(domain); h.Smarthost = host; return h }
	}
}

func neverSends(w *World) { w.Domains[0].NeverSends = true }

// rename gives the key another selector.
func rename(w *World, selector string) {
	keys := w.Keys
	w.Keys = func(domain string) (dkimkey.Ring, error) {
		ring, err := keys(domain)
		ring[0].Selector = selector
		return ring, err
	}
}

func replying(r Reply) func(context.Context, []Try) ([]Reply, error) {
	return func(_ context.Context, tries []Try) ([]Reply, error) {
		return slices.Repeat([]Reply{r}, len(tries)), nil
	}
}

func disk(d Disk) func(string) (Disk, error) { return func(string) (Disk, error) { return d, nil } }

// only does one check.
func only(t *testing.T, w *World, name string) (list []Finding) {
	t.Helper()
	for _, j := range jobs(w) {
		if j.name == name {
			list = append(list, j.within(context.Background(), w)...)
		}
	}
	return list
}

// Rows 216 to 218: what lists say of us, and when they are not believed.
func TestBlockLists(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		lines []string
		level Level
		what  string
	}{
		{"not listed", nil, OK, "No block list has"},
		{"row 216 listed", []string{"7.100.51.198.list.example. A 127.0.0.2"}, Failure, "198.51.100.7 is on the block list list.example: 127.0.0.2"},
		{"row 216 listed twice", []string{"7.100.51.198.list.example. A 127.0.0.4", "7.100.51.198.list.example. A 127.0.0.2"}, Failure, "list.example: 127.0.0.2, 127.0.0.4."},
		{"AUT-026 an answer of somebody else beside it", []string{"7.100.51.198.list.example. A 127.0.0.2", "7.100.51.198.list.example. A 203.0.113.80"}, Unknown, "it answers 203.0.113.80"},
		{"row 216 a domain listed", []string{"example.org.names.example. A 127.0.1.2"}, Failure, "example.org is on the block list names.example"},
		{"AUT-026 127.0.0.1 is nobody's code", []string{"7.100.51.198.list.example. A 127.0.0.1"}, Unknown, "does not serve us: it answers 127.0.0.1"},
		{"AUT-026 quota", []string{"2.0.0.127.list.example. A 127.255.255.254"}, Unknown, "does not serve us: it answers 127.255.255.254"},
		{"AUT-026 quota later", []string{"7.100.51.198.list.example. A 127.255.255.255"}, Unknown, "does not serve us: it answers 127.255.255.255"},
		{"AUT-026 hijacked", []string{"*.list.example. A 203.0.113.80", "2.0.0.127.list.example. A 203.0.113.80"}, Unknown, "does not serve us: it answers 203.0.113.80"},
		{"AUT-026 lists everything", []string{"*.list.example. A 127.0.0.2"}, Note, "lists everything"},
		{"AUT-026 0.0.0.0", []string{"7.100.51.198.list.example. A 0.0.0.0"}, Unknown, "does not serve us: it answers 0.0.0.0"},
		{"AUT-026 AAAA", []string{"7.100.51.198.list.example. AAAA ::ffff:0:1"}, OK, "No block list has"},
		{"AUT-026 empty", []string{"-2.0.0.127.list.example. A"}, Note, "is empty"},
		{"AUT-026 no answer", []string{"!servfail 2.0.0.127.list.example"}, Unknown, "does not answer now"},
		{"AUT-026 no answer later", []string{"!servfail 7.100.51.198.list.example"}, Unknown, "does not answer now"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := only(t, town(t, changed(c.lines...)), "block-lists")
			for _, f := range list {
				if f.Level == c.level && strings.Contains(f.What, c.what) {
					return
				}
			}
			t.Errorf("no %s with %q in\n%+v", c.level, c.what, list)
		})
	}
}

// Row 158: lists that the filter asks are looked at, too; one that does not work is told of.
func TestFilterLists(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		lines []string
		level Level
		what  string
	}{
		{"row 158 it works", nil, OK, "Lists that the filter asks about senders work (1 of 1)."},
		{"AUT-026 refused", []string{"*.list.example. A 127.255.255.254", "2.0.0.127.list.example. A 127.255.255.254"}, Note, "does not ask the list list.example: it answers 127.255.255.254"},
		{"AUT-026 lists everybody", []string{"*.list.example. A 127.0.0.2"}, Note, "it lists everybody"},
		{"AUT-026 silent", []string{"!servfail 2.0.0.127.list.example"}, Note, "it does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := only(t, town(t, changed(c.lines...)), "filter-lists")
			if len(list) != 1 || list[0].Level != c.level || !strings.Contains(list[0].What, c.what) {
				t.Errorf("%+v", list)
			}
		})
	}
}

// Row 180: a scanner that does not answer is told of, and what that means for letters.
func TestScanners(t *testing.T) {
	t.Parallel()
	w := town(t, good)
	var fail error
	answer := scanner.Status{Name: "clamd", Socket: "unix:/s", State: scanner.Working, WhenDown: scanner.Defer}
	w.Scanners = func(context.Context) ([]scanner.Status, error) { return []scanner.Status{answer}, fail }
	expect := func(level Level, what string) {
		t.Helper()
		if list := only(t, w, "scanners"); len(list) != 1 || list[0].Level != level || !strings.Contains(list[0].What+list[0].Why, what) {
			t.Errorf("expected %s %q: %+v", level, what, list)
		}
	}
	expect(OK, "The scanner clamd answers at unix:/s.")
	answer.State, answer.Why = scanner.Dead, "Connection refused"
	expect(Failure, "Connection refused.Until it does, other servers have to come again")
	answer.TestOnly = true
	expect(Warning, "Letters go on without it")
	answer.TestOnly, answer.State, answer.WhenDown = false, scanner.Resting, scanner.Pass
	expect(Warning, "Letters go on without it")
	fail = errors.New("no counter")
	expect(Unknown, "no counter")
	w.Config.Scanners = nil
	if list := only(t, w, "scanners"); len(list) != 0 {
		t.Errorf("none is in the settings: %+v", list)
	}
}

// What a list could not tell is said once, and not once for each domain.
func TestSilentListIsToldOnce(t *testing.T) {
	t.Parallel()
	w := town(t, changed("!servfail d1.example.names.example", "!servfail d2.example.names.example"))
	w.Domains = append(w.Domains, Domain{Name: "d1.example", Receives: true}, Domain{Name: "d2.example", Receives: true})
	count := 0
	for _, f := range only(t, w, "block-lists") {
		if strings.Contains(f.What, "names.example does not answer") {
			count++
		}
	}
	if count != 1 {
		t.Errorf("told %d times", count)
	}
}

// Row 217: each list that is asked by default says where to ask to be taken off.
func TestRemovalLinks(t *testing.T) {
	t.Parallel()
	d := config.Default().Doctor
	for _, name := range append(slices.Clone(d.BlockLists), d.DomainBlockLists...) {
		if l := knownLists()[name]; !strings.HasPrefix(removal(name, "198.51.100.7", l), "https://") || !strings.Contains(removal(name, "198.51.100.7", l), "198.51.100.7") {
			t.Errorf("%s: %q", name, removal(name, "198.51.100.7", l))
		}
	}
	w := town(t, changed("7.100.51.198.zen.spamhaus.org. A 127.0.0.10", "2.0.0.127.zen.spamhaus.org. A 127.0.0.2",
		"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.e.f.0.0.0.2.6.2.zen.spamhaus.org. A 127.0.0.3"))
	w.Config.Doctor.BlockLists = []string{"zen.spamhaus.org"}
	got := fmt.Sprint(only(t, w, "block-lists"))
	for _, want := range []string{"PBL, a line", "https://check.spamhaus.org/results/?query=198.51.100.7", "2620:fe::7 is on the block list zen.spamhaus.org: 127.0.0.3 (CSS"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

// Without a name service nothing is a failure but that, and it ends in time.
func TestDeadDNS(t *testing.T) {
	t.Parallel()
	w := town(t, "!servfail example.org\n!servfail mail.example.org")
	w.Resolver = dead(t)
	start := time.Now()
	for _, f := range Run(context.Background(), w) {
		if f.Level == Failure && f.Check != "dns" {
			t.Errorf("%+v", f)
		}
	}
	if took := time.Since(start); took > Deadline+5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A check that hangs is left, and the others are told.
func TestHangs(t *testing.T) {
	t.Parallel()
	w := town(t, good)
	hang := make(chan struct{})
	defer close(hang)
	w.Disk = func(string) (Disk, error) { <-hang; return Disk{}, nil }
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, f := range Run(ctx, w) {
		if f.Check == "disk" && f.Level == Unknown {
			return
		}
	}
	t.Error("nothing is told of the disk")
}

// Row 215: before the installation, what the machine brings along is looked at.
func TestBefore(t *testing.T) {
	t.Parallel()
	w := town(t, changed("-7.100.51.198.in-addr.arpa. PTR"))
	w.Before = true
	w.Config.Listen = []config.Listener{{Service: config.SMTP, Address: conf.Socket{HostPort: taken(t)}}}
	got := map[string]Level{}
	for _, f := range Run(context.Background(), w) {
		if l, ok := got[f.Check]; !ok || slices.Index(levels, f.Level) < slices.Index(levels, l) {
			got[f.Check] = f.Level
		}
	}
	for check, want := range map[string]Level{"port25": OK, "ptr": Failure, "ports": Failure, "clock": OK, "disk": OK, "address": OK, "spf": "", "relay": "", "dkim": ""} {
		if got[check] != want {
			t.Errorf("%s: %q, want %q", check, got[check], want)
		}
	}
}

// taken is a port that somebody has.
func taken(t *testing.T) conf.HostPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return conf.HostPort{Host: "127.0.0.1", Port: uint16(l.Addr().(*net.TCPAddr).Port)}
}

// Through a smarthost, nobody sees our addresses.
func TestSmarthost(t *testing.T) {
	t.Parallel()
	w := town(t, changed("-7.100.51.198.in-addr.arpa. PTR", `example.org. TXT "v=spf1 ip4:192.0.2.1 -all"`, "7.100.51.198.list.example. A 127.0.0.2"))
	w.Config.Outbound.Smarthost = conf.HostPorts{{Host: "probe.example", Port: 587}}
	for _, f := range Run(context.Background(), w) {
		if f.isBad() {
			t.Errorf("%+v", f)
		}
	}
}

// Behind a router, the settings name the address that the world sees.
func TestNAT(t *testing.T) {
	t.Parallel()
	w := town(t, good)
	w.Here = func(family string) (netip.Addr, error) {
		if family == "A" {
			return netip.MustParseAddr("192.168.1.7"), nil
		}
		return netip.Addr{}, errors.New("no route")
	}
	for _, own := range []string{"", "203.0.113.99"} {
		w.Config.Addresses.ProxyInterfaces = nil
		want := "198.51.100.7"
		if own != "" {
			w.Config.Addresses.ProxyInterfaces, want = []string{own}, own
		}
		list, _ := w.sources(context.Background()) //nolint:errcheck // it has none
		if len(list) != 1 || list[0].String() != want {
			t.Errorf("%q: %v", own, list)
		}
	}
}

// dead is a resolver whom nobody answers.
func dead(t *testing.T) *dns.Resolver {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0") // hears, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	r, err := dns.New(dns.Config{Servers: []string{pc.LocalAddr().String()}, Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
