package interop_test

import (
	"testing"

	wire "github.com/miekg/dns"

	"facteur/internal/test/interop"
)

// The resolver says what it is there for: who is signed, who is not, and whose
// signatures are bad.
func TestUnbound(t *testing.T) {
	u := interop.StartUnbound(t,
		interop.Zone{Name: "signed.test", Signed: true, Bogus: []string{"bogus.signed.test"}, Records: `
			signed.test. MX 10 mx.signed.test.
			mx.signed.test. A 127.0.0.1
			_25._tcp.mx.signed.test. TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
			bogus.signed.test. A 127.0.0.1`},
		interop.Zone{Name: "plain.test", Records: "plain.test. MX 10 mx.signed.test."})
	cases := []struct {
		name          string
		qtype         uint16
		rcode, answer int
		secure        bool
	}{
		{"signed.test.", wire.TypeMX, wire.RcodeSuccess, 1, true},
		{"mx.signed.test.", wire.TypeA, wire.RcodeSuccess, 1, true},
		{"mx.signed.test.", wire.TypeAAAA, wire.RcodeSuccess, 0, true},
		{"_25._tcp.mx.signed.test.", wire.TypeTLSA, wire.RcodeSuccess, 1, true},
		{"_25._tcp.none.signed.test.", wire.TypeTLSA, wire.RcodeNameError, 0, true},
		{"bogus.signed.test.", wire.TypeA, wire.RcodeServerFailure, 0, false},
		{"plain.test.", wire.TypeMX, wire.RcodeSuccess, 1, false},
		{"elsewhere.example.", wire.TypeMX, wire.RcodeNameError, 0, false},
	}
	for _, tc := range cases {
		t.Run(tc.name+" "+wire.TypeToString[tc.qtype], func(t *testing.T) {
			q := new(wire.Msg)
			q.SetQuestion(tc.name, tc.qtype)
			q.AuthenticatedData = true
			r, err := wire.Exchange(q, u.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if r.Rcode != tc.rcode || len(r.Answer) != tc.answer || r.AuthenticatedData != tc.secure {
				t.Errorf("%v", r)
			}
		})
	}
}
