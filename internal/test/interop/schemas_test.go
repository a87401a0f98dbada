package interop

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"facteur/internal/app/config"
	"facteur/internal/base/lookup"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

// documented is the settings that docs/DIRECTORIES.md prints below a title, with other
// places than there.
func documented(t *testing.T, title string, places ...string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/DIRECTORIES.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```toml\n# "+title+"\n")
	text, _, ended := strings.Cut(rest, "```\n")
	if !found || !ended {
		t.Fatalf("docs/DIRECTORIES.md has no settings %q", title)
	}
	for i := 0; i < len(places); i += 2 {
		if !strings.Contains(text, places[i]) {
			t.Fatalf("the settings %q have no %q", title, places[i])
		}
	}
	return strings.NewReplacer(places...).Replace(text)
}

// cryptOf is a hash as crypt(3) of this machine makes it.
func cryptOf(t *testing.T, kind, password string) string {
	t.Helper()
	return strings.TrimSpace(Run(t, "", Need(t, "openssl"), "passwd", kind, "-salt", "saltsalt", password))
}

// dovecotOf is a hash as Dovecot makes it, "{SCHEME}…".
func dovecotOf(t *testing.T, scheme, password string) string {
	t.Helper()
	return strings.TrimSpace(Run(t, "", Need(t, "doveadm"), "pw", "-s", scheme, "-p", password))
}

// postfixadmin is the tables and columns of postfixadmin 3 that mail servers read, with
// a family in them; yes and no are how the database writes truth.
func postfixadmin(t *testing.T, boolean, yes, no string) string {
	return strings.NewReplacer("BOOL", boolean, "YES", yes, "NO", no, "'SHA512CRYPT'", "'"+cryptOf(t, "-6", "sesame")+"'",
		"'MD5CRYPT'", "'"+cryptOf(t, "-1", "sesame")+"'", "'BLF'", "'"+dovecotOf(t, "BLF-CRYPT", "sesame")+"'",
		"'ARGON'", "'"+dovecotOf(t, "ARGON2ID", "sesame")+"'", "'SSHA512'", "'"+dovecotOf(t, "SSHA512", "sesame")+"'").Replace(`
CREATE TABLE domain (domain varchar(255) PRIMARY KEY, description varchar(255), aliases integer, mailboxes integer, maxquota bigint,
  quota bigint, transport varchar(255), backupmx BOOL, active BOOL);
CREATE TABLE mailbox (username varchar(255) PRIMARY KEY, password varchar(255), name varchar(255), maildir varchar(255), quota bigint,
  local_part varchar(255), domain varchar(255), active BOOL);
CREATE TABLE alias (address varchar(255) PRIMARY KEY, goto text, domain varchar(255), active BOOL);
CREATE TABLE alias_domain (alias_domain varchar(255) PRIMARY KEY, target_domain varchar(255), active BOOL);
INSERT INTO domain VALUES ('ALL', '', 0, 0, 0, 0, '', NO, NO), ('example.org', '', 10, 10, 0, 0, 'virtual', NO, YES),
  ('alias.example', '', 0, 0, 0, 0, 'virtual', NO, YES), ('backup.example', '', 0, 0, 0, 0, 'virtual', YES, YES), ('off.example', '', 0, 0, 0, 0, 'virtual', NO, NO);
INSERT INTO mailbox VALUES
  ('alice@example.org', 'SHA512CRYPT', 'Alice', 'example.org/alice/', 1024000000, 'alice', 'example.org', YES),
  ('bob@example.org', 'BLF', 'Bob', 'example.org/bob/', 0, 'bob', 'example.org', YES),
  ('carol@example.org', 'ARGON', 'Carol', 'example.org/carol/', 0, 'carol', 'example.org', YES),
  ('dan@example.org', 'SSHA512', 'Dan', 'example.org/dan/', 0, 'dan', 'example.org', YES),
  ('eve@example.org', 'MD5CRYPT', 'Eve', 'example.org/eve/', 0, 'eve', 'example.org', YES),
  ('off@example.org', 'MD5CRYPT', 'Off', 'example.org/off/', 0, 'off', 'example.org', NO);
INSERT INTO alias VALUES ('alice@example.org', 'alice@example.org', 'example.org', YES), ('sales@example.org', 'alice@example.org,bob@example.org', 'example.org', YES),
  ('old@example.org', 'alice@example.org', 'example.org', NO), ('@example.org', 'carol@example.org', 'example.org', YES);
INSERT INTO alias_domain VALUES ('alias.example', 'example.org', YES);
`)
}

// expectPostfixadmin asks all that a mail server asks.
func expectPostfixadmin(t *testing.T, text string) {
	t.Helper()
	d, _ := attach(t, text)
	expectLogins(t, d, map[string]lookup.State{"alice@example.org sesame": lookup.Found, "Bob@Example.org sesame": lookup.Found, "carol@example.org sesame": lookup.Found,
		"dan@example.org sesame": lookup.Found, "eve@example.org sesame": lookup.Found, "alice@example.org wrong": lookup.NotFound, "bob@example.org wrong": lookup.NotFound,
		"off@example.org sesame": lookup.NotFound, "nobody@example.org sesame": lookup.NotFound, "sales@example.org sesame": lookup.NotFound})
	a := d.Account(t.Context(), mailbox(t, "alice@example.org")).Value()
	if a.Maildir != "/var/vmail/example.org/alice" || a.Quota != 1024000000 || a.Source == "" {
		t.Errorf("%+v", a)
	}
	if off := d.Account(t.Context(), mailbox(t, "off@example.org")); !off.Value().Disabled {
		t.Errorf("%v %+v", off.Err(), off.Value())
	}
	for name, want := range map[string]lookup.State{"example.org": lookup.Found, "ALIAS.example": lookup.Found, "backup.example": lookup.NotFound,
		"off.example": lookup.NotFound, "elsewhere.example": lookup.NotFound} {
		if got := d.Domain(t.Context(), name); got.State() != want {
			t.Errorf("%s: %v (%v)", name, got.State(), got.Err())
		}
	}
	n := 0
	if err := d.Elsewhere(t.Context(), nil, func(directory.Account) error { n++; return nil }); err != nil || n != 6 {
		t.Errorf("%d are listed: %v", n, err)
	}
	expectAliases(t, text, map[string]string{"sales@example.org": "alice@example.org,bob@example.org", "old@example.org": "", "@example.org": "carol@example.org",
		"sales@alias.example": "alice@example.org,bob@example.org", "@alias.example": "carol@example.org", "alice@elsewhere.example": "", "x' OR '1'='1": ""})
}

// expectAliases asks the virtual_alias_maps of a text in their order.
func expectAliases(t *testing.T, text string, want map[string]string) {
	t.Helper()
	path := WriteFile(t, filepath.Join(t.TempDir(), "facteur.toml"), "hostname = \"mail.example.org\"\n"+text)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	set, err := list.Open(c.ListSources(), new(notes))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for key, value := range want {
		got := lookup.No[string](nil)
		for _, name := range c.Addresses.VirtualAliasMaps {
			if got = set.Lookup(t.Context(), name, key); got.State() != lookup.NotFound {
				break
			}
		}
		if got.Value() != value || got.State() == lookup.TryAgain {
			t.Errorf("%s: %q %v (%v), want %q", key, got.Value(), got.State(), got.Err(), value)
		}
	}
}

// Rows 70, 235: the settings that docs/DIRECTORIES.md prints, on tables of the real
// schemas with passwords that Dovecot's and the system's own tools made.
func TestRow235Postfixadmin(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "postfixadmin.db")
		file, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.Exec(postfixadmin(t, "smallint", "1", "0")); err != nil {
			t.Fatal(err)
		}
		expectPostfixadmin(t, documented(t, "postfixadmin, SQLite", "/var/lib/postfixadmin/postfixadmin.db", path))
	})
	t.Run("MariaDB", func(t *testing.T) {
		if testing.Short() {
			t.Skip("MariaDB takes long to be made; SQLite has the same tables")
		}
		db := NewMariaDB(t)
		db.Start()
		db.Do("USE mail;" + postfixadmin(t, "tinyint(1)", "1", "0"))
		expectPostfixadmin(t, documented(t, "postfixadmin, MariaDB", "mysql://postfix@localhost/postfix", db.URL("127.0.0.1"), "postfixadmin.password", secretFile(t, MariaDBPassword)))
		db.Do("USE mail;" + ispconfig(t))
		expectISPConfig(t, documented(t, "ISPConfig", "mysql://ispconfig@localhost/dbispconfig", db.URL(""), "ispconfig.password", secretFile(t, MariaDBPassword)))
		d, _ := attach(t, documented(t, "ISPConfig", "mysql://ispconfig@localhost/dbispconfig", db.URL("127.0.0.1"), "ispconfig.password", secretFile(t, MariaDBPassword)))
		for _, key := range hostileKeys {
			if got := d.Authenticate(t.Context(), key+"@example.com", "sesame"); got.State() != lookup.NotFound {
				t.Errorf("MAP-002 %.40q: %v %v", key, got.State(), got.Err())
			}
		}
		db.Kill()
		if got := d.Account(t.Context(), mailbox(t, "nobody@example.com")); got.State() != lookup.TryAgain {
			t.Errorf("MAP-004 down: %v", got.State())
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		pg := NewPostgreSQL(t)
		pg.Start()
		pg.Do(postfixadmin(t, "boolean", "true", "false") + "CREATE ROLE reader LOGIN PASSWORD '" + PostgreSQLPassword + "'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;")
		secret := secretFile(t, PostgreSQLPassword)
		text := documented(t, "postfixadmin, PostgreSQL", "postgres://postfix@localhost/postfix", pg.URL("127.0.0.1"), "postfixadmin.password", secret)
		expectPostfixadmin(t, text)
		d, _ := attach(t, text)
		for _, key := range hostileKeys {
			if got := d.Authenticate(t.Context(), key+"@example.org", "sesame"); got.State() != lookup.NotFound {
				t.Errorf("MAP-002 %.40q: %v %v", key, got.State(), got.Err())
			}
		}
		pg.Process().Freeze(t)
		defer pg.Process().Thaw()
		if got := d.Account(t.Context(), mailbox(t, "nobody@example.org")); got.State() != lookup.TryAgain {
			t.Errorf("MAP-004 silent: %v", got.State())
		}
		expectLogins(t, d, map[string]lookup.State{"alice@example.org sesame": lookup.TryAgain})
	})
}

// ispconfig is the tables and columns of ISPConfig 3 that mail servers read, with
// another family.
func ispconfig(t *testing.T) string {
	return strings.NewReplacer("'SHA512CRYPT'", "'"+cryptOf(t, "-6", "sesame")+"'", "'MD5CRYPT'", "'"+cryptOf(t, "-1", "sesame")+"'").Replace(`
CREATE TABLE mail_domain (domain_id int PRIMARY KEY AUTO_INCREMENT, server_id int, domain varchar(255), active enum('n','y'));
CREATE TABLE mail_user (mailuser_id int PRIMARY KEY AUTO_INCREMENT, server_id int, email varchar(255), login varchar(255), password varchar(255), name varchar(255),
  uid int, gid int, maildir varchar(255), maildir_format varchar(255), quota bigint, cc text, homedir varchar(255), autoresponder enum('n','y'),
  postfix enum('y','n'), disableimap enum('n','y'), disablepop3 enum('n','y'), disablesmtp enum('n','y'));
CREATE TABLE mail_forwarding (forwarding_id int PRIMARY KEY AUTO_INCREMENT, server_id int, source varchar(255), destination text,
  type enum('alias','aliasdomain','forward','catchall'), active enum('n','y'));
INSERT INTO mail_domain (server_id, domain, active) VALUES (1, 'example.com', 'y'), (1, 'alias.example', 'y'), (1, 'off.example', 'n');
INSERT INTO mail_user (server_id, email, login, password, uid, gid, maildir, maildir_format, quota, homedir, postfix, disableimap, disablepop3, disablesmtp) VALUES
  (1, 'alice@example.com', 'alice@example.com', 'SHA512CRYPT', 5000, 5000, '/var/vmail/example.com/alice', 'maildir', 1073741824, '/var/vmail', 'y', 'n', 'n', 'n'),
  (1, 'bob@example.com', 'robert@example.com', 'MD5CRYPT', 5000, 5000, '/var/vmail/example.com/bob', 'maildir', 0, '/var/vmail', 'y', 'n', 'n', 'n'),
  (1, 'off@example.com', 'off@example.com', 'MD5CRYPT', 5000, 5000, '/var/vmail/example.com/off', 'maildir', -1, '/var/vmail', 'y', 'y', 'y', 'y');
INSERT INTO mail_forwarding (server_id, source, destination, type, active) VALUES (1, 'sales@example.com', 'alice@example.com, bob@example.com', 'alias', 'y'),
  (1, 'out@example.com', 'somebody@elsewhere.example', 'forward', 'y'), (1, '@example.com', 'bob@example.com', 'catchall', 'y'),
  (1, '@alias.example', '@example.com', 'aliasdomain', 'y'), (1, 'old@example.com', 'alice@example.com', 'alias', 'n');
`)
}

func expectISPConfig(t *testing.T, text string) {
	t.Helper()
	d, _ := attach(t, text)
	expectLogins(t, d, map[string]lookup.State{"alice@example.com sesame": lookup.Found, "alice@example.com wrong": lookup.NotFound, "robert@example.com sesame": lookup.Found,
		"bob@example.com sesame": lookup.Found, "off@example.com sesame": lookup.NotFound, "nobody@example.com sesame": lookup.NotFound})
	a := d.Account(t.Context(), mailbox(t, "Alice@Example.com")).Value()
	if a.Maildir != "/var/vmail/example.com/alice/Maildir" || a.Quota != 1<<30 {
		t.Errorf("%+v", a)
	}
	if got := d.Authenticate(t.Context(), "robert@example.com", "sesame").Value(); got.Address != "bob@example.com" {
		t.Errorf("robert is %+v", got)
	}
	for name, want := range map[string]lookup.State{"example.com": lookup.Found, "off.example": lookup.NotFound, "elsewhere.example": lookup.NotFound} {
		if got := d.Domain(t.Context(), name); got.State() != want {
			t.Errorf("%s: %v (%v)", name, got.State(), got.Err())
		}
	}
	expectAliases(t, text, map[string]string{"sales@example.com": "alice@example.com, bob@example.com", "out@example.com": "somebody@elsewhere.example", "old@example.com": "",
		"@example.com": "bob@example.com", "alice@alias.example": "alice@example.com", "@alias.example": "", "alice@elsewhere.example": ""})
}
