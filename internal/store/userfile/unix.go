package userfile

import (
	"context"
	"fmt"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/passwd"
	"facteur/internal/store/directory"
)

// Unix says which users of this machine have mail.
type Unix struct {
	// Passwd and Shadow are paths, /etc/passwd and /etc/shadow.
	Passwd, Shadow string
	// Checked says that somebody else is asked about passwords. Then Shadow only tells
	// whose account is over, and, since it is for root, nothing where it can't be read.
	Checked bool
	// MinUID is the least number of a user who is somebody.
	MinUID uint32
	// Domains are those in which the users are listed, the first above all.
	Domains []string
	Events  event.Sink
}

// unix is a directory.Source.
type unix struct {
	Unix
	users     *watched[map[string]passwd.User]
	passwords *watched[map[string]passwd.Shadow]
}

// NewUnix is the source of the users of this machine. /etc/passwd has to be there;
// /etc/shadow is for root, and who can't read it can't tell about passwords.
func NewUnix(u Unix) (directory.Source, error) {
	s := &unix{Unix: u}
	s.users = &watched[map[string]passwd.User]{path: u.Passwd, read: s.read, events: u.Events}
	s.passwords = &watched[map[string]passwd.Shadow]{path: u.Shadow, read: passwd.ReadShadow, events: u.Events, secret: true}
	if u.Checked {
		s.passwords.events = event.Discard // nobody waits for it
	}
	_, err := s.users.get(time.Now())
	return s, err
}

// read picks those who are somebody. Lines of others are no mistakes.
func (s *unix) read(text string) (map[string]passwd.User, []passwd.Problem) {
	users, problems := passwd.Read(text)
	out := make(map[string]passwd.User)
	for _, u := range users {
		if !s.somebody(u) {
			continue
		}
		key, ok := keyOf(u.Name)
		switch _, twice := out[key]; {
		case !ok || strings.Contains(u.Name, "@"):
			problems = append(problems, passwd.Problem{Line: u.Line, Why: "the name is part of no address"})
		case twice:
			problems = append(problems, passwd.Problem{Line: u.Line, Why: "in an address, the name is the same as an earlier one"})
		default:
			out[key] = u
		}
	}
	return out, problems
}

// Numbers that are nobody's: nfsnobody and the like, and what systemd gives to services
// while they run (systemd.exec(5), DynamicUser).
const (
	nobody16     = 65534
	none16       = 65535
	firstDynamic = 61184
	lastDynamic  = 65519
)

// somebody tells users from what only looks like them (LOC-010).
func (s *unix) somebody(u passwd.User) bool {
	switch {
	case u.UID <= 0 || u.GID <= 0 || u.UID < int64(s.MinUID):
		return false
	case u.UID == nobody16, u.UID == none16, u.UID >= firstDynamic && u.UID <= lastDynamic:
		return false
	}
	return strings.HasPrefix(u.Home, "/") && u.Home != "/"
}

// find is the user of an address.
func (s *unix) find(a address.Address) lookup.Answer[passwd.User] {
	users, err := s.users.get(time.Now())
	if err != nil {
		return lookup.Later[passwd.User](err)
	}
	if u, ok := users[localKey(a)]; ok {
		return lookup.Yes(u)
	}
	return lookup.No[passwd.User](errUnknown)
}

// recordOf is a user, by the name that passwd has: who writes it in capitals is asked for
// under it elsewhere, too.
func recordOf(u passwd.User, domain string) directory.Record {
	return directory.Record{
		Address: address.Address{Local: u.Name, Domain: domain}, Identity: u.Name, Home: u.Home, Own: directory.Allowance{Bytes: directory.Unlimited, Messages: directory.Unlimited},
		Unix: &directory.Unix{Name: u.Name, UID: uint32(u.UID), GID: uint32(u.GID), Home: u.Home},
	}
}

// Account implements directory.Source.
func (s *unix) Account(_ context.Context, a address.Address) lookup.Answer[directory.Record] {
	u := s.find(a)
	switch u.State() {
	case lookup.NotFound:
		return lookup.No[directory.Record](u.Err())
	case lookup.TryAgain:
		return lookup.Later[directory.Record](u.Err())
	}
	r := recordOf(u.Value(), a.Domain)
	// So that sessions end with the account; its mail needs no password.
	_, r.Disabled, _ = s.password(u.Value()) //nolint:errcheck // Login tells
	return lookup.Yes(r)
}

// Login implements directory.Source: with the password, and whether it still counts.
func (s *unix) Login(_ context.Context, a address.Address) lookup.Answer[directory.Record] {
	u := s.find(a)
	switch u.State() {
	case lookup.NotFound:
		return lookup.No[directory.Record](u.Err())
	case lookup.TryAgain:
		return lookup.Later[directory.Record](u.Err())
	}
	r := recordOf(u.Value(), a.Domain)
	stored, ended, err := s.password(u.Value())
	if err != nil && !s.Checked {
		return lookup.Later[directory.Record](err)
	}
	if stored != "" && !s.Checked {
		r.Password = "{CRYPT}" + stored
	}
	r.Disabled = ended
	return lookup.Yes(r)
}

// password is the hash of a user, "" if none fits, and whether its time is over.
func (s *unix) password(u passwd.User) (stored string, ended bool, err error) {
	if u.Password != "x" {
		if (passwd.Shadow{Password: u.Password}).Locked() {
			return "", false, nil
		}
		return u.Password, false, nil
	}
	known, err := s.passwords.get(time.Now())
	if err != nil {
		return "", false, fmt.Errorf("passwords can't be checked: %w", err)
	}
	line, ok := known[u.Name]
	if !ok {
		return "", false, nil
	}
	if !line.Locked() {
		stored = line.Password
	}
	return stored, line.Expired(time.Now().Unix() / (24 * 60 * 60)), nil
}

// Domain implements directory.Source.
func (s *unix) Domain(context.Context, string) lookup.Answer[directory.Domain] {
	return lookup.No[directory.Domain](nil)
}

// List implements directory.Source.
func (s *unix) List(_ context.Context, each func(directory.Record) error) error {
	users, err := s.users.get(time.Now())
	if err != nil {
		return err
	}
	for _, domain := range s.Domains {
		for _, u := range users {
			r := recordOf(u, domain)
			if err := each(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close implements directory.Source.
func (s *unix) Close() error { return nil }
