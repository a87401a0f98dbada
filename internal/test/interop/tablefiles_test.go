package interop

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/store/list"
)

// sqlTable is what the SQL tests look up, in a dialect that all three servers take.
const sqlTable = `CREATE TABLE forwardings (source VARCHAR(100), destination VARCHAR(200), more VARCHAR(50), active INTEGER);
INSERT INTO forwardings VALUES ('alice@example.org', 'alice@box.example', NULL, 1);
INSERT INTO forwardings VALUES ('list@example.org', 'bob@box.example', 'extra', 1);
INSERT INTO forwardings VALUES ('list@example.org', 'carol', '', 1);
INSERT INTO forwardings VALUES ('off@example.org', 'x@box.example', NULL, 0);
INSERT INTO forwardings VALUES ('@example.org', 'all@box.example', NULL, 1);
INSERT INTO forwardings VALUES ('example.org', 'domain', NULL, 1);
INSERT INTO forwardings VALUES ('o''neil@example.org', 'quoted@box.example', NULL, 1);
INSERT INTO forwardings VALUES ('100%@example.org', 'percent@box.example', NULL, 1);
INSERT INTO forwardings VALUES ('alice', 'short', NULL, 1);
`

var sqlKeys = []string{"alice@example.org", "ALICE@EXAMPLE.ORG", "list@example.org", "off@example.org", "@example.org", "example.org", "o'neil@example.org",
	"100%@example.org", "alice", "alice@", "nobody@example.org", "' OR '1'='1", "x' OR 1=1 -- ", `\`, `\' OR 1=1 -- `, "%", "_lice@example.org", "list@sub.example.org", "alice@example.net"}

// sqlFiles are files of Postfix's, without what names the server, and how many keys
// they know.
var sqlFiles = map[string]struct {
	text  string
	found int
}{
	"plain":  {"query = SELECT destination FROM forwardings WHERE source = '%s' AND active = 1\n", 8},
	"parts":  {"query = SELECT destination FROM forwardings WHERE source = '%u@%d' AND active = 1;\n", 5},
	"labels": {"query = SELECT destination FROM forwardings WHERE source = '%u@%2.%1'\n", 7},
	"format": {"query = SELECT destination, more FROM forwardings WHERE source='%s' and active='1'\nresult_format = <%u> for %S in %D\n", 6},
	"domain": {"query = SELECT destination FROM forwardings WHERE source = '%s'\ndomain = example.org, example.com\nresult_format = %d\n", 6},
	"like":   {"query = SELECT destination FROM forwardings WHERE source LIKE '%%@%d' AND source NOT LIKE '%%z%%'\n# comment\n  ORDER BY destination\n", 9},
	"old":    {"table = forwardings\nselect_field = destination\nwhere_field = source\nadditional_conditions = and active = 1\n", 8},
}

// compareSQL compares all files on one server, and refuses what can't be asked safely.
func (r *tablesRoom) compareSQL(kind, server string) {
	r.t.Helper()
	for name, f := range sqlFiles {
		r.compare(kind+":"+r.file(kind+"-"+name+".cf", server+f.text), f.found, sqlKeys...)
	}
	for name, query := range map[string]string{
		"a name": "SELECT destination FROM %d WHERE source = 'x'", "part of a name": "SELECT destination FROM t_%u WHERE source = 'x'",
		"two statements": "SELECT 1; DELETE FROM forwardings", "a comment": "SELECT 1 -- %s", "no question": "DELETE FROM forwardings WHERE source = '%s'",
		"a backslash": `SELECT '\%s'`, "a word before": "SELECT x'%s'", "open": "SELECT '%s", "unknown": "SELECT '%x'",
	} {
		path := r.file(kind+"-bad.cf", server+"query = "+query+"\n")
		if _, err := list.Open([]list.Source{{Name: "l", From: kind + ":" + path}}, new(notes)); err == nil || !strings.Contains(err.Error(), "query: ") {
			r.t.Errorf("MAP-002 %s, %s: %v", kind, name, err)
		}
	}
}

// expectDown wants TryAgain of a table whose server is gone (MAP-004).
func (r *tablesRoom) expectDown(table string) {
	r.t.Helper()
	set, said := openList(r.t, list.Source{From: table})
	expectLater(r.t, set, said, "alice@example.org", "")
	if _, err := TryRun(r.t, "", Binary(r.t), "list", "query", table, "alice@example.org"); fmt.Sprint(err) != "exit status 75" {
		r.t.Errorf("MAP-004 %s: list query ends with %v", table, err)
	}
}

// Rows 30 and 63: MySQL's tables, with a MariaDB.
func TestMySQLFilesAsPostmapReadsThem(t *testing.T) {
	t.Parallel()
	r, m := newTablesRoom(t), NewMariaDB(t)
	m.Start()
	m.Do("USE mail;" + sqlTable)
	who := fmt.Sprintf("user = %s\npassword = %s\ndbname = mail\n", MariaDBUser, MariaDBPassword)
	r.compareSQL("mysql", "hosts = unix:"+m.Socket()+"\n"+who)
	tcp := "mysql:" + r.file("tcp.cf", "hosts = inet:"+m.Addr()+"\n"+who+sqlFiles["plain"].text)
	r.compare(tcp, 8, sqlKeys...)
	limited := "mysql:" + r.file("limit.cf", "hosts = inet:"+m.Addr()+"\n"+who+sqlFiles["plain"].text+"expansion_limit = 1\n")
	set, said := openList(t, list.Source{From: limited})
	expectAnswers(t, set, map[string]string{"alice@example.org": "found alice@box.example"})
	expectLater(t, set, said, "list@example.org", "expansion_limit")
	password := secretFile(t, MariaDBPassword)
	for _, s := range []list.Source{
		{From: m.URL("") + "?query=SELECT destination FROM forwardings WHERE source = ?", PasswordFile: password},
		{From: m.URL("localhost") + "?query=SELECT destination FROM forwardings WHERE source = ? OR 'x' = ?", PasswordFile: password, TLS: list.TLSStart, CAFile: m.CA()},
	} {
		set, _ := openList(t, s)
		expectAnswers(t, set, map[string]string{"alice@example.org": "found alice@box.example", "nobody": "no", "list@example.org": "found bob@box.example,carol"})
		for _, key := range hostileKeys {
			if got := tell(t, set, key); got != "no" {
				t.Errorf("MAP-002 %.40q: %s", key, got)
			}
		}
	}
	stranger, _ := SelfSigned(t, t.TempDir())
	set, said = openList(t, list.Source{From: m.URL("localhost") + "?query=SELECT ?", PasswordFile: password, TLS: list.TLSStart, CAFile: stranger})
	expectLater(t, set, said, "x", "certificate signed by unknown authority")
	if n := strings.TrimSpace(m.Do("SELECT count(*) FROM mail.forwardings")); n != "9" {
		t.Errorf("MAP-002: the table has %s rows", n)
	}
	slow, said := openList(t, list.Source{From: m.URL("") + "?query=SELECT sleep(30) + ?", PasswordFile: password})
	expectLater(t, slow, said, "x", "no answer in time")
	m.Kill()
	r.expectDown(tcp)
}

// Row 63 for PostgreSQL.
func TestPostgreSQLFilesAsPostmapReadsThem(t *testing.T) {
	t.Parallel()
	r, pg := newTablesRoom(t), NewPostgreSQL(t)
	pg.Start()
	pg.Do("CREATE ROLE reader LOGIN PASSWORD '" + PostgreSQLPassword + "';" + sqlTable + "GRANT SELECT ON forwardings TO reader;")
	server := fmt.Sprintf("hosts = inet:127.0.0.1:%d\nuser = %s\npassword = %s\ndbname = postgres\n", pg.port, PostgreSQLUser, PostgreSQLPassword)
	r.compareSQL("pgsql", server)
	table := "pgsql:" + r.file("down.cf", server+sqlFiles["plain"].text)
	pg.Process().Kill()
	r.expectDown(table)
}

func TestSQLiteFilesAsPostmapReadsThem(t *testing.T) {
	t.Parallel()
	r := newTablesRoom(t)
	db := filepath.Join(r.dir, "db")
	makeSQLite(t, db, sqlTable)
	r.compareSQL("sqlite", "dbpath = "+db+"\n")
}

const memberGroups = `
dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: cn=all,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: all
description: all@lists.example
member: uid=alice,ou=people,dc=example,dc=org
member: uid=bob,ou=people,dc=example,dc=org
member: cn=inner,ou=groups,dc=example,dc=org
member: uid=gone,ou=people,dc=example,dc=org

dn: cn=inner,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: inner
description: inner@lists.example
member: uid=a\2Cb,ou=people,dc=example,dc=org
member: cn=all,ou=groups,dc=example,dc=org
`

// Rows 60, 61 and 62: LDAP's tables, with a slapd, in which a group has members and
// goes round in a circle.
func TestLDAPFilesAsPostmapReadsThem(t *testing.T) {
	t.Parallel()
	r, slapd := newTablesRoom(t), NewSlapd(t, people+memberGroups)
	slapd.Start()
	server := "server_host = " + slapd.URL("ldap", "127.0.0.1") + "\nsearch_base = dc=example,dc=org\nversion = 3\n" +
		"bind = yes\nbind_dn = " + SlapdUser + "\nbind_pw = " + SlapdPassword + "\n"
	keys := append([]string{"alice@example.org", "bob@example.org", "POSTMASTER@example.org", "alice", "all", "inner", "nobody", "*"}, hostileKeys[:20]...)
	for name, f := range map[string]struct {
		text  string
		found int
	}{
		"mail":   {"query_filter = (mail=%s)\nresult_attribute = uid\n", 3},
		"parts":  {"query_filter = (&(uid=%u)(mail=*@%d))\nresult_attribute = mail, description\nresult_format = %s\n", 2},
		"bare":   {"query_filter = uid=%s\nresult_attribute = mail\nresult_format = %U at %d\n", 3},
		"base":   {"search_base = uid=%u,ou=people,dc=example,dc=org\nscope = base\nquery_filter = (objectClass=*)\nresult_attribute = cn\n", 6},
		"domain": {"query_filter = (mail=%s)\nresult_attribute = uid\ndomain = example.net example.org\n", 3},
		"group":  {"query_filter = (cn=%s)\nresult_attribute =\nspecial_result_attribute = member\nleaf_result_attribute = mail\n", 3},
		"stop":   {"query_filter = (cn=%s)\nresult_attribute =\nspecial_result_attribute = member\nleaf_result_attribute = mail\nterminal_result_attribute = description\n", 4},
	} {
		table := "ldap:" + r.file(name+".cf", server+f.text)
		if name == "group" { // Postfix goes round until its limit; ours comes to an end
			set, _ := openList(t, list.Source{From: table})
			if got := tell(t, set, "all"); !strings.Contains(got, "alice@example.org") || !strings.Contains(got, "bob@example.org") {
				t.Errorf("group: %s", got)
			}
			continue
		}
		r.compare(table, f.found, keys...)
	}
	for name, text := range map[string]string{"attribute": "query_filter = (%s=x)\n", "broken": "query_filter = (mail=%s\n", "base": "search_base = ou=a%s,dc=x\n", "sasl": "bind = sasl\n"} {
		if _, err := list.Open([]list.Source{{Name: "l", From: "ldap:" + r.file("bad.cf", server+text)}}, new(notes)); err == nil {
			t.Errorf("MAP-001 %s is taken", name)
		}
	}
	mail := server + "query_filter = (mail=%s)\nresult_attribute = uid\n"
	secure := r.file("tls.cf", strings.Replace(mail, "127.0.0.1", "localhost", 1)+"start_tls = yes\ntls_ca_cert_file = "+slapd.CA()+"\n")
	set, _ := openList(t, list.Source{From: "ldap:" + secure})
	expectAnswers(t, set, map[string]string{"alice@example.org": "found alice"})
	stranger, _ := SelfSigned(t, t.TempDir())
	set, said := openList(t, list.Source{From: "ldap:" + secure, CAFile: stranger})
	expectLater(t, set, said, "alice@example.org", "certificate signed by unknown authority")
	slapd.Process().Kill()
	r.expectDown("ldap:" + r.file("down.cf", mail))
}

// makeSQLite makes a database of statements.
func makeSQLite(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}
