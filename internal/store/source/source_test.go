package source_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
	"facteur/internal/store/source"
)

// database is an SQLite file with these statements done.
func database(t *testing.T, statements ...string) (path string, do func(statement string)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "accounts.db")
	file, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	do = func(statement string) {
		t.Helper()
		if _, err := file.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, s := range statements {
		do(s)
	}
	return path, do
}

const people = `CREATE TABLE people (address TEXT, password TEXT, home TEXT, maildir TEXT, quota TEXT, disabled TEXT, forward TEXT)`

// openSQL is the people in a database as a source.
func openSQL(t *testing.T, path string) *source.SQL {
	t.Helper()
	s, err := source.OpenSQL(source.SQLConfig{Server: list.Source{Name: "people", From: "sqlite:" + path},
		Accounts: "SELECT * FROM people WHERE address = %u", List: "SELECT * FROM people"}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// open is a directory of ours with places, and bob in our own tables.
func open(t *testing.T, places ...directory.Place) *directory.Directory {
	t.Helper()
	dir := t.TempDir()
	own, err := db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	d := directory.New(own, []string{"example.org"}, dir, 1<<30)
	d.Attach(places)
	if err := d.AddAccount(t.Context(), mailbox(t, "bob@example.org"), "of bob", 0); err != nil {
		t.Fatal(err)
	}
	return d
}

func mailbox(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantState[T any](t *testing.T, what string, got lookup.Answer[T], want lookup.State) {
	t.Helper()
	if got.State() != want {
		t.Errorf("%s: %v (%v), want %v", what, got.State(), got.Err(), want)
	}
}

// Our own tables come first, then the places in their order (row 70).
func TestRow70OwnFirstThenPlacesInOrder(t *testing.T) {
	t.Parallel()
	one, _ := database(t, people, `INSERT INTO people (address, password, home) VALUES
		('bob@example.org', '{PLAIN}other bob', '/one'), ('carol@example.org', '{PLAIN}of carol', '/one'), ('dave@example.net', '{PLAIN}x', '/one')`)
	two, _ := database(t, people, `INSERT INTO people (address, password, home) VALUES
		('carol@example.org', '{PLAIN}second carol', '/two'), ('dan@example.org', '{PLAIN}of dan', '/two')`)
	d := open(t, directory.Place{Name: "one", Kind: "SQL", Source: openSQL(t, one), Maildir: "~/Maildir", DefaultDomain: "example.org"},
		directory.Place{Name: "two", Kind: "SQL", Source: openSQL(t, two), Maildir: "/home/vmail/%d/%n", Domains: []string{"example.org"}})
	ctx := t.Context()
	for _, c := range []struct{ address, source, maildir string }{
		{"bob@example.org", "", ""}, {"Carol@Example.ORG", "one", "/one/Maildir"}, {"dan@example.org", "two", "/home/vmail/example.org/dan"},
	} {
		got := d.Account(ctx, mailbox(t, c.address))
		wantState(t, c.address, got, lookup.Found)
		if a := got.Value(); a.Source != c.source || a.Maildir != c.maildir || a.Quota != 1<<30 {
			t.Errorf("%s: %+v", c.address, a)
		}
	}
	for _, c := range []struct {
		login, password string
		want            lookup.State
	}{
		{"bob@example.org", "of bob", lookup.Found}, {"bob@example.org", "other bob", lookup.NotFound},
		{"CAROL@example.org", "of carol", lookup.Found}, {"carol", "of carol", lookup.Found}, {"carol@example.org", "second carol", lookup.NotFound},
		{"dan@example.org", "of dan", lookup.Found}, {"dan@example.org", "of carol", lookup.NotFound}, {"dan@example.org", "", lookup.NotFound},
		{"nobody@example.org", "of dan", lookup.NotFound}, {"' OR 1=1 --@example.org", "x", lookup.NotFound},
	} {
		wantState(t, c.login+" "+c.password, d.Authenticate(ctx, c.login, c.password), c.want)
	}
	if d.LoginName("Carol") != "carol@example.org" || d.LoginName("carol@example.org") != "carol@example.org" {
		t.Error("a name and its long form are counted apart")
	}
	var listed []string
	own, err := d.Accounts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Elsewhere(ctx, own, func(a directory.Account) error { listed = append(listed, a.Address+" "+a.Source); return nil }); err != nil {
		t.Error(err)
	}
	if got := strings.Join(listed, ", "); got != "carol@example.org one, dave@example.net one, dan@example.org two" {
		t.Errorf("listed: %s", got)
	}
}

// Who is kept elsewhere is changed there, and the command says where.
func TestForeignAccountsAreNotChangedHere(t *testing.T) {
	t.Parallel()
	path, _ := database(t, people, `INSERT INTO people (address, password) VALUES ('carol@example.org', '{PLAIN}of carol')`)
	d := open(t, directory.Place{Name: "people", Kind: "SQL", Source: openSQL(t, path)})
	ctx, carol := t.Context(), mailbox(t, "carol@example.org")
	for what, err := range map[string]error{
		"password": d.SetPassword(ctx, carol, "new"), "remove": d.RemoveAccount(ctx, carol, true),
		"quota": d.SetAllowance(ctx, carol, directory.Allowance{Bytes: 1}),
	} {
		if err == nil || !strings.Contains(err.Error(), `kept in SQL (directory "people"); change it there`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := d.SetPassword(ctx, mailbox(t, "nobody@example.org"), "new"); err != directory.ErrNoAccount {
		t.Errorf("a stranger: %v", err)
	}
	if err := d.Grant(ctx, carol, "sales@example.org"); err != nil {
		t.Errorf("a grant: %v", err)
	}
}

// MAP-004: a source that fails makes mail and log-ins wait. Those whom our own tables
// know, or an earlier place, do not notice.
func TestMAP004ASourceThatFailsIsNeverUnknown(t *testing.T) {
	t.Parallel()
	good, _ := database(t, people, `INSERT INTO people (address, password) VALUES ('carol@example.org', '{PLAIN}of carol')`)
	broken, _ := database(t, `CREATE TABLE other (x)`)
	d := open(t, directory.Place{Name: "good", Kind: "SQL", Source: openSQL(t, good)}, directory.Place{Name: "broken", Kind: "SQL", Source: openSQL(t, broken)})
	ctx := t.Context()
	wantState(t, "own", d.Account(ctx, mailbox(t, "bob@example.org")), lookup.Found)
	wantState(t, "earlier", d.Account(ctx, mailbox(t, "carol@example.org")), lookup.Found)
	wantState(t, "unknown before it", d.Account(ctx, mailbox(t, "dan@example.org")), lookup.TryAgain)
	wantState(t, "log-in", d.Authenticate(ctx, "dan@example.org", "x"), lookup.TryAgain)
	wantState(t, "log-in of an earlier one", d.Authenticate(ctx, "carol@example.org", "of carol"), lookup.Found)
	wantState(t, "token", d.Vouched(ctx, "dan@example.org"), lookup.TryAgain)
	wantState(t, "another's domain", d.Domain(ctx, "example.com"), lookup.NotFound)
	own, _ := d.Accounts(ctx)
	n := 0
	if err := d.Elsewhere(ctx, own, func(directory.Account) error { n++; return nil }); err == nil || n != 1 {
		t.Errorf("listing: %d, %v", n, err)
	}
}

// What is remembered is of one user, ends within a minute, and never lets in.
func TestCacheForgetsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s := &countingSource{known: map[string]directory.Record{"carol@example.org": {Password: "{PLAIN}open sesame"}}}
		d := open(t, directory.Place{Name: "people", Kind: "SQL", Source: s})
		for range 3 {
			wantState(t, "carol", d.Account(ctx, mailbox(t, "carol@example.org")), lookup.Found)
		}
		if s.asked != 1 {
			t.Errorf("asked %d times", s.asked)
		}
		wantState(t, "log-in", d.Authenticate(ctx, "carol@example.org", "open sesame"), lookup.Found)
		delete(s.known, "carol@example.org")
		wantState(t, "log-in of who was removed", d.Authenticate(ctx, "carol@example.org", "open sesame"), lookup.NotFound)
		wantState(t, "dan", d.Account(ctx, mailbox(t, "dan@example.org")), lookup.NotFound)
		time.Sleep(31 * time.Second)
		wantState(t, "who was removed", d.Account(ctx, mailbox(t, "carol@example.org")), lookup.NotFound)
		s.known["dan@example.org"] = directory.Record{}
		wantState(t, "who was added", d.Account(ctx, mailbox(t, "dan@example.org")), lookup.Found)
		s.known["eve@example.org"] = directory.Record{}
		wantState(t, "who was never asked for", d.Account(ctx, mailbox(t, "eve@example.org")), lookup.Found)
	})
}

// countingSource is a source in memory, for clocks that are not real.
type countingSource struct {
	*source.SQL
	known map[string]directory.Record
	asked int
}

func (s *countingSource) Account(_ context.Context, a address.Address) lookup.Answer[directory.Record] {
	s.asked++
	r, ok := s.known[a.Key()]
	if !ok {
		return lookup.No[directory.Record](nil)
	}
	return lookup.Yes(r)
}

func (s *countingSource) Login(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	return s.Account(ctx, a)
}

// A Checker is asked about strangers too, never about an empty password, and who it let
// in once is not let in when he is gone.
func TestCheckers(t *testing.T) {
	t.Parallel()
	s := &countingSource{known: map[string]directory.Record{"carol@example.org": {Identity: "carol"}, "off@example.org": {Identity: "off", Disabled: true}}}
	var asked []string
	down := false
	d := open(t, directory.Place{Name: "people", Kind: "LDAP", Source: s, Check: func(_ context.Context, r directory.Record, password string) lookup.Answer[struct{}] {
		asked = append(asked, r.Identity+":"+password)
		if r.Identity == "" && r.Address.Local == "root" {
			t.Error("LOC-016: guesses at who has no mail reach PAM")
		}
		switch {
		case down:
			return lookup.Later[struct{}](fmt.Errorf("down"))
		case password == "open sesame": // of a stranger's too: it must not count
			return lookup.Yes(struct{}{})
		}
		return lookup.No[struct{}](nil)
	}})
	ctx := t.Context()
	for _, c := range []struct {
		login, password string
		want            lookup.State
	}{
		{"carol@example.org", "wrong", lookup.NotFound}, {"carol@example.org", "wrong", lookup.NotFound}, {"carol@example.org", "", lookup.NotFound},
		{"root@example.org", "open sesame", lookup.NotFound}, {"off@example.org", "open sesame", lookup.NotFound}, {"carol@example.org", "open sesame", lookup.Found},
	} {
		wantState(t, c.login+" "+c.password, d.Authenticate(ctx, c.login, c.password), c.want)
	}
	if got := strings.Join(asked, " "); got != "carol:wrong carol:wrong :open sesame off:open sesame carol:open sesame" {
		t.Errorf("asked: %s", got)
	}
	down = true
	wantState(t, "proved a moment ago", d.Authenticate(ctx, "carol@example.org", "open sesame"), lookup.Found)
	wantState(t, "MAP-004 down", d.Authenticate(ctx, "carol@example.org", "another"), lookup.TryAgain)
	delete(s.known, "carol@example.org")
	down = false
	wantState(t, "who is gone", d.Authenticate(ctx, "carol@example.org", "open sesame"), lookup.NotFound)
}

// MAP-002, MAP-005: what is no query, or would put a key into its text, is refused at
// the start.
func TestMAP002Statements(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		"SELECT 1 FROM t WHERE a = '%u'": "stands in quotes", "SELECT 1": "does not ask for anybody", "DELETE FROM t WHERE a = %u": "begins with SELECT",
		"SELECT 1 FROM t WHERE a = %u; DROP TABLE t": "one statement", "SELECT 1 FROM t WHERE a = %u -- x": "one statement", "SELECT 1 FROM t WHERE a = %x": "after",
		"SELECT 1 FROM t WHERE a = %": "after", "SELECT 1 FROM t WHERE a = ?": "expected the places", "SELECT 1 FROM t WHERE a = %u AND b = 'x": "never closed",
		`SELECT 1 FROM t WHERE a = "%u"`: "stands in quotes", "": "begins with SELECT", "SELECT 1 FROM t WHERE a LIKE '\\' || %u": "one statement",
	} {
		_, err := source.OpenSQL(source.SQLConfig{Server: list.Source{From: "sqlite:/nowhere"}, Accounts: text}, event.Discard)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want …%s", text, err, reason)
		}
	}
	path, _ := database(t, people, `INSERT INTO people (address) VALUES ('x''; --@example.org'), ('50%@example.org')`)
	s, err := source.OpenSQL(source.SQLConfig{Server: list.Source{From: "sqlite:" + path},
		Accounts: "SELECT 1 AS there FROM people WHERE address = %n || '@' || %d AND address NOT LIKE '%%x'"}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for key, want := range map[string]lookup.State{
		`"x'; --"@example.org`: lookup.Found, "50%@example.org": lookup.Found, "%@example.org": lookup.NotFound, "5_%@example.org": lookup.NotFound,
	} {
		if got := s.Account(t.Context(), mailbox(t, key)); got.State() != want {
			t.Errorf("%s: %v %v", key, got.State(), got.Err())
		}
	}
}

// What stands in a row and makes no sense makes mail wait; nobody guesses.
func TestRecords(t *testing.T) {
	t.Parallel()
	path, do := database(t, people)
	s := openSQL(t, path)
	d := open(t, directory.Place{Name: "people", Kind: "SQL", Source: s, Domains: []string{"example.org"}})
	for _, c := range []struct {
		columns, values string
		want            lookup.State
		check           func(directory.Account) bool
	}{
		{"quota", "'5G'", lookup.Found, func(a directory.Account) bool { return a.Quota == 5<<30 }},
		{"quota", "'*:storage=1G:messages=10'", lookup.Found, func(a directory.Account) bool { return a.Quota == 1<<30 && a.Messages == 10 }},
		{"quota", "'*:storage=1024'", lookup.Found, func(a directory.Account) bool { return a.Quota == 1<<20 }},
		{"quota", "0", lookup.Found, func(a directory.Account) bool { return a.Quota == 0 }},
		{"quota", "'many'", lookup.TryAgain, nil},
		{"quota", "'-1'", lookup.TryAgain, nil},
		{"maildir", "'/home/vmail/../../etc'", lookup.TryAgain, nil},
		{"maildir", "'relative'", lookup.TryAgain, nil},
		{"maildir", "'~/Maildir'", lookup.TryAgain, nil},
		{"home, maildir", "'/home/x', '~/Maildir'", lookup.Found, func(a directory.Account) bool { return a.Maildir == "/home/x/Maildir" }},
		{"forward", "'a@example.net, b@example.net'", lookup.Found, func(a directory.Account) bool { return len(a.Forward) == 2 }},
		{"forward", "'nonsense'", lookup.TryAgain, nil},
		{"disabled", "'yes'", lookup.Found, func(a directory.Account) bool { return a.Disabled }},
		{"disabled", "'0'", lookup.Found, func(a directory.Account) bool { return !a.Disabled }},
	} {
		do(`DELETE FROM people`)
		do(`INSERT INTO people (address, ` + c.columns + `) VALUES ('carol@example.org', ` + c.values + `)`)
		d.Attach([]directory.Place{{Name: "people", Kind: "SQL", Source: s, Domains: []string{"example.org"}}}) // forgets
		got := d.Account(t.Context(), mailbox(t, "carol@example.org"))
		wantState(t, c.columns+" "+c.values, got, c.want)
		if c.check != nil && !c.check(got.Value()) {
			t.Errorf("%s %s: %+v", c.columns, c.values, got.Value())
		}
	}
	do(`INSERT INTO people (address) VALUES ('carol@example.org')`)
	if got := s.Account(t.Context(), mailbox(t, "carol@example.org")); got.State() != lookup.TryAgain {
		t.Errorf("two rows: %v", got.State())
	}
}

// A log-in name may be another than the address of the account. It opens no mailbox that
// is somebody else's: that of our own bob, or of who stands in an earlier place. Nor does a
// place without domains have accounts in those that are not ours.
func TestLogInsOpenOnlyTheirOwn(t *testing.T) {
	t.Parallel()
	as := func(address, password string) directory.Record {
		return directory.Record{Address: mailbox(t, address), Password: "{PLAIN}" + password}
	}
	one := &namedSource{mail: map[string]directory.Record{"first@example.org": as("first@example.org", "1")}}
	two := &namedSource{
		mail: map[string]directory.Record{"carol.long@example.org": as("carol.long@example.org", "carols"), "eve@elsewhere.example": as("eve@elsewhere.example", "eves")},
		names: map[string]directory.Record{
			"carol@example.org": as("carol.long@example.org", "carols"), "robert@example.org": as("bob@example.org", "stolen"), "bob@example.org": as("bob@example.org", "stolen"),
			"first@example.org": as("first@example.org", "stolen"), "another@example.org": as("first@example.org", "stolen"),
			"eve@elsewhere.example": as("eve@elsewhere.example", "eves"), "stray@example.org": as("eve@elsewhere.example", "eves"),
		},
	}
	d := open(t, directory.Place{Name: "one", Source: one}, directory.Place{Name: "two", Source: two, DefaultDomain: "example.org"})
	for _, c := range []struct {
		login, password, opens string
		want                   lookup.State
	}{
		{"carol@example.org", "carols", "carol.long@example.org", lookup.Found}, {"carol", "carols", "carol.long@example.org", lookup.Found},
		{"carol@example.org", "wrong", "", lookup.NotFound}, {"robert@example.org", "stolen", "", lookup.NotFound},
		{"bob", "stolen", "", lookup.NotFound}, {"bob", "of bob", "bob@example.org", lookup.Found},
		{"first@example.org", "stolen", "", lookup.NotFound}, {"another@example.org", "stolen", "", lookup.NotFound},
		{"eve@elsewhere.example", "eves", "", lookup.NotFound}, {"stray@example.org", "eves", "", lookup.TryAgain},
	} {
		for range 2 { // a proof that is remembered opens no more than the first
			got := d.Authenticate(t.Context(), c.login, c.password)
			wantState(t, c.login+" "+c.password, got, c.want)
			if got.Value().Address != c.opens {
				t.Errorf("%s opens %s", c.login, got.Value().Address)
			}
		}
	}
}

// namedSource is a source where people log in by other names than their addresses.
type namedSource struct {
	*source.SQL
	mail, names map[string]directory.Record
}

func (s *namedSource) Account(_ context.Context, a address.Address) lookup.Answer[directory.Record] {
	return answerOf(s.mail, a)
}

func (s *namedSource) Login(_ context.Context, a address.Address) lookup.Answer[directory.Record] {
	return answerOf(s.names, a)
}

func (s *namedSource) Domain(context.Context, string) lookup.Answer[directory.Domain] {
	return lookup.No[directory.Domain](nil)
}

func answerOf(m map[string]directory.Record, a address.Address) lookup.Answer[directory.Record] {
	if r, ok := m[a.Key()]; ok {
		return lookup.Yes(r)
	}
	return lookup.No[directory.Record](nil)
}

// Only what surely says so lets somebody log in.
func TestWhoMayLogIn(t *testing.T) {
	t.Parallel()
	path, _ := database(t, `CREATE TABLE people (address TEXT)`, `INSERT INTO people VALUES ('carol@example.org')`)
	for column, words := range map[string]map[string]bool{
		"disabled": {"NULL": true, "''": true, "' '": true, "0": true, "'n'": true, "'No'": true, "'f'": true, "'FALSE'": true, "'off'": true, "x'00'": true,
			"1": false, "'y'": false, "'t'": false, "'suspended'": false, "'20240102030405Z'": false, "'512'": false, "x'01'": false},
		"active": {"1": true, "'Y'": true, "'yes'": true, "'t'": true, "'TRUE'": true, "' on '": true, "x'01'": true,
			"NULL": false, "''": false, "0": false, "'no'": false, "'unknown'": false, "'2'": false, "x'00'": false},
		"nologin": {"NULL": true, "'y'": false, "'no'": false},
	} {
		for word, want := range words {
			s, err := source.OpenSQL(source.SQLConfig{Server: list.Source{Name: "people", From: "sqlite:" + path},
				Accounts: "SELECT address, " + word + " AS userdb_" + strings.ToUpper(column) + " FROM people WHERE address = %u"}, event.Discard)
			if err != nil {
				t.Fatal(err)
			}
			got := s.Account(t.Context(), mailbox(t, "carol@example.org"))
			if got.State() != lookup.Found || got.Value().Disabled == want {
				t.Errorf("%s = %s: %v %+v", column, word, got.State(), got.Value())
			}
			s.Close()
		}
	}
}
