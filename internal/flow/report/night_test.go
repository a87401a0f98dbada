package report

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/route"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	mail "facteur/internal/mail/report"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/dkimkey"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
	"facteur/internal/store/tlsreport"
	"facteur/internal/test/sim"
)

// signingKey is the one that everybody in these tests signs with; keyRecord its record.
var signingKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

var keyRecord = "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(signingKey.Public().(ed25519.PublicKey))

// dusk is an Office with real stores, a queue, and the world around it.
type dusk struct {
	*Office
	t        testing.TB
	zone     *sim.DNS
	filter   *filter.Filter
	settings Settings
	files    *db.DB
	noted    []event.Event
}

// newDusk opens an Office in a directory; the zone is its world.
func newDusk(t testing.TB, dir, zone string) *dusk {
	t.Helper()
	n := &dusk{t: t, settings: Settings{Aggregate: true, TLS: true, From: parse(t, "postmaster@example.org"), MaxSize: 1 << 20, PerHost: 10, KeepDays: 30,
		Takes: func(a address.Address) bool { return a.Domain == "example.org" && a.Local == "dmarc-reports" }}}
	var err error
	n.zone, err = sim.NewDNS(zone + "\ns1._domainkey.example.org. TXT \"" + keyRecord + "\"\n_dmarc.example.org. TXT \"v=DMARC1; p=reject; rua=mailto:dmarc-reports@example.org\"\n")
	check(t, err)
	resolver, err := n.zone.Resolver()
	check(t, err)
	n.filter = filter.New(&filter.Rules{Hostname: "mail.example.org", SPF: filter.SPFRules{Enabled: true}, DKIM: true, DMARC: filter.DMARCRules{Policy: filter.Honour}}, resolver, nil)
	n.files, err = db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations(), tlsreport.Tables(), report.Tables())
	check(t, err)
	t.Cleanup(func() { n.files.Close() })
	q, err := queue.Open(dir)
	check(t, err)
	t.Cleanup(func() { q.Close() })
	accounts := directory.New(n.files, []string{"example.org"}, dir, 0)
	keys := dkimkey.New(vfs.NewMem(), "/dkim")
	_, err = keys.Import("example.org", "s1", signingKey, dkimkey.Active, time.Now())
	check(t, err)
	signer := sign.New(func() *sign.Rules { return &sign.Rules{Enabled: true} }, keys, event.Discard)
	n.Office = New(House{Hostname: "mail.example.org", Store: report.New(n.files, event.Discard), TLS: tlsreport.New(n.files, event.Discard), Queue: q,
		Router: route.New(accounts, "mail.example.org", func() string { return "example.org" }), TXT: resolver.LookupTXT,
		Draft: sign.NewOutbox(q, signer).Draft, Settings: func() Settings { return n.settings }, Events: n})
	return n
}

// Emit implements event.Sink: it is what the Office says.
func (n *dusk) Emit(e event.Event) { n.noted = append(n.noted, e) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	check(t, err)
	return a
}

// come is a letter of a stranger, as it comes through the door.
func (n *dusk) come(client, sender, from string, signed bool) filter.Verdict {
	n.t.Helper()
	header, body := "From: "+from+"\r\nTo: alice@example.org\r\n", "\r\nHello.\r\n"
	if signed {
		_, domain, _ := strings.Cut(from, "@")
		header = string(signature(n.t, domain, header+body)) + header
	}
	_, v := n.judge(client, sender, header+body)
	return v
}

// judge judges a letter that comes for alice, and tells the Office.
func (n *dusk) judge(client, sender, text string) (*filter.Evidence, filter.Verdict) {
	n.t.Helper()
	from, _ := address.Parse(sender)
	c := n.filter.Open(context.Background(), nil, filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr(client), Helo: "mx.sender.example"}, Sender: from})
	end := message.HeaderEnd([]byte(text))
	if w := c.Read(message.Header(text[:end]), false); w != nil {
		io.WriteString(w, text[end:]) //nolint:errcheck // it hashes
	}
	v := c.Judge(n.t.Context())
	n.Office.Emit(filter.Judged{Recipients: []address.Address{parse(n.t, "alice@example.org")}, Evidence: c.Evidence(), Verdict: v})
	return c.Evidence(), v
}

func signature(t testing.TB, domain, text string) []byte {
	t.Helper()
	form, body, end := dkim.Form{Header: dkim.Relaxed, Body: dkim.Relaxed}, dkim.NewBody(), message.HeaderEnd([]byte(text))
	digest := form.Wants(body)
	body.Write([]byte(text[end:]))
	field, err := dkim.Sign(message.Header(text[:end]), body.Sum(digest), dkim.Key{Domain: domain, Selector: "s1", Private: signingKey}, form, time.Now())
	check(t, err)
	return field
}

// left is a letter in the queue.
type left struct {
	item *queue.Item
	text string
}

// queued are all letters in the queue.
func (n *dusk) queued() (out []left) {
	n.t.Helper()
	check(n.t, n.Queue.List(context.Background(), func(it *queue.Item) bool {
		_, body, err := n.Queue.Show(context.Background(), it.ID)
		check(n.t, err)
		r, err := body.Open()
		check(n.t, err)
		defer r.Close()
		text, err := io.ReadAll(r)
		check(n.t, err)
		out = append(out, left{it, string(text)})
		return true
	}))
	return out
}

// stages are what became of the reports, "URI: stage (note)".
func (n *dusk) stages(kind report.Kind) map[string]string {
	n.t.Helper()
	lines, err := n.Store.Sendings(context.Background())
	check(n.t, err)
	out := make(map[string]string)
	for _, l := range lines {
		if l.Kind == kind {
			out[l.URI] = string(l.Stage) + ": " + l.Note
		}
	}
	return out
}

// tomorrow lets the Office work a day later than its stores count.
func (n *dusk) tomorrow() { n.now = func() time.Time { return time.Now().AddDate(0, 0, 1) } }

// sender is a domain that letters come from, and where its reports go.
func sender(rua string) string {
	return fmt.Sprintf(`
		_dmarc.sender.example.         TXT "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; t=y; fo=1; rua=%s; ruf=mailto:ruf@sender.example"
		sender.example.                TXT "v=spf1 ip4:192.0.2.1 -all"
		s1._domainkey.sender.example.  TXT "%s"
		news.sender.example.           TXT "v=spf1 -all"
	`, rua, keyRecord)
}

// Letters arrive, are counted, and in the night one report leaves, to
// whoever asked for it, in the form of RFC 9990, which its receiver believes.
func TestAggregateReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newDusk(t, t.TempDir(), sender("mailto:dmarc@sender.example"))
		day := time.Now().UTC().Truncate(24 * time.Hour)
		for range 3 {
			n.come("192.0.2.1", "bounces@sender.example", "a@sender.example", true)
		}
		n.come("198.51.100.9", "x@elsewhere.example", "ceo@sender.example", false)
		n.come("2001:db8::9", "x@elsewhere.example", "a@news.sender.example", false)
		n.come("192.0.2.1", "", "a@sender.example", true)

		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); n.Run(ctx) }()
		time.Sleep(36 * time.Hour)
		stop()
		<-done

		letters := n.queued()
		if len(letters) != 1 {
			t.Fatalf("%d letters leave, 1 expected: one a day and domain; %v", len(letters), n.stages(report.DMARC))
		}
		it, text := letters[0].item, letters[0].text
		if it.Recipients[0].Address.String() != "dmarc@sender.example" || it.Sender != (address.Address{}) || it.TLSOptional {
			t.Errorf("envelope: %+v", it)
		}
		if !it.Release.After(it.Arrived.Add(aside - time.Second)) {
			t.Errorf("it may leave at once: %v, %v", it.Arrived, it.Release)
		}
		id := day.Format("20060102") + ".sender.example@mail.example.org"
		name := fmt.Sprintf("mail.example.org!sender.example!%d!%d.xml.gz", day.Unix(), day.Unix()+86399)
		flat := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n ", " "), "\r\n\t", " ")
		for _, want := range []string{
			"Subject: Report Domain: sender.example Submitter: mail.example.org Report-ID: <" + id + ">\r\n",
			"From: postmaster@example.org\r\n", "To: dmarc@sender.example\r\n", "Auto-Submitted: auto-generated\r\n",
			"Content-Type: application/gzip", "; filename=" + name + "\r\n", "Messages: 6, of which 4 passed DMARC",
		} {
			if !strings.Contains(flat, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}

		if !regexp.MustCompile(`\r\nMessage-ID: <[a-z0-9]{16}\.20000101\.report@mail\.example\.org>\r\n`).MatchString(text) {
			t.Errorf("the Message-ID is none:\n%s", text)
		}

		found, err := mail.Read([]byte(text), mail.Limits{})
		if err != nil || len(found.Aggregates) != 1 || len(found.Problems) != 0 {
			t.Fatalf("%+v, %v", found, err)
		}
		a := found.Aggregates[0]
		if len(a.Problems) > 0 || a.Reporter.Org != "mail.example.org" || a.Reporter.ID != id || !a.Reporter.Begin.Equal(day) || !a.Reporter.End.Equal(day.Add(24*time.Hour-time.Second)) {
			t.Errorf("%+v", a)
		}
		if want := (mail.Published{Domain: "sender.example", Discovery: "treewalk", P: "reject", SP: "quarantine", NP: "none", FO: "1", ADKIM: "s", ASPF: "r", Testing: "y"}); a.Published != want {
			t.Errorf("got  %+v\nwant %+v", a.Published, want)
		}
		got := make(map[string]string)
		for _, r := range a.Records {
			why := ""
			for _, x := range r.Reasons {
				why += " " + x.Type
			}
			got[r.Source.String()+" <"+r.EnvelopeFrom+">"] = fmt.Sprintf("%d %s dkim=%s spf=%s %s %v %v%s", r.Count, r.Disposition, r.DKIM, r.SPF, r.HeaderFrom, r.Signatures, r.SPFChecks, why)
		}
		signed := "[{sender.example s1 pass }]"
		for row, want := range map[string]string{
			"192.0.2.1 <sender.example>":       "3 pass dkim=pass spf=pass sender.example " + signed + " [{sender.example mfrom pass }]",
			"192.0.2.1 <>":                     "1 pass dkim=pass spf=fail sender.example " + signed + " [{mx.sender.example mfrom none }]",
			"198.51.100.9 <elsewhere.example>": "1 quarantine dkim=fail spf=fail sender.example [] [{elsewhere.example mfrom none }] policy_test_mode",
			"2001:db8::9 <elsewhere.example>":  "1 none dkim=fail spf=fail news.sender.example [] [{elsewhere.example mfrom none }] policy_test_mode",
		} {
			if got[row] != want {
				t.Errorf("%s:\ngot  %s\nwant %s", row, got[row], want)
			}
		}
		if len(got) != 4 {
			t.Errorf("%q", got)
		}

		// The receiver of the report believes it, whatever way it comes.
		e, v := n.judge("203.0.113.77", "", text)
		if v.Disposition != filter.Accept || !e.DMARC.DKIMAligned {
			t.Errorf("the report itself does not pass DMARC: %+v", e.DMARC)
		}
	})
}
