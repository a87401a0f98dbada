package dkim

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/message"
)

// zone answers for the names it has, and for no others.
func zone(records map[string]string) TXT {
	return func(_ context.Context, name string) lookup.Answer[[]string] {
		if text, ok := records[name]; ok {
			return lookup.Yes([]string{text})
		}
		return lookup.No[[]string](nil)
	}
}

var day = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// letter splits a text; its lines may end at LF.
func letter(text string) (message.Header, []byte) {
	end := message.HeaderEnd([]byte(text))
	return message.Header(text[:end]), []byte(text[end:])
}

// verify reads and judges a whole letter.
func verify(text string, txt TXT, now time.Time, o Options) []Result {
	h, rest := letter(text)
	b := NewBody()
	s := Read(h, b, o)
	b.Write(rest)
	return s.Verify(context.Background(), txt, now)
}

// signed is a letter with our signature on top.
func signed(t testing.TB, text string, k Key, f Form) string {
	t.Helper()
	h, rest := letter(text)
	b := NewBody()
	want := f.Wants(b)
	b.Write(rest)
	field, err := Sign(h, b.Sum(want), k, f, day)
	if err != nil {
		t.Fatal(err)
	}
	return string(field) + text
}

func rsaKey(t testing.TB) Key {
	t.Helper()
	return Key{Domain: "example.org", Selector: "r", Private: testKey(t, 2048)}
}

func edKey() Key {
	return Key{Domain: "example.org", Selector: "e", Private: ed25519.NewKeyFromSeed([]byte(strings.Repeat("seed", 8)))}
}

// testKey makes an RSA key.
func testKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyZone(t testing.TB, keys ...Key) map[string]string {
	t.Helper()
	records := make(map[string]string)
	for _, k := range keys {
		name, err := k.Name()
		if err != nil {
			t.Fatal(err)
		}
		if records[name], err = k.Record(); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

const plainLetter = "From: Anna <anna@example.org>\r\nTo: bob@example.net\r\nSubject:  A   test\r\n of folding\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\nHello  Bob \t\r\n\r\nBye\r\n\r\n\r\n"

func TestSignedVerifies(t *testing.T) {
	t.Parallel()
	for _, k := range []Key{rsaKey(t), edKey()} {
		txt := zone(keyZone(t, k))
		for _, f := range []Form{{}, {Header: Simple}, {Body: Simple}, {Header: Simple, Body: Simple, Expire: time.Hour, Identity: "anna@sub.example.org"}} {
			text := signed(t, plainLetter, k, f)
			got := verify(text, txt, day, Options{})
			if len(got) != 1 || got[0].Status != Pass || got[0].Header != f.Header || got[0].Body != f.Body {
				t.Errorf("%s %+v: %+v\n%s", k.Algorithm(), f, got, text)
			}
		}
	}
}
