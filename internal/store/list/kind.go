package list

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/base/event"
)

// parsers are of the kinds of files.
var parsers = map[string]parser{
	"file": parseText, "texthash": parsePairs, "aliases": parseAliases,
	"cidr": parseCIDR, "regexp": parsePOSIX, "pcre": parsePerl,
	// Of a compiled table, the text that it was made of is read.
	"hash": parsePairs, "btree": parsePairs, "lmdb": parsePairs, "dbm": parsePairs, "sdbm": parsePairs, "cdb": parsePairs,
}

// compiled are the kinds that Postfix compiles.
var compiled = []string{"hash", "btree", "lmdb", "dbm", "sdbm", "cdb"}

// kinds are all that Source.From can begin with.
const kinds = "file, hash, btree, lmdb, dbm, cdb, texthash, aliases, regexp, pcre, cidr, static, inline, unix, unionmap, pipemap, " +
	"sqlite, mysql, postgres (pgsql), ldap, ldaps, ldapi, tcp or socketmap"

// cutKind cuts "proxy:hash:/path" into "hash" and "/path": that a table is asked
// through another process is Postfix's own matter.
func cutKind(from string) (kind, rest string, found bool) {
	for {
		after, is := strings.CutPrefix(from, "proxy:")
		if !is {
			break
		}
		from = after
	}
	kind, rest, found = strings.Cut(from, ":")
	switch kind {
	case "postgresql", "pgsql":
		kind = "postgres"
	case "mariadb":
		kind = "mysql"
	}
	return kind, rest, found
}

func isURL(rest string) bool { return strings.HasPrefix(rest, "//") }

// isServed tells the kinds of databases and directories: ours are URLs, Postfix's are
// files of parameters.
func isServed(kind string) bool {
	return isLDAP(kind) || kind == "postgres" || kind == "mysql"
}

func isLDAP(kind string) bool { return kind == "ldap" || kind == "ldaps" || kind == "ldapi" }

// IsRemote tells whether the list is asked over a connection, so that its answers are
// kept for CacheTime.
func (s Source) IsRemote() bool {
	kind, _, _ := cutKind(s.From)
	return isServed(kind) || kind == "tcp" || kind == "socketmap"
}

// IsLDAP tells whether the list is a URL of a directory, which takes BindDN.
func (s Source) IsLDAP() bool {
	kind, rest, _ := cutKind(s.From)
	return isLDAP(kind) && isURL(rest)
}

// IsPostgres tells whether the list is a URL of a database of PostgreSQL.
func (s Source) IsPostgres() bool {
	kind, rest, _ := cutKind(s.From)
	return kind == "postgres" && isURL(rest)
}

// TakesPassword tells whether the settings may have a password for it. In Postfix's
// files the password stands beside the query.
func (s Source) TakesPassword() bool {
	kind, rest, _ := cutKind(s.From)
	return isServed(kind) && isURL(rest)
}

// TakesTLS tells whether the way to it can be encrypted, and whether it can do without.
func (s Source) TakesTLS() (can, without bool) {
	kind, _, _ := cutKind(s.From)
	return isServed(kind), isServed(kind) && kind != "ldaps" && kind != "ldapi"
}

// Check tells what is wrong with From as far as it can be seen without opening
// anything; nil if nothing is.
func (s Source) Check() error {
	if s.From == "" {
		return nil
	}
	return s.check(0)
}

func (s Source) check(depth int) (err error) {
	kind, rest, found := cutKind(s.From)
	switch {
	case !found:
		return fmt.Errorf("expected a kind before the path, such as \"file:%s\"", s.From)
	case depth > maxNested:
		return errNested
	case isLDAP(kind) && isURL(rest):
		_, err = parseSearch(kind + ":" + rest)
	case kind == "postgres" && isURL(rest):
		_, err = parsePostgres(kind + ":" + rest)
	case kind == "mysql" && isURL(rest):
		_, err = parseMySQL(kind + ":" + rest)
	case isServed(kind):
		err = checkCF(kind, rest)
	case kind == "tcp":
		_, err = tcpHost(rest)
	case kind == "socketmap":
		_, _, err = socketmapPlace(rest)
	case kind == "unix":
		_, err = unixFile(rest)
	case kind == "inline":
		_, err = parseInline(rest)
	case kind == "unionmap" || kind == "pipemap":
		err = checkMembers(rest, depth)
	default:
		err = Unsupported(kind)
	}
	return err
}

var errNested = fmt.Errorf("tables stand in tables more than %d deep", maxNested)

func checkMembers(rest string, depth int) error {
	inside, err := braced(rest)
	if err != nil {
		return err
	}
	names, err := members(inside)
	for _, name := range names {
		err = errors.Join(err, Source{From: name}.check(depth+1))
	}
	return err
}

// checkCF refuses the oldest way to write a table, with its parameters in main.cf.
func checkCF(kind, rest string) error {
	if strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, ".") {
		return nil
	}
	if rest == "" {
		return fmt.Errorf("expected a URL or a file behind \"%s:\"", kind)
	}
	return fmt.Errorf("the parameters of \"%s:%s\" stand in main.cf, as %s_server_host or %[2]s_query; "+
		"write them into a file without that prefix, and its path here (\"facteur import postfix\" does)", kind, rest, rest)
}

// Unsupported tells why a kind of source can not be used; nil if it can.
func Unsupported(kind string) error {
	switch kind, _, _ := cutKind(kind + ":"); {
	case parsers[kind] != nil || isServed(kind):
		return nil
	case slices.Contains([]string{"sqlite", "static", "inline", "unix", "tcp", "socketmap", "unionmap", "pipemap"}, kind):
		return nil
	}
	return fmt.Errorf("%q is no kind of list; expected %s", kind, kinds)
}

// open opens a table.
func open(s Source, events event.Sink) (table, error) {
	if s.From == "" {
		return inline(s.Entries)
	}
	return openAt(s, events, 0)
}

// openAt opens a table that stands in so many others.
func openAt(s Source, events event.Sink, depth int) (table, error) {
	if err := s.check(depth); err != nil {
		return nil, err
	}
	kind, rest, _ := cutKind(s.From)
	switch {
	case rest == "":
		return nil, fmt.Errorf("%q names no source; expected one such as \"file:/etc/facteur/senders\"", s.From)
	case parsers[kind] != nil:
		return openText(s.Name, kind, rest, events)
	case isServed(kind) || kind == "sqlite":
		return openServed(s, kind, rest, events, depth)
	case kind == "tcp":
		return openTCP(s, rest, events)
	case kind == "socketmap":
		return openSocketmap(s, rest, events)
	}
	return openSmall(s, kind, rest, events, depth)
}

// openServed opens a table in a database or a directory.
func openServed(s Source, kind, rest string, events event.Sink, depth int) (table, error) {
	if isURL(rest) {
		s.From = kind + ":" + rest
	}
	switch {
	case isLDAP(kind) && isURL(rest):
		return openDirectory(s, events)
	case kind == "postgres" && isURL(rest):
		return openPostgres(s, events)
	case kind == "mysql" && isURL(rest):
		return openMySQL(s, events)
	case kind == "sqlite" && strings.Contains(rest, "?query="):
		return openQuery(rest)
	case kind == "sqlite":
		return openSQLiteFile(rest, events, depth)
	case kind == "postgres":
		return openPostgresFile(s, rest, events, depth)
	case kind == "mysql":
		return openMySQLFile(s, rest, events, depth)
	}
	return openLDAPFile(s, rest, events, depth)
}

// openSmall opens the kinds that ask nobody, or only other tables.
func openSmall(s Source, kind, rest string, events event.Sink, depth int) (table, error) {
	switch kind {
	case "static":
		if bare, err := braced(rest); err == nil {
			rest = bare
		}
		return fixed{constant(rest)}, nil
	case "inline":
		m, err := parseInline(rest)
		return fixed{m}, err
	case "unix":
		path, err := unixFile(rest)
		if err != nil {
			return nil, err
		}
		return openFile(s.Name, path, parseUnix, events)
	}
	all, err := openMembers(rest, events, depth)
	if kind == "pipemap" {
		return pipe{all}, err
	}
	return union{all}, err
}

// openText opens a file of lines.
func openText(name, kind, path string, events event.Sink) (table, error) {
	f, err := openFile(name, path, parsers[kind], events)
	if errors.Is(err, os.ErrNotExist) && slices.Contains(compiled, kind) {
		return nil, fmt.Errorf("%w: of a compiled table the text is read that it was made of; \"postmap -s %s:%s > %s\" of Postfix writes it anew", err, kind, path, path)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Absolute makes the path of a source count from a directory.
func Absolute(from, dir string) string {
	kind, rest, found := cutKind(from)
	isCF := isServed(kind) && strings.HasPrefix(rest, ".")
	if !found || rest == "" || filepath.IsAbs(rest) || parsers[kind] == nil && kind != "sqlite" && !isCF {
		return from
	}
	path, query, asked := strings.Cut(rest, "?")
	if path = filepath.Join(dir, path); asked {
		path += "?" + query
	}
	return kind + ":" + path
}

// Aliases is a table as alias_maps has it: whatever kind of file it names, its lines
// are those of aliases(5).
func Aliases(from string) string {
	kind, rest, _ := cutKind(from)
	if slices.Contains(compiled, kind) || kind == "file" || kind == "texthash" {
		return "aliases:" + rest
	}
	return from
}
