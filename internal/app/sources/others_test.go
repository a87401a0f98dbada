package sources

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/net/authclient"
	"facteur/internal/store/directory"
)

func at(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// virtual_mailbox_maps and virtual_mailbox_base.
func TestTables(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vmailbox")
	text := "alice@example.org example.org/alice/\nbob@example.org example.org/bob\neve@example.org ../../etc/\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := config.Directory{Name: "v", Kind: config.DirectoryMaps, Source: "hash:" + file, MailboxBase: "/var/mail/vhosts/"}
	var p directory.Place
	s, err := openTables(config.Default(), d, event.Discard, &p)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if r := s.Account(t.Context(), at(t, "Alice@example.org")); r.Value().Maildir != "/var/mail/vhosts/example.org/alice" {
		t.Error(r)
	}
	for name, want := range map[string]lookup.State{"bob": lookup.TryAgain, "carol": lookup.NotFound} {
		if r := s.Account(t.Context(), at(t, name+"@example.org")); r.State() != want {
			t.Errorf("%s: %v", name, r.State())
		}
	}
	// LOC-001: what leads out of the base is refused where places make paths of records.
	if r := s.Account(t.Context(), at(t, "eve@example.org")); r.Value().Maildir != "/var/mail/vhosts/../../etc" {
		t.Errorf("%q was cleaned before it could be refused", r.Value().Maildir)
	}
}

type notes []event.Event

func (n *notes) Emit(e event.Event) { *n = append(*n, e) }

// An entry for all users of a domain is nobody's account, and the admin is told so, once.
func TestWholeDomainOfTables(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vmailbox")
	if err := os.WriteFile(file, []byte("@example.org all/\nalice@example.net alice/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var told notes
	var p directory.Place
	s, err := openTables(config.Default(), config.Directory{Name: "v", Kind: config.DirectoryMaps, Source: "hash:" + file}, &told, &p)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{"a@example.net", "a@example.org", "b@example.org"} {
		if r := s.Account(t.Context(), at(t, name)); r.State() != lookup.NotFound {
			t.Errorf("%s: %v", name, r.State())
		}
	}
	if len(told) != 1 || !strings.Contains(told[0].(event.Note).Text, "@example.org of virtual_mailbox_maps") {
		t.Errorf("%+v", told)
	}
}

// An inline table has commas of its own.
func TestInlineTables(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vmailbox")
	if err := os.WriteFile(file, []byte("carol@example.org x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := config.Directory{Name: "v", Kind: config.DirectoryMaps, Source: "inline:{alice@example.org=a, bob@example.org=b}, hash:" + file}
	s, err := openTables(config.Default(), d, event.Discard, &directory.Place{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, want := range map[string]lookup.State{"alice": lookup.Found, "bob": lookup.Found, "carol": lookup.Found, "dave": lookup.NotFound} {
		if r := s.Account(t.Context(), at(t, name+"@example.org")); r.State() != want {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// What a Dovecot says of its users.
func TestRecordOf(t *testing.T) {
	r, err := recordOf(authclient.User{Name: "alice@example.org", Fields: map[string]string{
		"home": "/var/vmail/alice", "uid": "1000", "gid": "1001", "mail": "maildir:~/Maildir:INDEX=/x", "quota_rule": "*:storage=1G",
	}})
	if err != nil || r.Maildir != "~/Maildir" || r.Own.Bytes != 1<<30 || r.Unix == nil || r.Unix.UID != 1000 || r.Unix.GID != 1001 || r.Address.Local != "alice" {
		t.Errorf("%+v %v", r, err)
	}
	for _, bad := range []map[string]string{{"mail": "mbox:~/mail"}, {"quota_rule": "x"}} {
		if _, err := recordOf(authclient.User{Name: "alice", Fields: bad}); err == nil {
			t.Error(bad)
		}
	}
}

func TestChecker(t *testing.T) {
	for name, good := range map[string]bool{"": true, "saslauthd:/run/x": true, "dovecot:/run/x": true, "saslauthd:x": false, "pam": false} {
		if _, err := checker(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Row 71: a saslauthd that goes by PAM is asked for /etc/pam.d/smtp, whatever the door.
func TestServiceOfPAM(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mux")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		var words []string
		for range 4 { // user, password, service, realm
			var size [2]byte
			io.ReadFull(c, size[:]) //nolint:errcheck // what is missing is not in the words
			word := make([]byte, binary.BigEndian.Uint16(size[:]))
			io.ReadFull(c, word) //nolint:errcheck // the same
			words = append(words, string(word))
		}
		asked <- strings.Join(words, " ")
		io.WriteString(c, "\x00\x02OK") //nolint:errcheck // Check tells
	}()
	check, err := checker("saslauthd:" + path)
	if err != nil {
		t.Fatal(err)
	}
	record := directory.Record{Address: address.Address{Local: "alice", Domain: "example.org"}}
	if got := check(t.Context(), record, "secret"); got.State() != lookup.Found {
		t.Fatal(got.State(), got.Err())
	}
	if got := <-asked; got != "alice secret smtp example.org" {
		t.Errorf("row 71: asked %q", got)
	}
}
