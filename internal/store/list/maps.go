package list

import (
	"context"
	"fmt"
	"slices"

	"facteur/internal/base/lookup"
)

// Maps are tables that are asked in their order: what Postfix calls "…_maps". The
// zero Maps has no table and says NotFound without asking anybody.
type Maps struct{ tables []member }

// member is a table of Maps, with the name that people know it by.
type member struct {
	name string
	table
}

// Maps are the tables of these names, each that of a list or, for a table that only
// stands in a setting, its source ("hash:/etc/postfix/virtual"). One that the Set does
// not have says TryAgain: mail waits until the settings are mended.
func (s *Set) Maps(names []string) Maps {
	var m Maps
	for _, name := range names {
		if s.Has(name) {
			m.tables = append(m.tables, member{name, s.tables[name]})
			continue
		}
		m.tables = append(m.tables, member{name, missing{fmt.Errorf("table %q: %w", name, ErrUnknown)}})
	}
	return m
}

// missing is a table that is not there.
type missing struct{ err error }

func (m missing) find(context.Context, string) lookup.Answer[string] {
	return lookup.Later[string](m.err)
}
func (missing) whole() bool  { return false }
func (missing) close() error { return nil }

// Empty tells that there is no table: nobody needs to be asked.
func (m Maps) Empty() bool { return len(m.tables) == 0 }

// Find asks the tables in their order. The first that has the key, even with an empty
// value, or that can not tell, ends the search.
func (m Maps) Find(ctx context.Context, key string) lookup.Answer[string] {
	a, _ := m.ask(ctx, key, false)
	return a
}

// FindPart is Find for a part of an address or of a host name: a domain, "user@", a
// parent domain, an address without its extension. Tables of patterns, and those of
// tcp: and socketmap:, are asked for whole keys only and are left out
// (regexp_table(5), tcp_table(5)).
func (m Maps) FindPart(ctx context.Context, key string) lookup.Answer[string] {
	a, _ := m.ask(ctx, key, true)
	return a
}

// Explain is Find, or FindPart, and names the table that decided; "" if none did.
func (m Maps) Explain(ctx context.Context, key string, part bool) (a lookup.Answer[string], table string) {
	return m.ask(ctx, key, part)
}

func (m Maps) ask(ctx context.Context, key string, part bool) (lookup.Answer[string], string) {
	if len(key) > maxKey {
		return lookup.No[string](nil), ""
	}
	for _, t := range m.tables {
		if part && t.whole() {
			continue
		}
		if a := t.find(ctx, key); a.State() != lookup.NotFound {
			return a, t.name
		}
	}
	return lookup.No[string](nil), ""
}

// Names are the tables in their order.
func (m Maps) Names() []string {
	out := make([]string, 0, len(m.tables))
	for _, t := range m.tables {
		out = append(out, t.name)
	}
	return slices.Clip(out)
}
