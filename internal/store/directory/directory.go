// Package directory knows the domains that mail is received for and the accounts
// that live in them, and it alone sees passwords.
//
// # On disk
//
// These tables are in DATA/facteur.db. sender_grant: what accounts may send as beside
// their own address; it goes with the account. domain and account: domains may also stand in
// the settings file; both count, listings say where each is from, and what the
// file declares only the file takes away. Passwords are kept as argon2id hashes,
// and beside them what SCRAM needs (RFC 5803), so that clients can log in without
// showing the password; the contexts of CRAM-MD5 only where the settings ask for
// it. All of it is made with the password and ends with it, in one transaction.
// secret: random octets that salts follow from, without which SCRAM keys go on to
// work, but strangers get other salts, and those that app passwords are hashed with,
// which are worth nothing without them. app_password, last_login: of accounts wherever
// they are kept; they go with an account of ours, and with one kept elsewhere when it has not
// been there for three days (absent_account); log-ins are written down once a minute. login_network: where accounts logged in from.
// An account's mail is below Home, DATA/mail/<domain>/<local>, a path that
// follows from the address alone and is never stored.
//
// # Invariants
//
// Accounts are found by address.Key, so that two spellings of one mailbox are one
// account everywhere: log-in, delivery, quota. A look-up gives one of three
// answers; a database that fails is never "no such user". Whoever fails to log
// in learns nothing by words or by time: a wrong password and an unknown user
// cost one hash each and give the same answer, and the salt that SCRAM shows to a
// stranger is as steady as any other. Hashing takes memory, so fewer
// hashes run at a time than there are processors, and the line before them is short.
//
// A change is durable when its method returns, and every look-up that begins
// after that sees it. A crash leaves an account whole or absent; removing an
// account together with its mail removes the account first, so that a crash
// between the two leaves mail that nobody can reach, never an account with half
// of its mail.
package directory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the tables of this room, for db.Open.
func Migrations() fs.FS { return migrations }

// The errors of changes. They are made for the admin who typed the command.
var (
	ErrAccountExists = errors.New("the account exists already")
	ErrNoAccount     = errors.New("there is no such account")
	ErrDomainExists  = errors.New("the domain exists already")
	ErrNoDomain      = errors.New("there is no such domain here")
	ErrDomainInUse   = errors.New("the domain still has accounts")
	ErrDeclared      = errors.New("the domain is declared in the settings file; remove it there")
	ErrForeign       = errors.New("the account is not kept here")
	ErrPassword      = errors.New("a password has 1 to 1024 bytes and no control characters")
	ErrQuota         = errors.New("a quota is not negative")
)

// errAuth is the only reason a log-in fails for; it does not say which half of
// the credentials was wrong.
var errAuth = errors.New("authentication failed")

// Directory answers questions about domains and accounts. Its methods may be
// called from any goroutine.
type Directory struct {
	db      *db.DB
	dataDir string
	hasher  *hasher

	domains  *cache[Domain]
	foreign  *cache[struct{}] // domains that are not ours
	accounts *cache[Account]
	aliases  *cache[Alias]
	// noAliases are keys that no alias has; someAliases tells under "" that there is one.
	noAliases   *cache[struct{}]
	someAliases *cache[bool]
	// What sources said of accounts and of domains.
	records *answers[Account]
	realms  *answers[Domain]
	proofs  *proofs
	shared  inquiries
	// logins are the names by which accounts kept elsewhere were last logged in to, and
	// entries whether those names still mean them.
	logins  *cache[string]
	entries *answers[struct{}]
	// suspended says whose app passwords do not count; nil: all do.
	suspended func(key string) bool

	mu         sync.RWMutex
	declared   map[string]Domain // those of the settings file, by canonical name
	allowances Allowances
	kinds      Kinds
	places     []*place
	secrets    map[string][]byte // by name, what salts and app passwords follow from
	seen       sightings
}

// New is the directory over a database that was opened with Migrations.
// fileDomains are the domains of the settings file, dataDir is absolute, and
// defaultQuota (bytes; see Configure for more) goes to accounts without a quota of their own.
func New(database *db.DB, fileDomains []string, dataDir string, defaultQuota int64) *Directory {
	d := &Directory{
		db:       database,
		dataDir:  dataDir,
		hasher:   newHasher(),
		domains:  newCache[Domain](),
		foreign:  newCache[struct{}](),
		accounts: newCache[Account](),
		aliases:  newCache[Alias](), noAliases: newCache[struct{}](), someAliases: newCache[bool](),
		records: newAnswers[Account](),
		realms:  newAnswers[Domain](),
		proofs:  newProofs(),
		logins:  newCache[string](), entries: newAnswers[struct{}](),
		shared:  inquiries{open: map[[sha256.Size]byte]chan struct{}{}},
		kinds:   Kinds{SCRAMSHA256: true, SCRAMSHA1: true},
		secrets: make(map[string][]byte),
	}
	d.Configure(Named(fileDomains...), Allowances{Default: Allowance{Bytes: defaultQuota}})
	return d
}

// Configure takes over what the settings file says, at the start and at every
// reload. Names that are no domains are left out: the file's own check refuses
// them with a line number.
func (d *Directory) Configure(fileDomains []Domain, allowances Allowances) {
	declared := make(map[string]Domain, len(fileDomains))
	for _, domain := range fileDomains {
		if domain, err := domain.canonical(); err == nil {
			domain.Source = FromFile
			declared[domain.Name] = domain
		}
	}
	d.mu.Lock()
	d.declared, d.allowances = declared, allowances
	d.mu.Unlock()
	d.forget()
}

// forget empties the caches after a change.
func (d *Directory) forget() {
	d.domains.clear()
	d.foreign.clear()
	d.accounts.clear()
	d.aliases.clear()
	d.noAliases.clear()
	d.someAliases.clear()
	d.records.clear()
	d.realms.clear()
	d.entries.clear()
}

// Account looks up the account that a's mail belongs to: in our own tables, then in the
// places that are attached, in their order.
func (d *Directory) Account(ctx context.Context, a address.Address) lookup.Answer[Account] {
	key := a.Key()
	if account, ok := d.accounts.get(key); ok {
		return lookup.Yes(account)
	}
	mark := d.accounts.mark()
	row, err := d.row(ctx, key)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return d.elsewhere(ctx, a)
	case err != nil:
		return lookup.Later[Account](fmt.Errorf("directory: %w", err))
	}
	d.accounts.put(key, row.Account, mark)
	return lookup.Yes(row.Account)
}

// row is an account with what only this room may see.
type row struct {
	Account
	key string
	// login is the name that it was asked for by. A source may know it by no other.
	login string
	proofTexts
	// place is where the account is kept that is not in our tables, and record what is
	// known of it there.
	place  *place
	record Record
}

const selectAccount = `SELECT key, address, quota, messages, keep, disabled, password, scram_sha256, scram_sha1, cram_md5 FROM account`

func (d *Directory) row(ctx context.Context, key string) (row, error) {
	return d.scan(d.db.Reader().QueryRowContext(ctx, selectAccount+` WHERE key = ?`, key))
}

func (d *Directory) scan(from interface{ Scan(...any) error }) (row, error) {
	var r row
	var own Allowance
	var keep int64
	var disabled int
	if err := from.Scan(&r.key, &r.Address, &own.Bytes, &own.Messages, &keep, &disabled, &r.password, &r.sha256, &r.sha1, &r.md5); err != nil {
		return row{}, err
	}
	r.Disabled, r.Refuses = disabled != enabled, disabled == refusing
	a, err := address.Parse(r.key)
	if err != nil {
		return row{}, fmt.Errorf("account %q in the database: %w", r.key, err)
	}
	r.Home = filepath.Join(d.mailDir(), homeOf(a))
	own.Keep = Keep{keep >= 0, time.Duration(max(keep, 0)) * time.Second}
	d.allow(&r.Account, own, a.Domain)
	return r, nil
}

// Accounts lists all accounts by domain and address.
func (d *Directory) Accounts(ctx context.Context) ([]Account, error) {
	rows, err := d.db.Reader().QueryContext(ctx, selectAccount+` ORDER BY domain, key`)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	var list []Account
	for rows.Next() {
		r, err := d.scan(rows)
		if err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		list = append(list, r.Account)
	}
	return list, rows.Err()
}
