package main

import (
	"encoding/json"
	"strings"
	"testing"

	"facteur/internal/test/sim"
)

// The world of these tests.
const dmarcZone = `
	example.org.               TXT "v=spf1 ip4:192.0.2.1 -all"
	_dmarc.example.org.        TXT "v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@example.net!10m; pct=50; x=1"
	sub.example.org.           A 192.0.2.1
	soft.example.org.          A 192.0.2.1
	_dmarc.gov.example.        TXT "v=DMARC1; p=none; np=reject; psd=y"
	bar.gov.example.           A 192.0.2.1
	!servfail _dmarc.broken.example
`

// Row 170: a letter in a file, evaluated as at the door.
func TestDMARCCheck(t *testing.T) {
	t.Parallel()
	dns, err := sim.StartDNS("127.0.0.1:0", dmarcZone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	for _, tc := range []struct {
		name, from string
		flags      []string
		status     int
		want       []string
	}{
		{"SPF passes", "a@example.org", []string{"--ip", "192.0.2.1", "--sender", "a@example.org"}, 0, []string{"spf     pass    example.org  yes", "dmarc   pass    example.org", "here    accept"}},
		{"SPF of Return-Path", "a@example.org", []string{"--ip", "192.0.2.1"}, 0, []string{"spf     pass    bounces.example.org", "yes"}},
		{"SPF fails", "a@example.org", []string{"--ip", "192.0.2.2", "--sender", "a@example.org"}, 1, []string{"spf     fail", "dmarc   fail", "reject", "tag p of v=DMARC1", "here    reject"}},
		{"without --ip", "a@example.org", nil, 1, []string{"not checked without --ip"}},
		{"a subdomain", "a@sub.example.org", nil, 1, []string{"policy  quarantine", "tag sp of", "here    junk"}},
		{"no record", "a@nothing.example", nil, 1, []string{"dmarc  none", "has no DMARC record"}},
		{"the DNS is silent", "a@broken.example", nil, 2, []string{"temperror", "here   accept"}},
		{"no author", "Us:;", nil, 1, []string{"permerror", "no address in From"}},
		{"two authors", "a@nothing.example, b@example.org", nil, 1, []string{"nothing.example,example.org", "several addresses in From", "dmarc   fail"}},
		{"a terminal's commands", "=?utf-8?q?=1b[2J?= \x1b[2J <a@example.org>", nil, 1, []string{"dmarc   fail"}},
	} {
		t.Run("row 170 "+tc.name, func(t *testing.T) {
			t.Parallel()
			letter := "Return-Path: <x@bounces.example.org>\nFrom: " + tc.from + "\nSubject: x\n\nHello.\n"
			if tc.name == "SPF of Return-Path" {
				letter = strings.Replace(letter, "x@bounces.", "x@", 1)
				tc.want[0] = "spf     pass    example.org"
			}
			status, out, errs := call(t, letter, append([]string{"dmarc", "check", "-", "--dns", dns.Addr()}, tc.flags...)...)
			if status != tc.status || errs != "" || strings.Contains(out, "\x1b") {
				t.Errorf("status %d, %q\n%s", status, errs, out)
			}
			for _, w := range tc.want {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
		})
	}
	var told struct {
		Outcome, Field string
		DMARC          struct{ Status string }
	}
	out := good(t, "From: a@example.org\n\n", "dmarc", "check", "--json", "-", "--dns", dns.Addr(), "--ip", "192.0.2.1", "--sender", "b@example.org")
	if err := json.Unmarshal([]byte(out), &told); err != nil || told.Outcome != "accept" || told.DMARC.Status != "pass" || !strings.Contains(told.Field, "dmarc=pass (p=reject dis=none) header.from=example.org") {
		t.Errorf("JSON: %+v, %v", told, err)
	}
}

// Rows 225 and 232: the record of a domain, explained.
func TestDMARCShow(t *testing.T) {
	t.Parallel()
	dns, err := sim.StartDNS("127.0.0.1:0", dmarcZone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	for _, tc := range []struct {
		domain string
		status int
		want   []string
	}{
		{"sub.example.org", 0, []string{"1  _dmarc.sub.example.org\n     no record", "2  _dmarc.example.org\n     v=DMARC1; p=reject;", "3  _dmarc.org\n     no record",
			"The organisation's domain is example.org: it is the shortest name that has a record.", "p=reject\n     mail of this domain that fails: refuse it",
			"sp=quarantine\n     mail of subdomains that exist that fails: put it into Junk", "daily reports about all mail go to d@example.net (up to 10485760 bytes",
			"asks for: quarantine (tag sp)", "sp=quarantine is weaker than p=reject", "example.org._report._dmarc.example.net. TXT", "pct is of the old standard", "x=1\n     is no tag of DMARC; ignored"}},
		{"nothing.example.org", 0, []string{"asks for: quarantine (tag sp)"}},
		{"Bar.GOV.example.", 0, []string{"(psd=y ends the search)", "is bar.gov.example: it is one label below gov.example", "asks for: none (tag p)"}},
		{"no.gov.example", 0, []string{"asks for: reject (tag np)"}},
		{"nothing.example", 1, []string{"No record applies", `_dmarc.nothing.example. IN TXT "v=DMARC1; p=none;`}},
		{"broken.example", 2, []string{"no answer", "the DNS did not answer all questions"}},
	} {
		t.Run("rows 225, 232 "+tc.domain, func(t *testing.T) {
			t.Parallel()
			status, out, errs := call(t, "", "dmarc", "show", tc.domain, "--dns", dns.Addr())
			if status != tc.status || errs != "" {
				t.Errorf("status %d, %q", status, errs)
			}
			for _, w := range tc.want {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
			if status == 2 && strings.Contains(out, "No record applies") {
				t.Errorf("what was not answered is told as if it were:\n%s", out)
			}
		})
	}
	var v dmarcView
	if err := json.Unmarshal([]byte(good(t, "", "dmarc", "show", "--json", "example.org", "--dns", dns.Addr())), &v); err != nil || v.Policy != "reject" || len(v.Steps) != 2 || len(v.Means) != 6 {
		t.Errorf("JSON: %+v, %v", v, err)
	}
	if status, _, errs := call(t, "", "dmarc", "show", "a b", "--dns", dns.Addr()); status != 2 || !strings.Contains(errs, "is no domain") {
		t.Errorf("%d, %q", status, errs)
	}
}
