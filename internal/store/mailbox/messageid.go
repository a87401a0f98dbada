package mailbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"facteur/internal/mail/imap"
	"facteur/internal/store/digest"
)

// Wanted is a letter that is looked for by its Message-ID.
type Wanted struct {
	// IDs are those that it may have, as message.MessageID gives them.
	IDs []string
	// Without are the special uses of mailboxes that are not looked through: "\\Sent".
	Without []string
	// Since is when it came at the earliest.
	Since time.Time
	// Most is how many letters are looked at, in all mailboxes together.
	Most int
}

// Locate finds a letter in the account's mailboxes, INBOX first, the newest first;
// ErrGone if it is not among those that were looked at. What letters say comes from the
// cache of digests where it is there, else from the letters, which are in it then.
func (a *Account) Locate(ctx context.Context, w Wanted) (name string, uid uint32, err error) {
	list, err := a.List(ctx)
	if err != nil {
		return "", 0, err
	}
	slices.SortStableFunc(list, func(x, y Info) int { return rank(x.Name) - rank(y.Name) })
	for _, box := range list {
		if !box.Exists || w.Most <= 0 || slices.ContainsFunc(strings.Fields(box.SpecialUse), w.passesOver) {
			continue
		}
		switch uid, err = a.locateIn(ctx, box.Name, &w); {
		case err == nil:
			return box.Name, uid, nil
		case !errors.Is(err, ErrGone) && !errors.Is(err, ErrNoMailbox):
			return "", 0, err
		}
	}
	return "", 0, ErrGone
}

// rank puts INBOX before all others.
func rank(name string) int {
	if name == "INBOX" {
		return 0
	}
	return 1
}

func (w *Wanted) passesOver(use string) bool { return slices.Contains(w.Without, use) }

// locateIn looks through one mailbox.
func (a *Account) locateIn(ctx context.Context, name string, w *Wanted) (uint32, error) {
	v, err := a.Select(ctx, name, true)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	return v.newest(ctx, w)
}

// newest is the newest letter that is wanted. It goes back in steps of what the cache has
// in a page, until one has nothing that came late enough.
func (v *View) newest(ctx context.Context, w *Wanted) (uint32, error) {
	const step = 64
	for last := v.Len(); last > 0 && w.Most > 0; last -= min(last, step) {
		var uids []uint32
		for _, l := range v.Letters(imap.Ranges{{From: last - min(last, step) + 1, To: last}}) {
			if !l.Received.Before(w.Since) {
				uids = append(uids, l.UID)
			}
		}
		if len(uids) == 0 {
			break
		}
		uids = uids[len(uids)-min(len(uids), w.Most):]
		w.Most -= len(uids)
		if uid, err := v.latest(ctx, uids, w.IDs); uid > 0 || err != nil {
			return uid, err
		}
	}
	return 0, ErrGone
}

// latest is the last of some letters that has one of the Message-IDs; 0 if none has.
func (v *View) latest(ctx context.Context, uids []uint32, ids []string) (uid uint32, err error) {
	for d, err := range v.Digests(ctx, uids, digest.Keys) {
		if err != nil {
			return 0, err
		}
		if d.MessageID != "" && slices.Contains(ids, d.MessageID) {
			uid = d.UID
		}
	}
	return uid, nil
}
