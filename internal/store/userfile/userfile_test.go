package userfile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
)

// log keeps what was told.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) Emit(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, text := e.Line()
	l.lines = append(l.lines, text)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func ask(t *testing.T, s directory.Source, name string) lookup.Answer[directory.Record] {
	t.Helper()
	a, err := address.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return s.Login(context.Background(), a)
}

const canary = "kanarienvogel"

func TestPasswdFile(t *testing.T) {
	said := &log{}
	path := write(t, filepath.Join(t.TempDir(), "users"), `
Alice@Example.org:{PLAIN}`+canary+`:5000:5000::/var/vmail/alice::userdb_quota_rule=*:storage=1G userdb_mail=maildir:~/Maildir:INDEX=/x
bob:$1$abcdefgh$.pUq7D2b/morRHJWlFMKz/:::::
carol@example.org:{PLAIN}x::::::nologin
dave@example.org:{PLAIN}`+canary+`::::::allow_nets=10.0.0.0/8,192.0.2.7
erin@example.org:{ROT13}`+canary+`
frank@example.org:*
grace@example.org:{PLAIN}x::::::userdb_mail=mbox:~/mail
bad:{PLAIN}`+canary+`:x:
@:{PLAIN}x
heidi@example.org:{PLAIN}x::::::allow_nets=everywhere
ivan@example.org:{CRYPT}!$1$abcdefgh$.pUq7D2b/morRHJWlFMKz/
`)
	os.Chmod(path, 0o644) //nolint:errcheck // the log tells
	s, err := NewPasswdFile(PasswdFile{Path: directory.Template(path), DefaultDomain: "example.org", Events: said})
	if err != nil {
		t.Fatal(err)
	}
	r := ask(t, s, "alice@EXAMPLE.org").Value()
	if r.Password != "{PLAIN}"+canary || r.Home != "/var/vmail/alice" || r.Maildir != "~/Maildir" || r.Own.Bytes != 1<<30 || r.Unix.UID != 5000 {
		t.Errorf("%+v", r)
	}
	if r := ask(t, s, "Bob@example.org").Value(); !strings.HasPrefix(r.Password, "{CRYPT}$1$") {
		t.Errorf("%+v", r)
	}
	if ask(t, s, "bob@elsewhere.org").State() != lookup.NotFound {
		t.Error("a name without a domain is in each")
	}
	if !ask(t, s, "carol@example.org").Value().Disabled {
		t.Error("nologin logs in")
	}
	if a := ask(t, s, "frank@example.org"); a.State() != lookup.Found || a.Value().Password != "" {
		t.Error("a locked account has mail and no password")
	}
	if r := ask(t, s, "dave@example.org").Value(); len(r.Nets) != 2 || r.Nets[1].String() != "192.0.2.7/32" {
		t.Errorf("%+v", r)
	}
	if r := ask(t, s, "heidi@example.org").Value(); r.Nets == nil || len(r.Nets) != 0 {
		t.Errorf("allow_nets that can't be read lets somebody in: %+v", r)
	}
	if a := ask(t, s, "ivan@example.org"); a.State() != lookup.Found || a.Value().Password != "" {
		t.Error("a password that is locked behind its scheme:", a.State(), a.Value().Password)
	}
	// A name that stands there has mail, whatever else is wrong (MAP-004).
	if a := ask(t, s, "erin@example.org"); a.State() != lookup.Found {
		t.Error("a password that can't be read makes mail unknown:", a.State())
	} else if _, err := directory.Verify(a.Value().Password, canary); err == nil {
		t.Error("a password that can't be read opens, or is wrong")
	}
	for name, want := range map[string]lookup.State{"grace": lookup.TryAgain, "bad": lookup.TryAgain, "nobody": lookup.NotFound} {
		if a := ask(t, s, name+"@example.org"); a.State() != want {
			t.Errorf("%s: %v %+v", name, a.State(), a.Value())
		}
	}
	if !strings.Contains(said.String(), "everybody on this machine can read the passwords") { // MAP-011
		t.Error(said)
	}
	for _, line := range []int{6, 8, 9, 10, 11} {
		if !strings.Contains(said.String(), fmt.Sprintf("%s:%d: ", path, line)) {
			t.Errorf("line %d is not told of in\n%s", line, said)
		}
	}
	if strings.Contains(said.String(), canary) { // MAP-010
		t.Error(said)
	}
	var names []string
	s.List(t.Context(), func(r directory.Record) error { names = append(names, r.Address.String()); return nil }) //nolint:errcheck // none is given
	if want := []string{"Alice@example.org", "bob@example.org", "carol@example.org", "dave@example.org", "erin@example.org", "frank@example.org",
		"heidi@example.org", "ivan@example.org"}; !slices.Equal(names, want) {
		t.Error(names)
	}
}

// A file that changes is read again, once two looks found the same; one that is gone
// makes mail wait (MAP-004).
func TestReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := write(t, filepath.Join(t.TempDir(), "users"), "alice@example.org:{PLAIN}x\n")
		s, err := NewPasswdFile(PasswdFile{Path: directory.Template(path), Events: &log{}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, "bob@example.org:{PLAIN}x:::::\n")
		for _, step := range []struct {
			alice, bob lookup.State
		}{
			{lookup.Found, lookup.NotFound}, // it may be half written
			{lookup.NotFound, lookup.Found},
		} {
			time.Sleep(glance)
			if a, b := ask(t, s, "alice@example.org").State(), ask(t, s, "bob@example.org").State(); a != step.alice || b != step.bob {
				t.Fatal(a, b)
			}
		}
		os.Remove(path)
		time.Sleep(glance)
		if a := ask(t, s, "bob@example.org"); a.State() != lookup.TryAgain {
			t.Error(a.State())
		}
		write(t, path, "bob@example.org:{PLAIN}y\n")
		if a := ask(t, s, "bob@example.org"); a.Value().Password != "{PLAIN}y" {
			t.Error(a)
		}
	})
}

func TestFilePerDomain(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "example.org", "passwd"), "alice:{PLAIN}x\n")
	s, err := NewPasswdFile(PasswdFile{Path: directory.Template(dir + "/%d/passwd"), Domains: []string{"example.org", "example.net"}, Events: &log{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]lookup.State{
		"alice@example.org": lookup.Found, "bob@example.org": lookup.NotFound, "alice@example.net": lookup.NotFound,
	} {
		if a := ask(t, s, name); a.State() != want {
			t.Errorf("%s: %v %v", name, a.State(), a.Err())
		}
	}
	n := 0
	if s.List(t.Context(), func(directory.Record) error { n++; return nil }); n != 1 {
		t.Error(n)
	}
	// LOC-003: a disk that is not mounted has no files, and nobody is unknown by that.
	os.RemoveAll(filepath.Join(dir, "example.org"))
	time.Sleep(glance)
	if a := ask(t, s, "alice@example.org"); a.State() != lookup.TryAgain {
		t.Error(a.State())
	}
}

func TestLocalNames(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "users"), "alice:{PLAIN}x\n")
	s, _ := NewPasswdFile(PasswdFile{Path: directory.Template(path), LocalNames: true, Domains: []string{"a.org", "b.org"}, Events: &log{}})
	for _, name := range []string{"alice@a.org", "alice@b.org"} {
		if ask(t, s, name).State() != lookup.Found {
			t.Error(name)
		}
	}
	n := 0
	if s.List(t.Context(), func(directory.Record) error { n++; return nil }); n != 2 {
		t.Error(n)
	}
}

const users = `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
toor:x:0:1000::/root:/bin/sh
rootgroup:x:1009:0::/home/r:/bin/sh
dyn:x:61500:61500::/run:/usr/sbin/nologin
homeless:x:1008:1008:::/bin/sh
alice:x:1000:1000:Alice,,,:/home/alice:/bin/bash
bob:x:1001:1001::/home/bob:/usr/sbin/nologin
carol:x:1002:1002::/home/carol:/bin/bash
dave:x:1003:1003::/home/dave:/bin/bash
old:$1$abcdefgh$.pUq7D2b/morRHJWlFMKz/:1004:1004::/home/old:/bin/sh
unshadowed:x:1005:1005::/home/u:/bin/sh
`

const shadows = `root:$y$j75$abcdefgh$4Sy5bmaGP42EGNl6zcG2p1QJHz6MzHG/8f58CDYbFr6:19000:0:99999:7:::
alice:$y$j75$abcdefgh$4Sy5bmaGP42EGNl6zcG2p1QJHz6MzHG/8f58CDYbFr6:19000:0:99999:7:::
bob:$6$saltstring$REKT2l5jpP6DwhYnQNS7m7XnxVWpq3GjhPPaEVFr9CzyWIGDmvxB.pI4ISrfNE6.pvrkke218/e8VOJaPjCTc/:19000:0:99999:7:::
carol:!$6$saltstring$REKT2l5jpP6DwhYnQNS7m7XnxVWpq3GjhPPaEVFr9CzyWIGDmvxB.pI4ISrfNE6.pvrkke218/e8VOJaPjCTc/:19000:0:99999:7:::
dave:$6$saltstring$REKT2l5jpP6DwhYnQNS7m7XnxVWpq3GjhPPaEVFr9CzyWIGDmvxB.pI4ISrfNE6.pvrkke218/e8VOJaPjCTc/:19000:0:99999:7::18000:
`

// Rows 64, 70 and 76: the users of the machine have mail and passwords.
func TestUnix(t *testing.T) {
	dir := t.TempDir()
	u := Unix{Passwd: write(t, dir+"/passwd", users), Shadow: write(t, dir+"/shadow", shadows), MinUID: 1000, Domains: []string{"example.org"}, Events: &log{}}
	s, err := NewUnix(u)
	if err != nil {
		t.Fatal(err)
	}
	r := ask(t, s, "Alice@example.org").Value()
	if r.Unix == nil || *r.Unix != (directory.Unix{Name: "alice", UID: 1000, GID: 1000, Home: "/home/alice"}) || r.Disabled {
		t.Errorf("%+v", r)
	}
	const secret = "sécret 1"
	for name, opens := range map[string]bool{"alice": true, "bob": true, "carol": false, "old": true, "unshadowed": false} {
		r := ask(t, s, name+"@example.org").Value()
		if ok, err := directory.Verify(orNone(r.Password), secret); err != nil || ok != opens || r.Disabled {
			t.Errorf("%s: %v %v %+v", name, ok, err, r)
		}
	}
	if !ask(t, s, "dave@example.org").Value().Disabled {
		t.Error("an account that has expired logs in")
	}
	t.Run("LOC-010 LOC-016 root and what is no person", func(t *testing.T) {
		for _, name := range []string{"root", "daemon", "www-data", "nobody", "toor", "rootgroup", "dyn", "homeless"} {
			if a := ask(t, s, name+"@example.org"); a.State() != lookup.NotFound {
				t.Errorf("%s is %+v", name, a.Value())
			}
		}
	})
	dave, _ := address.Parse("dave@example.org")
	if !s.Account(t.Context(), dave).Value().Disabled {
		t.Error("the sessions of an account that has expired go on")
	}
	var names []string
	s.List(t.Context(), func(r directory.Record) error { names = append(names, r.Address.Local); return nil }) //nolint:errcheck // none is given
	if len(names) != 6 {
		t.Error(names)
	}
	os.Remove(u.Shadow)
	fresh, _ := NewUnix(u)
	if a := ask(t, fresh, "alice@example.org"); a.State() != lookup.TryAgain {
		t.Error("without shadow nobody can tell: ", a.State())
	}
	a, _ := address.Parse("alice@example.org")
	if got := fresh.Account(t.Context(), a); got.State() != lookup.Found {
		t.Error("mail needs no password")
	}
}

// Whoever checks passwords, an account that is over has neither log-ins nor sessions:
// its app passwords and tokens do not ask him. Without a readable shadow(5) he alone knows.
func TestUnixEndsWhoeverChecksPasswords(t *testing.T) {
	dir := t.TempDir()
	told := &log{}
	ended := strings.Replace(shadows, "carol:!$6$saltstring$REKT2l5jpP6DwhYnQNS7m7XnxVWpq3GjhPPaEVFr9CzyWIGDmvxB.pI4ISrfNE6.pvrkke218/e8VOJaPjCTc/:19000:0:99999:7:::", "carol:!:19000:0:99999:7::1:", 1)
	u := Unix{Passwd: write(t, dir+"/passwd", users), Shadow: write(t, dir+"/shadow", ended), MinUID: 1000, Domains: []string{"example.org"}, Events: told}
	for _, u.Checked = range []bool{true, false} {
		s, err := NewUnix(u)
		if err != nil {
			t.Fatal(err)
		}
		for name, over := range map[string]bool{"alice": false, "bob": false, "carol": true, "dave": true, "unshadowed": false} {
			a, _ := address.Parse(name + "@example.org")
			login, account := ask(t, s, name+"@example.org").Value(), s.Account(t.Context(), a).Value()
			if login.Disabled != over || account.Disabled != over || u.Checked && login.Password != "" {
				t.Errorf("%s, checked elsewhere %v: %+v %+v", name, u.Checked, login, account)
			}
		}
	}
	os.Remove(u.Shadow)
	u.Checked, told = true, &log{}
	u.Events = told
	s, err := NewUnix(u)
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, "dave@example.org"); got.State() != lookup.Found || got.Value().Disabled || len(told.lines) != 0 {
		t.Errorf("without shadow: %v %+v, told %v", got.State(), got.Value(), told)
	}
}

func orNone(stored string) string {
	if stored == "" {
		return "{PLAIN}no password fits"
	}
	return stored
}
