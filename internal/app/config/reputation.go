package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/flow/banlist"
	"facteur/internal/flow/filter/record"
	"facteur/internal/mail/address"
)

// Reputation is what the server remembers of those who bring mail. Good and bad letters of
// machines, proven domains and senders count for and against the next ones, and fade. See
// docs/REPUTATION.md.
type Reputation struct {
	// Whether anything is remembered. Without it nobody is banned, and spam traps are
	// addresses that nobody has.
	Enabled bool `toml:"enabled"`
	// Whether machines are refused for some time on hard evidence: letters to spam traps
	// and decoys, guessing of addresses, repeated viruses and spam beyond doubt. From ten
	// minutes the time grows to a week with each relapse. Machines that bring much good
	// mail are never banned, nor are trusted and exempt networks, private addresses and the
	// providers of spf.preapproved.
	Bans bool `toml:"bans"`
	// Bans are only tried: the log and the journey tell who would be refused, "facteur
	// reputation report" counts it, and nobody is refused but by the admin's word.
	TestOnly bool `toml:"test_only"`
	// Networks and addresses that are never banned, beside those.
	Exempt []conf.Prefix `toml:"exempt"`
	// Addresses that no human has, or had for a year at least: "bait@example.org", or all
	// of a domain, "@old.example.org". Letters for them are taken, teach the filter what
	// spam is, and go nowhere.
	Traps []string `toml:"traps"`
	// Whom banned machines are told to write to. Empty: postmaster@ at the first domain, if
	// somebody reads it.
	Postmaster string `toml:"postmaster"`
}

// BanFile is a file with those who are banned now, for a firewall or another program. It
// is written anew, whole and at once, within seconds of each change.
type BanFile struct {
	// The form: "nft" (sets for nftables, with the time that is left), "ipset", "postscreen"
	// (a cidr table for Postfix's postscreen_access_list), "fail2ban" (a line for each ban)
	// or "plain" (an address or network on each line).
	Format banlist.Format `toml:"format"`
	// The file. A relative path counts from data_dir.
	File string `toml:"file"`
}

func defaultReputation() Reputation { return Reputation{Enabled: true, Bans: true} }

// RecordRules are what [reputation] says, without those whom the rest of the settings
// exempts; nil where nothing is to be remembered.
func (c *Config) RecordRules() *record.Rules {
	if !c.Reputation.Enabled {
		return nil
	}
	return &record.Rules{Bans: c.Reputation.Bans, TestOnly: c.Reputation.TestOnly, Traps: c.TrapKeys()}
}

// TrapKeys are the spam traps in canonical form, "bait@example.org" and "@example.org".
func (c *Config) TrapKeys() (out []string) {
	for _, text := range c.Reputation.Traps {
		if key, err := trapKey(text); err == nil {
			out = append(out, key)
		}
	}
	return out
}

func trapKey(text string) (string, error) {
	if domain, is := strings.CutPrefix(text, "@"); is {
		domain, err := address.CanonicalDomain(domain)
		return "@" + domain, err
	}
	a, err := address.Parse(text)
	return a.Key(), err
}

// BanTargets are the files of [[ban_file]].
func (c *Config) BanTargets() (out []banlist.Target) {
	for _, f := range c.BanFiles {
		path := f.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.DataDir, path)
		}
		out = append(out, banlist.Target{Format: f.Format, File: path})
	}
	return out
}

// trapsMost bounds what each recipient is compared with.
const trapsMost = 1000

func (k *checker) reputation() {
	r := &k.c.Reputation
	for i, text := range r.Traps {
		if _, err := trapKey(text); err != nil {
			k.failf(fmt.Sprintf("reputation.traps[%d]", i), `%q is neither an address nor "@" and a domain`, text)
		} else if local, _, _ := strings.Cut(text, "@"); strings.EqualFold(local, "postmaster") || strings.EqualFold(local, "abuse") {
			k.failf(fmt.Sprintf("reputation.traps[%d]", i), "%q is an address that the world relies on (RFC 5321 §4.5.1, RFC 2142)", text)
		}
	}
	if len(r.Traps) > trapsMost {
		k.failf("reputation.traps", "expected at most %d", trapsMost)
	}
	if r.Postmaster != "" {
		if _, err := address.Parse(r.Postmaster); err != nil {
			k.failf("reputation.postmaster", "%q is not an address", r.Postmaster)
		}
	}
	for i, p := range r.Exempt {
		if p.Bits() == 0 {
			k.failf(fmt.Sprintf("reputation.exempt[%d]", i), "%s is everybody; bans = false says that", p)
		}
	}
	seen := map[string]bool{}
	for i, f := range k.c.BanFiles {
		key := fmt.Sprintf("ban_file[%d]", i)
		switch {
		case f.Format == "":
			k.failf(key+".format", "is missing; expected %s", f.Format.Form())
		case f.File == "":
			k.failf(key+".file", "is missing; expected the path of a file that is written")
		case seen[filepath.Clean(f.File)]:
			k.failf(key+".file", "another ban_file has %s", f.File)
		}
		seen[filepath.Clean(f.File)] = true
	}
}

// decoys wants a decoy to be a door for strangers, and another one beside it.
func (k *checker) decoys(key string, l Listener) {
	switch {
	case !l.Decoy:
	case l.Service != SMTP:
		k.failf(key+".decoy", `is for the service "smtp", found %q`, string(l.Service))
	case l.Auth:
		k.failf(key+".auth", "nobody logs in at a decoy")
	case !k.c.Reputation.Enabled:
		k.failf(key+".decoy", "is without effect; reputation.enabled = false remembers nobody")
	}
}
