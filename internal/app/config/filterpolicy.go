package config

import (
	"errors"
	"fmt"
	"strings"

	"facteur/internal/store/policy"
)

// FilterPolicy is what the filter does for some accounts. What is empty it does not say:
// that comes from the policy that is next for the account, in the end from [filter]. Others
// can be kept in the database with "facteur filter policy set"; what is declared here, only
// this file takes away.
type FilterPolicy struct {
	// Whom it is for: "." (everybody), "@.example.org" (that domain and all below it),
	// "@example.org" or "user@example.org".
	Match string `toml:"match"`
	// Of several policies that are for an account, the greatest priority is asked first; of
	// equal ones that which is for fewer. amavis and ISPConfig call this priority, too.
	Priority int `toml:"priority"`
	// The score from which headers tell it; "always" or "never". amavis calls this
	// spam_tag_level.
	Mark Level `toml:"mark"`
	// The score from which a letter goes to Junk. amavis calls this spam_tag2_level.
	Junk Level `toml:"junk"`
	// The score from which destinies.spam is done. amavis calls this spam_kill_level.
	Kill Level `toml:"kill"`
	// The score from which a letter is not even kept in quarantine; or "never". amavis calls
	// this spam_quarantine_cutoff_level.
	Cutoff Level `toml:"cutoff"`
	// What stands before the subject of what goes to Junk; "none" for nothing. amavis calls
	// this spam_subject_tag2.
	SubjectTag string `toml:"subject_tag"`
	// What is done with letters of each category: "pass", "reject", "quarantine" (accepted,
	// and kept away from the mailbox) or "discard" (the same above all, but nothing is kept
	// beyond cutoff). amavis calls this final_*_destiny; its D_BOUNCE is not offered.
	Destinies FilterDestinies `toml:"destinies"`
	// A mailbox here, by its address, that gets what would be put into quarantine; "none" for
	// the shelf of the quarantine, which also has it while that address leads nowhere. amavis calls this *_quarantine_to.
	QuarantineTo string `toml:"quarantine_to"`
	// The categories of which the postmaster hears, in one letter an hour at most: "virus",
	// "banned", "bad_header", "spam"; "none" for none. amavis calls this virus_admin,
	// spam_admin and so on.
	Notify []string `toml:"notify"`
	// Whether a suspicious stranger may have to come again, where greylisting is on; false:
	// nobody waits for the sake of these accounts. ISPConfig calls this postgrey.
	Greylist Wish `toml:"greylist"`
	// The languages that are used there, as codes of two letters ("fr", "en"), in place of
	// filter.languages; "none", alone, for any.
	Languages []string `toml:"languages"`
	// Only tell what this policy would do, in the journey and in the log, beside what is done
	// without it. It may stand beside another one for the same. With false, what wider
	// policies have on trial is done there in earnest.
	TestOnly Wish `toml:"test_only"`
}

// FilterDestinies is what is done with letters of each category.
type FilterDestinies struct {
	// Letters above the level kill.
	Spam string `toml:"spam"`
	// Letters in which a scanner found a virus.
	Virus string `toml:"virus"`
	// Letters with files that are not let in.
	Banned string `toml:"banned"`
	// Letters whose header is not one.
	BadHeader string `toml:"bad_header"`
}

// FilterList is a sender who is allowed or blocked, or gets a score. Others can be kept in
// the database with "facteur filter allow" and "facteur filter block".
type FilterList struct {
	// Whose list it is: "." (everybody's), "@.example.org", "@example.org" or
	// "user@example.org".
	Match string `toml:"match"`
	// Senders that are allowed: addresses, "@example.net", "@.example.net" (that domain and
	// all below it), networks, or a sender from a network, "@example.net[192.0.2.0/24]".
	// Letters that are proven to be forged do not count. amavis calls this whitelist_sender.
	Allow []string `toml:"allow"`
	// Senders that are blocked, as above. amavis calls this blacklist_sender.
	Block []string `toml:"block"`
	// Senders that get a score: "@example.net = -3.5". amavis calls this score_sender.
	Score []string `toml:"score"`
	// The greatest priority of several entries that name a sender decides; of equal ones
	// that which is for fewer.
	Priority int `toml:"priority"`
}

// Level is a score, or empty: nothing is said. "never" is one that no letter reaches,
// "always" one that each has.
type Level string

// Form says what may be written.
func (Level) Form() string { return `a score such as 5.0, "never" or "always"` }

// UnmarshalText reads it.
func (l *Level) UnmarshalText(text []byte) error {
	if *l = Level(text); len(text) == 0 {
		return nil
	}
	_, err := policy.ParseLevel(string(text))
	return err
}

// value is the score, or nil.
func (l Level) value() *float64 {
	if l == "" {
		return nil
	}
	v, err := policy.ParseLevel(string(l))
	if err != nil {
		return nil // it was checked
	}
	return &v
}

// Wish is true or false, or empty: nothing is said.
type Wish string

// Form says what may be written.
func (Wish) Form() string { return "true or false" }

// UnmarshalText reads it.
func (w *Wish) UnmarshalText(text []byte) error {
	if *w = Wish(text); *w != "" && *w != "true" && *w != "false" {
		return fmt.Errorf("%q: expected true or false", text)
	}
	return nil
}

// value is the wish, or nil.
func (w Wish) value() *bool {
	if w == "" {
		return nil
	}
	yes := w == "true"
	return &yes
}

func (p FilterPolicy) policy() policy.Policy {
	out := policy.Policy{Match: p.Match, Priority: p.Priority, Mark: p.Mark.value(), Junk: p.Junk.value(), Kill: p.Kill.value(), Cutoff: p.Cutoff.value(),
		SubjectTag: p.SubjectTag, QuarantineTo: p.QuarantineTo, Notify: p.Notify, Greylist: p.Greylist.value(), Languages: p.Languages, TestOnly: p.TestOnly.value(), Destinies: p.Destinies.destinies()}
	return out
}

func (d FilterDestinies) destinies() map[policy.Category]policy.Destiny {
	return map[policy.Category]policy.Destiny{policy.Spam: policy.Destiny(d.Spam), policy.Virus: policy.Destiny(d.Virus),
		policy.Banned: policy.Destiny(d.Banned), policy.BadHeader: policy.Destiny(d.BadHeader)}
}

// entries are those of a list, as far as they can be read.
func (l FilterList) entries() (list []policy.Entry, err error) {
	for _, of := range []struct {
		kind  policy.Kind
		words []string
	}{{policy.Allow, l.Allow}, {policy.Block, l.Block}, {policy.Soft, l.Score}} {
		for _, word := range of.words {
			e, err := l.entry(of.kind, word)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", of.kind, err)
			}
			list = append(list, e)
		}
	}
	return list, nil
}

func (l FilterList) entry(kind policy.Kind, word string) (e policy.Entry, err error) {
	e = policy.Entry{Match: l.Match, Kind: kind, Priority: l.Priority}
	if kind == policy.Soft {
		name, score, found := strings.Cut(word, " = ")
		if !found {
			return e, fmt.Errorf(`%q: expected a sender and a score, "@example.net = -3.5"`, word)
		}
		if e.Score, err = policy.ParseLevel(strings.TrimSpace(score)); err != nil {
			return e, err
		}
		word = strings.TrimSpace(name)
	}
	if e.Sender, e.Network, err = policy.ParseSender(word); err != nil {
		return e, err
	}
	return e.Check()
}

// FilterPolicies are the policies and lists of the file, in the form of store/policy.
func (c *Config) FilterPolicies() (s policy.Settings) {
	s.Default = c.Standard()
	s.Default.Origins = make(map[string]policy.Origin)
	builtin := policy.Default()
	for _, key := range policy.Keys() {
		if s.Default.Text(key) != builtin.Text(key) {
			s.Default.Origins[key] = policy.Origin{Source: policy.FromFile}
		}
	}
	for _, p := range c.FilterPolicyTables {
		if checked, err := p.policy().Check(); err == nil {
			s.Policies = append(s.Policies, checked)
		}
	}
	for _, l := range c.FilterLists {
		entries, _ := l.entries()
		s.Entries = append(s.Entries, entries...)
	}
	return s
}

// trial sets a policy on trial apart from the one beside it.
func trial(p policy.Policy) string {
	if p.TestOnly != nil && *p.TestOnly {
		return "test "
	}
	return ""
}

// failPolicy tells what is wrong with a policy, at the key that it is about.
func (k *checker) failPolicy(key string, err error) {
	if field, is := errors.AsType[*policy.FieldError](err); is {
		key, err = key+"."+field.Key, field.Err
	}
	k.failf(key, "%v", err)
}

// filterPolicies checks policies and lists.
func (k *checker) filterPolicies() {
	seen := map[string]bool{}
	for i, p := range k.c.FilterPolicyTables {
		key := fmt.Sprintf("filter_policy[%d]", i)
		checked, err := p.policy().Check()
		switch {
		case err != nil:
			k.failPolicy(key, err)
		case checked.IsEmpty():
			k.failf(key, "says nothing but for whom; expected one of %s", strings.Join(policy.Keys(), ", "))
		case seen[trial(checked)+checked.Match]:
			k.failf(key+".match", "there are two policies for %q; one says it all", p.Match)
		}
		seen[trial(checked)+checked.Match] = true
	}
	for i, l := range k.c.FilterLists {
		key := fmt.Sprintf("filter_list[%d]", i)
		entries, err := l.entries()
		switch {
		case err != nil:
			k.failf(key, "%v", err)
		case len(entries) == 0:
			k.failf(key, "is empty; expected senders to allow, to block or to score")
		}
	}
}
