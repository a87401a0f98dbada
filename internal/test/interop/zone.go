package interop

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	wire "github.com/miekg/dns"
)

// Zone is a zone of an Unbound.
type Zone struct {
	// Name is "example.test"; Records are lines of a zone file below it, with full
	// names.
	Name, Records string
	// Signed signs it by DNSSEC. Bogus breaks the signatures of these names.
	Signed bool
	Bogus  []string
}

// text is the zone as a file, and the anchor that a validating resolver has to trust,
// "" without signatures.
func (z Zone) text(t testing.TB) (file, anchor string) {
	t.Helper()
	apex := wire.Fqdn(z.Name)
	all := fmt.Sprintf("%[1]s SOA ns.%[1]s hostmaster.%[1]s 1 3600 600 86400 60\n%[1]s NS ns.%[1]s\nns.%[1]s A 127.0.0.1\n%[2]s\n", apex, unindent(z.Records))
	var records []wire.RR
	parser := wire.NewZoneParser(strings.NewReader("$ORIGIN .\n$TTL 300\n"+all), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatalf("zone %s: %v", z.Name, err)
	}
	if z.Signed {
		records, anchor = z.sign(t, records)
	}
	var b strings.Builder
	for _, rr := range records {
		b.WriteString(rr.String() + "\n")
	}
	return b.String(), anchor
}

// unindent lets a zone stand indented in a test: a line that begins with a blank would
// mean the name of the one before.
func unindent(records string) string {
	var b strings.Builder
	for line := range strings.Lines(records) {
		b.WriteString(strings.TrimLeft(line, " \t"))
	}
	return b.String()
}

// sign adds a key, the NSEC chain and the signatures (RFC 4035 §2).
func (z Zone) sign(t testing.TB, records []wire.RR) (signed []wire.RR, anchor string) {
	t.Helper()
	apex := wire.Fqdn(z.Name)
	key := &wire.DNSKEY{Hdr: wire.RR_Header{Name: apex, Rrtype: wire.TypeDNSKEY, Class: wire.ClassINET, Ttl: 300},
		Flags: 257, Protocol: 3, Algorithm: wire.ECDSAP256SHA256}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	records = append(records, key)
	records = append(records, chain(records)...)
	sets := make(map[string][]wire.RR)
	for _, rr := range records {
		of := strings.ToLower(rr.Header().Name) + " " + wire.TypeToString[rr.Header().Rrtype]
		sets[of] = append(sets[of], rr)
	}
	for _, set := range sets {
		signature := &wire.RRSIG{Hdr: wire.RR_Header{Ttl: 300}, Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: apex,
			Inception: uint32(time.Now().Add(-time.Hour).Unix()), Expiration: uint32(time.Now().Add(24 * time.Hour).Unix())}
		if err := signature.Sign(private.(crypto.Signer), set); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(z.Bogus, strings.TrimSuffix(set[0].Header().Name, ".")) {
			signature.Expiration++ // not what was signed
		}
		signed = append(append(signed, set...), signature)
	}
	return signed, key.ToDS(wire.SHA256).String()
}

// chain is the NSEC records of a zone (RFC 4034 §4).
func chain(records []wire.RR) (all []wire.RR) {
	types := make(map[string][]uint16)
	for _, rr := range records {
		name := strings.ToLower(rr.Header().Name)
		if !slices.Contains(types[name], rr.Header().Rrtype) {
			types[name] = append(types[name], rr.Header().Rrtype)
		}
	}
	var names []string
	for name := range types {
		names = append(names, name)
	}
	slices.SortFunc(names, canonicalOrder)
	for i, name := range names {
		list := append(types[name], wire.TypeRRSIG, wire.TypeNSEC)
		slices.Sort(list)
		all = append(all, &wire.NSEC{Hdr: wire.RR_Header{Name: name, Rrtype: wire.TypeNSEC, Class: wire.ClassINET, Ttl: 60},
			NextDomain: names[(i+1)%len(names)], TypeBitMap: list})
	}
	return all
}

// canonicalOrder is by labels, from the right (RFC 4034 §6.1).
func canonicalOrder(a, b string) int {
	x, y := wire.SplitDomainName(a), wire.SplitDomainName(b)
	slices.Reverse(x)
	slices.Reverse(y)
	return slices.Compare(x, y)
}
