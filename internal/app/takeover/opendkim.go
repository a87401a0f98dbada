package takeover

import (
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/store/dkimkey"
)

// OpenDKIMKey is a key of an opendkim.
type OpenDKIMKey struct {
	// Name is by which its SigningTable calls it; "" where there is no table.
	Name             string
	Domain, Selector string
	File             string
	Private          crypto.Signer
	Text             []byte // the file
	// Own: it signs the letters of its own domain. For are the authors whose letters it
	// signs beside those.
	Own bool
	For []string
	// Err is why it can't be taken over.
	Err error
}

// opendkimMax is the largest file of an opendkim that is read, in bytes, keysMax how many
// keys are.
const opendkimMax, keysMax = 16 << 20, 10_000

// ReadOpenDKIM reads the keys of an opendkim.conf(5), or of a KeyTable. What can't be used
// of it is told in remarks.
func ReadOpenDKIM(path string) (keys []OpenDKIMKey, remarks []string, err error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, nil, err
	}
	settings := opendkimSettings(string(text))
	switch table := settings["keytable"]; {
	case table != "":
		if keys, err = readKeyTable(tableFile(path, table)); err != nil {
			return nil, nil, err
		}
	case settings["keyfile"] != "":
		keys, remarks = singleKeys(settings)
	case isKeyTable(string(text)):
		keys = parseKeyTable(filepath.Dir(path), string(text))
	default:
		return nil, nil, fmt.Errorf("%s names neither KeyTable nor KeyFile, and is no KeyTable itself (lines \"NAME DOMAIN:SELECTOR:FILE\")", path)
	}
	if table := settings["signingtable"]; table != "" {
		signing, err := readBounded(tableFile(path, table))
		if err != nil {
			return nil, nil, err
		}
		remarks = append(remarks, signFor(keys, string(signing))...)
	} else {
		for i := range keys {
			keys[i].Own = true
		}
	}
	for i := range keys {
		keys[i].read()
	}
	return keys, remarks, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > opendkimMax {
		return nil, fmt.Errorf("%s is no file of less than %d bytes", path, opendkimMax)
	}
	return os.ReadFile(path)
}

// opendkimSettings are the settings of an opendkim.conf, by their names in lower case.
func opendkimSettings(text string) map[string]string {
	settings := map[string]string{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if name, value, ok := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " "); ok {
			settings[strings.ToLower(name)] = strings.TrimSpace(value)
		}
	}
	return settings
}

// tableFile is the file of a table: "refile:/path", "file:/path", "/path".
func tableFile(conf, table string) string {
	for _, kind := range []string{"refile:", "file:", "csl:"} {
		table = strings.TrimPrefix(table, kind)
	}
	return besideFile(conf, table)
}

func besideFile(conf, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(conf), path)
}

func readKeyTable(path string) ([]OpenDKIMKey, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return parseKeyTable(filepath.Dir(path), string(text)), nil
}

// tableLines are the entries of a table: a key, and what follows it.
func tableLines(text string, fn func(key, value string)) {
	n := 0
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) > 1 && n < keysMax {
			n++
			fn(words[0], strings.Join(words[1:], ""))
		}
	}
}

func isKeyTable(text string) bool {
	found := false
	tableLines(text, func(_, value string) { found = found || strings.Count(value, ":") == 2 })
	return found
}

// parseKeyTable reads lines "NAME DOMAIN:SELECTOR:FILE".
func parseKeyTable(dir, text string) (keys []OpenDKIMKey) {
	tableLines(text, func(name, value string) {
		parts := strings.SplitN(value, ":", 3)
		if len(parts) != 3 {
			keys = append(keys, OpenDKIMKey{Name: name, Err: fmt.Errorf("%q; expected DOMAIN:SELECTOR:FILE", value)})
			return
		}
		keys = append(keys, OpenDKIMKey{Name: name, Domain: parts[0], Selector: parts[1], File: besideFile(filepath.Join(dir, "x"), parts[2])})
	})
	return keys
}

// singleKeys are the keys of Domain, Selector and KeyFile.
func singleKeys(settings map[string]string) (keys []OpenDKIMKey, remarks []string) {
	for domain := range strings.SplitSeq(settings["domain"], ",") {
		domain = strings.TrimSpace(domain)
		if domain == "" || strings.ContainsAny(domain, "/*") {
			remarks = append(remarks, fmt.Sprintf("Domain %q is no list of domains; name the domain with \"facteur dkim import\" of a KeyTable", settings["domain"]))
			continue
		}
		keys = append(keys, OpenDKIMKey{Domain: domain, Selector: settings["selector"], File: settings["keyfile"]})
	}
	return keys, remarks
}

// signFor notes for whom keys sign beside their own domain: lines "PATTERN NAME".
func signFor(keys []OpenDKIMKey, text string) (remarks []string) {
	tableLines(text, func(pattern, name string) {
		name, _, _ = strings.Cut(name, ":") // a signer (i=) may follow
		for i := range keys {
			k := &keys[i]
			if k.Name != name {
				continue
			}
			if own := strings.ToLower(k.Domain); pattern == "*@"+own || pattern == own {
				k.Own = true
			} else {
				k.For = append(k.For, pattern)
			}
			return
		}
		remarks = append(remarks, fmt.Sprintf("SigningTable: %s: there is no key %s", pattern, name))
	})
	return remarks
}

// read reads the private key.
func (k *OpenDKIMKey) read() {
	if k.Err != nil {
		return
	}
	if k.Domain == "%" {
		k.Err = fmt.Errorf("it signs for whatever domain the author has; write it as a [[dkim_key]]")
		return
	}
	if _, k.Err = address.CanonicalDomain(k.Domain); k.Err != nil {
		return
	}
	if !k.Own && len(k.For) == 0 { // an old one, perhaps, whose record is gone
		k.Err = fmt.Errorf("no line of the SigningTable uses it")
		return
	}
	if k.Text, k.Err = readBounded(k.File); k.Err == nil {
		k.Private, _, k.Err = dkimkey.ParsePrivate(k.Text)
	}
}
