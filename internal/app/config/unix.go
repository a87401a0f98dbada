package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/net/helper"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// Unix is how mail is delivered to the Unix users of this machine, those of [[directory]]
// tables with unix_users. The server has to run as root, or as the only such user. See
// docs/DIRECTORIES.md.
type Unix struct {
	// Whether the ~/.forward of users is followed: addresses, "\user" (a copy for the
	// mailbox), "|program" and /file. One that others could write to is not. Postfix calls
	// this forward_path.
	Forward bool `toml:"forward"`
	// A program that gets the mail of users instead of their Maildir, run as the user:
	// "/usr/bin/procmail". Postfix calls this mailbox_command.
	MailboxCommand string `toml:"mailbox_command"`
	// How long a program of a user's or of an alias may take. Postfix calls this
	// command_time_limit.
	CommandTimeLimit conf.Duration `toml:"command_time_limit"`
	// How many helpers (processes that work for one user each) there are at a time, of
	// those for files and of those for programs.
	Helpers int `toml:"helpers"`
	// How long one operation in a user's home may take. Then his mail waits, and nobody
	// else's.
	Patience conf.Duration `toml:"patience"`
}

func defaultUnix() Unix {
	return Unix{Forward: true, CommandTimeLimit: conf.Duration(1000 * time.Second), Helpers: 50, Patience: conf.Duration(30 * time.Second)}
}

func (k *checker) unix() {
	u := k.c.Unix
	if u.CommandTimeLimit <= 0 {
		k.failf("unix.command_time_limit", `expected a time such as "1000s"`)
	}
	if u.Helpers < 2 || u.Helpers > 1000 {
		k.failf("unix.helpers", "expected a number from 2 to 1000")
	}
	if u.Patience <= 0 {
		k.failf("unix.patience", `expected a time such as "30s"`)
	}
	if c := strings.TrimSpace(u.MailboxCommand); strings.HasPrefix(c, "|") {
		k.failf("unix.mailbox_command", "expected a command without the \"|\" that stands before it in aliases")
	}
	for i, d := range k.c.Directories {
		if strings.HasPrefix(d.Maildir, "mbox:") || d.Maildir == "~/mbox" || strings.HasPrefix(d.Maildir, "/var/mail/%") || strings.HasPrefix(d.Maildir, "/var/spool/mail/%") {
			k.failf(fmt.Sprintf("directory[%d]", i)+".maildir", `an mbox can't be a mailbox: expected a Maildir such as "~/Maildir" ("facteur import mbox" takes the old letters over)`)
		}
	}
}

// HasUnixUsers tells that letters may belong to users of this machine.
func (c *Config) HasUnixUsers() bool {
	for _, d := range c.Directories {
		if d.UnixUsers {
			return true
		}
	}
	return false
}

// Homes are the settings of those who work for Unix users.
func (c *Config) Homes() helper.Settings {
	s := helper.Settings{Limit: c.Unix.Helpers, Patience: c.Unix.Patience.Std()}
	for _, d := range c.Directories {
		if !d.UnixUsers {
			continue
		}
		if least := d.LeastUID(); s.MinUID == 0 || least < s.MinUID {
			s.MinUID = least
		}
		if d.Kind == DirectoryUnix && d.Source != "" {
			s.Passwd = c.Absolute(d.Source)
			s.Group = filepath.Join(filepath.Dir(s.Passwd), "group")
		}
	}
	return s
}

// OwnerIn is Owner with the way to the letters of Unix users.
func (c *Config) OwnerIn(homes *helper.Staff) func(directory.Account) mailbox.Owner {
	return func(a directory.Account) mailbox.Owner {
		o := c.Owner(a)
		if u := a.Unix; u != nil {
			o.Maildir, o.FS = a.Letters(), homes.Home(helper.User{UID: u.UID, Name: u.Name, Home: u.Home})
		}
		return o
	}
}
