package mailbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Locate finds letters by Message-ID: the newest, INBOX first, within its bounds.
func TestLocate(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	now := time.Now()
	put := func(name, id string, received time.Time) uint32 {
		t.Helper()
		text := "From: a@example.org\r\nMessage-Id: " + id + "\r\n\r\nx\r\n"
		_, uid, err := f.Append(bg, name, strings.NewReader(text), int64(len(text)), AppendOptions{Received: received})
		must(t, err)
		return uid
	}
	put("INBOX", "<old@a>", now.AddDate(0, 0, -40))
	for i := range 200 {
		put("INBOX", fmt.Sprintf("<%d@a>", i), now.Add(-time.Hour))
	}
	again := put("INBOX", "<7@a>", now)
	put("Archive", "<7@a>", now)
	put("Archive", "<filed@a>", now)
	put("Junk", "<junk@a>", now)
	without := []string{`\Junk`}
	week := now.AddDate(0, 0, -7)
	for name, c := range map[string]struct {
		Wanted
		name string
		uid  uint32
	}{
		"the newest, INBOX first": {Wanted{IDs: []string{"<7@a>"}, Since: week, Most: 1000}, "INBOX", again},
		"far back":                {Wanted{IDs: []string{"<0@a>"}, Since: week, Most: 1000}, "INBOX", 2},
		"one of several IDs":      {Wanted{IDs: []string{"<none@a>", "<199@a>"}, Since: week, Most: 1000}, "INBOX", 201},
		"another mailbox":         {Wanted{IDs: []string{"<filed@a>"}, Since: week, Most: 1000}, "Archive", 2},
		"too old":                 {Wanted{IDs: []string{"<old@a>"}, Since: week, Most: 1000}, "", 0},
		"old enough":              {Wanted{IDs: []string{"<old@a>"}, Most: 1000}, "INBOX", 1},
		"beyond the most":         {Wanted{IDs: []string{"<0@a>"}, Since: week, Most: 150}, "", 0},
		"no room for others":      {Wanted{IDs: []string{"<filed@a>"}, Since: week, Most: 201}, "", 0},
		"not in that use":         {Wanted{IDs: []string{"<junk@a>"}, Since: week, Without: without, Most: 1000}, "", 0},
		"in that use":             {Wanted{IDs: []string{"<junk@a>"}, Since: week, Most: 1000}, "Junk", 1},
		"none has none":           {Wanted{IDs: []string{""}, Most: 1000}, "", 0},
	} {
		where, uid, err := f.Locate(bg, c.Wanted)
		if where != c.name || uid != c.uid || (c.uid == 0) != errors.Is(err, ErrGone) {
			t.Errorf("%s: %q %d, %v; %q %d expected", name, where, uid, err, c.name, c.uid)
		}
	}
	f.shut()
}
