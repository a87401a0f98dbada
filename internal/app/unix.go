package app

import (
	"slices"

	"facteur/internal/app/config"
	"facteur/internal/flow/deliver"
	"facteur/internal/net/helper"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// unixUsers is how mail is delivered to the Unix users of this machine.
func unixUsers(c *config.Config) deliver.Users {
	a := c.Addresses
	return deliver.Users{Forward: c.Unix.Forward, Command: c.Unix.MailboxCommand, Limit: c.Unix.CommandTimeLimit.Std(),
		Delimiters: a.RecipientDelimiter, DefaultUser: a.DefaultUser, Most: a.ExpansionLimit,
		Commands: slices.Contains(a.AllowCommands, "forward"), Files: slices.Contains(a.AllowFiles, "forward")}
}

// delivered tells the store of mailboxes of a letter in an INBOX.
func (a *App) delivered(to directory.Account, bytes int64) {
	o := mailbox.Owner{Home: to.Home, Maildir: to.Maildir}
	if to.Unix != nil {
		o = a.owner(to)
	}
	a.mailboxes.Delivered(o, bytes)
}

// tellUnserved tells of Unix users who are to have mail here and can't be served: a
// server that is not root can be no other user.
func (a *App) tellUnserved(c *config.Config) {
	if c.HasUnixUsers() && !helper.AsRoot() {
		a.warn("facteur/master", "[[directory]] unix_users: "+helper.ErrNoRoot.Error()+"; their mail waits in the queue")
	}
}
