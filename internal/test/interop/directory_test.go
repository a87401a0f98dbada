package interop

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"facteur/internal/app/config"
	"facteur/internal/app/sources"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
)

// attach is a directory of ours with the [[directory]] tables of a text.
func attach(t *testing.T, text string) (*directory.Directory, *notes) {
	t.Helper()
	dir, said := t.TempDir(), new(notes)
	path := WriteFile(t, filepath.Join(dir, "facteur.toml"), "hostname = \"mail.example.org\"\ndata_dir = \"data\"\n"+text)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	places, err := sources.Open(c, said)
	if err != nil {
		t.Fatal(err)
	}
	own, err := db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	d := directory.New(own, c.DomainNames(), dir, 0)
	d.Attach(places)
	t.Cleanup(func() { sources.Close(d.Attach(nil)); own.Close() })
	return d, said
}

func mailbox(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// expectLogins tries "name password" pairs.
func expectLogins(t *testing.T, d *directory.Directory, want map[string]lookup.State) {
	t.Helper()
	for pair, state := range want {
		login, password, _ := strings.Cut(pair, " ")
		if got := d.Authenticate(t.Context(), login, password); got.State() != state {
			t.Errorf("%s: %v (%v), want %v", pair, got.State(), got.Err(), state)
		}
	}
}

// family is people as the schemas of posixAccount and inetLocalMailRecipient have them.
// The passwords are "sesame" as SSHA (slappasswd), SHA-512 crypt(3) and as it is.
const family = people + `
dn: uid=jdoe,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: posixAccount
objectClass: inetLocalMailRecipient
uid: jdoe
cn: John Doe
sn: Doe
uidNumber: 2001
gidNumber: 2001
homeDirectory: /home/jdoe
mail: john.doe@example.org
mailLocalAddress: jdoe@example.org
mailLocalAddress: sales@example.org
roomNumber: 5G
userPassword: {SSHA}EwJmsMJBQ1wPZ/jqJ8FHMuYSoYNzYWx0

dn: uid=rita,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
uid: rita
cn: Rita
sn: R
mail: rita@example.org
mailRoutingAddress: rita@elsewhere.example
userPassword: {CRYPT}$6$saltsalt$JxxQ3sOqA4tVvjr4NhVvXaPd2OVZqBT5QeKxYG5nCD9Ogq0rfVWJmhUGmm6hGTDNdmQ3yTWdC9IOlXSkQ3f2X1

dn: uid=hal,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
uid: hal
cn: Hal
sn: H
mail: hal@example.org
mailHost: mail.branch.example
userPassword: sesame

dn: uid=root,ou=people,dc=example,dc=org
objectClass: account
objectClass: posixAccount
objectClass: inetLocalMailRecipient
uid: root
cn: root
uidNumber: 0
gidNumber: 0
homeDirectory: /root
mailLocalAddress: root@example.org
`

// Rows 61, 62 and 73: accounts in Debian's slapd, over each kind of connection, by bind and by their
// own hashes.
func TestRow73AccountsInDirectory(t *testing.T) {
	t.Parallel()
	crypt := strings.TrimSpace(Run(t, "", Need(t, "openssl"), "passwd", "-6", "-salt", "saltsalt", "sesame"))
	ssha := strings.TrimSpace(Run(t, "", Need(t, "slappasswd"), "-h", "{SSHA}", "-s", "sesame"))
	ldif := regexp.MustCompile(`userPassword: \{SSHA\}.*`).ReplaceAllLiteralString(family, "userPassword: "+ssha)
	ldif = regexp.MustCompile(`userPassword: \{CRYPT\}.*`).ReplaceAllLiteralString(ldif, "userPassword: {CRYPT}"+crypt)
	slapd := NewSlapd(t, ldif+crowd(450))
	slapd.Start()
	password := secretFile(t, SlapdPassword)
	toml := func(at, rest string) string {
		return "[[directory]]\nname = \"people\"\nkind = \"ldap\"\ndomains = [\"example.org\"]\ndefault_domain = \"example.org\"\nsource = \"" + at +
			"/ou=people,dc=example,dc=org\"\nbind_dn = \"" + SlapdUser + "\"\npassword_file = \"" + password + "\"\nca_file = \"" + slapd.CA() + "\"\n" + rest
	}
	const bind = "password = \"bind\"\nlogin_query = \"(|(uid=%n)(mail=%u))\"\nattributes = [\"quota=roomNumber\"]\n"
	plain := slapd.URL("ldap", "127.0.0.1")
	for name, text := range map[string]string{
		"ldap": toml(plain, bind), "ldapi": toml(slapd.URL("ldapi", ""), bind), "ldaps": toml(slapd.URL("ldaps", "localhost"), bind),
		"StartTLS":    toml(slapd.URL("ldap", "localhost"), bind+"tls = \"starttls\"\n"),
		"second host": toml("ldap://127.0.0.1:1,"+strings.TrimPrefix(plain, "ldap://"), bind),
	} {
		t.Run("bind over "+name, func(t *testing.T) {
			d, _ := attach(t, text)
			expectLogins(t, d, map[string]lookup.State{"jdoe sesame": lookup.Found, "john.doe@example.org sesame": lookup.Found, "jdoe wrong": lookup.NotFound,
				"jdoe ": lookup.NotFound, "nobody sesame": lookup.NotFound, "* sesame": lookup.NotFound, "jdoe@example.net sesame": lookup.NotFound})
			got := d.Account(t.Context(), mailbox(t, "Sales@Example.org"))
			if a := got.Value(); got.State() != lookup.Found || a.Address != "john.doe@example.org" || a.Quota != 5<<30 || a.Source != "people" {
				t.Errorf("%v %v %+v", got.State(), got.Err(), a)
			}
		})
	}
	t.Run("hashes", func(t *testing.T) {
		d, said := attach(t, toml(plain, ""))
		expectLogins(t, d, map[string]lookup.State{"jdoe sesame": lookup.Found, "sales@example.org sesame": lookup.Found, "jdoe wrong": lookup.NotFound,
			"rita@example.org sesame": lookup.Found, "rita@example.org wrong": lookup.NotFound, "nobody sesame": lookup.NotFound,
			"hal@example.org sesame": lookup.TryAgain, "alice sesame": lookup.NotFound}) // the form of hal's is not said; alice has none
		d, _ = attach(t, toml(plain, "password_scheme = \"PLAIN\"\n"))
		expectLogins(t, d, map[string]lookup.State{"hal@example.org sesame": lookup.Found, "hal@example.org wrong": lookup.NotFound, "jdoe sesame": lookup.Found})
		if strings.Contains(said.String(), "sesame") {
			t.Errorf("MAP-010: a password is in the log: %s", said)
		}
	})
	t.Run("mail that goes elsewhere", func(t *testing.T) {
		d, _ := attach(t, toml(plain, ""))
		rita, hal := d.Account(t.Context(), mailbox(t, "rita@example.org")).Value(), d.Account(t.Context(), mailbox(t, "hal@example.org")).Value()
		if len(rita.Forward) != 1 || rita.Forward[0].String() != "rita@elsewhere.example" || hal.Host != "mail.branch.example" {
			t.Errorf("%+v %+v", rita, hal)
		}
		if domain := d.Domain(t.Context(), "example.org"); domain.Value().Source != "directory people" {
			t.Errorf("%+v %v", domain.Value(), domain.Err())
		}
	})
	t.Run("row 234 LOC-010 Unix users", func(t *testing.T) {
		d, _ := attach(t, toml(plain, "unix_users = true\nmaildir = \"~/Maildir\"\n"))
		got := d.Account(t.Context(), mailbox(t, "jdoe@example.org"))
		if a := got.Value(); a.Unix == nil || a.Unix.UID != 2001 || a.Unix.Name != "jdoe" || a.Maildir != "/home/jdoe/Maildir" {
			t.Errorf("%v %+v", got.Err(), a)
		}
		if got := d.Account(t.Context(), mailbox(t, "root@example.org")); got.State() != lookup.TryAgain || !strings.Contains(got.Err().Error(), "root has none") {
			t.Errorf("root: %v %v", got.State(), got.Err())
		}
		if got := d.Account(t.Context(), mailbox(t, "rita@example.org")); got.State() != lookup.TryAgain {
			t.Errorf("nobody's letters: %v %v", got.State(), got.Value())
		}
	})
	t.Run("MAP-001 hostile names", func(t *testing.T) {
		d, _ := attach(t, toml(plain, bind))
		for _, key := range hostileKeys {
			if got := d.Authenticate(t.Context(), key, "sesame"); got.State() != lookup.NotFound {
				t.Errorf("%.40q: %v %v", key, got.State(), got.Err())
			}
			a := address.Address{Local: strings.ToValidUTF8(key, "x"), Domain: "example.org"}
			if got := d.Account(t.Context(), a); key != "alice@example.org" && got.State() != lookup.NotFound {
				t.Errorf("%.40q: %v %v", key, got.State(), got.Err())
			}
		}
	})
	t.Run("MAP-001 filters", func(t *testing.T) {
		for _, filter := range []string{"(%u=x)", "mail=%u)", "(mail={key})", "(mail=%x)", "(&(mail=%u)"} {
			path := WriteFile(t, filepath.Join(t.TempDir(), "f.toml"), "hostname = \"mail.example.org\"\n"+toml(plain, "account_query = \""+filter+"\"\n"))
			if c, err := config.Load(path); err == nil {
				if _, err := sources.Open(c, new(notes)); err == nil {
					t.Errorf("%s is taken", filter)
				}
			}
		}
	})
	t.Run("several have it", func(t *testing.T) {
		d, _ := attach(t, toml(plain, ""))
		if got := d.Account(t.Context(), mailbox(t, "postmaster@example.org")); got.State() != lookup.TryAgain {
			t.Errorf("%v %v", got.State(), got.Value())
		}
	})
	t.Run("listing in portions", func(t *testing.T) {
		d, _ := attach(t, toml(plain, "list_query = \"(objectClass=inetOrgPerson)\"\nattributes = [\"address=uid\"]\n"))
		if err := d.Elsewhere(context.Background(), nil, func(directory.Account) error { return nil }); err != nil {
			t.Error(err) // a uid is no address: all are left out
		}
		d, _ = attach(t, toml(plain, "")) // crowd has no mail
		var names []string
		if err := d.Elsewhere(context.Background(), nil, func(a directory.Account) error { names = append(names, a.Address); return nil }); err != nil {
			t.Error(err)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != "alice@example.org bob@example.org comma@example.org hal@example.org john.doe@example.org rita@example.org" {
			t.Errorf("listed: %s", got)
		}
	})
	t.Run("MAP-004 down", func(t *testing.T) {
		d, said := attach(t, toml(plain, bind))
		expectLogins(t, d, map[string]lookup.State{"jdoe sesame": lookup.Found})
		slapd.Process().Freeze(t)
		defer slapd.Process().Thaw()
		if got := d.Account(t.Context(), mailbox(t, "nobody@example.org")); got.State() != lookup.TryAgain {
			t.Errorf("MAP-004 silent: %v", got.State())
		}
		expectLogins(t, d, map[string]lookup.State{"jdoe sesame": lookup.TryAgain, "nobody sesame": lookup.TryAgain})
		if !strings.Contains(said.String(), `directory "people": `) {
			t.Errorf("the log says %s", said)
		}
	})
}

// Rows 66, 67 and 80: accounts of a directory get mail, into a mailbox that their first
// letter makes, and log in through the real doors; with
// the directory down mail waits and nobody hears that his password is wrong (MAP-004).
func TestRow80DirectoryThroughTheDoors(t *testing.T) {
	t.Parallel()
	hash := strings.TrimSpace(Run(t, "", Need(t, "slappasswd"), "-h", "{SSHA}", "-s", "sesame"))
	slapd := NewSlapd(t, regexp.MustCompile(`userPassword: \{(SSHA|CRYPT)\}.*`).ReplaceAllLiteralString(family, "userPassword: "+hash))
	slapd.Start()
	f := NewFacteur(t, Setup{Services: []string{"smtp", "imap"}, Accounts: []string{"own@example.org"}, Config: `[[directory]]
name = "people"
kind = "ldap"
domains = ["example.org"]
default_domain = "example.org"
source = "` + slapd.URL("ldap", "127.0.0.1") + `/ou=people,dc=example,dc=org"
bind_dn = "` + SlapdUser + `"
password_file = "` + secretFile(t, SlapdPassword) + `"
login_query = "(|(uid=%n)(mail=%u))"
password = "bind"
`})
	f.Start()
	for to, want := range map[string]string{"sales@example.org": "250", "nobody@example.org": "550", "own@example.org": "250"} {
		if reply := rcpt(t, f, to); !strings.HasPrefix(reply, want) {
			t.Errorf("RCPT %s: %s", to, reply)
		}
	}
	if err := sendClear(f.Addr("smtp"), "x@example.net", []string{"sales@example.org", "john.doe@example.org"}, "Subject: to John\r\n\r\nhello\r\n"); err != nil {
		t.Fatal(err)
	}
	jdoe := ConnectIMAP(t, f.Addr("imap"))
	if a := jdoe.Try("LOGIN jdoe wrong"); !strings.Contains(a.Status, "AUTHENTICATIONFAILED") {
		t.Errorf("a wrong password: %+v", a)
	}
	jdoe.Do("LOGIN jdoe sesame")
	WaitUntil(t, "John has his letter", func() bool { return jdoe.Exists("INBOX") == 1 })
	if out := f.Command("", "account", "list"); !strings.Contains(out, "john.doe@example.org") || !strings.Contains(out, "people") {
		t.Errorf("account list: %s", out)
	}
	if out, err := f.TryCommand("new password\n", "account", "passwd", "john.doe@example.org", "--password-stdin"); err == nil || !strings.Contains(out+err.Error(), "kept in LDAP") {
		t.Errorf("a password of somebody else's: %v %s", err, out)
	}
	// A mailRoutingAddress is followed as an alias is.
	if out := f.Command("", "address", "rita@example.org"); !strings.Contains(out, "rita@elsewhere.example") {
		t.Errorf("facteur address: %s", out)
	}
	slapd.Process().Kill()
	for to, want := range map[string]string{"alice@example.org": "451", "stranger@example.org": "451", "own@example.org": "250"} {
		if reply := rcpt(t, f, to); !strings.HasPrefix(reply, want) {
			t.Errorf("MAP-004 RCPT %s: %s", to, reply)
		}
	}
	for _, name := range []string{"jdoe", "stranger"} {
		if a := ConnectIMAP(t, f.Addr("imap")).Try("LOGIN %s other", name); !strings.Contains(a.Status, "UNAVAILABLE") {
			t.Errorf("MAP-004 LOGIN %s: %+v", name, a)
		}
	}
	ConnectIMAP(t, f.Addr("imap")).Do("LOGIN own@example.org %q", Password)
	if strings.Contains(f.Log(), "canary") || strings.Contains(f.Log(), "sesame") {
		t.Error("MAP-010: a password is in the log")
	}
}
