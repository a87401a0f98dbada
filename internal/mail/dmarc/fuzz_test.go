package dmarc_test

import (
	"context"
	"strings"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	"facteur/internal/test/doubling"
)

// A record that is read has bounded lists, and a policy that an owner may ask for.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{"v=DMARC1; p=none", "v=DMARC1;p=reject;sp=none;rua=mailto:a@b.example!10m,mailto:c@d;fo=1:d:s;pct=0;t=y;psd=n", "v=DMARC1;;=;p", "v = DMARC1\t; np=x", "v=DMARC1;ruf=mailto:%00@x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := dmarc.Parse(text)
		if err != nil {
			return
		}
		if len(r.RUA) > dmarc.MaxURIs || len(r.RUF) > dmarc.MaxURIs || len(r.FO) > 4 || len(r.Tags) > 64 {
			t.Fatalf("%+v", r)
		}
		for _, u := range append(r.RUA, r.RUF...) {
			if u.Address.Domain == "" || u.Max < 0 {
				t.Fatalf("%+v", u)
			}
		}
		for _, own := range []bool{true, false} {
			p, tag := r.Wants(own, !own)
			if r.Usable() && p != dmarc.PolicyNone && p != dmarc.Quarantine && p != dmarc.Reject || tag == "" {
				t.Fatalf("%q asks for %q", text, p)
			}
		}
	})
}

// Whatever stands in From, questions are few, and about names only.
func FuzzAuthor(f *testing.F) {
	for _, seed := range []string{"a@b.example", "\"a@b\"@c.example, d <e@f.example>", "g: a@b.example;", "=?utf-8?q?a@b?= <c@d>", "<@a:b@c> <d@e>", "é@ü.example", "a@b\x00@c", "(((a@b"} {
		f.Add([]byte("From: "+seed+"\r\n\r\n"), seed)
	}
	f.Fuzz(func(t *testing.T, header []byte, record string) {
		asked := 0
		txt := func(_ context.Context, name string) lookup.Answer[[]string] {
			asked++
			if strings.ContainsAny(name, " \x00\r\n@<>\"(") || !strings.HasPrefix(name, "_dmarc.") {
				t.Fatalf("asked for %q", name)
			}
			return lookup.Yes([]string{record})
		}
		r := dmarc.Evaluate(context.Background(), txt, dmarc.Question{Header: message.Header(header)})
		if asked > 8*dmarc.MaxAuthors || len(r.From) > dmarc.MaxAuthors || len(r.Author.Disguised) > dmarc.MaxAuthors {
			t.Fatalf("%d questions for %q", asked, header)
		}
		if r.Status == dmarc.Pass {
			t.Fatalf("passes without anything that does: %q", header)
		}
	})
}

// AUT-015, AUT-018: time is linear in what strangers wrote.
func TestDoubling(t *testing.T) {
	for name, unit := range map[string]string{"addresses": "a@b.example,", "hosts": "a@b@", "comments": "(", "dots": "a.", "names": "a@x y "} {
		doubling.Check(t, name, 10_000, func(n int) func() {
			h := message.Header("From: " + strings.Repeat(unit, n) + "\r\n\r\n")
			return func() { _ = dmarc.ReadAuthor(h) }
		})
	}
	doubling.Check(t, "From fields", 2000, func(n int) func() {
		h := message.Header(strings.Repeat("From: a@b.example\r\n", n) + "\r\n")
		return func() { _ = dmarc.ReadAuthor(h) }
	})
	doubling.Check(t, "labels", 2000, func(n int) func() {
		name := strings.Repeat("a.", n) + "example"
		return func() { _ = dmarc.Org(context.Background(), zone{}.TXT, name) }
	})
	doubling.Check(t, "tags", 600, func(n int) func() {
		text := "v=DMARC1; p=none" + strings.Repeat("; a=b", n)
		return func() { _, _ = dmarc.Parse(text) }
	})
	doubling.Check(t, "addresses of reports", 200, func(n int) func() {
		text := "v=DMARC1; p=none; rua=" + strings.Repeat("mailto:a@b.example,", n)
		return func() { _, _ = dmarc.Parse(text) }
	})
}
