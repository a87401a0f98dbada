package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"facteur/internal/mail/address"
)

// view is what holds at a time: it does not change, but for what is kept at hand.
type view struct {
	base     Effective
	ranked   []Policy            // all, in the order in which they are asked
	policies map[string][]Policy // by Match, likewise

	lists map[listKey][]Entry
	// owners are the matches that have a list, and widths the lengths of the networks in it
	// that stand without a sender.
	owners map[string][]width

	mu    sync.RWMutex
	known map[string]*Effective
}

// listKey is where an entry is looked for: an entry with a sender and a network stands with
// the sender.
type listKey struct {
	match, sender string
	network       netip.Prefix
}

// entryKey names an entry.
type entryKey struct {
	match, sender string
	network       netip.Prefix
}

func (e *Entry) key() entryKey { return entryKey{e.Match, e.Sender, e.Network} }

// place is where it is looked for.
func (e *Entry) place() listKey {
	if e.Sender != "" {
		return listKey{match: e.Match, sender: e.Sender}
	}
	return listKey{match: e.Match, network: e.Network}
}

// width is the length of a network, of one family.
type width struct {
	bits int
	is4  bool
}

func newView(declared Settings, policies map[string]Policy, entries map[entryKey]Entry) *view {
	v := &view{base: declared.Default, policies: make(map[string][]Policy), lists: make(map[listKey][]Entry),
		owners: make(map[string][]width), known: make(map[string]*Effective)}
	v.ranked = slices.Clone(declared.Policies)
	for _, p := range policies {
		v.ranked = append(v.ranked, p)
	}
	slices.SortStableFunc(v.ranked, rank)
	for _, p := range v.ranked {
		v.policies[p.Match] = append(v.policies[p.Match], p)
	}
	for _, e := range declared.Entries {
		v.add(e)
	}
	for key, e := range entries {
		if !slices.ContainsFunc(v.lists[e.place()], func(d Entry) bool { return d.key() == key }) { // the file goes before
			v.add(e)
		}
	}
	v.base.Origins = make(map[string]Origin, len(fields))
	for _, f := range fields {
		v.base.Origins[f.key] = declared.Default.Origins[f.key]
		if v.base.Origins[f.key] == (Origin{}) {
			v.base.Origins[f.key] = Origin{Source: Builtin}
		}
	}
	return v
}

func (v *view) add(e Entry) {
	place := e.place()
	v.lists[place] = append(v.lists[place], e)
	widths := v.owners[e.Match]
	if w := (width{e.Network.Bits(), e.Network.Addr().Is4()}); e.Sender == "" && !slices.Contains(widths, w) {
		widths = append(widths, w)
	}
	v.owners[e.Match] = widths
}

// rank is the order in which policies are asked.
func rank(a, b Policy) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(breadth(a.Match), breadth(b.Match)), compareTrial(a, b),
		compareText(a.Match, b.Match), compareText(string(b.Source), string(a.Source))) // "file" before "database"
}

// compareTrial puts a policy on trial before the one that it may replace.
func compareTrial(a, b Policy) int {
	switch {
	case a.onTrial() == b.onTrial():
		return 0
	case a.onTrial():
		return -1
	}
	return 1
}

func compareText(a, b string) int { return cmp.Compare(a, b) }

// effective is what holds for an account.
func (v *view) effective(account address.Address) *Effective {
	if len(v.ranked) == 0 {
		return &v.base
	}
	key := account.Key()
	v.mu.RLock()
	e := v.known[key]
	v.mu.RUnlock()
	if e != nil {
		return e
	}
	e = v.collect(account)
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= cacheMax {
		clear(v.known)
	}
	v.known[key] = e
	return e
}

func (p *Policy) onTrial() bool { return p.TestOnly != nil && *p.TestOnly }

// collect takes each value from the first policy that says it. Policies on trial say what
// would hold, unless one before them says that they are not on trial for whom it is for.
func (v *view) collect(account address.Address) *Effective {
	var asked, tried []Policy
	for _, m := range matches(account) {
		tried = append(tried, v.policies[m]...)
	}
	slices.SortStableFunc(tried, rank)
	earnest := false
	for _, p := range tried {
		if earnest || !p.onTrial() {
			asked = append(asked, p)
		}
		earnest = earnest || p.TestOnly != nil && !*p.TestOnly
	}
	e := v.from(asked)
	if len(asked) < len(tried) {
		e.Tried = v.from(tried)
	}
	return e
}

// from takes each value from the first of some policies that says it.
func (v *view) from(asked []Policy) *Effective {
	e := v.base
	e.Origins = make(map[string]Origin, len(fields))
	for _, f := range fields {
		e.Origins[f.key] = v.base.Origins[f.key]
		if at := slices.IndexFunc(asked, func(p Policy) bool { return f.said(&p) }); at >= 0 {
			f.apply(&asked[at], &e)
			e.Origins[f.key] = Origin{asked[at].Match, asked[at].Source}
		}
	}
	return &e
}

// listed is what lists say of a letter, and whether any says something.
func (v *view) listed(account address.Address, from From, now time.Time) (l Listing, any bool) {
	if len(v.owners) == 0 {
		return l, false
	}
	client := from.Client.Unmap()
	for _, owner := range matches(account) {
		widths, has := v.owners[owner]
		if !has {
			continue
		}
		var soft *Entry
		hear := func(entries []Entry, forged bool) {
			for i := range entries {
				e := &entries[i]
				switch {
				case e.over(now), e.Network.IsValid() && !e.Network.Contains(client):
				case e.Kind == Soft:
					if (e.Score > 0 || !forged) && (soft == nil || e.goes(soft)) {
						soft = e
					}
				case forged && e.Kind == Allow:
				case l.Kind == "" || e.goes(&l.By):
					l.Kind, l.By = e.Kind, *e
				}
			}
		}
		for _, s := range from.Senders {
			if s.Address.IsNull() {
				continue
			}
			for _, m := range matches(s.Address) {
				hear(v.lists[listKey{match: owner, sender: m}], s.Forged)
			}
		}
		for _, w := range widths {
			if client.IsValid() && client.Is4() == w.is4 {
				if p, err := client.Prefix(w.bits); err == nil {
					hear(v.lists[listKey{match: owner, network: p}], false)
				}
			}
		}
		if soft != nil {
			l.Score, l.Soft = l.Score+soft.Score, append(l.Soft, *soft)
		}
	}
	return l, l.Kind != "" || len(l.Soft) > 0
}
