package records_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/netip"
	"strings"
	"testing"

	wire "github.com/miekg/dns"

	"facteur/internal/app/records"
)

func printed(t *testing.T, h records.House) string {
	t.Helper()
	var b strings.Builder
	if err := records.Write(&b, records.Of(h)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is printed is a zone: each line can be read by a name server.
func TestRecordsAreAZone(t *testing.T) {
	h := records.House{
		Domain: "example.org", Hostname: "mail.example.org", Receives: true, PolicyServer: true, Secure: true,
		Addresses:    []netip.Addr{netip.MustParseAddr("192.0.2.142"), netip.MustParseAddr("2001:db8::142")},
		Keys:         []records.Record{{Name: "s1._domainkey.example.org", Type: "TXT", Value: "v=DKIM1; p=" + strings.Repeat("A", 392), Why: "a key"}},
		Certificates: []*x509.Certificate{{RawSubjectPublicKeyInfo: []byte("key"), Issuer: pkix.Name{Organization: []string{"Let's Encrypt"}}}},
		Services:     []records.Service{{Name: "imaps", Port: 993}, {Name: "submissions", Port: 465}},
	}
	got := map[string]string{}
	for line := range strings.Lines(printed(t, h)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "; set by whoever gives you the address: ")
		rr, err := wire.NewRR(line)
		if err != nil {
			t.Errorf("%q is no line of a zone: %v", line, err)
		} else if rr != nil {
			got[strings.TrimSuffix(rr.Header().Name, ".")+" "+wire.TypeToString[rr.Header().Rrtype]] = rr.String()
		}
	}
	for _, want := range []string{
		"example.org MX", "mail.example.org A", "mail.example.org AAAA", "142.2.0.192.in-addr.arpa PTR",
		"2.4.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR", "example.org TXT", "s1._domainkey.example.org TXT",
		"_dmarc.example.org TXT", "_smtp._tls.example.org TXT", "_mta-sts.example.org TXT", "_25._tcp.mail.example.org TLSA",
		"_imaps._tcp.example.org SRV", "mail.example.org CAA",
	} {
		if got[want] == "" {
			t.Errorf("no record %s in\n%s", want, printed(t, h))
		}
	}
}

// Row 221: a text of more than 255 bytes is in several strings, which are it when put together.
func TestQuote(t *testing.T) {
	for _, n := range []int{0, 1, 254, 255, 256, 510, 511, 700} {
		text := strings.Repeat(`a"\`, n)[:n]
		rr, err := wire.NewRR("x. IN TXT " + records.Quote(text))
		if err != nil {
			t.Fatal(err)
		}
		whole := ""
		for _, s := range rr.(*wire.TXT).Txt {
			s = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(s)
			if len(s) > 255 {
				t.Errorf("%d: a string of %d bytes", n, len(s))
			}
			whole += s
		}
		if whole != text {
			t.Errorf("%d: %q became %q", n, text, whole)
		}
	}
	if got := records.Quote("a\n\xff"); got != `"a\010\255"` {
		t.Errorf("control characters: %s", got)
	}
}

// Rows 220 and 222: -all, a TXT record; and a domain that never sends says so three times.
func TestNeverSends(t *testing.T) {
	got := printed(t, records.House{Domain: "parked.example", Hostname: "mail.example.org", NeverSends: true})
	for _, want := range []string{"parked.example. IN MX 0 .", `parked.example. IN TXT "v=spf1 -all"`, `_dmarc.parked.example. IN TXT "v=DMARC1; p=reject;`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "mail.example.org") {
		t.Errorf("a host of ours has nothing to do with it:\n%s", got)
	}
	if got := printed(t, records.House{Domain: "example.org", Hostname: "mail.example.org"}); !strings.Contains(got, `IN TXT "v=spf1 a:mail.example.org -all"`) {
		t.Errorf("a domain that others receive for:\n%s", got)
	}
}

// Row 220: pasted as they are, no records may forbid what a server sends.
func TestSPFOfSmarthosts(t *testing.T) {
	for _, h := range []records.House{{Domain: "example.org", Hostname: "mail.example.org", Receives: true, Smarthost: "smtp.provider.example"}, {Domain: "example.org", Hostname: "mail.example.org", Receives: true, Relayed: true}} {
		if got := h.SPF().Value; got != "v=spf1 mx ~all" {
			t.Errorf("%+v: %s", h, got)
		}
	}
}
