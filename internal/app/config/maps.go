package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/store/list"
)

// Maps are tables that are asked in their order. Each is the name of a [[list]], or a
// source as list.source has it, such as "hash:/etc/postfix/virtual".
type Maps []string

// Form says what may be written.
func (Maps) Form() string {
	return `a table such as "hash:/etc/postfix/virtual" or the name of a [[list]], or several in brackets`
}

// eachMaps visits every setting of the type Maps, with its key.
func eachMaps(v reflect.Value, key string, visit func(key string, m Maps)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Tag.Get("toml"); name != "" {
				eachMaps(v.Field(i), strings.TrimPrefix(key+"."+name, "."), visit)
			}
		}
	case reflect.Slice:
		if m, ok := v.Interface().(Maps); ok {
			visit(key, m)
			return
		}
		if v.Type().Elem().Kind() != reflect.Struct {
			return
		}
		for i := range v.Len() {
			eachMaps(v.Index(i), fmt.Sprintf("%s[%d]", key, i), visit)
		}
	}
}

// mapSources are the tables that only stand in settings, by the text that stands there.
func (c *Config) mapSources() (out []list.Source) {
	seen := c.ListNames()
	eachMaps(reflect.ValueOf(*c), "", func(_ string, m Maps) {
		for _, entry := range m {
			if !slices.Contains(seen, entry) {
				seen = append(seen, entry)
				out = append(out, list.Source{Name: entry, From: c.absolute(entry)})
			}
		}
	})
	for _, entry := range c.aliasTables() {
		if !slices.Contains(seen, entry) {
			seen = append(seen, entry)
			out = append(out, list.Source{Name: entry, From: entry})
		}
	}
	for _, entry := range c.wayTables() {
		if !slices.Contains(seen, entry) {
			seen = append(seen, entry)
			s := c.waySource(entry)
			s.Name = entry
			out = append(out, s)
		}
	}
	return out
}

// maps checks the tables of all settings, without asking any server.
func (k *checker) maps() {
	names := k.c.ListNames()
	eachMaps(reflect.ValueOf(*k.c), "", func(key string, m Maps) {
		for i, entry := range m {
			if slices.Contains(names, entry) {
				continue
			}
			if err := k.entry(entry); err != nil {
				text := err.Error()
				if near := conf.Nearest(entry, names); near != "" {
					text += `; did you mean "` + near + `"?`
				}
				k.failf(indexed(key, i), "%s", text)
			}
		}
	})
}

// indexed is the key of an element.
func indexed(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

func (k *checker) entry(s string) error {
	if !strings.Contains(s, ":") {
		return fmt.Errorf("there is no list %q; expected the name of a [[list]], or a table such as \"hash:/etc/postfix/virtual\"", s)
	}
	return list.Source{Name: s, From: s}.Check()
}
