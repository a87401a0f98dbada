package directory

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/sasl"
	"facteur/internal/store/db"
)

// scramIterations is how often a client hashes its password for SCRAM. More would
// be better against whoever steals the file; Cyrus's library, which many clients
// use, gives up at 65,536.
const scramIterations = 60_000

// saltSize is the length of a salt, in octets.
const saltSize = 16

// Kinds is which keys are kept beside the hash of a password.
type Kinds struct {
	SCRAMSHA256, SCRAMSHA1 bool
	// CRAMMD5 keeps what is as good as the password for that mechanism.
	CRAMMD5 bool
}

// Keep says which keys are made from now on. Those that are kept of other kinds
// stay unused until the password changes.
func (d *Directory) Keep(kinds Kinds) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kinds = kinds
}

func (d *Directory) kept() Kinds {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.kinds
}

// proofTexts is all that is kept of a password, as it stands in the database.
type proofTexts struct{ password, sha256, sha1, md5 string }

// lacks says whether a kind that is kept is not there.
func (p proofTexts) lacks(k Kinds) bool {
	return k.SCRAMSHA256 && p.sha256 == "" || k.SCRAMSHA1 && p.sha1 == "" || k.CRAMMD5 && p.md5 == ""
}

// derive adds the keys of a password. The salt of an account follows from its name
// and from a secret of this server, and so does the salt that a stranger is shown:
// nobody can tell from it who exists here, neither before nor after the keys are
// made, and not by its change either. A client is told its salt before it proves
// anything, so that keeping it from one password to the next gives away nothing.
func (p *proofTexts) derive(secret []byte, key, password string, kinds Kinds) error {
	for _, k := range []struct {
		kept bool
		hash sasl.Hash
		to   *string
	}{{kinds.SCRAMSHA256, sasl.SHA256, &p.sha256}, {kinds.SCRAMSHA1, sasl.SHA1, &p.sha1}} {
		if !k.kept {
			continue
		}
		keys, err := sasl.MakeKeys(k.hash, password, saltOf(secret, k.hash, key), scramIterations)
		if err != nil {
			return err
		}
		*k.to = keys.Encode()
	}
	if kinds.CRAMMD5 {
		p.md5 = sasl.MakeMD5Context(password).Encode()
	}
	return nil
}

func saltOf(secret []byte, h sasl.Hash, key string) []byte {
	return derived(secret, "salt", h, key)[:saltSize]
}

func derived(secret []byte, what string, h sasl.Hash, key string) []byte {
	m := hmac.New(sha256.New, secret)
	fmt.Fprintf(m, "%s %s %s", what, h, key)
	return m.Sum(nil)
}

// stranger are keys that no password fits, the same each time.
func stranger(secret []byte, h sasl.Hash, key string) sasl.Keys {
	return sasl.Keys{
		Hash: h, Salt: saltOf(secret, h, key), Iterations: scramIterations,
		StoredKey: derived(secret, "stored", h, key)[:h.Size()],
		ServerKey: derived(secret, "server", h, key)[:h.Size()],
	}
}

// Holder is whose keys were asked for: an account with the password that it had at
// that moment. Key is its name in the form that is compared; "": nobody.
type Holder struct{ Key, password, login string }

// Keys are the SCRAM keys of a login name. Whoever has none gets some that fit no
// password.
func (d *Directory) Keys(ctx context.Context, login string, h sasl.Hash) (sasl.Keys, Holder, error) {
	secret, err := d.saltSecret(ctx)
	if err != nil {
		return sasl.Keys{}, Holder{}, err
	}
	r, err := d.candidate(ctx, login)
	if err != nil {
		return sasl.Keys{}, Holder{}, err
	}
	keys, text := stranger(secret, h, keyOf(login)), r.sha256
	if h == sasl.SHA1 {
		text = r.sha1
	}
	if text == "" {
		return keys, Holder{}, nil
	}
	if keys, err = sasl.ParseKeys(text); err == nil && keys.Hash != h {
		err = fmt.Errorf("directory: keys of %s where those of %s should be", keys.Hash, h)
	}
	return keys, r.holder(), err
}

// MD5Context is the same for CRAM-MD5.
func (d *Directory) MD5Context(ctx context.Context, login string) (sasl.MD5Context, Holder, error) {
	secret, err := d.saltSecret(ctx)
	if err != nil {
		return sasl.MD5Context{}, Holder{}, err
	}
	r, err := d.candidate(ctx, login)
	if err != nil {
		return sasl.MD5Context{}, Holder{}, err
	}
	if r.md5 == "" {
		return sasl.MakeMD5Context(string(derived(secret, "md5", 0, keyOf(login)))), Holder{}, nil
	}
	c, err := sasl.ParseMD5Context(r.md5)
	return c, r.holder(), err
}

func (r row) holder() Holder { return Holder{r.key, r.password, r.login} }

// Admit lets the holder of keys in who proved to know them, unless the password
// changed or the account was disabled meanwhile.
func (d *Directory) Admit(ctx context.Context, h Holder) lookup.Answer[Account] {
	if h.Key == "" {
		return lookup.No[Account](errAuth)
	}
	r, err := d.candidate(ctx, h.login)
	switch {
	case err != nil:
		return lookup.Later[Account](err)
	case r.holder() != h:
		return lookup.No[Account](errAuth)
	}
	return d.admit(r, "")
}

// Vouched is the account of a login name that somebody else vouches for: a
// certificate, a token.
func (d *Directory) Vouched(ctx context.Context, login string) lookup.Answer[Account] {
	r, err := d.candidate(ctx, login)
	switch {
	case err != nil:
		return lookup.Later[Account](err)
	case r.key == "":
		return lookup.No[Account](errAuth)
	}
	return d.admit(r, "")
}

// complete adds the keys that an account lacks, once its password was seen to be
// right, and replaces a hash that others made by one of ours: accounts come from times
// and places without them. It is done with the password that was proved or not at all,
// and may fail: the next log-in tries again. It gives the account as it is then.
func (d *Directory) complete(ctx context.Context, r row, password string) row {
	kinds := d.kept()
	if r.place != nil || r.ours() && !r.lacks(kinds) {
		return r
	}
	secret, err := d.saltSecret(ctx)
	if err != nil {
		return r
	}
	p := r.proofTexts
	if !r.ours() {
		if p.password, err = makeHash(sasl.Prep(password)); err != nil {
			return r
		}
	}
	if p.derive(secret, r.key, password, kinds) != nil {
		return r
	}
	err = d.db.Write(ctx, func(tx *db.Tx) error {
		return one(ErrNoAccount)(tx.Exec(`UPDATE account SET password = ?, scram_sha256 = ?, scram_sha1 = ?, cram_md5 = ? WHERE key = ? AND password = ?`,
			p.password, p.sha256, p.sha1, p.md5, r.key, r.password))
	})
	if err == nil {
		r.proofTexts = p
	}
	return r
}

// ours tells hashes that makeHash makes from those of others, and from its own of times
// when a hash cost less or more.
func (p proofTexts) ours() bool {
	return strings.HasPrefix(p.password, fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$", hashMemory, hashPasses, hashLanes))
}

// saltName is the secret that salts follow from.
const saltName = "scram"

func (d *Directory) saltSecret(ctx context.Context) ([]byte, error) {
	return d.namedSecret(ctx, saltName)
}

// namedSecret gives random octets of this server; they are made when first asked for.
func (d *Directory) namedSecret(ctx context.Context, name string) ([]byte, error) {
	d.mu.RLock()
	known := d.secrets[name]
	d.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	fresh := make([]byte, 32)
	rand.Read(fresh) // never fails (crypto/rand)
	var value []byte
	err := d.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, fresh); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT value FROM secret WHERE name = ?`, name).Scan(&value)
	})
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.secrets[name] = value
	return value, nil
}
