package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// Row 30, a sender restriction from SQL, and aliases from SQL: a MariaDB is asked in the
// middle of a session, through files of Postfix's. While it is down, clients come again
// (MAP-004).
func TestSessionAsksMariaDB(t *testing.T) {
	t.Parallel()
	m := NewMariaDB(t)
	m.Start()
	m.Do(`USE mail; CREATE TABLE senders (sender VARCHAR(100), verdict VARCHAR(100)); INSERT INTO senders VALUES ('eve@example.net', 'REJECT not from you');
CREATE TABLE aliases (address VARCHAR(100), target VARCHAR(100)); INSERT INTO aliases VALUES ('team@example.org', '` + alice + `');`)
	dir := Room(t)
	who := fmt.Sprintf("hosts = unix:%s\nuser = %s\npassword = %s\ndbname = mail\n", m.Socket(), MariaDBUser, MariaDBPassword)
	senders := WriteFile(t, filepath.Join(dir, "senders.cf"), who+"query = SELECT verdict FROM senders WHERE sender = '%s'\n")
	aliases := WriteFile(t, filepath.Join(dir, "aliases.cf"), who+"query = SELECT target FROM aliases WHERE address = '%u@%d'\n")
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Config: fmt.Sprintf(`
[addresses]
virtual_alias_maps = "proxy:mysql:%s"

[[list]]
name = "senders"
source = "mysql:%s"
cache_time = "1s"

[[rule]]
name = "senders"
stage = "mail"
when = 'in_list("senders", sender)'
then = "listed"
`, aliases, senders)})
	f.Start()
	try := func(from, to string) string { return deliver(t, f, from, to, difficult(from)) }
	if got := try("eve@example.net", alice); got[0] != '5' || !strings.Contains(got, "not from you") {
		t.Errorf("row 30: %s", got)
	}
	if got := try("bob@example.net", "team@example.org"); !strings.HasPrefix(got, "250") {
		t.Errorf("an alias of SQL: %s", got)
	}
	if got := try("bob@example.net", "nobody@example.org"); got[0] != '5' {
		t.Errorf("nobody: %s", got)
	}
	m.Kill()
	// Of aliases nobody is remembered who was not asked for.
	for _, to := range []string{"someone@example.org", "abuse@example.org"} {
		if got := try("bob@example.net", to); !strings.HasPrefix(got, "451") {
			t.Errorf("MAP-004 virtual_alias_maps is down: RCPT %s: %s", to, got)
		}
	}
	WaitUntil(t, "MAP-004 the sender can't be judged", func() bool { return strings.HasPrefix(try("bob@example.net", alice), "451") })
	if strings.Contains(f.Log(), "canary") {
		t.Error("MAP-010: the password is in the log")
	}
}
