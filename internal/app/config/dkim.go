package config

import (
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/mail/dkim"
)

// DKIM is the signatures of messages (RFC 6376): those that are checked on the way in,
// and those that are made on the way out. See docs/AUTHENTICATION.md.
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
	// Whether mail of our own users, machines and devices is signed, and what the server
	// itself writes. A key signs only when its record was seen in the DNS ("facteur dkim
	// show" prints it).
	Sign bool `toml:"sign"`
	// Whether a domain that has no keys gets them by itself, when the server has run for a
	// moment. Else "facteur dkim rotate DOMAIN" makes the first, too.
	MakeKeys bool `toml:"make_keys"`
	// What new keys sign with: "rsa" (2048 bits, known to all) and "ed25519" (short, known
	// to few). With both, letters bear two signatures. opendkim calls this
	// SignatureAlgorithm.
	Algorithms conf.Strings `toml:"algorithms"`
	// The two selectors of each domain that are used by turns. Those of Ed25519 keys have
	// "-ed" behind them. opendkim calls this Selector.
	Selectors conf.Strings `toml:"selectors"`
	// A zone of yours that holds the records of all domains, "dkim.example.net": each
	// domain publishes CNAMEs once, and a change of keys is nobody else's work. Empty: the
	// records stand in the domains themselves.
	CNAMEZone string `toml:"cname_zone"`
	// For how long the record of a next key has to be seen at all name servers before it
	// takes over from one that signs.
	Settle conf.Duration `toml:"settle"`
	// How long the record of a key that signs no more is needed by letters on their way: a
	// day more than letters may wait here (queue.maximal_queue_lifetime) at least.
	Retire conf.Duration `toml:"retire"`
	// Whether a letter of a user that should be signed and can't be waits at his program
	// (451). Else it leaves without a signature, and its journey says why. opendkim calls
	// this On-KeyNotFound and On-InternalError.
	Require bool `toml:"require"`
	// The fields that signatures cover, as often as they are there. Empty: those that
	// matter to a reader. opendkim calls this SignHeaders.
	Headers conf.Strings `toml:"headers"`
	// The fields that nobody can add one more of without breaking the signature. Empty:
	// From and what a reader takes for the truth. opendkim calls this OversignHeaders.
	Oversign conf.Strings `toml:"oversign"`
	// How header and body may change on their way: "relaxed" (white space) or "simple" (not
	// at all), with "/" between. opendkim calls this Canonicalization.
	Canonicalization Canonicalization `toml:"canonicalization"`
	// For how long a signature is good. "0s": no end is told. opendkim calls this
	// SignatureTTL.
	Expiration conf.Duration `toml:"expiration"`
}

// DKIMKey is a key that an admin keeps himself, and whose letters it signs. Letters of
// other authors are signed with the keys in the data directory.
type DKIMKey struct {
	// The domain that signs (d=); "%" is that of the author. opendkim calls this KeyTable.
	Domain string `toml:"domain"`
	// The selector (s=).
	Selector string `toml:"selector"`
	// A file with the private key, PEM. It may not be readable by everybody. A relative
	// path counts from the directory of this file.
	File string `toml:"file"`
	// Whose letters it signs: "alice@example.org", "*@example.org", "example.org",
	// ".example.org" (all below it), "*". Without any, those of the domain. DMARC believes
	// it only for the domain itself and those below it. opendkim calls this SigningTable.
	For conf.Strings `toml:"for"`
}

func defaultDKIM() DKIM {
	return DKIM{
		Verify: true, MaximumSignatures: 8, MinimumKeyBits: 1024, MaximumKeyBits: 4096, ClockDrift: conf.Duration(10 * time.Minute),
		Sign: true, MakeKeys: true, Algorithms: conf.Strings{"rsa"}, Selectors: conf.Strings{"facteur1", "facteur2"},
		Settle: conf.Duration(time.Hour), Retire: conf.Duration(7 * 24 * time.Hour), Canonicalization: "relaxed/relaxed",
	}
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
	k.signing()
}

// Options are how signatures are judged.
func (d DKIM) Options() dkim.Options {
	return dkim.Options{
		Most: d.MaximumSignatures, MinBits: d.MinimumKeyBits, MaxBits: d.MaximumKeyBits,
		Skew: d.ClockDrift.Std(), Partial: d.AcceptPartialBody,
	}
}
