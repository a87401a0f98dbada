package sendmail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"facteur/internal/mail/message"
	"facteur/internal/test/doubling"
)

var alice = message.Mailbox{Name: "Alice", Local: "alice", Host: "example.org"}

func read(t *testing.T, text string, noDot, fromHeader bool) (*letter, string, error) {
	t.Helper()
	l, err := readLetter(newInput(strings.NewReader(text), noDot, 1<<40), fromHeader, alice)
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(l.Close)
	out, err := io.ReadAll(l.open())
	return l, string(out), err
}

func TestReadLetter(t *testing.T) {
	t.Parallel()
	const from = "From: Alice <alice@example.org>\r\n"
	for name, c := range map[string]struct {
		in, want string
		noDot    bool
	}{
		"as it is":                   {in: "From: b@x\nSubject: s\n\nhello\n", want: "From: b@x\nSubject: s\n\r\nhello\n"},
		"CRLF":                       {in: "From: b@x\r\n\r\nhello\r\n", want: "From: b@x\r\n\r\nhello\r\n"},
		"without From":               {in: "Subject: s\n\nhello\n", want: from + "Subject: s\n\r\nhello\n"},
		"nothing":                    {in: "", want: from + "\r\n"},
		"only a body":                {in: "hello\nworld\n", want: from + "\r\nhello\nworld\n"},
		"a body after an empty line": {in: "\nSubject: no\n", want: from + "\r\nSubject: no\n"},
		"header runs into the body":  {in: "Subject: s\nhello world\nX: y\n", want: from + "Subject: s\n\r\nhello world\nX: y\n"},
		"no line end":                {in: "From: b@x", want: "From: b@x\r\n\r\n"},
		"body without line end":      {in: "From: b@x\n\nhello", want: "From: b@x\n\r\nhello"},
		"continued":                  {in: "From: b@x\nSubject: a\n b\n\tc\n\nhello\n", want: "From: b@x\nSubject: a\n b\n\tc\n\r\nhello\n"},
		"an mbox line":               {in: "From alice Mon Jan  1 00:00:00 2026\nFrom: b@x\n\nhello\n", want: "From: b@x\n\r\nhello\n"},
		"a quoted mbox line":         {in: ">From alice Mon\nFrom: b@x\n\nhello\n", want: "From: b@x\n\r\nhello\n"},
		"Bcc goes":                   {in: "From: b@x\nBCC: c@x,\n d@x\nTo: e@x\nbcc : f@x\n\nhello\n", want: "From: b@x\nTo: e@x\n\r\nhello\n"},
		"Resent-Bcc goes":            {in: "From: b@x\nResent-From: c@x\nResent-Bcc: c@x\n\n", want: "From: b@x\nResent-From: c@x\n\r\n"},
		"resent without From":        {in: "From: b@x\nResent-To: c@x\n\n", want: "Resent-From: Alice <alice@example.org>\r\nFrom: b@x\nResent-To: c@x\n\r\n"},
		"a dot ends":                 {in: "From: b@x\n\nhello\n.\nMAIL\n", want: "From: b@x\n\r\nhello\n"},
		"a dot and CRLF ends":        {in: "From: b@x\n\nhello\n.\r\nMAIL\n", want: "From: b@x\n\r\nhello\n"},
		"a dot at the end":           {in: "From: b@x\n\nhello\n.", want: "From: b@x\n\r\nhello\n"},
		"a dot in the header ends":   {in: "From: b@x\n.\nX: y\n", want: "From: b@x\n\r\n"},
		"a dot is text":              {in: "From: b@x\n\n.\n..\n.\n", want: "From: b@x\n\r\n.\n..\n.\n", noDot: true},
		"dots are text":              {in: "From: b@x\n\n..\n. \n.x\n", want: "From: b@x\n\r\n..\n. \n.x\n"},
		"a bare CR begins no field":  {in: "From: b@x\rBcc: c@x\n\nhello\n", want: "From: b@x Bcc: c@x\n\r\nhello\n"},
		"a dot within a long line":   {in: "From: b@x\n\n" + strings.Repeat("x", 32<<10) + ".\ny\n", want: "From: b@x\n\r\n" + strings.Repeat("x", 32<<10) + ".\ny\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got, err := read(t, c.in, c.noDot, false); err != nil || got != c.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestAddressees(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"To: a@x, B <b@x>\nCc: c@x\nBcc: d@x\nFrom: e@x\n":            "a@x b@x c@x d@x",
		"To: undisclosed-recipients:;\nBcc: d@x\n":                    "d@x",
		"To: friends: a@x, b@x;, c@x\n":                               "a@x b@x c@x",
		"To: root, \"a b\"@x\n":                                       `root "a b"@x`,
		"To: a@x\nResent-To: b@x\nResent-Bcc: c@x\n":                  "b@x c@x",
		"To: a@x\nto: b@x\n":                                          "a@x b@x",
		"Subject: To: a@x\n":                                          "",
		"To: \"a@evil\" <b@x>\n":                                      "b@x",
		"To:\n a@x (comment, c@x),\n =?utf-8?q?d=40x?= <e@x>\nX: y\n": "a@x e@x",
	} {
		l, _, err := read(t, header+"\nTo: body@x\n", false, true)
		if err != nil || strings.Join(l.recipients, " ") != want {
			t.Errorf("%q: %q, %v", header, l.recipients, err)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"LOC-012 a million recipients": {"To: " + strings.Repeat("a@x, ", 1_000_000), "larger than 4194304 bytes"},
		"LOC-012 10,000 recipients":    {"To: " + strings.Repeat("a@x,\n ", 10_000) + "a@x\n", "more than 9999 recipients"},
		"no address":                   {"To: a@x, bob at x\nCc: c@x\n", `"bob at x" in To is no address; the message was sent to nobody`},
		"a header without end":         {strings.Repeat("X: y\n", 1<<20), "larger than 4194304 bytes"},
	} {
		_, _, err := read(t, c.in, false, true)
		if err == nil || StatusOf(err) != DataErr || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// LOC-012: 10 GB on the standard input end where the server's limit is.
	in := newInput(io.MultiReader(strings.NewReader("Subject: x\n\n"), zeros{}), true, 1<<20)
	if _, err := readLetter(in, false, alice); err == nil || StatusOf(err) != DataErr || !strings.Contains(err.Error(), "1048576 bytes") {
		t.Error(err)
	}
	// An input that breaks is not a letter that ends.
	broken := io.MultiReader(strings.NewReader("Subject: x\n\nhello\n"), iotest.ErrReader(errors.New("gone")))
	if _, err := readLetter(newInput(broken, false, 1<<20), false, alice); StatusOf(err) != IOErr {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// A large letter waits in a file that nobody sees, and is read twice alike.
func TestLargeLetter(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	body := strings.Repeat("0123456789abcdef\n", 3*memoryMax/17)
	l, first, err := read(t, "From: b@x\n\n"+body, false, false)
	if err != nil || first != "From: b@x\n\r\n"+body || l.size() != int64(len(first)) || l.body.file == nil {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	if again, err := io.ReadAll(l.open()); err != nil || string(again) != first {
		t.Errorf("the second time %d bytes, %v", len(again), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	t.Setenv("TMPDIR", dir+"/absent")
	if _, _, err := read(t, "From: b@x\n\n"+body, false, false); StatusOf(err) != TempFail {
		t.Error(err)
	}
}

func FuzzLetter(f *testing.F) {
	for _, s := range []string{"", "a", "From x\nTo: a@b\n\n.\n", "To: a@b\r\n c@d\n\nx", "X:\n\r\n", ">From \n>From ", "\x00: \xff\n", "a:b\rBcc: c\n"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, noDot bool) {
		l, err := readLetter(newInput(strings.NewReader(s), noDot, 1<<20), true, alice)
		if err != nil {
			return
		}
		defer l.Close()
		out, err := io.ReadAll(l.open())
		if err != nil || int64(len(out)) != l.size() {
			t.Fatal(err)
		}
		h := message.Header(out[:message.HeaderEnd(out)])
		if h.Count("From") == 0 || h.Count("Bcc") > 0 || slices.Contains(l.recipients, "") {
			t.Errorf("%q: %q %q", s, out, l.recipients)
		}
		if len(out) > len(s)+len("From: Alice <alice@example.org>\r\nResent-From: Alice <alice@example.org>\r\n\r\n\r\n") {
			t.Errorf("%q grew to %q", s, out)
		}
	})
}

// Twice the header must not take four times as long.
func TestDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes time")
	}
	for name, line := range map[string]string{"fields": "X: y\n", "recipients": "To: a\n", "continuations": " x\n", "groups": "Cc: a:\n"} {
		doubling.Check(t, name, 4000, func(n int) func() {
			text := "To: a@x\n" + strings.Repeat(line, n)
			return func() { readLetter(newInput(strings.NewReader(text), false, 1<<40), true, alice) }
		})
	}
}

func ExampleStatusOf() {
	fmt.Println(StatusOf(nil), StatusOf(failf(NoUser, "x")), StatusOf(io.EOF))
	// Output: 0 67 75
}
