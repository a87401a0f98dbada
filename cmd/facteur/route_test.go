package main

import (
	"encoding/json"
	"strings"
	"testing"

	"facteur/internal/flow/deliver"
	"facteur/internal/test/sim"
)

// TestQueueRoute: each step of the way, and who decided it, without a server.
func TestQueueRoute(t *testing.T) {
	t.Parallel()
	dns, err := sim.StartDNS("127.0.0.1:0", `
company.test. MX 10 smtp-in.orange.fr
smtp-in.orange.fr. A 193.252.22.65
two.test. MX 20 b.two.test
two.test. MX 10 a.two.test
a.two.test. A 9.9.9.9
b.two.test. A 127.0.0.1
self.test. MX 10 mail.example.org
`)
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	file := settingsFile(t, small+"[dns]\nservers = ['"+dns.Addr()+`']
[[transport_map]]
recipient = "gone.test"
to = "error:5.1.6 moved"
[[transport_map]]
sender = "@news.example.org"
to = "relay:[192.0.2.9]:587"
[[relay]]
host = "192.0.2.9:587"
user = "me"
password = "geheim"
[[relay]]
host = "192.0.2.1:25"
weight = 1
[[relay]]
host = "192.0.2.2:25"
weight = 3
[[transport_map]]
recipient = "weighted.test"
to = "relay:[192.0.2.1], [192.0.2.2]"
[[transport_map]]
recipient = "divided.test"
to = "warm:"
[[transport]]
name = "warm"
relays = "192.0.2.3:25"
divert = "slow"
divert_percent = 30
`)
	for _, x := range []struct {
		args []string
		want []string
	}{
		{[]string{"a@company.test"}, []string{"Because of: preset orange", "Transport:  orange (smtp)", "Next hop:   company.test",
			"Host:       smtp-in.orange.fr:25 [193.252.22.65]; MX 10; TLS may", "Operator:   orange.fr", "Pace:       2 connections at first, at most 2; 25 recipients a message"}},
		{[]string{"a@two.test"}, []string{"Because of: no entry: the usual way", "a.two.test:25 [9.9.9.9]; MX 10", "b.two.test:25; MX 20; but: mail host b.two.test has no address on the public Internet"}},
		{[]string{"a@self.test"}, []string{"But now:    mail for self.test loops back to myself"}},
		{[]string{"a@none.test"}, []string{"But now:    Host or domain name not found. Name service error for name=none.test"}},
		{[]string{"a@gone.test"}, []string{"Because of: " + file + ":10", "Transport:  error (error)", "Says:       550 5.1.6 moved"}},
		{[]string{"a@company.test", "--from", "x@news.example.org"}, []string{"Because of: " + file + ":13", "Host:       192.0.2.9:587 [192.0.2.9]; relay; log-in as me; TLS verify"}},
		{[]string{"alice@example.org"}, []string{"Recipient:  <alice@example.org>, a domain of ours", "Transport:  local (mailbox)"}},
	} {
		got := good(t, "", append([]string{"queue", "route", "-c", file}, x.args...)...)
		for _, want := range x.want {
			if !strings.Contains(got, want) {
				t.Errorf("%v: no %q in\n%s", x.args, want, got)
			}
		}
		if strings.Contains(got, "geheim") {
			t.Error("INV-21: ", got)
		}
	}
	for range 5 { // the same each time
		got := good(t, "", "queue", "route", "-c", file, "x@weighted.test")
		first, second := strings.Index(got, "192.0.2.2:25 [192.0.2.2]; relay, weight 3 (75 % of the mail)"), strings.Index(got, "192.0.2.1:25 [192.0.2.1]; relay, weight 1 (25 % of the mail)")
		if first < 0 || second < first || strings.Contains(got, "Shares:") || !strings.Contains(got, "Operator:   192.0.2.2") {
			t.Fatal(got)
		}
		got = good(t, "", "queue", "route", "-c", file, "x@divided.test")
		usual, other, found := strings.Cut(got, "\n\n")
		if !found || !strings.Contains(usual, "Shares:     70 % warm, 30 % slow\n") || !strings.Contains(usual, "Host:       192.0.2.3:25") ||
			!strings.Contains(other, ":29, diverted from warm\nTransport:  slow (smtp)\n") {
			t.Fatal(got)
		}
	}
	var trace deliver.Trace
	if err := json.Unmarshal([]byte(good(t, "", "queue", "route", "-c", file, "--json", "a@company.test")), &trace); err != nil || trace.Transport != "orange" || len(trace.Hosts) != 1 || trace.Share != 100 {
		t.Error(err, trace)
	}
	if status, _, stderr := call(t, "", "queue", "route", "-c", file, "a@@b"); status == 0 || !strings.Contains(stderr, "is no address") {
		t.Error(status, stderr)
	}
}
