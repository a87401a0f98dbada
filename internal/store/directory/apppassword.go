package directory

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

// AppPassword is a password of one program, beside that of the account: it can be taken
// back alone, and may count at some services only.
type AppPassword struct {
	Name string `json:"name"`
	// Services are where it counts, "imap", "pop3", "smtp"; none: everywhere.
	Services []string  `json:"services,omitempty"`
	Created  time.Time `json:"created"`
	// Used is when it last opened the account; zero: never.
	Used time.Time `json:"used,omitzero"`
}

// The services that an app password can be for.
var appServices = []string{"imap", "pop3", "smtp"}

// What can be wrong with an app password.
var (
	ErrAppName     = errors.New("a name for an app password has 1 to 64 printable characters")
	ErrAppExists   = errors.New("there is an app password of that name already; remove it first")
	ErrNoApp       = errors.New("there is no app password of that name")
	ErrAppServices = errors.New("an app password is for imap, pop3 and smtp, or some of them")
	ErrAppMany     = errors.New("the account has as many app passwords as it may; remove one first")
)

const (
	maxApps     = 50 // of one account
	appBytes    = 16 // random octets in an app password
	appLength   = 26 // base32 digits of those
	maxAppInput = 80 // octets of what somebody typed, spaces and hyphens included
)

var appDigits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newAppPassword makes one, in groups that can be typed: "abcd-efgh-…".
func newAppPassword() string {
	b := make([]byte, appBytes)
	rand.Read(b) // never fails (crypto/rand)
	var groups []string
	for group := range slices.Chunk([]byte(appDigits.EncodeToString(b)), 4) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, "-")
}

// appForm is an app password without what people put between the groups; false: it is
// none, and nobody needs to be asked.
func appForm(password string) (string, bool) {
	if len(password) < appLength || len(password) > maxAppInput {
		return "", false
	}
	plain := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(password))
	if len(plain) != appLength || strings.Trim(plain, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return "", false
	}
	return plain, true
}

// appSecret is the name of the key for app passwords. They are random, 128 bits: nobody
// can try them all, so that a fast hash does.
const appSecret = "app"

func (d *Directory) appMAC(ctx context.Context, key, plain string) ([]byte, error) {
	secret, err := d.namedSecret(ctx, appSecret)
	if err != nil {
		return nil, err
	}
	m := hmac.New(sha256.New, secret)
	fmt.Fprintf(m, "%d %s %s", len(key), key, plain)
	return m.Sum(nil), nil
}

// AddAppPassword makes an app password for an account, and gives it: nobody learns it
// again.
func (d *Directory) AddAppPassword(ctx context.Context, a address.Address, name string, services []string) (string, error) {
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", ErrAppName
	}
	for _, s := range services {
		if !slices.Contains(appServices, s) {
			return "", ErrAppServices
		}
	}
	if found := d.Account(ctx, a); found.Err() != nil {
		return "", found.Err()
	}
	password := newAppPassword()
	plain, _ := appForm(password)
	mac, err := d.appMAC(ctx, a.Key(), plain)
	if err != nil {
		return "", err
	}
	return password, d.change(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM app_password WHERE account = ?`, a.Key()).Scan(&n); err != nil {
			return err
		}
		if n >= maxApps {
			return ErrAppMany
		}
		if err := present(tx, a.Key()); err != nil {
			return err
		}
		return one(ErrAppExists)(tx.Exec(`INSERT INTO app_password (account, name, mac, services, created) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			a.Key(), name, mac, strings.Join(services, " "), time.Now().Unix()))
	})
}

// RemoveAppPassword takes one back. Sessions that it opened go on.
func (d *Directory) RemoveAppPassword(ctx context.Context, a address.Address, name string) error {
	return d.change(ctx, func(tx *db.Tx) error {
		return one(ErrNoApp)(tx.Exec(`DELETE FROM app_password WHERE account = ? AND name = ?`, a.Key(), name))
	})
}

// AppPasswords lists those of an account by name.
func (d *Directory) AppPasswords(ctx context.Context, a address.Address) ([]AppPassword, error) {
	if err := d.flushSeen(ctx); err != nil {
		return nil, err
	}
	rows, err := d.db.Reader().QueryContext(ctx, `SELECT name, services, created, used FROM app_password WHERE account = ? ORDER BY name`, a.Key())
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	list := []AppPassword{}
	for rows.Next() {
		var p AppPassword
		var services string
		var created, used int64
		if err := rows.Scan(&p.Name, &services, &created, &used); err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		p.Services, p.Created = strings.Fields(services), time.Unix(created, 0).UTC()
		if used > 0 {
			p.Used = time.Unix(used, 0).UTC()
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// byApp tells whether a password is an app password of an account that counts at a
// service.
func (d *Directory) byApp(ctx context.Context, key, service, password string) (name string, ok bool, err error) {
	plain, ok := appForm(password)
	if !ok || key == "" {
		return "", false, nil
	}
	mac, err := d.appMAC(ctx, key, plain)
	if err != nil {
		return "", false, err
	}
	var services string
	err = d.db.Reader().QueryRowContext(ctx, `SELECT name, services FROM app_password WHERE account = ? AND mac = ?`, key, mac).Scan(&name, &services)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("directory: %w", err)
	}
	return name, services == "" || slices.Contains(strings.Fields(services), service), nil
}

// SuspendApps says of which accounts app passwords do not count now. It comes before the
// first log-in; fn is asked at each, by the account's key.
func (d *Directory) SuspendApps(fn func(key string) bool) { d.suspended = fn }

func (d *Directory) suspends(key string) bool { return d.suspended != nil && d.suspended(key) }
