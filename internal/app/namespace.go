package app

import (
	"context"
	"fmt"

	"facteur/internal/app/config"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// openNamespaces lets users see mailboxes of others, and makes the public ones.
func (a *App) openNamespaces(c *config.Config) (err error) {
	a.mailboxes.SetDefaults(c.NewMailboxes())
	if a.spaces, err = namespace.NewHouse(vfs.OS{}, c.DataDir, a.mailboxes, a.findOwner, c.Namespaces()); err != nil {
		return err
	}
	return a.spaces.DeclarePublic(context.Background())
}

// learnShares makes the list of who shares with whom anew where it is missing, as after
// a move from another server.
func (a *App) learnShares(ctx context.Context) {
	accounts, err := a.directory.Accounts(ctx)
	if err != nil {
		a.warn("facteur/master", "who shares mailboxes with whom can't be read: "+err.Error())
		return
	}
	owners := make([]mailbox.Owner, len(accounts))
	for i, account := range accounts {
		owners[i] = a.owner(account)
	}
	a.spaces.Rebuild(ctx, owners)
}

// setNamespaces takes over other settings for those who log in from now on.
func (a *App) setNamespaces(c *config.Config) {
	a.mailboxes.SetDefaults(c.NewMailboxes())
	a.spaces.Configure(c.Namespaces())
	if err := a.spaces.DeclarePublic(context.Background()); err != nil {
		a.warn("facteur/master", fmt.Sprintf("reload -- public mailboxes are not all as the settings have them: %v", err))
	}
}

// openSpace opens what somebody sees who has logged in.
func (a *App) openSpace(ctx context.Context, account directory.Account) (*namespace.Space, error) {
	return a.spaces.Open(ctx, a.owner(account))
}

// findOwner finds the account that a name of a shared mailbox leads into.
func (a *App) findOwner(ctx context.Context, name string) lookup.Answer[mailbox.Owner] {
	who, err := address.Parse(name)
	if err != nil {
		return lookup.No[mailbox.Owner](err)
	}
	found := a.directory.Account(ctx, who)
	switch found.State() {
	case lookup.Found:
		return lookup.Yes(a.owner(found.Value()))
	case lookup.NotFound:
		return lookup.No[mailbox.Owner](found.Err())
	}
	return lookup.Later[mailbox.Owner](found.Err())
}
