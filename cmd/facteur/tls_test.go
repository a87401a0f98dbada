package main

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/tlsreport"
	"facteur/internal/test/sim"
)

// TestTLSPolicy: what a domain demands, host by host, and who says so.
func TestTLSPolicy(t *testing.T) {
	t.Parallel()
	dns, err := sim.StartDNS("127.0.0.1:0", `
dane.test. MX 10 mx.dane.test
mx.dane.test. A 9.9.9.9
_25._tcp.mx.dane.test. TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
sts.test. MX 10 mx.sts.test
mx.sts.test. A 9.9.9.9
_mta-sts.sts.test. TXT "v=STSv1; id=1"
mta-sts.sts.test. A 127.0.0.1
plain.test. MX 10 mx.plain.test
mx.plain.test. A 9.9.9.9
ruled.test. MX 10 mx.plain.test
`)
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	dns.Validate(true)
	file := settingsFile(t, small+"[dns]\ntrust_ad = true\nservers = ['"+dns.Addr()+"']\n[[tls_policy]]\ndomain = 'ruled.test'\nlevel = 'secure'\n")
	for domain, want := range map[string][]string{
		"dane.test":  {"Domain:     dane.test", "TLS:        level dane: TLSA records count", "MTA-STS: none", "Host:       mx.dane.test:25: dane (a certificate that the TLSA records of mx.dane.test name (DANE))"},
		"sts.test":   {"MTA-STS: announced, but the MTA-STS policy can't be fetched from mta-sts.sts.test", "not a public one"},
		"plain.test": {"MTA-STS: none", "Host:       mx.plain.test:25: dane (TLS if it is offered)"},
		"ruled.test": {"level secure: the settings say so", "a good certificate for the right name (secure)"},
		"none.test":  {"But now:"},
	} {
		got := good(t, "", "tls", "policy", domain, "-c", file)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", domain, w, got)
			}
		}
	}
}

// TestTLSReport: what was counted, without a server.
func TestTLSReport(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	if got := good(t, "", "tls", "report", "-c", file); !strings.HasPrefix(got, "No connection") {
		t.Error(got)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(filepath.Join(cfg.DataDir, "facteur.db"), directory.Migrations(), tlsreport.Tables())
	if err != nil {
		t.Fatal(err)
	}
	s := tlsreport.New(d, event.Discard)
	s.Note(tlspolicy.Result{Domain: "a.test", Policy: tlspolicy.PolicyNone})
	s.Note(tlspolicy.Result{Domain: "a.test", Policy: tlspolicy.PolicyNone, Type: tlspolicy.StartTLSMissing, Host: "mx.a.test", Remote: netip.MustParseAddr("192.0.2.1"), Reason: "peer does not offer STARTTLS"})
	if err := s.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Close()
	got := good(t, "", "tls", "report", time.Now().UTC().Format(time.DateOnly), "-c", file)
	for _, w := range []string{"a.test  no-policy-found  1     1", "starttls-not-supported at mx.a.test[192.0.2.1]: peer does not offer STARTTLS"} {
		if !strings.Contains(got, w) {
			t.Errorf("no %q in\n%s", w, got)
		}
	}
	var report []tlsreport.Policy
	if err := json.Unmarshal([]byte(good(t, "", "tls", "report", "--json", "-c", file)), &report); err != nil || len(report) != 1 || report[0].Details[0].Sessions != 1 {
		t.Errorf("%v %+v", err, report)
	}
	if got := good(t, "", "tls", "report", "2020-01-01", "-c", file); !strings.Contains(got, "2020-01-01") {
		t.Error(got)
	}
}
