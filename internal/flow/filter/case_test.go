package filter

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/test/sim"
)

// newFilter is a filter with the usual rules, whose world is a zone.
func newFilter(t testing.TB, zone string) *Filter {
	t.Helper()
	return New(usual(), sim.Zone(t, zone), nil)
}

// key is the one that all domains of these tests sign with; published is its record.
var key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func published() string {
	return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// signed puts a signature on top of a letter.
func signed(t testing.TB, domain, letter string) string {
	t.Helper()
	header, text, _ := strings.Cut(letter, "\r\n\r\n")
	form := dkim.Form{Header: dkim.Relaxed, Body: dkim.Relaxed}
	body := dkim.NewBody()
	digest := form.Wants(body)
	body.Write([]byte(text))
	field, err := dkim.Sign(message.Header(header+"\r\n\r\n"), body.Sum(digest), dkim.Key{Domain: domain, Selector: "s1", Private: key}, form, today)
	if err != nil {
		t.Fatal(err)
	}
	return string(field) + letter
}

// judge hands a letter to a filter, and gives what stands above it then.
func judge(t testing.TB, f *Filter, c Client, sender, letter string) (*Evidence, Verdict, string) {
	t.Helper()
	from, _ := address.Parse(sender)
	check := f.Open(t.Context(), nil, Letter{Client: c, Sender: from})
	defer check.Close()
	header, body, _ := strings.Cut(letter, "\r\n\r\n")
	if w := check.Read(message.Header(header+"\r\n\r\n"), false); w != nil {
		w.Write([]byte(body))
	}
	v := check.Judge(t.Context())
	return check.Evidence(), v, unfolded(f.rules.Fields(check.Evidence(), v, "bob@example.net"))
}

func unfolded(fields []byte) string {
	return strings.NewReplacer("\r\n\t", " ", "\r\n", "\n").Replace(string(fields))
}

const letter = "From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Tuesday\r\n\r\nSee you.\r\n"

// TestFields: rows 163 and 171, what stands above a letter, in the forms that filters after
// us know.
func TestFields(t *testing.T) {
	f := newFilter(t, `
		example.org                TXT "v=spf1 ip4:192.0.2.1 -all"
		mx.example.org             TXT "v=spf1 a -all"
		mx.example.org             A   192.0.2.1
		s1._domainkey.example.org  TXT "`+published()+`"
		_dmarc.example.org         TXT "v=DMARC1; p=reject"
	`)
	c := Client{Addr: netip.MustParseAddr("::ffff:192.0.2.1"), Name: "mx.example.org", Helo: "mx.example.org"}
	e, v, fields := judge(t, f, c, "alice@example.org", signed(t, "example.org", letter))
	if v.Disposition != Accept || !e.Authentic() {
		t.Fatalf("%+v", v)
	}
	for _, want := range []string{
		"Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=mx.example.org; envelope-from=alice@example.org; receiver=<UNKNOWN>\n",
		"Authentication-Results: mail.example.org; iprev=pass (mx.example.org) policy.iprev=192.0.2.1; spf=pass smtp.mailfrom=alice@example.org; spf=pass smtp.helo=mx.example.org; dkim=pass (256-bit key) header.d=example.org header.i=@example.org header.s=s1 header.a=ed25519-sha256 header.b=",
		"; dmarc=pass (p=reject dis=none) header.from=example.org\n",
	} {
		if !strings.Contains(fields, want) {
			t.Errorf("%q is missing in\n%s", want, fields)
		}
	}
	told := Judged{Evidence: e, Verdict: v}
	if _, line := told.Line(); !strings.Contains(line, ": example.org pass (p=reject dis=none) spf=pass/example.org dkim=pass/example.org") {
		t.Errorf("the log says %q", line)
	}
	if s := told.Step().Sentence; !strings.Contains(s, "SPF passed for example.org by ip4:192.0.2.1.") || !strings.Contains(s, "DKIM: example.org passed.") || !strings.Contains(s, "DMARC of example.org passed.") {
		t.Errorf("the journey says %q", s)
	}
}

// What a stranger says stays in its place: in fields, in the log, in sentences.
func TestHostileWords(t *testing.T) {
	f := newFilter(t, `evil.example TXT "v=spf1 -all"`)
	c := Client{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "x\r\nX-Injected: yes; spf=pass (\x1b[31m"}
	hostile := "From: a@evil.example\r\nList-Id: x\x00 <a\x1b[2J;\u202e b>\r\nDKIM-Signature: v=1; a=rsa-sha256; d=ev\x01il(.example; s=a; h=from; b=x; bh=x\r\n\r\nx\r\n"
	e, v, fields := judge(t, f, c, `"a b;)\"c"@evil.example`, hostile)
	told := Judged{Evidence: e, Verdict: v}
	_, line := told.Line()
	for name, text := range map[string]string{"fields": fields, "sentence": told.Step().Sentence} {
		if strings.ContainsAny(text, "\x00\x01\x1b\u202e") || strings.Contains(text, "\nX-Injected") {
			t.Errorf("%s: %q", name, text)
		}
	}
	if strings.Contains(line, "\n") {
		t.Errorf("the log: %q", line)
	}
	for f := range message.Header(f.rules.Fields(e, v, "")).Fields() {
		if !f.Is("Received-SPF") && !f.Is("Authentication-Results") {
			t.Errorf("a field of theirs: %q", f.Name)
		}
	}
}

// TestManySignatures: AUT-007, names of strangers do not make a field out of our hands that
// the queue has no place for above a letter, or a line that others refuse.
func TestManySignatures(t *testing.T) {
	t.Run("AUT-007", func(t *testing.T) {
		f := newFilter(t, `*.evil.example TXT "`+published()+`"`)
		var b strings.Builder
		long := strings.Repeat(`"\\`, 160)
		for i := range 70 {
			fmt.Fprintf(&b, "DKIM-Signature: v=1; a=%d%s; d=%s; s=%s; i=%s; b=%d\r\n", i, long, long, long, long, i)
		}
		for i := range 8 {
			fmt.Fprintf(&b, "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=evil.example; s=s; i=%s@evil.example; h=from", strings.Repeat(`"`, 200))
			for n := range 20 {
				fmt.Fprintf(&b, ":%s%d", long, n)
			}
			fmt.Fprintf(&b, "; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=%s%d\r\n", strings.Repeat("A", 85), i)
		}
		_, _, fields := judge(t, f, Client{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "evil.example"}, "x@evil.example", b.String()+"From: x@evil.example\r\n\r\n\r\n")
		if len(fields) > 48<<10 || !strings.Contains(fields, "56 more signatures") {
			t.Errorf("%d bytes", len(fields))
		}
	})
}

// TestBudget: AUT-007, five hundred signatures with names of their own, and SPF records that
// ask for everything. The domain that is forged is asked all the same.
func TestBudget(t *testing.T) {
	t.Run("AUT-007", func(t *testing.T) {
		var zone strings.Builder
		fmt.Fprintln(&zone, `_dmarc.bank.example TXT "v=DMARC1; p=reject"`)
		fmt.Fprintln(&zone, `evil.example TXT "v=spf1 mx:a.evil.example mx:b.evil.example mx:c.evil.example mx:d.evil.example mx:e.evil.example -all"`)
		for _, n := range "abcde" {
			for i := range 10 {
				fmt.Fprintf(&zone, "%c.evil.example MX 10 h%d.%c.evil.example\nh%d.%c.evil.example A 198.51.100.1\n", n, i, n, i, n)
			}
		}
		d, err := sim.NewDNS(zone.String())
		if err != nil {
			t.Fatal(err)
		}
		resolver, err := d.Resolver()
		if err != nil {
			t.Fatal(err)
		}
		f := New(usual(), resolver, nil)
		var b strings.Builder
		for i := range 500 {
			fmt.Fprintf(&b, "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=d%d.evil.example; s=s; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=%s\r\n", i, strings.Repeat("A", 88))
		}
		c := Client{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "evil.example"}
		e, v, _ := judge(t, f, c, "x@evil.example", b.String()+"From: ceo@bank.example\r\n\r\n\r\n")
		if v.Disposition != Reject {
			t.Errorf("%s: %s", v.Disposition, v.Because)
		}
		asked := d.Total()
		if asked > 64 {
			t.Errorf("%d questions", asked)
		}
		if len(e.DKIM) > 64 || d.Asked("s._domainkey.d8.evil.example", "TXT") > 0 {
			t.Errorf("%d results; more than 8 signatures were looked at", len(e.DKIM))
		}
	})
}

// TestSilence: AUT-005 and AUT-024, a DNS that does not answer keeps nobody waiting for
// ever, and condemns nobody.
func TestSilence(t *testing.T) {
	for _, name := range []string{"AUT-005", "AUT-024"} {
		t.Run(name, func(t *testing.T) {
			f := newFilter(t, "!servfail example.org\n!servfail _dmarc.example.org\n!servfail mx.example.org\n!servfail 1.2.0.192.in-addr.arpa")
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // all time is up
			from, _ := address.Parse("alice@example.org")
			c := f.Open(t.Context(), nil, Letter{Client: Client{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "mx.example.org"}, Sender: from})
			c.Read(message.Header("From: alice@example.org\r\n\r\n"), false)
			if v := c.Judge(ctx); v.Disposition != Accept {
				t.Errorf("%s: %s", v.Disposition, v.Because)
			}
			e := c.Evidence()
			if e.SPFMail.Status != "temperror" || e.DMARC.Status != "temperror" || e.IPRev.Status != "temperror" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestWhoIsNotAsked: row 170, hosts that nothing is found out about, and settings that are
// off cost nothing.
func TestWhoIsNotAsked(t *testing.T) {
	f := newFilter(t, "")
	f.rules.Ignored = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	f.rules.IgnoredNames = []string{".relays.example", "one.example"}
	for name, x := range map[string]struct {
		c    Client
		want bool
	}{
		"row 170 IgnoreHosts, a network": {Client{Addr: netip.MustParseAddr("192.0.2.77")}, false},
		"row 170 the same, by IPv6":      {Client{Addr: netip.MustParseAddr("::ffff:192.0.2.77")}, false},
		"row 170 a name below":           {Client{Addr: netip.MustParseAddr("198.51.100.1"), Name: "a.relays.example"}, false},
		"row 170 a name":                 {Client{Addr: netip.MustParseAddr("198.51.100.1"), Name: "one.example"}, false},
		"a name below one":               {Client{Addr: netip.MustParseAddr("198.51.100.1"), Name: "a.one.example"}, true},
		"a stranger":                     {Client{Addr: netip.MustParseAddr("198.51.100.1"), Name: "unknown"}, true},
	} {
		if got := f.Open(t.Context(), nil, Letter{Client: x.c}) != nil; got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	f.rules = &Rules{Hostname: "mail.example.org", DMARC: DMARCRules{Policy: Off}}
	if f.Open(t.Context(), nil, Letter{Client: client}) != nil {
		t.Error("a check of nothing")
	}
	var none *Filter
	if none.Open(t.Context(), nil, Letter{Client: client}) != nil {
		t.Error("a check by nobody")
	}
}

// TestFrontServer: row 170, TrustedAuthservIDs: a server of ours in front of this one saw the
// client, and its word on SPF counts in place of ours, which would be about itself.
func TestFrontServer(t *testing.T) {
	f := newFilter(t, `
		example.org         TXT "v=spf1 ip4:198.51.100.9 -all"
		_dmarc.example.org  TXT "v=DMARC1; p=reject"
	`)
	f.rules.TrustedIDs = []string{"mx1.example.net"}
	from := "Authentication-Results: mx1.example.net; spf=pass smtp.mailfrom=alice@example.org\r\n" + letter
	front := Client{Addr: netip.MustParseAddr("192.0.2.25"), Name: "mx1.example.net", Helo: "mx1.example.net"}
	if e, v, fields := judge(t, f, front, "alice@example.org", from); v.Disposition != Accept || e.Relayed != "mx1.example.net" || !strings.Contains(fields, "spf=pass (as mx1.example.net says) smtp.mailfrom=example.org") {
		t.Errorf("%+v\n%s", v, fields)
	}
	// What it has accepted is not refused: it could only tell the sender, who may be forged.
	forged := "Authentication-Results: mx1.example.net; spf=fail smtp.mailfrom=alice@example.org\r\n" + letter
	for name, text := range map[string]string{"SPF failed there": forged, "not a word on SPF": letter} {
		if e, v, _ := judge(t, f, front, "alice@example.org", text); v.Disposition != Junk || !strings.Contains(v.Because, "our own server mx1.example.net had accepted it") {
			t.Errorf("%s: %+v %+v", name, v, e)
		}
	}
	notice := "Authentication-Results: mx1.example.net; spf=pass smtp.helo=mx.example.org\r\n" + letter
	if e, v, fields := judge(t, f, front, "", notice); v.Disposition != Accept || v.Because != "" || !strings.Contains(fields, "spf=pass (as mx1.example.net says) smtp.helo=mx.example.org") ||
		e.Remarks[0].Sentence != "SPF of the HELO name passed for mx.example.org, says mx1.example.net." {
		t.Errorf("a notice: %+v %+v\n%s", v, e.Remarks, fields)
	}
	for name, liar := range map[string]Client{
		"another host":  {Addr: netip.MustParseAddr("192.0.2.66"), Name: "evil.example", Helo: "mx1.example.net"},
		"without names": {Addr: netip.MustParseAddr("192.0.2.66"), Name: "unknown", Helo: "mx1.example.net"},
	} {
		if _, v, _ := judge(t, f, liar, "alice@example.org", from); v.Disposition != Reject {
			t.Errorf("%s says what it likes: %+v", name, v)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	zone := `
		example.org                TXT "v=spf1 ip4:192.0.2.1 -all"
		s1._domainkey.example.org  TXT "` + published() + `"
		_dmarc.example.org         TXT "v=DMARC1; p=reject"
	`
	long := letter + strings.Repeat("A line of seventy-two characters, as they stand in most letters to us.\r\n", 140)
	for name, text := range map[string]string{"unsigned": long, "signed": signed(b, "example.org", long)} {
		b.Run(name, func(b *testing.B) {
			f := newFilter(b, zone)
			b.ReportAllocs()
			for b.Loop() {
				judge(b, f, Client{Addr: netip.MustParseAddr("192.0.2.1"), Name: "mx.example.org", Helo: "mx.example.org"}, "alice@example.org", text)
			}
		})
	}
}
