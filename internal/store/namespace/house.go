package namespace

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/store/mailbox"
)

// Settings is how names look, and which public mailboxes there are.
type Settings struct {
	Separator byte // '/' or '.'
	// The prefixes, with the separator at their end; Personal may be "". Without
	// Users nobody sees mailboxes of others.
	Personal, Users, Public string
	PublicMailboxes         []PublicMailbox
	// What METADATA tells of the server: a remark, and a URI of who runs it.
	Comment, Admin string
}

// PublicMailbox is a mailbox that belongs to the server.
type PublicMailbox struct {
	Name string // "/" between levels
	ACL  mailbox.ACL
}

// Plain is the settings of a user who sees his own mailboxes only.
func Plain() *Settings { return &Settings{Separator: '/'} }

// Find gives the owner of an account by its address.
type Find func(ctx context.Context, address string) lookup.Answer[mailbox.Owner]

// House is what all Spaces share. It is safe for concurrent use.
type House struct {
	store    *mailbox.Store
	find     Find
	public   mailbox.Owner
	shares   *shares
	settings atomic.Pointer[Settings]
	judged   func(Judgement) // nil: nobody wants to know
}

// NewHouse is the mailboxes of a data directory.
func NewHouse(fs vfs.FS, dataDir string, store *mailbox.Store, find Find, s *Settings) (*House, error) {
	known, err := openShares(fs, filepath.Join(dataDir, shareFile))
	if err != nil {
		return nil, err
	}
	h := &House{store: store, find: find, shares: known,
		// No domain has such a directory: a dot in front would be "%2E".
		public: mailbox.Owner{Address: "public", Home: filepath.Join(dataDir, "mail", ".public")}}
	h.settings.Store(s)
	return h, nil
}

// Configure takes over other settings, for those who log in from now on.
func (h *House) Configure(s *Settings) { h.settings.Store(s) }

// Open gives a user what he sees. Each Space is to be closed.
func (h *House) Open(ctx context.Context, o mailbox.Owner) (*Space, error) {
	own, err := h.store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := h.meet(o); err != nil {
		own.Close()
		return nil, err
	}
	return &Space{house: h, settings: h.settings.Load(), own: own, user: o.Address}, nil
}

// Inside is Open for an admin: the names are those that the mailboxes have inside, "/"
// between levels, without prefixes.
func (h *House) Inside(ctx context.Context, o mailbox.Owner) (*Space, error) {
	s, err := h.Open(ctx, o)
	if err == nil {
		s.settings = Plain()
	}
	return s, err
}

// Alone is a Space of one account without others and without public mailboxes.
func Alone(own *mailbox.Account, user string) *Space {
	return &Space{settings: Plain(), own: own, user: user}
}

// DeclarePublic makes the public mailboxes that the settings name and gives them
// their rights. Those that are named no more stay, and what is below them, and nobody
// may look them up (offers).
func (h *House) DeclarePublic(ctx context.Context) error {
	declared := h.settings.Load().PublicMailboxes
	if len(declared) == 0 {
		return nil
	}
	a, err := h.store.Open(ctx, h.public)
	if err != nil {
		return err
	}
	defer a.Close()
	there, err := a.List(ctx)
	if err != nil {
		return err
	}
	for _, m := range declared {
		exists := slices.ContainsFunc(there, func(i mailbox.Info) bool { return i.Name == m.Name && i.Exists })
		if !exists {
			err = a.Create(ctx, m.Name)
		}
		if err == nil {
			err = a.SetACL(ctx, m.Name, m.ACL)
		}
		if err != nil {
			return fmt.Errorf("public mailbox %q: %w", m.Name, err)
		}
	}
	return nil
}

// Rebuild reads what all accounts share, if the list of it was missing. Those of whom
// it can't be read are left out: their owners are met when they log in.
func (h *House) Rebuild(ctx context.Context, owners []mailbox.Owner) {
	for _, o := range owners {
		if !h.shares.missing || ctx.Err() != nil {
			return
		}
		h.meet(o) //nolint:errcheck // see above
	}
}

// Forget takes an account that is to be removed out of all that others, owners, and
// the public mailboxes say of it: rights, and annotations of its own. Whoever gets the
// address next starts without. What the account itself shares is asked for anew when
// its address comes again.
func (h *House) Forget(ctx context.Context, address string, owners []mailbox.Owner) error {
	for _, o := range append(owners, h.public) {
		if key(o.Address) == key(address) {
			continue
		}
		if err := h.forgetIn(ctx, o, address); err != nil {
			return err
		}
	}
	return h.shares.drop(key(address))
}

// forgetIn is Forget for one account. Most say nothing of anybody, and are not opened.
func (h *House) forgetIn(ctx context.Context, o mailbox.Owner, address string) error {
	named, err := h.store.Mentions(o, address)
	if err != nil || !named {
		return err
	}
	a, err := h.store.Open(ctx, o)
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Forget(ctx, address); err != nil || o.Home == h.public.Home {
		return err
	}
	return h.learn(key(o.Address), o)
}

// offers says whether a public mailbox is one that the settings of now name, or below
// one, where users may have made it.
func (h *House) offers(inner string) bool {
	return slices.ContainsFunc(h.settings.Load().PublicMailboxes, func(m PublicMailbox) bool {
		return inner == m.Name || strings.HasPrefix(inner, m.Name+"/")
	})
}

// declared says that the settings give a public mailbox its rights.
func (s *Settings) declared(inner string) bool {
	return slices.ContainsFunc(s.PublicMailboxes, func(m PublicMailbox) bool { return m.Name == inner })
}
