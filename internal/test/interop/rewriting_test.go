package interop

import (
	"cmp"
	"fmt"
	"net"
	"net/smtp"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/internal/mail/message"
	"facteur/internal/test/sim"
)

// The tables of the comparison, by Postfix's names without _maps.
var rewritingTables = map[string]string{
	"sender_canonical": "wrong@example.org right@example.org\n",
	"canonical": "jdoe@example.org John.Doe@remote.test\nnick nick.name@example.org\n@old.example @new.test\n" +
		"chain1@example.org chain2@example.org\nchain2@example.org chain3@remote.test\n" +
		"loop1@example.org loop2@example.org\nloop2@example.org loop1@example.org\nself@example.org self@example.org\n" +
		"short@example.org unqualified\n@cat.example one@remote.test\nplus@example.org plus.user@remote.test\n",
	"recipient_canonical": "boss@example.org boss@remote.test\n",
	"generic":             "alice@lan.example alice@example.org\n@lan2.example @example.org\n",
	"sender_bcc":          "right@example.org scopy@remote.test\n@copied.example dcopy@remote.test\n",
	"recipient_bcc":       "target@remote.test rcopy@remote.test\nJohn.Doe@remote.test jcopy@remote.test\n",
}

// rewritingCases are an envelope and the header lines that have addresses.
var rewritingCases = []struct {
	name, from string
	to         []string
	header     string
}{
	{"row 50 sender_canonical", "wrong@example.org", []string{"a@remote.test"}, "From: W <wrong@example.org>\r\nTo: wrong@example.org\r\n"},
	{"row 50 canonical", "jdoe@example.org", []string{"jdoe@example.org"}, "From: \"J, Doe\" (x) <jdoe@example.org>\r\nTo: jdoe@example.org,\r\n\tB <b@remote.test>\r\n"},
	{"row 50 recipient_canonical", "boss@example.org", []string{"boss@example.org"}, "From: boss@example.org\r\nTo: boss@example.org\r\nReply-To: boss@example.org\r\nCc: The Boss <boss@example.org>\r\n"},
	{"user alone", "nick@example.org", []string{"a@remote.test"}, "From: nick@example.org\r\nTo: nick\r\n"},
	{"a domain", "x+y@old.example", []string{"u@old.example"}, "From: x+y@old.example\r\nTo: u@old.example\r\n"},
	{"chain", "a@remote.test", []string{"chain1@example.org"}, "From: a@remote.test\r\nTo: chain1@example.org\r\n"},
	{"self", "self@example.org", []string{"a@remote.test"}, "From: self@example.org\r\n"},
	{"result without domain", "short@example.org", []string{"a@remote.test"}, "From: short@example.org\r\n"},
	{"case", "JDoe@EXAMPLE.org", []string{"a@remote.test"}, "From: JDOE@Example.Org\r\n"},
	{"extension", "a@remote.test", []string{"plus+news@example.org"}, "From: plus+x@example.org\r\nTo: plus+news@example.org\r\n"},
	{"extension and a domain", "a@remote.test", []string{"who+ext@cat.example"}, "From: a@remote.test\r\nTo: who+ext@cat.example\r\n"},
	{"row 51 masquerade", "bob@pc.example.org", []string{"c@pc.remote.test"}, "From: bob@pc.example.org\r\nTo: carol@pc.example.org\r\n"},
	{"row 51 exception", "root@pc.example.org", []string{"a@remote.test"}, "From: root@pc.example.org\r\nTo: root@pc2.example.org\r\n"},
	{"row 51 not these", "bob@x.keep.example.org", []string{"a@remote.test"}, "From: bob@x.keep.example.org\r\nTo: b@keep.example.org\r\n"},
	{"row 51 only subdomains", "bob@notexample.org", []string{"a@remote.test"}, "From: bob@notexample.org\r\n"},
	{"row 50 then 51", "wrong@example.org", []string{"a@remote.test"}, "Sender: jdoe@pc.example.org\r\nFrom: wrong@example.org\r\n"},
	{"generic", "alice@lan.example", []string{"alice@lan.example"}, "From: Alice <alice@lan.example>\r\nTo: b+c@lan2.example\r\n"},
	{"bcc", "a@copied.example", []string{"target@remote.test", "jdoe@example.org"}, "From: a@copied.example\r\n"},
	{"bcc of a notice", "", []string{"target@remote.test"}, "From: mailer-daemon@remote.test\r\n"},
	{"row 5 in the envelope", "wrong", []string{"jdoe", "chain1"}, "From: wrong\r\nTo: jdoe\r\n"},
	{"row 5 without a domain", "a@remote.test", []string{"a@remote.test"}, "From: root\r\nTo: Charlie Root <root>, friends: al, bo@remote.test;\r\n"},
}

// TestRewritingAsPostfix sends the same mail through Debian's Postfix and through facteur
// with the same tables, and compares what arrives behind them.
func TestRewritingAsPostfix(t *testing.T) {
	t.Parallel()
	dir := Room(t)
	table := func(name string) string {
		return WriteFile(t, filepath.Join(dir, name), rewritingTables[name])
	}
	theirs, ours := rewritingSink(t), rewritingSink(t)
	main := map[string]string{
		"mydestination": "example.org", "myorigin": "example.org", "recipient_delimiter": "+", "append_dot_mydomain": "no",
		"relayhost": "", "transport_maps": "inline:{ *=smtp:[127.0.0.1]:" + portOf(theirs) + " }",
		"masquerade_domains": "!keep.example.org example.org", "masquerade_exceptions": "root", "always_bcc": "archive@remote.test",
		"smtpd_delay_reject": "no",
	}
	toml := "[rewrite]\nmasquerade_domains = [\"!keep.example.org\", \"example.org\"]\nmasquerade_exceptions = \"root\"\nalways_bcc = \"archive@remote.test\"\n"
	for name := range rewritingTables {
		path := table(name)
		toml += fmt.Sprintf("%s_maps = \"hash:%s\"\n", name, path)
		if name == "generic" {
			name = "smtp_generic"
		}
		main[name+"_maps"] = "texthash:" + path
	}
	p := NewPostfix(t, PostfixSetup{Main: main})
	p.Start()
	f := NewFacteur(t, Setup{Accounts: []string{"unqualified@example.org"}, Services: []string{"smtp"}, Smarthost: ours.Addr().String(), Config: toml})
	f.Start()
	for i, c := range rewritingCases {
		letter := fmt.Sprintf("%sMessage-Id: <case-%d@example.org>\r\nDate: Thu, 01 Jan 2026 12:00:00 +0000\r\nSubject: x\r\n\r\nx\r\n", c.header, i)
		for _, addr := range []string{p.Addr(), f.Addr("smtp")} {
			if err := sendClear(addr, c.from, c.to, letter); err != nil {
				t.Errorf("%s: %s: %v", c.name, addr, err)
			}
		}
	}
	WaitUntil(t, "all mail of facteur", func() bool { n, err := f.Queued(); return err == nil && n == 0 })
	WaitUntil(t, "all mail of Postfix", func() bool { n, err := p.Queued(); return err == nil && n == 0 })
	want, got := arrivals(theirs), arrivals(ours)
	for i, c := range rewritingCases {
		t.Run(c.name, func(t *testing.T) {
			id := fmt.Sprintf("<case-%d@example.org>", i)
			if w, g := want[id], got[id]; w != g || w == "" {
				t.Errorf("Postfix:\n%s\nfacteur:\n%s", w, g)
			}
		})
	}
}

// sendClear hands a letter over without TLS, whatever is offered.
func sendClear(addr, from string, to []string, letter string) error {
	c, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, a := range to {
		if err := c.Rcpt(a); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	w.Write([]byte(letter))
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

func rewritingSink(t *testing.T) *sim.Sink {
	t.Helper()
	s, err := sim.StartSink("127.0.0.1:0", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func portOf(s *sim.Sink) string {
	_, port, _ := net.SplitHostPort(s.Addr().String())
	return port
}

// arrivals are, by Message-Id, sender, recipients and the fields with addresses.
func arrivals(s *sim.Sink) map[string]string {
	people, rest := map[string][]string{}, map[string]string{}
	for _, m := range s.Taken() {
		h, _, _ := message.ReadHeader(strings.NewReader(string(m.Data)), 1<<20)
		id := h.Get("Message-Id")
		people[id] = append(people[id], m.Recipients...)
		sender, _, _ := strings.Cut(m.Mail, " ")
		text := "MAIL " + sender + "\n"
		for f := range h.Fields() {
			for _, name := range []string{"From", "Sender", "To", "Cc", "Reply-To"} {
				if f.Is(name) {
					text += string(f.Name) + ":" + cmp.Or(normalAddresses(f.Value), "none") + "\n"
				}
			}
		}
		rest[id] = text
	}
	for id := range rest {
		slices.Sort(people[id])
		rest[id] += "RCPT " + strings.Join(slices.Compact(people[id]), " ")
	}
	return rest
}

// normalAddresses is a field without its folds and blanks at the ends, which Postfix
// writes anew in what it changes.
func normalAddresses(value []byte) string {
	return strings.Join(strings.Fields(message.Unfold(value)), " ")
}
