package directory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

// seenEvery is how long log-ins wait to be written down, many at once.
const seenEvery = time.Minute

// sightings are the log-ins since the last time that they were written down.
type sightings struct {
	mu       sync.Mutex
	accounts map[string]time.Time
	apps     map[[2]string]time.Time // account and name of an app password
}

// note remembers a log-in. There are no more entries than accounts that log in within a
// minute; a full table drops what it has: it is of no great importance.
func (s *sightings) note(key, app string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounts == nil || len(s.accounts) >= cacheSize || len(s.apps) >= cacheSize {
		s.accounts, s.apps = map[string]time.Time{}, map[[2]string]time.Time{}
	}
	s.accounts[key] = now
	if app != "" {
		s.apps[[2]string{key, app}] = now
	}
}

func (s *sightings) take() (accounts map[string]time.Time, apps map[[2]string]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	accounts, apps = s.accounts, s.apps
	s.accounts, s.apps = nil, nil
	return accounts, apps
}

// Run writes down who logged in, once a minute and at the end, and looks for accounts
// kept elsewhere that are no more.
func (d *Directory) Run(ctx context.Context) {
	tick, sweep := time.NewTicker(seenEvery), time.NewTicker(absentEvery)
	defer tick.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-tick.C:
			d.flushSeen(ctx) //nolint:errcheck // a log-in that is forgotten is worth no trouble
		case now := <-sweep.C:
			d.sweepAbsent(ctx, now) //nolint:errcheck // it is tried again in an hour
		case <-ctx.Done():
			d.flushSeen(context.WithoutCancel(ctx)) //nolint:errcheck // as above
			return
		}
	}
}

// flushSeen writes down who logged in so far.
func (d *Directory) flushSeen(ctx context.Context) error {
	accounts, apps := d.seen.take()
	if len(accounts) == 0 {
		return nil
	}
	return d.db.Write(ctx, func(tx *db.Tx) error {
		for key, when := range accounts {
			if _, err := tx.Exec(`INSERT INTO last_login (account, seen) VALUES (?, ?)
				ON CONFLICT (account) DO UPDATE SET seen = max(seen, excluded.seen)`, key, when.Unix()); err != nil {
				return err
			}
		}
		for of, when := range apps {
			if _, err := tx.Exec(`UPDATE app_password SET used = ? WHERE account = ? AND name = ?`, when.Unix(), of[0], of[1]); err != nil {
				return err
			}
		}
		return nil
	})
}

// LastLogins is when somebody last logged in to each account, by the form of addresses
// that is compared.
func (d *Directory) LastLogins(ctx context.Context) (map[string]time.Time, error) {
	if err := d.flushSeen(ctx); err != nil {
		return nil, err
	}
	rows, err := d.db.Reader().QueryContext(ctx, `SELECT account, seen FROM last_login`)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	defer rows.Close()
	out := make(map[string]time.Time)
	for rows.Next() {
		var key string
		var seen int64
		if err := rows.Scan(&key, &seen); err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		out[key] = time.Unix(seen, 0).UTC()
	}
	return out, rows.Err()
}

// What the column "disabled" of an account says.
const (
	enabled   = 0
	suspended = 1 // nobody logs in
	refusing  = 2 // and it receives no mail
)

// SetDisabled suspends an account of our own, or ends that. A disabled account keeps its
// mail; nobody logs in to it. It receives more, unless mail is to be refused, too.
func (d *Directory) SetDisabled(ctx context.Context, a address.Address, disabled, refuse bool) error {
	state := enabled
	switch {
	case disabled && refuse:
		state = refusing
	case disabled:
		state = suspended
	}
	defer d.proofs.drop(a.Key())
	return d.changeOwn(ctx, a, func(tx *db.Tx) error {
		return one(ErrNoAccount)(tx.Exec(`UPDATE account SET disabled = ? WHERE key = ?`, state, a.Key()))
	})
}

// Gone tells that nobody may be logged in to an account any more: it was removed or
// disabled, for mail or for log-ins alone. What can't be found out is no.
func (d *Directory) Gone(ctx context.Context, account string) bool {
	a, err := address.Parse(account)
	if err != nil {
		return false
	}
	found := d.Account(ctx, a)
	if found.State() != lookup.Found {
		return found.State() == lookup.NotFound
	}
	return found.Value().Disabled || found.Value().Source != "" && d.locked(ctx, a.Key())
}

// locked tells that an account kept elsewhere can't be logged in to any more by the name
// that somebody used last: sources may find fewer accounts for log-ins than for mail.
func (d *Directory) locked(ctx context.Context, key string) bool {
	login, ok := d.logins.get(key)
	if !ok {
		return false
	}
	question := key + "\x00" + login
	if known, ok := d.entries.get(question); ok {
		return known.State() == lookup.NotFound
	}
	mark := d.entries.mark()
	r, err := d.candidate(ctx, login)
	if err != nil {
		return false
	}
	answer := lookup.Yes(struct{}{})
	if r.key != key || r.Disabled {
		answer = lookup.No[struct{}](errAuth)
	}
	d.entries.put(question, answer, mark)
	return answer.State() == lookup.NotFound
}
