package app

import (
	"cmp"
	"slices"
	"strconv"

	"facteur/internal/app/config"
	"facteur/internal/flow/deliver"
	"facteur/internal/net/helper"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
)

// unixUsers is how mail is delivered to the Unix users of this machine.
func unixUsers(c *config.Config) deliver.Users {
	a := c.Addresses
	return deliver.Users{Forward: c.Unix.Forward, Command: c.Unix.MailboxCommand, Limit: c.Unix.CommandTimeLimit.Std(),
		Delimiters: a.RecipientDelimiter, DefaultUser: a.DefaultUser, Most: a.ExpansionLimit,
		Commands: slices.Contains(a.AllowCommands, "forward"), Files: slices.Contains(a.AllowFiles, "forward")}
}

// delivered tells the store of mailboxes of a letter in one of them.
func (a *App) delivered(to directory.Account, name string, bytes int64) {
	o := mailbox.Owner{Home: to.Home, Maildir: to.Maildir}
	if to.Unix != nil || name != "" { // what counts is said of mailboxes by their names
		o = a.owner(to)
	}
	a.mailboxes.Delivered(o, cmp.Or(name, "INBOX"), bytes)
}

// folder finds a mailbox of an account that a letter is to be put into.
func (a *App) folder(of directory.Account, folder string) (string, maildir.Dir) {
	name, dir, err := a.mailboxes.Find(a.owner(of), folder)
	if err != nil {
		a.warn("facteur/master", "the mailboxes of "+of.Address+" can't be read, a letter for "+strconv.Quote(folder)+" goes to INBOX: "+err.Error())
	}
	return name, dir
}

// tellUnserved tells of Unix users who are to have mail here and can't be served: a
// server that is not root can be no other user.
func (a *App) tellUnserved(c *config.Config) {
	if c.HasUnixUsers() && !helper.AsRoot() {
		a.warn("facteur/master", "[[directory]] unix_users: "+helper.ErrNoRoot.Error()+"; their mail waits in the queue")
	}
}
