package namespace

import (
	"context"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/store/mailbox"
)

// List gives the mailboxes and subscribed names of all namespaces that covers
// says may hold something wanted: it gets the beginnings of names. Personal ones
// come first, INBOX before all.
func (s *Space) List(ctx context.Context, covers func(prefix string) bool) ([]mailbox.Info, error) {
	own, err := s.own.List(ctx)
	if err != nil {
		return nil, err
	}
	l := lister{space: s, covers: covers, subscribed: map[string]bool{}}
	for _, i := range own {
		l.personal(i)
	}
	if s.house != nil && s.settings.Users != "" {
		if err := l.users(ctx); err != nil {
			return nil, err
		}
	}
	if s.house != nil && len(s.settings.PublicMailboxes) > 0 {
		if err := l.public(ctx); err != nil {
			return nil, err
		}
	}
	return l.finish(), nil
}

// lister gathers the lines of one LIST.
type lister struct {
	space      *Space
	covers     func(string) bool
	out        []mailbox.Info
	subscribed map[string]bool // names in other namespaces
}

// personal takes a line of the user's own account.
func (l *lister) personal(i mailbox.Info) {
	n, foreign := l.space.settings.subscribedName(i.Name)
	switch wire := l.space.settings.wire(n); {
	case !foreign:
		i.Name, i.Rights = wire, mailbox.AllRights
		l.out = append(l.out, i)
	case i.Subscribed:
		l.subscribed[wire] = true
	}
}

// users adds what others share with the user.
func (l *lister) users(ctx context.Context) error {
	s := l.space
	owners := s.house.shares.with(key(s.user))
	root := strings.TrimSuffix(s.settings.Users, s.Separator())
	if len(owners) == 0 || !l.covers(root) && !l.covers(s.settings.Users) {
		return nil
	}
	found := 0
	for _, owner := range owners {
		there, err := l.account(ctx, owner)
		if err != nil {
			return err
		}
		found += there
	}
	if found > 0 {
		l.parent(root)
	}
	return nil
}

// account adds the mailboxes of one other account, and says whether there are any.
func (l *lister) account(ctx context.Context, owner string) (int, error) {
	s := l.space
	home := s.house.find(ctx, owner)
	if home.State() != lookup.Found {
		return 0, nil // gone, or nobody can tell now
	}
	root := s.settings.wire(name{kind: users, owner: owner})
	if l.covers(root + s.Separator()) {
		n, err := l.foreign(ctx, home.Value(), name{kind: users, owner: owner})
		if n == 0 || err != nil {
			return 0, err
		}
	}
	l.parent(root)
	return 1, nil
}

// foreign adds what the user may look up in an account of another.
func (l *lister) foreign(ctx context.Context, o mailbox.Owner, n name) (int, error) {
	s := l.space
	a, err := s.house.store.Open(ctx, o)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	infos, err := a.ListFor(ctx, mailbox.Subject{Address: s.user}, func(inner string) bool {
		return s.visible(name{kind: n.kind, inner: inner})
	})
	for _, i := range infos {
		n.inner = i.Name
		i.Name = s.settings.wire(n)
		l.out = append(l.out, i)
	}
	return len(infos), err
}

// public adds the public mailboxes.
func (l *lister) public(ctx context.Context) error {
	s := l.space
	root := strings.TrimSuffix(s.settings.Public, s.Separator())
	if !l.covers(root) && !l.covers(s.settings.Public) {
		return nil
	}
	n, err := l.foreign(ctx, s.house.public, name{kind: public})
	if n > 0 {
		l.parent(root)
	}
	return err
}

// parent adds a name without a mailbox above others.
func (l *lister) parent(wire string) {
	i := slices.IndexFunc(l.out, func(i mailbox.Info) bool { return i.Name == wire })
	if i < 0 {
		l.out = append(l.out, mailbox.Info{Name: wire})
		i = len(l.out) - 1
	}
	l.out[i].HasChildren = true
}

// finish marks subscriptions in other namespaces, and adds names that are
// subscribed and not there.
func (l *lister) finish() []mailbox.Info {
	for i := range l.out {
		if name := l.out[i].Name; l.subscribed[name] {
			l.out[i].Subscribed = true
			delete(l.subscribed, name)
		}
	}
	left := make([]string, 0, len(l.subscribed))
	for name := range l.subscribed {
		left = append(left, name)
	}
	slices.Sort(left)
	for _, name := range left {
		l.out = append(l.out, mailbox.Info{Name: name, Subscribed: true})
	}
	return l.out
}

// subscription is how a name stands in the file of subscriptions, whatever the
// separator: "/" between levels, others' and public ones behind their prefix.
func (s *Settings) subscription(n name) string {
	slashes := *s
	slashes.Separator = '/'
	slashes.Users, slashes.Public = s.slashed(s.Users), s.slashed(s.Public)
	if n.kind == personal {
		return n.inner
	}
	return slashes.wire(n)
}

func (s *Settings) slashed(prefix string) string { return strings.ReplaceAll(prefix, s.sep(), "/") }

// subscribedName is the reverse of subscription; foreign says that the name is not
// one of the user's own.
func (s *Settings) subscribedName(inner string) (n name, foreign bool) {
	slashes := *s
	slashes.Separator, slashes.Personal = '/', ""
	slashes.Users, slashes.Public = s.slashed(s.Users), s.slashed(s.Public)
	if n, ok := slashes.parse(inner); ok && n.kind != personal {
		return n, true
	}
	return name{inner: inner}, false
}
