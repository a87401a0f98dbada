package config

import (
	"fmt"
	"strings"

	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// Namespace is how the names of mailboxes look to mail programs.
type Namespace struct {
	// What divides the levels of a name on the wire: "/" or ".". On the disk nothing
	// changes with it. Dovecot calls this separator, Cyrus unixhierarchysep.
	Separator string `toml:"separator"`
	// The prefix of a user's own mailboxes, with the separator at its end. "INBOX." with
	// the separator "." is for mail programs that were set up for Courier, Cyrus or
	// such a Dovecot. Dovecot calls this prefix, of its namespace of type private.
	Prefix string `toml:"prefix"`
	// The prefix of mailboxes that other users share, with the separator at its end;
	// the address of the account follows. "": nobody sees mailboxes of others. Dovecot
	// calls this prefix, of its namespace of type shared.
	UsersPrefix string `toml:"users_prefix"`
	// The prefix of public mailboxes, with the separator at its end. Dovecot calls
	// this prefix, of its namespace of type public.
	PublicPrefix string `toml:"public_prefix"`
	// What mail programs are told of this server, where they ask: a remark for people
	// (METADATA, /shared/comment).
	ServerComment string `toml:"server_comment"`
	// How to reach who runs the server, as a URI: "mailto:postmaster@example.org"
	// (METADATA, /shared/admin).
	ServerAdmin string `toml:"server_admin"`
}

// DefaultMailbox is a mailbox that every new account gets.
type DefaultMailbox struct {
	// Its name, in the language of the users maybe: "Gesendet", "Brouillons".
	Name string `toml:"name"`
	// What mail programs use it for: "\\Drafts", "\\Sent", "\\Junk", "\\Trash",
	// "\\Archive" or "\\Important"; "": nothing. Dovecot calls this special_use.
	SpecialUse string `toml:"special_use"`
}

func defaultMailboxes() (list []DefaultMailbox) {
	for _, d := range mailbox.Defaults() {
		list = append(list, DefaultMailbox{d.Name, d.Use})
	}
	return list
}

// NewMailboxes is what a new account gets, in the room's form.
func (c *Config) NewMailboxes() (list []mailbox.Default) {
	for _, d := range c.DefaultMailboxes {
		list = append(list, mailbox.Default{Name: d.Name, Use: mailbox.SpecialUse(d.SpecialUse)})
	}
	return list
}

// PublicMailbox is a mailbox that belongs to the server, for users to share.
type PublicMailbox struct {
	// Its name behind the prefix, "/" between levels: "Announcements".
	Name string `toml:"name"`
	// Who may do what, in the words of Dovecot's file dovecot-acl: "anyone lr",
	// "user=alice@example.org lrswipte", "-user=bob@example.org s". The letters are
	// those of RFC 4314. Nobody may do what is not said here.
	ACL []string `toml:"acl"`
}

func defaultNamespace() Namespace {
	return Namespace{Separator: "/", UsersPrefix: "Users/", PublicPrefix: "Public/"}
}

// Namespaces is the settings of names in the room's form.
func (c *Config) Namespaces() *namespace.Settings {
	n := c.Namespace
	s := &namespace.Settings{Separator: n.Separator[0], Personal: n.prefix(n.Prefix), Users: n.prefix(n.UsersPrefix),
		Public: n.prefix(n.PublicPrefix), Comment: n.ServerComment, Admin: n.ServerAdmin}
	for _, m := range c.PublicMailboxes {
		s.PublicMailboxes = append(s.PublicMailboxes, namespace.PublicMailbox{
			Name: m.Name, ACL: mailbox.ParseACL(strings.Join(m.ACL, "\n")),
		})
	}
	return s
}

// prefix ends in the separator, whichever of the two the file has there.
func (n Namespace) prefix(text string) string {
	if text == "" {
		return ""
	}
	return strings.TrimRight(text, "/.") + n.Separator
}

func (k *checker) namespace() {
	n := k.c.Namespace
	if n.Separator != "/" && n.Separator != "." {
		k.failf("namespace.separator", `expected "/" or ".", found %q`, n.Separator)
		return
	}
	seen := map[string]string{}
	for _, p := range []struct{ key, prefix string }{
		{"namespace.prefix", n.Prefix}, {"namespace.users_prefix", n.UsersPrefix}, {"namespace.public_prefix", n.PublicPrefix},
	} {
		k.prefix(p.key, p.prefix)
		prefix := n.prefix(p.prefix)
		if other := seen[prefix]; other != "" && prefix != "" {
			k.failf(p.key, "is the same as %s; expected prefixes that differ", other)
		}
		seen[prefix] = p.key
	}
	if len(k.c.PublicMailboxes) > 0 && n.PublicPrefix == "" {
		k.failf("namespace.public_prefix", "is empty, and there are public mailboxes; expected a prefix for them")
	}
	k.publicMailboxes()
	k.defaultMailboxes()
}

func (k *checker) defaultMailboxes() {
	seen := map[string]bool{}
	for i, m := range k.c.DefaultMailboxes {
		key := fmt.Sprintf("default_mailbox[%d]", i)
		name, err := mailbox.NewName(m.Name)
		switch {
		case err != nil || name != m.Name || m.Name == "INBOX":
			k.failf(key+".name", `%q can't be the name of a mailbox; expected one such as "Sent"`, m.Name)
		case seen[name]:
			k.failf(key+".name", "%q is declared twice", m.Name)
		}
		seen[name] = true
		if m.SpecialUse != "" && mailbox.SpecialUse(m.SpecialUse) == "" {
			k.failf(key+".special_use", `expected "\\Drafts", "\\Sent", "\\Junk", "\\Trash", "\\Archive" or "\\Important", found %q`, m.SpecialUse)
		}
	}
}

// prefix wants one level, or none.
func (k *checker) prefix(key, prefix string) {
	level := strings.TrimRight(prefix, "/.")
	if prefix == "" || level != "" && len(prefix) == len(level)+1 && !strings.ContainsAny(level, `/.\*%@#&`) && printableASCII(level) {
		return
	}
	k.failf(key, `expected a word with the separator behind it, such as "Users/", found %q`, prefix)
}

func (k *checker) publicMailboxes() {
	seen := map[string]bool{}
	for i, m := range k.c.PublicMailboxes {
		key := fmt.Sprintf("public_mailbox[%d]", i)
		name, err := mailbox.NewName(m.Name)
		switch {
		case err != nil || name != m.Name || m.Name == "INBOX":
			k.failf(key+".name", `%q can't be the name of a public mailbox; expected one such as "Announcements/2026"`, m.Name)
		case seen[name]:
			k.failf(key+".name", "%q is declared twice", m.Name)
		}
		seen[name] = true
		for j, line := range m.ACL {
			if _, ok := mailbox.ParseEntry(line); !ok {
				k.failf(fmt.Sprintf("%s.acl[%d]", key, j), `expected a name and letters of "lrswipkxtea", such as "anyone lr", found %q`, line)
			}
		}
	}
}
