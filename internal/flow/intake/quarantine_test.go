package intake

import (
	"context"
	"strings"
	"testing"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/store/policy"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// infected is a check that finds a virus in each letter.
type infected struct{}

func (infected) Name() string     { return "infected" }
func (infected) At() filter.Stage { return filter.End }
func (infected) Examine(context.Context, *filter.Letter) []filter.Remark {
	return []filter.Remark{{Check: "infected", Name: "eicar", Category: policy.Virus, Sentence: "It carries Eicar."}}
}

// TestQuarantineOrMailbox (rows 193, 197, 205, 206): what is to be in quarantine fills it, with
// what is known of it, or goes to the mailbox that a policy names; and the postmaster hears of
// it where a policy says so.
func TestQuarantineOrMailbox(t *testing.T) {
	for name, x := range map[string]struct {
		to, notify      string
		shelf, told     bool
		route, category string
	}{
		"row 206 the shelf":             {shelf: true},
		"row 193 told":                  {notify: "virus", shelf: true, told: true},
		"row 193 of others":             {notify: "spam", shelf: true},
		"row 205 a mailbox":             {to: "bob@example.org", notify: "virus", route: "mailbox:bob@example.org"},
		"row 205 nobody's":              {to: "nobody@example.org", shelf: true},
		"row 205 not here: no relaying": {to: "abuse@far.example", shelf: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t, 0)
			wants := policy.Default()
			if x.to != "" {
				wants.QuarantineTo, _ = address.Parse(x.to)
			}
			if x.notify != "" {
				wants.Notify = []policy.Category{policy.Category(x.notify)}
			}
			rules := &filter.Rules{Hostname: "mail.example.org", Scoring: true, Checks: []filter.Check{infected{}}}
			f := filter.New(rules, sim.Zone(t, world), nil).Obeys(nil, wants)
			c.with(func(r *Rules) { r.Filter = f })
			log := &diary{}
			c.Desk.events = log
			_, answer, id := c.talk(t, stranger, from(t, "a@far.example"), "From: A <a@far.example>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n\r\nx\r\n", "alice@example.org")
			if answer != "" {
				t.Fatal(answer)
			}
			it, _, err := c.queue.Show(context.Background(), id)
			if err != nil || len(it.Recipients) != 1 {
				t.Fatalf("%+v, %v", it, err)
			}
			r := it.Recipients[0]
			if (r.Quarantine == "virus" && r.State == queue.Held) != x.shelf || x.route != "" && (r.Route != x.route || r.State != queue.Queued || r.Folder != "") {
				t.Errorf("it stands as %+v", r)
			}
			var exhibits []queue.Exhibit
			if err := c.queue.Exhibits(context.Background(), queue.ExhibitFilter{}, func(e queue.Exhibit) bool { exhibits = append(exhibits, e); return true }); err != nil {
				t.Fatal(err)
			}
			if x.shelf && (len(exhibits) != 1 || exhibits[0].Account != "alice@example.org" || exhibits[0].Subject != "café") || !x.shelf && len(exhibits) != 0 {
				t.Errorf("in quarantine: %+v", exhibits)
			}
			if told := strings.Contains(log.lines(), "category=virus, score="); told != x.told {
				t.Errorf("the postmaster hears of it: %v\n%s", told, log.lines())
			}
		})
	}
}
