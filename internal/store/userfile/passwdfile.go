package userfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/passwd"
	"facteur/internal/mail/password"
	"facteur/internal/store/directory"
)

// PasswdFile says where a passwd-file is and how it is read.
type PasswdFile struct {
	// Path may have places for the address's domain, "%d": one file for each domain.
	Path directory.Template
	// Scheme is that of passwords that do not name theirs; "": CRYPT.
	Scheme string
	// LocalNames: what is written are local parts, the same in each domain. Dovecot says
	// username_format=%n.
	LocalNames bool
	// DefaultDomain is that of written names that have none; "": such names are nobody's,
	// but in a file for one domain.
	DefaultDomain string
	// Domains are those that are listed, where each has a file.
	Domains []string
	Events  event.Sink
}

// passwdFile is a directory.Source.
type passwdFile struct {
	PasswdFile
	mu    sync.Mutex
	files map[string]*watched[table]
}

var errUnknown = errors.New("there is no such user")

// NewPasswdFile is the source of a passwd-file, or of one for each domain. A single file
// has to be there.
func NewPasswdFile(p PasswdFile) (directory.Source, error) {
	if p.Scheme == "" {
		p.Scheme = "CRYPT"
	}
	s := &passwdFile{PasswdFile: p, files: make(map[string]*watched[table])}
	if !s.perDomain() {
		if _, err := s.file(string(p.Path)).get(time.Now()); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *passwdFile) perDomain() bool { return strings.Contains(string(s.Path), "%") }

// file is the one at a path. When there are too many, all are forgotten: each comes back
// in one read.
func (s *passwdFile) file(path string) *watched[table] {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[path]
	if f == nil {
		if len(s.files) >= maxFiles {
			clear(s.files)
		}
		f = &watched[table]{path: path, read: s.read, events: s.Events, secret: true}
		s.files[path] = f
	}
	return f
}

// tableFor is what is written for a domain; false where nothing is.
func (s *passwdFile) tableFor(a address.Address) (table, bool, error) {
	path, err := s.Path.Fill(a)
	if err != nil {
		return table{}, false, nil // a domain that is no name of a file has none
	}
	if s.perDomain() && s.missing(path) {
		return table{}, false, nil
	}
	t, err := s.file(path).get(time.Now())
	return t, err == nil, err
}

// missing tells that a domain has no file, and not that the place of the files is gone:
// a disk that is not mounted is an empty directory.
func (s *passwdFile) missing(path string) bool {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	before, _, _ := strings.Cut(string(s.Path), "%")
	dir, err := os.Open(filepath.Dir(before + "x"))
	if err != nil {
		return false
	}
	defer dir.Close()
	some, _ := dir.Readdirnames(1)
	return len(some) > 0
}

// Account implements directory.Source.
func (s *passwdFile) Account(_ context.Context, a address.Address) lookup.Answer[directory.Record] {
	t, there, err := s.tableFor(a)
	if err != nil {
		return lookup.Later[directory.Record](err)
	}
	if !there {
		return lookup.No[directory.Record](errUnknown)
	}
	keys := []string{a.Key()}
	if s.LocalNames || s.perDomain() || strings.EqualFold(a.Domain, s.DefaultDomain) {
		keys = append(keys, localKey(a))
	}
	return t.find(keys)
}

// find is what the first of the keys has that has anything.
func (t table) find(keys []string) lookup.Answer[directory.Record] {
	for _, key := range keys {
		if r, ok := t.records[key]; ok {
			return lookup.Yes(r)
		}
	}
	for _, key := range keys {
		if why, ok := t.flawed[key]; ok {
			return lookup.Later[directory.Record](errors.New(why))
		}
	}
	return lookup.No[directory.Record](errUnknown)
}

// Login implements directory.Source.
func (s *passwdFile) Login(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	return s.Account(ctx, a)
}

// Domain implements directory.Source.
func (s *passwdFile) Domain(context.Context, string) lookup.Answer[directory.Domain] {
	return lookup.No[directory.Domain](nil)
}

// Close implements directory.Source.
func (s *passwdFile) Close() error { return nil }

// List implements directory.Source. Local names are listed in the default domain, or in
// each domain where they stand for all.
func (s *passwdFile) List(_ context.Context, each func(directory.Record) error) error {
	domains := s.Domains
	if !s.perDomain() && !s.LocalNames {
		domains = []string{s.DefaultDomain}
	}
	for i, domain := range domains {
		t, there, err := s.tableFor(address.Address{Local: "x", Domain: domain})
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if err := t.list(domain, i == 0, each); err != nil {
			return err
		}
	}
	return nil
}

// list gives the accounts of a table; whole names, too, if they are wanted.
func (t table) list(domain string, whole bool, each func(directory.Record) error) error {
	for _, name := range t.names {
		full := name
		if !strings.Contains(name, "@") {
			full += "@" + domain
		} else if !whole {
			continue
		}
		a, err := address.Parse(full)
		if err != nil || a.Domain == "" {
			continue
		}
		key, _ := keyOf(name)
		r := t.records[key]
		r.Address = a
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// read makes a table of a passwd-file.
func (s *passwdFile) read(text string) (table, []passwd.Problem) {
	users, problems := passwd.Read(text)
	t := table{records: make(map[string]directory.Record, len(users)), flawed: make(map[string]string)}
	for _, u := range users {
		key, ok := keyOf(u.Name)
		if !ok {
			problems = append(problems, passwd.Problem{Line: u.Line, Why: "the name is part of no address"})
			continue
		}
		r, shut, why := s.record(u)
		if shut != "" {
			problems = append(problems, passwd.Problem{Line: u.Line, Why: shut, Name: u.Name})
		}
		if why != "" {
			problems = append(problems, passwd.Problem{Line: u.Line, Why: why, Name: u.Name})
			t.flawed[key] = fmt.Sprintf("line %d: %s", u.Line, why)
			continue
		}
		if _, twice := t.records[key]; !twice {
			t.records[key] = r
			t.names = append(t.names, u.Name)
		}
	}
	for _, p := range problems {
		if key, ok := keyOf(p.Name); ok && p.Name != "" && t.flawed[key] == "" {
			t.flawed[key] = fmt.Sprintf("line %d: %s", p.Line, p.Why)
		}
	}
	return t, problems
}

// record is what a line says. shut is why nobody logs in, though there is mail; why is
// the reason for which nothing can be made of the line.
func (s *passwdFile) record(u passwd.User) (r directory.Record, shut, why string) {
	r = directory.Record{Identity: u.Name, Home: u.Home, Password: u.Password}
	if r.Password != "" {
		if r.Password[0] != '{' {
			r.Password = "{" + s.Scheme + "}" + r.Password
		}
		if _, err := password.Parse(r.Password, s.Scheme); err != nil {
			if s.locked(u.Password) {
				r.Password = ""
			} else {
				shut = err.Error() // the text stays: whoever logs in is not told "wrong"
			}
		}
	}
	uid, gid := u.UID, u.GID
	for key, value := range u.Extra {
		switch key {
		case "nologin":
			r.Disabled = true
		case "allow_nets":
			var err error
			if r.Nets, err = directory.ParseNets(value); err != nil {
				shut = err.Error()
			}
		case "nopassword":
			r.Password = ""
		case "userdb_home":
			r.Home = value
		case "userdb_mail", "userdb_mail_location":
			if r.Maildir, why = maildirOf(value); why != "" {
				return r, shut, why
			}
		case "userdb_quota_rule":
			var err error
			if r.Own.Bytes, r.Own.Messages, err = passwd.Quota(value); err != nil {
				return r, shut, err.Error()
			}
		}
	}
	if uid >= 0 && gid >= 0 {
		r.Unix = &directory.Unix{Name: u.Name, UID: uint32(uid), GID: uint32(gid), Home: r.Home}
	}
	return r, shut, ""
}

// locked tells what people write where no password is to fit.
func (s *passwdFile) locked(stored string) bool {
	if _, rest, ok := strings.Cut(stored, "}"); ok && stored[0] == '{' {
		stored = rest
	}
	return strings.HasPrefix(stored, "!") || strings.HasPrefix(stored, "*") || stored == "x"
}

// maildirOf is the path of a mail_location.
func maildirOf(location string) (path, why string) {
	path, ok := strings.CutPrefix(location, "maildir:")
	if !ok {
		return "", fmt.Sprintf("expected a mail location such as \"maildir:~/Maildir\", found %.60q", location)
	}
	path, _, _ = strings.Cut(path, ":")
	if strings.Contains(path, "%") || !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "~/") {
		return "", fmt.Sprintf("expected an absolute path or one below \"~/\", found %.60q", path)
	}
	return path, ""
}
