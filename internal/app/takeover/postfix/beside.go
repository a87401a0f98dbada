package postfix

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
)

// assignment is a line NAME=value of a file that a shell reads.
type assignment struct {
	value string
	line  int
}

func (a assignment) where(file string) string {
	if a.line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", file, a.line)
}

// shell reads the assignments of /etc/default files.
func shell(text string) map[string]assignment {
	out := map[string]assignment{}
	for n, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		name, value, found := strings.Cut(l, "=")
		if !found || strings.HasPrefix(l, "#") || strings.ContainsAny(name, " \t") {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		out[name] = assignment{value, n + 1}
	}
	return out
}

// besideText is a file beside Postfix's; "" if it is not there.
func (i *importer) besideText(path string) string {
	text, err := i.file(path)
	if err != nil {
		return ""
	}
	return text
}

// saslauthd is where saslauthd is asked, if it is that which checks passwords, and whether
// it asks for whole addresses.
func (i *importer) saslauthd() (password string, realm bool) {
	file := filepath.Join(i.o.Dir, "sasl", "smtpd.conf")
	method := ""
	for _, l := range Lines(i.besideText(file)) {
		name, value, _ := strings.Cut(l.Text, ":")
		value = strings.TrimSpace(value)
		line := takeover.Line{File: file, Line: l.Line, Text: oneLine(l.Text), Verdict: takeover.Understood, Key: "directory.password"}
		switch strings.TrimSpace(name) {
		case "pwcheck_method":
			method = value
			if !strings.HasPrefix(value, "saslauthd") {
				line.Verdict, line.Why = takeover.NotSupported, "passwords of "+value+" are to be set anew (facteur account password), or read by a [[directory]]"
			}
		case "mech_list":
			line.Verdict, line.Key, line.Why = takeover.Replaced, "auth.mechanisms", "what can be checked is offered"
		case "saslauthd_path":
			line.Why = "the path of its socket"
		default:
			line.Verdict, line.Key, line.Why = takeover.NotSupported, "", "facteur asks saslauthd, LDAP and SQL by [[directory]]"
		}
		if strings.Contains(name, "passw") {
			line.Text = name + ": …"
		}
		i.t.Report.Add(line)
	}
	settings := filepath.Join(filepath.Dir(i.o.Dir), "default", "saslauthd")
	values := shell(i.besideText(settings))
	if !strings.HasPrefix(method, "saslauthd") {
		return "", false
	}
	dir, realm := saslauthdOptions(strings.Fields(values["OPTIONS"].value))
	return "saslauthd:" + filepath.Join(dir, "mux"), realm
}

// saslauthdOptions reads saslauthd(8)'s: -m, where its socket is, and -r, that it keeps the
// realm and so asks for whole addresses.
func saslauthdOptions(words []string) (dir string, realm bool) {
	const valued = "aOmnst" // options that take a value, in their word or the next one
	dir = "/run/saslauthd"
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if word == "--" || !strings.HasPrefix(word, "-") {
			return dir, realm
		}
		for at, letter := range word[1:] {
			if !strings.ContainsRune(valued, letter) {
				realm = realm || letter == 'r'
				continue
			}
			value := word[1+at+1:]
			if value == "" && len(words) > 0 {
				value, words = words[0], words[1:]
			}
			if letter == 'm' && value != "" {
				dir = value
			}
			break
		}
	}
	return dir, realm
}

// beside is what is said of one setting of another program's file.
type beside struct {
	verdict  takeover.Verdict
	key, why string
	// take puts the value into the settings, and says what is wrong with it; nil: nothing
	// is taken over.
	take func(i *importer, value string) (problem string)
}

// other is a program whose configuration stands in the directory above Postfix's.
type other struct {
	files  []string // below that directory; patterns
	divide string   // what stands between a name and its value
	known  map[string]beside
	rest   beside // what is said of any other setting
}

const (
	waitsSpam = "levels for spam come with facteur's filter"
)

var others = []other{
	{[]string{"default/postsrsd"}, "=", map[string]beside{
		"SRS_DOMAIN": {verdict: takeover.Understood, key: "forwarding.srs_domain", why: ""}, "SRS_EXCLUDE_DOMAINS": {verdict: takeover.Understood, key: "forwarding.srs_exclude_domains", why: ""},
		"SRS_SECRET": {verdict: takeover.Understood, key: "forwarding.srs_secrets", why: ""}, "SRS_HASHLENGTH": {verdict: takeover.Understood, key: "forwarding.srs_hash_length", why: "of 4 to 27; what is less counts as 4"},
	}, beside{verdict: takeover.NotNeeded, key: "", why: "SRS is part of the server"}},
	{[]string{"default/saslauthd"}, "=", map[string]beside{
		"OPTIONS":    {verdict: takeover.Understood, key: "directory.password", why: "the path of its socket, and whether it keeps domains (-r)"},
		"MECHANISMS": {verdict: takeover.NotNeeded, key: "", why: "saslauthd goes on, and knows it"},
	}, beside{verdict: takeover.NotNeeded, key: "", why: "saslauthd goes on as it is"}},
	{[]string{"amavis/conf.d/*"}, "=", map[string]beside{}, beside{verdict: takeover.Waits, key: "", why: waitsSpam}},
}

// besides reports what stands beside Postfix.
func (i *importer) besides() {
	for _, o := range slices.Concat(others, checkers()) {
		for _, pattern := range o.files {
			paths, _ := filepath.Glob(filepath.Join(filepath.Dir(i.o.Dir), filepath.FromSlash(pattern)))
			for _, path := range paths {
				i.beside(o, path)
			}
		}
	}
	i.opendkim()
	i.withoutLevels()
	i.withoutRejects()
}

func (i *importer) beside(o other, path string) {
	text, err := i.file(path)
	if err != nil {
		i.t.Report.Add(takeover.Line{File: path, Verdict: takeover.NotSupported, Why: err.Error()})
		return
	}
	for n, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' || l == "1;" || l == "use strict;" {
			continue
		}
		name, value, _ := strings.Cut(oneLine(l), o.divide)
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		said, known := o.known[name]
		if !known {
			said = o.rest
		}
		line := takeover.Line{File: path, Line: n + 1, Text: oneLine(l), Verdict: said.verdict, Key: said.key, Why: said.why}
		if said.take != nil {
			value, _, _ := strings.Cut(value, "#")
			if problem := said.take(i, strings.TrimSpace(value)); problem != "" {
				line.Verdict, line.Why = takeover.NotSupported, problem
			}
		}
		if lower := strings.ToLower(l); strings.Contains(lower, "passw") || strings.Contains(lower, "dbi:") {
			line.Text = name + " …"
		}
		i.t.Report.Add(line)
	}
}
