package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"facteur/internal/test/doubling"
)

// lines makes CRLF of LF.
func crlfLines(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestDowngrade(t *testing.T) {
	for name, x := range map[string]struct {
		eightBit bool
		in, want string // want "" is ErrNotConvertible
	}{
		"nothing to do": {false, "Subject: x\n\nplain\n", "Subject: x\n\nplain\n"},
		"text": {false, "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nSubject: x\n\ncaf\xc3\xa9 = 1 \n--\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nSubject: x\n\ncaf=C3=A9 =3D 1=20\n=2D-\n"},
		"no MIME, UTF-8":   {false, "Subject: x\n\n\xc3\xa9\n", "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n"},
		"no MIME, Latin-1": {false, "Subject: x\n\n\xe9\n", "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n=E9\n"},
		"only labels": {false, "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nplain\n",
			"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: 7bit\n\nplain\n"},
		"parts": {false, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\nContent-Type: text/html\nContent-Transfer-Encoding: 8bit\n\n\xe9\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b\nContent-Type: image/x\nContent-Transfer-Encoding: 8bit\n\n\xff\n--b--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n--b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n=E9\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b\nContent-Type: image/x\nContent-Transfer-Encoding: base64\n\n/w==\n--b--\n"},
		"a message inside": {false, "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: y\n\n\xc3\xa9\n",
			"MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: y\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n"},
		"binary":              {true, "MIME-Version: 1.0\nContent-Type: application/x\nContent-Transfer-Encoding: binary\n\n\x00\xff", "MIME-Version: 1.0\nContent-Type: application/x\nContent-Transfer-Encoding: base64\n\nAP8=\n"},
		"binary by name":      {true, "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: binary\n\n\xe9\n", "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\n\xe9\n"},
		"header":              {false, "Subject: \xe9\n\nx\n", ""},
		"signed":              {false, "MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\n\xe9\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n", ""},
		"a part of a message": {false, "MIME-Version: 1.0\nContent-Type: message/partial; id=x\n\n\xe9\n", ""},
		"unknown encoding":    {false, "MIME-Version: 1.0\nContent-Transfer-Encoding: x-uue\n\n\xe9\n", ""},
		"base64 with 8-bit":   {false, "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n\xe9\n", ""},
		"between the parts":   {false, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n\xe9\n--b\n\nx\n--b--\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in, want := crlfLines(x.in), crlfLines(x.want)
			c, err := Downgrade(strings.NewReader(in), x.eightBit)
			if x.want == "" {
				if !errors.Is(err, ErrNotConvertible) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c.Reader(iotest.OneByteReader(strings.NewReader(in))))
			if err != nil || string(got) != want || c.Size() != int64(len(got)) {
				t.Errorf("%v, size %d\ngot  %q\nwant %q", err, c.Size(), got, want)
			}
		})
	}
	t.Run("cut off", func(t *testing.T) {
		in := crlfLines("Subject: x\n\n\xc3\xa9" + strings.Repeat("x", 100) + "\n")
		c, err := Downgrade(strings.NewReader(in), false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c.Reader(strings.NewReader(in[:50]))); err != io.ErrUnexpectedEOF {
			t.Errorf("%v", err)
		}
	})
}

// A converted message has the same parts, each with the same content, and asks for no
// more than was wanted.
func FuzzDowngrade(f *testing.F) {
	f.Add([]byte("Subject: x\r\n\r\n\xc3\xa9 \r\n"), false)
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9"+strings.Repeat("x", 74)+"--b\r\n--b\r\n\r\n\x00\r\n--b--\r\n"), true)
	f.Add([]byte("Content-Type: message/rfc822\r\n\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\xff"), false)
	f.Fuzz(func(t *testing.T, in []byte, eightBit bool) {
		c, err := Downgrade(bytes.NewReader(in), eightBit)
		if err != nil {
			if !errors.Is(err, ErrNotConvertible) {
				t.Fatal(err)
			}
			return
		}
		out, err := io.ReadAll(c.Reader(bytes.NewReader(in)))
		if err != nil || int64(len(out)) != c.Size() {
			t.Fatalf("%v, %d bytes for %d", err, len(out), c.Size())
		}
		again, err := Downgrade(bytes.NewReader(out), eightBit)
		if err != nil || len(again.edits) != 0 {
			t.Errorf("%q: still to do: %v %+v in %q", in, err, again, out)
		}
		before, _ := Parse(bytes.NewReader(in), Limits{})
		after, _ := Parse(bytes.NewReader(out), Limits{})
		sameParts(t, in, out, before, after)
	})
}

func sameParts(t *testing.T, in, out []byte, a, b *Part) {
	t.Helper()
	if len(a.Children) != len(b.Children) {
		t.Fatalf("%q: %d parts, then %d in %q", in, len(a.Children), len(b.Children), out)
	}
	for i := range a.Children {
		sameParts(t, in, out, a.Children[i], b.Children[i])
	}
	if len(a.Children) > 0 || a.Multipart() {
		return
	}
	was, _ := io.ReadAll(a.Decoded(bytes.NewReader(in)))
	is, _ := io.ReadAll(b.Decoded(bytes.NewReader(out)))
	if !bytes.Equal(was, is) && !bytes.Equal(append(was, "\r\n"...), is) {
		t.Errorf("%q: a part was %q, and is %q in %q", in, was, is, out)
	}
}

func TestDowngradeIsLinear(t *testing.T) {
	for name, text := range map[string]func(n int) string{
		"a body": func(n int) string { return "Subject: x\r\n\r\n" + strings.Repeat("\xe9 \r\n", n/4) },
		"many parts": func(n int) string {
			return "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\n\xe9\r\n", n/10) + "--b--\r\n"
		},
		"nested": func(n int) string { return strings.Repeat("Content-Type: message/rfc822\r\n\r\n", n/32) + "\xe9" },
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Check(t, name, 200_000, func(n int) func() {
				in := text(n)
				return func() { Downgrade(strings.NewReader(in), false) }
			})
		})
	}
}
