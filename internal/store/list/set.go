package list

import (
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
)

// patience is how long one look-up may take.
const patience = 5 * time.Second

// maxKey is the longest key that is looked up, in bytes. Nothing longer stands in
// a list.
const maxKey = 4096

// Source is one list as the settings have it.
type Source struct {
	Name string
	// From is where it is kept, "file:/etc/…"; "" for Entries, which are lines of
	// such a file.
	From    string
	Entries []string

	// The rest is for lists on servers.

	// BindDN is who we are in a directory; "" is nobody.
	BindDN string
	// PasswordFile has our password in its first line; "" is none.
	PasswordFile string
	// TLS is TLSStart or TLSNone; "" encrypts what leaves this machine.
	TLS string
	// CAFile has the authorities, PEM, whose certificates servers may show; "" means
	// those of the system.
	CAFile string
	// CacheTime is how long an answer is used again; 0 means 30 seconds.
	CacheTime time.Duration
}

// table is a list that can be asked.
type table interface {
	find(ctx context.Context, key string) lookup.Answer[string]
	// whole tells that keys are matched as they are, so that nobody asks for parts.
	whole() bool
	close() error
}

// Set is all lists by name. It is safe for concurrent use.
type Set struct{ tables map[string]table }

// ErrUnknown says that there is no list of that name.
var ErrUnknown = errors.New("there is no such list")

// Open reads all lists. A mistake in any is an error, with the name of the list and
// the file and line; then nothing is open. Only of a file of keys, single lines may be
// wrong: they are told to events, and their keys say TryAgain (see Mistakes).
func Open(sources []Source, events event.Sink) (*Set, error) {
	s := &Set{tables: make(map[string]table, len(sources))}
	var errs []error
	for _, source := range sources {
		t, err := open(source, events)
		if err != nil {
			errs = append(errs, fmt.Errorf("list %q: %w", source.Name, err))
			continue
		}
		s.tables[source.Name] = t
	}
	if len(errs) > 0 {
		s.Close()
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Has tells whether there is a list of that name.
func (s *Set) Has(name string) bool { return s != nil && s.tables[name] != nil }

// Lookup asks a list for a key: its value, which may be empty, or that it has none,
// or that nobody knows.
func (s *Set) Lookup(ctx context.Context, name, key string) lookup.Answer[string] {
	if !s.Has(name) {
		return lookup.Later[string](fmt.Errorf("list %q: %w", name, ErrUnknown))
	}
	if len(key) > maxKey {
		return lookup.No[string](nil)
	}
	return s.tables[name].find(ctx, key)
}

// Close lets go of files and databases.
func (s *Set) Close() error {
	var errs []error
	for _, t := range s.tables {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}

// answer is Found or NotFound.
func answer(value string, found bool) lookup.Answer[string] {
	if !found {
		return lookup.No[string](nil)
	}
	return lookup.Yes(value)
}
