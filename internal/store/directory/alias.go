package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

// Alias is an address that leads to others. Those of the database have no programs and
// no files: whoever may add an alias can not run anything by it.
type Alias struct {
	// Address is "sales@example.org", or "@example.org" for all that is for nobody else
	// there.
	Address string `json:"address"`
	// Targets are addresses, at least one.
	Targets []string `json:"targets"`
	// Owner makes a list of it: mail leaves with this address as its sender, which
	// hears what could not be delivered. "" for none.
	Owner string `json:"owner,omitempty"`
	// Until is when it ends; the zero time for never. After that the address is unknown.
	Until time.Time `json:"until,omitzero"`
}

// Over tells that the time of a temporary address has passed.
func (a Alias) Over(now time.Time) bool { return !a.Until.IsZero() && !now.Before(a.Until) }

// The errors of changes to aliases.
var (
	ErrAliasExists      = errors.New("the alias exists already")
	ErrNoAlias          = errors.New("there is no such alias")
	ErrDomainHasAliases = errors.New("the domain still has aliases")
	ErrDomainNamed      = errors.New("mail of other addresses still goes to the domain")
	ErrNoTarget         = errors.New("an alias leads to at least one address")
)

// targetsMax is how many addresses one alias has at most: as many as a list may lead to
// in any table (REL-019).
const targetsMax = 10_000

// Alias looks up an alias by address.Key, or by "@domain". One whose time has passed is
// not found.
func (d *Directory) Alias(ctx context.Context, key string) lookup.Answer[Alias] {
	if some, known := d.someAliases.get(""); known && !some {
		return lookup.No[Alias](ErrNoAlias)
	}
	a := d.aliasAt(ctx, key)
	if a.State() == lookup.Found && a.Value().Over(time.Now()) {
		return lookup.No[Alias](ErrNoAlias)
	}
	return a
}

func (d *Directory) aliasAt(ctx context.Context, key string) lookup.Answer[Alias] {
	if alias, ok := d.aliases.get(key); ok {
		return lookup.Yes(alias)
	}
	if _, none := d.noAliases.get(key); none {
		return lookup.No[Alias](ErrNoAlias)
	}
	mark, markNone, markSome := d.aliases.mark(), d.noAliases.mark(), d.someAliases.mark()
	alias, err := scanAlias(d.db.Reader().QueryRowContext(ctx, selectAlias+` WHERE key = ?`, key))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		d.noAliases.put(key, struct{}{}, markNone)
		d.countAliases(ctx, markSome)
		return lookup.No[Alias](ErrNoAlias)
	case err != nil:
		return lookup.Later[Alias](fmt.Errorf("directory: %w", err))
	}
	d.aliases.put(key, alias, mark)
	return lookup.Yes(alias)
}

// countAliases notes whether there are any: a server without aliases asks once.
func (d *Directory) countAliases(ctx context.Context, mark uint64) {
	if _, known := d.someAliases.get(""); known {
		return
	}
	var some bool
	if d.db.Reader().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM alias)`).Scan(&some) == nil {
		d.someAliases.put("", some, mark)
	}
}

const selectAlias = `SELECT address, targets, owner, expires FROM alias`

func scanAlias(row interface{ Scan(...any) error }) (Alias, error) {
	var a Alias
	var targets string
	var expires int64
	if err := row.Scan(&a.Address, &targets, &a.Owner, &expires); err != nil {
		return Alias{}, err
	}
	a.Targets = strings.Split(targets, "\n")
	if expires > 0 {
		a.Until = time.Unix(expires, 0)
	}
	return a, nil
}

// Aliases lists all aliases by domain and address.
func (d *Directory) Aliases(ctx context.Context) ([]Alias, error) {
	rows, err := d.db.Reader().QueryContext(ctx, selectAlias+` ORDER BY domain, key`)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	var list []Alias
	for rows.Next() {
		a, err := scanAlias(rows)
		if err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// AddAlias makes an alias in a domain of this server. It goes before an account of the
// same address, which still gets its mail if it is among the targets.
func (d *Directory) AddAlias(ctx context.Context, a Alias) error {
	key, domain, err := aliasKey(a.Address)
	if err != nil {
		return err
	}
	if a.Targets, err = targets(a.Targets); err != nil {
		return err
	}
	if a.Owner != "" {
		owner, err := address.Parse(a.Owner)
		if err != nil {
			return fmt.Errorf("%q: %w", a.Owner, err)
		}
		a.Owner = owner.String()
	}
	var expires int64
	if !a.Until.IsZero() {
		expires = a.Until.Unix()
	}
	return d.change(ctx, func(tx *db.Tx) error {
		if err := d.served(tx, domain); err != nil {
			return err
		}
		now := time.Now()
		if err := sweepAliases(tx, now); err != nil {
			return err
		}
		return one(ErrAliasExists)(tx.Exec(`INSERT INTO alias (key, address, domain, targets, owner, expires, created) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			key, a.Address, domain, strings.Join(a.Targets, "\n"), a.Owner, expires, now.Unix()))
	})
}

// sweepAliases removes those whose time is over: they were shown until somebody changed
// something.
func sweepAliases(tx *db.Tx, now time.Time) error {
	_, err := tx.Exec(`DELETE FROM alias WHERE expires > 0 AND expires <= ?`, now.Unix())
	return err
}

// RemoveAlias takes an alias away.
func (d *Directory) RemoveAlias(ctx context.Context, name string) error {
	key, _, err := aliasKey(name)
	if err != nil {
		return err
	}
	return d.change(ctx, func(tx *db.Tx) error {
		return one(ErrNoAlias)(tx.Exec(`DELETE FROM alias WHERE key = ?`, key))
	})
}

// aliasKey is what an alias is found by, and its domain.
func aliasKey(name string) (key, domain string, err error) {
	if domain, whole := strings.CutPrefix(name, "@"); whole {
		if domain, err = hostedName(domain); err != nil {
			return "", "", err
		}
		return "@" + domain, domain, nil
	}
	a, err := address.Parse(name)
	if err != nil {
		return "", "", fmt.Errorf("%q: %w", name, err)
	}
	return a.Key(), a.Domain, nil
}

// targets are addresses in their canonical form, each once.
func targets(in []string) ([]string, error) {
	if len(in) > targetsMax {
		return nil, fmt.Errorf("an alias leads to at most %d addresses", targetsMax)
	}
	var out []string
	for _, text := range in {
		a, err := address.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		if text = a.String(); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return nil, ErrNoTarget
	}
	return out, nil
}
