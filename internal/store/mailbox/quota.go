package mailbox

import (
	"context"
	"errors"
	"strings"

	"facteur/internal/store/maildir"
	"facteur/internal/store/quota"
)

// Address is whose mailboxes they are.
func (a *Account) Address() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owner.Address
}

// Usage is what counts of the account's mail, and its limits. An account without
// limits has no usage: nothing is counted for it.
func (a *Account) Usage(ctx context.Context) (quota.Usage, quota.Limits, error) {
	o := a.counted()
	used, err := a.store.quota.Usage(ctx, o)
	return used, o.Limits, err
}

// counted is the owner as the book of quotas knows him.
func (a *Account) counted() quota.Owner {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owner.counted()
}

// room is ErrOverQuota if there is no room in a mailbox for what is to come.
// Callers hold mu.
func (a *Account) room(ctx context.Context, b *box, need quota.Usage) error {
	if most := a.owner.Quota.Bytes; b == a.kept() && most > 0 && b.bytes+need.Bytes > most {
		return ErrOverQuota // where nothing counts, there is not room for everything
	}
	err := a.store.quota.Room(ctx, a.owner.counted(), b.name, need)
	if errors.Is(err, quota.ErrFull) {
		return ErrOverQuota
	}
	return err
}

// count tells the book of quotas of a change that was committed. What a scan has
// found was delivered by us, and is counted, or is the work of others, whose own lines
// may count it: then the book is to look.
func (a *Account) count(c *change) {
	if a.owner.Quota.None() {
		return
	}
	for _, d := range c.deltas {
		switch {
		case !c.found:
			a.store.quota.Add(a.owner.counted(), d.b.name, d.usage())
		case d.strange():
			a.store.quota.Stale(a.root)
		}
	}
}

// usage is what the change adds to the mailbox.
func (d *delta) usage() quota.Usage {
	u := quota.Usage{Bytes: -d.freedFiles, Messages: int64(len(d.added) - len(d.removed))}
	for i := range d.added {
		u.Bytes += fileSize(d.added[i].base, d.added[i].size)
	}
	return u
}

// strange tells that letters came or went by somebody else's hand.
func (d *delta) strange() bool {
	if len(d.removed) > 0 {
		return true
	}
	for i := range d.added {
		if !strings.Contains(d.added[i].base, maildir.DeliveredHere) {
			return true
		}
	}
	return false
}

// fileSize is how long a letter's file is: by its name where that tells, else as
// the letter is on the wire.
func fileSize(base string, wire int64) int64 {
	if n := maildir.ParseName(base).Size; n >= 0 {
		return n
	}
	return wire
}
