package list

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/test/doubling"
)

// answering is a server that gives the same bytes to each connection that asks.
func answering(t *testing.T, reply string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 1)); err == nil {
					fmt.Fprint(c, reply)
					c.(*net.TCPConn).CloseWrite()
					time.Sleep(50 * time.Millisecond)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// MAP-006: what a table over a connection can say, and what it can't.
func TestAnswersOverConnections(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for _, c := range []struct{ kind, reply, want string }{
		{"tcp", "200 one%20two%25\n", "one two%"}, {"tcp", "200 \n", ""}, {"tcp", "500 none\n", no}, {"tcp", "400 later\n", "try again"},
		{"tcp", "200 half", "try again"}, {"tcp", "200 " + long + "\n", "try again"}, {"tcp", "999 what\n", "try again"}, {"tcp", "200 a%zz\n", "try again"},
		{"tcp", "200 one\n200 two\n", "try again"}, {"tcp", "", "try again"},
		{"map", "6:OK one,", "one"}, {"map", "9:NOTFOUND ,", no}, {"map", "8:TEMP why,", "try again"}, {"map", "8:PERM why,", "try again"},
		{"map", "1000000000:OK ", "try again"}, {"map", "06:OK one,", "try again"}, {"map", "6:OK one;", "try again"}, {"map", ":,", "try again"},
		{"map", "6:OK one,6:OK two,", "try again"}, {"map", "99:OK one,", "try again"}, {"map", "x", "try again"},
		{"map", "100003:OK " + strings.Repeat("y", 100000) + ",", "try again"},
	} {
		at := answering(t, c.reply)
		from := "tcp:" + at
		if c.kind == "map" {
			from = "socketmap:inet:" + at + ":name"
		}
		if got := show(one(t, from).Lookup(t.Context(), "l", "key")); got != c.want {
			t.Errorf("MAP-006 %s %.40q: %.40q, want %q", c.kind, c.reply, got, c.want)
		}
	}
	s := one(t, "tcp:"+answering(t, "200 yes\n"))
	for _, key := range []string{"a\nget b", "a\x00", "a\r", "\xff"} {
		if got := show(s.Lookup(t.Context(), "l", key)); got != no {
			t.Errorf("MAP-006 the key %q: %s", key, got)
		}
	}
	if !s.Whole("l") {
		t.Error("a tcp: table is asked for parts of keys")
	}
}

func FuzzNetstring(f *testing.F) {
	for _, s := range []string{"5:hello,", "0:,", "00:,", "999999:x,", ":", "1:ab"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := readNetstring(strings.NewReader(s))
		if err == nil && !strings.HasPrefix(s, fmt.Sprintf("%d:%s,", len(got), got)) {
			t.Errorf("%q gives %q", s, got)
		}
	})
}

func FuzzPercent(f *testing.F) {
	f.Add("a b%\n")
	f.Fuzz(func(t *testing.T, s string) {
		encoded := percentEncode(s)
		if got, err := percentDecode(encoded); err != nil || got != s || strings.ContainsAny(encoded, " \n\x00") {
			t.Errorf("%q becomes %q and %q, %v", s, encoded, got, err)
		}
		percentDecode(s)
	})
}

// What becomes of Postfix's queries: statements in which the key is a parameter.
func TestRebind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d             dialect
		query, want   string
		first, second string // the values for bob@mail.example.org
	}{
		{mysqlSQL, "SELECT a FROM t WHERE b='%s'", "SELECT a FROM t WHERE b=?", "bob@mail.example.org", ""},
		{postgresSQL, "select a from t where u = '%u' and d = '%d';", "select a from t where u = $1 and d = $2", "bob", "mail.example.org"},
		{sqliteSQL, "SELECT 'it''s %%', a FROM t WHERE b LIKE '%%%d' AND n = %s", "SELECT 'it''s %', a FROM t WHERE b LIKE ? AND n = ?", "%mail.example.org", "bob@mail.example.org"},
		{mysqlSQL, `SELECT a FROM t WHERE b = "%u@%2.%1" AND c IN('%3','x')`, "SELECT a FROM t WHERE b = ? AND c IN(?,'x')", "bob@example.org", "mail"},
		{postgresSQL, `SELECT "we%%ird" FROM t`, "", "", ""},
	} {
		got, values, err := rebind(c.query, c.d)
		if c.want == "" {
			if err == nil {
				t.Errorf("MAP-002 %s is taken as %s", c.query, got)
			}
			continue
		}
		q := asking{statement: got, values: values}
		if err != nil || got != c.want || q.fill("bob@mail.example.org")[0] != c.first || c.second != "" && q.fill("bob@mail.example.org")[1] != c.second {
			t.Errorf("MAP-002 %s\n got %s %q %v\nwant %s", c.query, got, q.fill("bob@mail.example.org"), err, c.want)
		}
	}
}

// MAP-002: the statement is the same for every key, and the key only stands in values;
// what a query writes in quotes is nothing but a value.
func TestStatementsDoNotDependOnKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		query := "SELECT a FROM t WHERE b = '" + rapid.StringMatching(`[a-z%sud12' "]{0,20}`).Draw(t, "query") + "'"
		statement, values, err := rebind(query, mysqlSQL)
		if err != nil {
			return
		}
		if strings.Count(statement, "?") != len(values) {
			t.Fatalf("%s has %d values", statement, len(values))
		}
		key := rapid.String().Draw(t, "key")
		for _, v := range (asking{values: values}).fill(key) {
			if len(v) > len(query)+20*len(key) {
				t.Fatalf("MAP-005 a value of %d bytes", len(v))
			}
		}
	})
}

func FuzzRebind(f *testing.F) {
	f.Add("SELECT a FROM t WHERE b = '%s' AND c = %d", uint8(0))
	f.Add(`SELECT "%s`, uint8(2))
	f.Fuzz(func(t *testing.T, query string, d uint8) {
		statement, values, err := rebind(query, dialect(d%3))
		if err == nil && len(values) > 0 && strings.Contains(statement, "--") {
			t.Errorf("%q becomes %q", query, statement)
		}
	})
}

func TestFilesAreReadInLinearTime(t *testing.T) {
	doubling.Check(t, "rebind", 20000, func(n int) func() {
		query := "SELECT " + strings.Repeat("'%s',", n) + "1"
		return func() { rebind(query, mysqlSQL) }
	})
	doubling.Check(t, "members", 100000, func(n int) func() {
		text := strings.Repeat("a, {b c} ", n)
		return func() { members(text) }
	})
}

// MAP-005: a result is made in one pass, and bounded.
func TestResultFormat(t *testing.T) {
	t.Parallel()
	open := func(text string) (*shape, error) {
		path := filepath.Join(t.TempDir(), "t.cf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readCF(path)
		if err != nil {
			return nil, err
		}
		return newShape(c, []byte{'s'}, event.Discard, 0)
	}
	s, err := open("result_format = %u of %D, %%s\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := s.join("%s@%d.org", []string{"%d@%u.net", "", "plain"}); got != "%d of %d.org, %s,plain of %d.org, %s" || !ok || err != nil {
		t.Errorf("MAP-005: %q %v %v", got, ok, err)
	}
	s, _ = open("result_format = " + strings.Repeat("%s", 100) + "\n")
	if _, _, err := s.join("k", []string{strings.Repeat("x", 100)}); err == nil {
		t.Error("MAP-005: 10 KB of 100 bytes")
	}
	for _, bad := range []string{"result_format = %x\n", "expansion_limit = many\n", "domain = nosuch:x\n", "no line\n"} {
		if _, err := open(bad); err == nil || !strings.Contains(err.Error(), "t.cf:1: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A table in tables that can not tell makes all of them say so (MAP-004).
func TestComposedTables(t *testing.T) {
	t.Parallel()
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	down := "tcp:" + l.Addr().String()
	l.Close()
	for from, want := range map[string]string{
		"unionmap:{inline:{a=1}, static:2}": "1,2", "unionmap:{inline:{a=1}, " + down + "}": "try again", "unionmap:{inline:{b=1}}": no,
		"pipemap:{inline:{a=b}, inline:{b=c}}": "c", "pipemap:{inline:{a=b}, " + down + "}": "try again", "pipemap:{inline:{b=a}, " + down + "}": no,
		"proxy:static:x": "x", "inline:{ {a = two words}, b=1 }": "two words",
	} {
		if got := show(one(t, from).Lookup(t.Context(), "l", "a")); got != want {
			t.Errorf("MAP-004 %s: %s, want %s", from, got, want)
		}
	}
	for _, bad := range []string{"unionmap:static:x", "unionmap:{}", "unionmap:{static:x", "pipemap:{nosuch:x}", "inline:{a}", "tcp:host", "socketmap:inet:h:1", "unix:shadow.byname",
		"unionmap:{unionmap:{unionmap:{unionmap:{unionmap:{unionmap:{static:x}}}}}}", "ldap:old", "mysql:"} {
		if _, err := Open([]Source{{Name: "l", From: bad}}, event.Discard); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	var text, nets strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&text, "user%d@example.org  box%d@example.net\n", i, i)
		fmt.Fprintf(&nets, "10.%d.%d.0/24 net\n", i/256, i%256)
	}
	file := func(content string) string {
		path := filepath.Join(b.TempDir(), "t")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
		return path
	}
	patterns := ""
	for i := range 20 {
		patterns += fmt.Sprintf("/^list%d-(.*)@example\\.org$/ owner-$1\n", i)
	}
	for name, c := range map[string]struct{ from, key string }{
		"hash":    {"hash:" + file(text.String()), "user777@example.org"},
		"cidr":    {"cidr:" + file(nets.String()), "10.3.9.7"},
		"regexp":  {"regexp:" + file(patterns), "list19-news@example.org"},
		"static":  {"static:x", "a"},
		"sqlite":  {"sqlite:" + sqliteFile(b) + "?query=SELECT v FROM t WHERE k = ?", "user777@example.org"},
		"pipemap": {"pipemap:{inline:{a=b}, inline:{b=c}}", "a"},
	} {
		b.Run(name, func(b *testing.B) {
			s := one(b, c.from)
			m := s.Maps([]string{"l"})
			for b.Loop() {
				if m.Find(context.Background(), c.key).State() != lookup.Found {
					b.Fatal("not found")
				}
			}
		})
	}
}

func sqliteFile(b *testing.B) string {
	path := filepath.Join(b.TempDir(), "db")
	db, err := sql.Open("sqlite", path)
	if err == nil {
		_, err = db.Exec("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT); WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 9999) INSERT INTO t SELECT 'user'||i||'@example.org', 'box' FROM n")
	}
	if err != nil {
		b.Fatal(err)
	}
	db.Close()
	return path
}
