package dkim

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/lookup"
)

// edited is our letter whose signature says something else, signed again by k: what a
// signer could have made who does not follow the rules. Sign would refuse.
func edited(t testing.TB, k Key, edit func(field string) string) string {
	t.Helper()
	h, rest := letter(plainLetter)
	b := NewBody()
	form := Form{Untimed: true}
	want := form.Wants(b)
	b.Write(rest)
	fields := NewFields(h)
	names := form.names(fields)
	field := []byte(edit(string(form.write(names, b.Sum(want), k, day))))
	if list, ok := mustTags(t, field).Get("h"); ok {
		names = Names(list)
	}
	signature, err := k.Sign(fields.Hash(names, Relaxed, append(field, "\r\n"...)))
	if err != nil {
		t.Fatal(err)
	}
	return string(AppendBase64(field, signature)) + plainLetter
}

func mustTags(t testing.TB, field []byte) Tags {
	t.Helper()
	tags, err := ParseTags(field[len("DKIM-Signature:"):])
	if err != nil {
		return nil
	}
	return tags
}

// counting tells how often each name is asked for.
func counting(txt TXT) (TXT, func() map[string]int) {
	var mutex sync.Mutex
	asked := make(map[string]int)
	return func(ctx context.Context, name string) lookup.Answer[[]string] {
			mutex.Lock()
			asked[name]++
			mutex.Unlock()
			return txt(ctx, name)
		}, func() map[string]int {
			mutex.Lock()
			defer mutex.Unlock()
			return asked
		}
}

// TestAUT007: five hundred signatures with slow names: eight are looked at, at the same
// time, those of the author's domain first.
func TestAUT007(t *testing.T) {
	t.Parallel()
	k := edKey()
	letter := signed(t, plainLetter, k, Form{})
	var many strings.Builder
	for i := range 500 {
		many.WriteString(strings.Replace(strings.ReplaceAll(letter[:strings.Index(letter, "From: ")], "example.org", fmt.Sprintf("d%d.example", i)), "s=e;", fmt.Sprintf("s=s%d;", i), 1))
	}
	for name, text := range map[string]string{
		"AUT-007 the author's at the end": many.String() + letter,
		"AUT-007 the author's on top":     letter[:strings.Index(letter, "From: ")] + many.String() + plainLetter,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := func(ctx context.Context, name string) lookup.Answer[[]string] {
					time.Sleep(time.Second)
					return zone(keyZone(t, k))(ctx, name)
				}
				txt, asked := counting(slow)
				begun := time.Now()
				results := verify(text, txt, day, Options{})
				if took := time.Since(begun); took != time.Second {
					t.Errorf("took %v: not at the same time", took)
				}
				counts := map[Status]int{}
				skipped := 0
				for _, r := range results {
					counts[r.Status]++
					if r.Skipped {
						skipped++
					}
				}
				if len(asked()) != 8 || counts[Pass] != 1 || counts[PermError] != 7 || counts[Policy] != skipped || len(results) != maxResults {
					t.Errorf("asked %v, %v, %d skipped, %d results", asked(), counts, skipped, len(results))
				}
			})
		})
	}
}

// A key is asked for once, whoever needs it.
func TestOneQuestionForAKey(t *testing.T) {
	t.Parallel()
	k := edKey()
	text := signed(t, signed(t, plainLetter, k, Form{}), k, Form{Body: Simple})
	txt, asked := counting(zone(keyZone(t, k)))
	if got := verify(text, txt, day, Options{}); len(got) != 2 || got[0].Status != Pass || got[1].Status != Pass || asked()["e._domainkey.example.org"] != 1 {
		t.Errorf("%+v, %v", got, asked())
	}
}

func rsaRecord(t testing.TB, n *big.Int, e int64) string {
	t.Helper()
	der, err := asn1.Marshal(struct{ N, E *big.Int }{n, big.NewInt(e)})
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)
}

func odd(bits int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return n.Add(n, big.NewInt(0x10001))
}

// TestAUT009: keys that are too weak, too large, or no keys.
func TestAUT009(t *testing.T) {
	t.Parallel()
	rsaLetter, edLetter := signed(t, plainLetter, rsaKey(t), Form{}), signed(t, plainLetter, edKey(), Form{})
	ed := edKey().Private.Public().(ed25519.PublicKey)
	ec, err := base64.StdEncoding.DecodeString("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParsePKIXPublicKey(ec); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, text, record string
		status             Status
		reason             string
	}{
		{"512 bits", rsaLetter, rsaRecord(t, odd(512), 65537), Fail, "its key has 512 bits, which proves nothing; 1024 are the least"},
		{"768 bits", rsaLetter, rsaRecord(t, odd(768), 65537), Fail, "768 bits"},
		{"1023 bits", rsaLetter, rsaRecord(t, odd(1023), 65537), Fail, "1023 bits"},
		{"1024 bits", rsaLetter, rsaRecord(t, odd(1024), 65537), Fail, "a header field"},
		{"4096 bits", rsaLetter, rsaRecord(t, odd(4096), 65537), Fail, "a header field"},
		{"8192 bits", rsaLetter, rsaRecord(t, odd(8192), 65537), Policy, "it was not looked at: its key has 8192 bits, and 4096 are the most"},
		{"16384 bits", rsaLetter, rsaRecord(t, odd(16384), 65537), Policy, "16384 bits"},
		{"exponent 1", rsaLetter, rsaRecord(t, odd(2048), 1), PermError, "exponent"},
		{"exponent 0", rsaLetter, rsaRecord(t, odd(2048), 0), PermError, "no public key"},
		{"even exponent", rsaLetter, rsaRecord(t, odd(2048), 4), PermError, "exponent"},
		{"huge exponent", rsaLetter, rsaRecord(t, odd(2048), 1<<40+1), PermError, "no public key"},
		{"negative modulus", rsaLetter, rsaRecord(t, new(big.Int).Neg(odd(2048)), 65537), PermError, "no public key"},
		{"even modulus", rsaLetter, rsaRecord(t, new(big.Int).Lsh(big.NewInt(1), 2048), 65537), PermError, "exponent"},
		{"100 KiB", rsaLetter, "v=DKIM1; p=" + strings.Repeat("A", 100<<10), PermError, "longer than 16384 bytes"},
		{"p= empty", rsaLetter, "v=DKIM1; p=", PermError, "its key was withdrawn by its owner"},
		{"no p=", rsaLetter, "v=DKIM1; k=rsa", PermError, "has no p="},
		{"no base64", rsaLetter, "v=DKIM1; p=%%%", PermError, "not in base64"},
		{"no key", rsaLetter, "v=DKIM1; p=AAAA", PermError, "no public key"},
		{"an ECDSA key", rsaLetter, "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(ec), PermError, "no public key"},
		{"Ed25519 of 31 bytes", edLetter, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(ed[:31]), PermError, "it has 31 bytes, and Ed25519 has 32"},
		{"Ed25519 of 44 bytes", edLetter, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(append([]byte("a SubjectPub"), ed...)), PermError, "it has 44 bytes"},
		{"Ed25519 of zeros", edLetter, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(make([]byte, 32)), Fail, ""},
		{"RSA key for Ed25519", edLetter, rsaRecord(t, odd(2048), 65537), PermError, "another kind"},
		{"unknown kind", edLetter, "v=DKIM1; k=dsa; p=AAAA", PermError, "unknown"},
	}
	for _, tc := range cases {
		t.Run("AUT-009 "+tc.name, func(t *testing.T) {
			records := map[string]string{"r._domainkey.example.org": tc.record, "e._domainkey.example.org": tc.record}
			got := verify(tc.text, zone(records), day, Options{})
			if len(got) != 1 || got[0].Status != tc.status || !strings.Contains(got[0].Reason, tc.reason) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestAUT009Signing: what nobody would believe is not made.
func TestAUT009Signing(t *testing.T) {
	t.Parallel()
	h, _ := letter(plainLetter)
	weak := Key{Domain: "example.org", Selector: "s", Private: &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: odd(1023), E: 65537}}}
	large := Key{Domain: "example.org", Selector: "s", Private: &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: odd(8192), E: 65537}}}
	with := func(domain, selector string) Key { return Key{domain, selector, edKey().Private} }
	noFrom, _ := letter("To: bob@example.net\r\n\r\n")
	sum := make([]byte, 32)
	for _, tc := range []struct {
		name   string
		header []byte
		sum    []byte
		key    Key
		form   Form
		want   string
	}{
		{"weak key", h, sum, weak, Form{}, "the key has 1023 bits"},
		{"large key", h, sum, large, Form{}, "the key has 8192 bits"},
		{"no key", h, sum, Key{Domain: "example.org", Selector: "s"}, Form{}, "neither RSA nor Ed25519"},
		{"half a key", h, sum, Key{"example.org", "s", ed25519.PrivateKey("short")}, Form{}, "neither RSA nor Ed25519"},
		{"d=org", h, sum, with("org", "s"), Form{}, "nobody's own"},
		{"d=[192.0.2.1]", h, sum, with("[192.0.2.1]", "s"), Form{}, "no domain"},
		{"d= with a fold", h, sum, with("example.org\r\nX: y", "s"), Form{}, "no domain"},
		{"selector ..", h, sum, with("example.org", "a..b"), Form{}, "selector"},
		{"no selector", h, sum, with("example.org", ""), Form{}, "selector"},
		{"no body", h, nil, edKey(), Form{}, "no SHA-256 hash"},
		{"no From", noFrom, sum, edKey(), Form{}, "no From"},
		{"foreign identity", h, sum, edKey(), Form{Identity: "@example.com"}, "identity"},
		{"identity with a tag", h, sum, edKey(), Form{Identity: "a;l=0@example.org"}, "identity"},
		{"name with a colon", h, sum, edKey(), Form{Fields: []string{"From:To"}}, "no name of a field"},
		{"name with a semicolon", h, sum, edKey(), Form{Oversign: []string{"x;l=0"}}, "no name of a field"},
		{"no time", h, sum, edKey(), Form{Expire: -time.Second}, "good for"},
	} {
		t.Run("AUT-009 "+tc.name, func(t *testing.T) {
			field, err := Sign(tc.header, tc.sum, tc.key, tc.form, day)
			if field != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%q, %v", field, err)
			}
		})
	}
}

// TestAUT010: what a signature and its key may say of themselves.
func TestAUT010(t *testing.T) {
	t.Parallel()
	k := edKey()
	record, err := k.Record()
	if err != nil {
		t.Fatal(err)
	}
	replace := func(from, to string) func(string) string {
		return func(field string) string {
			if !strings.Contains(field, from) {
				t.Errorf("no %q in %q", from, field)
			}
			return strings.Replace(field, from, to, 1)
		}
	}
	same := func(s string) string { return s }
	add := func(tags string) func(string) string { return replace("v=1;", "v=1; "+tags+";") }
	cases := []struct {
		name   string
		edit   func(string) string
		key    string // added to the record, or in its place where it begins with "v="
		status Status
		reason string
	}{
		{"as it is", same, "", Pass, ""},
		{"rsa-sha1", replace("ed25519-sha256", "rsa-sha1"), "", Fail, "SHA-1"},
		{"ed25519-sha1", replace("ed25519-sha256", "ed25519-sha1"), "", Neutral, "algorithm"},
		{"a list in a=", replace("ed25519-sha256", "rsa-sha256:ed25519-sha256"), "", Neutral, "algorithm"},
		{"a= twice", add("a=rsa-sha256"), "", Neutral, "a= is there twice"},
		{"capitals in a=", replace("ed25519-sha256", "ED25519-SHA256"), "", Pass, ""},
		{"v=2", replace("v=1", "v=2"), "", Neutral, "version"},
		{"v=01", replace("v=1", "v=01"), "", Neutral, "version"},
		{"no v=", replace("v=1;", ""), "", Neutral, "it has no v="},
		{"x= past", add("x=1000"), "", Fail, "it expired at 1970-01-01T00:16:40Z"},
		{"x= a moment ago", add(fmt.Sprint("x=", day.Unix()-60)), "", Pass, ""},
		{"x= before t=", add("t=1000; x=999"), "", Neutral, "expires"},
		{"t= future", add(fmt.Sprint("t=", day.Add(time.Hour).Unix())), "", Fail, "future"},
		{"t= a moment ahead", add(fmt.Sprint("t=", day.Add(time.Minute).Unix())), "", Pass, ""},
		{"t= of seventy digits", add("t=" + strings.Repeat("9", 70)), "", Fail, "future"},
		{"t= of eighty digits", add("t=" + strings.Repeat("9", 80)), "", Neutral, "t= is no number"},
		{"t= negative", add("t=-1"), "", Neutral, "t= is no number"},
		{"x= empty", add("x="), "", Neutral, "x= is no number"},
		{"q= elsewhere", add("q=https"), "", Neutral, "q="},
		{"q= both", add("q=https : dns/txt"), "", Pass, ""},
		{"c= unknown", replace("relaxed/relaxed", "relaxed/nofws"), "", Neutral, "c="},
		{"no From in h=", func(s string) string { return strings.ReplaceAll(s, "from:", "") }, "", PermError, "From"},
		{"nothing in h=", replace("h=from:from:", "h=from::from:"), "", Neutral, "empty"},
		{"bh= of another length", replace("bh=", "bh=AAAA"), "", Neutral, "bh="},
		{"unknown tags", add("zz=1; y_2= a b"), "", Pass, ""},
		{"t=y", same, "; t=y", Pass, ""},
		{"t=y, expired", add("x=1000"), "; t=y", Fail, "expired"},
		{"s= of another service", same, "; s=tlsrpt", PermError, "not for mail"},
		{"s= with mail", same, "; s=other:email", Pass, ""},
		{"s=*", same, "; s=*", Pass, ""},
		{"h=sha1 only", same, "; h=sha1", PermError, "hash"},
		{"h= both", same, "; h=sha1:sha256", Pass, ""},
		{"g=", same, "; g=nobody", Pass, ""},
		{"p= twice", same, "; p=", PermError, "twice"},
		{"v=DKIM2", same, "v=DKIM2; k=ed25519; p=AAAA", PermError, "not of the version"},
		{"v= last", same, "; v=DKIM1", PermError, "twice"},
		{"no key at all", same, "v=spf1 -all", PermError, "is no key"},
	}
	for _, tc := range cases {
		t.Run("AUT-010 "+tc.name, func(t *testing.T) {
			text := record + tc.key
			if strings.HasPrefix(tc.key, "v=") {
				text = tc.key
			}
			got := verify(edited(t, k, tc.edit), zone(map[string]string{"e._domainkey.example.org": text}), day, Options{})
			if len(got) != 1 || got[0].Status != tc.status || !strings.Contains(got[0].Reason, tc.reason) {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("AUT-010 t=y is never harsher", func(t *testing.T) {
		text := strings.Replace(signed(t, plainLetter, k, Form{}), "Bye", "Pay", 1)
		testing := zone(map[string]string{"e._domainkey.example.org": record + "; t=y"})
		if got := verify(text, testing, day, Options{}); got[0].Status != Neutral || !got[0].Testing || !strings.Contains(got[0].Reason, "only testing") {
			t.Errorf("%+v", got)
		}
	})
}

// TestAUT014: signers that nobody can be, and names that are asked of nobody.
func TestAUT014(t *testing.T) {
	t.Parallel()
	k := edKey()
	record, err := k.Record()
	if err != nil {
		t.Fatal(err)
	}
	all := func(_ context.Context, name string) lookup.Answer[[]string] { return lookup.Yes([]string{record}) }
	strict := func(_ context.Context, name string) lookup.Answer[[]string] {
		return lookup.Yes([]string{record + "; t=s"})
	}
	domain := func(d string) func(string) string {
		return func(s string) string { return strings.Replace(s, "d=example.org", "d="+d, 1) }
	}
	selector := func(name string) func(string) string {
		return func(s string) string { return strings.Replace(s, "s=e;", "s="+name+";", 1) }
	}
	identity := func(i string) func(string) string {
		return func(s string) string { return strings.Replace(s, "v=1;", "v=1; i="+i+";", 1) }
	}
	cases := []struct {
		name   string
		edit   func(string) string
		txt    TXT
		status Status
		asked  string
	}{
		{"d=com", domain("com"), all, PermError, ""},
		{"d=co.uk", domain("co.uk"), all, PermError, ""},
		{"d=CO.UK", domain("CO.UK"), all, PermError, ""},
		{"d=localhost", domain("localhost"), all, PermError, ""},
		{"d= empty", domain(""), all, PermError, ""},
		{"d= with a dot at the end", domain("example.org."), all, PermError, ""},
		{"d= with a space", domain("example .org"), all, PermError, ""},
		{"d=[192.0.2.1]", domain("[192.0.2.1]"), all, PermError, ""},
		{"d= of 300 bytes", domain(strings.Repeat("a.", 150) + "org"), all, PermError, ""},
		{"d= with NUL", domain("exam\x00ple.org"), all, PermError, ""},
		{"d= in capitals", domain("EXAMPLE.org"), all, Pass, "e._domainkey.example.org"},
		{"d= in its own letters", domain("bücher.example"), all, Pass, "e._domainkey.xn--bcher-kva.example"},
		{"d= of a private suffix", domain("github.io"), all, Pass, "e._domainkey.github.io"},
		{"selector of 200 bytes", selector(strings.Repeat("s", 200)), all, PermError, ""},
		{"selector of 240 bytes in labels", selector(strings.Repeat("abcde.", 40) + "s"), all, PermError, ""},
		{"selector with ..", selector("a..b"), all, PermError, ""},
		{"selector with . first", selector(".b"), all, PermError, ""},
		{"selector with /", selector("a/b"), all, PermError, ""},
		{"selector with labels", selector("a.b-c.d_e"), all, Pass, "a.b-c.d_e._domainkey.example.org"},
		{"i= outside of d", identity("@example.com"), all, PermError, ""},
		{"i= that ends alike", identity("@badexample.org"), all, PermError, ""},
		{"i= above", identity("@org"), all, PermError, ""},
		{"i= without @", identity("example.org"), all, PermError, ""},
		{"i= of 400 bytes", identity(strings.Repeat("a", 400) + "@example.org"), all, PermError, ""},
		{"i= that would be cut to ours", identity(strings.Repeat("a", 320-len("@example.org")) + "@example.org.evil.example"), all, PermError, ""},
		{"i= below", identity("joe@news.Example.org"), all, Pass, "e._domainkey.example.org"},
		{"i= with two @", identity("a@example.com@example.org"), all, Pass, "e._domainkey.example.org"},
		{"i= below, t=s", identity("joe@news.example.org"), strict, PermError, "e._domainkey.example.org"},
		{"i= the same, t=s", identity("joe@example.org"), strict, Pass, "e._domainkey.example.org"},
	}
	for _, tc := range cases {
		t.Run("AUT-014 "+tc.name, func(t *testing.T) {
			txt, asked := counting(tc.txt)
			got := verify(edited(t, k, tc.edit), txt, day, Options{})
			if len(got) != 1 || got[0].Status != tc.status || tc.status != Pass && got[0].Reason == "" {
				t.Errorf("%+v", got)
			}
			if names := asked(); len(names) > 1 || tc.asked == "" && len(names) > 0 || tc.asked != "" && names[tc.asked] != 1 {
				t.Errorf("asked for %v, want %q", names, tc.asked)
			}
		})
	}
}

// What the DNS may answer.
func TestKeyLookup(t *testing.T) {
	t.Parallel()
	k := edKey()
	record, err := k.Record()
	if err != nil {
		t.Fatal(err)
	}
	text := signed(t, plainLetter, k, Form{})
	for _, tc := range []struct {
		name   string
		answer lookup.Answer[[]string]
		status Status
	}{
		{"found", lookup.Yes([]string{record}), Pass},
		{"found beside other texts", lookup.Yes([]string{"v=spf1 -all", record, "some words", "google-site=1"}), Pass},
		{"two keys", lookup.Yes([]string{record, "v=DKIM1; p="}), PermError},
		{"other texts only", lookup.Yes([]string{"v=spf1 -all"}), PermError},
		{"no texts", lookup.Yes([]string(nil)), PermError},
		{"nothing", lookup.No[[]string](nil), PermError},
		{"out of order", lookup.Later[[]string](errors.New("SERVFAIL")), TempError},
	} {
		got := verify(text, func(context.Context, string) lookup.Answer[[]string] { return tc.answer }, day, Options{})
		if len(got) != 1 || got[0].Status != tc.status || got[0].Domain != "example.org" {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

// What was done to a letter on its way is told.
func TestReasons(t *testing.T) {
	t.Parallel()
	k := edKey()
	text := signed(t, plainLetter, k, Form{})
	for _, tc := range []struct {
		name, text           string
		reason               string
		header, body, passes bool
	}{
		{"nothing", text, "", true, true, true},
		{"a footer", strings.Replace(text, "Bye\r\n", "Bye\r\n-- \r\nthe list\r\n", 1), "the body was changed after signing; the header was not", true, false, false},
		{"white space", strings.Replace(text, "Hello  Bob", "Hello \t Bob  ", 1), "", true, true, true},
		{"a tag in Subject", strings.Replace(text, "Subject: ", "Subject: [list]", 1), "a header field that it covers (from, reply-to, subject,", false, true, false},
		{"a second From", strings.Replace(text, "From: ", "From: evil@example.net\r\nFrom: ", 1), "was changed, added or removed", false, true, false},
		{"a From at the end", strings.Replace(text, "\r\n\r\n", "\r\nFrom: evil@example.net\r\n\r\n", 1), "was changed, added or removed", false, true, false},
		{"a Reply-To", "Reply-To: evil@example.net\r\n" + text, "was changed, added or removed", false, true, false},
		{"MIME", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n" + text, "", true, true, true},
		{"both", strings.Replace(strings.Replace(text, "Subject: ", "Subject: [list]", 1), "Bye", "Good bye", 1), "the body was changed after signing, and the header or the key too", false, false, false},
	} {
		r := verify(tc.text, zone(keyZone(t, k)), day, Options{})[0]
		if (r.Status == Pass) != tc.passes || !strings.Contains(r.Reason, tc.reason) || r.HeaderIntact != tc.header || r.BodyIntact != tc.body {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
}

// What stands in h= is a stranger's, and told up to a length.
func TestLongNames(t *testing.T) {
	t.Parallel()
	k, form := edKey(), Form{Fields: []string{"subject"}}
	for i := range 20 {
		form.Oversign = append(form.Oversign, strings.Repeat("x", 5000)+fmt.Sprint(i))
	}
	text := strings.Replace(signed(t, plainLetter, k, form), "Subject: ", "Subject: [list]", 1)
	if r := verify(text, zone(keyZone(t, k)), day, Options{})[0]; r.Status != Fail || len(r.Reason) > 2*maxTold {
		t.Errorf("%s: %d bytes", r.Status, len(r.Reason))
	}
}

// limited is our letter with l=.
func limited(t testing.TB, n int) string {
	t.Helper()
	h, rest := letter(plainLetter)
	b := NewBody()
	b.Want(Relaxed, 5, int64(n))
	d := Digest{canon: Relaxed, limit: int64(n), valid: true}
	b.Write(rest)
	form, k := Form{}, edKey()
	fields := NewFields(h)
	names := form.names(fields)
	field := []byte(strings.Replace(string(form.write(names, b.Sum(d), k, day)), "v=1;", fmt.Sprintf("v=1; l=%d;", n), 1))
	signature, err := k.Sign(fields.Hash(names, Relaxed, append(field, "\r\n"...)))
	if err != nil {
		t.Fatal(err)
	}
	return string(AppendBase64(field, signature)) + plainLetter
}

// TestLimit: l= covers what it says, and nothing below is believed unless that is wanted.
func TestLimit(t *testing.T) {
	t.Parallel()
	whole := len("Hello Bob\r\n\r\nBye\r\n")
	txt := zone(keyZone(t, edKey()))
	for _, tc := range []struct {
		n       int
		more    string
		options Options
		status  Status
		limited int64
	}{
		{whole, "", Options{}, Pass, 0},
		{whole, "footer\r\n", Options{}, Policy, int64(len("\r\n\r\nfooter\r\n"))},
		{whole, "footer\r\n", Options{Partial: true}, Pass, int64(len("\r\n\r\nfooter\r\n"))},
		{whole, " \r\n\r\n", Options{}, Pass, 0},
		{0, "", Options{}, Policy, int64(whole)},
		{5, "", Options{}, Policy, int64(whole - 5)},
		{whole + 1, "", Options{}, Fail, 0},
		{1 << 40, "", Options{}, Fail, 0},
	} {
		got := verify(limited(t, tc.n)+tc.more, txt, day, tc.options)
		if len(got) != 1 || got[0].Status != tc.status || got[0].Limited != tc.limited {
			t.Errorf("l=%d, %q: %+v", tc.n, tc.more, got)
		}
	}
}

// TestAddedFields: AUT-021, a true letter is sent again with another Subject or From above
// the one that was signed, which is what readers show. The same field twice is no attack.
func TestAddedFields(t *testing.T) {
	t.Parallel()
	h, _ := letter(plainLetter)
	bare := signed(t, plainLetter, edKey(), Form{Oversign: []string{}})
	txt := zone(keyZone(t, edKey()))
	for _, tc := range []struct {
		above  string
		status Status
	}{
		{"", Pass},
		{"Subject: Your account is closed\r\n", Policy},
		{"sUBJECT : Your account is closed\r\n", Policy},
		{"Subject:   " + h.Get("Subject") + "\r\n", Pass},
		{"Content-Type: text/html\r\n", Pass}, // it had none that could be covered
		{"X-Other: x\r\n", Pass},
	} {
		if got := verify(tc.above+bare, txt, day, Options{}); len(got) != 1 || got[0].Status != tc.status {
			t.Errorf("AUT-021 %q: %+v", tc.above, got)
		}
	}
}
