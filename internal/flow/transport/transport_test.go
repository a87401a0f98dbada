package transport

import (
	"fmt"
	"strings"
	"testing"

	"facteur/internal/base/conf"
	"facteur/internal/mail/address"
)

// table makes a table of lines "key value", as in transport(5), behind entries.
func table(t *testing.T, r Rules, lines ...string) *Table {
	t.Helper()
	for i, l := range lines {
		key, to, _ := strings.Cut(l, " ")
		r.Entries = append(r.Entries, Entry{Recipients: []string{key}, To: strings.TrimSpace(to), Where: fmt.Sprint("map:", i+1)})
	}
	made, wrong := NewTable(r)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	return made
}

func mail(to string) Mail {
	a, err := address.Parse(to)
	if err != nil {
		panic(err)
	}
	return Mail{ID: 1, Recipient: a, Domain: a.Domain}
}

// way is a choice in short.
func (c Choice) short() string {
	s := c.Transport.Name + ":"
	switch {
	case c.Transport.Kind == Error || c.Transport.Kind == Hold:
		return s + c.Text
	case c.Transport.Kind == Discard || c.Transport.Kind == Mailbox:
		return s
	case c.Relays == nil && c.Port != 0:
		return fmt.Sprintf("%s%s:%d", s, c.NextHop, c.Port)
	case c.Relays == nil:
		return s + c.NextHop
	}
	for i, r := range c.Relays {
		if i > 0 {
			s += ","
		}
		s += fmt.Sprintf("[%s%s]:%d", r.Host, r.Socket, r.Port)
	}
	return s
}

// TestOrderOfTransport5: the keys and their order are those of transport(5); so are the
// results, but that "*" is not for mailboxes of ours.
func TestOrderOfTransport5(t *testing.T) {
	ways := table(t, Rules{Delimiters: "+"},
		"outlook.com    smtp:[gw.example.com]", // the line of the how-to
		"orange.fr slow:",
		".example.org :[10.0.0.1]:2525",
		".deep.example.org relay:other.example",
		"user@x.example error:5.1.1 no such user",
		"user+sales@x.example hold:",
		"x.example lmtp:unix:/run/lmtp",
		"inside.example :",
		"store.example lmtp:inet:[::1]:24",
		"mx.example smtp:relay.example:587",
		"gone.example error:",
		"soft.example retry:come again",
		"void.example discard:",
		"two.example relay:[a.example]:26, [b.example]",
		"xn--bcher-kva.example slow:",
		"[192.0.2.9] slow:",
		"* relay:[smart.example]:587",
	)
	for to, want := range map[string]string{
		"a@outlook.com":              "smtp:[gw.example.com]:25",
		"a@Outlook.COM":              "smtp:[gw.example.com]:25",
		"a@orange.fr":                "slow:orange.fr",
		"a@sub.example.org":          "smtp:[10.0.0.1]:2525",
		"a@example.org":              "relay:[smart.example]:587",
		"a@x.deep.example.org":       "relay:other.example",
		"user@x.example":             "error:550 5.1.1 no such user",
		"USER@x.example":             "error:550 5.1.1 no such user",
		"user+any@x.example":         "error:550 5.1.1 no such user",
		"user+sales@x.example":       "hold:",
		"other@x.example":            "lmtp:[/run/lmtp]:0",
		"a@inside.example":           "smtp:inside.example",
		"a@store.example":            "lmtp:[::1]:24",
		"a@mx.example":               "smtp:relay.example:587",
		"a@gone.example":             "error:550 5.0.0 mail for this address is not taken",
		"a@soft.example":             "retry:450 4.0.0 come again",
		"a@void.example":             "discard:",
		"a@two.example":              "relay:[a.example]:26,[b.example]:25",
		"a@bücher.example":           "slow:xn--bcher-kva.example",
		"a@[192.0.2.9]":              "slow:[192.0.2.9]",
		"a@anything.else.example":    "relay:[smart.example]:587",
		"a@notexample.org.elsewhere": "relay:[smart.example]:587",
	} {
		if got := ways.Choose(mail(to)).short(); got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
}

// TestMailboxesOfOurs: "*" does not take our own mail away; a line for the domain does.
func TestMailboxesOfOurs(t *testing.T) {
	ways := table(t, Rules{}, "* relay:[smart.example]", "dovecot.example lmtp:unix:/run/lmtp", "stranger.example local:")
	here := func(to string) string {
		m := mail(to)
		m.Here = true
		return ways.Choose(m).short()
	}
	for to, want := range map[string]string{"a@example.org": "local:", "a@dovecot.example": "lmtp:[/run/lmtp]:0", "a@stranger.example": "local:"} {
		if got := here(to); got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	if got := ways.Choose(mail("a@stranger.example")).short(); !strings.HasPrefix(got, "error:451 4.3.5") {
		t.Errorf("a mailbox that is not ours: %s", got)
	}
	if got := (*Table)(nil).Choose(Mail{Here: true}).Transport.Kind; got != Mailbox {
		t.Errorf("without settings: %v", got)
	}
}

// TestPipes: what stands behind the colon is for the program.
func TestPipes(t *testing.T) {
	ways := table(t, Rules{Transports: []*Transport{{Name: "archive", Kind: Pipe, Command: []string{"/bin/cat"}}}},
		"a.example archive:shelf 7", "b.example archive:")
	for to, want := range map[string]string{"x@a.example": "shelf 7", "x@b.example": "b.example"} {
		if c := ways.Choose(mail(to)); c.NextHop != want || c.Transport.Kind != Pipe || c.ByMX() {
			t.Errorf("%s: %+v", to, c)
		}
	}
}

// TestSenders: they are asked when no recipient says anything, and not for our own
// mailboxes; together with a recipient both have to fit.
func TestSenders(t *testing.T) {
	ways, wrong := NewTable(Rules{Delimiters: "+", Entries: []Entry{
		{Senders: []string{"news@example.org"}, To: "smtp:[in-v3.mailjet.com]:587"},
		{Senders: []string{"@example.org"}, To: "slow:"},
		{Senders: []string{"<>"}, To: ":[bounces.example]"},
		{Recipients: []string{"partner.example"}, Senders: []string{"boss@example.org"}, To: "discard:"},
		{Recipients: []string{"fixed.example"}, To: ":[gw.example]"},
		{Recipients: []string{"direct.example"}, To: ":"},
	}})
	if wrong != nil {
		t.Fatal(wrong)
	}
	for pair, want := range map[[2]string]string{
		{"news@example.org", "a@far.example"}:       "smtp:[in-v3.mailjet.com]:587",
		{"news+x@example.org", "a@far.example"}:     "smtp:[in-v3.mailjet.com]:587",
		{"other@example.org", "a@far.example"}:      "slow:far.example",
		{"other@sub.example.org", "a@far.example"}:  "smtp:far.example",
		{"", "a@far.example"}:                       "smtp:[bounces.example]:25",
		{"boss@example.org", "a@partner.example"}:   "discard:",
		{"other@example.org", "a@partner.example"}:  "slow:partner.example",
		{"news@example.org", "a@fixed.example"}:     "smtp:[gw.example]:25",
		{"stranger@else.example", "a@far.example"}:  "smtp:far.example",
		{"other@example.org", "a@direct.example"}:   "slow:direct.example",
		{"someone@else.example", "a@fixed.example"}: "smtp:[gw.example]:25",
	} {
		m := mail(pair[1])
		if pair[0] != "" {
			m.Sender = mail(pair[0]).Recipient
		}
		if got := ways.Choose(m).short(); got != want {
			t.Errorf("%s → %s: %s, want %s", pair[0], pair[1], got, want)
		}
		m.Here = true
		if got := ways.Choose(m).Transport.Name; m.Recipient.Domain == "far.example" && got != "local" {
			t.Errorf("%s → our %s: %s", pair[0], pair[1], got)
		}
	}
}

// TestMX: what goes to the MX hosts of its domain takes the way of the best of them; an
// entry before a preset, the nearest first.
func TestMX(t *testing.T) {
	preset := func(name string, mx ...string) Preset { return Preset{Transport: &Transport{Name: name}, MX: mx} }
	ways, wrong := NewTable(Rules{
		Presets:    []Preset{preset("orange", "*.orange.fr"), preset("microsoft", "*.outlook.com"), preset("google", "google.com")},
		Transports: []*Transport{{Name: "google", Pace: Pace{Concurrency: 7}}},
		Entries: []Entry{
			{MX: []string{"*.mail.protection.outlook.com"}, To: "relay:[office.example]:587"},
			{Recipients: []string{"named.example"}, To: ":orange-customer.example"},
		},
	})
	if wrong != nil {
		t.Fatal(wrong)
	}
	for host, want := range map[string]string{
		"smtp-in.orange.fr":                       "orange:d.example",
		"orange.fr":                               "smtp:d.example",
		"notorange.fr":                            "smtp:d.example",
		"SMTP-IN.Orange.FR":                       "orange:d.example",
		"hotmail-com.olc.protection.outlook.com":  "microsoft:d.example",
		"tenant-com.mail.protection.outlook.com":  "relay:[office.example]:587",
		"google.com":                              "google:d.example",
		"aspmx.l.google.com":                      "google:d.example",
		"192.0.2.1":                               "smtp:d.example",
		"smtp-in.orange.fr.attacker.example.test": "smtp:d.example",
	} {
		c := ways.Choose(mail("a@d.example"))
		if got := ways.ForMX(c, []string{host, "backup.orange.fr"}).short(); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	if c := ways.Choose(mail("a@named.example")); ways.ForMX(c, []string{"smtp-in.orange.fr"}).short() != c.short() {
		t.Error("what an entry named was changed by a preset")
	}
	if ways.Transports()["google"].Pace.Concurrency != 7 {
		t.Error("the declared transport did not take the place of the preset's")
	}
}

// TestWeights: relays get their share of the mail, each message the same relay at each
// attempt; those without a weight come last.
func TestWeights(t *testing.T) {
	ways := table(t, Rules{
		Usual:  &Transport{Name: "smtp", Relays: []Relay{{Host: "a.example", Port: 25}, {Host: "b.example", Port: 587}, {Host: "last.example"}}},
		Relays: []Relay{{Host: "a.example", Port: 25, Weight: 70}, {Host: "b.example", Weight: 30, User: "me", Password: conf.NewSecret("x")}},
	})
	first := map[string]int{}
	for id := range int64(10_000) {
		m := mail("a@d.example")
		m.ID = 1763800000000000 + id*1117
		c := ways.Choose(m)
		first[c.Relays[0].Host]++
		if len(c.Relays) != 3 || c.Relays[2].Host != "last.example" || c.Relays[0].Host == "b.example" && c.Relays[0].User != "me" {
			t.Fatalf("%+v", c.Relays)
		}
		m.Attempts = 5
		if again := ways.Choose(m); again.Relays[0].Host != c.Relays[0].Host {
			t.Fatal("another relay at the next attempt")
		}
	}
	if n := first["a.example"]; n < 6800 || n > 7200 {
		t.Errorf("%v of 10000, want about 7000 and 3000", first)
	}
}

// TestDiversion is the warming up of the how-to: 30 of 100 by the new address.
//
// Row 139: part of the mail warms up another address.
func TestDiversion(t *testing.T) {
	ways := table(t, Rules{
		Usual:      &Transport{Name: "smtp", Divert: "new", DivertPercent: 30},
		Transports: []*Transport{{Name: "new", Relays: []Relay{{Host: "192.0.2.42"}}}},
		Presets:    []Preset{{Transport: &Transport{Name: "orange"}, MX: []string{"*.orange.fr"}}},
	})
	diverted := 0
	own := table(t, Rules{Presets: []Preset{{Transport: &Transport{Name: "orange", Divert: "slow", DivertPercent: 30}, MX: []string{"*.orange.fr"}}}})
	taken := 0
	for id := range int64(1000) {
		m := mail("a@d.example")
		m.ID = 1763800000000000 + id*997
		if own.ForMX(own.Choose(m), []string{"smtp-in.orange.fr"}).Transport.Name == "slow" {
			taken++
		}
	}
	if taken < 200 || taken > 400 {
		t.Errorf("of 1000 messages for a preset %d are diverted, want about 300", taken)
	}
	for id := range int64(10_000) {
		m := mail("a@d.example")
		m.ID = 1763800000000000 + id*997
		c := ways.Choose(m)
		if c.short() != "new:[192.0.2.42]:25" {
			continue
		}
		diverted++
		if got := ways.ForMX(c, []string{"smtp-in.orange.fr"}); got.Transport.Name != "new" {
			t.Fatal("a preset took back what was diverted")
		}
		for m.Attempts = 1; m.Attempts < divertTries; m.Attempts++ {
			if got := ways.Choose(m).Transport.Name; got != "new" {
				t.Fatalf("attempt %d takes %s: greylisting would begin anew", m.Attempts+1, got)
			}
		}
		if got := ways.Choose(m).Transport.Name; got != "smtp" {
			t.Fatalf("after %d attempts it still takes %s", m.Attempts, got)
		}
	}
	if diverted < 2800 || diverted > 3200 {
		t.Errorf("%d of 10000 diverted, want about 3000", diverted)
	}
}

func TestMistakes(t *testing.T) {
	for _, x := range []struct {
		e    Entry
		want string
	}{
		{Entry{Recipients: []string{"a.example"}, To: "slwo:"}, `there is no transport "slwo"; did you mean "slow"?`},
		{Entry{Recipients: []string{"a.example"}, To: "zebra:x"}, `there is no transport "zebra"`},
		{Entry{Recipients: []string{"a.example"}, To: "[gw.example]"}, `"[gw.example]" names no transport; expected "transport:nexthop", such as "smtp:[gw.example]"`},
		{Entry{Recipients: []string{"a.example"}, To: "gw.example"}, `"gw.example" names no transport`},
		{Entry{Recipients: []string{"a.example"}, To: "smtp:[gw]:99999"}, `"99999" is no port`},
		{Entry{Recipients: []string{"a.example"}, To: "smtp:[gw.exa mple]"}, `is no host`},
		{Entry{Recipients: []string{"a.example"}, To: "lmtp:unix:private/dovecot-lmtp"}, `has no absolute path; Postfix counts such a path from its queue directory`},
		{Entry{Recipients: []string{"a.example"}, To: "error:250 2.0.0 fine"}, `expected a refusal`},
		{Entry{Recipients: []string{"a.example"}, To: "error:550 4.1.1 no"}, `contradict each other`},
		{Entry{Recipients: []string{"@a.example"}, To: "slow:"}, `a domain stands without "@" here`},
		{Entry{Recipients: []string{"a b"}, To: "slow:"}, `is neither a domain nor an address`},
		{Entry{Recipients: []string{"a.example"}, MX: []string{"x.example"}, To: "slow:"}, `an mx stands alone`},
		{Entry{MX: []string{"["}, To: "slow:"}, `is no pattern of mail hosts`},
		{Entry{To: "slow:"}, `expected a recipient, a sender or an mx`},
		{Entry{Senders: []string{"a@@b"}, To: "slow:"}, `is no address`},
	} {
		_, wrong := NewTable(Rules{Entries: []Entry{x.e}})
		if len(wrong) != 1 || !strings.Contains(wrong[0].Err.Error(), x.want) {
			t.Errorf("%+v: %v, want %q", x.e, wrong, x.want)
		}
	}
	if _, wrong := NewTable(Rules{Usual: &Transport{Name: "smtp", Divert: "nwe", DivertPercent: 5}, Transports: []*Transport{{Name: "new"}}}); len(wrong) != 1 || !strings.Contains(wrong[0].Err.Error(), `there is no transport "nwe"; did you mean "new"?`) {
		t.Error(wrong)
	}
}

// TestINV21PasswordsAreNotPrinted: not by any verb, not as JSON.
func TestINV21PasswordsAreNotPrinted(t *testing.T) {
	ways := table(t, Rules{Usual: &Transport{Name: "smtp", Relays: []Relay{{Host: "a.example"}}},
		Relays: []Relay{{Host: "a.example", User: "me", Password: conf.NewSecret("geheim")}}})
	c := ways.Choose(mail("a@d.example"))
	if c.Relays[0].Password.Reveal() != "geheim" {
		t.Fatal("the password did not get to the relay")
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, c.Relays, c.Relays[0], c.Relays[0].Password)} {
		if strings.Contains(text, "geheim") {
			t.Error(text)
		}
	}
}

// Row 102: for each transport its own.
func TestPaceInherits(t *testing.T) {
	ways := table(t, Rules{Pace: Pace{InitialConcurrency: 5, Concurrency: 30, FailedCohort: 2, Recipients: 40},
		Transports: []*Transport{{Name: "own", Pace: Pace{Concurrency: 3}}}})
	for name, want := range map[string]Pace{
		"smtp": {InitialConcurrency: 5, Concurrency: 30, FailedCohort: 2, Recipients: 40},
		"own":  {InitialConcurrency: 3, Concurrency: 3, FailedCohort: 2, Recipients: 40},
		"slow": {InitialConcurrency: 1, Concurrency: 1, FailedCohort: 100, Recipients: 25},
	} {
		if got := ways.Transports()[name].Pace; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if got := (Pace{}).WithDefaults(); got != (Pace{InitialConcurrency: 5, Concurrency: 20, FailedCohort: 1, Recipients: 50}) {
		t.Errorf("%+v", got)
	}
}

// TestExtensionsOfTheSettings: an extension begins where the settings say, and nowhere else.
func TestExtensionsOfTheSettings(t *testing.T) {
	for delimiters, want := range map[string]string{
		"":   "user@x.example",
		"+":  "user@x.example user+a@x.example",
		"-":  "user@x.example user-a@x.example user-a+b@x.example",
		"-+": "user@x.example user+a@x.example user-a@x.example user-a+b@x.example",
	} {
		ways := table(t, Rules{Delimiters: delimiters}, "user@x.example hold:")
		var got []string
		for _, to := range []string{"user@x.example", "user+a@x.example", "user-a@x.example", "user-a+b@x.example", "+a@x.example"} {
			if ways.Choose(mail(to)).short() == "hold:" {
				got = append(got, to)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("delimiters %q: %s, want %s", delimiters, s, want)
		}
	}
}
