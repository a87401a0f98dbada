package directory

import (
	"cmp"
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

// Domain is a domain that mail is received for.
type Domain struct {
	// Name is canonical: lower-case A-labels.
	Name string `json:"name"`
	// Source is where it is declared.
	Source Origin `json:"source"`
	// Class is what its addresses are.
	Class Class `json:"class"`
	// AliasOf is the domain whose addresses its addresses are; "" for none.
	AliasOf string `json:"alias_of,omitempty"`
	// CatchAll gets what is for nobody else, an address; "" for nobody. "@example.net"
	// is the same local part there.
	CatchAll string `json:"catch_all,omitempty"`
	// Subdomains: domains below it that are not declared themselves are as it is. Only
	// domains of class relay in the settings file have it.
	Subdomains bool `json:"subdomains,omitempty"`
}

// Class is one of Postfix's address classes (ADDRESS_CLASS_README).
type Class string

// The classes.
const (
	// ClassMailbox: accounts (Postfix's virtual_mailbox_domains).
	ClassMailbox Class = "mailbox"
	// ClassLocal: accounts, aliases(5) and Unix users (mydestination).
	ClassLocal Class = "local"
	// ClassAlias: virtual aliases alone (virtual_alias_domains).
	ClassAlias Class = "alias"
	// ClassRelay: mail goes on to another host of the domain (relay_domains).
	ClassRelay Class = "relay"
)

// Origin is where a domain is declared: FromFile, FromDatabase, or "directory NAME".
type Origin string

// The origins of our own. A domain in both counts as the file's.
const (
	FromFile     Origin = "file"
	FromDatabase Origin = "database"
)

// Domain says whether mail for name is received here. name may be in any case and
// script.
func (d *Directory) Domain(ctx context.Context, name string) lookup.Answer[Domain] {
	name, err := address.CanonicalDomain(name)
	if err != nil {
		return lookup.No[Domain](err)
	}
	if domain, ok := d.declaredDomain(name); ok {
		return lookup.Yes(domain)
	}
	if domain, ok := d.servedDomain(name); ok {
		return lookup.Yes(domain)
	}
	if domain, ok := d.domains.get(name); ok {
		return lookup.Yes(domain)
	}
	var answer lookup.Answer[Domain]
	if _, foreign := d.foreign.get(name); foreign {
		answer = d.domainElsewhere(ctx, name)
	} else {
		answer = d.domainInDatabase(ctx, name)
	}
	if answer.State() == lookup.NotFound {
		if domain, ok := d.domainAbove(name); ok {
			return lookup.Yes(domain)
		}
	}
	return answer
}

// domainAbove finds the nearest domain above a name that has its subdomains mean the same.
// A domain in between that is declared for itself ends the search.
func (d *Directory) domainAbove(name string) (Domain, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for at := strings.IndexByte(name, '.'); at >= 0; at = strings.IndexByte(name, '.') {
		name = name[at+1:]
		if domain, ok := d.declared[name]; ok {
			return domain, domain.Subdomains
		}
	}
	return Domain{}, false
}

func (d *Directory) domainInDatabase(ctx context.Context, name string) lookup.Answer[Domain] {
	mark, markForeign := d.domains.mark(), d.foreign.mark()
	domain, err := scanDomain(d.db.Reader().QueryRowContext(ctx, selectDomain+` WHERE name = ?`, name))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		d.foreign.put(name, struct{}{}, markForeign)
		return d.domainElsewhere(ctx, name)
	case err != nil:
		return lookup.Later[Domain](fmt.Errorf("directory: %w", err))
	}
	d.domains.put(name, domain, mark)
	return lookup.Yes(domain)
}

const selectDomain = `SELECT name, class, alias_of, catch_all FROM domain`

// Named are domains of accounts.
func Named(names ...string) []Domain {
	out := make([]Domain, len(names))
	for i, name := range names {
		out[i].Name = name
	}
	return out
}

func scanDomain(row interface{ Scan(...any) error }) (Domain, error) {
	domain := Domain{Source: FromDatabase}
	err := row.Scan(&domain.Name, &domain.Class, &domain.AliasOf, &domain.CatchAll)
	return domain, err
}

func (d *Directory) declaredDomain(name string) (Domain, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	domain, ok := d.declared[name]
	return domain, ok
}

func (d *Directory) isDeclared(name string) bool {
	_, ok := d.declaredDomain(name)
	return ok
}

// Domains lists all domains by name.
func (d *Directory) Domains(ctx context.Context) ([]Domain, error) {
	list := d.declaredDomains()
	rows, err := d.db.Reader().QueryContext(ctx, selectDomain)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		domain, err := scanDomain(rows)
		if err != nil {
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
	for _, domain := range d.declared {
		list = append(list, domain)
	}
	return list
}

// AddDomain declares a domain of accounts in the database.
func (d *Directory) AddDomain(ctx context.Context, name string) error {
	return d.DeclareDomain(ctx, Domain{Name: name})
}

// DeclareDomain declares a domain in the database.
func (d *Directory) DeclareDomain(ctx context.Context, n Domain) error {
	if err := n.Check(); err != nil {
		return err
	}
	n, err := n.canonical()
	if err != nil {
		return err
	}
	if d.isDeclared(n.Name) {
		return ErrDomainExists
	}
	return d.change(ctx, func(tx *db.Tx) error {
		return one(ErrDomainExists)(tx.Exec(`INSERT INTO domain (name, class, alias_of, catch_all, created) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			n.Name, n.Class, n.AliasOf, n.CatchAll, time.Now().Unix()))
	})
}

// canonical is a domain with its names in the form that is compared, or what is wrong
// with it.
func (n Domain) canonical() (_ Domain, err error) {
	if n.Name, err = hostedName(n.Name); err != nil {
		return n, err
	}
	n.Class = cmp.Or(n.Class, ClassMailbox)
	if !slices.Contains([]Class{ClassMailbox, ClassLocal, ClassAlias, ClassRelay}, n.Class) {
		return n, fmt.Errorf("%q is no class; expected mailbox, local, alias or relay", n.Class)
	}
	if n.AliasOf != "" {
		if n.AliasOf, err = hostedName(n.AliasOf); err != nil {
			return n, err
		}
	}
	if domain, whole := strings.CutPrefix(n.CatchAll, "@"); whole {
		domain, err = hostedName(domain)
		n.CatchAll = "@" + domain
	} else if n.CatchAll != "" {
		var a address.Address
		a, err = address.Parse(n.CatchAll)
		n.CatchAll = a.String()
	}
	return n, err
}

// hostedName is a domain that can have addresses of ours; a literal has none.
func hostedName(s string) (string, error) {
	name, err := address.CanonicalDomain(s)
	if err == nil && name[0] == '[' {
		err = address.ErrDomain
	}
	if err != nil {
		return "", fmt.Errorf("%q: %w", s, err)
	}
	return name, nil
}

// RemoveDomain takes a domain out of the database. It must have no accounts and no
// aliases left, and no other domain and no alias may lead there: what is for them would
// go to whoever has the domain then.
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
		if err := sweepAliases(tx, time.Now()); err != nil {
			return err
		}
		var aliases int
		if err := tx.QueryRow(`SELECT count(*) FROM alias WHERE domain = ?`, name).Scan(&aliases); err != nil {
			return err
		}
		if aliases > 0 {
			return fmt.Errorf("%w (%d)", ErrDomainHasAliases, aliases)
		}
		if err := one(ErrNoDomain)(tx.Exec(`DELETE FROM domain WHERE name = ?`, name)); err != nil {
			return err
		}
		user, err := d.leadingTo(tx, name)
		if err == nil && user != "" {
			err = fmt.Errorf("%w: %s", ErrDomainNamed, user)
		}
		return err
	})
}

// leadingTo is a domain or an alias of the database that leads to addresses in a domain,
// or a domain of the settings file; "" for none.
func (d *Directory) leadingTo(tx *db.Tx, name string) (string, error) {
	domains, err := allOf(tx, selectDomain, scanDomain)
	if err != nil {
		return "", err
	}
	for _, domain := range append(d.declaredDomains(), domains...) {
		switch {
		case domain.Name == name:
		case domain.AliasOf == name:
			return "alias_of of domain " + domain.Name, nil
		case domainOf(domain.CatchAll) == name:
			return "catch_all of domain " + domain.Name, nil
		}
	}
	aliases, err := allOf(tx, selectAlias, scanAlias)
	if err != nil {
		return "", err
	}
	for _, alias := range aliases {
		for _, target := range alias.Targets {
			if domainOf(target) == name {
				return "alias " + alias.Address + " to " + target, nil
			}
		}
	}
	return "", nil
}

// allOf are the rows of a query.
func allOf[T any](tx *db.Tx, query string, scan func(interface{ Scan(...any) error }) (T, error)) (all []T, err error) {
	rows, err := tx.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// domainOf is what stands behind the last "@" of an address.
func domainOf(s string) string { return s[strings.LastIndexByte(s, '@')+1:] }

// change writes, and forgets what the caches knew whether or not it worked: when
// ctx ends early nobody knows.
func (d *Directory) change(ctx context.Context, fn func(*db.Tx) error) error {
	defer d.forget()
	return d.db.Write(ctx, fn)
}

// changeOwn changes an account of our tables. Who means one that is kept elsewhere is
// told where.
func (d *Directory) changeOwn(ctx context.Context, a address.Address, fn func(*db.Tx) error) error {
	err := d.change(ctx, fn)
	if errors.Is(err, ErrNoAccount) {
		return d.whereKept(ctx, a)
	}
	return err
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

// Check tells what is wrong with a domain, for whoever wrote it; nil if nothing is.
func (n Domain) Check() error {
	c, err := n.canonical()
	switch {
	case err != nil:
		return err
	case c.AliasOf == c.Name:
		return fmt.Errorf("%s is an alias of itself", c.Name)
	case c.Subdomains && c.Class != ClassRelay:
		return fmt.Errorf("%s: only a domain of class relay can mean its subdomains, too", c.Name)
	case c.Class == ClassRelay && (c.AliasOf != "" || c.CatchAll != ""):
		return fmt.Errorf("%s: mail for a domain of class relay goes on to its other mail hosts; it has no alias_of and no catch_all", c.Name)
	}
	return nil
}
