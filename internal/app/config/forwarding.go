package config

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/mail/srs"
)

// Forwarding is mail that is addressed to somebody here and goes on to another machine:
// by an alias, a catch-all or a user's .forward. See docs/ADDRESSES.md.
type Forwarding struct {
	// The domain of the senders that forwarded mail gets, so that the next host may take
	// it from us and bounces find their way back (SRS): "srs.example.org". It has to be a
	// domain of this server: declare it as a [[domain]] and let its MX point here. Empty:
	// senders are not rewritten. postsrsd calls this SRS_DOMAIN.
	SRSDomain string `toml:"srs_domain"`
	// Domains whose addresses are not rewritten, beside those of this server; ".example.org"
	// means all below example.org. postsrsd calls this SRS_EXCLUDE_DOMAINS.
	SRSExcludeDomains conf.Strings `toml:"srs_exclude_domains"`
	// Files with keys, one a line. The first key signs; the others are for what was signed
	// before they were replaced. They may not be readable by everybody. Without any, a key
	// is made and kept in the data directory, as forwarding.key. postsrsd calls this
	// SRS_SECRET.
	SRSSecrets conf.Strings `toml:"srs_secrets"`
	// For how long a bounce finds its way back, in whole days.
	SRSMaxAge conf.Duration `toml:"srs_max_age"`
	// How many characters of the hash stand in a rewritten address, 4 to 27. Fewer are not
	// accepted. postsrsd calls this SRS_HASHLENGTH.
	SRSHashLength int `toml:"srs_hash_length"`
	// Whether the senders of mail that leaves carry a mark, by which notices about mail
	// that is not ours are told and refused (BATV). Mailing lists that know their members
	// by the envelope, and greylists, see another address each day.
	BATV bool `toml:"batv"`
	// The domains that do so; without any, all of [[domain]].
	BATVDomains conf.Strings `toml:"batv_domains"`
	// How many messages each address of ours may forward in an hour; more wait at their
	// senders. The counts are in memory: a restart begins them anew.
	PerHour int `toml:"per_hour"`
	// Whether what our own rules (tag = "spam") or milters (X-Spam-Flag: YES, X-Spam: Yes)
	// found to be spam is forwarded, too. Others take us for its sender.
	ForwardSpam bool `toml:"forward_spam"`
}

func defaultForwarding() Forwarding {
	return Forwarding{SRSMaxAge: conf.Duration(srs.DefaultDays * 24 * time.Hour), SRSHashLength: srs.DefaultHash, PerHour: 500}
}

// Signs tells that there have to be keys.
func (f Forwarding) Signs() bool { return f.SRSDomain != "" || f.BATV }

func (k *checker) forwarding() {
	f := k.c.Forwarding
	k.srsDomain()
	for i, d := range f.SRSExcludeDomains {
		if _, err := canonicalName(strings.TrimPrefix(d, ".")); err != nil {
			k.failf(fmt.Sprintf("forwarding.srs_exclude_domains[%d]", i), "%v", err)
		}
	}
	for i, d := range f.BATVDomains {
		if _, err := canonicalName(d); err != nil {
			k.failf(fmt.Sprintf("forwarding.batv_domains[%d]", i), "%v", err)
		}
	}
	if days := f.SRSMaxAge.Std() / (24 * time.Hour); days < 1 || days > srs.MaxDays {
		k.failf("forwarding.srs_max_age", "expected 1d to %dd", srs.MaxDays)
	}
	if f.SRSHashLength < srs.DefaultHash || f.SRSHashLength > srs.MaxHash {
		k.failf("forwarding.srs_hash_length", "expected %d to %d", srs.DefaultHash, srs.MaxHash)
	}
	k.atLeast("forwarding.per_hour", int64(f.PerHour), 1)
	for i := range f.SRSSecrets {
		if _, err := k.c.secrets(i); err != nil {
			k.failf(fmt.Sprintf("forwarding.srs_secrets[%d]", i), "%v", err)
		}
	}
}

// srsDomain wants a domain of ours: a bounce for another one never comes here.
func (k *checker) srsDomain() {
	if k.c.Forwarding.SRSDomain == "" {
		return
	}
	name, err := canonicalName(k.c.Forwarding.SRSDomain)
	if err != nil {
		k.failf("forwarding.srs_domain", "%v", err)
		return
	}
	if host, err := canonicalName(k.c.Hostname); err == nil && host == name {
		return
	}
	ours := slices.ContainsFunc(k.c.Domains, func(d Domain) bool {
		other, err := canonicalName(d.Name)
		return err == nil && other == name
	})
	if !ours {
		k.failf("forwarding.srs_domain", "%q is no domain of this server, and bounces would not come back; declare it: [[domain]] name = %q", name, name)
	}
}

// ForwardingKeys are the keys of the settings, the one that signs first; none where the
// settings name no file.
func (c *Config) ForwardingKeys() (keys [][]byte, err error) {
	for i := range c.Forwarding.SRSSecrets {
		more, err := c.secrets(i)
		if err != nil {
			return nil, fmt.Errorf("forwarding.srs_secrets: %w", err)
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

// secretMax is the largest file of keys, in bytes.
const secretMax = 64 << 10

// secrets are the keys of one file, one a line.
func (c *Config) secrets(i int) (keys [][]byte, err error) {
	path := c.beside(c.Forwarding.SRSSecrets[i])
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Mode().Perm()&0o037 != 0:
		return nil, fmt.Errorf("%s is open to others (mode %04o), and who knows a key can relay through this server; chmod 600 it", path, info.Mode().Perm())
	case info.Size() > secretMax:
		return nil, fmt.Errorf("%s is larger than %d bytes; expected keys, one a line", path, secretMax)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			keys = append(keys, line)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s is empty; expected keys, one a line", path)
	}
	return keys, nil
}
