package message

import (
	"io"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

// TestDoubling feeds each parser what would make a careless one quadratic.
// Doubling the input may not quadruple the time.
func TestDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	rep := strings.Repeat
	parse := func(letter string) { Parse(strings.NewReader(letter), Limits{}) }
	addresses := func(s string) { ParseAddresses(s) }
	text := func(s string) { DecodeText(s) }
	params := func(s string) { parseContentType(s) }
	decode := func(encoding string) func(string) {
		return func(s string) {
			io.Copy(io.Discard, ToUTF8("iso-2022-jp", DecodeTransfer(encoding, strings.NewReader(s))))
		}
	}
	for _, tt := range []struct {
		name string
		make func(n int) string // about n bytes
		run  func(string)
	}{
		{"MIME-001 nested", func(n int) string { return nested(n / 60) }, parse},
		{"MIME-001 messages", func(n int) string { return rep("Content-Type: message/rfc822\n\n", n/30) }, parse},
		{"MIME-003 siblings", func(n int) string { return letterOf("x", rep("--x\n", n/4)) }, parse},
		{"MIME-004 dashes", func(n int) string { return nested(100)[:6000] + rep("\n--", n/3) }, parse},
		{"MIME-004 near misses", func(n int) string { return letterOf(rep("b", 2000), rep("--"+rep("b", 1999)+"\n", n/2000)) }, parse},
		{"MIME-004 one line of dashes", func(n int) string { return letterOf("x", rep("-", n)) }, parse},
		{"MIME-006 To fields", func(n int) string { return rep("To: a@b\n", n/8) }, parse},
		{"MIME-007 fields", func(n int) string { return rep("a:\n", n/3) }, parse},
		{"MIME-007 folds", func(n int) string { return "To: " + rep("\n ", n/2) }, parse},
		{"MIME-006 commas", func(n int) string { return rep(",", n) }, addresses},
		{"MIME-006 comments", func(n int) string { return rep("(", n) }, addresses},
		{"MIME-006 closed comments", func(n int) string { return rep("()", n/2) }, addresses},
		{"MIME-006 routes", func(n int) string { return rep("<@", n/2) }, addresses},
		{"MIME-006 routes apart", func(n int) string { return rep("<@,", n/3) }, addresses},
		{"MIME-006 quotes", func(n int) string { return rep(`"\"`, n/3) }, addresses},
		{"MIME-006 words", func(n int) string { return rep("a ", n/2) + "@b" }, addresses},
		{"MIME-006 dots", func(n int) string { return rep("a . ", n/4) + "@" + rep("b . ", n/4) }, addresses},
		{"MIME-006 brackets", func(n int) string { return "a@" + rep("[", n) }, addresses},
		{"MIME-006 group ends", func(n int) string { return rep("a:b;", n/4) }, addresses},
		{"MIME-009 starts", func(n int) string { return rep("=?", n/2) }, text},
		{"MIME-009 unended", func(n int) string { return rep("=?utf-8?q?", n/10) }, text},
		{"MIME-009 words", func(n int) string { return rep("=?utf-8?q?=e2?= ", n/16) }, text},
		{"MIME-009 ends far away", func(n int) string { return rep("=?utf-8?q?", n/20) + rep("?=", n/4) }, text},
		{"parameters", func(n int) string { return "a/b" + rep(";a*0=b", n/6) }, params},
		{"parameter junk", func(n int) string { return "a/b" + rep(`"x" (`, n/5) }, params},
		{"MIME-019 date", func(n int) string { return rep("1 : ", n/4) }, func(s string) { ParseDate(s) }},
		{"MIME-019 commas", func(n int) string { return rep(", ", n/2) }, func(s string) { ParseDate(s) }},
		{"MIME-020 ids", func(n int) string { return rep("<", n) }, func(s string) { MessageID(s) }},
		{"MIME-020 quotes", func(n int) string { return rep(`<"`, n/2) }, func(s string) { References(s) }},
		{"MIME-021 references", func(n int) string { return rep("<a@b>", n/5) }, func(s string) { References(s) }},
		{"subject blobs", func(n int) string { return rep("[]", n/2) + "x" }, func(s string) { BaseSubject(s) }},
		{"subject brackets", func(n int) string { return rep("[", n) }, func(s string) { BaseSubject(s) }},
		{"subject fwd", func(n int) string { return rep("[fwd:", n/6) + rep("]", n/6) }, func(s string) { BaseSubject(s) }},
		{"subject re", func(n int) string { return rep("re[x]:", n/6) }, func(s string) { BaseSubject(s) }},
		{"MIME-005 base64", func(n int) string { return rep("=A", n/2) }, decode("base64")},
		{"MIME-005 spaces", func(n int) string { return rep(" ", n) }, decode("quoted-printable")},
		{"MIME-005 equals", func(n int) string { return rep("= ", n/2) }, decode("quoted-printable")},
		{"MIME-011 escapes", func(n int) string { return rep("\x1b$B", n/3) }, decode("7bit")},
		{"file name", func(n int) string { return rep("../", n/3) + rep(".", n) }, func(s string) { SafeFileName(s) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doubling.Check(t, tt.name, 1<<18, func(n int) func() {
				in := tt.make(n)
				return func() { tt.run(in) }
			})
		})
	}
}
