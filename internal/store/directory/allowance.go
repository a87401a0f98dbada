package directory

import (
	"context"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

// Unlimited is the absence of a limit, where somebody says so; 0 says nothing, and
// lets the next one speak: the account, its domain, the settings.
const Unlimited = -1

// Allowance is what an account may keep.
type Allowance struct {
	Bytes, Messages int64
	Keep            Keep
}

// Keep is how long expunged mail is kept. The zero Keep says nothing.
type Keep struct {
	Set bool
	For time.Duration
}

// Allowances are those of the settings.
type Allowances struct {
	Default Allowance
	Domains map[string]Allowance // by canonical name
}

// or fills what a says nothing about from b.
func (a Allowance) or(b Allowance) Allowance {
	if a.Bytes == 0 {
		a.Bytes = b.Bytes
	}
	if a.Messages == 0 {
		a.Messages = b.Messages
	}
	if !a.Keep.Set {
		a.Keep = b.Keep
	}
	return a
}

// allow writes what counts for an account into it.
func (d *Directory) allow(a *Account, own Allowance, domain string) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := own.or(d.allowances.Domains[domain]).or(d.allowances.Default)
	a.Quota, a.Messages, a.Keep = max(all.Bytes, 0), max(all.Messages, 0), all.Keep.For
	a.Own = own
}

// SetAllowance replaces what is said of an account itself.
func (d *Directory) SetAllowance(ctx context.Context, a address.Address, w Allowance) error {
	if w.Bytes < Unlimited || w.Messages < Unlimited {
		return ErrQuota
	}
	keep := int64(-1)
	if w.Keep.Set {
		keep = int64(w.Keep.For.Seconds())
	}
	return d.changeOwn(ctx, a, func(tx *db.Tx) error {
		return one(ErrNoAccount)(tx.Exec(`UPDATE account SET quota = ?, messages = ?, keep = ? WHERE key = ?`, w.Bytes, w.Messages, keep, a.Key()))
	})
}
