package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// mustParse parses and checks the invariants on the way.
func mustParse(t testing.TB, letter string) *Part {
	t.Helper()
	root, err := Parse(strings.NewReader(letter), Limits{})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	checkTree(t, root, int64(len(letter)))
	return root
}

// checkTree checks what the package doc promises of offsets.
func checkTree(t testing.TB, root *Part, size int64) {
	t.Helper()
	if root.Header != 0 || root.End != size {
		t.Fatalf("root is [%d, %d), the letter has %d bytes", root.Header, root.End, size)
	}
	var check func(p *Part)
	check = func(p *Part) {
		if p.Header > p.Body || p.Body > p.End || p.Lines < 0 || p.Lines > p.End-p.Body {
			t.Fatalf("bad part: %d %d %d, %d lines", p.Header, p.Body, p.End, p.Lines)
		}
		if p.Type == "" || p.Subtype == "" || p.Encoding == "" {
			t.Fatalf("part without type or encoding: %+v", p)
		}
		if len(p.Children) > 0 && !p.Multipart() && !p.Message() {
			t.Fatalf("%s/%s has children", p.Type, p.Subtype)
		}
		at := p.Body
		for _, c := range p.Children {
			if c.Header < at || c.End > p.End {
				t.Fatalf("child [%d, %d) outside [%d, %d)", c.Header, c.End, at, p.End)
			}
			at = c.End
			check(c)
		}
	}
	check(root)
}

// sketch writes a tree as text: types, offsets, and what else is there.
func sketch(p *Part) string {
	var b strings.Builder
	var write func(p *Part, indent string)
	write = func(p *Part, indent string) {
		fmt.Fprintf(&b, "%s%s/%s %d-%d-%d lines=%d %s", indent, p.Type, p.Subtype, p.Header, p.Body, p.End, p.Lines, p.Encoding)
		for _, q := range p.Params {
			fmt.Fprintf(&b, " %s=%q", q.Name, q.Value)
		}
		if p.Disposition != "" {
			fmt.Fprintf(&b, " disposition=%s%q", p.Disposition, p.DispParams)
		}
		for _, s := range []string{p.ID, p.Description, p.MD5, p.Location} {
			if s != "" {
				fmt.Fprintf(&b, " %q", s)
			}
		}
		if p.Language != nil {
			fmt.Fprintf(&b, " language=%q", p.Language)
		}
		if p.Odd != 0 {
			fmt.Fprintf(&b, " odd=%#x", uint16(p.Odd))
		}
		b.WriteByte('\n')
		if e := p.Envelope; e != nil {
			fmt.Fprintf(&b, "%s  date %q subject %q id %q irt %q\n", indent, e.Date, e.Subject, e.MessageID, e.InReplyTo)
			fmt.Fprintf(&b, "%s  from %s sender %s reply-to %s to %s cc %s bcc %s\n", indent, list(e.From), list(e.Sender), list(e.ReplyTo), list(e.To), list(e.Cc), list(e.Bcc))
		}
		for _, c := range p.Children {
			write(c, indent+"    ")
		}
	}
	write(p, "")
	return b.String()
}

// list writes mailboxes as name|route|local|host, groups as name:{ and }.
func list(boxes []Mailbox) string {
	out := []string{}
	for _, m := range boxes {
		switch {
		case m.GroupStart:
			out = append(out, m.Local+":{")
		case m.GroupEnd:
			out = append(out, "}")
		default:
			out = append(out, m.Name+"|"+m.Route+"|"+m.Local+"|"+m.Host)
		}
	}
	return "[" + strings.Join(out, " ") + "]"
}

// outline is the types only, children in parentheses.
func outline(p *Part) string {
	s := p.Type + "/" + p.Subtype
	if len(p.Children) == 0 {
		return s
	}
	var children []string
	for _, c := range p.Children {
		children = append(children, outline(c))
	}
	return s + "(" + strings.Join(children, " ") + ")"
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestParseOffsets(t *testing.T) {
	letter := crlf("From: a@b\nContent-Type: multipart/mixed; boundary=x\n\npreamble\n--x\nContent-Type: text/plain\n\none\ntwo\n--x \t\n\nno header\n--x\nContent-Type: text/html\n\n--x\nContent-Type: image/png\n--x--\nepilogue\n")
	root := mustParse(t, letter)
	want := []struct{ header, body string }{
		{"Content-Type: text/plain\r\n\r\n", "one\r\ntwo"},
		{"\r\n", "no header"},
		{"Content-Type: text/html\r\n\r\n", ""},
		{"Content-Type: image/png\r\n", ""},
	}
	if len(root.Children) != len(want) {
		t.Fatalf("%d parts, want %d:\n%s", len(root.Children), len(want), sketch(root))
	}
	for i, w := range want {
		p := root.Children[i]
		if header, body := letter[p.Header:p.Body], letter[p.Body:p.End]; header != w.header || body != w.body {
			t.Errorf("part %d is %q %q, want %q %q", i+1, header, body, w.header, w.body)
		}
		if n := strings.Count(w.body, "\n"); p.Lines != int64(n) {
			t.Errorf("part %d: %d lines, want %d", i+1, p.Lines, n)
		}
	}
	if root.Odd != 0 {
		t.Errorf("odd: %#x", root.Odd)
	}
}

// letterOf makes a multipart with the given boundary parameter and body.
func letterOf(boundary, body string) string {
	return crlf("Content-Type: multipart/mixed; boundary=" + boundary + "\n\n" + body)
}

func TestParseInterpretation(t *testing.T) {
	long := func(n int) string { return strings.Repeat("b", n) }
	tests := []struct {
		name, letter, want string
		odd                Oddity // of the root
	}{
		{"MIME-004 prefix of another", letterOf("ab", "--ab\nContent-Type: multipart/mixed; boundary=abc\n\n--abc\n\nx\n--abc--\n--ab--\n"), "multipart/mixed(multipart/mixed(text/plain))", 0},
		{"MIME-004 other way round", letterOf("abc", "--abc\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\nx\n--ab--\n--abc--\n"), "multipart/mixed(multipart/mixed(text/plain))", 0},
		{"MIME-004 outer closes inner", letterOf("o", "--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--o\n\ny\n--i\n\nz\n--o--\n"), "multipart/mixed(multipart/mixed(text/plain) text/plain)", 0},
		{"MIME-004 same boundary", letterOf("x", "--x\nContent-Type: multipart/alternative; boundary=x\n\n--x\n\n1\n--x--\n--x\n\n2\n--x--\n"), "multipart/mixed(multipart/alternative(text/plain) text/plain)", 0},
		{"MIME-004 empty", letterOf(`""`, "--\n\nx\n----\n"), "multipart/mixed", BadBoundary},
		{"MIME-004 none", crlf("Content-Type: multipart/mixed\n\n--\n\nx\n"), "multipart/mixed", BadBoundary},
		{"MIME-004 70", letterOf(long(70), "--"+long(70)+"\n\nx\n--"+long(70)+"--\n"), "multipart/mixed(text/plain)", 0},
		{"MIME-004 71", letterOf(long(71), "--"+long(71)+"\n\nx\n--"+long(71)+"--\n"), "multipart/mixed(text/plain)", LongBoundary},
		{"MIME-004 2048", letterOf(long(2048), "--"+long(2048)+"\n\nx\n--"+long(2048)+"--\n"), "multipart/mixed(text/plain)", LongBoundary},
		{"MIME-004 2049", letterOf(long(2049), "--"+long(2049)+"\n\nx\n--"+long(2049)+"--\n"), "multipart/mixed", BadBoundary},
		{"MIME-004 ends with space", letterOf(`"x "`, "--x \n\nx\n--x--\n"), "multipart/mixed(text/plain)", 0},
		{"MIME-004 unterminated", letterOf("x", "--x\n\nx\n--x\n\ny"), "multipart/mixed(text/plain text/plain)", Unterminated},
		{"MIME-004 only in preamble", letterOf("x", "text about --x\n"), "multipart/mixed", Unterminated},
		{"MIME-004 after the last", letterOf("x", "--x\n\nx\n--x--\n--x\n\ny\n"), "multipart/mixed(text/plain)", 0},
		{"MIME-004 garbage after", letterOf("x", "--x\n\nx\n--xy\n--x--y\n--x--\n"), "multipart/mixed(text/plain)", 0},
		{"MIME-004 delimiter in the header", letterOf("x", "--x\nContent-Type: text/html\n--x\n\ny\n--x--"), "multipart/mixed(text/html text/plain)", 0},
		{"MIME-005 two Content-Type", crlf("Content-Type: text/html\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ny\n--x--\n"), "text/html", DuplicateField},
		{"MIME-005 two boundaries", letterOf("x; boundary=y", "--y\n\n1\n--x\n\n2\n--x--\n"), "multipart/mixed(text/plain)", DuplicateParam},
		{"MIME-005 encoded multipart", crlf("Content-Transfer-Encoding: base64\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ny\n--x--\n"), "multipart/mixed(text/plain)", BadEncoding},
		{"MIME-005 unknown encoding", crlf("Content-Transfer-Encoding: rot13\n\nx\n"), "text/plain", BadEncoding},
		{"unreadable type", crlf("Content-Type: text; charset=utf-8\n\nx\n"), "text/plain", BadType},
		{"digest", crlf("Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: a\n\nb\n--x\nContent-Type: text/plain\n\nc\n--x--\n"), "multipart/digest(message/rfc822(text/plain) text/plain)", 0},
		{"message/global", crlf("Content-Type: message/global\n\nSubject: é\n\nb\n"), "message/global(text/plain)", 0},
		{"encoded message", crlf("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQp5DQo=\n"), "message/rfc822(text/plain)", BadEncoding},
		{"comments and case", crlf("CONTENT-TYPE: (a) TEXT (b(c)) / (d) Html (e)\n ; (f) CharSet (g) = (h) \"utf-8\" (i)\n\nx\n"), "text/html", 0},
		{"nothing", "", "text/plain", 0},
		{"only an empty line", "\r\n", "text/plain", 0},
		{"only a body", "\nbody", "text/plain", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, letter := range []string{tt.letter, strings.ReplaceAll(tt.letter, "\r\n", "\n")} {
				root := mustParse(t, letter)
				if got := outline(root); got != tt.want || root.Odd != tt.odd {
					t.Errorf("got %s odd %#x, want %s odd %#x\n%s", got, root.Odd, tt.want, tt.odd, sketch(root))
				}
			}
		})
	}
}

// nested is a multipart n deep.
func nested(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\nx\r\n")
	for i := n - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "--b%d--\r\n", i)
	}
	return b.String()
}

// measure gives the depth and the number of parts of a tree.
func measure(p *Part) (depth, parts int) {
	parts = 1
	for _, c := range p.Children {
		d, n := measure(c)
		depth, parts = max(depth, d+1), parts+n
	}
	return depth, parts
}

func TestParseLimits(t *testing.T) {
	t.Run("MIME-001 deep multiparts", func(t *testing.T) {
		root := mustParse(t, nested(10_000))
		if depth, _ := measure(root); depth != 100 {
			t.Errorf("depth %d, want 100", depth)
		}
		p := root
		for len(p.Children) > 0 {
			p = p.Children[0]
		}
		if p.Odd&DepthLimit == 0 || p.Type != "application" {
			t.Errorf("deepest part is %s/%s, odd %#x", p.Type, p.Subtype, p.Odd)
		}
	})
	t.Run("MIME-001 deep messages", func(t *testing.T) {
		root := mustParse(t, strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 10_000))
		if depth, _ := measure(root); depth != 100 {
			t.Errorf("depth %d, want 100", depth)
		}
	})
	t.Run("MIME-003 empty siblings", func(t *testing.T) {
		root := mustParse(t, letterOf("x", strings.Repeat("--x\n", 200_000)))
		if _, parts := measure(root); parts != 10_000 || root.Odd&PartLimit == 0 {
			t.Errorf("%d parts, want 10000; odd %#x", parts, root.Odd)
		}
	})
	t.Run("MIME-003 sibling messages", func(t *testing.T) {
		root := mustParse(t, strings.ReplaceAll(letterOf("x", strings.Repeat("--x\n\nSubject: x\n\n", 20_000)), "mixed", "digest"))
		if _, parts := measure(root); parts > 10_000 {
			t.Errorf("%d parts", parts)
		}
	})
	t.Run("MIME-006 many To fields", func(t *testing.T) {
		root := mustParse(t, strings.Repeat("To: a@b\r\n", 100_000)+"Subject: s\r\n\r\nx")
		if n := len(root.Envelope.To); n != 10_000 || root.Odd&HeaderLimit == 0 {
			t.Errorf("%d addresses, odd %#x", n, root.Odd)
		}
	})
	t.Run("MIME-006 one To with 100000 addresses", func(t *testing.T) {
		root := mustParse(t, "To: "+strings.Repeat("a@b,", 100_000)+"\r\nCc: c@d\r\n\r\nx")
		if n := len(root.Envelope.To) + len(root.Envelope.Cc); n != 10_000 {
			t.Errorf("%d addresses", n)
		}
	})
	t.Run("MIME-007 one field of 10 MiB", func(t *testing.T) {
		root := mustParse(t, "From: a@b\r\nSubject: "+strings.Repeat("x", 10<<20)+"\r\nTo: c@d\r\n\r\nbody")
		if n := len(root.Envelope.Subject); n > 1<<20 || root.Odd&HeaderLimit == 0 || root.End-root.Body != 4 || len(root.Envelope.From) != 1 {
			t.Errorf("subject of %d bytes, odd %#x, body of %d", n, root.Odd, root.End-root.Body)
		}
	})
	t.Run("MIME-007 a million fields", func(t *testing.T) {
		root := mustParse(t, "Subject: first\r\n"+strings.Repeat("X: y\r\n", 1_000_000)+"\r\nbody")
		if root.Envelope.Subject != "first" || root.End-root.Body != 4 || root.Odd&HeaderLimit == 0 {
			t.Error(sketch(root))
		}
	})
	t.Run("MIME-007 odd names", func(t *testing.T) {
		root := mustParse(t, crlf(strings.Repeat("n", 100<<10)+": x\nno colon\nna me: x\nn\xe9: y\n: z\nSubject \t: s\n continued\nDate:d\n\nbody"))
		if e := root.Envelope; e.Subject != "s continued" || e.Date != "d" || root.End-root.Body != 4 {
			t.Error(sketch(root))
		}
	})
	t.Run("total of headers", func(t *testing.T) {
		part := "--x\r\nContent-Description: " + strings.Repeat("d", 30<<10) + "\r\n\r\n\r\n"
		root := mustParse(t, letterOf("x", strings.Repeat(part, 1000)))
		kept := 0
		for _, c := range root.Children {
			kept += len(c.Description)
		}
		if kept > 4<<20 || kept < 3<<20 || len(root.Children) != 1000 {
			t.Errorf("kept %d bytes of %d parts", kept, len(root.Children))
		}
	})
	t.Run("zero is not unlimited", func(t *testing.T) {
		if l := (Limits{Depth: 1 << 30}).withDefaults(); l.Depth != maxDepth || l.Parts == 0 || l.Fields == 0 {
			t.Errorf("%+v", l)
		}
	})
}

// TestParseReaders gives the same letter in other portions.
func TestParseReaders(t *testing.T) {
	letters := []string{nested(20), string(bigMultipart(100 << 10)), string(plainLetter(50 << 10)),
		letterOf("x", strings.Repeat("-", sourceSize*3)+"\n--x\n\n"+strings.Repeat("y", sourceSize-3)+"\n--x--"),
		letterOf("x", "--x\n\n"+strings.Repeat("--y\n-\n\n--", 20_000)+"\n--x--\n")}
	for i, letter := range letters {
		want := sketch(mustParse(t, letter))
		for name, r := range map[string]io.Reader{
			"one byte": iotest.OneByteReader(strings.NewReader(letter)),
			"halves":   iotest.HalfReader(strings.NewReader(letter)),
			"data+EOF": iotest.DataErrReader(strings.NewReader(letter)),
		} {
			root, err := Parse(r, Limits{})
			if err != nil || sketch(root) != want {
				t.Errorf("letter %d by %s: %v\n%s\nwant\n%s", i, name, err, sketch(root), want)
			}
		}
	}
	broken := errors.New("disk on fire")
	root, err := Parse(io.MultiReader(strings.NewReader(letters[0][:300]), iotest.ErrReader(broken)), Limits{})
	if err != broken || root == nil || root.End != 300 {
		t.Errorf("broken reader: %v, %+v", err, root)
	}
	if _, err := Parse(stuckReader{}, Limits{}); err != io.ErrNoProgress {
		t.Errorf("stuck reader: %v", err)
	}
}

type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) { return 0, nil }

func TestParseEnvelope(t *testing.T) {
	root := mustParse(t, crlf("From: Bob <b@x>\nFrom: Eve <e@x>\nTo: a@x\nto: c@x\nSubject: =?utf-8?q?a?=\n\t b\x00c\nSubject: second\nMESSAGE-ID: <1@x>\nIn-Reply-To: <0@x>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nReply-To: friends: d@x;\n\nx"))
	want := &Envelope{
		Date: "Thu, 1 Jan 2026 00:00:00 +0000", Subject: "=?utf-8?q?a?=  b c", MessageID: "<1@x>", InReplyTo: "<0@x>",
		From:    []Mailbox{{Name: "Bob", Local: "b", Host: "x"}},
		To:      []Mailbox{{Local: "a", Host: "x"}, {Local: "c", Host: "x"}},
		ReplyTo: []Mailbox{{Local: "friends", GroupStart: true}, {Local: "d", Host: "x"}, {GroupEnd: true}},
	}
	if !reflect.DeepEqual(root.Envelope, want) {
		t.Errorf("got  %+v\nwant %+v", root.Envelope, want)
	}
}

func TestParseFields(t *testing.T) {
	root := mustParse(t, crlf("Content-Type: application/pdf; name=\"a b.pdf\"\nContent-ID: <1@x>\nContent-Description: A file\nContent-Transfer-Encoding: BASE64 (sic)\nContent-MD5: Q2hlY2s=\nContent-Disposition: ATTACHMENT; filename*0*=utf-8'en'%e2%82; filename*1*=%ac; filename*2=\" b.pdf\"; size=12\nContent-Language: de, en-GB (x)\nContent-Location: http://x/\n y\n\nx"))
	got := *root
	got.Envelope = nil
	want := Part{
		Body: got.Body, End: got.End, Type: "application", Subtype: "pdf", Params: []Param{{"name", "a b.pdf"}},
		ID: "<1@x>", Description: "A file", Encoding: "base64", MD5: "Q2hlY2s=", Disposition: "attachment",
		DispParams: []Param{{"filename*", "utf-8'en'%e2%82%ac%20b.pdf"}, {"size", "12"}},
		Language:   []string{"de", "en-GB"}, Location: "http://x/y",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if name := root.FileName(); name != "€ b.pdf" {
		t.Errorf("FileName %q", name)
	}
}

// TestMimekit compares the trees of letters with odd structures with golden
// text; UPDATE_GOLDEN=1 writes it.
func TestMimekit(t *testing.T) {
	files, _ := filepath.Glob("../../../../shared/suites/mimekit/*")
	if len(files) == 0 {
		if os.Getenv("FACTEUR_TEST_REQUIRE") == "1" {
			t.Fatal("the mimekit letters are missing")
		}
		t.Skip("the mimekit letters are not beside this project")
	}
	var got bytes.Buffer
	for _, file := range files {
		if filepath.Base(file) == "LICENSE" {
			continue
		}
		letter, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "== %s\n%s\n", filepath.Base(file), sketch(mustParse(t, string(letter))))
	}
	const golden = "testdata/mimekit.golden"
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			t.Fatalf("line %d:\n got %s\nwant %s", i+1, gotLines[i], wantLines[i])
		}
	}
	if len(gotLines) != len(wantLines) {
		t.Fatalf("%d lines, want %d", len(gotLines), len(wantLines))
	}
}
