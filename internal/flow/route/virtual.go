package route

import (
	"fmt"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/aliases"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

// pattern is a key that an address is looked up by (virtual(5), TABLE SEARCH ORDER).
type pattern struct {
	key string
	// part: it is not the whole address; extension is what it lacks of the local part;
	// bare: it has no domain, wild: nothing else.
	part       bool
	extension  string
	bare, wild bool
}

// patterns are the keys of an address, the most special first: user+ext@domain,
// user@domain, user+ext, user, @domain. Those without a domain are for addresses of this
// machine's own users.
func (w *walk) patterns(a address.Address, local bool) []pattern {
	stems := w.rules.stems(a.Local)
	out := make([]pattern, 0, 2*len(stems)+3)
	out = append(out, pattern{key: a.Key()})
	for _, s := range stems {
		out = append(out, pattern{key: address.Address{Local: s.local, Domain: a.Domain}.Key(), part: true, extension: s.extension})
	}
	if local {
		out = append(out, pattern{key: bare(a.Local), part: true, bare: true})
		for _, s := range stems {
			out = append(out, pattern{key: bare(s.local), part: true, extension: s.extension, bare: true})
		}
	}
	return append(out, pattern{key: "@" + a.Domain, part: true, wild: true})
}

// bare is a local part as a key. One that has to be quoted is, so that an "@" in it is
// never taken for the end of a local part (REL-004).
func bare(local string) string {
	return strings.TrimSuffix(address.Address{Local: local, Domain: "x"}.Key(), "@x")
}

// find asks tables for the keys of an address: each key in all tables before the next.
func (w *walk) find(m list.Maps, patterns []pattern) (value, table string, p pattern, found bool, err error) {
	for _, p := range patterns {
		a, table := m.Explain(w.ctx, p.key, p.part)
		switch a.State() {
		case lookup.TryAgain:
			return "", "", p, false, a.Err()
		case lookup.Found:
			return a.Value(), table, p, true, nil
		}
	}
	return "", "", pattern{}, false, nil
}

// isLocal tells the domains whose users are those of this machine.
func (w *walk) isLocal(name string) (bool, error) {
	if name == w.origin() {
		return true, nil
	}
	domain, err := w.domain(name)
	return domain.Class == directory.ClassLocal, err
}

// virtual follows the virtual aliases of an address: those of the database and those of
// tables, each key in both before the next.
func (w *walk) virtual(p *point) (done bool, err error) {
	tables := w.rules.Virtual
	local := false
	if !tables.Empty() {
		if local, err = w.isLocal(p.at.Domain); err != nil {
			return false, err
		}
	}
	for _, key := range w.patterns(p.at, local) {
		if !key.bare && !key.wild {
			a := w.router.directory.Alias(w.ctx, key.key)
			switch a.State() {
			case lookup.TryAgain:
				return false, a.Err()
			case lookup.Found:
				return true, w.database(p, key.key, a.Value(), key.extension)
			}
		}
		if tables.Empty() {
			continue
		}
		a, table := tables.Explain(w.ctx, key.key, key.part)
		switch a.State() {
		case lookup.TryAgain:
			return false, a.Err()
		case lookup.Found:
			if key.wild {
				p.catch()
			}
			w.step("virtual_alias_maps", table, key.key, a.Value())
			return true, w.value(p, a.Value(), key.extension)
		}
	}
	return false, nil
}

// database follows an alias of the database.
func (w *walk) database(p *point, key string, a directory.Alias, extension string) error {
	w.step("alias", "", key, strings.Join(a.Targets, ", "))
	if a.Owner != "" && !w.question.Sender.IsNull() {
		owner, err := address.Parse(a.Owner)
		if err != nil {
			return fmt.Errorf("owner of alias %q: %w", key, err)
		}
		q := *p
		q.sender, q.owned = &owner, true
		p = &q
		w.step("owner", "", key, a.Owner)
	}
	return w.addresses(p, a.Targets, extension)
}

// value follows the addresses of a table's value.
func (w *walk) value(p *point, value, extension string) error {
	values, err := aliases.Parse(value)
	if err != nil {
		return fmt.Errorf("what <%s> leads to can't be read: %w", p.at, err)
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.Text
	}
	return w.addresses(p, texts, extension)
}

// addresses follows several addresses.
func (w *walk) addresses(p *point, texts []string, extension string) error {
	ways := make([]way, len(texts))
	for i, text := range texts {
		to, err := w.meant(p, text)
		if err != nil {
			return err
		}
		if extension != "" && w.rules.Propagate && len(to.at.Local)+len(extension) <= address.MaxLocal {
			to.at.Local += extension
		}
		if to.at.Key() == p.at.Key() {
			to.virtual, to.self = false, true
		}
		ways[i] = way{to, func() error { return w.follow(to) }}
	}
	return w.all(ways)
}

// meant is the address of a text in a table: with the origin's domain where it has none,
// with the same local part where it has only a domain.
func (w *walk) meant(p *point, text string) (*point, error) {
	switch at := strings.LastIndexByte(text, '@'); {
	case at == 0:
		text = address.Address{Local: p.at.Local, Domain: text[1:]}.String()
	case at < 0 || strings.HasSuffix(text, `"`):
		text += "@" + w.origin()
	}
	a, err := address.Parse(text)
	if err != nil && p.file != "" { // which may be one that nobody is to see
		return nil, fmt.Errorf(":include:%s: line %d: expected an address", p.file, p.line)
	}
	if err != nil {
		return nil, fmt.Errorf("what <%s> leads to, %q: %w", p.at, text, err)
	}
	if own, err := w.router.isOwn(w.ctx, a.Domain); err != nil {
		return nil, err
	} else if own {
		to := p.to(address.Address{Local: a.Local, Domain: w.home})
		to.own = true
		return to, nil
	}
	return p.to(a), nil
}

// relocated refuses an address that has moved.
func (w *walk) relocated(p *point) error {
	if w.rules.Relocated.Empty() {
		return nil
	}
	local, err := w.isLocal(p.at.Domain)
	if err != nil {
		return err
	}
	value, table, key, found, err := w.find(w.rules.Relocated, w.patterns(p.at, local))
	if err != nil || !found {
		return err
	}
	w.step("relocated_maps", table, key.key, value)
	return moved(value)
}

// relay passes an address on to another host of its domain, if that has it.
func (w *walk) relay(p *point) error {
	if m := w.rules.RelayRecipients; !m.Empty() {
		_, table, key, found, err := w.find(m, w.patterns(p.at, false))
		if err != nil {
			return err
		}
		if !found {
			return w.unknown(p, directory.ClassRelay)
		}
		w.step("relay_recipient_maps", table, key.key, "known")
	}
	return w.reach(p, Destination{Kind: Remote, Address: p.at, Forwarded: w.ours && p.up != nil})
}

// elsewhere finds a user of a local domain who is known to a table and lives elsewhere,
// and who gets what is for unknown ones.
func (w *walk) elsewhere(p *point, domain directory.Domain) (bool, error) {
	if domain.Class != directory.ClassLocal {
		return false, nil
	}
	if m := w.rules.LocalRecipients; !m.Empty() {
		_, table, key, found, err := w.find(m, w.patterns(p.at, true))
		if err != nil {
			return false, err
		}
		if found {
			w.step("local_recipient_maps", table, key.key, "known")
			return true, w.reach(p, Destination{Kind: Remote, Address: p.at})
		}
	}
	if w.rules.LuserRelay == "" {
		return false, nil
	}
	text, is := w.luser(p)
	if !is {
		return false, nil
	}
	p.catch()
	w.step("luser_relay", "", p.at.String(), text)
	to, err := w.meant(p, text)
	if err != nil {
		return false, err
	}
	if to.at.Key() == p.at.Key() {
		return false, nil
	}
	return true, w.follow(to)
}

// luser is luser_relay for an address. What a stranger writes becomes a part of it: only
// of a local part that needs no quotes, so that none brings an "@" and with it a domain
// (REL-004); and of one that is short enough.
func (w *walk) luser(p *point) (text string, is bool) {
	if !strings.Contains(w.rules.LuserRelay, "$") {
		return w.rules.LuserRelay, true
	}
	if !IsBare(p.at.Local) {
		return "", false
	}
	user, extension := p.at.Local, ""
	if s := w.rules.stems(p.at.Local); len(s) > 0 {
		user, extension = s[len(s)-1].local, s[len(s)-1].extension[1:]
	}
	values := map[string]string{"user": user, "extension": extension, "domain": p.at.Domain, "local": p.at.Local,
		"recipient": p.at.String(), "recipient_delimiter": w.rules.Delimiters}
	var pairs []string
	for _, name := range []string{"user", "extension", "domain", "local", "recipient_delimiter", "recipient"} {
		pairs = append(pairs, "${"+name+"}", values[name], "$("+name+")", values[name], "$"+name, values[name])
	}
	text = strings.NewReplacer(pairs...).Replace(w.rules.LuserRelay)
	local, _, _ := strings.Cut(text, "@")
	return text, len(local) <= address.MaxLocal
}

// IsBare tells a local part without a domain: a user of this machine.
func IsBare(s string) bool {
	_, err := address.Parse(s + "@x")
	return err == nil && !strings.Contains(s, "@")
}
