package postfix

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"facteur/internal/app/config"
	"facteur/internal/app/takeover"
	"facteur/internal/base/conf"
	"facteur/internal/base/event"
	"facteur/internal/mail/aliases"
	"facteur/internal/store/list"
)

// table is one table that main.cf or master.cf names.
type table struct {
	given   string // as it stood
	source  string // as facteur has it; "" if it can not be used
	path    string // its text; "" if it has none
	entries []pair // of its text; nil if it has none that could be read
	users   []string
	trouble string
	flawed  []list.Mistake // lines that wait to be mended
}

// pair is a line "key value" of a table.
type pair struct {
	Key, Value string
	Line       int
}

// compiled are kinds of which facteur reads the text beside.
var compiled = []string{"hash", "btree", "lmdb", "dbm", "sdbm", "cdb", "texthash"}

// servers are kinds whose settings are in a file of their own, or in main.cf.
var servers = []string{"ldap", "mysql", "pgsql", "sqlite", "memcache"}

// use reads a table that a parameter names, once.
func (i *importer) use(name, given string) *table {
	for _, t := range i.tables {
		if t.given == given {
			if !slices.Contains(t.users, name) {
				t.users = append(t.users, name)
			}
			return t
		}
	}
	t := &table{given: given, users: []string{name}}
	i.tables = append(i.tables, t)
	kind, rest, _ := strings.Cut(strings.TrimPrefix(given, "proxy:"), ":")
	switch {
	case slices.Contains(compiled, kind) || kind == "cidr" || kind == "regexp" || kind == "pcre":
		if strings.HasPrefix(rest, "{") { // regexp:{{/pattern/ value}}
			t.source = kind + ":" + rest
			break
		}
		t.path = i.absolute(rest)
		t.source = kind + ":" + t.path
		i.readText(t, kind, t.path)
	case slices.Contains(servers, kind) && strings.Contains(rest, "/"):
		t.path = i.absolute(rest)
		t.source = kind + ":" + t.path
		if _, err := os.Stat(t.path); err != nil {
			t.trouble = "the file is not there"
		}
	case slices.Contains(servers, kind):
		t.source = kind + ":" + i.inMain(t, kind, rest)
	default:
		t.source = kind + ":" + rest
	}
	i.check(t)
	return t
}

// check asks store/list whether it can use the table.
func (i *importer) check(t *table) {
	if t.trouble == "" {
		if err := (list.Source{Name: t.given, From: t.source}).Check(); err != nil {
			t.trouble = err.Error()
		} else if t.entries != nil && !t.isAliases() {
			set, err := list.Open([]list.Source{{Name: "it", From: t.source}}, event.Discard)
			if err != nil {
				t.trouble = strings.TrimPrefix(err.Error(), `list "it": `)
			} else {
				t.flawed = set.Mistakes()
				set.Close()
			}
		}
	}
	if t.trouble != "" {
		t.source = ""
	}
}

// isAliases tells that the lines are those of aliases(5).
func (t *table) isAliases() bool { return slices.Contains(t.users, "alias_maps") }

// isText tells that the table is lines "key value", and not patterns or networks.
func (t *table) isText() bool {
	kind, _, _ := strings.Cut(t.source, ":")
	return slices.Contains(compiled, kind)
}

// badAliases tells of the lines of an aliases file that aliases(5) does not have: mail for
// the name before the colon would find nobody.
func (i *importer) badAliases(t *table) {
	text, err := i.file(t.path)
	if err != nil {
		return // that is told already
	}
	for _, l := range Lines(text) {
		_, values, err := aliases.Cut(l.Text)
		if err == nil {
			_, err = aliases.Parse(values)
		}
		if err != nil {
			i.t.Report.Add(takeover.Line{File: t.path, Line: l.Line, Text: oneLine(l.Text), Verdict: takeover.NotSupported, Key: "addresses.alias_maps", Why: err.Error()})
		}
	}
}

// readText reads the lines of a table that is a text.
func (i *importer) readText(t *table, kind, path string) {
	text, err := i.file(path)
	if err != nil {
		t.trouble = "the text can't be read: " + err.Error()
		if _, err := os.Stat(path + ".db"); err == nil {
			t.trouble += "; only the compiled table is there (postmap -s writes its entries out)"
		}
		return
	}
	t.entries = []pair{}
	for _, l := range Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(oneLine(l.Text)), " ")
		if kind != "cidr" && kind != "regexp" && kind != "pcre" {
			key = strings.ToLower(strings.Trim(key, `"`))
		}
		t.entries = append(t.entries, pair{key, strings.TrimSpace(value), l.Line})
	}
}

// inMain writes the settings of a table on a server that stand in main.cf
// ("name_server_host = …") to a file of their own, and gives its name.
func (i *importer) inMain(t *table, kind, name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# From %s: what it said of %s:%s.\n", i.mainFile(), kind, name)
	file := "postfix-" + name + ".cf"
	for n, p := range i.main {
		key, is := strings.CutPrefix(p.Name, name+"_")
		if !is || p.Err != nil || i.counts[p.Name] != n {
			continue
		}
		fmt.Fprintf(&b, "%s = %s\n", key, oneLine(i.value(p.Name)))
		i.note(p.Name, takeover.Understood, "", "in the file "+file)
	}
	if i.o.Settings == "" {
		t.trouble = "its settings stand in main.cf, and have to go to a file: write facteur.toml to a file too, not to the screen"
		return file
	}
	i.t.Secrets = append(i.t.Secrets, takeover.Secret{Name: file, Text: []byte(b.String())})
	return filepath.Join(i.o.Settings, file)
}

// maps are the tables of a parameter that facteur can use.
func (i *importer) maps(name string) (out []string) {
	for _, word := range i.words(name) {
		if !isTable(word) {
			i.note(name, takeover.NotSupported, "", word+" is no table")
			continue
		}
		if strings.HasPrefix(word, "nis:") || strings.HasPrefix(word, "netinfo:") {
			if i.isSet(name) {
				i.note(name, takeover.NotSupported, "", word+": there is no NIS here")
			}
			continue
		}
		t := i.use(name, unbrace(word))
		switch {
		case t.trouble != "":
			i.note(name, takeover.NotSupported, "", word+" is left out: "+t.trouble)
		case (t.entries == nil || !t.isText()) && onlyTexts(name):
			i.note(name, takeover.NotSupported, "", word+" is left out: only tables that are made of a text of keys are read here; [[relay]] and [[tls_policy]] can say the same")
		default:
			out = append(out, t.source)
		}
	}
	return out
}

// onlyTexts tells that a parameter's setting takes files of lines, and no other tables.
func onlyTexts(name string) bool {
	p, found := parameterOf(name)
	v, known := lookUp(reflect.ValueOf(config.Config{}), p.key)
	return found && known && v.Type() == reflect.TypeFor[conf.Strings]()
}

// list is the name of a [[list]] for a table, which is declared at first use.
func (i *importer) list(name, source string) (string, bool) {
	t := i.use(name, source)
	if t.trouble != "" {
		i.note(name, takeover.NotSupported, "", source+" can't be used: "+t.trouble)
		return "", false
	}
	if known := i.lists[t.source]; known != "" {
		return known, true
	}
	base := filepath.Base(t.path)
	if t.path == "" {
		base, _, _ = strings.Cut(t.source, ":")
	}
	listed := i.unused(strings.TrimSuffix(base, ".cf"))
	l := i.t.Settings.Append("list")
	l.Set("name", listed, "")
	l.Set("source", t.source, "")
	i.lists[t.source] = listed
	return listed, true
}

// reportTables says what became of the tables.
func (i *importer) reportTables() {
	for _, t := range i.tables {
		l := takeover.Line{File: t.path, Verdict: takeover.Understood, Why: "for " + strings.Join(t.users, ", ")}
		if t.path == "" {
			l.File = t.given
		}
		if t.entries != nil {
			l.Why = fmt.Sprintf("%d entries, %s; the text is read where it stands", len(t.entries), l.Why)
		}
		if t.trouble != "" {
			l.Verdict, l.Why = takeover.NotSupported, t.trouble+"; "+l.Why
		}
		i.t.Report.Add(l)
		if t.entries != nil && t.isAliases() {
			i.badAliases(t)
		}
		for _, m := range t.flawed {
			i.t.Report.Add(takeover.Line{File: m.Path, Line: m.Line, Text: m.Key, Verdict: takeover.NotSupported, Why: m.Err.Error() + "; what the line is for waits until it is right"})
		}
	}
}
