package spf_test

import (
	"context"
	"net/netip"
	"testing"

	"facteur/internal/mail/spf"
	"facteur/internal/test/sim"
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

// Rows 164 and 165: what an admin who wrote policyd-spf.conf wanted.
func TestPolicy(t *testing.T) {
	q := spf.Question{IP: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example.com", Sender: "jdoe@example.com"}
	result := func(s spf.Status, id spf.Identity) *spf.Result {
		return &spf.Result{Status: s, Identity: id, Domain: "example.com", Mechanism: "-all", Problem: "two records"}
	}
	statuses := []spf.Status{spf.Pass, spf.None, spf.Neutral, spf.SoftFail, spf.Fail, spf.TempError, spf.PermError}
	cases := []struct {
		name     string
		policy   spf.Policy
		id       spf.Identity
		null     bool
		refused  string // of statuses, a letter each: . accept, r reject, d defer
		wouldToo string
	}{
		{"row 164 never", spf.Policy{MailFrom: spf.Never}, spf.MailFrom, false, ".......", ""},
		{"row 164 Fail", spf.Policy{MailFrom: spf.OnFail}, spf.MailFrom, false, "....r..", ""},
		{"row 164 Softfail", spf.Policy{MailFrom: spf.OnSoftFail}, spf.MailFrom, false, "...rr..", ""},
		{"row 164 SPF_Not_Pass", spf.Policy{MailFrom: spf.OnNotPass}, spf.MailFrom, false, "..rrr..", ""},
		{"row 164 HELO Fail", spf.Policy{Helo: spf.OnFail}, spf.Helo, false, "....r..", ""},
		{"row 164 HELO of another level", spf.Policy{MailFrom: spf.OnNotPass, Helo: spf.Never}, spf.Helo, false, ".......", ""},
		{"row 164 HELO Null, with a sender", spf.Policy{Helo: spf.NullSenderFail}, spf.Helo, false, ".......", ""},
		{"row 164 HELO Null, without", spf.Policy{Helo: spf.NullSenderFail}, spf.Helo, true, "....r..", ""},
		{"row 165 PermError_reject", spf.Policy{MailFrom: spf.OnFail, RejectPermError: true}, spf.MailFrom, false, "....r.r", ""},
		{"row 165 TempError_Defer", spf.Policy{MailFrom: spf.OnFail, DeferTempError: true}, spf.MailFrom, false, "....rd.", ""},
		{"row 165 both, where nothing is refused", spf.Policy{MailFrom: spf.Never, RejectPermError: true, DeferTempError: true}, spf.MailFrom, false, ".......", ""},
		{"row 165 Reject_Not_Pass_Domains", spf.Policy{MailFrom: spf.Never, NotPass: []string{"example.com"}}, spf.MailFrom, false, "..rrr..", ""},
		{"row 165 Reject_Not_Pass_Domains, others", spf.Policy{MailFrom: spf.Never, NotPass: []string{"ample.com"}}, spf.MailFrom, false, ".......", ""},
		{"row 165 No_Mail, for others", spf.Policy{MailFrom: spf.OnFail, OnlyNoMail: true}, spf.MailFrom, false, ".......", ""},
		{"row 165 TestOnly", spf.Policy{MailFrom: spf.OnFail, TestOnly: true}, spf.MailFrom, false, ".......", "....r.."},
		{"AUT-004 no policy makes a temporary error a refusal", spf.Policy{MailFrom: spf.OnNotPass, RejectPermError: true, NotPass: []string{"example.com"}}, spf.MailFrom, false, "..rrr.r", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q := q
			if c.null {
				q.Sender = ""
			}
			got, would := "", ""
			for _, s := range statuses {
				d := c.policy.Decide(q, result(s, c.id), nil)
				got, would = got+letter(d.Action), would+letter(d.Would)
			}
			if c.wouldToo == "" {
				c.wouldToo = c.refused
			}
			if got != c.refused || would != c.wouldToo {
				t.Errorf("%s (would be %s), want %s (%s)", got, would, c.refused, c.wouldToo)
			}
		})
	}
	t.Run("row 165 No_Mail", func(t *testing.T) {
		r := result(spf.Fail, spf.MailFrom)
		r.NoMail = true
		if d := (spf.Policy{MailFrom: spf.OnFail, OnlyNoMail: true}).Decide(q, nil, r); d.Action != spf.Reject {
			t.Errorf("%+v", d)
		}
	})
	t.Run("row 165 Reason_Message", func(t *testing.T) {
		r := result(spf.Fail, spf.MailFrom)
		r.Explanation = "ask\r\nour admin"
		for template, want := range map[string]string{
			"": "Message rejected: example.com does not allow 192.0.2.1 to send its mail (SPF: -all). example.com explains: ask??our admin",
			"Message {rejectdefer} due to sender SPF Policy.":   "Message rejected due to sender SPF Policy.",
			"{identity} {domain} {ip} {result} and {identity}.": "mailfrom example.com 192.0.2.1 fail and mailfrom.",
		} {
			d := spf.Policy{MailFrom: spf.OnFail, Reason: template}.Decide(q, nil, r)
			if d.Text != want || d.Code != "5.7.23" {
				t.Errorf("%s %q, want %q", d.Code, d.Text, want)
			}
		}
		d := spf.Policy{MailFrom: spf.OnFail, DeferTempError: true}.Decide(q, nil, result(spf.TempError, spf.MailFrom))
		if d.Code != "4.7.24" || d.Result == nil {
			t.Errorf("%+v", d)
		}
	})
}

func letter(a spf.Action) string {
	return map[spf.Action]string{spf.Accept: ".", spf.Reject: "r", spf.Defer: "d"}[a]
}

// Row 165: who is not checked at all.
func TestExemptions(t *testing.T) {
	r := sim.Zone(t, `
		relay.example.com.  A 192.0.2.7
		forwarder.example.  TXT "v=spf1 ip4:192.0.2.8 -all"
		example.net.        TXT "v=spf1 -all"
		mail.example.com.   TXT "v=spf1 a -all"
		mail.example.com.   A 192.0.2.1
	`).SPF()
	x := spf.Exemptions{Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
		Helo: []string{"relay.example.com"}, Domains: []string{"forwarder.example"}, Names: []string{"yahoo.example"}}
	p := spf.Policy{MailFrom: spf.OnFail, Helo: spf.Never}
	for _, c := range []struct{ ip, helo, name, exempt, mail, helos string }{
		{"198.51.100.9", "x.example", "", "its address is exempted from SPF", "", ""},
		{"::ffff:198.51.100.9", "x.example", "", "its address is exempted from SPF", "", ""},
		{"192.0.2.7", "Relay.example.com", "", "its HELO name Relay.example.com is exempted from SPF", "", ""},
		{"192.0.2.66", "relay.example.com", "", "", "fail", "none"},
		{"192.0.2.8", "x.example", "", "it is a host of forwarder.example, which is exempted from SPF", "", ""},
		{"192.0.2.9", "x.example", "a.yahoo.example", "its name a.yahoo.example is exempted from SPF", "", ""},
		{"192.0.2.9", "x.example", "notyahoo.example", "", "fail", "none"},
		{"192.0.2.1", "mail.example.com", "", "", "fail", "pass"},
	} {
		q := spf.Question{IP: netip.MustParseAddr(c.ip), Helo: c.helo, Sender: "a@example.net"}
		j := spf.Judge(context.Background(), r, p, x, q, c.name)
		if j.Exempt != c.exempt || status(j.MailFrom) != c.mail || status(j.Helo) != c.helos {
			t.Errorf("%s %s: %q %s %s", c.ip, c.helo, j.Exempt, status(j.MailFrom), status(j.Helo))
		}
		if refused := j.Decision.Action == spf.Reject; refused != (c.mail == "fail") {
			t.Errorf("%s: %+v", c.ip, j.Decision)
		}
	}
	q := spf.Question{IP: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example.com"}
	j := spf.Judge(context.Background(), r, p, x, q, "")
	t.Run("AUT-006 the null reverse-path is judged by the HELO name", func(t *testing.T) {
		if j.MailFrom != nil || status(j.Helo) != "pass" || j.Helo.Identity != spf.Helo {
			t.Errorf("%+v", j)
		}
	})
}

func status(r *spf.Result) string {
	if r == nil {
		return ""
	}
	return string(r.Status)
}
