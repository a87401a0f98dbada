package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

// The errors of grants.
var (
	ErrGrantExists = errors.New("the account may send as this address already")
	ErrNoGrant     = errors.New("the account has no such grant")
)

// Grant lets an account send as an address that is not its own.
type Grant struct {
	Account string `json:"account"`
	// Address is in the form for comparing; "@example.org" is every address of the
	// domain.
	Address string `json:"address"`
}

// ParseGranted reads what can be granted: an address, or "@" and a domain.
func ParseGranted(s string) (string, error) {
	if domain, ok := strings.CutPrefix(s, "@"); ok {
		name, err := address.CanonicalDomain(domain)
		if err != nil {
			return "", fmt.Errorf("%q: %w", s, err)
		}
		return "@" + name, nil
	}
	a, err := address.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%q: %w", s, err)
	}
	return a.Key(), nil
}

// Grant lets an account send as granted (see ParseGranted) from now on.
func (d *Directory) Grant(ctx context.Context, account address.Address, granted string) error {
	granted, err := ParseGranted(granted)
	if err != nil {
		return err
	}
	elsewhere := d.elsewhere(ctx, account).State() == lookup.Found
	return d.change(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM account WHERE key = ?`, account.Key()).Scan(&n); err != nil {
			return err
		}
		if n == 0 && !elsewhere {
			return ErrNoAccount
		}
		if err := present(tx, account.Key()); err != nil {
			return err
		}
		return one(ErrGrantExists)(tx.Exec(`INSERT INTO sender_grant (account, address, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			account.Key(), granted, time.Now().Unix()))
	})
}

// Revoke takes a grant back.
func (d *Directory) Revoke(ctx context.Context, account address.Address, granted string) error {
	granted, err := ParseGranted(granted)
	if err != nil {
		return err
	}
	return d.change(ctx, func(tx *db.Tx) error {
		return one(ErrNoGrant)(tx.Exec(`DELETE FROM sender_grant WHERE account = ? AND address = ?`, account.Key(), granted))
	})
}

// Grants lists the grants of an account; of all accounts for the zero Address.
func (d *Directory) Grants(ctx context.Context, account address.Address) ([]Grant, error) {
	rows, err := d.db.Reader().QueryContext(ctx,
		`SELECT account, address FROM sender_grant WHERE ? IN ('', account) ORDER BY account, address`, account.Key())
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	var list []Grant
	for rows.Next() {
		var g Grant
		if err := rows.Scan(&g.Account, &g.Address); err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		list = append(list, g)
	}
	return list, rows.Err()
}

// Granted tells whether an account may send as an address, with or without an
// extension, that is not its own.
func (d *Directory) Granted(ctx context.Context, account, a address.Address) lookup.Answer[bool] {
	plain := a
	if local, _, found := strings.Cut(a.Local, "+"); found && local != "" {
		plain.Local = local
	}
	var n int
	err := d.db.Reader().QueryRowContext(ctx, `SELECT count(*) FROM sender_grant WHERE account = ? AND address IN (?, ?, ?)`,
		account.Key(), a.Key(), plain.Key(), "@"+a.Domain).Scan(&n)
	if err != nil {
		return lookup.Later[bool](fmt.Errorf("directory: %w", err))
	}
	return lookup.Yes(n > 0)
}
