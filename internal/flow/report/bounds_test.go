package report

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/bounce"
	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/message"
	"facteur/internal/store/report"
	"facteur/internal/test/sim"
)

// destinations are what a zone makes of a record, "address max: problem".
func destinations(t *testing.T, zone string) (out []string) {
	t.Helper()
	o := New(House{TXT: sim.Zone(t, zone).LookupTXT})
	list, later := o.wishes(look(t.Context()), "sender.example")
	if later {
		return []string{"later"}
	}
	for _, d := range list {
		text := d.to.String()
		if d.max > 0 {
			text += fmt.Sprint(" max ", d.max)
		}
		if d.problem != "" {
			text += ": " + d.problem
		}
		if d.later {
			text += " (later)"
		}
		out = append(out, text)
	}
	return out
}

// AUT-018 a record can't make us send reports to who did not ask for them.
func TestWhoGetsReports(t *testing.T) {
	asks := func(rua string) string {
		return fmt.Sprintf("_dmarc.sender.example. TXT %q\n", "v=DMARC1; p=none; rua="+rua)
	}
	const no = ": victim.example does not say that it takes reports about sender.example (no record at sender.example._report._dmarc.victim.example)"
	const consent = "sender.example._report._dmarc.victim.example. TXT "
	for _, c := range []struct {
		name, zone string
		want       []string
	}{
		{"AUT-018 its own domain", asks("mailto:a@sender.example"), []string{"a@sender.example"}},
		{"AUT-018 its own organisation", asks("mailto:a@reports.sender.example"), []string{"a@reports.sender.example"}},
		{"AUT-018 a victim", asks("mailto:a@victim.example"), []string{"a@victim.example" + no}},
		{"AUT-018 a victim beside it", asks("mailto:a@victim.example,mailto:b@sender.example"), []string{"a@victim.example" + no, "b@sender.example"}},
		{"AUT-018 who agrees", asks("mailto:a@victim.example") + consent + `"v=DMARC1"`, []string{"a@victim.example"}},
		{"AUT-018 who agrees to all", asks("mailto:a@victim.example") + `*._report._dmarc.victim.example. TXT "v=DMARC1;"`, []string{"a@victim.example"}},
		{"AUT-018 another record there", asks("mailto:a@victim.example") + consent + `"v=spf1 -all"`, []string{"a@victim.example" + no}},
		{"AUT-018 not the first tag", asks("mailto:a@victim.example") + consent + `"p=none; v=DMARC1"`, []string{"a@victim.example" + no}},
		{"AUT-018 who agrees, elsewhere", asks("mailto:a@victim.example!10m") + consent + `"v=DMARC1; rua=mailto:in@victim.example"`, []string{"in@victim.example max 10485760"}},
		{"AUT-018 who sends on", asks("mailto:a@victim.example") + consent + `"v=DMARC1; rua=mailto:in@third.example"`,
			[]string{"a@victim.example: victim.example sends its reports on to third.example, which is not allowed"}},
		{"AUT-018 the DNS fails", asks("mailto:a@victim.example") + "!servfail sender.example._report._dmarc.victim.example",
			[]string{"a@victim.example: sender.example._report._dmarc.victim.example can't be looked up now (later)"}},
		{"AUT-018 the record can't be looked up", "!servfail _dmarc.sender.example", []string{"later"}},
		{"AUT-018 the record is gone", "", nil},
		{"AUT-018 several records", asks("mailto:a@sender.example") + asks("mailto:b@sender.example"), nil},
		{"AUT-018 sizes", asks("mailto:a@sender.example!10m,mailto:b@sender.example!500"), []string{"a@sender.example max 10485760", "b@sender.example max 500"}},
		{"AUT-018 https and others", asks("https://victim.example/x,ftp://victim.example,mailto:a@sender.example,javascript:x"), []string{"a@sender.example"}},
		{"AUT-018 twice the same", asks("mailto:a@sender.example,mailto:a@SENDER.example"), []string{"a@sender.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := destinations(t, c.zone); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	for n, want := range map[int]int{500: 5, 1000: 0} { // a record of 1000 is too long to be read
		t.Run(fmt.Sprintf("AUT-018 %d URIs", n), func(t *testing.T) {
			record, asked := "v=DMARC1; p=none; rua=", 0
			for i := range n {
				record += fmt.Sprintf("mailto:r@v%d.c,", i)
			}
			o := New(House{TXT: func(_ context.Context, name string) lookup.Answer[[]string] {
				if asked++; name == "_dmarc.sender.example" {
					return lookup.Yes([]string{record})
				}
				return lookup.No[[]string](errors.New("no such name"))
			}})
			if list, _ := o.wishes(t.Context(), "sender.example"); len(list) != want || asked > questions {
				t.Errorf("%d destinations, %d questions", len(list), asked)
			}
		})
	}
}

// AUT-018 what is sent has bounds: by size, by host, in time; and whoever does not want any
// gets none. Nobody gets a failure report.
func TestBoundsOfSending(t *testing.T) {
	send := func(t *testing.T, n *dusk) map[string]string {
		t.Helper()
		n.tomorrow()
		if _, err := n.Send(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		for _, l := range n.queued() {
			if strings.HasPrefix(l.item.Recipients[0].Address.Local, "ruf") {
				t.Errorf("a failure report leaves: %s", l.text)
			}
		}
		return n.stages(report.DMARC)
	}
	t.Run("AUT-018 sizes are kept", func(t *testing.T) {
		n := newDusk(t, t.TempDir(), sender("mailto:small@sender.example!1k,mailto:large@sender.example!1m"))
		n.come("192.0.2.1", "b@sender.example", "a@sender.example", true)
		got := send(t, n)
		if !strings.HasPrefix(got["mailto:small@sender.example"], "left out: it is too large (") || !strings.HasPrefix(got["mailto:large@sender.example"], "sent") {
			t.Errorf("%q", got)
		}
	})
	t.Run("AUT-018 our own bound", func(t *testing.T) {
		n := newDusk(t, t.TempDir(), sender("mailto:large@sender.example"))
		n.settings.MaxSize = 1000
		n.come("192.0.2.1", "b@sender.example", "a@sender.example", true)
		if got := send(t, n); !strings.HasPrefix(got["mailto:large@sender.example"], "left out") {
			t.Errorf("%q", got)
		}
	})
	t.Run("AUT-018 pace of a host", func(t *testing.T) {
		n := newDusk(t, t.TempDir(), sender("mailto:a@sender.example,mailto:b@sender.example,mailto:c@sender.example"))
		n.settings.PerHost = 2
		n.come("192.0.2.1", "b@sender.example", "a@sender.example", true)
		if got := send(t, n); got["mailto:c@sender.example"] != "left out: sender.example gets no more than 2 reports a day" {
			t.Errorf("%q", got)
		}
		letters := n.queued()
		if len(letters) != 2 || letters[1].item.Release.Sub(letters[0].item.Release).Abs() < gap-time.Second {
			t.Errorf("%d letters, all at once", len(letters))
		}
	})
	t.Run("AUT-018 who wants none", func(t *testing.T) {
		n := newDusk(t, t.TempDir(), sender("mailto:a@sender.example"))
		n.come("192.0.2.1", "b@sender.example", "a@sender.example", true)
		n.settings.Never = map[string]bool{"sender.example": true} // from now on
		if got := send(t, n); len(got) != 0 {
			t.Errorf("%q", got)
		}
		n.come("192.0.2.1", "b@sender.example", "a@sender.example", true)
		n.settings.Never, n.settings.Aggregate = nil, false
		if got := send(t, n); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
	t.Run("a preview sends nothing", func(t *testing.T) {
		n := newDusk(t, t.TempDir(), sender("mailto:a@sender.example,mailto:a@victim.example"))
		n.come("192.0.2.1", "b@sender.example", "a@sender.example", true)
		n.tomorrow()
		out, err := n.Send(t.Context(), true)
		if err != nil || len(out) != 2 || out[0].Note != "would be sent" || out[0].Size < 1000 || out[1].Stage != report.LeftOut {
			t.Errorf("%+v, %v", out, err)
		}
		if len(n.queued())+len(n.stages(report.DMARC)) != 0 {
			t.Error("something was sent, or noted")
		}
	})
	t.Run("the DNS fails in one night, not in the next", func(t *testing.T) {
		n := newDusk(t, t.TempDir(), sender("mailto:a@sender.example"))
		n.come("192.0.2.1", "b@sender.example", "a@sender.example", true)
		n.zone.Fail("_dmarc.sender.example", sim.ServFail)
		n.tomorrow()
		fresh := func() { // nothing is remembered
			r, err := n.zone.Resolver()
			check(t, err)
			n.TXT = r.LookupTXT
		}
		fresh()
		if out, err := n.Send(t.Context(), false); err != nil || len(out) != 1 || out[0].Stage != report.Later {
			t.Errorf("%+v, %v", out, err)
		}
		n.zone.Fail("_dmarc.sender.example", sim.None)
		fresh()
		if out, err := n.Send(t.Context(), false); err != nil || len(out) != 1 || out[0].Stage != report.Sent {
			t.Errorf("%+v, %v", out, err)
		}
		if out, err := n.Send(t.Context(), false); err != nil || len(out) != 0 || len(n.queued()) != 1 {
			t.Errorf("it is sent again: %+v, %v", out, err)
		}
	})
}

// LOOP-013 reports cause no reports.
func TestReportsCauseNone(t *testing.T) {
	n := newDusk(t, t.TempDir(), sender("mailto:a@sender.example"))
	judged := func(to ...string) []string {
		t.Helper()
		text := "From: dmarc@sender.example\r\nSubject: Report Domain: example.org\r\n\r\n"
		c := n.filter.Open(t.Context(), nil, filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr("192.0.2.1")}})
		c.Read(message.Header(text), false)
		j := filter.Judged{Verdict: c.Judge(t.Context()), Evidence: c.Evidence()}
		for _, a := range to {
			j.Recipients = append(j.Recipients, parse(t, a))
		}
		n.Office.Emit(j)
		check(t, n.Store.Write(t.Context()))
		domains, err := n.Store.SeenDomains(t.Context(), time.Now())
		check(t, err)
		return domains
	}
	t.Run("LOOP-013 a report about reports", func(t *testing.T) {
		if got := judged("dmarc-reports@example.org"); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
	t.Run("LOOP-013 who writes to others besides is counted", func(t *testing.T) {
		if got := judged("dmarc-reports@example.org", "alice@example.org"); len(got) != 1 {
			t.Errorf("%q", got)
		}
	})
	t.Run("LOOP-013 a bounce of a report goes nowhere", func(t *testing.T) {
		n.tomorrow()
		if _, err := n.Send(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		letters := n.queued()
		if len(letters) != 1 || letters[0].item.Sender != (address.Address{}) || !bounce.IsLast(letters[0].item) || !bounce.IsReport(letters[0].item) {
			t.Fatalf("%+v", letters)
		}
		back := bounce.New("mail.example.org", nil, n.Queue, n.Router)
		back.Configure(func() bounce.Settings {
			return bounce.Settings{Topics: map[event.Topic]address.Address{event.DoubleBounce: {}}}
		})
		for _, action := range []dsn.Action{dsn.Failed, dsn.Delayed, dsn.Delivered} {
			if back.Wants(letters[0].item, letters[0].item.Recipients[0], action) {
				t.Errorf("somebody is told of %s", action)
			}
		}
		if back.Double(letters[0].item, time.Now()) {
			t.Error("the postmaster gets what nobody wants")
		}
	})
}
