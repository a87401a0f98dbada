package authres_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"facteur/internal/mail/authres"
	"facteur/internal/mail/message"
	"facteur/internal/test/doubling"
)

// Whatever stands in a field, what is written of it is one field of lines that
// mail may have, says the same when it is read again, and is found by its id.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"example.org 1; none", "a; spf=pass smtp.mailfrom=a@b.example", `x (a (b) \) c) 1; dkim=fail reason="x\"y" header.b="a/b"`,
		"spf=pass (x) a.b=c; compauth=pass reason=100", `"a b" ; dkim / 1 = (c) pass`, "é.example; x=y z.w=ü@é.example", "a;;;;b=c", "(((", `";`,
		`a; b=c reason="` + "\x00\x01\r\n" + `" d.e="` + "\xff\xfe" + `"`, `a; b=c (x\)y) d.e="q"@x`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r, _ := authres.Parse(value)
		if len(r.Methods) > 64 {
			t.Fatalf("%d methods", len(r.Methods))
		}
		one := written(t, r)
		again, _ := authres.Parse(one.Get(authres.FieldName))
		two := written(t, again)
		if once, twice := one.Get(authres.FieldName), two.Get(authres.FieldName); once != twice {
			t.Fatalf("written, read and written again:\n%q\n%q", once, twice)
		}
		if again.ID != "" && len(authres.WithoutID(one, again.ID)) != 0 {
			t.Fatalf("%q is not removed by its id %q", one, again.ID)
		}
	})
}

func written(t *testing.T, r authres.Results) message.Header {
	t.Helper()
	h := message.Header(r.Field())
	fields := 0
	for range h.Fields() {
		fields++
	}
	if fields != 1 || !strings.HasSuffix(string(h), "\r\n") {
		t.Fatalf("%d fields: %q", fields, h)
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(h), "\r\n"), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") || strings.TrimSpace(line) == "" {
			t.Fatalf("line %q", line)
		}
	}
	return h
}

// What a house writes parses back the same (property test, fixed seed).
func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	for range 2000 {
		r := authres.Results{ID: pick("mx.example.org", "xn--exmple-cua.org", "a_b", "an id; with \"all\""), Version: random.IntN(2)}
		for range random.IntN(5) {
			m := authres.Method{Name: pick("spf", "dkim", "dmarc", "arc", "iprev", "x-tls"), Result: pick("pass", "fail", "none", "temperror"),
				Comment: pick("", "p=none dis=none", `(nested) \ and ;`, "a (b (c)) d"), Reason: pick("", "short", `says "x"; \ y`, strings.Repeat("long ", 40))}
			for range random.IntN(4) {
				m.Properties = append(m.Properties, authres.Property{Type: pick("header", "smtp", "policy", ""), Name: pick("from", "d", "b", "mailfrom", "remote-ip"),
					Value: pick("example.com", "a@example.com", "@example.com", "2001:db8::1", "a/b+c=", `"q s"@example.com`, "é@example.com", "a;b", "", "x=y")})
			}
			r.Methods = append(r.Methods, m)
		}
		got, err := authres.Parse(written(t, r).Get(authres.FieldName))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%v:\n got %+v\nwant %+v", err, got, r)
		}
	}
}

// AUT-015, AUT-020: time is linear in what a stranger wrote.
func TestDoubling(t *testing.T) {
	for name, unit := range map[string]string{
		"methods": "; dkim=pass", "comments": "(", "nested": "(()", "quotes": `"`, "properties": " a.b=c", "semicolons": ";", "escapes": `(\`,
	} {
		doubling.Check(t, name, 20_000, func(n int) func() {
			value := "example.org; spf=pass" + strings.Repeat(unit, n)
			h := message.Header("Authentication-Results: " + value + "\r\n\r\n")
			return func() { _, _ = authres.Parse(value); _ = authres.WithoutID(h, "example.org") }
		})
	}
	doubling.Check(t, "fields", 2000, func(n int) func() {
		h := message.Header(strings.Repeat("Authentication-Results: mail.example.org; none\r\nX: y\r\n", n) + "\r\n")
		return func() { _ = authres.WithoutID(h, "mail.example.org"); _ = authres.Of(h, "mail.example.org") }
	})
}
