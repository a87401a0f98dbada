package list

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
)

// The first table that has the key, or can not tell, ends the search.
func TestMapsInTheirOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	virtual, patterns := filepath.Join(dir, "virtual"), filepath.Join(dir, "patterns")
	if err := os.WriteFile(virtual, []byte("a@example.org one\nb@example.org two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(patterns, []byte("/./ any\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hash, regexp := "hash:"+virtual, "regexp:"+patterns
	s, err := Open([]Source{{Name: "own", Entries: []string{"a@example.org own"}}, {Name: hash, From: hash}, {Name: regexp, From: regexp}}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range []struct {
		tables    []string
		key       string
		part      bool
		want, who string
		state     lookup.State
	}{
		{nil, "a@example.org", false, "", "", lookup.NotFound},
		{[]string{"own", hash}, "A@example.org", false, "own", "own", lookup.Found},
		{[]string{hash, "own"}, "a@example.org", false, "one", hash, lookup.Found},
		{[]string{hash, regexp}, "b@example.org", false, "two", hash, lookup.Found},
		{[]string{hash, regexp}, "c@example.org", false, "any", regexp, lookup.Found},
		{[]string{hash, regexp}, "c@example.org", true, "", "", lookup.NotFound},
		{[]string{"own", "lost", hash}, "b@example.org", false, "", "lost", lookup.TryAgain},
		{[]string{"own", "lost"}, "a@example.org", false, "own", "own", lookup.Found},
	} {
		got, who := s.Maps(c.tables).Explain(context.Background(), c.key, c.part)
		if got.State() != c.state || got.Value() != c.want || who != c.who {
			t.Errorf("%v %s: %v %q of %q", c.tables, c.key, got.State(), got.Value(), who)
		}
	}
}
