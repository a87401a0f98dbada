package tlspolicy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"facteur/internal/net/dns"
	"facteur/internal/net/smtpc"
)

// issued makes a certificate, signed by itself without a parent.
func issued(t testing.TB, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func shown(certs ...*x509.Certificate) tls.ConnectionState {
	return tls.ConnectionState{PeerCertificates: certs}
}

func TestDANECheck(t *testing.T) {
	t.Parallel()
	ca, caKey := issued(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "root"}}, nil, nil)
	between, betweenKey := issued(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "between"}}, ca, caKey)
	leaf, _ := issued(t, &x509.Certificate{DNSNames: []string{"mx.d.test"}}, between, betweenKey)
	old, _ := issued(t, &x509.Certificate{Subject: pkix.Name{CommonName: "mx.d.test"}}, between, betweenKey)
	stray, _ := issued(t, &x509.Certificate{DNSNames: []string{"mx.d.test"}}, nil, nil)
	of := func(usage, selector uint8, c *x509.Certificate) dns.TLSA {
		data := c.Raw
		if selector == publicKey {
			data = c.RawSubjectPublicKeyInfo
		}
		sum := sha256.Sum256(data)
		return dns.TLSA{Usage: usage, Selector: selector, Matching: bySHA256, Data: sum[:]}
	}
	for name, c := range map[string]struct {
		records []dns.TLSA
		shown   tls.ConnectionState
		names   string
		ok      bool
	}{
		"the host itself":                         {[]dns.TLSA{of(3, 1, leaf)}, shown(leaf), "other.test", true},
		"the host itself, by its certificate":     {[]dns.TLSA{of(3, 0, leaf)}, shown(leaf, between), "other.test", true},
		"its issuer as if it were the host":       {[]dns.TLSA{of(3, 1, between)}, shown(leaf, between), "mx.d.test", false},
		"the root":                                {[]dns.TLSA{of(2, 1, ca)}, shown(leaf, between, ca), "mx.d.test", true},
		"the root, which is not sent":             {[]dns.TLSA{of(2, 1, ca)}, shown(leaf, between), "mx.d.test", false},
		"the root in full, which is not sent":     {[]dns.TLSA{{Usage: 2, Data: ca.Raw}}, shown(leaf, between), "mx.d.test", true},
		"one between":                             {[]dns.TLSA{of(2, 0, between)}, shown(leaf, between), "mx.d.test", true},
		"the domain's name":                       {[]dns.TLSA{of(2, 1, ca)}, shown(leaf, between, ca), "d.test mx.d.test", true},
		"another name":                            {[]dns.TLSA{of(2, 1, ca)}, shown(leaf, between, ca), "mx.e.test", false},
		"a common name, where there is no other":  {[]dns.TLSA{of(2, 1, ca)}, shown(old, between, ca), "mx.d.test", true},
		"the wrong common name":                   {[]dns.TLSA{of(2, 1, ca)}, shown(old, between, ca), "mx.e.test", false},
		"an authority that signed something else": {[]dns.TLSA{of(2, 1, ca)}, shown(stray, between, ca), "mx.d.test", false},
		"itself as authority":                     {[]dns.TLSA{of(2, 1, stray)}, shown(stray), "mx.d.test", true},
		"no certificate":                          {[]dns.TLSA{of(3, 1, leaf)}, shown(), "mx.d.test", false},
		"the second of two":                       {[]dns.TLSA{of(3, 1, stray), of(2, 1, ca)}, shown(leaf, between, ca), "mx.d.test", true},
	} {
		set := &tlsa{base: "mx.d.test", records: c.records, usable: usable(c.records)}
		if len(set.usable) != len(c.records) {
			t.Errorf("%s: %d of %d are usable", name, len(set.usable), len(c.records))
		}
		if err := set.check(strings.Fields(c.names))(c.shown); (err == nil) != c.ok {
			t.Errorf("DANE, %s: %v", name, err)
		}
	}
}

// RFC 7671 §9, RFC 7672 §3.1: what can be used, and what is left then.
func TestUsable(t *testing.T) {
	t.Parallel()
	cert, _ := issued(t, &x509.Certificate{DNSNames: []string{"mx.d.test"}}, nil, nil)
	tl := func(usage, selector, matching uint8, data []byte) dns.TLSA {
		return dns.TLSA{Usage: usage, Selector: selector, Matching: matching, Data: data}
	}
	long, longer := make([]byte, 32), make([]byte, 64)
	for name, c := range map[string]struct {
		records []dns.TLSA
		want    int
	}{
		"PKIX usages":                 {[]dns.TLSA{tl(0, 1, 1, long), tl(1, 1, 1, long)}, 0},
		"unknown fields":              {[]dns.TLSA{tl(255, 1, 1, long), tl(3, 2, 1, long), tl(3, 1, 3, long), tl(4, 0, 0, cert.Raw)}, 0},
		"lengths":                     {[]dns.TLSA{tl(3, 1, 1, nil), tl(3, 1, 1, long[:31]), tl(3, 1, 1, longer), tl(3, 1, 2, long), tl(2, 0, 2, nil)}, 0},
		"what is no certificate":      {[]dns.TLSA{tl(3, 0, 0, long), tl(2, 0, 0, nil), tl(3, 1, 0, cert.Raw), tl(3, 0, 0, cert.RawSubjectPublicKeyInfo)}, 0},
		"whole ones":                  {[]dns.TLSA{tl(3, 0, 0, cert.Raw), tl(3, 1, 0, cert.RawSubjectPublicKeyInfo), tl(2, 0, 0, cert.Raw)}, 3},
		"both digests":                {[]dns.TLSA{tl(3, 1, 1, long), tl(3, 1, 2, longer)}, 1},
		"digests of different things": {[]dns.TLSA{tl(3, 1, 1, long), tl(3, 0, 2, longer), tl(2, 1, 2, longer)}, 3},
		"a broken strong one":         {[]dns.TLSA{tl(3, 1, 1, long), tl(3, 1, 2, long)}, 1},
	} {
		if got := usable(c.records); len(got) != c.want {
			t.Errorf("AUT-025 %s: %v", name, got)
		}
	}
}

func FuzzTLSA(f *testing.F) {
	f.Add(uint8(3), uint8(1), uint8(1), make([]byte, 32))
	f.Add(uint8(2), uint8(0), uint8(0), []byte{0x30, 0x82})
	f.Add(uint8(255), uint8(0), uint8(2), []byte{})
	cert, _ := issued(f, &x509.Certificate{DNSNames: []string{"mx.d.test"}}, nil, nil)
	f.Fuzz(func(t *testing.T, usage, selector, matching uint8, data []byte) {
		all := []dns.TLSA{{Usage: usage, Selector: selector, Matching: matching, Data: data}}
		set := &tlsa{base: "mx.d.test", records: all, usable: usable(all)}
		set.strings()
		if len(set.usable) > 0 && usage != daneTA && usage != daneEE {
			t.Fatal("usage", usage)
		}
		err := set.check([]string{"mx.d.test"})(shown(cert))
		if err == nil && len(set.usable) == 0 {
			t.Fatal("nothing was compared")
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	cert, _ := issued(t, &x509.Certificate{DNSNames: []string{"mx.d.test", "*.e.test"}, Subject: pkix.Name{CommonName: "cn.test"}}, nil, nil)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	for _, c := range []struct {
		level Level
		match string
		host  string
		ok    bool
	}{
		{Verify, "", "mx.d.test", true}, {Verify, "", "a.e.test", true}, {Verify, "", "a.b.e.test", false}, {Verify, "", "forged.test", false},
		{Secure, "", "forged.test", true}, // .d.test
		{Secure, "nexthop", "mx.d.test", false}, {Secure, "nexthop hostname", "mx.d.test", true},
		{Secure, ".f.test", "mx.d.test", false}, {Secure, ".e.test", "mx.d.test", true}, {Secure, ".test", "mx.d.test", true}, {Secure, ".t", "mx.d.test", false},
		{Verify, "cn.test", "mx.d.test", false}, {Verify, "x.e.test", "mx.d.test", true},
	} {
		r := Rule{Domain: "d.test", Level: c.level, Match: strings.Fields(c.match), Roots: pool}
		if err := r.check("d.test", c.host)(shown(cert)); (err == nil) != c.ok {
			t.Errorf("%s, match %q, host %s: %v", c.level, c.match, c.host, err)
		}
	}
	if err := (Rule{Level: Secure}).check("d.test", "mx.d.test")(shown()); !errors.Is(err, smtpc.ErrNoCertificate) {
		t.Error(err)
	}
}

func TestRulesOf(t *testing.T) {
	t.Parallel()
	rules := NewRules(Rules{Default: Rule{Level: Encrypt}}, []Rule{{Domain: "D.test", Level: Verify}, {Domain: ".d.test", Level: None},
		{Domain: ".a.d.test", Level: Secure}, {Domain: "d.test", Level: May}, {Domain: "192.0.2.1", Level: DaneOnly}})
	for domain, want := range map[string]Level{"d.test": Verify, "D.TEST": Verify, "x.d.test": None, "x.y.d.test": None, "a.d.test": None, "x.a.d.test": Secure,
		"xd.test": Encrypt, "test": Encrypt, "": Encrypt, "[192.0.2.1]": Encrypt, "192.0.2.1": DaneOnly} {
		if got, _ := rules.of(domain); got.Level != want {
			t.Errorf("%q: %v, want %v", domain, got.Level, want)
		}
	}
}
