package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Files are the regular files that the settings name, by absolute paths: certificates,
// keys, passwords, tables, templates. What is below the data directory, programs, and
// databases of SQLite, which can't be copied while others write to them, are none.
func (c *Config) Files() (list []string) {
	eachText(reflect.ValueOf(*c), func(text string) {
		for _, word := range strings.Split(text, ",") {
			word = strings.TrimSpace(word)
			kind, path, found := strings.Cut(word, ":/")
			if path = "/" + path; !found {
				kind, path = "", word
			}
			if filepath.IsAbs(path) && !(kind == "sqlite" && filepath.Ext(path) != ".cf") {
				list = append(list, filepath.Clean(path))
			}
		}
	})
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 != 0 || strings.HasPrefix(path, c.DataDir+"/")
	})
}

// eachText gives all texts in a value to each.
func eachText(v reflect.Value, each func(string)) {
	switch v.Kind() {
	case reflect.String:
		each(v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			eachText(v.Field(i), each)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			eachText(v.Index(i), each)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			eachText(v.MapIndex(key), each)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachText(v.Elem(), each)
		}
	}
}
