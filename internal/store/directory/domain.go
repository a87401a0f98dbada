package directory

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

// Domain is a domain that mail is received for.
type Domain struct {
	// Name is canonical: lower-case A-labels.
	Name string `json:"name"`
	// Source is where it is declared.
	Source Source `json:"source"`
}

// Source is where a domain is declared.
type Source string

// The sources. A domain in both counts as the file's.
const (
	FromFile     Source = "file"
	FromDatabase Source = "database"
)

// Domain says whether mail for name is received here. name may be in any case and
// script.
func (d *Directory) Domain(ctx context.Context, name string) lookup.Answer[Domain] {
	name, err := address.CanonicalDomain(name)
	if err != nil {
		return lookup.No[Domain](err)
	}
	if d.isDeclared(name) {
		return lookup.Yes(Domain{name, FromFile})
	}
	if domain, ok := d.domains.get(name); ok {
		return lookup.Yes(domain)
	}
	if _, foreign := d.foreign.get(name); foreign {
		return lookup.No[Domain](ErrNoDomain)
	}
	return d.domainInDatabase(ctx, name)
}

func (d *Directory) domainInDatabase(ctx context.Context, name string) lookup.Answer[Domain] {
	mark, markForeign := d.domains.mark(), d.foreign.mark()
	domain := Domain{Source: FromDatabase}
	err := d.db.Reader().QueryRowContext(ctx, `SELECT name FROM domain WHERE name = ?`, name).Scan(&domain.Name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		d.foreign.put(name, struct{}{}, markForeign)
		return lookup.No[Domain](ErrNoDomain)
	case err != nil:
		return lookup.Later[Domain](fmt.Errorf("directory: %w", err))
	}
	d.domains.put(name, domain, mark)
	return lookup.Yes(domain)
}

func (d *Directory) isDeclared(name string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.declared[name]
}

// Domains lists all domains by name.
func (d *Directory) Domains(ctx context.Context) ([]Domain, error) {
	list := d.declaredDomains()
	rows, err := d.db.Reader().QueryContext(ctx, `SELECT name FROM domain`)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		domain := Domain{Source: FromDatabase}
		if err := rows.Scan(&domain.Name); err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		if !d.isDeclared(domain.Name) {
			list = append(list, domain)
		}
	}
	slices.SortFunc(list, func(a, b Domain) int { return cmp.Compare(a.Name, b.Name) })
	return list, rows.Err()
}

func (d *Directory) declaredDomains() []Domain {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var list []Domain
	for name := range d.declared {
		list = append(list, Domain{name, FromFile})
	}
	return list
}

// AddDomain declares a domain in the database.
func (d *Directory) AddDomain(ctx context.Context, name string) error {
	name, err := address.CanonicalDomain(name)
	if err != nil {
		return err
	}
	if name[0] == '[' {
		return address.ErrDomain // an address literal has no accounts
	}
	if d.isDeclared(name) {
		return ErrDomainExists
	}
	return d.change(ctx, func(tx *db.Tx) error {
		return one(ErrDomainExists)(tx.Exec(`INSERT INTO domain (name, created) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, time.Now().Unix()))
	})
}

// RemoveDomain takes a domain out of the database. It must have no accounts left.
func (d *Directory) RemoveDomain(ctx context.Context, name string) error {
	name, err := address.CanonicalDomain(name)
	if err != nil {
		return err
	}
	if d.isDeclared(name) {
		return ErrDeclared
	}
	return d.change(ctx, func(tx *db.Tx) error {
		var accounts int
		if err := tx.QueryRow(`SELECT count(*) FROM account WHERE domain = ?`, name).Scan(&accounts); err != nil {
			return err
		}
		if accounts > 0 {
			return fmt.Errorf("%w (%d)", ErrDomainInUse, accounts)
		}
		return one(ErrNoDomain)(tx.Exec(`DELETE FROM domain WHERE name = ?`, name))
	})
}

// change writes, and forgets what the caches knew whether or not it worked: when
// ctx ends early nobody knows.
func (d *Directory) change(ctx context.Context, fn func(*db.Tx) error) error {
	defer d.forget()
	return d.db.Write(ctx, fn)
}

// one turns a statement that changed no row into the error none.
func one(none error) func(sql.Result, error) error {
	return func(r sql.Result, err error) error {
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return none
	}
}
