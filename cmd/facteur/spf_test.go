package main

import (
	"fmt"
	"strings"
	"testing"

	"facteur/internal/test/sim"
)

const spfZone = `
evolix.fr.            TXT "v=spf1 mx ip4:31.170.8.17 -all"
evolix.fr.            MX 10 mx.evolix.fr.
mx.evolix.fr.         A 192.0.2.1
netmeister.org.       TXT "v=spf1 a -all"
netmeister.org.       A 166.84.7.99
netmeister.org.       AAAA 2001:470:30:84:e276:63ff:fe72:3900
nomail.example.       TXT "v=spf1 -all"
old.example.          TXT "v=spf1 ptr include:gone.example ?all"
two.example.          TXT "v=spf1 -all"
two.example.          TXT "v=spf1 ~all"
big.example.          TXT "v=spf1 ip4:192.0.2.0/24 -all"
!servfail broken.example
`

func spfWorld(t *testing.T) string {
	t.Helper()
	dns, err := sim.StartDNS("127.0.0.1:0", spfZone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	return dns.Addr()
}

// Row 166: the command of the texts, with its output.
func TestSPFQuery(t *testing.T) {
	t.Parallel()
	dns := spfWorld(t)
	cases := []struct {
		name, args, want string
		status           int
	}{
		{"row 166 as in the text", "-ip=31.170.8.17 -sender=example@evolix.fr -helo=evolix.fr",
			"pass\n\nspfquery: domain of evolix.fr designates 31.170.8.17 as permitted sender\nReceived-SPF: pass (spfquery: domain of evolix.fr designates 31.170.8.17 as permitted sender) client-ip=31.170.8.17; envelope-from=example@evolix.fr; helo=evolix.fr;\n", 0},
		{"row 166 of another host, options with spaces", "--ip 31.170.8.18 --mfrom example@evolix.fr --helo evolix.fr",
			"fail\nevolix.fr does not allow 31.170.8.18 to send its mail (SPF: -all).\nspfquery: domain of evolix.fr does not designate 31.170.8.18 as permitted sender\nReceived-SPF: fail (spfquery: domain of evolix.fr does not designate 31.170.8.18 as permitted sender) client-ip=31.170.8.18; envelope-from=example@evolix.fr; helo=evolix.fr;\n", 1},
		{"HELO alone", "-ip=31.170.8.17 -helo=evolix.fr",
			"pass\n\nspfquery: domain of evolix.fr designates 31.170.8.17 as permitted sender\nReceived-SPF: pass (spfquery: domain of evolix.fr designates 31.170.8.17 as permitted sender) client-ip=31.170.8.17; envelope-from=<>; helo=evolix.fr;\n", 0},
		{"none", "-ip=31.170.8.17 -sender=a@mx.evolix.fr", "none\n", 6},
		{"permerror", "-ip=31.170.8.17 -sender=a@two.example", "permerror\n", 4},
		{"AUT-004 temperror", "-ip=31.170.8.17 -sender=a@broken.example", "temperror\n", 5},
		{"no address", "-sender=a@two.example", "", 4},
		{"unknown option", "-ip=192.0.2.1 -x=1", "", 4},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs strings.Builder
			c := &command{in: strings.NewReader(""), out: &out, err: &errs}
			status := c.runTool(t.Context(), "spfquery", append(strings.Fields(tc.args), "-dns="+dns))
			if status != tc.status || !strings.HasPrefix(out.String(), tc.want) {
				t.Errorf("status %d, %q %q, want %d %q", status, out.String(), errs.String(), tc.status, tc.want)
			}
		})
	}
}

func TestSPFCheck(t *testing.T) {
	t.Parallel()
	dns := spfWorld(t)
	for _, tc := range []struct {
		args   string
		status int
		want   string
	}{
		{"--ip 31.170.8.17 --sender <a@evolix.fr>", 0, "Decided by:   evolix.fr: ip4:31.170.8.17\n"},
		{"--ip ::ffff:31.170.8.17 --sender a@evolix.fr --json", 0, `"result":"pass","identity":"mailfrom","domain":"evolix.fr"`},
		{"--ip 31.170.8.18 --helo evolix.fr", 1, "Meaning:      evolix.fr does not allow 31.170.8.18 to send its mail (SPF: -all).\n"},
		{"--ip 31.170.8.18 --sender a@broken.example", 2, "temperror"},
		{"--ip 31.170.8 --sender a@evolix.fr", 2, ""},
		{"--ip 31.170.8.17", 2, ""},
	} {
		var out, errs strings.Builder
		c := &command{in: strings.NewReader(""), out: &out, err: &errs}
		status := c.run(t.Context(), append([]string{"spf", "check", "--dns", dns}, strings.Fields(tc.args)...))
		if status != tc.status || !strings.Contains(out.String(), tc.want) || tc.want == "" && errs.Len() == 0 {
			t.Errorf("%s: status %d\n%s%s", tc.args, status, out.String(), errs.String())
		}
	}
}

// Row 167, with the output of the text; rows 220 to 222: what is wrong with a record.
func TestSPFShow(t *testing.T) {
	t.Parallel()
	dns := spfWorld(t)
	const netmeister = `netmeister.org:
  policy:
    a -all

  valid

  pass:
    a (1 name):
      netmeister.org

    a (2 IPs):
      166.84.7.99
      2001:470:30:84:e276:63ff:fe72:3900

  All others: fail

SPF record for domain 'netmeister.org': valid

Total counts:
  Total number of DNS lookups     : 1

  pass:
    Total # of a directives       : 1
    Total # of ip4 addresses      : 1
    Total # of ip6 addresses      : 1

All others: fail
`
	for _, tc := range []struct {
		name, domain string
		status       int
		want         []string
	}{
		{"row 167 as in the text", "netmeister.org", 0, []string{netmeister}},
		{"row 222 a domain that never sends", "nomail.example", 0, []string{"All others: fail", "never sends mail"}},
		{"row 221 ptr, and what is gone", "old.example", 1, []string{"do not use ptr", "gone.example: there is no SPF record"}},
		{"row 220 two records", "two.example", 1, []string{"more than one SPF record"}},
		{"no record", "mx.evolix.fr", 1, nil},
		{"AUT-004 an outage", "broken.example", 2, nil},
		{"no domain", "a b", 2, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs strings.Builder
			c := &command{in: strings.NewReader(""), out: &out, err: &errs}
			status := c.run(t.Context(), []string{"spf", "show", "--dns", dns, tc.domain})
			if status != tc.status {
				t.Errorf("status %d: %s", status, errs.String())
			}
			for _, w := range tc.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("lacks %q:\n%s", w, out.String())
				}
			}
		})
	}
	if got := good(t, "", "spf", "show", "--json", "--dns", dns, "netmeister.org"); !strings.Contains(got, `"pass":["166.84.7.99/32","2001:470:30:84:e276:63ff:fe72:3900/128"],"others":"fail"`) {
		t.Error(got)
	}
}

// Row 168: the list that postwhite makes.
func TestSPFPreapproved(t *testing.T) {
	t.Parallel()
	dns := spfWorld(t)
	want := fmt.Sprintf("%-13s%s\n%-13s%s\n", "PROVIDER", "NETWORK", "big.example", "192.0.2.0/24")
	if got := good(t, "", "spf", "preapproved", "--dns", dns, "big.example"); got != want {
		t.Errorf("row 168: %q", got)
	}
}
