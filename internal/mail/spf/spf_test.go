package spf_test

import (
	"net/netip"
	"testing"

	"facteur/internal/mail/spf"
)

// row 163: the field as the texts show it.
func TestHeader(t *testing.T) {
	q := spf.Question{IP: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example.com", Sender: "jdoe@example.com"}
	cases := []struct {
		name, want string
		result     spf.Result
		change     func(*spf.Question)
	}{
		{"row 163 pass", "Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=mail.example.com; envelope-from=jdoe@example.com; receiver=<UNKNOWN>",
			spf.Result{Status: spf.Pass, Identity: spf.MailFrom}, nil},
		{"row 163 softfail", "Softfail (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=mail.example.com; envelope-from=jdoe@example.com; receiver=<UNKNOWN>",
			spf.Result{Status: spf.SoftFail, Identity: spf.MailFrom}, nil},
		{"AUT-006 null sender, IPv4 in IPv6", "Pass (helo) identity=helo; client-ip=192.0.2.1; helo=mail.example.com; envelope-from=<>; receiver=mx.example.org",
			spf.Result{Status: spf.Pass, Identity: spf.Helo}, func(q *spf.Question) {
				q.IP, q.Sender, q.Receiver = netip.MustParseAddr("::ffff:192.0.2.1"), "", "mx.example.org"
			}},
		{"a client that wants to write our headers", `Fail (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo="a; receiver=you??X: \"y\""; envelope-from="\"a b\"@example.com"; receiver=<UNKNOWN>`,
			spf.Result{Status: spf.Fail, Identity: spf.MailFrom}, func(q *spf.Question) {
				q.Helo, q.Sender = "a; receiver=you\r\nX: \"y\"", `"a b"@example.com`
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q := q
			if c.change != nil {
				c.change(&q)
			}
			if got := spf.Header(c.result, q); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
