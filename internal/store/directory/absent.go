package directory

import (
	"context"
	"fmt"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

// Nobody tells us that an account kept elsewhere was removed, so it is asked each
// absentEvery. What we keep of it goes when it has not been there for absentLife: whoever
// gets the address later does not inherit it, and a directory that was set wrong for a
// weekend costs nobody his app passwords.
const (
	absentEvery = time.Hour
	absentLife  = 3 * 24 * time.Hour
)

// sweepAbsent looks for accounts kept elsewhere that are there no more. A source that is
// down says nothing, and is not asked about others of the domain this time.
func (d *Directory) sweepAbsent(ctx context.Context, now time.Time) error {
	absent, err := d.keptElsewhere(ctx)
	if err != nil {
		return err
	}
	down := map[string]bool{}
	for key, since := range absent {
		a, err := address.Parse(key)
		if err != nil || down[a.Domain] {
			continue
		}
		switch d.known(ctx, a) {
		case lookup.TryAgain:
			down[a.Domain] = true
		case lookup.NotFound:
			err = d.missed(ctx, key, since, now)
		case lookup.Found:
			err = d.returned(ctx, key, since)
		}
		if err != nil {
			return fmt.Errorf("directory: %w", err)
		}
	}
	return nil
}

// keptElsewhere are the accounts that have something here and are none of our own, and
// since when they are absent; zero: they were there.
func (d *Directory) keptElsewhere(ctx context.Context) (map[string]time.Time, error) {
	rows, err := d.db.Reader().QueryContext(ctx, `SELECT had.account, coalesce(absent_account.since, 0)
		FROM (SELECT account FROM app_password UNION SELECT account FROM sender_grant) AS had
		LEFT JOIN absent_account ON absent_account.account = had.account
		WHERE had.account NOT IN (SELECT key FROM account)`)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	out := map[string]time.Time{}
	for rows.Next() {
		var key string
		var since int64
		if err := rows.Scan(&key, &since); err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		out[key] = time.Time{}
		if since > 0 {
			out[key] = time.Unix(since, 0)
		}
	}
	return out, rows.Err()
}

// known tells whether an account is there for mail or for log-ins.
func (d *Directory) known(ctx context.Context, a address.Address) lookup.State {
	if found := d.Account(ctx, a); found.State() != lookup.NotFound {
		return found.State()
	}
	r, err := d.candidate(ctx, a.String())
	switch {
	case err != nil:
		return lookup.TryAgain
	case r.key == a.Key():
		return lookup.Found
	}
	return lookup.NotFound
}

// missed notes that an account is not there, and forgets it if that is so for long.
func (d *Directory) missed(ctx context.Context, key string, since, now time.Time) error {
	switch {
	case since.IsZero():
		return d.db.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO absent_account (account, since) VALUES (?, ?) ON CONFLICT DO NOTHING`, key, now.Unix())
			return err
		})
	case now.Sub(since) < absentLife:
		return nil
	}
	return d.change(ctx, func(tx *db.Tx) error {
		// It may have come back since it was asked for.
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM absent_account WHERE account = ? AND since = ?`, key, since.Unix()).Scan(&n); err != nil || n == 0 {
			return err
		}
		return forgetTraces(tx, key)
	})
}

// returned notes that an account is there again.
func (d *Directory) returned(ctx context.Context, key string, since time.Time) error {
	if since.IsZero() {
		return nil
	}
	return d.db.Write(ctx, func(tx *db.Tx) error { return present(tx, key) })
}

func present(tx *db.Tx, key string) error {
	_, err := tx.Exec(`DELETE FROM absent_account WHERE account = ?`, key)
	return err
}

// forgetTraces removes what stands beside an account, wherever that is or was kept:
// whoever gets the address next does not inherit what this one might do.
func forgetTraces(tx *db.Tx, key string) error {
	for _, table := range []string{"login_network", "app_password", "last_login", "sender_grant", "absent_account"} {
		if _, err := tx.Exec(`DELETE FROM `+table+` WHERE account = ?`, key); err != nil {
			return err
		}
	}
	return nil
}
