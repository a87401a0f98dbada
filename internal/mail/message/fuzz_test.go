package message

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("../../../../shared/suites/mimekit/*.txt")
	for _, file := range files {
		if letter, err := os.ReadFile(file); err == nil && len(letter) < 4096 {
			f.Add(letter)
		}
	}
	f.Add([]byte(nested(5)))
	f.Add([]byte(letterOf("x", "--x\n\n--x\n--x--\n")))
	f.Add([]byte("Content-Type: multipart/digest; boundary=a\n\n--a\n\nContent-Type: multipart/mixed; boundary=b\n\n--b\n--a\n"))
	f.Fuzz(func(t *testing.T, letter []byte) {
		small := Limits{Depth: 4, Parts: 20, HeaderBytes: 4096, Fields: 30, TotalHeaderBytes: 8192, Addresses: 20}
		for _, limits := range []Limits{{}, small} {
			root, err := Parse(bytes.NewReader(letter), limits)
			if err != nil {
				t.Fatal(err)
			}
			checkTree(t, root, int64(len(letter)))
			if n := int64(HeaderEnd(letter)); root.Body != n {
				t.Fatalf("body at %d, HeaderEnd says %d", root.Body, n)
			}
			encoded := root.Append(nil)
			back, err := Decode(encoded)
			if err != nil || !reflect.DeepEqual(root, back) {
				t.Fatalf("round trip: %v\n%s\n%s", err, sketch(root), sketch(back))
			}
			depth, parts := measure(root)
			if limits.Depth > 0 && (depth > limits.Depth || parts > limits.Parts) {
				t.Fatalf("depth %d, parts %d", depth, parts)
			}
			readAll(t, root, letter)
		}
	})
}

// readAll reads every part as text.
func readAll(t *testing.T, p *Part, letter []byte) {
	text, err := io.ReadAll(p.Text(bytes.NewReader(letter)))
	if err != nil || !utf8.Valid(text) || int64(len(text)) > 4*(p.End-p.Body) {
		t.Fatalf("text: %v, %d bytes of %d", err, len(text), p.End-p.Body)
	}
	if name := SafeFileName(p.FileName()); name == "" || strings.ContainsAny(name, "/\\\x00\r\n") {
		t.Fatalf("file name %q", name)
	}
	for _, c := range p.Children {
		readAll(t, c, letter)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte("A: b\r\n c\r\nD\r\n: x\r\n\r\nbody"))
	f.Fuzz(func(t *testing.T, b []byte) {
		end := HeaderEnd(b)
		at := 0
		for field := range Header(b).Fields() {
			if field.Start != at || field.End <= at || field.End > end {
				t.Fatalf("field [%d, %d) after %d, header of %d", field.Start, field.End, at, end)
			}
			if strings.ContainsAny(field.Text(), "\r\n\x00") {
				t.Fatalf("text %q", field.Text())
			}
			at = field.End
		}
		if at+emptyLine(b[at:]) != end {
			t.Fatalf("fields end at %d, header at %d", at, end)
		}
		h, rest, err := ReadHeader(bytes.NewReader(b), len(b))
		body, _ := io.ReadAll(rest)
		if err != nil || len(h) != end || string(h)+string(body) != string(b) {
			t.Fatalf("ReadHeader: %v %q %q", err, h, body)
		}
	})
}

func FuzzAddresses(f *testing.F) {
	for _, tt := range addressTests {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		open := false
		for _, m := range ParseAddresses(s) {
			if m.GroupStart && open {
				t.Fatalf("group in a group: %s", list(ParseAddresses(s)))
			}
			if m.GroupEnd && !open {
				t.Fatalf("group end without start: %s", list(ParseAddresses(s)))
			}
			open = m.GroupStart || open && !m.GroupEnd
			if !m.GroupStart && !m.GroupEnd && m.Name == "" && m.Local == "" && m.Host == "" {
				t.Fatal("empty mailbox")
			}
		}
		if open {
			t.Fatal("group not ended")
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, tt := range dateTests {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		when, ok := ParseDate(s)
		if !ok {
			return
		}
		if y := when.UTC().Year(); y < firstYear-1 || y > 9999 {
			t.Fatalf("year %d", y)
		}
		if again, ok := ParseDate(FormatDate(when)); !ok || !again.Equal(when) {
			t.Fatalf("%v became %v by %q", when, again, FormatDate(when))
		}
	})
}

func FuzzDecodeText(f *testing.F) {
	for _, tt := range wordTests {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := DecodeText(s)
		if !utf8.ValidString(out) || strings.ContainsAny(out, "\r\n\x00") {
			t.Fatalf("%q", out)
		}
		if len(out) > 4*len(s) {
			t.Fatalf("%d bytes became %d", len(s), len(out))
		}
		BaseSubject(s)
		References(s)
		MessageID(s)
	})
}

func FuzzParams(f *testing.F) {
	f.Add("text/plain; charset=utf-8; name*0*=utf-8''a%20; name*1=\"b\"; x=(y) z")
	f.Add("a/b; c*9=d; c*0=e; c*01=f; c**=g; *=h; *0*=i")
	f.Fuzz(func(t *testing.T, s string) {
		_, _, params, _ := parseContentType(s)
		if len(params) > maxParams {
			t.Fatalf("%d parameters", len(params))
		}
		for _, p := range params {
			value := paramValue(params, strings.TrimSuffix(p.Name, "*"))
			if !utf8.ValidString(value) {
				t.Fatalf("%q", value)
			}
		}
		parseDisposition(s)
		parseLanguages(s)
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(mustParse(f, nested(4)).Append(nil))
	f.Add(mustParse(f, "From: a: b@c;\n\n").Append(nil))
	f.Add([]byte{codecVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			return
		}
		back, err := Decode(p.Append(nil))
		if err != nil || !reflect.DeepEqual(p, back) {
			t.Fatalf("%v: %s %s", err, sketch(p), sketch(back))
		}
	})
}

func FuzzTransfer(f *testing.F) {
	f.Add("base64", "utf-8", []byte("aGFsbG8=\r\nd2VsdA"))
	f.Add("quoted-printable", "iso-2022-jp", []byte("a=3D=\r\n b \r\n=1B$B"))
	f.Add("", "utf-16", []byte("\xfe\xff\xd8\x00x"))
	f.Fuzz(func(t *testing.T, encoding, charset string, b []byte) {
		whole, err := io.ReadAll(DecodeTransfer(encoding, bytes.NewReader(b)))
		if err != nil || len(whole) > len(b) {
			t.Fatalf("%v: %d bytes became %d", err, len(b), len(whole))
		}
		pieces, err := io.ReadAll(DecodeTransfer(encoding, &smallReader{b}))
		if err != nil || !bytes.Equal(whole, pieces) {
			t.Fatalf("%v: %q in pieces is %q", err, whole, pieces)
		}
		text, err := io.ReadAll(ToUTF8(charset, bytes.NewReader(b)))
		if err != nil || !utf8.Valid(text) || len(text) > 4*len(b) {
			t.Fatalf("%v: %d bytes of %s became %d", err, len(b), charset, len(text))
		}
	})
}

// smallReader gives one byte a time.
type smallReader struct{ b []byte }

func (r *smallReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	p[0], r.b = r.b[0], r.b[1:]
	return 1, nil
}

func FuzzBuild(f *testing.F) {
	f.Add("Jörg", "a b  c", "x@y")
	f.Add("=?", strings.Repeat("é", 100), "a\tb")
	f.Fuzz(func(t *testing.T, name, text, address string) {
		var b Builder
		b.Text("Subject", text)
		b.Mailboxes("To", []Mailbox{{Name: name, Local: address, Host: "example.org"}, {Local: "x", Host: "y"}})
		header, err := b.Bytes()
		if err != nil {
			return
		}
		fields := 0
		for range Header(header).Fields() {
			fields++
		}
		if fields != 2 || HeaderEnd(header) != len(header) {
			t.Fatalf("%d fields in %q", fields, header)
		}
		for line := range strings.Lines(string(header)) {
			if len(line) > hardLine+2 || strings.Trim(line, " \t\r\n") == "" {
				t.Fatalf("line %q", line)
			}
		}
		if boxes := ParseAddresses(Header(header).Get("To")); address != "" && utf8.ValidString(address) && utf8.ValidString(name) {
			if len(boxes) != 2 || boxes[0].Local != address || boxes[0].Host != "example.org" || boxes[1].Address() != "x@y" {
				t.Fatalf("%q %q came back as %s by %q", name, address, list(boxes), header)
			}
			if got := boxes[0].DisplayName(); strings.TrimSpace(got) != strings.TrimSpace(cleanText([]byte(name))) {
				t.Fatalf("name %q came back as %q by %q", name, got, header)
			}
		}
		want := strings.Trim(strings.ToValidUTF8(text, "\uFFFD"), " \t")
		if got := strings.Trim(DecodeText(Header(header).Get("Subject")), " \t"); got != cleanText([]byte(want)) {
			t.Fatalf("subject %q came back as %q by %q", want, got, header)
		}
	})
}
