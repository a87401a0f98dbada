package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/client"
	"facteur/internal/flow/filter/correspondent"
	"facteur/internal/flow/filter/dnslist"
	"facteur/internal/flow/filter/letter"
	"facteur/internal/flow/filter/record"
	"facteur/internal/flow/filter/scanner"
	"facteur/internal/flow/filter/words"
)

// Remarks are all that there can be by these settings: what scores, caps and test_only name.
func (c *Config) Remarks() []filter.Known {
	out := slices.Concat(filter.Proven(), filter.Listed(), letter.Known(), client.Known(), words.Known(), record.Known(),
		[]filter.Known{correspondent.Known(), filter.Trapped})
	for _, l := range c.DNSLists {
		asked := dnslist.List{Name: l.Name, Kind: dnslist.Kind(l.Kind)}
		out = append(out, asked.Known()...)
	}
	for _, s := range c.Scanners {
		asked := scanner.Config{Name: s.name(), Kind: scanner.Kind(s.Type)}
		out = append(out, asked.Known()...)
	}
	for _, r := range c.Rules {
		out = append(out, filter.Ruled(r.Name))
	}
	return out
}

// elsewhere tells names of remarks that lists, scanners and rules make which the settings do
// not have: they may have been taken out, or come later.
func elsewhere(name string) bool {
	kind, _, _ := strings.Cut(name, "_")
	return filter.IsRuled(name) || dnslist.IsNamed(name) || slices.Contains(scannerTypes(), ScannerType(kind))
}

// unknown is an entry of the settings that no remark and no check has.
type unknown struct {
	key, name string
	text      string
	perhaps   bool // it may mean something that the settings do not have
}

// unknownNames are the names in the settings of the filter that mean nothing. A misspelt one
// would do nothing without a word: what is to be on trial would count in full.
func (c *Config) unknownNames(s *filter.Scale) (out []unknown) {
	checks, names := map[string]bool{filter.Ruled("").Check: true}, make(map[string]bool)
	for _, k := range c.Remarks() {
		checks[k.Check], names[k.Name] = true, true
	}
	both := maps.Clone(names)
	maps.Copy(both, checks)
	both["all"] = true
	look := func(key, what string, list []string, known map[string]bool) {
		slices.Sort(list)
		for _, name := range list {
			if !known[name] {
				u := unknown{key: key, name: name, perhaps: elsewhere(name), text: fmt.Sprintf("%q is no %s", name, what)}
				if near := conf.Nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
					u.text += fmt.Sprintf("; did you mean %q?", near)
				}
				out = append(out, u)
			}
		}
	}
	look("filter.scores", "remark of the filter", slices.Collect(maps.Keys(s.Scores)), names)
	look("filter.caps", "check of the filter", slices.Collect(maps.Keys(s.Caps)), checks)
	look("filter.test_only", "remark and no check of the filter", slices.Collect(maps.Keys(s.TestOnly)), both)
	return out
}

func (k *checker) filterNames(s *filter.Scale) {
	for _, u := range k.c.unknownNames(s) {
		if !u.perhaps {
			k.failf(u.key, `%s; docs/FILTER.md has their names`, strings.TrimSuffix(u.text, "?"))
		}
	}
}

func (c *Config) filterWarnings() (out []string) {
	s, err := c.Filter.scale()
	if err != nil {
		return nil
	}
	for _, u := range c.unknownNames(&s) {
		if u.perhaps {
			out = append(out, fmt.Sprintf("%s: %s (no list, scanner or rule of these settings makes it)", u.key, u.text))
		}
	}
	return out
}
