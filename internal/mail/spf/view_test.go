package spf_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/spf"
	"facteur/internal/test/sim"
)

// Rows 220 to 222: the limits of the texts, each by a record that is beyond it.
func TestShow(t *testing.T) {
	var zone strings.Builder
	zone.WriteString(`
		good.example.    TXT "v=spf1 a mx include:part.example -all"
		good.example.    A 192.0.2.1
		good.example.    MX 10 good.example.
		part.example.    TXT "v=spf1 ip4:198.51.100.0/24 ?ip4:203.0.113.1 -all"
		nomail.example.  TXT "v=spf1 -all"
		open.example.    TXT "v=spf1 +all"
		soft.example.    TXT "v=spf1 a ~all"
		soft.example.    A 192.0.2.1
		endless.example. TXT "v=spf1 ip4:192.0.2.1"
		ptr.example.     TXT "v=spf1 ptr -all"
		circle.example.  TXT "v=spf1 include:circle.example -all"
		voids.example.   TXT "v=spf1 a:x.voids.example a:y.voids.example mx:z.voids.example -all"
		moved.example.   TXT "v=spf1 redirect=good.example"
		eleven.example.  TXT "v=spf1 a a a a a include:six.example -all"
		eleven.example.  A 192.0.2.1
		six.example.     TXT "v=spf1 a a a a a -all"
		six.example.     A 192.0.2.1
		macro.example.   TXT "v=spf1 exists:%{i}.macro.example include:%{o}.macro.example -all"
		huge.example.    TXT "v=spf1 ip4:10.0.0.0/7 -all"
		typo.example.    TXT "v=spf1 ipv4:192.0.2.1 -all"
		!servfail down.example
		half.example.    TXT "v=spf1 include:down.example -all"
	`)
	fmt.Fprintf(&zone, "\nmany.example. TXT \"v=spf1\"%s \" -all\"\n", networks(102))
	fmt.Fprintf(&zone, "long.example. TXT \"v=spf1\"%s \" -all\"\n", networks(20))
	r := sim.Zone(t, zone.String()).SPF()
	for _, c := range []struct {
		row, domain string
		valid       bool
		lookups     int
		others      spf.Status
		said        string
	}{
		{"row 220 a good one", "good.example", true, 3, spf.Fail, ""},
		{"row 220 another's record", "moved.example", true, 4, spf.Fail, ""},
		{"row 220 -all", "soft.example", true, 1, spf.SoftFail, "-all refuses them"},
		{"row 220 no all", "endless.example", true, 0, spf.Neutral, "end the record in -all"},
		{"row 220 syntax", "typo.example", false, 0, spf.Neutral, "there is no such mechanism"},
		{"row 220 everybody", "open.example", true, 0, spf.Pass, "worth nothing"},
		{"row 221 no ptr", "ptr.example", true, 1, spf.Fail, "do not use ptr"},
		{"row 221 eleven look-ups", "eleven.example", false, 11, spf.Fail, "11 terms need DNS look-ups, at most 10"},
		{"row 221 void look-ups", "voids.example", false, 3, spf.Fail, "3 look-ups have no answer"},
		{"row 221 102 networks", "many.example", true, 0, spf.Fail, "102 addresses and networks, more than 101"},
		{"row 221 450 octets", "long.example", true, 0, spf.Fail, "more than 450: the answer may not fit"},
		{"row 221 255 octets", "long.example", true, 0, spf.Fail, "as 2 strings of at most 255"},
		{"row 221 a large network", "huge.example", true, 0, spf.Fail, "part of the world"},
		{"row 222 no mail", "nomail.example", true, 0, spf.Fail, "never sends mail"},
		{"AUT-001 a circle", "circle.example", false, 1, spf.Fail, "in a circle"},
		{"macros are not followed", "macro.example", true, 2, spf.Fail, ""},
		{"AUT-004 a part can not be read", "half.example", false, 1, spf.Fail, "down.example"},
	} {
		t.Run(c.row, func(t *testing.T) {
			a := spf.Show(context.Background(), r, c.domain)
			v := a.Value()
			said := strings.Join(append(v.Problems, v.Advice...), "\n")
			if a.State() != lookup.Found || v.Valid() != c.valid || v.Lookups != c.lookups || v.Others != c.others || !strings.Contains(said, c.said) || c.said == "" && said != "" {
				t.Errorf("%v: valid %v, %d look-ups, others %s\n%s", a.State(), v.Valid(), v.Lookups, v.Others, said)
			}
		})
	}
	if got := fmt.Sprint(spf.Show(context.Background(), r, "good.example").Value().Pass); got != "[192.0.2.1/32 198.51.100.0/24]" {
		t.Errorf("row 167: %s", got)
	}
	for domain, want := range map[string]lookup.State{"none.example": lookup.NotFound, "down.example": lookup.TryAgain} {
		if a := spf.Show(context.Background(), r, domain); a.State() != want {
			t.Errorf("%s: %v", domain, a.State())
		}
	}
}

// networks are n terms, each in a string of its own.
func networks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` " ip4:198.51.%d.128/25"`, 100+i)
	}
	return b.String()
}
