package urlauth

import (
	"context"
	"crypto/hmac"
	"errors"
	"io/fs"
	"strings"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// Mechanism is the one way in which tokens are made here.
const Mechanism = "INTERNAL"

// Desk gives out rights to letters and takes them back in. It is safe for concurrent
// use.
type Desk struct {
	// FS is where the keys are.
	FS vfs.FS
	// Hostname is the server that URLs name.
	Hostname string
	// Owner opens what the user of that name sees; ErrNotThere if there is none.
	Owner func(ctx context.Context, name string) (*namespace.Space, error)
}

// Who asks for a letter.
type Who struct {
	User string // address of the account; never ""
	// Submission says that it is our own submission service that asks, for User.
	Submission bool
}

// ErrRefused is a URL that nobody is given a right to: of another server or user,
// with a right for everybody, or of a mechanism that is not ours.
var ErrRefused = errors.New("no right is given to this URL")

// Sign gives the URL, which says who is to have the right, with the proof that the
// user of the space gave it (GENURLAUTH, RFC 4467 §7). ErrRefused or ErrNotThere, or
// a fault of ours.
func (d *Desk) Sign(ctx context.Context, space *namespace.Space, u *imap.URL) (string, error) {
	if !strings.EqualFold(u.Host, d.Hostname) || !strings.EqualFold(u.User, space.User()) ||
		u.Access <= imap.AccessAnonymous || u.Mechanism != "" {
		return "", ErrRefused
	}
	key, err := d.key(ctx, space, u, keys.make)
	if err != nil {
		return "", err
	}
	return u.Rump + ":" + Mechanism + ":" + token(key, u.Rump), nil
}

// key is the access key of the mailbox of a URL.
func (d *Desk) key(ctx context.Context, space *namespace.Space, u *imap.URL, get func(k keys, validity uint32) ([]byte, error)) ([]byte, error) {
	place, _, err := space.Enter(ctx, u.Mailbox, mailbox.RightRead)
	if err != nil {
		return nil, missing(err)
	}
	defer place.Close()
	if !place.Own() {
		return nil, ErrNotThere // only what is his own is his to give
	}
	status, err := place.Account.Status(ctx, place.Name)
	if err != nil {
		return nil, missing(err)
	}
	key, err := get(d.keys(place.Account), status.UIDValidity)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotThere
	}
	return key, err
}

// Fetch opens what a URL names, for somebody to whom it gives the right. ErrNotThere
// if it does not, whatever the reason, or a fault of ours.
func (d *Desk) Fetch(ctx context.Context, text string, who Who) (*Letter, error) {
	u, err := imap.ParseURL(text)
	if err != nil || !strings.EqualFold(u.Host, d.Hostname) || u.Mechanism != Mechanism || !allows(u, who, time.Now()) {
		return nil, ErrNotThere
	}
	space, err := d.Owner(ctx, u.User)
	if err != nil {
		return nil, err
	}
	l, err := d.open(ctx, space, u)
	if err != nil {
		space.Close()
		return nil, err
	}
	l.space = space
	return l, nil
}

// open opens the letter with the rights of its owner, once the token is found good.
func (d *Desk) open(ctx context.Context, space *namespace.Space, u *imap.URL) (*Letter, error) {
	key, err := d.key(ctx, space, u, keys.read)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal([]byte(u.Token), []byte(token(key, u.Rump))) {
		return nil, ErrNotThere
	}
	return Open(ctx, space, "", u)
}

// allows says whether a URL is for somebody, and still is (RFC 4467 §3).
func allows(u *imap.URL, who Who, now time.Time) bool {
	if !u.Expire.IsZero() && now.After(u.Expire) {
		return false
	}
	switch u.Access {
	case imap.AccessAuth:
		return !who.Submission
	case imap.AccessUserPlus:
		return !who.Submission && strings.EqualFold(u.AccessUser, who.User)
	case imap.AccessSubmit:
		return who.Submission && strings.EqualFold(u.AccessUser, who.User)
	}
	return false
}
