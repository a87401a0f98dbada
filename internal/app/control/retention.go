package control

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/mail/imap"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// Undelete says which expunged letters of an account come back.
type Undelete struct {
	Address string `json:"address"`
	// Mailbox is where they were; "" for all.
	Mailbox string `json:"mailbox,omitempty"`
	// Since takes only what was expunged at most so long ago; 0 for all.
	Since time.Duration `json:"since,omitempty"`
	// Subject is text that has to be in it, in any case; "" for all.
	Subject string `json:"subject,omitempty"`
}

// Moved is how many letters came, or went.
type Moved struct {
	Mailbox string `json:"mailbox"`
	Letters int    `json:"letters"`
}

// Undelete implements Office: letters go back to where they came from; to INBOX where
// that is not known.
func (s *Stores) Undelete(ctx context.Context, u Undelete) (list []Moved, err error) {
	err = s.withMailboxes(ctx, u.Address, func(a *mailbox.Account, found directory.Account) error {
		defer func() { s.tidied(ctx, Undeleting, found, list) }()
		name, kept, err := a.KeptLetters(ctx)
		if err != nil || len(kept) == 0 {
			return err
		}
		if u.Subject != "" {
			if kept, err = withSubject(ctx, a, name, kept, u.Subject); err != nil {
				return err
			}
		}
		back := map[string][]uint32{}
		for _, k := range kept {
			origin := cmp.Or(k.Origin, "INBOX")
			if (u.Mailbox == "" || u.Mailbox == origin) && (u.Since <= 0 || time.Since(k.Since) <= u.Since) {
				back[origin] = append(back[origin], k.UID)
			}
		}
		for _, origin := range slices.Sorted(maps.Keys(back)) {
			n, err := a.Restore(ctx, back[origin], origin)
			if err != nil {
				return about(origin, err)
			}
			list = append(list, Moved{origin, n})
		}
		return nil
	})
	return list, err
}

// withSubject are the letters that have text in their subject.
func withSubject(ctx context.Context, a *mailbox.Account, name string, kept []mailbox.Kept, text string) (out []mailbox.Kept, err error) {
	v, err := a.Select(ctx, name, true)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	for _, k := range kept {
		d, err := v.Digest(ctx, k.UID)
		if errors.Is(err, mailbox.ErrGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if strings.Contains(strings.ToLower(d.Subject), strings.ToLower(text)) {
			out = append(out, k)
		}
	}
	return out, nil
}

// Expire implements Office: what the server does every hour, for one account now.
func (s *Stores) Expire(ctx context.Context, n AccountName) (list []Moved, err error) {
	found, err := s.account(ctx, n.Address)
	if err != nil {
		return nil, err
	}
	expired, err := s.mailboxes.ExpireOld(ctx, s.owner(found))
	for _, x := range expired {
		list = append(list, Moved{x.Mailbox, x.Letters})
	}
	s.tidied(ctx, Expiring, found, list)
	return list, about(n.Address, err)
}

// Expunge says which letters of a mailbox go.
type Expunge struct {
	Address string `json:"address"`
	Mailbox string `json:"mailbox"`
	// Before takes those that came into the mailbox so long ago, or longer; nil: those
	// that are marked \\Deleted.
	Before *time.Duration `json:"before,omitempty"`
}

// Expunge implements Office. Letters are kept as if their owner had expunged them.
func (s *Stores) Expunge(ctx context.Context, e Expunge) (list []Moved, err error) {
	err = s.withMailboxes(ctx, e.Address, func(a *mailbox.Account, found directory.Account) error {
		defer func() { s.tidied(ctx, Expunging, found, list) }()
		var n int
		var err error
		if e.Before != nil {
			n, err = a.ExpireAll(ctx, e.Mailbox, time.Now().Add(-*e.Before))
		} else {
			n, err = expungeDeleted(ctx, a, e.Mailbox)
		}
		if n > 0 {
			list = []Moved{{e.Mailbox, n}}
		}
		return about(e.Mailbox, err)
	})
	return list, err
}

// tidied tells the log what was done, also if the rest of an order failed.
func (s *Stores) tidied(ctx context.Context, what Tidying, account directory.Account, list []Moved) {
	by := caller(ctx)
	for _, m := range list {
		if m.Letters > 0 {
			s.events.Emit(Tidied{what, by, account.Address, m})
		}
	}
}

// expungeDeleted is EXPUNGE.
func expungeDeleted(ctx context.Context, a *mailbox.Account, name string) (int, error) {
	v, err := a.Select(ctx, name, false)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	var uids []uint32
	for _, l := range v.Letters(imap.Ranges{{From: 1, To: v.Len()}}) {
		if l.Flags.System&mailbox.Deleted != 0 {
			uids = append(uids, l.UID)
		}
	}
	if err := v.Expunge(ctx, uids); err != nil {
		return 0, err
	}
	return len(uids), nil
}

// NewAllowance is what an account may keep from now on. nil leaves it as it is.
type NewAllowance struct {
	Address string `json:"address"`
	// Quota is in bytes; 0: what the domain or the settings say, -1: no limit.
	// Messages is the same for their number.
	Quota    *int64 `json:"quota,omitempty"`
	Messages *int64 `json:"messages,omitempty"`
	// Keep is how long expunged messages are kept; negative: what the domain or the
	// settings say.
	Keep *time.Duration `json:"keep_expunged,omitempty"`
}

// AccountUsage is what an account holds, and may hold; 0: no limit.
type AccountUsage struct {
	Address     string `json:"address"`
	Bytes       int64  `json:"bytes"`
	Messages    int64  `json:"messages"`
	MaxBytes    int64  `json:"max_bytes"`
	MaxMessages int64  `json:"max_messages"`
	// Keep is how long expunged messages are kept.
	Keep conf.Duration `json:"keep_expunged"`
}

// SetAllowance implements Office.
func (s *Stores) SetAllowance(ctx context.Context, n NewAllowance) error {
	found, err := s.account(ctx, n.Address)
	if err != nil {
		return err
	}
	who, err := accountAddress(n.Address)
	if err != nil {
		return err
	}
	w := found.Own
	if n.Quota != nil {
		w.Bytes = *n.Quota
	}
	if n.Messages != nil {
		w.Messages = *n.Messages
	}
	if n.Keep != nil {
		w.Keep = directory.Keep{Set: *n.Keep >= 0, For: max(*n.Keep, 0)}
	}
	if err := s.directory.SetAllowance(ctx, who, w); err != nil {
		return about(n.Address, err)
	}
	if found, err = s.account(ctx, n.Address); err != nil {
		return err
	}
	return s.mailboxes.Renew(s.owner(found))
}

// Usage implements Office. The figure is the one that the door and IMAP go by.
func (s *Stores) Usage(ctx context.Context, n AccountName) (u AccountUsage, err error) {
	found, err := s.account(ctx, n.Address)
	if err != nil {
		return u, err
	}
	used, err := s.mailboxes.Usage(ctx, s.owner(found))
	return AccountUsage{found.Address, used.Bytes, used.Messages, found.Quota, found.Messages, conf.Duration(found.Keep)}, about(n.Address, err)
}

// Undelete implements Office.
func (c *client) Undelete(ctx context.Context, u Undelete) (list []Moved, err error) {
	err = c.call(ctx, "/mailboxes/undelete", u, &list)
	return list, err
}

// Expire implements Office.
func (c *client) Expire(ctx context.Context, n AccountName) (list []Moved, err error) {
	err = c.call(ctx, "/mailboxes/expire", n, &list)
	return list, err
}

// Expunge implements Office.
func (c *client) Expunge(ctx context.Context, e Expunge) (list []Moved, err error) {
	err = c.call(ctx, "/mailboxes/expunge", e, &list)
	return list, err
}

// SetAllowance implements Office.
func (c *client) SetAllowance(ctx context.Context, n NewAllowance) error {
	return c.call(ctx, "/accounts/quota", n, nil)
}

// Usage implements Office.
func (c *client) Usage(ctx context.Context, n AccountName) (u AccountUsage, err error) {
	err = c.call(ctx, "/accounts/usage", n, &u)
	return u, err
}
