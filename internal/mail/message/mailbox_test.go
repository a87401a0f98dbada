package message

import (
	"strings"
	"testing"
)

// addressTests write results as list does: name|route|local|host.
var addressTests = []struct{ in, want string }{
	{"", "[]"},
	{"joe@example.org", "[||joe|example.org]"},
	{"Joe Q. Public <john.q.public@example.com>", "[Joe Q. Public||john.q.public|example.com]"}, // RFC 5322 A.1.2
	{`Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>`, "[Mary Smith||mary|x.test ||jdoe|example.org Who?||one|y.test]"},
	{`<boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>`, `[||boss|nil.test Giant; "Big" Box||sysservices|example.net]`},
	{"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;", "[A Group:{ Ed Jones||c|a.test ||joe|where.test John||jdoe|one.test }]"}, // A.1.3
	{"Undisclosed recipients:;", "[Undisclosed recipients:{ }]"},
	{`Pete(A nice \) chap) <pete(his account)@silly.test(his host)>`, "[Pete||pete|silly.test]"}, // A.5
	{"A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end of the group)", "[A Group:{ Chris Jones||c|public.example ||joe|example.org John||jdoe|one.test }]"},
	{"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "[Hidden recipients:{ }]"},
	{"Joe Q. Public <john.q.public@example.com>, Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example", "[Joe Q. Public||john.q.public|example.com Mary Smith|@node.test|mary|example.net ||jdoe|test.example]"}, // A.6.1
	{"<@a,@b:c@d>", "[|@a,@b|c|d]"},
	{"joe . q @ x . y", "[||joe.q|x.y]"},
	{"joe@example.org (Joe (the) one)", "[Joe (the) one||joe|example.org]"},
	{`"a b"@x, "q"."r"@y`, `[||a b|x ||q.r|y]`},
	{"user@[192.0.2.1], u@[IPv6:2001:db8::1]", "[||user|[192.0.2.1] ||u|[IPv6:2001:db8::1]]"},
	{"=?utf-8?q?J=C3=B6rg?= <j@x>, Jörg <jörg@exämple.org>", "[=?utf-8?q?J=C3=B6rg?=||j|x Jörg||jörg|exämple.org]"},
	{"root, Mail Daemon", "[||root| Mail Daemon|||]"},
	{"MAILER-DAEMON <>, <>", "[MAILER-DAEMON|||]"},
	{"a@b;c@d", "[||a|b ||c|d]"},
	{"unterminated <a@b, c@d", "[unterminated||a|b ||c|d]"},
	{`"unterminated <a@b>, c@d`, "[unterminated <a@b>, c@d|||]"},
	{"(unterminated a@b", "[]"},
	{"(only a comment), x", "[||x|]"},
	{"a@b (unterminated, c@d", "[unterminated, c@d||a|b]"},
	{"g: h: a@b;; c@d", "[g:{ h:||a|b } ||c|d]"},
	{"g: a@b", "[g:{ ||a|b }]"},
	{"a b c@d", "[a b||c|d]"},
	{"<a@b> <c@d>, x", "[||a|b ||x|]"},
	{"Eve <eve@evil> bob@good", "[Eve||eve|evil]"},
	{`"bob@good" <eve@evil>`, "[bob@good||eve|evil]"},
	{"bob@good <eve@evil>", "[bob@good||eve|evil]"},
}

func TestParseAddresses(t *testing.T) {
	for _, tt := range addressTests {
		if got := list(ParseAddresses(tt.in)); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

func TestParseAddressesBounds(t *testing.T) {
	for name, in := range map[string]string{
		"MIME-006 100000 addresses": strings.Repeat("a@b,", 100_000),
		"MIME-006 groups":           strings.Repeat("a:;", 100_000),
		"MIME-006 one big group":    "g:" + strings.Repeat("a@b,", 100_000),
		"MIME-006 comment nest":     strings.Repeat("(", 64<<10) + "a@b",
		"MIME-006 angles":           strings.Repeat("<", 64<<10),
		"MIME-006 routes":           strings.Repeat("<@", 64<<10),
	} {
		boxes := ParseAddresses(in)
		if n := len(boxes); n > MaxAddresses {
			t.Errorf("%s: %d addresses", name, n)
		}
		open := false
		for _, m := range boxes {
			open = m.GroupStart || open && !m.GroupEnd
		}
		if open {
			t.Errorf("%s: a group does not end", name)
		}
	}
}

func TestMailboxAddress(t *testing.T) {
	for _, tt := range []struct {
		m    Mailbox
		want string
	}{
		{Mailbox{Local: "a", Host: "b"}, "a@b"},
		{Mailbox{Local: "a b", Host: "c"}, `"a b"@c`},
		{Mailbox{Local: `a"\`, Host: "c"}, `"a\"\\"@c`},
		{Mailbox{Local: "root"}, "root"},
		{Mailbox{Local: "group", GroupStart: true}, ""},
	} {
		if got := tt.m.Address(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.m, got, tt.want)
		}
	}
}
