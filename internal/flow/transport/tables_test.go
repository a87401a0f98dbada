package transport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/base/conf"
	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/list"
)

// open opens lists of lines "key value", by name, and "patterns".
func open(t *testing.T, tables map[string][]string) *list.Set {
	t.Helper()
	patterns := filepath.Join(t.TempDir(), "patterns")
	if err := os.WriteFile(patterns, []byte("/^user\\+x@pattern\\.example$/ slow:\n/^pattern\\.example$/ discard:\n/^<>$/ [notices.example]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sources := []list.Source{{Name: "patterns", From: "regexp:" + patterns}}
	for name, lines := range tables {
		sources = append(sources, list.Source{Name: name, Entries: lines})
	}
	s, err := list.Open(sources, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// choose is the way that a mail takes with what the tables say.
func (s *Tables) choose(t *testing.T, m Mail) Choice {
	t.Helper()
	m.Found = s.Ask(t.Context(), m)
	return s.ways.Choose(m)
}

// TestTablesLikeTransport5: tables that are asked have the keys and the order of
// transport(5); entries of the settings come first, key by key. Row 127: transport
// maps of any kind.
func TestTablesLikeTransport5(t *testing.T) {
	known := Relay{Host: "gw.example", Port: 587, User: "me", Password: conf.NewSecret("p"), Verify: true}
	ways := table(t, Rules{Delimiters: "+", Usual: &Transport{Name: "smtp", Smarthost: true, Relays: []Relay{{Host: "smart.example", Port: 25}}}, Relays: []Relay{known}},
		"own.example hold:own", "user@both.example hold:own")
	lists := open(t, map[string][]string{
		"a": {"user@x.example error:5.1.1 no such user", "user+sales@x.example hold:sales", "x.example lmtp:unix:/run/lmtp", ".x.example slow:",
			"own.example discard:", "both.example discard:", "null.example :", "direct.example smtp:", "gw.example smtp:[gw.example]:587",
			"nowhere.example slwo:", "empty.example", "two.example relay:[a.example]:26, [b.example]", "* relay:[rest.example]"},
		"b": {"x.example discard:", "b.example discard:"},
	})
	s := NewTables(ways, lists.Maps([]string{"patterns", "a", "b"}), list.Maps{}, list.Maps{})
	for to, want := range map[string]string{
		"user+sales@x.example":   "hold:sales",
		"USER+any@X.example":     "error:550 5.1.1 no such user",
		"other@x.example":        "lmtp:[/run/lmtp]:0",
		"a@deep.sub.x.example":   "slow:deep.sub.x.example",
		"a@own.example":          "hold:own",
		"user@both.example":      "hold:own",
		"other@both.example":     "discard:",
		"a@b.example":            "discard:",
		"a@null.example":         "smtp:[smart.example]:25",
		"a@direct.example":       "smtp:direct.example",
		"a@gw.example":           "smtp:[gw.example]:587",
		"a@two.example":          "relay:[a.example]:26,[b.example]:25",
		"a@else.example":         "relay:[rest.example]:25",
		"user+x@pattern.example": "slow:pattern.example",
		"user@pattern.example":   "relay:[rest.example]:25", // patterns get the whole address alone
		"a@nowhere.example":      `retry:451 4.3.5 mail system configuration error: there is no transport "slwo"; did you mean "slow"?`,
		"a@empty.example":        "retry:451 4.3.5 mail system configuration error: to is missing",
	} {
		c := s.choose(t, mail(to))
		if got := c.short(); got != want && !(strings.HasSuffix(want, "missing") && strings.HasPrefix(got, want)) {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
		if again := s.choose(t, mail(to)); len(c.Relays) > 0 && &again.Relays[0] != &c.Relays[0] {
			t.Errorf("%s: the relays are others each time", to)
		}
	}
	if c := s.choose(t, mail("a@gw.example")); c.Relays[0].User != "me" || c.Why != "a: gw.example" {
		t.Errorf("%+v", c)
	}
	m := mail("a@else.example")
	if m.Here = true; s.choose(t, m).Transport.Kind != Mailbox {
		t.Error(`"*" takes mail for our own mailboxes`)
	}
}

// TestMAP004TablesThatCanNotTell: the mail waits, unless an entry decides before such a
// table is asked.
func TestMAP004TablesThatCanNotTell(t *testing.T) {
	ways := table(t, Rules{}, "own.example hold:own", "user@mine.example hold:own")
	lists := open(t, map[string][]string{"a": {"user@x.example discard:"}, "from": {"me@x.example slow:"}})
	down := lists.Maps([]string{"a", "down"})
	s := NewTables(ways, down, list.Maps{}, list.Maps{})
	later := "retry:" + laterText
	for to, want := range map[string]string{
		"user@x.example": "discard:", "other@x.example": later, "user@own.example": later, "user@mine.example": "hold:own",
	} {
		if got := s.choose(t, mail(to)).short(); got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	m := mail("user@house.example")
	if m.Here = true; s.choose(t, m).short() != later {
		t.Error("mail for a mailbox of ours does not wait for the table")
	}
	if c := s.choose(t, m); !strings.Contains(c.Why, "down can't tell") {
		t.Error(c.Why)
	}
	senders := NewTables(ways, list.Maps{}, lists.Maps([]string{"from", "down"}), list.Maps{})
	if got := senders.choose(t, mail("a@own.example")).short(); got != "hold:own" {
		t.Error("the tables of senders are asked though the recipient decides:", got)
	}
	if m.Here = true; senders.choose(t, m).Transport.Kind != Mailbox {
		t.Error("the tables of senders are asked for a mailbox of ours")
	}
	if f := Later(nil); ways.Choose(Mail{Recipient: mail("user@mine.example").Recipient, Found: f}).short() != later {
		t.Error("what could not be asked does not wait")
	}
}

// TestTablesOfSenders: row 129: relays and transports by sender, which count for what
// no recipient decides.
func TestTablesOfSenders(t *testing.T) {
	lists := open(t, map[string][]string{
		"transports": {"news@x.example slow:", "@x.example relay:[t.example]", "@usual.example :"},
		"relays": {"news@x.example [never.example]", "boss@x.example [boss.example]:587", "@y.example gw.example:2525", "dunno@y.example DUNNO",
			"wrong@y.example smtp:[gw.example]", "@usual.example [never.example]"},
		"to": {"fixed.example hold:to"},
	})
	s := NewTables(table(t, Rules{Delimiters: "+"}), lists.Maps([]string{"to"}), lists.Maps([]string{"transports"}), lists.Maps([]string{"patterns", "relays"}))
	for pair, want := range map[[2]string]string{
		{"news@x.example", "a@far.example"}:     "slow:far.example",
		{"news+1@x.example", "a@far.example"}:   "slow:far.example",
		{"boss@x.example", "a@far.example"}:     "smtp:[boss.example]:587",
		{"other@x.example", "a@far.example"}:    "relay:[t.example]:25",
		{"other@y.example", "a@far.example"}:    "smtp:gw.example:2525",
		{"dunno@y.example", "a@far.example"}:    "smtp:far.example",
		{"a@usual.example", "a@far.example"}:    "smtp:far.example",
		{"", "a@far.example"}:                   "smtp:[notices.example]:25",
		{"stranger@z.example", "a@far.example"}: "smtp:far.example",
		{"boss@x.example", "a@fixed.example"}:   "hold:to",
	} {
		m := mail(pair[1])
		if m.Sender = (address.Address{}); pair[0] != "" {
			m.Sender = mail(pair[0]).Recipient
		}
		if got := s.choose(t, m).short(); got != want {
			t.Errorf("%s → %s: %s, want %s", pair[0], pair[1], got, want)
		}
	}
	m := mail("a@far.example")
	m.Sender = mail("wrong@y.example").Recipient
	if got := s.choose(t, m).short(); !strings.HasPrefix(got, "retry:451 4.3.5 ") || !strings.Contains(got, "sender_transport_maps") {
		t.Error(got)
	}
}

// FuzzAnswer: whatever a table says, the mail has a way, or waits with a reply of one line.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"slow:", "smtp:[gw.example.com]:25", ":", "", "DUNNO", "a\r\nb", "error:5.1.1 \u00fc", "hold:\x00", strings.Repeat("x", sideMax+1)} {
		f.Add(seed)
	}
	ways, _ := NewTable(Rules{})
	s := &Tables{ways: ways, read: make(map[string]*way)}
	f.Fuzz(func(t *testing.T, value string) {
		for _, form := range []func(string) (string, error){asItIs, relayAlone} {
			w, err := s.way(value, form)
			if err != nil {
				if text := tame(err.Error()); len(text) > 200 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Fatalf("%q", text)
				}
				continue
			}
			m := mail("user@x.example")
			m.Found = Found{recipient: hit{"x.example", w}}
			c := ways.Choose(m)
			if c.Transport == nil || len(c.Relays) > maxHops || strings.ContainsAny(c.Text+c.NextHop, "\r\n\x00") {
				t.Fatalf("%+v", c)
			}
		}
	})
}
