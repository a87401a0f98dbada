package config

import (
	"facteur/internal/flow/sign"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
)

// ARC is the chains of seals (RFC 8617) that tell what a message was when it came to those
// who sent it on. See docs/AUTHENTICATION.md. OpenARC calls Verify and Seal its mode.
type ARC struct {
	// Whether chains of mail from strangers are checked.
	Verify bool `toml:"verify"`
	// Whether mail that goes on to another machine, by an alias or by a user's wish, gets a
	// seal that says what it was when it came. It is never signed for its author.
	Seal bool `toml:"seal"`
	// The domain whose key seals. Empty: that of the address from which the message goes on,
	// if it has a key that signs, else the domain of this server.
	SealDomain string `toml:"seal_domain"`
	// Domains, with all below them, that are believed when they say that a message was
	// right when it came to them, and that who sealed before them was right: a message
	// whose author's domain would have it refused is then accepted. Name only who checks
	// what he seals and does not seal for forgers. Empty: nobody is.
	TrustedSealers []string `toml:"trusted_sealers"`
}

// defaultARC believes those who carry most of what is sent on: they check what comes to
// them, and write what they found, whether it speaks for the message or not.
func defaultARC() ARC {
	return ARC{Verify: true, Seal: true, TrustedSealers: []string{"google.com", "microsoft.com", "messagingengine.com"}}
}

func (k *checker) arc() {
	a := &k.c.ARC
	for i, name := range a.TrustedSealers {
		domain, err := dkim.Domain(name)
		if err != nil {
			k.failf("arc.trusted_sealers", "expected domains such as example.org, found %q", name)
			continue
		}
		a.TrustedSealers[i] = domain
	}
	if a.SealDomain == "" {
		return
	}
	domain, err := dkim.Domain(a.SealDomain)
	if err != nil {
		k.failf("arc.seal_domain", "expected a domain such as example.org, found %q", a.SealDomain)
		return
	}
	a.SealDomain = domain
}

// Sealing is how mail that goes on is sealed; nil where it is not.
func (c *Config) Sealing() *sign.Sealing {
	if !c.ARC.Seal {
		return nil
	}
	return &sign.Sealing{ID: c.Hostname, Domain: c.ARC.SealDomain, Home: c.Home()}
}

// Options are how chains are judged: keys and clocks as those of signatures.
func (a ARC) Options(d DKIM) arc.Options {
	o := d.Options()
	return arc.Options{MinBits: o.MinBits, MaxBits: o.MaxBits, Skew: o.Skew}
}
