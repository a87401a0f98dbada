package app

import (
	"strings"
	"testing"

	"facteur/internal/app/config"
	"facteur/internal/flow/filter"
	"facteur/internal/mail/message"
)

// BenchmarkFilter: the whole local filter, for a letter of 5 KB; the aim is 1 ms of CPU.
func BenchmarkFilter(b *testing.B) {
	c := config.Default()
	c.Hostname = "mail.example.org"
	checks, err := LetterChecks(nil)
	if err != nil {
		b.Fatal(err)
	}
	f := filter.New(&filter.Rules{Hostname: c.Hostname, Scoring: true, Checks: append(checks, ContentChecks(c, nil, nil)...)}, nil, nil)
	header := message.Header("From: Alice <alice@example.net>\r\nTo: bob@example.org\r\nSubject: The plan for Tuesday\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n" +
		"Message-Id: <1@example.net>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
	body := strings.Repeat("Could you look at the plan for Tuesday, and tell me what is missing? http://www.example.net/plan\r\n", 50)
	for b.Loop() {
		one := f.Open(b.Context(), nil, filter.Letter{})
		one.Read(header, false)
		one.Holds(filter.Joined{Header: header, Body: strings.NewReader(body)}, int64(len(header)+len(body)))
		v := one.Judge(b.Context())
		one.Weigh(b.Context(), v, nil, "1")
		one.Close()
	}
}
