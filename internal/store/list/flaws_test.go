package list

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
)

// One bad line costs its own key and no other, and who has it is not unknown by that.
func TestFlaws(t *testing.T) {
	t.Parallel()
	const later = "(later)"
	for _, test := range []struct {
		name, kind, text, told string
		want                   map[string]string
	}{
		{"no value", "aliases:", "root: admin\nbob:\ncarol: c\n", ":2: nothing stands behind the colon", map[string]string{"root": "admin", "carol": "c", "Bob": later, "dave": no}},
		{"no colon", "aliases:", "root: admin\nbob alice\n", ":2: expected \"name: value, value\"", map[string]string{"root": "admin", "bob": later, "alice": no}},
		{"open quote in a value", "aliases:", "bob: \"|/x\nroot: admin\n", ":1: bob: a quoted string", map[string]string{"root": "admin", "bob": later}},
		{"open quote in a name", "aliases:", "\"bob: x\nroot: admin\n", ":1: a quoted string", map[string]string{"root": "admin", "bob": later}},
		{"a right line behind", "aliases:", "bob:\nbob: b\n", ":1: nothing", map[string]string{"bob": "b"}},
		{"the only line", "aliases:", "bob alice\n", ":1: expected", map[string]string{"bob": later, "x": no}},
		{"Latin-1", "hash:", "a@x b\nc@x caf\xe9\n", ":2: the line is no text", map[string]string{"a@x": "b", "C@x": later, "d@x": no}},
		{"NUL", "texthash:", "x\x00y z\na b\n", ":1: the line is no text", map[string]string{"a": "b", "x": no}},
		{"open quote", "file:", "ok x\n\"a b\n", ":2: the key has no closing quote", map[string]string{"ok": "x", "a": later, "b": no}},
		{"white space first", "file:", "# list\n  a b\nc d\n", ":2: the first line begins with white space", map[string]string{"a": later, "c": "d"}},
		{"a network in a network", "file:", "192.0.2.0/24 OK\n192.0.2.5 REJECT caf\xe9\n", ":2: the line is no text", map[string]string{"192.0.2.5": later, "192.0.2.6": "OK"}},
		{"around a network", "file:", "192.0.2.0/24 REJECT caf\xe9\n192.0.2.5 OK\n", ":1: the line is no text", map[string]string{"192.0.2.5": "OK", "192.0.2.6": later}},
		{"no table at all", "hash:", "\x00\n\x01\xff\n", ":1: the line is no text", map[string]string{"a": later}},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := &said{}
			set, err := Open([]Source{{Name: "l", From: test.kind + write(t, test.text)}}, log)
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			for key, want := range test.want {
				a := set.Lookup(t.Context(), "l", key)
				switch got := a.Value(); {
				case want == later && (a.State() != lookup.TryAgain || !strings.Contains(a.Err().Error(), test.told)):
					t.Errorf("%q: %v, want to be told %q later", key, a, test.told)
				case want == no && a.State() != lookup.NotFound:
					t.Errorf("%q: %v, want nothing", key, a)
				case want != later && want != no && got != want:
					t.Errorf("%q: %v, want %q", key, a, want)
				}
			}
			if len(log.lines) == 0 || !strings.Contains(log.lines[0], test.told) {
				t.Errorf("the log says %q, want %q", log.lines, test.told)
			}
			if m := set.Mistakes(); len(m) == 0 || !strings.Contains(m[0].String(), test.told) {
				t.Errorf("mistakes: %v", m)
			}
		})
	}
}

// A bad line that comes later is told then; the rest of the change counts.
func TestFlawsLater(t *testing.T) {
	t.Parallel()
	path := write(t, "root: a\nbob: b\n")
	log := &said{}
	f, err := openFile("l", path, parseAliases, log)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, path, "root: new\nbob\n", 30*time.Second)
	f.refresh(time.Now().Add(2 * glance))
	if a := f.find(t.Context(), "root"); a.Value() != "new" {
		t.Error(a)
	}
	if a := f.find(t.Context(), "bob"); a.State() != lookup.TryAgain {
		t.Error(a)
	}
	if said := strings.Join(log.lines, "\n"); !strings.Contains(said, path+":2: expected") {
		t.Error(said)
	}
}

// However many lines are wrong, a few are told.
func TestManyFlaws(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "u%d\n", i)
	}
	log := &said{}
	set, err := Open([]Source{{Name: "l", From: "unionmap:{aliases:" + write(t, "root: a\n"+b.String()) + "}"}}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if len(log.lines) != maxMistakes+1 || !strings.Contains(log.lines[maxMistakes], "980 more lines") || len(set.Mistakes()) != maxMistakes {
		t.Errorf("%d lines, the last %q", len(log.lines), log.lines[len(log.lines)-1])
	}
	if a := set.Lookup(t.Context(), "l", "u999"); a.State() != lookup.TryAgain {
		t.Error(a)
	}
}

// Nobody knows what a bad pattern or network would have matched: those are refused.
func TestNoFlawsInPatterns(t *testing.T) {
	t.Parallel()
	for kind, text := range map[string]string{"regexp:": "/a/ x\n/(/ y\n", "pcre:": "/a/ x\n/(/ y\n", "cidr:": "192.0.2.0/24 x\n192.0.2.1/24 x\n"} {
		if _, err := Open([]Source{{Name: "l", From: kind + write(t, text)}}, event.Discard); err == nil {
			t.Errorf("%s is taken", kind)
		}
	}
}
