package app

import (
	"facteur/internal/app/config"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/correspondent"
	"facteur/internal/flow/filter/letter"
	"facteur/internal/flow/filter/words"
	prior "facteur/internal/mail/words"
)

// newFilter builds the filter of new settings.
func (a *App) newFilter(c *config.Config) (*filter.Filter, error) {
	rules := c.FilterRules()
	if c.Filter.Enabled {
		checks, err := LetterChecks(a.lexicon.Layer)
		if err != nil {
			return nil, err
		}
		rules.Checks = append(append(a.clientChecks(c), checks...), ContentChecks(c, letter.House{Ours: a.isOurs, Person: a.person, Resembles: a.correspondents.Resembles, Languages: usedLanguages(a.policies)})...)
		rules.Checks = append(rules.Checks, &correspondent.Check{Knows: a.correspondents.Knows})
		rules.Checks = append(rules.Checks, a.recordChecks(c)...)
		if err := a.scan(c, rules); err != nil {
			return nil, err
		}
	}
	return filter.New(rules, a.resolver, a.reputation).Obeys(a.policies, c.Standard()).Tells(a.events), nil
}

// LetterChecks are those that look at the letter itself, in the order in which the journey
// tells of them. layer gives what an owner has learnt; nil: nothing was.
func LetterChecks(layer func(owner string) prior.Layer) ([]filter.Check, error) {
	ours, err := prior.Shipped()
	if err != nil {
		return nil, err
	}
	return words.Checks(words.Learnt{Prior: ours, Layer: layer}), nil
}
