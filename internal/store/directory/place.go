package directory

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
)

// place is a Place with what is remembered of it.
type place struct {
	Place
	// line is where log-ins wait that this place checks; those that only cost a hash
	// wait in the line of all.
	line *hasher
	// likeness is a password of this place, for strangers to cost as much as it does.
	likeness likeness
}

// checksAtOnce is how many passwords one Checker is asked about at a time.
const checksAtOnce = 8

func newPlace(p Place) *place {
	line := &hasher{running: make(chan struct{}, checksAtOnce), waiting: make(chan struct{}, checksAtOnce*(1+queueLength/4))}
	return &place{Place: p, line: line}
}

// Attach takes over the places that are asked for whom our own tables do not know, in
// their order, and gives back the ones before, to be closed.
func (d *Directory) Attach(places []Place) (before []Place) {
	fresh := make([]*place, len(places))
	for i, p := range places {
		fresh[i] = newPlace(p)
	}
	d.mu.Lock()
	old := d.places
	d.places = fresh
	d.mu.Unlock()
	d.forget()
	for _, p := range old {
		before = append(before, p.Place)
	}
	return before
}

func (d *Directory) attached() []*place {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.places
}

// serves tells whether a place is asked about a domain.
func (p *place) serves(domain string) bool {
	return len(p.Domains) == 0 || slices.Contains(p.Domains, domain)
}

// elsewhere asks the places for the account of an address.
func (d *Directory) elsewhere(ctx context.Context, a address.Address) lookup.Answer[Account] {
	places := d.attached()
	if len(places) == 0 {
		return lookup.No[Account](ErrNoAccount)
	}
	key := a.Key()
	if known, ok := d.records.get(key); ok {
		return known
	}
	mark := d.records.mark()
	answer := d.searchAccount(ctx, places, a)
	d.records.put(key, answer, mark)
	return answer
}

func (d *Directory) searchAccount(ctx context.Context, places []*place, a address.Address) lookup.Answer[Account] {
	for _, p := range places {
		if !p.serves(a.Domain) {
			continue
		}
		r := d.found(ctx, p, a, p.Source.Account(ctx, a))
		switch r.State() {
		case lookup.Found:
			return lookup.Yes(r.Value().Account)
		case lookup.TryAgain:
			return lookup.Later[Account](r.Err())
		}
	}
	return lookup.No[Account](ErrNoAccount)
}

// loginElsewhere asks the places for the account of a log-in name. A stranger's row has
// the place that would have known him, for the cost.
func (d *Directory) loginElsewhere(ctx context.Context, login string) (row, error) {
	var stranger row
	for _, p := range d.attached() {
		a, ok := p.login(login)
		if !ok {
			continue
		}
		ours, err := d.ours(ctx, p, a.Domain)
		if err != nil {
			return row{}, err
		}
		if !ours {
			continue
		}
		if stranger.place == nil {
			stranger = row{place: p, record: Record{Address: a}}
		}
		if !strings.Contains(login, "@") { // our own tables come first by the whole name, too
			if r, found, err := d.ownLogin(ctx, a, login); found || err != nil {
				return r, err
			}
		}
		r, found, err := d.loginAt(ctx, p, a)
		if found || err != nil {
			r.login = login
			return r, err
		}
	}
	return stranger, nil
}

// loginAt asks one place for the account of a log-in name.
func (d *Directory) loginAt(ctx context.Context, p *place, a address.Address) (row, bool, error) {
	answer := d.found(ctx, p, a, p.Source.Login(ctx, a))
	switch answer.State() {
	case lookup.NotFound:
		return row{}, false, nil
	case lookup.TryAgain:
		return row{}, false, answer.Err()
	}
	r := answer.Value()
	taken, err := d.taken(ctx, p, a, r)
	if taken || err != nil {
		return row{}, false, err
	}
	return r, true, nil
}

// taken tells that the mail for the account that a log-in leads to is somebody else's: our
// own tables have its address, or an earlier place. Its letters are not for who has another
// password.
func (d *Directory) taken(ctx context.Context, p *place, asked address.Address, r row) (bool, error) {
	if places := d.attached(); r.key == asked.Key() && len(places) > 0 && places[0] == p {
		return false, nil // all who come before it were asked
	}
	at, err := address.Parse(r.key)
	if err != nil {
		return false, err
	}
	whose := d.Account(ctx, at)
	if whose.State() == lookup.TryAgain {
		return false, whose.Err()
	}
	return whose.State() == lookup.Found && whose.Value().Source != p.Name, nil
}

// ours tells whether a place is asked about a domain: one that names none about all that
// are ours, and about no others.
func (d *Directory) ours(ctx context.Context, p *place, domain string) (bool, error) {
	if len(p.Domains) > 0 {
		return p.serves(domain), nil
	}
	answer := d.Domain(ctx, domain)
	if answer.State() == lookup.TryAgain {
		return false, answer.Err()
	}
	return answer.State() == lookup.Found, nil
}

// login is the address that a log-in name means at a place.
func (p *place) login(name string) (address.Address, bool) {
	if !strings.Contains(name, "@") && p.DefaultDomain != "" {
		name += "@" + p.DefaultDomain
	}
	a, err := address.Parse(name)
	return a, err == nil && a.Domain != "" && p.serves(a.Domain)
}

// LoginName is a log-in name in the form that is compared: where names without a
// domain mean somebody, they are the same as with it.
func (d *Directory) LoginName(login string) string {
	for _, p := range d.attached() {
		if a, ok := p.login(login); ok {
			return a.Key()
		}
	}
	return keyOf(login)
}

// found makes an account of a record.
func (d *Directory) found(ctx context.Context, p *place, asked address.Address, answer lookup.Answer[Record]) lookup.Answer[row] {
	switch answer.State() {
	case lookup.NotFound:
		return lookup.No[row](ErrNoAccount)
	case lookup.TryAgain:
		return lookup.Later[row](fmt.Errorf("directory %q: %w", p.Name, answer.Err()))
	}
	r, err := d.rowOf(p, asked, answer.Value())
	if main := answer.Value().Address; err == nil && !main.IsNull() && main.Domain != asked.Domain {
		err = d.hosts(ctx, p, main)
	}
	if err != nil {
		return lookup.Later[row](fmt.Errorf("directory %q: %s: %w", p.Name, asked, err))
	}
	return lookup.Yes(r)
}

func errStray(main address.Address) error {
	return fmt.Errorf("the directory calls the account %s, which is in none of its domains", main)
}

// hosts is an error if the main address of an account is in a domain that is not ours.
func (d *Directory) hosts(ctx context.Context, p *place, main address.Address) error {
	ours, err := d.ours(ctx, p, main.Domain)
	if err == nil && !ours {
		err = errStray(main)
	}
	return err
}

// rowOf is a record with what the settings add to it.
func (d *Directory) rowOf(p *place, asked address.Address, rec Record) (r row, err error) {
	if rec.Address.IsNull() {
		rec.Address = asked
	}
	if !p.serves(rec.Address.Domain) {
		return row{}, errStray(rec.Address)
	}
	folded, err := address.Parse(rec.Address.Key())
	if err != nil {
		return row{}, err
	}
	r = row{key: rec.Address.Key(), place: p, record: rec}
	r.password = rec.Password
	r.Account = Account{Address: rec.Address.String(), Source: p.Name, Home: filepath.Join(d.mailDir(), homeOf(folded)),
		Disabled: rec.Disabled, Forward: rec.Forward, Host: rec.Host, Nets: rec.Nets}
	if r.Unix, err = p.unix(folded, rec); err != nil {
		return row{}, err
	}
	if r.Maildir, err = p.maildir(folded, rec); err != nil {
		return row{}, err
	}
	d.allow(&r.Account, rec.Own, folded.Domain)
	return r, nil
}

// unix is the user of this machine that the letters belong to; nil for the server's.
func (p *place) unix(a address.Address, rec Record) (*Unix, error) {
	if !p.UnixUsers {
		return nil, nil
	}
	if rec.Unix == nil {
		return nil, fmt.Errorf("the directory does not tell the user that the letters belong to")
	}
	if u := rec.Unix; u.UID == 0 || u.UID < p.MinUID || u.GID == 0 {
		return nil, fmt.Errorf("user %q has the number %d:%d; only those from %d on have mailboxes, and root has none", u.Name, u.UID, u.GID, max(p.MinUID, 1))
	}
	u := *rec.Unix
	var err error
	if u.Home, err = p.home(a, rec); err == nil && u.Home == "" {
		err = fmt.Errorf("user %q has no home", u.Name)
	}
	return &u, err
}

// home is the home directory of an account in the eyes of its source; "" for none.
func (p *place) home(a address.Address, rec Record) (string, error) {
	home := rec.Home
	if home == "" && rec.Unix != nil {
		home = rec.Unix.Home
	}
	if home == "" && p.Home != "" {
		var err error
		if home, err = p.Home.Fill(a); err != nil {
			return "", err
		}
	}
	return checkedPath(home)
}

// maildir is where the letters are; "" for the usual place in our home.
func (p *place) maildir(a address.Address, rec Record) (string, error) {
	path := rec.Maildir
	if path == "" && p.Maildir != "" {
		var err error
		if path, err = p.Maildir.Fill(a); err != nil {
			return "", err
		}
	}
	if rest, below := strings.CutPrefix(path, "~/"); below {
		home, err := p.home(a, rec)
		if err != nil || home == "" {
			return "", fmt.Errorf("%q stands in a home, and the directory tells none (%w)", path, err)
		}
		path = filepath.Join(home, rest)
	}
	return checkedPath(path)
}

// checkedPath takes paths that say what they mean.
func checkedPath(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	clean := filepath.Clean(path)
	if !filepath.IsAbs(path) || len(path) > maxExpansion || clean != strings.TrimSuffix(path, "/") || strings.Contains(path, "\x00") {
		return "", fmt.Errorf("%w, found %q", errPath, path)
	}
	return clean, nil
}

// domainElsewhere asks the places whether a domain is ours.
func (d *Directory) domainElsewhere(ctx context.Context, name string) lookup.Answer[Domain] {
	places := d.attached()
	if len(places) == 0 {
		return lookup.No[Domain](ErrNoDomain)
	}
	if known, ok := d.realms.get(name); ok {
		return known
	}
	mark := d.realms.mark()
	answer := searchDomain(ctx, places, name)
	if answer.State() == lookup.TryAgain {
		if known, ok := d.realms.stale(name); ok {
			return known
		}
	}
	d.realms.put(name, answer, mark)
	return answer
}

func searchDomain(ctx context.Context, places []*place, name string) lookup.Answer[Domain] {
	for _, p := range places {
		answer := p.Source.Domain(ctx, name)
		switch answer.State() {
		case lookup.Found:
			domain := answer.Value()
			domain.Name, domain.Source = name, p.origin()
			if domain.Class == "" {
				domain.Class = ClassMailbox
			}
			return lookup.Yes(domain)
		case lookup.TryAgain:
			return lookup.Later[Domain](fmt.Errorf("directory %q: %w", p.Name, answer.Err()))
		}
	}
	return lookup.No[Domain](ErrNoDomain)
}

// servedDomain is a domain that the settings say a place serves.
func (d *Directory) servedDomain(name string) (Domain, bool) {
	for _, p := range d.attached() {
		if slices.Contains(p.Domains, name) {
			return Domain{Name: name, Source: p.origin(), Class: ClassMailbox}, true
		}
	}
	return Domain{}, false
}

func (p *place) origin() Origin { return Origin("directory " + p.Name) }

// whereKept says where an account is kept that our own tables do not have, for somebody who
// wants to change it here.
func (d *Directory) whereKept(ctx context.Context, a address.Address) error {
	answer := d.elsewhere(ctx, a)
	if answer.State() == lookup.NotFound {
		return ErrNoAccount
	}
	if answer.State() == lookup.TryAgain {
		return answer.Err()
	}
	for _, p := range d.attached() {
		if p.Name == answer.Value().Source {
			return fmt.Errorf("%w: it is kept in %s (directory %q); change it there", ErrForeign, p.Kind, p.Name)
		}
	}
	return ErrNoAccount
}
