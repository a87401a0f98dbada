package app

import (
	"strings"
	"testing"

	"facteur/internal/app/config"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/letter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/store/policy"
)

// TestNameKey: which names are somebody's.
func TestNameKey(t *testing.T) {
	for name, want := range map[string]string{
		"Marie Curie": "curie marie", "marie.curie": "curie marie", "CURIE, Marie": "curie marie", "marie_curie": "curie marie",
		"Marie": "", "info": "", "M. Curie": "", "The whole team of the bank": "",
	} {
		if got := nameKey(name); got != want {
			t.Errorf("%q is %q; want %q", name, got, want)
		}
	}
}

// TestTheHouseIsKnown: the checks that are wired speak of names of our users and of
// languages that nobody here uses.
func TestTheHouseIsKnown(t *testing.T) {
	c := config.Default()
	c.Filter.Languages = []string{"en"}
	c.FilterPolicyTables = []config.FilterPolicy{{Match: "bob@example.org", Languages: []string{"fr"}}}
	people := map[string]string{nameKey("marie.curie"): "marie.curie@example.org"}
	checks := ContentChecks(c, letter.House{Person: func(name string) string { return people[nameKey(name)] }, Languages: usedLanguages(policy.Fixed(c.FilterPolicies()))})
	f := filter.New(&filter.Rules{Hostname: "mail.example.org", Scoring: true, Checks: checks}, nil, nil)
	header := message.Header("From: Marie Curie <director@far.example>\r\nTo: bob@example.org\r\nSubject: A transfer\r\n" +
		"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-Id: <1@far.example>\r\n\r\n")
	body := strings.Repeat("Could you please make a transfer for me today, as I am in a meeting and can not talk with you about it.\r\n", 5)
	bob, _ := address.Parse("bob@example.org")
	text := string(header) + body
	one, _ := f.Again(t.Context(), filter.Letter{Message: strings.NewReader(text), Size: int64(len(text)),
		Recipients: []filter.Recipient{{Address: bob, Account: "bob@example.org"}}}, header, false, filter.Past{})
	defer one.Close()
	told := map[string]string{}
	for _, r := range one.Remarks() {
		told[r.Name] = r.Sentence
	}
	for name, word := range map[string]string{"identity_name_ours": "marie.curie@example.org", "language_unusual": "(en)"} {
		if !strings.Contains(told[name], word) {
			t.Errorf("%s: %q", name, told[name])
		}
	}
}
