package report

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	mail "facteur/internal/mail/report"
	"facteur/internal/net/post"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/report"
	"facteur/internal/test/sim"
)

// collector is a web server that takes reports.
type collector struct {
	url    string
	roots  *x509.CertPool
	answer int
	got    [][]byte
	types  []string
}

func startCollector(t *testing.T) *collector {
	c := &collector{answer: 201}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.got, c.types = append(c.got, body), append(c.types, r.Header.Get("Content-Type"))
		w.WriteHeader(c.answer)
	}))
	t.Cleanup(s.Close)
	c.url, c.roots = "https://example.com:"+s.URL[strings.LastIndexByte(s.URL, ':')+1:]+"/v1", x509.NewCertPool()
	c.roots.AddCert(s.Certificate())
	return c
}

// tlsDusk is an Office that counted connections to sender.example, which asks for reports.
func tlsDusk(t *testing.T, c *collector, rua string) *dusk {
	t.Helper()
	zone := "example.com. A 127.0.0.1\n_smtp._tls.sender.example. TXT \"v=TLSRPTv1; rua=" + rua + "\"\n"
	n := newDusk(t, t.TempDir(), zone)
	n.Web = post.New(post.Config{Resolver: sim.Zone(t, zone), Roots: c.roots, Permit: func(netip.Addr) bool { return true }})
	session := tlspolicy.Result{Domain: "sender.example", Policy: tlspolicy.PolicySTS, Lines: []string{"version: STSv1", "mode: enforce", "mx: mx.sender.example", "max_age: 86400"},
		MX: []string{"mx.sender.example"}, Local: netip.MustParseAddr("192.0.2.99"), Remote: netip.MustParseAddr("192.0.2.1"), Host: "mx.sender.example"}
	for range 5 {
		n.House.TLS.Note(session)
	}
	session.Type, session.Reason = tlspolicy.CertificateExpired, "x509: it expired yesterday"
	for range 2 {
		n.House.TLS.Note(session)
	}
	n.tomorrow()
	return n
}

// What was counted of connections leaves as RFC 8460 has it, by mail and by HTTPS.
func TestTLSReport(t *testing.T) {
	c := startCollector(t)
	n := tlsDusk(t, c, "mailto:tls@sender.example,"+c.url)
	out, err := n.Send(t.Context(), false)
	if err != nil || len(out) != 2 || out[0].Stage != report.Sent || out[1].Stage != report.Sent {
		t.Fatalf("%+v, %v", out, err)
	}
	letters := n.queued()
	if len(letters) != 1 || len(c.got) != 1 || c.types[0] != "application/tlsrpt+gzip" {
		t.Fatalf("%d letters, %d posts of %q", len(letters), len(c.got), c.types)
	}
	day := time.Now().UTC().Format("20060102")
	flat := strings.ReplaceAll(strings.ReplaceAll(letters[0].text, "\r\n ", " "), "\r\n\t", " ")
	for _, want := range []string{
		"TLS-Report-Domain: sender.example\r\n", "TLS-Report-Submitter: mail.example.org\r\n", "TLS-Required: No\r\n", "Auto-Submitted: auto-generated\r\n",
		"Subject: Report Domain: sender.example Submitter: mail.example.org Report-ID: <" + day + ".sender.example@mail.example.org>\r\n",
		`Content-Type: multipart/report; report-type=tlsrpt; boundary="`, "Content-Type: application/tlsrpt+gzip; name=mail.example.org!sender.example!", ".json.gz\r\n",
		"Sessions: 7, of which 2 failed", "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("no %q in\n%s", want, letters[0].text)
		}
	}
	if it := letters[0].item; !it.TLSOptional || !it.Sender.IsNull() {
		t.Errorf("%+v", it)
	}
	z, err := gzip.NewReader(bytes.NewReader(c.got[0]))
	check(t, err)
	text, err := io.ReadAll(z)
	check(t, err)
	var got, want any
	check(t, json.Unmarshal(text, &got))
	begin := time.Now().UTC().Format("2006-01-02")
	check(t, json.Unmarshal([]byte(fmt.Sprintf(`{"organization-name": "mail.example.org", "date-range": {"start-datetime": "%[1]sT00:00:00Z", "end-datetime": "%[1]sT23:59:59Z"},
		"contact-info": "postmaster@example.org", "report-id": "%[2]s.sender.example@mail.example.org", "policies": [{
		"policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: enforce", "mx: mx.sender.example", "max_age: 86400"], "policy-domain": "sender.example", "mx-host": ["mx.sender.example"]},
		"summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
		"failure-details": [{"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.99", "receiving-mx-hostname": "mx.sender.example", "receiving-ip": "192.0.2.1",
			"failed-session-count": 2, "failure-reason-code": "x509: it expired yesterday"}]}]}`, begin, day)), &want))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	byMail, err := mail.Read([]byte(letters[0].text), mail.Limits{})
	byWeb, err2 := mail.Read(c.got[0], mail.Limits{})
	if err != nil || err2 != nil || len(byMail.TLS) != 1 || !reflect.DeepEqual(byMail.TLS, byWeb.TLS) {
		t.Errorf("it is not read back: %v, %v", err, err2)
	}
	if out, err := n.Send(t.Context(), false); err != nil || len(out) != 0 || len(c.got) != 1 {
		t.Errorf("it is sent again: %+v, %v", out, err)
	}
}

// What a web server answers decides whether it is tried again.
func TestAnswersOfWebServers(t *testing.T) {
	for answer, want := range map[int]report.Stage{202: report.Sent, 302: report.LeftOut, 404: report.LeftOut, 429: report.Later, 503: report.Later} {
		c := startCollector(t)
		c.answer = answer
		n := tlsDusk(t, c, c.url)
		out, err := n.Send(t.Context(), false)
		if err != nil || len(out) != 1 || out[0].Stage != want {
			t.Errorf("%d: %+v, %v", answer, out, err)
		}
		c.answer = 200
		if _, err := n.Send(t.Context(), false); err != nil || (len(c.got) == 2) != (want == report.Later) {
			t.Errorf("%d: posted %d times, %v", answer, len(c.got), err)
		}
		if len(c.got) == 2 && !bytes.Equal(c.got[0], c.got[1]) {
			t.Error("the second time it is another report")
		}
	}
}

// AUT-018 who gets reports on TLS.
func TestWhoGetsTLSReports(t *testing.T) {
	for _, c := range []struct {
		zone string
		want []string
	}{
		{`_smtp._tls.sender.example. TXT "v=TLSRPTv1; rua=mailto:a@sender.example"`, []string{"mailto:a@sender.example"}},
		{`_smtp._tls.sender.example. TXT "v=TLSRPTv1;rua=mailto:a@sender.example, https://web.sender.example/x?y#z ;"`, []string{"mailto:a@sender.example", "https://web.sender.example/x?y"}},
		{`_smtp._tls.sender.example. TXT "v=TLSRPTv1; rua=http://web.sender.example,ftp://x,https://user:secret@web.sender.example,https:///x"`, nil},
		{`_smtp._tls.sender.example. TXT "v=TLSRPTv1; rua=mailto:a@s.example,mailto:a@s.example,mailto:b@s.example,mailto:c@s.example,mailto:d@s.example,mailto:e@s.example,mailto:f@s.example"`,
			[]string{"mailto:a@s.example", "mailto:b@s.example", "mailto:c@s.example", "mailto:d@s.example", "mailto:e@s.example"}},
		{"_smtp._tls.sender.example. TXT \"v=TLSRPTv1; rua=mailto:a@s.example\"\n_smtp._tls.sender.example. TXT \"v=TLSRPTv1; rua=mailto:b@s.example\"", nil},
		{`_smtp._tls.sender.example. TXT "v=TLSRPTv2; rua=mailto:a@s.example"`, nil},
		{`!servfail _smtp._tls.sender.example`, []string{"later"}},
	} {
		list, later := New(House{TXT: sim.Zone(t, c.zone).LookupTXT}).tlsWishes(t.Context(), "sender.example")
		var got []string
		for _, d := range list {
			got = append(got, d.uri)
		}
		if later {
			got = append(got, "later")
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s\ngot  %q\nwant %q", c.zone, got, c.want)
		}
	}
}

// LOOP-013 a report on TLS makes us look at the policy of its receiver. If that fails, this
// alone is no reason for the next report.
func TestTLSReportsCauseNone(t *testing.T) {
	fetch := tlspolicy.Result{Domain: "sender.example", Policy: tlspolicy.PolicySTS, Type: tlspolicy.STSFetchError, Reason: "no answer"}
	day := time.Now().UTC().Truncate(24 * time.Hour)
	uri := "mailto:tls@sender.example"
	yesterday := report.Sending{Kind: report.TLS, Day: day.AddDate(0, 0, -1), Domain: "sender.example", URI: uri}
	for _, c := range []struct {
		name   string
		before bool // a report went there the day before
		more   tlspolicy.ResultType
		want   int
	}{
		{"LOOP-013 TLSRPT about TLSRPT", true, tlspolicy.STSFetchError, 0},
		{"LOOP-013 nothing went there before", false, tlspolicy.STSFetchError, 1},
		{"LOOP-013 other mail went there", true, tlspolicy.Success, 1},
		{"LOOP-013 other mail failed", true, tlspolicy.CertificateExpired, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newDusk(t, t.TempDir(), "_smtp._tls.sender.example. TXT \"v=TLSRPTv1; rua="+uri+"\"")
			if c.before {
				check(t, n.Store.Mark(t.Context(), yesterday, report.Progress{Stage: report.Sent}))
			}
			n.House.TLS.Note(fetch)
			other := fetch
			other.Type = c.more
			n.House.TLS.Note(other)
			n.tomorrow()
			if _, err := n.Send(t.Context(), false); err != nil || len(n.queued()) != c.want {
				t.Errorf("%d letters, %v", len(n.queued()), err)
			}
		})
	}
}
