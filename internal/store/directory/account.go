package directory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"facteur/internal/mail/address"
	"facteur/internal/mail/password"
	"facteur/internal/mail/sasl"
	"facteur/internal/store/db"
)

// Account is somebody who has mailboxes here and may log in.
type Account struct {
	// Address is the account's name and main address, "alice@example.org".
	Address string `json:"address"`
	// Home is the absolute directory that holds its index, and its Maildir if that is not
	// elsewhere.
	Home string `json:"home"`
	// Maildir is the absolute path of the letters; "" is Home/Maildir.
	Maildir string `json:"maildir,omitempty"`
	// Unix is the user of this machine whose files the letters are, and who is reached
	// as himself only; nil: they are the server's.
	Unix *Unix `json:"unix,omitempty"`
	// Quota is the most bytes its mailboxes may hold: its own limit, else that of
	// its domain or of the settings; 0: no limit. Messages is the same for their number.
	Quota    int64 `json:"quota"`
	Messages int64 `json:"messages"`
	// Keep is how long expunged mail is kept, found in the same way.
	Keep time.Duration `json:"keep_expunged"`
	// Own is what is said of this account itself.
	Own Allowance `json:"-"`
	// Disabled accounts keep their mail and receive, but can not log in.
	Disabled bool `json:"disabled"`
	// Refuses: mail for it is refused, too (550 5.2.1).
	Refuses bool `json:"refuses,omitempty"`
	// Source is the name of the directory that it is kept in; "": our own tables.
	Source string `json:"source,omitempty"`
	// Forward are the addresses that its mail goes to instead of its mailbox, and Host is
	// the machine that has its mailbox, if not this one.
	Forward []address.Address `json:"forward,omitempty"`
	Host    string            `json:"host,omitempty"`
	// Nets are the only networks from which it may be logged in to; nil: from everywhere.
	Nets []netip.Prefix `json:"allow_nets,omitempty"`
}

// Letters is where the Maildir is.
func (a Account) Letters() string {
	if a.Maildir != "" {
		return a.Maildir
	}
	return filepath.Join(a.Home, "Maildir")
}

// Unix is a user of this machine.
type Unix struct {
	Name string `json:"name"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	Home string `json:"home"` // the absolute path that passwd has
}

// AddAccount makes an account in a domain of this server. quota is in bytes; 0
// takes the default of the settings.
func (d *Directory) AddAccount(ctx context.Context, a address.Address, password string, quota int64) error {
	p, err := d.newProofTexts(ctx, a.Key(), password)
	if err != nil {
		return err
	}
	return d.insert(ctx, a, p, quota)
}

// AddHashed is AddAccount with a hash that others made of the password, in a form of
// package password. The first log-in replaces it by one of ours and adds the keys that
// SCRAM needs.
func (d *Directory) AddHashed(ctx context.Context, a address.Address, hash string, quota int64) error {
	p, err := foreign(hash)
	if err != nil {
		return err
	}
	return d.insert(ctx, a, p, quota)
}

// SetHash is SetPassword with such a hash.
func (d *Directory) SetHash(ctx context.Context, a address.Address, hash string) error {
	p, err := foreign(hash)
	if err != nil {
		return err
	}
	return d.setProofs(ctx, a, p)
}

// foreign is what is kept of a hash that others made.
func foreign(hash string) (proofTexts, error) {
	if _, err := password.Parse(hash, ""); err != nil {
		return proofTexts{}, err
	}
	return proofTexts{password: hash}, nil
}

func (d *Directory) insert(ctx context.Context, a address.Address, p proofTexts, quota int64) error {
	if quota < 0 {
		return ErrQuota
	}
	return d.change(ctx, func(tx *db.Tx) error {
		if err := d.served(tx, a.Domain); err != nil {
			return err
		}
		err := one(ErrAccountExists)(tx.Exec(`INSERT INTO account
			(key, address, domain, quota, password, scram_sha256, scram_sha1, cram_md5, created)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			a.Key(), a.String(), a.Domain, quota, p.password, p.sha256, p.sha1, p.md5, time.Now().Unix()))
		if err != nil {
			return err
		}
		return forgetTraces(tx, a.Key()) // of one that was kept elsewhere
	})
}

// served is an error unless mail for domain is received here. It asks inside the
// transaction, so that no account is added to a domain that is being removed.
func (d *Directory) served(tx *db.Tx, domain string) error {
	if _, served := d.servedDomain(domain); served || d.isDeclared(domain) {
		return nil
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM domain WHERE name = ?`, domain).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: %q", ErrNoDomain, domain)
	}
	return nil
}

// SetPassword replaces the password, and with it every key that was made of the old
// one. Whoever is logged in stays so; whoever logs in after it returns needs the
// new one.
func (d *Directory) SetPassword(ctx context.Context, a address.Address, password string) error {
	p, err := d.newProofTexts(ctx, a.Key(), password)
	if err != nil {
		return err
	}
	return d.setProofs(ctx, a, p)
}

func (d *Directory) setProofs(ctx context.Context, a address.Address, p proofTexts) error {
	defer d.proofs.drop(a.Key())
	return d.changeOwn(ctx, a, func(tx *db.Tx) error {
		return one(ErrNoAccount)(tx.Exec(`UPDATE account SET password = ?, scram_sha256 = ?, scram_sha1 = ?, cram_md5 = ? WHERE key = ?`,
			p.password, p.sha256, p.sha1, p.md5, a.Key()))
	})
}

// newProofTexts makes all that is kept of a new password, in its turn.
func (d *Directory) newProofTexts(ctx context.Context, key, password string) (p proofTexts, err error) {
	if !acceptable(password) {
		return proofTexts{}, ErrPassword
	}
	secret, err := d.saltSecret(ctx)
	if err != nil {
		return proofTexts{}, err
	}
	leave, err := d.hasher.enter(ctx)
	if err != nil {
		return proofTexts{}, err
	}
	defer leave()
	if p.password, err = makeHash(sasl.Prep(password)); err == nil {
		err = p.derive(secret, key, password, d.kept())
	}
	return p, err
}

// acceptable keeps out what clients could not send and what nobody could type.
func acceptable(password string) bool {
	return password != "" && len(password) <= maxPassword && utf8.ValidString(password) &&
		!strings.ContainsFunc(password, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// RemoveAccount removes an account. Its mail stays on the disk unless withMail.
func (d *Directory) RemoveAccount(ctx context.Context, a address.Address, withMail bool) error {
	defer d.proofs.drop(a.Key())
	err := d.changeOwn(ctx, a, func(tx *db.Tx) error {
		if err := forgetTraces(tx, a.Key()); err != nil {
			return err
		}
		return one(ErrNoAccount)(tx.Exec(`DELETE FROM account WHERE key = ?`, a.Key()))
	})
	if err != nil || !withMail {
		return err
	}
	return d.removeMail(a)
}

// removeMail deletes the home of an account without following a symbolic link out
// of the mail directory.
func (d *Directory) removeMail(a address.Address) error {
	folded, err := address.Parse(a.Key())
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(d.mailDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the account is removed, its mail is not: %w", err)
	}
	defer root.Close()
	if err := root.RemoveAll(homeOf(folded)); err != nil {
		return fmt.Errorf("the account is removed, its mail is not: %w", err)
	}
	return nil
}
