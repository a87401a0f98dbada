package config

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/forward"
	"facteur/internal/flow/rewrite"
	"facteur/internal/mail/address"
	"facteur/internal/mail/srs"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

// RewriteRules are which addresses are replaced, with the tables that are open; d knows the
// domains whose users tables may name without them.
func (c *Config) RewriteRules(lists *list.Set, d *directory.Directory) *rewrite.Rules {
	w := c.Rewrite
	r := &rewrite.Rules{
		Sender:    rewrite.Table{Maps: lists.Maps(w.SenderCanonicalMaps), In: classes(w.SenderCanonicalClasses)},
		Recipient: rewrite.Table{Maps: lists.Maps(w.RecipientCanonicalMaps), In: classes(w.RecipientCanonicalClasses)},
		Canonical: rewrite.Table{Maps: lists.Maps(w.CanonicalMaps), In: classes(w.CanonicalClasses)},
		Generic:   lists.Maps(w.GenericMaps), SenderBCC: lists.Maps(w.SenderBCCMaps), RecipientBCC: lists.Maps(w.RecipientBCCMaps),
		Own: w.HeadersOf != HeadersNobody, Others: w.HeadersOf == HeadersEverybody,
		Origin: c.OriginDomain(), IsLocal: c.isLocal(d), Delimiters: c.Addresses.RecipientDelimiter,
	}
	r.Masquerade.In = classes(w.MasqueradeClasses)
	for _, d := range w.MasqueradeDomains {
		name := canonical(strings.TrimLeft(d, "!"))
		r.Masquerade.Domains = append(r.Masquerade.Domains, d[:len(d)-len(strings.TrimLeft(d, "!"))]+name)
	}
	for _, user := range w.MasqueradeExceptions {
		r.Masquerade.Exceptions = append(r.Masquerade.Exceptions, strings.ToLower(user))
	}
	if w.AlwaysBCC != "" {
		r.AlwaysBCC, _ = address.Parse(w.AlwaysBCC) // Check has seen it
	}
	if w.AppendDotMydomain {
		r.Parent = c.OriginDomain()
	}
	return r
}

func classes(names []AddressClass) (c rewrite.Class) {
	for _, name := range names {
		switch name {
		case EnvelopeSender:
			c |= rewrite.EnvelopeSender
		case EnvelopeRecipient:
			c |= rewrite.EnvelopeRecipient
		case HeaderSender:
			c |= rewrite.HeaderSender
		case HeaderRecipient:
			c |= rewrite.HeaderRecipient
		}
	}
	return c
}

// canonical is a domain of the settings, which are checked, as addresses have it.
func canonical(domain string) string {
	name, err := address.CanonicalDomain(domain)
	if err != nil {
		return domain
	}
	return name
}

// isLocal tells the domains whose users tables may name without them (Postfix's
// mydestination): our origin, our own name, and those of the class "local".
func (c *Config) isLocal(d *directory.Directory) func(context.Context, string) bool {
	origin, hostname := c.OriginDomain(), canonical(c.Hostname)
	return func(ctx context.Context, domain string) bool {
		return domain == origin || domain == hostname || d.Domain(ctx, domain).Value().Class == directory.ClassLocal
	}
}

// ForwardRules are how mail goes on to other machines; ours tells our domains. A key that
// is needed and not there is made.
func (c *Config) ForwardRules(ours func(context.Context, string) lookup.Answer[bool]) (*forward.Rules, error) {
	f := c.Forwarding
	r := &forward.Rules{Ours: ours, PerHour: f.PerHour, Spam: f.ForwardSpam}
	if !f.Signs() {
		return r, nil
	}
	keys, err := c.ForwardingKeys()
	if err == nil && len(keys) == 0 {
		keys, err = ownKey(c.DataDir)
	}
	if err != nil {
		return nil, err
	}
	if f.SRSDomain != "" {
		r.SRS = &srs.Scheme{Domain: canonical(f.SRSDomain), Secrets: keys, Hash: f.SRSHashLength, Days: int(f.SRSMaxAge.Std() / (24 * time.Hour))}
	}
	for _, d := range f.SRSExcludeDomains {
		name := canonical(strings.TrimPrefix(d, "."))
		r.Exclude = append(r.Exclude, d[:len(d)-len(strings.TrimPrefix(d, "."))]+name)
	}
	if f.BATV {
		r.Marks = forward.MarkKeys(keys)
	}
	for _, d := range f.BATVDomains {
		r.Marked = append(r.Marked, canonical(d))
	}
	return r, nil
}

// ownKey is the key that is made where the settings name none. It is kept, or what waits
// elsewhere for its bounce would not come back after a restart.
func ownKey(dataDir string) ([][]byte, error) {
	path := filepath.Join(dataDir, "forwarding.key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(rand.Text() + "\n")
		err = writeKey(path, text)
	}
	if err != nil {
		return nil, err
	}
	key := bytes.TrimSpace(text)
	if len(key) == 0 {
		return nil, errors.New(path + " is empty; delete it, and a new key is made")
	}
	return [][]byte{key}, nil
}

// writeKey writes a file that is there whole or not at all.
func writeKey(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "forwarding.key-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	for _, then := range []func() error{f.Sync, f.Close} {
		if e := then(); err == nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
