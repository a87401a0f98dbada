package config

import (
	"fmt"
	"strings"

	"facteur/internal/flow/filter"
	"facteur/internal/store/policy"
)

// Filter is how the letters of strangers are judged: what is found out about each adds up
// to a score, and levels say what becomes of it. Domains and accounts may have their own,
// see [[filter_policy]], and everybody lists of senders, see [[filter_list]]. See
// docs/FILTER.md.
type Filter struct {
	// Whether letters are scored. What SPF and DMARC refuse is refused in any case.
	Enabled bool `toml:"enabled"`
	// The score from which headers tell it (X-Spam-Score and so on); "always" or "never".
	// amavis calls this $sa_tag_level_deflt.
	Mark Level `toml:"mark"`
	// The score from which a letter goes to the junk folder. No single check brings one
	// there by itself. amavis calls this $sa_tag2_level_deflt, SpamAssassin required_score.
	Junk Level `toml:"junk"`
	// The score from which destinies.spam is done. amavis calls this $sa_kill_level_deflt.
	Kill Level `toml:"kill"`
	// The score from which a letter is not even kept in quarantine; or "never". amavis calls
	// this $sa_quarantine_cutoff_level.
	Cutoff Level `toml:"cutoff"`
	// What stands before the subject of what goes to the junk folder; "" for nothing. It
	// breaks the signature of the sender. amavis calls this $sa_spam_subject_tag.
	SubjectTag string `toml:"subject_tag"`
	// What is done with letters of each category: "pass", "reject", "quarantine" (accepted,
	// and kept away from the mailbox) or "discard" (the same, but nothing is kept from
	// cutoff on). amavis calls this $final_spam_destiny and so on; its D_BOUNCE is not
	// offered: a bounce to a forged sender is one more spam.
	Destinies FilterDestinies `toml:"destinies"`
	// What becomes of letters of senders on a block list: "junk" (the junk folder), or
	// "kill" (as above the level kill).
	Blocked string `toml:"blocked"`
	// Scores of your own in place of ours, "name = number"; 0 switches a test off. What you
	// say here may condemn a letter by itself.
	Scores []string `toml:"scores"`
	// Tests, and whole checks, that are told and count for nothing: to try them. "all": the
	// whole filter is on trial; it is told what would become of each letter, and nothing is
	// done. What SPF and DMARC say holds.
	TestOnly []string `toml:"test_only"`
	// The most that a check may count for, "check = number", where that is to be more than
	// 0.9 of the level junk.
	Caps []string `toml:"caps"`
	// The languages that people here use, as codes of two letters ("fr", "en"): a letter in
	// another one gets a point (language_unusual). Empty: any. A policy may say others.
	Languages []string `toml:"languages"`
}

func defaultFilter() Filter {
	return Filter{Enabled: true, Mark: "always", Junk: "5", Kill: "12", Cutoff: "never", Blocked: string(filter.BlockedJunk)}
}

// scale is how remarks count; bad is the first entry that can't be read.
func (f *Filter) scale() (s filter.Scale, bad error) {
	scores, err := numbers("scores", f.Scores)
	caps, errCaps := numbers("caps", f.Caps)
	s = filter.Scale{Scores: scores, Caps: caps, TestOnly: make(map[string]bool, len(f.TestOnly))}
	for _, name := range f.TestOnly {
		s.TestOnly[strings.ToLower(name)] = true
		s.All = s.All || strings.EqualFold(name, "all")
	}
	if err == nil {
		err = errCaps
	}
	return s, err
}

// numbers reads "name = number".
func numbers(key string, list []string) (map[string]float64, error) {
	out := make(map[string]float64, len(list))
	for _, entry := range list {
		name, number, found := strings.Cut(entry, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		value, err := policy.ParseLevel(strings.TrimSpace(number))
		if !found || name == "" || err != nil {
			return nil, fmt.Errorf(`%s: %q: expected a name and a number, such as "helo_not_fqdn = 0.5"`, key, entry)
		}
		out[name] = value
	}
	return out, nil
}

// standard is what holds for accounts of which no policy says anything.
func (f *Filter) standard() policy.Effective {
	e := policy.Default()
	set := func(l Level, to *float64) {
		if v := l.value(); v != nil {
			*to = *v
		}
	}
	set(f.Mark, &e.Mark)
	set(f.Junk, &e.Junk)
	set(f.Kill, &e.Kill)
	set(f.Cutoff, &e.Cutoff)
	e.SubjectTag, e.Languages = f.SubjectTag, f.Languages
	for c, d := range f.Destinies.destinies() {
		if d != "" {
			e.Destinies[c] = d
		}
	}
	return e
}

// Standard is what holds for accounts of which no policy says anything.
func (c *Config) Standard() policy.Effective { return c.Filter.standard() }

func (k *checker) filter() {
	f := &k.c.Filter
	if s, err := f.scale(); err != nil {
		k.failf("filter", "%v", err)
	} else {
		k.filterNames(&s)
	}
	if f.Blocked != string(filter.BlockedJunk) && f.Blocked != string(filter.BlockedKilled) {
		k.failf("filter.blocked", "expected %q or %q", filter.BlockedJunk, filter.BlockedKilled)
	}
	whole := policy.Policy{Match: ".", Mark: f.Mark.value(), Junk: f.Junk.value(), Kill: f.Kill.value(), Cutoff: f.Cutoff.value(),
		SubjectTag: f.SubjectTag, Destinies: f.Destinies.destinies(), Languages: f.Languages}
	if _, err := whole.Check(); err != nil {
		k.failPolicy("filter", err)
		return
	}
	e := f.standard()
	if e.Junk <= 0 {
		k.failf("filter.junk", "expected a score above 0: every letter would be junk")
	}
	if e.Kill < e.Junk || e.Cutoff < e.Kill {
		k.failf("filter.kill", "expected levels that rise: mark, junk, kill, cutoff")
	}
}

// Try has a setting say something else, in text: "junk" = "4.5", "score.words" = "2",
// "caps.words" = "6", "test_only" = "words". Check tells what is wrong with it then.
func (f *Filter) Try(key, value string) error {
	levels := map[string]*Level{"mark": &f.Mark, "junk": &f.Junk, "kill": &f.Kill, "cutoff": &f.Cutoff}
	table, name, _ := strings.Cut(key, ".")
	switch {
	case levels[key] != nil:
		return levels[key].UnmarshalText([]byte(value))
	case key == "test_only":
		f.TestOnly = append(f.TestOnly, value)
	case key == "blocked":
		f.Blocked = value
	case (table == "score" || table == "scores") && name != "":
		f.Scores = append(f.Scores, name+" = "+value) // the last one that names a test holds
	case table == "caps" && name != "":
		f.Caps = append(f.Caps, name+" = "+value)
	default:
		return fmt.Errorf("%q is nothing that can be tried; expected mark, junk, kill, cutoff, blocked, test_only, score.NAME or caps.CHECK", key)
	}
	return nil
}
