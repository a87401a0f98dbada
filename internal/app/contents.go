package app

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"facteur/internal/app/config"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/letter"
	"facteur/internal/mail/address"
	"facteur/internal/store/policy"
)

// ContentChecks are those that look at what a letter says and carries, by the settings. Of
// what the house does not say, nothing is known.
func ContentChecks(c *config.Config, house letter.House) []filter.Check {
	house.Hostname = c.Hostname
	rules := c.Attachments.Rules()
	return letter.Checks(func() *letter.House { return &house }, func() *letter.Attachments { return rules })
}

// usedLanguages are those that each account uses by policies.
func usedLanguages(p *policy.Store) func(account string) []string {
	return func(account string) []string {
		e, _ := wantsOf(p, account)
		return e.Languages
	}
}

// wantsOf is what holds for an account by policies.
func wantsOf(p *policy.Store, account string) (policy.Effective, bool) {
	a, err := address.Parse(account)
	if err != nil {
		return policy.Effective{}, false
	}
	found := p.Effective(context.Background(), a)
	return found.Value(), found.State() == lookup.Found
}

// persons remembers the names of our users, as far as their addresses tell them:
// "marie.curie@example.org" is Marie Curie. A name of one word is anybody's.
type persons struct {
	mu    sync.Mutex
	names map[string]string
	until time.Time
}

// Bounds of what is remembered, and of how long it is believed to be the same.
const (
	peopleMost = 100_000
	peopleFor  = 10 * time.Minute
)

// person is the address of the user who has a name; "" if nobody has. While the accounts
// can't be read, it goes by what they last were.
func (a *App) person(name string) string {
	key := nameKey(name)
	if key == "" {
		return ""
	}
	p := &a.persons
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.until) {
		p.until = now.Add(peopleFor)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if accounts, err := a.directory.Accounts(ctx); err == nil {
			p.names = make(map[string]string, len(accounts))
			for i := range accounts[:min(len(accounts), peopleMost)] {
				local, _, _ := strings.Cut(accounts[i].Address, "@")
				if key := nameKey(local); key != "" {
					p.names[key] = accounts[i].Address
				}
			}
		}
	}
	return p.names[key]
}

// nameKey is a name of two to four words in the form that is compared, in whatever order
// they stand; "" if it is none.
func nameKey(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) })
	if len(words) < 2 || len(words) > 4 || slices.ContainsFunc(words, func(w string) bool { return len(w) < 2 }) {
		return ""
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}
