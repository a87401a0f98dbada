package list

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/test/doubling"
)

// said is a sink that keeps the lines.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) Emit(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, text := e.Line()
	s.lines = append(s.lines, text)
}

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list")
	rewrite(t, path, text, time.Minute)
	return path
}

// rewrite writes a file that was left alone for some time.
func rewrite(t testing.TB, path, text string, ago time.Duration) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(-ago)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

func one(t testing.TB, from string) *Set {
	t.Helper()
	s, err := Open([]Source{{Name: "l", From: from}}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// show is an answer in a word.
func show(a lookup.Answer[string]) string {
	if a.State() == lookup.Found {
		return a.Value()
	}
	return a.State().String()
}

func check(t *testing.T, s *Set, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if got := show(s.Lookup(t.Context(), "l", key)); got != value {
			t.Errorf("%q: %s, want %s", key, got, value)
		}
	}
}

const no = "not found"

func TestText(t *testing.T) {
	t.Parallel()
	path := write(t, "# comment\n\nBob@Example.org   REJECT no\n  more\n# in between\n\tand more\r\nalice@example.org\n"+
		"\"with blank\" OK\n192.0.2.0/24 net\n192.0.2.128/25 half\nbob@example.org second\n[2001:db8::]/32 six\n")
	for _, kind := range []string{"file:"} {
		check(t, one(t, kind+path), map[string]string{
			"bob@example.org": "REJECT no more and more", "BOB@example.ORG": "REJECT no more and more", "alice@example.org": "",
			"with blank": "OK", "carol": no, "": no, "192.0.2.1": "net", "192.0.2.129": "half", "192.0.3.1": no,
			"2001:db8::5": "six", "::ffff:192.0.2.1": "net", "# comment": no, strings.Repeat("x", 1<<20): no,
		})
	}
}

// In the files that Postfix compiles, a key without a value is none, and a network is a
// text.
func TestCompiledKindsReadTheirText(t *testing.T) {
	t.Parallel()
	path := write(t, "bob@example.org one\nalice@example.org\n192.0.2.0/24 net\nBob@example.org two\n")
	for _, kind := range []string{"hash", "btree", "lmdb", "dbm", "sdbm", "cdb", "texthash", "proxy:hash"} {
		t.Run("row 59 "+kind, func(t *testing.T) {
			check(t, one(t, kind+":"+path), map[string]string{"BOB@example.org": "one", "alice@example.org": no, "192.0.2.1": no, "192.0.2.0/24": "net"})
		})
	}
	_, err := Open([]Source{{Name: "l", From: "hash:/nowhere/virtual"}}, event.Discard)
	if err == nil || !strings.Contains(err.Error(), `"postmap -s hash:/nowhere/virtual > /nowhere/virtual" of Postfix writes it anew`) {
		t.Error(err)
	}
}

func TestInline(t *testing.T) {
	t.Parallel()
	s, err := Open([]Source{{Name: "l", Entries: []string{"Bob x", "10.0.0.0/8 net"}}, {Name: "other", Entries: []string{"bob y"}}}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	check(t, s, map[string]string{"bob": "x", "BOB": "x", "10.1.2.3": "net", "eve": no})
	if got := show(s.Lookup(t.Context(), "other", "bob")); got != "y" {
		t.Errorf("another list's answer: %q", got)
	}
	if got := s.Lookup(t.Context(), "none", "bob"); got.State() != lookup.TryAgain {
		t.Errorf("a list that is none: %v", got)
	}
	if s.Has("none") || !s.Has("other") || (*Set)(nil).Has("l") {
		t.Error("Has")
	}
}

func TestCIDR(t *testing.T) {
	t.Parallel()
	check(t, one(t, "cidr:"+write(t, "192.0.2.1 one\n192.0.2.0/24 net\n192.0.2.128/25 never\n192.0.2.0/24 second\n0.0.0.0/0 all\n2001:db8::/32 six\n")), map[string]string{
		"192.0.2.200": "net", "192.0.2.1": "one", "192.0.2.2": "net", "198.51.100.1": "all", "2001:db8:1::1": "six", "2001:db9::1": no, "x": no, "192.0.2": no,
	})
	check(t, one(t, "cidr:"+write(t, "if 192.0.2.0/24\n192.0.2.1 one\nif !192.0.2.128/25\n0.0.0.0/0 low\nendif\nendif\n!192.0.2.0/24 else\n2001:db8::/32 six\n")), map[string]string{
		"192.0.2.1": "one", "192.0.2.2": "low", "192.0.2.129": no, "192.0.3.1": "else", "2001:db8::1": "six",
	})
}

func TestRegexp(t *testing.T) {
	t.Parallel()
	check(t, one(t, "regexp:"+write(t, `# patterns
/^postmaster@/       OK
!/@/                 no address
if /@example\.org$/
if !/^(alice|bob)@/
/^(.*)\+(.*)@/       $2 of $(1)x
    /^never/ continued
endif
if /^carol@/
/./i                 carol
endif
/^(a)(b)@/           ${2}$1
/^Eve@/i             case
endif
/a\/b/               slash
|^x.y@|              pipe
`)), map[string]string{
		"POSTMASTER@x": "OK", "nobody": "no address", "carol+list@example.org": "list of carolx /^never/ continued", "carol@example.org": "carol",
		"ab@example.org": "ba", "eve@example.org": no, "Eve@example.org": "case", "carol@example.net": no, "a/b@c": "slash", "x|y@c": "pipe",
	})
}

// What an admin reads when a list is wrong: file, line, what was expected.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ from, text, want string }{
		{"cidr:", "192.0.2.0/24 x\n192.0.2.1/24 x\n", ":2: 192.0.2.1/24 has bits beyond its length; did you mean 192.0.2.0/24?"},
		{"cidr:", "example.org x\n", ":1: expected a network"},
		{"regexp:", "/a/ x\n/(/ y\n", ":2: pattern"},
		{"regexp:", "/a/q y\n", ":1: unknown flag"},
		{"regexp:", "a y\n", ":1: expected a pattern between delimiters"},
		{"regexp:", "/a y\n", ":1: expected a pattern between delimiters"},
		{"regexp:", "if /a/\n/b/ x\n", "an if has no endif"},
		{"regexp:", "endif\n", ":1: endif without if"},
		{"regexp:", "!/(a)/ $1\n", ":1: a pattern that must not match"},
		{"regexp:", `/(a)\1/ x`, ":1: pattern"},
		{"cidr:", "if 192.0.2.0/24\n", "an if has no endif"},
		{"cidr:", "endif\n", ":1: endif without if"},
		{"pcre:", "/(?=a)b/ x\n", ":1: pattern \"(?=a)b\": RE2, whose patterns are known here, has not look-ahead"},
		{"pcre:", "/a++b/ x\n", "possessive quantifier"},
		{"pcre:", "/(a)/ $2\n", ":1: $2 stands in the value, and the pattern has 1 groups"},
		{"pcre:", "/(a)/ $x\n", `expected $1, ${1} or $(1) in the value`},
		{"regexp:", "/a/s y\n", ":1: unknown flag \"s\" after the pattern; expected i, m or x"},
		{"mysql:", "", "expected a user and a dbname"},
		{"fil:", "", "is no kind of list"},
		{"", "", "expected a kind before the path"},
	} {
		_, err := Open([]Source{{Name: "l", From: test.from + write(t, test.text)}}, event.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `list "l": `) {
			t.Errorf("%s %q: %v, want %s", test.from, test.text, err, test.want)
		}
	}
	if _, err := Open([]Source{{Name: "l", From: "file:/nowhere/at all"}}, event.Discard); !os.IsNotExist(unwrap(err)) {
		t.Errorf("no file: %v", err)
	}
}

func unwrap(err error) error {
	for {
		switch e := err.(type) {
		case interface{ Unwrap() []error }:
			err = e.Unwrap()[0]
		case interface{ Unwrap() error }:
			if os.IsNotExist(err) {
				return err
			}
			err = e.Unwrap()
		default:
			return err
		}
	}
}

// A file is read again when it changed and was left alone; a broken one leaves what
// was there, and is told of once.
func TestFilesChange(t *testing.T) {
	t.Parallel()
	path := write(t, "a 1\n")
	log := &said{}
	f, err := openFile("l", path, parseText, log)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	expect := func(what, want string, notes int) {
		t.Helper()
		for range 2 {
			now = now.Add(2 * glance)
			f.refresh(now)
		}
		if value, _ := (*f.table.Load()).match("a"); value != want || len(log.lines) != notes {
			t.Errorf("%s: %q, want %q; told %q", what, value, want, log.lines)
		}
	}
	expect("nothing happened", "1", 0)
	rewrite(t, path, "a 2\n", 30*time.Second)
	expect("changed", "2", 1)
	rewrite(t, path, "a 2.5\n", 28*time.Second)
	now = now.Add(2 * glance)
	f.refresh(now)
	if value, _ := (*f.table.Load()).match("a"); value != "2.5" {
		t.Error("on a quiet server the first look-up finds what was there before")
	}
	rewrite(t, path, "a 2\n", 27*time.Second)
	expect("changed back", "2", 3)
	rewrite(t, path, "", time.Since(now))
	now = now.Add(glance)
	f.refresh(now) // somebody truncated it, and writes it anew
	rewrite(t, path, "\"b c\n\"d", 20*time.Second)
	expect("broken", "2", 4)
	expect("still broken", "2", 4)
	rewrite(t, path, "a 4\n", 10*time.Second)
	expect("mended", "4", 5)
	os.Remove(path)
	expect("gone", "4", 6)
	expect("still gone", "4", 6)
	rewrite(t, path, "a 5\n", 10*time.Second)
	expect("back", "5", 7)
	if !strings.Contains(log.lines[3], `list "l": `+path+":1: the key has no closing quote; no line can be used; what was read before stays in use") {
		t.Errorf("it says %q", log.lines[3])
	}
}

func database(t *testing.T) (path string, db *sql.DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a list?.db")
	db, err := sql.Open("sqlite", "file:"+strings.ReplaceAll(path, "?", "%3f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec("CREATE TABLE t (key TEXT, value TEXT); INSERT INTO t VALUES ('bob', 'x'), ('two', 'a'), ('two', 'b'), ('null', NULL)"); err != nil {
		t.Fatal(err)
	}
	return path, db
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	path, db := database(t)
	s := one(t, "sqlite:"+path+"?query=SELECT value, key FROM t WHERE key = ? OR value IS ? || 'none'")
	check(t, s, map[string]string{"bob": "x", "two": "a,b", "eve": no, "null": ""})
	for _, key := range []string{"' OR '1'='1", `"`, `\`, ";--", "%", "_", "ʼ", strings.Repeat("x", 10<<10), "bob\x00"} {
		if got := s.Lookup(t.Context(), "l", key); got.State() != lookup.NotFound {
			t.Errorf("MAP-002 %q: %s", key, show(got))
		}
	}
	if _, err := db.Exec("DROP TABLE t"); err != nil {
		t.Fatal(err)
	}
	if got := s.Lookup(t.Context(), "l", "bob"); got.State() != lookup.TryAgain {
		t.Errorf("MAP-004: a database that fails says %s", show(got))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := s.Lookup(ctx, "l", "eve"); got.State() != lookup.TryAgain {
		t.Errorf("MAP-004: a database that does not answer says %s", show(got))
	}
}

func TestSQLiteMistakes(t *testing.T) {
	t.Parallel()
	path, _ := database(t)
	for query, want := range map[string]string{
		"": "the query is missing",
		"?query=SELECT value FROM t WHERE key = '%s'":            "neither",
		"?query=SELECT value FROM t":                             "for the key",
		"?query=DELETE FROM t WHERE key = ?":                     "begins with SELECT",
		"?query=SELECT value FROM t WHERE key = ?; DROP TABLE t": "one statement",
		"?query=SELECT nosuch FROM t WHERE key = ?":              "no such column",
		"?query=SELECT value FROM t WHERE":                       "for the key",
	} {
		if _, err := Open([]Source{{Name: "l", From: "sqlite:" + path + query}}, event.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("MAP-002 %q: %v, want %s", query, err, want)
		}
	}
	if _, err := Open([]Source{{Name: "l", From: "sqlite:/nowhere/x.db?query=SELECT value FROM t WHERE key = ?"}}, event.Discard); err == nil {
		t.Error("no database, and no error")
	}
}

// Look-ups and changes at the same time.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	path := write(t, "a 1\n")
	s := one(t, "file:"+path)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				if got := show(s.Lookup(context.Background(), "l", "a")); got != "1" && got != "2" {
					t.Errorf("%q", got)
					return
				}
			}
		})
	}
	f := s.tables["l"].(*file)
	for i := range 50 {
		rewrite(t, path, fmt.Sprintf("a %d\n", 1+i%2), time.Duration(60+i)*time.Second)
		f.looked.Store(0)
	}
	wg.Wait()
}

// Any text is a table or an error that names the line.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a b\n c\n", "/a/i $1\n", "192.0.2.0/24 x\n", "if /x/\n/y/ z\nendif\n", "\"a b\" c", "!|x| y", " x", "\x00"} {
		f.Add(s, "bob@example.org")
	}
	f.Fuzz(func(t *testing.T, in, key string) {
		for kind, parse := range parsers {
			m, err := parse("f", []byte(in))
			if err != nil {
				if !strings.HasPrefix(err.Error(), "f:") {
					t.Fatalf("%s: %v", kind, err)
				}
				continue
			}
			m.match(key)
		}
	})
}

// Twice the text may not take four times as long.
func TestDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	for name, test := range map[string]struct {
		parse parser
		text  func(n int) string
	}{
		"continuations": {parseText, func(n int) string { return "a b\n" + strings.Repeat(" c\n", n) }},
		"entries":       {parseText, func(n int) string { return strings.Repeat("a b\n", n) }},
		"quotes":        {parseText, func(n int) string { return strings.Repeat("\"\\\"\"\n", n) }},
		"networks":      {parseCIDR, func(n int) string { return strings.Repeat("192.0.2.0/24 x\n", n) }},
		"pattern":       {parsePerl, func(n int) string { return "/" + strings.Repeat(`\/`, n/100) + "/ x\n" }},
	} {
		doubling.Check(t, name, 50_000, func(n int) func() {
			text := []byte(test.text(n))
			return func() { test.parse("f", text) }
		})
	}
}
