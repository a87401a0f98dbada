package route

import (
	"fmt"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/aliases"
	"facteur/internal/store/directory"
)

// localAlias follows an alias of aliases(5), as local(8) does.
func (w *walk) localAlias(p *point, _ directory.Domain) (bool, error) {
	if w.rules.Aliases.Empty() || p.self {
		return false, nil
	}
	value, table, name, err := w.aliasOf(p.at.Local)
	if err != nil || value == "" {
		return false, err
	}
	w.step("alias_maps", table, name, value)
	values, err := aliases.Parse(value)
	if err != nil {
		return false, fmt.Errorf("the alias %q can't be read: %w", name, err)
	}
	q := *p
	q.include, q.user = false, ""
	if err := w.ownedBy(&q, name); err != nil {
		return false, err
	}
	return true, w.values(&q, name, values, isFile(table))
}

// isFile tells that a table is a file of aliases(5), which whoever may edit it can put
// commands into. From a directory, a database or a pattern, which may have a part of the
// address in its value, no command comes.
func isFile(table string) bool { return strings.HasPrefix(table, "aliases:") }

// aliasOf looks up a local part, then what it may be an extension of.
func (w *walk) aliasOf(local string) (value, table, name string, err error) {
	local = strings.ToLower(local)
	keys := []pattern{{key: local}}
	for _, s := range w.rules.stems(local) {
		keys = append(keys, pattern{key: s.local, part: true})
	}
	value, table, key, _, err := w.find(w.rules.Aliases, keys)
	return value, table, key.key, err
}

// ownedBy makes owner-NAME the sender of what the alias leads to, where there is such an
// alias.
func (w *walk) ownedBy(p *point, name string) error {
	if !w.rules.OwnerRequest || w.question.Sender.IsNull() || strings.HasPrefix(name, ownerPrefix) {
		return nil
	}
	a := w.rules.Aliases.Find(w.ctx, ownerPrefix+name)
	switch a.State() {
	case lookup.TryAgain:
		return a.Err()
	case lookup.NotFound:
		return nil
	}
	home, err := w.homeOf(p)
	if err != nil {
		return err
	}
	owner := address.Address{Local: ownerPrefix + name, Domain: home}
	if w.rules.ExpandOwner {
		values, err := aliases.Parse(a.Value())
		if err == nil && len(values) == 1 && values[0].Kind == aliases.Address {
			to, err := w.meant(p, values[0].Text)
			if err != nil {
				return err
			}
			owner = to.at
		}
	}
	w.step("owner_request_special", "", ownerPrefix+name, owner.String())
	p.sender, p.owned = &owner, true
	return nil
}

// homeOf is the domain that the owner of an alias is told to answer at: the origin, as with
// Postfix, if aliases(5) are read there.
func (w *walk) homeOf(p *point) (string, error) {
	domain, err := w.domain(w.origin())
	if domain.Class == directory.ClassLocal {
		return domain.Name, err
	}
	return p.at.Domain, err
}

// values follows what an alias, or a file that it includes, leads to.
func (w *walk) values(p *point, name string, values []aliases.Value, trusted bool) error {
	ways := make([]way, len(values))
	for i, v := range values {
		q := *p
		switch v.Kind {
		case aliases.Address:
			q.line = v.Line
			to, err := w.local(&q, name, v)
			if err != nil {
				return err
			}
			ways[i] = way{to, func() error { return w.follow(to) }}
		case aliases.Include:
			ways[i] = way{&q, func() error { return w.included(&q, name, v.Text, trusted) }}
		default:
			ways[i] = way{&q, func() error { return w.end(&q, v, trusted) }}
		}
	}
	return w.all(ways)
}

// local is an address of an alias. In a local domain it stays with local(8): virtual
// aliases have been asked.
func (w *walk) local(p *point, name string, v aliases.Value) (*point, error) {
	to, err := w.meant(p, v.Text)
	if err != nil {
		return nil, err
	}
	local, err := w.isLocal(to.at.Domain)
	if err != nil {
		return nil, err
	}
	if local {
		to.virtual, to.plain, to.self = false, v.Plain, strings.EqualFold(to.at.Local, name)
	}
	return to, nil
}

// included follows an :include: file. One that can't be read makes mail wait: half of a
// list is nobody's wish.
func (w *walk) included(p *point, name, path string, trusted bool) error {
	switch {
	case !trusted:
		return &Refusal{550, "5.7.1", ":include: is taken from files of aliases(5) only"}
	case w.rules.Include == nil:
		return fmt.Errorf(":include:%s: nobody reads such files here", path)
	}
	p.depth++
	return w.once(being{key: ":include:" + path}, p.depth, func() error {
		file, err := w.rules.Include(w.ctx, path)
		if err != nil {
			return fmt.Errorf(":include:%s: %w", path, err)
		}
		if p.user != "" && file.User != p.user {
			return &Refusal{550, "5.7.1", "the :include: file of a user leads to one that is not his"}
		}
		values, err := aliases.ParseLines(file.Text)
		if err != nil {
			return fmt.Errorf(":include:%s: %w", path, err)
		}
		if len(values) == 0 {
			return nil
		}
		w.step(":include:", path, name, fmt.Sprintf("%d entries", len(values)))
		p.include, p.user, p.file = true, file.User, path
		return w.values(p, name, values, true)
	})
}

// end takes a command or a file.
func (w *walk) end(p *point, v aliases.Value, trusted bool) error {
	if v.Kind == aliases.File && v.Text == aliases.DevNull {
		return w.reach(p, Destination{Kind: Discard, Address: p.at})
	}
	d, where, what := Destination{Kind: File, Address: p.at, Text: v.Text, User: p.user}, w.rules.Files, "file"
	if v.Kind == aliases.Program {
		d.Kind, where, what = Program, w.rules.Commands, "command"
	}
	if !trusted || !(where.Alias && !p.include || where.Include && p.include) {
		return &Refusal{550, "5.7.1", "mail to " + what + " is restricted"}
	}
	return w.reach(p, d)
}
