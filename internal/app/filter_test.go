package app

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	caller "facteur/internal/flow/filter/client"
	"facteur/internal/flow/filter/letter"
	"facteur/internal/flow/filter/record"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/words"
	"facteur/internal/net/dns"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/reputation"
	"facteur/internal/test/sim"
)

// BenchmarkFilter: the whole local filter, for a letter of 5 KB, text with HTML beside it,
// with answers of the DNS from memory: the client, what is in the letter, its words and its
// shape beside those learnt, reputation. The aim is 1 ms of CPU.
func BenchmarkFilter(b *testing.B) {
	header, body := fiveKB()
	f := benchedFilter(b)
	from, _ := address.Parse("alice@example.net")
	to, _ := address.Parse("bob@example.org")
	l := filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr("192.0.2.7"), Name: "mx.example.net", Helo: "mx.example.net"}, Service: "smtp", Sender: from}
	b.ReportAllocs()
	began := used()
	for b.Loop() {
		one := f.Open(b.Context(), nil, l)
		one.Addressed([]filter.Recipient{{Address: to, Account: "bob@example.org"}})
		one.Read(header, false)
		one.Holds(filter.Joined{Header: header, Body: strings.NewReader(body)}, int64(len(header)+len(body)))
		v := one.Judge(b.Context())
		one.Weigh(b.Context(), v, nil, "1")
		one.Close()
	}
	b.ReportMetric(float64((used()-began).Microseconds())/float64(b.N), "cpu-µs/op")
}

// benchedFilter knows clients, words of the server and of an account, and reputation.
func benchedFilter(b *testing.B) *filter.Filter {
	b.Helper()
	server, err := sim.StartDNS("127.0.0.1:0", "mx.example.net. A 192.0.2.7\nexample.net. TXT \"v=spf1 mx -all\"\nexample.net. MX 10 mx.example.net.\n7.2.0.192.in-addr.arpa. PTR mx.example.net.\n")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Close)
	resolver, err := dns.New(dns.Config{Servers: []string{server.Addr()}})
	if err != nil {
		b.Fatal(err)
	}
	d, err := db.Open(filepath.Join(b.TempDir(), "facteur.db"), directory.Migrations(), reputation.Tables())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	known, err := reputation.Open(b.Context(), d, event.Discard)
	if err != nil {
		b.Fatal(err)
	}
	c := config.Default()
	c.Hostname = "mail.example.org"
	checks, err := LetterChecks(func(owner string) words.Layer {
		return words.Layer{Name: owner, Spam: 500, Ham: 900, Count: func(token uint64) (uint32, uint32) { return uint32(token) & 7, uint32(token>>8) & 7 }}
	})
	if err != nil {
		b.Fatal(err)
	}
	checks = append(checks, ContentChecks(c, letter.House{})...)
	checks = append(checks, caller.NewName(resolver, func() caller.Self { return caller.Self{Hostname: c.Hostname} }), caller.NewDoor(nil),
		record.Clients{Known: known}, record.Senders{Known: known})
	rules := c.FilterRules()
	rules.Checks = checks
	return filter.New(rules, resolver, known)
}

// fiveKB is a letter as programs of people write them.
func fiveKB() (message.Header, string) {
	header := "Received: from laptop.example.net (laptop.example.net [192.0.2.9])\r\n\tby mx.example.net with ESMTPSA id 1\r\n\tfor <bob@example.org>; Sun, 22 Nov 2026 10:00:00 +0000\r\n" +
		"From: Alice <alice@example.net>\r\nTo: Bob <bob@example.org>\r\nSubject: The plan for Tuesday\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n" +
		"Message-Id: <1@example.net>\r\nReferences: <0@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=edge\r\n\r\n"
	var text, page strings.Builder
	for n := range 24 {
		line := fmt.Sprintf("Could you look at paragraph%d of the plan%d for Tuesday, and tell me what is missing in chapter%d?", n, n*7, n*3)
		text.WriteString(line + "\r\n")
		page.WriteString("<p style=\"margin: 0\">" + line + "</p>\r\n")
	}
	return message.Header(header), "--edge\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text.String() + "https://www.example.net/plan\r\n--edge\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" +
		"<html><body>" + page.String() + "<a href=\"https://www.example.net/plan\">the plan</a></body></html>\r\n--edge--\r\n"
}

// used is the processor time of this process.
func used() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
