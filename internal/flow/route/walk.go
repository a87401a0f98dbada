package route

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
)

// walk is the way from one address to all its destinations. Nothing is followed twice:
// who is named by two aliases gets one letter, and a thousand lists that name each other
// cost a thousand look-ups.
type walk struct {
	ctx      context.Context
	router   *Router
	rules    *Rules
	question Question
	home     string
	ours     bool

	been  map[being]*visit
	known map[string]bool // destinations
	out   []Destination
	steps []Step
}

// point is an address on the way.
type point struct {
	at address.Address
	// up is what led here; nil at the start.
	up    *point
	depth int
	// virtual: virtual aliases are asked; not of an alias that names itself, nor for
	// what a local alias leads to in a local domain (local(8)).
	virtual bool
	// self: an alias names itself, and means the user of that name; plain: no alias of
	// aliases(5) counts, it is a user.
	self, plain bool
	// own: it was written to the server's own name.
	own bool
	// include: it stands in an :include: file of this user.
	include bool
	user    string
	// file and line are that :include: file, at what stands in it itself.
	file string
	line int
	// sender and owned are those of the list that led here.
	sender *address.Address
	owned  bool
	// catchAll is the first entry for a whole domain on the way; see Destination.
	catchAll string
}

// being is what makes two points the same.
type being struct {
	key                  string
	virtual, plain, self bool
}

func (p *point) being() being {
	return being{key: p.at.Key(), virtual: p.virtual, plain: p.plain, self: p.self}
}

// visit is what came of a point.
type visit struct {
	over bool // false: we are still below it
	err  error
}

// to is a point that an alias at p leads to.
func (p *point) to(a address.Address) *point {
	return &point{at: a, up: p, depth: p.depth + 1, virtual: true, sender: p.sender, owned: p.owned, include: p.include, user: p.user, catchAll: p.catchAll}
}

// catch notes that p was led on as whoever is nobody else in its domain.
func (p *point) catch() { p.catchAll = cmp.Or(p.catchAll, "@"+p.at.Domain) }

// step notes a part of the way.
func (w *walk) step(rule, source, from, to string) {
	if w.question.Explain {
		w.steps = append(w.steps, Step{Rule: rule, Source: source, From: from, To: to})
	}
}

// beensMax is how many addresses are looked at on the way, for each destination that
// there may be.
const beensMax = 4

// follow finds the destinations of a point. An error of 550 is about this address, every
// other about the whole.
func (w *walk) follow(p *point) error {
	return w.once(p.being(), p.depth, func() error { return w.lead(p) })
}

// once does something the first time, and says what came of it every time. Who comes
// back to where he still is walks in a circle.
func (w *walk) once(b being, depth int, fn func() error) error {
	v := w.been[b]
	switch {
	case v != nil && !v.over:
		return errLoop
	case v != nil:
		return v.err
	case depth > w.rules.RecursionLimit:
		return errDeep
	case len(w.been) > beensMax*w.rules.ExpansionLimit+w.rules.RecursionLimit:
		return errTooMany
	}
	if w.been == nil {
		w.been = make(map[being]*visit)
	}
	v = &visit{}
	w.been[b] = v
	v.err = fn()
	v.over = true
	return v.err
}

// lead asks, in Postfix's order, what an address leads to.
func (w *walk) lead(p *point) error {
	if p.virtual {
		if done, err := w.virtual(p); done || err != nil {
			return err
		}
	}
	if err := w.relocated(p); err != nil {
		return err
	}
	domain, err := w.domain(p.at.Domain)
	switch {
	case err != nil:
		return err
	case domain.Name == "":
		return w.reach(p, Destination{Kind: Remote, Address: p.at, Forwarded: w.ours})
	case domain.Class == directory.ClassRelay:
		return w.relay(p)
	}
	return w.hosted(p, domain)
}

// domain is the domain of ours of a name; the zero Domain for one that is somebody
// else's.
func (w *walk) domain(name string) (directory.Domain, error) {
	a := w.router.directory.Domain(w.ctx, name)
	switch a.State() {
	case lookup.Found:
		return a.Value(), nil
	case lookup.NotFound:
		return directory.Domain{}, nil
	}
	return directory.Domain{}, a.Err()
}

// reach is a destination of a point.
func (w *walk) reach(p *point, d Destination) error {
	d.Sender, d.Owned, d.CatchAll = p.sender, p.owned, p.catchAll
	return w.arrive(d)
}

// arrive takes a destination, unless it is there already.
func (w *walk) arrive(d Destination) error {
	key := d.key()
	if w.known[key] {
		return nil
	}
	if w.known == nil {
		w.known = make(map[string]bool)
	}
	w.known[key] = true
	if w.out = append(w.out, d); len(w.out) > w.rules.ExpansionLimit {
		return errTooMany
	}
	w.step("destination", "", d.Address.String(), d.String())
	return nil
}

// key is equal for destinations that are one place.
func (d Destination) key() string {
	if d.Kind == Remote || d.Kind == Refused {
		return d.Kind.Prefix() + d.Address.String()
	}
	return d.String()
}

// attempt follows one way where there may be another: found is false if nobody is there.
// Who is there and has moved or gets no mail is not to be replaced by somebody else.
func (w *walk) attempt(p *point) (found bool, err error) {
	err = w.follow(p)
	if isNobody(err) || err == errLoop {
		return false, nil
	}
	return err == nil, err
}

// all follows several ways that an alias leads to. Of some that lead nowhere the others
// are not the worse; if all do, so does the alias.
func (w *walk) all(ways []way) error {
	failed := make(map[*point]*Refusal)
	var first error
	for _, way := range ways {
		err := way.follow()
		switch {
		case isUnknown(err):
			failed[way.point] = refusalOf(err)
			if first == nil {
				first = err
			}
		case err != nil:
			return err
		}
	}
	if len(failed) == len(ways) {
		return first
	}
	for _, way := range ways {
		if r := failed[way.point]; r != nil {
			if err := w.ghost(way.point, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// way is one of the values of an alias.
type way struct {
	*point
	follow func() error
}

// ghost takes somebody who is not there: delivery fails, and who answers for the alias
// hears of it. Of a notice nobody does.
func (w *walk) ghost(p *point, why *Refusal) error {
	d := Destination{Address: p.at, Sender: p.sender, Owned: p.owned}
	return w.arrive(w.router.Refuse(d, w.question.Sender, why.Enhanced+" "+why.Text))
}

// hosted finds an address in a domain that is ours, behind its virtual aliases.
func (w *walk) hosted(p *point, domain directory.Domain) error {
	rules := []func(*point, directory.Domain) (bool, error){w.account, w.twin, w.role, w.elsewhere, w.catchAll}
	if domain.Class == directory.ClassLocal && !p.plain {
		rules = slices.Insert(rules, 0, w.localAlias)
	}
	for _, rule := range rules {
		if done, err := rule(p, domain); done || err != nil {
			return err
		}
	}
	if p.self {
		return errLoop
	}
	return w.unknown(p, domain.Class)
}

func (w *walk) unknown(p *point, class directory.Class) error {
	refusal := unknownIn(class)
	w.step("unknown", "", p.at.String(), refusal.Text)
	return refusal
}

// account finds the account of an address: the address itself, or what it may be an
// extension of. In a local domain, users are those of the origin, too.
func (w *walk) account(p *point, domain directory.Domain) (bool, error) {
	if domain.Class == directory.ClassAlias {
		return false, nil
	}
	domains := []string{p.at.Domain}
	if origin := w.origin(); domain.Class == directory.ClassLocal && origin != p.at.Domain {
		domains = append(domains, origin)
	}
	for _, name := range domains {
		if done, err := w.accountOf(p, address.Address{Local: p.at.Local, Domain: name}); done || err != nil {
			return done, err
		}
		for _, s := range w.rules.stems(p.at.Local) {
			if done, err := w.accountOf(p, address.Address{Local: s.local, Domain: name}); done || err != nil {
				return done, err
			}
		}
	}
	return false, nil
}

func (w *walk) accountOf(p *point, a address.Address) (bool, error) {
	answer := w.router.directory.Account(w.ctx, a)
	switch answer.State() {
	case lookup.TryAgain:
		return false, answer.Err()
	case lookup.NotFound:
		return false, nil
	}
	account := answer.Value()
	w.step("account", account.Source, a.String(), account.Address)
	switch {
	case account.Refuses:
		return false, errDisabled
	case len(account.Forward) > 0:
		return true, w.forwarded(p, account)
	case account.Host != "" && !strings.EqualFold(account.Host, w.router.hostname):
		return true, fmt.Errorf("the mailbox of %s is on %s (directory %q), and no address there is known; give it one to forward to", account.Address, account.Host, account.Source)
	}
	return true, w.mailbox(p, account)
}

func (w *walk) mailbox(p *point, account directory.Account) error {
	return w.reach(p, Destination{Kind: Mailbox, Address: p.at, Account: account, Plain: p.plain})
}

// forwarded follows what the directory says that the mail of an account goes to. Its own
// address there keeps a copy.
func (w *walk) forwarded(p *point, account directory.Account) error {
	ways := make([]way, len(account.Forward))
	for i, a := range account.Forward {
		w.step("forward", account.Source, account.Address, a.String())
		if own, err := address.Parse(account.Address); err == nil && own.Key() == a.Key() {
			ways[i] = way{p, func() error { return w.mailbox(p, account) }}
			continue
		}
		to := p.to(a)
		ways[i] = way{to, func() error { return w.follow(to) }}
	}
	return w.all(ways)
}

// twin follows a domain whose addresses are those of another of ours. One that is not, or
// no more, is no road: strangers would send through it.
func (w *walk) twin(p *point, domain directory.Domain) (bool, error) {
	if domain.AliasOf == "" {
		return false, nil
	}
	other := p.to(address.Address{Local: p.at.Local, Domain: domain.AliasOf})
	if there, err := w.domain(other.at.Domain); err != nil {
		return false, err
	} else if there.Name == "" {
		w.step("alias_of", "", p.at.String(), domain.AliasOf+" is no domain of ours")
		return false, nil
	}
	w.step("alias_of", "", p.at.String(), other.at.String())
	return w.attempt(other)
}

// role finds the reader of postmaster@ and its like. What the machine itself writes to
// root is his, too.
func (w *walk) role(p *point, domain directory.Domain) (bool, error) {
	name := strings.ToLower(p.at.Local)
	if s := w.rules.stems(name); len(s) > 0 && !slices.Contains(w.rules.Roles, name) {
		name = s[len(s)-1].local
	}
	if !slices.Contains(w.rules.Roles, name) && !(name == root && (p.own || domain.Class == directory.ClassLocal)) {
		return false, nil
	}
	reader := p.to(w.rules.RoleRecipient)
	if reader.at.IsNull() {
		reader.at = address.Address{Local: postmaster, Domain: w.home}
	}
	if reader.at.Key() == p.at.Key() {
		return false, nil
	}
	w.step("role_addresses", "", p.at.String(), reader.at.String())
	return w.attempt(reader)
}

// catchAll finds who gets what is for nobody else.
func (w *walk) catchAll(p *point, domain directory.Domain) (bool, error) {
	a := w.router.directory.Alias(w.ctx, "@"+domain.Name)
	switch a.State() {
	case lookup.TryAgain:
		return false, a.Err()
	case lookup.Found:
		p.catch()
		return true, w.database(p, "@"+domain.Name, a.Value(), "")
	}
	if domain.CatchAll == "" {
		return false, nil
	}
	p.catch()
	w.step("catch_all", "", p.at.String(), domain.CatchAll)
	to, err := w.meant(p, domain.CatchAll)
	if err != nil {
		return false, err
	}
	if to.at.Key() == p.at.Key() {
		return false, nil // who gets it is not there himself
	}
	return true, w.follow(to)
}

// origin is the domain of addresses without one.
func (w *walk) origin() string {
	if w.rules.Origin != "" {
		return w.rules.Origin
	}
	return w.home
}
