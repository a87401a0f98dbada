package config

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
	"facteur/internal/store/quota"
)

// Mailbox is what an account may keep, and for how long.
type Mailbox struct {
	// The most bytes in the mailboxes of an account for which nothing else is said, by
	// [[domain]] or "facteur account quota"; or "unlimited". Mail beyond it is refused
	// while the sender is still connected. Dovecot calls this quota_rule (*:storage).
	DefaultQuota Bytes `toml:"default_quota"`
	// The same for the number of messages. Dovecot calls this quota_rule (*:messages).
	DefaultMessages Number `toml:"default_messages"`
	// What is different for single mailboxes: "Trash:storage=+100M" (as long as
	// something is put there, all mailboxes together may hold 100M more),
	// "Junk:ignore" (what is there does not count). A name may have "*" and "?"; the
	// first rule that matches counts. A bare number of storage is in KiB. Dovecot calls
	// this quota_rule.
	QuotaRules []string `toml:"quota_rules"`
	// By how many percent of the quota the last message that is delivered may be too
	// large: an account that has any room left takes it. What users store themselves has
	// to fit. Dovecot calls this quota_grace.
	QuotaGrace int `toml:"quota_grace"`
	// How full an account is, in percent, when its owner gets a letter about it: once
	// for each, and once more when a full account has room again. Empty: no letters.
	// Dovecot calls this quota_warning.
	QuotaWarnings []int `toml:"quota_warnings"`
	// How mail for a full mailbox is refused: "permanent" (552: the sender hears of it
	// at once) or "temporary" (452: his server tries for some days). Dovecot calls this
	// quota_full_tempfail.
	QuotaFull Fullness `toml:"quota_full"`
	// Accounts that may set the quotas of others over IMAP (SETQUOTA); in all domains.
	QuotaAdmins []string `toml:"quota_admins"`
	// How long messages are kept that their owner has expunged; "0s": they are gone at
	// once. Two weeks bring back what somebody missed after his holidays. A small disk
	// is not filled by it: what is kept for an account is never more than its quota, the
	// oldest goes first, and on a full disk what is expunged is gone at once.
	// Messages are taken out of there with any mail program, or by "facteur mailbox
	// undelete". Dovecot calls this lazy_expunge.
	KeepExpunged conf.Duration `toml:"keep_expunged"`
	// The mailbox where they are kept. It is there when there is something in it, and
	// nobody is subscribed to it. What is expunged there is gone.
	ExpungedMailbox string `toml:"expunged_mailbox"`
	// Whether what is kept there counts against the quota. If it does, a full account
	// has room only when it is expunged there as well.
	ExpungedCounts bool `toml:"expunged_counts"`
	// Whether an index is made of what is in the messages of a mailbox, once its owner
	// has searched them for a text; half a kilobyte for each. Searches then read only
	// what can be a hit. Dovecot calls this fts.
	FullText bool `toml:"full_text"`
	// How often mailboxes are looked through for what is too old.
	ExpireInterval conf.Duration `toml:"expire_interval"`
	// Mailboxes whose old messages are expunged by the server: each [[mailbox.expire]] has
	// name, which may have "*" and "?" ("Trash", "Lists/*"), and after ("30d"), counted
	// from when a message came into the mailbox. Dovecot calls this autoexpunge.
	Expire []Expire `toml:"expire"`
}

// Expire is a mailbox whose old messages go.
type Expire struct {
	// The name of the mailbox, with "*" and "?": "Trash", "Junk", "Lists/*".
	Name string `toml:"name"`
	// How long a message stays, from when it came into the mailbox.
	After conf.Duration `toml:"after"`
}

func defaultMailbox() Mailbox {
	return Mailbox{
		DefaultQuota: 10 << 30, DefaultMessages: 1_000_000,
		QuotaGrace: 10, QuotaWarnings: []int{80, 95, 100}, QuotaFull: FullPermanent,
		KeepExpunged: conf.Duration(14 * 24 * time.Hour), ExpungedMailbox: "Expunged",
		ExpireInterval: conf.Duration(time.Hour), FullText: true,
	}
}

// mailbox checks what an account may keep.
func (k *checker) mailbox() {
	m := k.c.Mailbox
	k.quota("mailbox.default_quota", m.DefaultQuota, "mailbox.default_messages", m.DefaultMessages)
	if m.DefaultQuota == 0 || m.DefaultMessages == 0 {
		k.failf("mailbox.default_quota", `expected a size and a number of messages, or "unlimited"`)
	}
	for i, text := range m.QuotaRules {
		if _, err := quota.ParseRule(text); err != nil {
			k.failf(fmt.Sprintf("mailbox.quota_rules[%d]", i), "%v", err)
		}
	}
	if m.QuotaGrace < 0 || m.QuotaGrace > 100 {
		k.failf("mailbox.quota_grace", "expected 0 to 100 percent, found %d", m.QuotaGrace)
	}
	for i, w := range m.QuotaWarnings {
		if w < 1 || w > 100 || i > 0 && w <= m.QuotaWarnings[i-1] {
			k.failf("mailbox.quota_warnings", "expected percentages from 1 to 100, each once, ascending")
			break
		}
	}
	for i, name := range m.QuotaAdmins {
		if _, err := canonicalAddress(name); err != nil {
			k.failf(fmt.Sprintf("mailbox.quota_admins[%d]", i), "%v", err)
		}
	}
	if name, err := maildir.Canonical(m.ExpungedMailbox); err != nil || name == "INBOX" || name != m.ExpungedMailbox {
		k.failf("mailbox.expunged_mailbox", `%q can't be the name of that mailbox; expected one such as "Expunged"`, m.ExpungedMailbox)
	}
	k.expiry()
}

func (k *checker) expiry() {
	m := k.c.Mailbox
	if m.ExpireInterval.Std() < time.Minute {
		k.failf("mailbox.expire_interval", "expected at least 1m")
	}
	for i, e := range m.Expire {
		if e.Name == "" {
			k.failf(fmt.Sprintf("mailbox.expire[%d].name", i), `is missing; expected the name of a mailbox, such as "Trash"`)
		}
		if e.After.Std() < time.Hour {
			k.failf(fmt.Sprintf("mailbox.expire[%d].after", i), `expected at least 1h, such as "30d"; mail is not removed at once`)
		}
	}
	for i, d := range k.c.Domains {
		at := fmt.Sprintf("domain[%d].", i)
		k.quota(at+"quota", d.Quota, at+"messages", d.Messages)
		if _, err := keepTime(d.KeepExpunged); err != nil {
			k.failf(at+"keep_expunged", "%v", err)
		}
	}
}

func (k *checker) quota(bytesKey string, b Bytes, messagesKey string, n Number) {
	if b > 0 && b < 1<<20 {
		k.failf(bytesKey, `expected at least 1M, or "unlimited"`)
	}
	if n < -1 {
		k.failf(messagesKey, `expected a number of messages, or "unlimited"`)
	}
}

// keepTime is a time that may be missing: then set is false.
func keepTime(text string) (keep directory.Keep, err error) {
	if text == "" {
		return directory.Keep{}, nil
	}
	var d conf.Duration
	err = d.UnmarshalText([]byte(text))
	return directory.Keep{Set: true, For: d.Std()}, err
}

// Allowances are the limits of accounts for the directory: the default, and those of
// domains of the file.
func (c *Config) Allowances() directory.Allowances {
	m := c.Mailbox
	a := directory.Allowances{
		Default: directory.Allowance{Bytes: int64(m.DefaultQuota), Messages: int64(m.DefaultMessages),
			Keep: directory.Keep{Set: true, For: m.KeepExpunged.Std()}},
		Domains: map[string]directory.Allowance{},
	}
	for _, d := range c.Domains {
		if name, err := canonicalName(d.Name); err == nil {
			keep, _ := keepTime(d.KeepExpunged) // Check has told
			a.Domains[name] = directory.Allowance{Bytes: int64(d.Quota), Messages: int64(d.Messages), Keep: keep}
		}
	}
	return a
}

// Owner is how the store of mailboxes knows an account, under these settings.
func (c *Config) Owner(a directory.Account) mailbox.Owner {
	m := c.Mailbox
	o := mailbox.Owner{Address: a.Address, Home: a.Home, Maildir: a.Maildir}
	o.Quota = quota.Limits{Bytes: a.Quota, Messages: a.Messages, Grace: m.QuotaGrace, Warnings: m.QuotaWarnings}
	for _, text := range m.QuotaRules {
		if r, err := quota.ParseRule(text); err == nil { // Check has told
			o.Quota.Rules = append(o.Quota.Rules, r)
		}
	}
	o.Keep = mailbox.Retention{Mailbox: m.ExpungedMailbox, For: a.Keep}
	for _, e := range m.Expire {
		o.Expire = append(o.Expire, mailbox.ExpireRule{Mailbox: e.Name, After: e.After.Std()})
	}
	if !m.ExpungedCounts {
		o.Quota.Outside = m.ExpungedMailbox
	}
	return o
}

// canonicalAddress is what two spellings of an account have in common.
func canonicalAddress(text string) (string, error) {
	a, err := address.Parse(text)
	if err != nil || a.Domain == "" {
		return "", fmt.Errorf(`%q is not an address such as "alice@example.org"`, text)
	}
	return a.Key(), nil
}

// Bytes is a size that may be "unlimited" (-1), or not said at all (0).
type Bytes int64

const unlimited = "unlimited"

// Form says what may be written.
func (Bytes) Form() string { return `a size in bytes such as "10G" (K, M, G, T), or "unlimited"` }

// UnmarshalText reads it.
func (b *Bytes) UnmarshalText(text []byte) error {
	if *b = 0; len(text) == 0 {
		return nil
	}
	if string(text) == unlimited {
		*b = -1
		return nil
	}
	var size conf.Size
	if err := size.UnmarshalText(text); err != nil || size == 0 {
		return fmt.Errorf("%q is not %s", text, b.Form())
	}
	*b = Bytes(size)
	return nil
}

// MarshalText writes it.
func (b Bytes) MarshalText() ([]byte, error) {
	switch {
	case b < 0:
		return []byte(unlimited), nil
	case b == 0:
		return nil, nil
	}
	return conf.Size(b).MarshalText()
}

// Number is a number that may be "unlimited" (-1), or not said at all (0).
type Number int64

// Form says what may be written.
func (Number) Form() string { return `a number, or "unlimited"` }

// UnmarshalText reads it.
func (n *Number) UnmarshalText(text []byte) error {
	if *n = 0; len(text) == 0 {
		return nil
	}
	if string(text) == unlimited {
		*n = -1
		return nil
	}
	v, err := strconv.ParseInt(string(text), 10, 48)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not %s", text, n.Form())
	}
	*n = Number(v)
	return nil
}

// MarshalText writes it.
func (n Number) MarshalText() ([]byte, error) {
	switch {
	case n < 0:
		return []byte(unlimited), nil
	case n == 0:
		return nil, nil
	}
	return strconv.AppendInt(nil, int64(n), 10), nil
}

// Fullness is how mail for a full mailbox is refused.
type Fullness string

// The choices.
const (
	FullPermanent Fullness = "permanent"
	FullTemporary Fullness = "temporary"
)

// Form says what may be written.
func (Fullness) Form() string { return oneOf(FullPermanent, FullTemporary) }

// UnmarshalText takes one of the choices.
func (f *Fullness) UnmarshalText(text []byte) error {
	return choose(f, text, FullPermanent, FullTemporary)
}

// IsQuotaAdmin tells an account that may set the quotas of others.
func (c *Config) IsQuotaAdmin(account string) bool {
	key, err := canonicalAddress(account)
	return err == nil && slices.ContainsFunc(c.Mailbox.QuotaAdmins, func(name string) bool {
		admin, err := canonicalAddress(name)
		return err == nil && admin == key
	})
}
