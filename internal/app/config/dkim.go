package config

import (
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/mail/dkim"
)

// DKIM is the signatures of messages (RFC 6376): those that are checked on the way in.
type DKIM struct {
	// Whether signatures of mail from strangers are checked. Mail of our own users and of
	// trusted networks is not. A signature that does not hold is as good as none: it never
	// condemns a message.
	Verify bool `toml:"verify"`
	// How many signatures of one message are looked at, those of the author's domain
	// first.
	MaximumSignatures int `toml:"maximum_signatures"`
	// The smallest RSA key that is believed, in bits. Below 1024 none is (RFC 8301).
	// opendkim calls this MinimumKeyBits.
	MinimumKeyBits int `toml:"minimum_key_bits"`
	// The largest RSA key that is calculated with, in bits. Larger ones cost more time
	// than they are worth.
	MaximumKeyBits int `toml:"maximum_key_bits"`
	// How wrong the clocks of others may be, for signatures that expire or come from the
	// future. opendkim calls this ClockDrift.
	ClockDrift conf.Duration `toml:"clock_drift"`
	// Whether a signature counts that does not cover the end of the body (l=). Whoever
	// sends such a letter on may have written anything there.
	AcceptPartialBody bool `toml:"accept_partial_body"`
}

func defaultDKIM() DKIM {
	return DKIM{Verify: true, MaximumSignatures: 8, MinimumKeyBits: 1024, MaximumKeyBits: 4096, ClockDrift: conf.Duration(10 * time.Minute)}
}

func (k *checker) dkim() {
	d := k.c.DKIM
	k.atLeast("dkim.maximum_signatures", int64(d.MaximumSignatures), 1)
	if d.MaximumSignatures > 64 {
		k.failf("dkim.maximum_signatures", "expected at most 64, found %d", d.MaximumSignatures)
	}
	k.atLeast("dkim.minimum_key_bits", int64(d.MinimumKeyBits), 1024)
	k.atLeast("dkim.maximum_key_bits", int64(d.MaximumKeyBits), int64(d.MinimumKeyBits))
	if d.MaximumKeyBits > 8192 {
		k.failf("dkim.maximum_key_bits", "expected at most 8192, found %d", d.MaximumKeyBits)
	}
	if drift := d.ClockDrift.Std(); drift < time.Second || drift > 24*time.Hour {
		k.failf("dkim.clock_drift", "expected 1s to 1d")
	}
}

// Options are how signatures are judged.
func (d DKIM) Options() dkim.Options {
	return dkim.Options{
		Most: d.MaximumSignatures, MinBits: d.MinimumKeyBits, MaxBits: d.MaximumKeyBits,
		Skew: d.ClockDrift.Std(), Partial: d.AcceptPartialBody,
	}
}
