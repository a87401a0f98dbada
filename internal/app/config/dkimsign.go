package config

import (
	"crypto"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"facteur/internal/flow/sign"
	"facteur/internal/mail/dkim"
	"facteur/internal/store/dkimkey"
)

// Canonicalization is how a message may change without breaking its signature.
type Canonicalization string

// Form says what may be written.
func (Canonicalization) Form() string {
	return `"relaxed/relaxed", "relaxed/simple", "simple/relaxed" or "simple/simple"`
}

// UnmarshalText takes one of the choices.
func (c *Canonicalization) UnmarshalText(text []byte) error {
	if _, _, ok := dkim.ParseCanons(string(text)); !ok {
		return fmt.Errorf("%q is not %s", text, c.Form())
	}
	*c = Canonicalization(text)
	return nil
}

// signing checks what is said of our own signatures.
func (k *checker) signing() {
	d := &k.c.DKIM
	for i, a := range d.Algorithms {
		if a != string(dkimkey.RSA) && a != string(dkimkey.Ed25519) {
			k.failf(fmt.Sprintf("dkim.algorithms[%d]", i), "expected \"rsa\" or \"ed25519\", found %q", a)
		}
	}
	if len(d.Algorithms) == 0 || len(slices.Compact(slices.Sorted(slices.Values(d.Algorithms)))) != len(d.Algorithms) {
		k.failf("dkim.algorithms", "expected \"rsa\", \"ed25519\" or both; sign = false makes no signatures")
	}
	k.selectors()
	if _, err := dkim.Domain(d.CNAMEZone); d.CNAMEZone != "" && err != nil {
		k.failf("dkim.cname_zone", "%q: %v", d.CNAMEZone, err)
	}
	if t := d.Settle.Std(); t < 0 || t > 7*24*time.Hour {
		k.failf("dkim.settle", "expected 0s to 7d")
	}
	if t := d.Retire.Std(); t < time.Hour || t > 365*24*time.Hour {
		k.failf("dkim.retire", "expected 1h to 365d")
	}
	if t := d.Expiration.Std(); t != 0 && t < time.Hour {
		k.failf("dkim.expiration", "expected 0s (no end) or at least 1h: letters wait in queues")
	}
	for i := range k.c.DKIMKeys {
		k.dkimKey(i)
	}
	if _, err := k.c.SignRules(); err != nil && len(k.errs) == 0 {
		k.failf("dkim", "%v", err)
	}
}

func (k *checker) selectors() {
	s := k.c.DKIM.Selectors
	for i := range s {
		if _, err := dkimkey.CanonicalSelector(s[i]); err != nil {
			k.failf(fmt.Sprintf("dkim.selectors[%d]", i), "%v", err)
		}
	}
	if len(s) != 2 || strings.EqualFold(s[0], s[1]) {
		k.failf("dkim.selectors", "expected two different selectors, which are used by turns")
	}
}

func (k *checker) dkimKey(i int) {
	d, key := k.c.DKIMKeys[i], fmt.Sprintf("dkim_key[%d]", i)
	if _, err := dkim.Domain(d.Domain); d.Domain != "%" && err != nil {
		k.failf(key+".domain", "%q: %v", d.Domain, err)
	}
	if d.Domain == "%" && len(d.For) == 0 {
		k.failf(key+".for", "expected whose letters it signs, as its domain is that of the author")
	}
	if _, err := dkimkey.CanonicalSelector(d.Selector); err != nil {
		k.failf(key+".selector", "%v", err)
	}
	if _, err := k.c.privateKey(d); err != nil {
		k.failf(key+".file", "%v", err)
	}
}

// privateKeyMax is the largest file with a private key, in bytes.
const privateKeyMax = 64 << 10

func (c *Config) privateKey(d DKIMKey) (crypto.Signer, error) {
	path := c.beside(d.File)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Mode().Perm()&0o037 != 0:
		return nil, fmt.Errorf("%s is open to others (mode %04o), and who knows a key can sign as the domain; chmod 600 it", path, info.Mode().Perm())
	case info.Size() > privateKeyMax:
		return nil, fmt.Errorf("%s is larger than %d bytes; expected a private key in PEM form", path, privateKeyMax)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, _, err := dkimkey.ParsePrivate(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// SignRules are how mail of ours is signed.
func (c *Config) SignRules() (*sign.Rules, error) {
	d := c.DKIM
	header, body, ok := dkim.ParseCanons(string(d.Canonicalization))
	if !ok {
		return nil, fmt.Errorf("canonicalization %q is not %s", d.Canonicalization, d.Canonicalization.Form())
	}
	r := &sign.Rules{Enabled: d.Sign, Require: d.Require, Sealing: c.Sealing(),
		Form:  dkim.Form{Header: header, Body: body, Fields: orNil(d.Headers), Oversign: orNil(d.Oversign), Expire: d.Expiration.Std()},
		Plan:  c.KeyPlan(),
		Times: dkimkey.Times{Settle: d.Settle.Std(), Retire: max(d.Retire.Std(), c.Queue.MaximalQueueLifetime.Std()+24*time.Hour)},
	}
	for _, key := range c.DKIMKeys {
		own := sign.Own{Domain: key.Domain, Selector: strings.ToLower(key.Selector)}
		own.Private, own.Err = c.privateKey(key) // one that can't be read keeps no letter back
		for _, p := range key.For {
			own.For = append(own.For, sign.Pattern(p))
		}
		if len(own.For) == 0 {
			own.For = []sign.Pattern{sign.Pattern(key.Domain)}
		}
		r.Own = append(r.Own, own)
	}
	return r, nil
}

// orNil is a list of the settings, nil where it is empty: the default.
func orNil(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return s
}

// KeyPlan is how new keys are made.
func (c *Config) KeyPlan() dkimkey.Plan {
	var p dkimkey.Plan
	for i, s := range c.DKIM.Selectors[:min(2, len(c.DKIM.Selectors))] {
		p.Selectors[i] = strings.ToLower(s)
	}
	for _, a := range c.DKIM.Algorithms {
		p.Algorithms = append(p.Algorithms, dkimkey.Algorithm(a))
	}
	return p
}

// KeyDir is where the keys of domains are.
func (c *Config) KeyDir() string { return c.DataDir + "/dkim" }
