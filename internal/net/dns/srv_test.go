package dns_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
	"facteur/internal/test/sim"
)

func TestLookupSRV(t *testing.T) {
	r := sim.Zone(t, `
		_imaps._tcp.example.org. SRV 10 1 993 second.example.org.
		_imaps._tcp.example.org. SRV 0 1 993 Mail.Example.org.
		_imaps._tcp.example.org. SRV 0 1 993 a\032b.example.org.
		_pop3s._tcp.example.org. SRV 0 0 0 .
		!servfail _imap._tcp.example.org`)
	for name, want := range map[string]string{
		"_imaps._tcp.example.org": "found [{mail.example.org 993 0 1} {second.example.org 993 10 1}]",
		"_pop3s._tcp.example.org": "found [{ 0 0 0}]",
		"_imap._tcp.example.org":  "try again []",
		"_pop3._tcp.example.org":  "not found []",
	} {
		a := r.LookupSRV(context.Background(), name)
		if got := fmt.Sprintf("%s %v", a.State(), a.Value()); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// AUT-022 an MX record that names an address is a mistake that has a name.
func TestBadMX(t *testing.T) {
	r := sim.Zone(t, "ip.example. MX 10 192.0.2.1.")
	if a := r.LookupMX(context.Background(), "ip.example"); a.State() != lookup.TryAgain || !errors.Is(a.Err(), dns.ErrBadMX) {
		t.Errorf("%v %v", a.State(), a.Err())
	}
}
