package rewrite

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/store/list"
)

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

// tables opens lists by name; "down" is one that does not answer.
func tables(t testing.TB, entries map[string][]string) func(names ...string) list.Maps {
	t.Helper()
	var all []list.Source
	for name, lines := range entries {
		all = append(all, list.Source{Name: name, Entries: lines})
	}
	set, err := list.Open(all, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return func(names ...string) list.Maps { return set.Maps(names) }
}

const all = EnvelopeSender | EnvelopeRecipient | HeaderSender | HeaderRecipient

func rules(t testing.TB) *Rules {
	maps := tables(t, map[string][]string{
		"canonical": {"jdoe@example.org John.Doe@example.org", "nick nick.name@example.org", "@old.example @new.example",
			"a@example.org b@example.org", "b@example.org a@example.org", "bad@example.org x@y@z", "plus@example.org plus.user@example.org"},
		"sender": {"wrong@example.org right@example.org"}, "recipient": {"boss@example.org jdoe@example.org"},
		"sbcc": {"right@example.org copy@example.org"}, "rbcc": {"@example.net copy@example.org", "x@example.net other@example.org"},
	})
	return &Rules{
		Sender: Table{maps("sender"), EnvelopeSender | HeaderSender}, Recipient: Table{maps("recipient"), EnvelopeRecipient},
		Canonical:  Table{maps("canonical"), all},
		Masquerade: Masquerade{Domains: []string{"!keep.example.org", "example.org"}, Exceptions: []string{"root"}, In: EnvelopeSender},
		SenderBCC:  maps("sbcc"), RecipientBCC: maps("rbcc"), AlwaysBCC: parse(t, "archive@example.org"),
		Own: true, Origin: "example.org", Parent: "example.org", Delimiters: "+-",
		IsLocal: func(_ context.Context, d string) bool { return d == "example.org" },
	}
}

// What Postfix does is compared in internal/test/interop; this is what it can't show.
func TestAddress(t *testing.T) {
	r := rules(t)
	for _, c := range []struct {
		name, in, want string
		class          Class
	}{
		{"row 50", "JDoe@example.org", "John.Doe@example.org", EnvelopeSender},
		{"row 50 sender first", "wrong@example.org", "right@example.org", HeaderSender},
		{"row 50 not for recipients", "wrong@example.org", "wrong@example.org", EnvelopeRecipient},
		{"row 50 recipient, then canonical", "boss@example.org", "John.Doe@example.org", EnvelopeRecipient},
		{"row 50 not in this class", "boss@example.org", "boss@example.org", HeaderRecipient},
		{"a circle ends", "a@example.org", "a@example.org", EnvelopeSender},
		{"the other delimiter", "plus-x@example.org", "plus.user-x@example.org", EnvelopeSender},
		{"a user alone, with an extension", "nick+x@example.org", "nick.name+x@example.org", EnvelopeSender},
		{"a user elsewhere", "nick@example.net", "nick@example.net", EnvelopeSender},
		{"owner- is no extension", "owner-jdoe@example.org", "owner-jdoe@example.org", EnvelopeSender},
		{"row 51", "bob@pc.example.org", "bob@example.org", EnvelopeSender},
		{"row 51 only in its classes", "bob@pc.example.org", "bob@pc.example.org", EnvelopeRecipient},
		{"row 51 exception", "Root@pc.example.org", "Root@pc.example.org", EnvelopeSender},
		{"row 51 not these", "bob@a.keep.example.org", "bob@a.keep.example.org", EnvelopeSender},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.Address(t.Context(), c.class, parse(t, c.in))
			if got.State() != lookup.Found || got.Value().String() != c.want {
				t.Errorf("%s became %s %v", c.in, got.Value(), got.Err())
			}
		})
	}
	if got := r.Address(t.Context(), EnvelopeSender, parse(t, "bad@example.org")); got.State() != lookup.TryAgain {
		t.Errorf("an entry that is no address: %v", got.State())
	}
	if got := (*Rules)(nil).Address(t.Context(), EnvelopeSender, parse(t, "a@b")); got.Value() != parse(t, "a@b") {
		t.Error("no rules change an address")
	}
}

// A table that does not answer makes mail wait, wherever it is asked.
func TestTryAgain(t *testing.T) {
	maps := tables(t, nil)("there is no such list")
	a := parse(t, "a@example.org")
	for name, r := range map[string]*Rules{
		"sender": {Sender: Table{maps, all}}, "canonical": {Canonical: Table{maps, all}}, "generic": {Generic: maps},
	} {
		answer := r.Address(t.Context(), EnvelopeSender, a)
		if name == "generic" {
			answer = r.Leaving(t.Context(), a)
		}
		if answer.State() != lookup.TryAgain || answer.Err() == nil {
			t.Errorf("MAP-004 %s: %v", name, answer.State())
		}
	}
	r := &Rules{Canonical: Table{maps, all}, Own: true}
	if h, err := r.Header(t.Context(), message.Header("From: a@b\r\n\r\n"), true); err == nil || string(h) != "From: a@b\r\n\r\n" {
		t.Errorf("MAP-004 header: %q, %v", h, err)
	}
	r = &Rules{SenderBCC: maps}
	if _, err := r.CopiesFor(t.Context(), a, nil); err == nil {
		t.Error("MAP-004 copies: no error")
	}
}

func TestHeader(t *testing.T) {
	r := rules(t)
	in := message.Header("Received: from jdoe@example.org\r\nFrom: \"jdoe@example.org\" <jdoe@example.org>\r\nTO: root, x@pc (c),\r\n\tjdoe@example.org\r\nSubject: jdoe@example.org\r\nX-To: jdoe@example.org\r\n\r\n")
	want := "Received: from jdoe@example.org\r\nFrom: \"jdoe@example.org\" <John.Doe@example.org>\r\nTO: root@example.org, x@pc.example.org (c),\r\n\tJohn.Doe@example.org\r\nSubject: jdoe@example.org\r\nX-To: jdoe@example.org\r\n\r\n"
	got, err := r.Header(t.Context(), in, true)
	if err != nil || string(got) != want {
		t.Errorf("row 5, row 50: %q, %v", got, err)
	}
	if got, err := r.Header(t.Context(), in, false); err != nil || &got[0] != &in[0] {
		t.Errorf("a stranger's header: %q, %v", got, err)
	}
	r.Own, r.Others = false, true
	if got, err := r.Header(t.Context(), in, false); err != nil || !strings.Contains(string(got), "TO: root, x@pc (c)") || !strings.Contains(string(got), "<John.Doe@") {
		t.Errorf("everybody's header, row 209: %q, %v", got, err)
	}
}

// A header is asked about once for each address, and not without end.
func TestHeaderBounds(t *testing.T) {
	var b strings.Builder
	for i := range 3 * headerMax {
		b.WriteString("To: a" + strings.Repeat("x", i%40) + string(rune('a'+i%26)) + "@" + strings.Repeat("d", i/100+1) + ".example\r\nCc: same@example.org\r\n")
	}
	asked := 0
	_, err := EachAddress(message.Header(b.String()), func(Class, address.Address) lookup.Answer[address.Address] {
		asked++
		return lookup.Yes(address.Address{Local: "x", Domain: "y"})
	})
	if err != nil || asked > headerMax {
		t.Errorf("asked %d times, %v", asked, err)
	}
	broken := errors.New("down")
	asked = 0
	_, err = EachAddress(message.Header(b.String()), func(Class, address.Address) lookup.Answer[address.Address] {
		asked++
		return lookup.Later[address.Address](broken)
	})
	if !errors.Is(err, broken) || asked != 1 {
		t.Errorf("a table that is down was asked %d times: %v", asked, err)
	}
}

func TestCopies(t *testing.T) {
	r := rules(t)
	for _, c := range []struct {
		from string
		to   []string
		want string
	}{
		{"right@example.org", []string{"x@example.net", "y@example.net"}, "archive@example.org copy@example.org other@example.org"},
		{"a@remote.example", []string{"b@remote.example"}, "archive@example.org"},
		{"", []string{"x@example.net"}, "archive@example.org other@example.org"},
	} {
		var from address.Address
		if c.from != "" {
			from = parse(t, c.from)
		}
		var to []address.Address
		for _, s := range c.to {
			to = append(to, parse(t, s))
		}
		got, err := r.CopiesFor(t.Context(), from, to)
		var words []string
		for _, a := range got {
			words = append(words, a.String())
		}
		if text := strings.Join(slices.Sorted(slices.Values(words)), " "); err != nil || text != c.want {
			t.Errorf("from %q to %v: %s, %v; want %s", c.from, c.to, text, err, c.want)
		}
	}
	if (*Rules)(nil).Copies() || (&Rules{}).Copies() {
		t.Error("copies without any table")
	}
}
