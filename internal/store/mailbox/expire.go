package mailbox

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"facteur/internal/store/maildir"
	"facteur/internal/store/quota"
)

// ExpireRule says how long letters stay in mailboxes.
type ExpireRule struct {
	Mailbox string // with "*" and "?"
	After   time.Duration
}

// expireBatch is how many letters go in one transaction: others want to get at the
// account in between.
const expireBatch = 500

// Expired is how many letters were too old in a mailbox.
type Expired struct {
	Mailbox string `json:"mailbox"`
	Letters int    `json:"letters"`
}

// ExpireOld removes what has been kept for its time, and expunges what the rules of
// the owner say is too old. It gives the mailboxes where there was something.
func (s *Store) ExpireOld(ctx context.Context, o Owner) (list []Expired, err error) {
	if there, err := s.mayExpire(o); !there || err != nil {
		return nil, err
	}
	a, err := s.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	infos, err := a.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range infos {
		after := o.expiry(i.Name)
		if !i.Exists || after == 0 {
			continue
		}
		n, err := a.ExpireAll(ctx, i.Name, s.now().Add(-after))
		if n > 0 {
			list = append(list, Expired{i.Name, n})
		}
		if err != nil && !errors.Is(err, ErrNoMailbox) {
			return list, err
		}
	}
	return list, nil
}

// mayExpire spares accounts the opening in which nothing can be too old.
func (s *Store) mayExpire(o Owner) (bool, error) {
	if len(o.Expire) > 0 {
		return true, nil
	}
	folder, err := maildir.Folder(o.Keep.Mailbox)
	if err != nil || folder == "" {
		return false, nil
	}
	_, err = o.files(s.fs).Stat(filepath.Join(o.root(), folder))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// expiry is how long letters stay in a mailbox; 0: for ever. What was kept before
// that was switched off goes at the next look.
func (o *Owner) expiry(name string) time.Duration {
	if name == o.Keep.Mailbox {
		return max(o.Keep.For, time.Second)
	}
	return Expiry(o.Expire, name)
}

// Expiry is what the first rule that matches says of a mailbox; 0: for ever.
func Expiry(rules []ExpireRule, name string) time.Duration {
	for _, r := range rules {
		if (&quota.Rule{Mailbox: r.Mailbox}).Matches(name) {
			return r.After
		}
	}
	return 0
}

// ExpireAll is Expire for any number of letters, some at a time: after an error those
// before are gone.
func (a *Account) ExpireAll(ctx context.Context, name string, before time.Time) (sum int, err error) {
	for {
		n, err := a.Expire(ctx, name, before, expireBatch)
		if sum += n; err != nil || n < expireBatch {
			return sum, err
		}
		select {
		case <-time.After(100 * time.Millisecond): // a quiet pace
		case <-ctx.Done():
			return sum, ctx.Err()
		}
	}
}
