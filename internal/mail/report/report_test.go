package report

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(t testing.TB, data []byte) *Found {
	t.Helper()
	f, err := Read(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The reports as the large providers send them: no namespace, one of drafts, pct and
// missing fields (row 226).
func TestReadAggregateOfProviders(t *testing.T) {
	t.Run("row 226: Google", func(t *testing.T) {
		a := read(t, sample(t, "google.xml")).Aggregates[0]
		if a.Reporter.Org != "google.com" || a.Reporter.ID != "12345678901234567890" || a.Reporter.Begin != time.Unix(1795219200, 0).UTC() {
			t.Errorf("%+v", a.Reporter)
		}
		if a.Published != (Published{Domain: "example.org", P: "none", SP: "none", NP: "none", ADKIM: "r", ASPF: "r", Pct: "100"}) {
			t.Errorf("%+v", a.Published)
		}
		want := Record{Source: netip.MustParseAddr("2001:db8::25"), Count: 3, Disposition: "none", DKIM: "pass", SPF: "fail",
			Reasons: []Reason{{"local_policy", "arc=pass"}}, HeaderFrom: "example.org",
			Signatures: []Signature{{Domain: "example.org", Selector: "s1", Result: "pass"}}, SPFChecks: []SPFCheck{{Domain: "list.example", Result: "softfail"}}}
		if !reflect.DeepEqual(a.Records[1], want) {
			t.Errorf("%+v", a.Records[1])
		}
		if all, passed := a.Messages(); all != 1207 || passed != 3 || len(a.Problems) > 0 {
			t.Errorf("%d, %d, %q", all, passed, a.Problems)
		}
	})
	t.Run("row 226: Microsoft", func(t *testing.T) {
		a := read(t, sample(t, "microsoft.xml")).Aggregates[0]
		r := a.Records[0]
		if a.Reporter.Org != "Enterprise Outlook" || r.EnvelopeTo != "contoso.example" || r.EnvelopeFrom != "spam.example" || r.Disposition != "reject" || r.Count != 2 {
			t.Errorf("%+v", a)
		}
	})
	t.Run("row 226: odd ones", func(t *testing.T) {
		a := read(t, sample(t, "odd.xml")).Aggregates[0]
		r := a.Records[0]
		if a.Reporter.Org != "Café & b & Co" || a.Published.Domain != "example.org" {
			t.Errorf("%+v", a)
		}
		if r.Source != netip.MustParseAddr("203.0.113.5") || r.Count != 17 || !r.Passed() || r.HeaderFrom != "example.org" || r.Disposition != "none" {
			t.Errorf("%+v", r)
		}
		if text := strings.Join(a.Problems, "; "); len(a.Problems) != 4 || !strings.Contains(text, `"-1"`) || !strings.Contains(text, `"soon"`) {
			t.Errorf("%q", a.Problems)
		}
	})
}

// whole has a value for all that can be written.
func whole() *Aggregate {
	return &Aggregate{
		Version: "1.0",
		Reporter: Reporter{Org: "Mail <of> Example & Co", Email: "dmarc@example.net", Contact: "https://example.net/", ID: "20261121.example.org@mail.example.net",
			Begin: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), Errors: []string{"rua: no such scheme"}, Generator: "facteur"},
		Published: Published{Domain: "example.org", Discovery: "treewalk", P: "reject", SP: "quarantine", NP: "reject", FO: "1", ADKIM: "s", ASPF: "r", Testing: "n"},
		Records: []Record{{Source: netip.MustParseAddr("192.0.2.1"), Count: 7, Disposition: "none", DKIM: "fail", SPF: "fail",
			Reasons:    []Reason{{"trusted_forwarder", "ARC of list.example"}, {Type: "other"}},
			HeaderFrom: "www.example.org", EnvelopeFrom: "list.example", EnvelopeTo: "example.net",
			Signatures: []Signature{{"example.org", "s1", "fail", "the body was changed"}, {Domain: "list.example", Selector: "x", Result: "pass"}},
			SPFChecks:  []SPFCheck{{"list.example", "mfrom", "pass", ""}}},
			{Source: netip.MustParseAddr("2001:db8::1"), Count: 1, Disposition: "pass", DKIM: "pass", SPF: "fail", HeaderFrom: "example.org"}},
	}
}

func TestXMLIsReadBack(t *testing.T) {
	a := whole()
	got := read(t, a.XML()).Aggregates[0]
	if !reflect.DeepEqual(got, a) {
		t.Errorf("got  %+v\nwant %+v\n%s", got, a, a.XML())
	}
	// The elements of RFC 9990 §2.1, in the order of its tables.
	at := 0
	for _, want := range []string{`<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">`, "<version>1.0<", "<report_metadata>", "<org_name>", "<email>", "<report_id>", "<date_range>",
		"<begin>1795219200<", "<end>1795305600<", "<policy_published>", "<domain>", "<discovery_method>", "<record>", "<row>", "<source_ip>", "<count>7<", "<policy_evaluated>",
		"<disposition>", "<dkim>fail<", "<spf>fail<", "<reason>", "<identifiers>", "<header_from>", "<auth_results>", "<dkim>", "<selector>", "<spf>"} {
		i := strings.Index(string(a.XML()[at:]), want)
		if i < 0 {
			t.Fatalf("%s is missing after byte %d of\n%s", want, at, a.XML())
		}
		at += i
	}
	if strings.Contains(string(a.XML()), "<pct>") {
		t.Error("pct is of RFC 7489")
	}
}

func TestReadTLS(t *testing.T) {
	f := read(t, sample(t, "tls.json"))
	r := f.TLS[0]
	if all, failed := r.Sessions(); all != 123 || failed != 3 || r.Policies[0].Policy.MX[0] != "mx.example.org" || r.Policies[0].Failures[0].Sessions != 3 {
		t.Errorf("%+v", r)
	}
	out, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if again := read(t, out).TLS[0]; !reflect.DeepEqual(again, r) {
		t.Errorf("got  %+v\nwant %+v", again, r)
	}
	odd := `{"organization-name":"o","report-id":"1","policies":[{"policy":{"policy-type":"STS","policy-string":"one","policy-domain":"A.test","mx-host":"*.a.test"},` +
		`"summary":{"total-successful-session-count":"5","total-failure-session-count":null},"failure-details":[{"result-type":"x\u001b[2J","failed-session-count":1.0}]}]}`
	r = read(t, []byte(odd)).TLS[0]
	p := r.Policies[0]
	if p.Summary.Success != 5 || p.Policy.MX[0] != "*.a.test" || p.Policy.Domain != "a.test" || p.Failures[0].Result != "x?[2j" {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{`{}`, `{"organization-name":"o","policies":[]}`, `{"policies":[{"summary":{"total-successful-session-count":-1}}],"report-id":"1"}`, `{"policies":`} {
		if f, err := Read([]byte(bad), Limits{}); err == nil {
			t.Errorf("%s: read as %+v", bad, f)
		}
	}
}

// RFC 5965, appendix B, as a provider would send it, and the letters of Microsoft's JMRP.
func TestReadComplaints(t *testing.T) {
	t.Run("row 230: ARF", func(t *testing.T) {
		f := read(t, sample(t, "arf.eml")).Feedback[0]
		if !f.IsComplaint() || f.Type != "abuse" || f.Source != netip.MustParseAddr("192.0.2.42") || f.Incidents != 2 || f.Recipients[0] != "user@provider.example" ||
			f.MailFrom != "somespammer@example.net" || f.Reporter != "mail.provider.example" || f.MessageID != "<8787KJKJ3K4J3K4J3K4J3.mail@example.net>" ||
			!f.Arrived.Equal(time.Date(2026, 11, 19, 14, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v", f)
		}
	})
	t.Run("row 230: complaint about message from 192.0.2.42", func(t *testing.T) {
		f := read(t, sample(t, "jmrp.eml")).Feedback[0]
		if f.Form != "letter" || f.Source != netip.MustParseAddr("192.0.2.42") || f.MessageID != "<abc.1@mail.example.org>" || !reflect.DeepEqual(f.Recipients, []string{"somebody@hotmail.com"}) {
			t.Errorf("%+v", f)
		}
	})
	t.Run("a failure report is no complaint", func(t *testing.T) {
		f, err := ReadFeedback([]byte("Feedback-Type: auth-failure\nAuth-Failure: dmarc\n"))
		if err != nil || f.IsComplaint() {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data)
	z.Close()
	return b.Bytes()
}

func zipped(files ...[]byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, data := range files {
		w, _ := z.Create(fmt.Sprintf("dir/%d.xml", i))
		w.Write(data)
	}
	z.Close()
	return b.Bytes()
}

// attached is a letter with something under a type and name of the sender's choice.
func attached(typ, name string, data []byte) []byte {
	return []byte("From: a@b.test\r\nSubject: Report Domain: example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" +
		"--x\r\nContent-Type: text/plain\r\n\r\n<hello>, this is a report\r\n--x\r\nContent-Type: " + typ + "; name=" + name +
		"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(data) + "\r\n--x--\r\n")
}

func TestContainers(t *testing.T) {
	xml, tls := sample(t, "google.xml"), sample(t, "tls.json")
	single := append([]byte("From: a@b.test\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"), base64.StdEncoding.EncodeToString(zipped(xml))...)
	for name, data := range map[string][]byte{
		"gzip":                     gzipped(xml),
		"zip":                      zipped(xml),
		"gzip in zip":              zipped(gzipped(xml)),
		"byte order mark":          append([]byte("\xef\xbb\xbf\r\n"), xml...),
		"letter that is a zip":     single,
		"attached zip":             attached("application/zip", "x.zip", zipped(xml)),
		"gzip called zip":          attached("application/zip", "x.zip", gzipped(xml)),
		"zip called text":          attached("text/plain", "x.txt", zipped(xml)),
		"plain, called image":      attached("image/png", "x.png", xml),
		"text/xml":                 attached("text/xml", "x.xml", xml),
		"gzip with something more": append(gzipped(xml), "garbage"...),
	} {
		if f, err := Read(data, Limits{}); err != nil || len(f.Aggregates) != 1 || len(f.Aggregates[0].Records) != 2 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	if f := read(t, attached("application/tlsrpt+gzip", "x.json.gz", gzipped(tls))); len(f.TLS) != 1 {
		t.Errorf("%+v", f)
	}
	if f := read(t, zipped(xml, []byte("<feedback>"), tls)); len(f.Aggregates) != 1 || len(f.TLS) != 1 || len(f.Problems) != 1 {
		t.Errorf("%+v", f)
	}
	for name, data := range map[string][]byte{"nothing": nil, "prose": []byte("hello"), "a letter": []byte("From: a@b.test\r\n\r\n<hello>\r\n"), "a picture": attached("image/png", "x.png", []byte("\x89PNG"))} {
		if f, err := Read(data, Limits{}); !errors.Is(err, ErrNoReport) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	if _, err := Read(attached("application/gzip", "x", gzipped(xml)[:100]), Limits{}); err == nil || errors.Is(err, ErrNoReport) {
		t.Errorf("a gzip that is cut: %v", err)
	}
}

// What is made to hurt whoever opens it (RFC 9990 §7.1).
func TestBombs(t *testing.T) {
	zeros := make([]byte, 40<<20)
	many := make([][]byte, 200)
	for i := range many {
		many[i] = []byte("x")
	}
	nest := sample(t, "google.xml")
	for range 6 {
		nest = gzipped(nest)
	}
	deep := "<feedback>" + strings.Repeat("<a>", 100_000)
	laughs := `<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><feedback><report_metadata><org_name>&b;</org_name></report_metadata></feedback>`
	records := "<feedback><policy_published><domain>a.test</domain></policy_published>" + strings.Repeat("<record/>", 100_000) + "</feedback>"
	half := zipped(zeros[:20<<20], zeros[:20<<20])
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"gzip":            {gzipped(zeros), ErrTooLarge},
		"zip":             {half, ErrTooLarge},
		"attached":        {attached("application/gzip", "x", gzipped(zeros)), ErrTooLarge},
		"ratio":           {gzipped(zeros[:15<<20]), ErrTooLarge},
		"entries":         {zipped(many...), ErrTooMany},
		"nesting":         {nest, ErrTooDeep},
		"elements":        {[]byte(deep), ErrTooDeep},
		"billion laughs":  {[]byte(laughs), ErrEntities},
		"attributes":      {[]byte("<feedback " + strings.Repeat(`a="" `, 100_000) + "/>"), ErrTooLarge},
		"names alone":     {[]byte("<feedback " + strings.Repeat("a ", 100_000) + "/>"), ErrTooLarge},
		"in Latin 1":      {[]byte(`<?xml version="1.0" encoding="iso-8859-1"?><feedback ` + strings.Repeat("a ", 100_000) + "/>"), ErrTooLarge},
		"records":         {[]byte(records), ErrTooMany},
		"objects of JSON": {[]byte(`{"policies":[` + strings.Repeat("{},", 200_000) + `{}]}`), ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := Read(c.data, Limits{}); !errors.Is(err, c.want) {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"google.xml", "microsoft.xml", "odd.xml", "tls.json", "arf.eml", "jmrp.eml"} {
		data := sample(f, name)
		f.Add(data)
		f.Add(gzipped(data))
		f.Add(zipped(data))
		f.Add(attached("application/gzip", "x", gzipped(data)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := Read(data, Limits{Bytes: 1 << 20, Records: 1000})
		if (err == nil) == (found == nil) {
			t.Fatal("neither an error nor reports")
		}
		if err != nil {
			return
		}
		for _, a := range found.Aggregates {
			for _, s := range []string{a.Reporter.Org, a.Reporter.ID, a.Published.Domain} {
				if len(s) > textMax || s != text(s, textMax) {
					t.Fatalf("%q is not clean", s)
				}
			}
			again, err := ReadAggregate(a.XML(), Limits{})
			if err != nil {
				t.Fatalf("what was written can't be read: %v\n%s", err, a.XML())
			}
			if len(again.Records) != len(a.Records) || again.Published.Domain != a.Published.Domain || again.Reporter.ID != a.Reporter.ID {
				t.Fatalf("%+v\n%+v", again, a)
			}
		}
		for _, r := range found.TLS {
			if all, failed := r.Sessions(); all < failed {
				t.Fatalf("%d of %d failed", failed, all)
			}
		}
	})
}

func TestDoubling(t *testing.T) {
	record := "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row><identifiers><header_from>a.test</header_from></identifiers></record>"
	for name, make := range map[string]func(n int) []byte{
		"records": func(n int) []byte {
			return []byte("<feedback><policy_published><domain>a.test</domain></policy_published>" + strings.Repeat(record, n) + "</feedback>")
		},
		"a long value": func(n int) []byte { return []byte("<feedback><version>" + strings.Repeat("x", 50*n)) },
		"attributes":   func(n int) []byte { return []byte("<feedback " + strings.Repeat("a='1' ", 10*n) + ">") },
		"a directive":  func(n int) []byte { return []byte("<!DOCTYPE x [" + strings.Repeat("<!x '>'>", 10*n) + "]>") },
		"comments":     func(n int) []byte { return []byte("<feedback>" + strings.Repeat("<!-- - -->", 10*n)) },
		"bad bytes":    func(n int) []byte { return []byte("<feedback><version>" + strings.Repeat("\xff<", 10*n)) },
		"failures": func(n int) []byte {
			return []byte(`{"report-id":"1","policies":[{"failure-details":[` + strings.Repeat(`{"result-type":"x"},`, n) + "{}]}]}")
		},
		"parts": func(n int) []byte {
			return []byte("Content-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\n\n<a>\n", n))
		},
		"feedback": func(n int) []byte {
			return []byte("Feedback-Type: abuse\n" + strings.Repeat("Original-Rcpt-To: <a@b>\n", n))
		},
		"nested objects": func(n int) []byte { return []byte(strings.Repeat(`{"policies":[`, n)) },
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Check(t, name, 5000, func(n int) func() {
				data := make(n)
				return func() {
					if name == "feedback" {
						ReadFeedback(data)
						return
					}
					Read(data, Limits{Bytes: 64 << 20})
				}
			})
		})
	}
}

// What is read may be anything; what comes of it is fit to be shown.
func fuzzReader[T any](f *testing.F, read func([]byte) (*T, error), shown func(*T) []string, seeds ...[]byte) {
	for _, data := range seeds {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := read(data)
		if (err == nil) == (r == nil) {
			t.Fatal("neither an error nor a report, or both")
		}
		if err != nil {
			return
		}
		for _, s := range shown(r) {
			if len(s) > textMax || s != text(s, textMax) {
				t.Fatalf("%q is not clean", s)
			}
		}
	})
}

func FuzzReadAggregate(f *testing.F) {
	fuzzReader(f, func(b []byte) (*Aggregate, error) { return ReadAggregate(b, Limits{Records: 1000}) }, func(a *Aggregate) []string {
		out := []string{a.Version, a.Reporter.Org, a.Reporter.ID, a.Reporter.Email, a.Published.Domain, a.Published.P}
		for _, r := range a.Records {
			out = append(out, r.HeaderFrom, r.EnvelopeFrom, r.Disposition, r.DKIM, r.SPF)
		}
		return out
	}, sample(f, "google.xml"), sample(f, "microsoft.xml"), sample(f, "odd.xml"), []byte(`<?xml version="1.0" encoding="utf-16"?><feedback/>`))
}

func FuzzReadTLS(f *testing.F) {
	fuzzReader(f, func(b []byte) (*TLS, error) { return ReadTLS(b, Limits{Records: 1000}) }, func(r *TLS) []string {
		out := []string{r.Organization, r.ID, r.Contact}
		for _, p := range r.Policies {
			out = append(out, p.Policy.Domain, p.Policy.Type)
		}
		return out
	}, sample(f, "tls.json"), []byte(`{"report-id":1}`))
}

func FuzzReadFeedback(f *testing.F) {
	fuzzReader(f, ReadFeedback, func(r *Feedback) []string {
		return append(append(r.Domains, r.Recipients...), r.Type, r.Agent, r.MailFrom, r.EnvelopeID, r.Reporter)
	}, []byte("Feedback-Type: abuse\r\nSource-IP: [192.0.2.42]\r\nOriginal-Rcpt-To: <a@b.test>\r\nIncidents: 2\r\n"), []byte("Feedback-Type: \x1b[31m\n"))
}
