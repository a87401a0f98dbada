package deliver

import (
	"testing"

	"facteur/internal/flow/transport"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/test/sim"
)

// LOOP-013 TLSRPT about TLSRPT: connections that carry reports are their own, and counted
// nowhere, whatever comes of their TLS.
func TestReportsAreNotReported(t *testing.T) {
	ca := newAuthority(t)
	port := portOf(t, peerAt(t, "127.0.0.1:0", sim.Peer{}).Addr().String()) // without TLS
	server, err := sim.StartDNS("127.0.0.1:0", "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\nmta-sts.d.test. A 127.0.0.1\n_mta-sts.d.test. TXT \"v=STSv1; id=1;\"\n")
	check(t, err)
	defer server.Close()
	web := newWebsite(t, ca, policyText("enforce"))
	x := newExit(t, server.Addr(), false, port, tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true, Roots: ca.pool()}, nil), tlspolicy.Config{Roots: ca.pool(), WebPort: web.port})
	usual, reply, text := x.finder.site(t.Context(), x.out, x.out.Ways.Choose(transport.Mail{Domain: "d.test"}))
	if reply != nil {
		t.Fatal(text)
	}
	admins := usual
	admins.demand = nil // as where the hosts are the admin's
	for _, s := range []site{usual, admins} {
		for _, quiet := range []site{s.unreported(), s.relaxed().unreported()} {
			if conn, _, _ := x.finder.connect(t.Context(), x.out, quiet, need{}); conn != nil {
				conn.Close()
			}
			if len(x.results) != 0 {
				t.Errorf("the report about reports: %+v", x.results)
			}
			if quiet.key() == s.key() || quiet.key() == s.relaxed().key() {
				t.Errorf("its connections are those of other mail: %q", quiet.key())
			}
		}
	}
	if x.finder.connect(t.Context(), x.out, usual, need{}); len(x.results) == 0 {
		t.Error("other mail is not counted either")
	}
}
