package list

import (
	"fmt"
	"os"
	"strings"
)

// Entry is one entry of a list, as it was written.
type Entry struct {
	// Where is "/path:12", or "entry 3" of those in the settings.
	Where string
	Value string
}

// Entries are those of a list that is a file or stands in the settings; none of
// others. Values into which a pattern puts parts of the key are left out.
func Entries(s Source) (all []Entry, err error) {
	if s.From == "" {
		for i, text := range s.Entries {
			_, value, err := cutKey(strings.TrimSpace(text))
			if err != nil {
				return nil, err
			}
			all = append(all, Entry{fmt.Sprintf("entry %d", i+1), value})
		}
		return all, nil
	}
	kind, path, _ := cutKind(s.From)
	value := values[kind]
	if value == nil {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	err = each(path, text, func(l line) error {
		v, there, err := value(l.text)
		if there {
			all = append(all, Entry{fmt.Sprintf("%s:%d", path, l.number), v})
		}
		return err
	})
	return all, err
}

// values cut the value from a line, for each kind of file.
var values = map[string]func(text string) (value string, there bool, err error){
	"file": plainValue, "aliases": aliasValue, "texthash": plainValue, "cidr": networkValue, "regexp": patternValue, "pcre": patternValue,
	"hash": plainValue, "btree": plainValue, "lmdb": plainValue, "dbm": plainValue, "sdbm": plainValue, "cdb": plainValue,
}

func plainValue(text string) (string, bool, error) {
	_, value, err := cutKey(text)
	return value, err == nil, err
}

func patternValue(text string) (string, bool, error) {
	switch word, _, _ := strings.Cut(text, " "); strings.ToLower(word) {
	case "if", "endif":
		return "", false, nil
	}
	p, err := perl.pattern(text)
	if err != nil || p.value.places() {
		return "", false, err
	}
	return p.value[0].text, true, nil
}

// Whole tells that a list has patterns, which are tried on keys as they are and not
// on their parts (regexp_table(5)): a pattern with "!" or "^[^@]*$" is about what is
// not in an address, and would be true of its domain alone.
func (s *Set) Whole(name string) bool {
	return s.Has(name) && s.tables[name].whole()
}
