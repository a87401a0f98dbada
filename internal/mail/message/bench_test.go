package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// plainLetter is a letter of about n bytes with the headers of everyday mail.
func plainLetter(n int) []byte {
	var b strings.Builder
	for i := range 4 {
		fmt.Fprintf(&b, "Received: from mail%d.example.net (mail%d.example.net [192.0.2.%d])\r\n\tby mx.example.org with ESMTPS id 4Xk2%d\r\n\tfor <alice@example.org>; Thu, 20 Nov 2025 10:0%d:00 +0100\r\n", i, i, i, i, i)
	}
	b.WriteString("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\r\n\tbh=" + strings.Repeat("A", 44) + ";\r\n\tb=" + strings.Repeat("B", 340) + "\r\n")
	b.WriteString("From: Bob Builder <bob@example.net>\r\nTo: Alice <alice@example.org>, carol@example.org\r\nSubject: A letter\r\nDate: Thu, 20 Nov 2025 10:00:00 +0100\r\nMessage-ID: <1234.5678@example.net>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	for b.Len() < n {
		b.WriteString("The quick brown fox jumps over the lazy dog, and so on to the line's end.\r\n")
	}
	return []byte(b.String())
}

// bigMultipart is a letter of about n bytes with a text and base64 attachments.
func bigMultipart(n int) []byte {
	var b bytes.Buffer
	b.WriteString("From: bob@example.net\r\nContent-Type: multipart/mixed; boundary=\"=_frontier\"\r\n\r\n--=_frontier\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n")
	line := strings.Repeat("QUJD", 19) + "\r\n"
	for b.Len() < n {
		b.WriteString("--=_frontier\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n\r\n")
		b.WriteString(strings.Repeat(line, 1<<20/len(line)))
	}
	b.WriteString("--=_frontier--\r\n")
	return b.Bytes()
}

func benchmarkParse(b *testing.B, letter []byte) {
	b.SetBytes(int64(len(letter)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(bytes.NewReader(letter), Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePlain10K(b *testing.B)     { benchmarkParse(b, plainLetter(10<<10)) }
func BenchmarkParsePlain1M(b *testing.B)      { benchmarkParse(b, plainLetter(1<<20)) }
func BenchmarkParseMultipart10M(b *testing.B) { benchmarkParse(b, bigMultipart(10<<20)) }

func BenchmarkDecode(b *testing.B) {
	root, err := Parse(bytes.NewReader(plainLetter(10<<10)), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	enc := root.Append(nil)
	b.ReportMetric(float64(len(enc)), "encoded-bytes")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(enc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeTransferBase64(b *testing.B) {
	text := strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 10_000)
	b.SetBytes(int64(len(text)))
	sink := make([]byte, 32<<10)
	for b.Loop() {
		r := DecodeTransfer("base64", strings.NewReader(text))
		for {
			if _, err := r.Read(sink); err != nil {
				break
			}
		}
	}
}
