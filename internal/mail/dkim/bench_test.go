package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processor tells the processor time of an operation, which a machine that does other
// things as well leaves as it is, more or less.
func processor(b *testing.B) (end func()) {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begun := used()
	return func() { b.ReportMetric(float64(used()-begun)/float64(time.Microsecond)/float64(b.N), "cpu-µs/op") }
}

// tenKB is a letter of 10 KB as people write them: text, folded fields.
func tenKB() string {
	var b strings.Builder
	b.WriteString("From: Anna Example <anna@example.org>\r\nTo: Bob Example <bob@example.net>,\r\n\tCarol <carol@example.com>\r\n" +
		"Subject: The minutes of our last meeting, and what is to be done\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n" +
		"Message-ID: <20261122120000.1234@example.org>\r\nIn-Reply-To: <20261121120000.1233@example.net>\r\n" +
		"References: <20261120120000.1232@example.org>\r\n\t<20261121120000.1233@example.net>\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n")
	for i := 0; b.Len() < 10<<10; i++ {
		fmt.Fprintf(&b, "Line %d is about as long as lines of letters are, some seventy bytes.\r\n", i)
	}
	return b.String()
}

// BenchmarkVerify10KB: two signatures (RSA-2048 and Ed25519, as those who sign twice do),
// with the DNS in memory. The aim is 0.3 ms.
func BenchmarkVerify10KB(b *testing.B) {
	r, e := rsaKey(b), edKey()
	for name, keys := range map[string][]Key{"rsa+ed25519": {r, e}, "rsa+rsa": {r, {Domain: "example.net", Selector: "r", Private: r.Private}}} {
		b.Run(name, func(b *testing.B) {
			text := tenKB()
			for _, k := range keys {
				text = signed(b, text, k, Form{})
			}
			txt := zone(keyZone(b, keys...))
			h, rest := letter(text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			defer processor(b)()
			for b.Loop() {
				body := NewBody()
				s := Read(h, body, Options{})
				body.Write(rest)
				for _, result := range s.Verify(context.Background(), txt, day) {
					if result.Status != Pass {
						b.Fatalf("%+v", result)
					}
				}
			}
		})
	}
}

// BenchmarkSign10KB: the aim is 0.1 ms by Ed25519, and the bare cost of RSA by RSA.
func BenchmarkSign10KB(b *testing.B) {
	for _, k := range []Key{edKey(), rsaKey(b)} {
		b.Run(k.Algorithm(), func(b *testing.B) {
			h, rest := letter(tenKB())
			form := Form{}
			b.ReportAllocs()
			defer processor(b)()
			for b.Loop() {
				body := NewBody()
				want := form.Wants(body)
				body.Write(rest)
				if _, err := Sign(h, body.Sum(want), k, form, day); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBareRSA is what signing and verifying can't cost less than.
func BenchmarkBareRSA(b *testing.B) {
	key := rsaKey(b).Private.(*rsa.PrivateKey)
	sum := sha256.Sum256([]byte("x"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	b.Run("sign", func(b *testing.B) {
		defer processor(b)()
		for b.Loop() {
			rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		}
	})
	b.Run("verify", func(b *testing.B) {
		defer processor(b)()
		for b.Loop() {
			rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature)
		}
	})
}

// BenchmarkBody: a body of a megabyte through the canonicalisers, beside its bare hash.
func BenchmarkBody(b *testing.B) {
	text := bytes.Repeat([]byte("Line is about as long as lines of letters are, some seventy bytes.\r\n"), 16<<10)
	for _, wants := range [][]Canon{{}, {Simple}, {Relaxed}, {Simple, Relaxed}} {
		b.Run(fmt.Sprint(wants), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			defer processor(b)()
			for b.Loop() {
				body := NewBody()
				for _, c := range wants {
					body.Want(c, crypto.SHA256, -1)
				}
				for part := text; len(part) > 0; part = part[min(32<<10, len(part)):] {
					body.Write(part[:min(32<<10, len(part))])
				}
				body.Length(Relaxed)
			}
		})
	}
	b.Run("bare hash", func(b *testing.B) {
		defer processor(b)()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			sha256.Sum256(text)
		}
	})
}
