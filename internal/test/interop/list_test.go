package interop

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/store/list"
)

// notes is a sink that keeps what an admin would read.
type notes struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *notes) Emit(e event.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, text := e.Line()
	n.text.WriteString(text + "\n")
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// openList opens one list, "l".
func openList(t *testing.T, s list.Source) (*list.Set, *notes) {
	t.Helper()
	said := new(notes)
	s.Name = "l"
	set, err := list.Open([]list.Source{s}, said)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set, said
}

// tell is an answer in words; of TryAgain the reason.
func tell(t *testing.T, set *list.Set, key string) string {
	t.Helper()
	a := set.Lookup(t.Context(), "l", key)
	switch a.State() {
	case lookup.Found:
		return "found " + a.Value()
	case lookup.NotFound:
		return "no"
	}
	return "later: " + a.Err().Error()
}

func expectAnswers(t *testing.T, set *list.Set, want map[string]string) {
	t.Helper()
	for key, answer := range want {
		if got := tell(t, set, key); got != answer {
			t.Errorf("%.60q: %.300s, want %s", key, got, answer)
		}
	}
}

// expectLater wants TryAgain for a reason, in the answer and in the log.
func expectLater(t *testing.T, set *list.Set, said *notes, key, reason string) {
	t.Helper()
	if got := tell(t, set, key); !strings.HasPrefix(got, "later: ") || !strings.Contains(got, reason) {
		t.Errorf("MAP-004 %s: %s, want later: …%s", key, got, reason)
	}
	if log := said.String(); !strings.Contains(log, `list "l": `) || !strings.Contains(log, reason) {
		t.Errorf("MAP-004: the log says %q, want %s", log, reason)
	}
}

// hostileKeys are keys that would be more than keys if anything took them for text
// of its language.
var hostileKeys = []string{"*", "*)(uid=*))(|(uid=*", "alice*", "(", ")", `\`, `\2a`, "&", "alice@example.org)(objectClass=*", "a,b", " alice", "#alice",
	`alice",ou="x`, "uid=alice", "alice+uid=bob", "alice;<>", "' OR '1'='1", `"`, ";--", "; DROP TABLE access", "%", "_", "$1", "ʼ", "é", "\xff", "alice@example.org\x00",
	strings.Repeat("x", 4000), "alice@example.org\n"}

const people = `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: ` + SlapdUser + `
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: ` + SlapdPassword + `

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
mail: alice@example.org
mail: postmaster@example.org
description: OK
employeeType: staff

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: B
mail: bob@example.org
mail: postmaster@example.org
description: REJECT Bob is away

dn: uid=a\2Cb,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: a,b
cn: Comma
sn: C
mail: comma@example.org

dn: cn=staff,dc=example,dc=org
objectClass: groupOfNames
cn: staff
member: uid=alice,ou=people,dc=example,dc=org
member: uid=a\2Cb,ou=people,dc=example,dc=org
`

func crowd(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "\ndn: uid=u%d,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: u%d\ncn: U\nsn: U\nroomNumber: hall\n", i, i)
	}
	return b.String()
}

// A directory: what is found over each kind of connection, what is not, and what
// hostile keys do.
func TestListInDirectory(t *testing.T) {
	t.Parallel()
	slapd := NewSlapd(t, people+crowd(150))
	slapd.Start()
	password := secretFile(t, SlapdPassword)
	source := func(at, rest string) list.Source {
		return list.Source{From: at + "/ou=people,dc=example,dc=org?" + rest, BindDN: SlapdUser, PasswordFile: password, CAFile: slapd.CA()}
	}
	const byMail = "description?sub?(mail={key})"
	answers := map[string]string{"alice@example.org": "found OK", "ALICE@example.org": "found OK", "bob@example.org": "found REJECT Bob is away",
		"postmaster@example.org": "found OK,REJECT Bob is away", "carol@example.org": "no", "comma@example.org": "no", "": "no"}
	for name, s := range map[string]list.Source{
		"ldap": source(slapd.URL("ldap", "127.0.0.1"), byMail), "ldapi": source(slapd.URL("ldapi", ""), byMail),
		"ldaps": source(slapd.URL("ldaps", "localhost"), byMail), "second host": source("ldap://127.0.0.1:1,"+strings.TrimPrefix(slapd.URL("ldap", "127.0.0.1"), "ldap://"), byMail),
		"StartTLS": {From: slapd.URL("ldap", "localhost") + "/dc=example,dc=org?" + byMail, BindDN: SlapdUser, PasswordFile: password, CAFile: slapd.CA(), TLS: list.TLSStart},
	} {
		t.Run(name, func(t *testing.T) {
			set, _ := openList(t, s)
			expectAnswers(t, set, answers)
		})
	}
	plain := slapd.URL("ldap", "127.0.0.1")
	t.Run("MAP-001 hostile keys", func(t *testing.T) {
		for _, rest := range []string{byMail, "?sub?(uid={key})", "?sub?(|(mail={key})(uid={key})(cn=x{key}*))", "?one?(uid:caseIgnoreMatch:={key})"} {
			set, _ := openList(t, source(plain, rest))
			for _, key := range hostileKeys {
				want := "no"
				if key == "a,b" && rest != byMail || key == " alice" && rest != byMail { // the one is there; blanks around do not count (RFC 4518 §2.6.1)
					want = "found "
				}
				if got := tell(t, set, key); got != want {
					t.Errorf("%s %.40q: %s", rest, key, got)
				}
			}
		}
	})
	t.Run("MAP-001 names", func(t *testing.T) {
		from := list.Source{From: plain + "/uid={key},ou=people,dc=example,dc=org?mail?base", BindDN: SlapdUser, PasswordFile: password}
		set, _ := openList(t, from)
		expectAnswers(t, set, map[string]string{"alice": "found alice@example.org,postmaster@example.org", "a,b": "found comma@example.org", "eve": "no",
			"alice,ou=people": "no", "alice+cn=Alice": "no", "*": "no", "alice\\": "no", "#04": "no"})
		member, _ := openList(t, list.Source{From: plain + "/dc=example,dc=org?cn?sub?(member=uid={key},ou=people,dc=example,dc=org)", BindDN: SlapdUser, PasswordFile: password})
		expectAnswers(t, member, map[string]string{"alice": "found staff", "a,b": "found staff", "bob": "no", "*": "no", "x,uid=alice": "no", "alice,ou=people,dc=example,dc=org": "no"})
	})
	t.Run("too much", func(t *testing.T) {
		set, said := openList(t, source(plain, "uid?sub?(roomNumber={key})"))
		expectLater(t, set, said, "hall", "more than 100 entries match")
		expectAnswers(t, set, map[string]string{"cellar": "no"}) // and no pause after it
	})
	t.Run("MAP-004 rights", func(t *testing.T) {
		nobody := source(plain, byMail)
		nobody.BindDN, nobody.PasswordFile = "", ""
		set, said := openList(t, nobody)
		expectLater(t, set, said, "alice@example.org", "the base does not exist, or we may not see it")
		wrong := source(plain, byMail)
		wrong.PasswordFile = secretFile(t, "canary:wrong")
		set, said = openList(t, wrong)
		expectLater(t, set, said, "alice@example.org", "Invalid Credentials")
		expectLater(t, set, said, "alice@example.org", "Invalid Credentials")
		if strings.Contains(said.String()+tell(t, set, "x"), "canary") {
			t.Errorf("MAP-010: the password is in the log: %s", said)
		}
	})
	t.Run("MAP-004 wrong certificate", func(t *testing.T) {
		stranger, _ := SelfSigned(t, t.TempDir())
		for _, at := range []string{slapd.URL("ldaps", "localhost"), slapd.URL("ldap", "localhost")} {
			s := source(at, byMail)
			s.CAFile, s.TLS = stranger, list.TLSStart
			set, said := openList(t, s)
			expectLater(t, set, said, "alice@example.org", "certificate signed by unknown authority")
		}
		s := source(slapd.URL("ldaps", "127.0.0.1"), byMail) // a good one, for another name
		set, said := openList(t, s)
		expectLater(t, set, said, "alice@example.org", "cannot validate certificate for 127.0.0.1")
	})
}

// A directory that stops, comes back, and falls silent.
func TestDirectoryIsDown(t *testing.T) {
	t.Parallel()
	slapd := NewSlapd(t, people)
	set, said := openList(t, list.Source{From: slapd.URL("ldap", "127.0.0.1") + "/dc=example,dc=org?description?sub?(mail={key})",
		BindDN: SlapdUser, PasswordFile: secretFile(t, SlapdPassword)})
	expectLater(t, set, said, "bob@example.org", "connection refused")
	if got := tell(t, set, "bob@example.org"); !strings.HasPrefix(got, "later: not asked again yet: ") {
		t.Errorf("asked at once again: %s", got)
	}
	slapd.Start()
	const alice = "alice@example.org"
	await := func(key, want string) {
		t.Helper()
		WaitUntil(t, key+": "+want, func() bool { return tell(t, set, key) == want })
	}
	await(alice, "found OK")
	if !strings.Contains(said.String(), "the server answers again") {
		t.Errorf("the log says %s", said)
	}
	slapd.Process().Kill()
	if got := tell(t, set, alice); got != "found OK" {
		t.Errorf("what was just asked: %s", got)
	}
	expectLater(t, set, said, "carol@example.org", "connection refused")
	slapd.Start()
	await("carol@example.org", "no")
	// Restarted between two questions: the connection that was kept is dead, and nobody notices.
	slapd.Process().Kill()
	slapd.Start()
	expectAnswers(t, set, map[string]string{"bob@example.org": "found REJECT Bob is away"})
	slapd.Process().Freeze(t)
	expectLater(t, set, said, "dave@example.org", "no answer in time")
	slapd.Process().Thaw()
	await("dave@example.org", "no")
}

// A database: what is found over each kind of connection, that keys are parameters,
// and that nothing can be written.
func TestListInPostgreSQL(t *testing.T) {
	t.Parallel()
	pg := NewPostgreSQL(t)
	pg.Start()
	pg.Do(`CREATE TABLE access (key text, value text, n int);
CREATE ROLE reader LOGIN PASSWORD '` + PostgreSQLPassword + `'; GRANT ALL ON access TO reader;
INSERT INTO access VALUES ('alice@example.org', 'OK', 1), ('bob@example.org', 'REJECT Bob is away', 2), ('two', 'a', 3), ('two', 'b', 4), ('null', NULL, 5);
INSERT INTO access SELECT 'many', 'x', 6 FROM generate_series(1, 101);
CREATE FUNCTION scribble(k text) RETURNS text LANGUAGE sql AS $$ INSERT INTO access VALUES (k, 'written', 7) RETURNING value $$;
`)
	password := secretFile(t, PostgreSQLPassword)
	const query = "?query=SELECT value, n FROM access WHERE key = $1 ORDER BY value"
	answers := map[string]string{"alice@example.org": "found OK", "bob@example.org": "found REJECT Bob is away", "carol": "no", "two": "found a,b", "null": "found ", "": "no"}
	for name, s := range map[string]list.Source{
		"socket": {From: pg.URL("") + query}, "TLS": {From: pg.URL("localhost") + query, TLS: list.TLSStart, CAFile: pg.CA(), PasswordFile: password},
		"tcp":         {From: pg.URL("127.0.0.1") + query, PasswordFile: password},
		"second host": {From: strings.Replace(pg.URL("127.0.0.1"), "@", "@127.0.0.1:1,", 1) + query, PasswordFile: password},
	} {
		t.Run(name, func(t *testing.T) {
			set, _ := openList(t, s)
			expectAnswers(t, set, answers)
		})
	}
	t.Run("MAP-002 hostile keys", func(t *testing.T) {
		for _, q := range []string{query, "?query=SELECT 1 FROM access WHERE key LIKE 'x' || $1"} {
			set, _ := openList(t, list.Source{From: pg.URL("") + q})
			for _, key := range hostileKeys {
				if got := tell(t, set, key); got != "no" {
					t.Errorf("%s %.40q: %s", q, key, got)
				}
			}
		}
		if n := strings.TrimSpace(pg.Do("SELECT count(*) FROM access")); n != "106" {
			t.Errorf("the table has %s rows", n)
		}
	})
	t.Run("nothing is written", func(t *testing.T) {
		set, said := openList(t, list.Source{From: pg.URL("") + "?query=SELECT scribble($1)"})
		expectLater(t, set, said, "x", "read-only transaction")
		set, said = openList(t, list.Source{From: pg.URL("") + "?query=WITH w AS (DELETE FROM access WHERE key = $1 RETURNING value) SELECT value FROM w"})
		expectLater(t, set, said, "two", "read-only transaction")
		if n := strings.TrimSpace(pg.Do("SELECT count(*) FROM access")); n != "106" {
			t.Errorf("the table has %s rows", n)
		}
	})
	t.Run("complaints", func(t *testing.T) {
		for q, want := range map[string]string{
			"SELECT nosuch FROM access WHERE key = $1": "does not exist", "SELECT value FROM access WHERE key = $1": "at most 100 rows",
			"SELECT pg_sleep(30) WHERE $1 = 'many'": "", "SELECT repeat('x', 1000000) WHERE $1 = 'many'": "",
		} {
			set, said := openList(t, list.Source{From: pg.URL("") + "?query=" + q})
			expectLater(t, set, said, "many", want)
		}
	})
	t.Run("MAP-004 wrong certificate", func(t *testing.T) {
		stranger, _ := SelfSigned(t, t.TempDir())
		for host, want := range map[string]string{"localhost": "certificate signed by unknown authority", "127.0.0.1": "cannot validate certificate for 127.0.0.1"} {
			set, said := openList(t, list.Source{From: pg.URL(host) + query, TLS: list.TLSStart, CAFile: stranger, PasswordFile: password})
			expectLater(t, set, said, "two", want)
		}
	})
	t.Run("MAP-010 wrong password", func(t *testing.T) {
		set, said := openList(t, list.Source{From: pg.URL("127.0.0.1") + query, PasswordFile: secretFile(t, "canary:wrong")})
		expectLater(t, set, said, "two", "password authentication failed")
		if strings.Contains(said.String()+tell(t, set, "two"), "canary") || strings.Count(said.String(), "\n") != 1 {
			t.Errorf("the log says %q", said)
		}
	})
}

// A database that stops, comes back and falls silent.
func TestPostgreSQLIsDown(t *testing.T) {
	t.Parallel()
	pg := NewPostgreSQL(t)
	set, said := openList(t, list.Source{From: pg.URL("127.0.0.1") + "?query=SELECT 'yes' WHERE $1 = 'bob'", PasswordFile: secretFile(t, PostgreSQLPassword)})
	expectLater(t, set, said, "bob", "connection refused")
	pg.Start()
	pg.Do("CREATE ROLE reader LOGIN PASSWORD '" + PostgreSQLPassword + "'")
	await := func(key, want string) {
		t.Helper()
		WaitUntil(t, key+": "+want, func() bool { return tell(t, set, key) == want })
	}
	await("bob", "found yes")
	pg.Process().Kill()
	expectLater(t, set, said, "carol", "connection refused")
	pg.Start()
	await("carol", "no")
	pg.Process().Kill()
	pg.Start()
	expectAnswers(t, set, map[string]string{"dave": "no"})
	pg.Process().Freeze(t)
	expectLater(t, set, said, "eve", "no answer in time")
	pg.Process().Thaw()
	await("eve", "no")
}

// A rule asks a directory in the middle of a session; while that is down, clients
// come again.
func TestRuleAsksDirectory(t *testing.T) {
	t.Parallel()
	slapd := NewSlapd(t, people)
	slapd.Start()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Config: fmt.Sprintf(`
[[list]]
name = "senders"
source = "%s/dc=example,dc=org?description?sub?(mail={key})"
bind_dn = %q
password_file = %q
cache_time = "1s"

[[rule]]
name = "senders"
stage = "mail"
when = 'in_list("senders", sender)'
then = "listed"
`, slapd.URL("ldapi", ""), SlapdUser, secretFile(t, SlapdPassword))})
	f.Start()
	try := func(from string) string { return deliver(t, f, from, alice, difficult(from)) }
	if got := try("bob@example.org"); !strings.Contains(got, "Bob is away") || got[0] != '5' {
		t.Errorf("bob: %s", got)
	}
	if got := try("eve*@example.net"); !strings.HasPrefix(got, "250") {
		t.Errorf("eve: %s", got)
	}
	slapd.Process().Kill()
	WaitUntil(t, "the cache forgets", func() bool { return strings.HasPrefix(try("bob@example.org"), "451") })
	WaitUntil(t, "MAP-004: a word in the log", func() bool { return strings.Contains(f.Log(), `list "senders": `) })
	if strings.Contains(f.Log(), "canary") {
		t.Errorf("MAP-010: the password is in the log")
	}
}
