package dovecot

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/app/takeover"
	"facteur/internal/test/doubling"
)

var update = flag.Bool("update", false, "write what is wanted anew")

// imported is what becomes of a configuration.
func imported(t *testing.T, o Options) *takeover.Takeover {
	t.Helper()
	if o.Hostname == "" {
		o.Hostname = "mail.example.org"
	}
	out := takeover.New(o.Path, "")
	if err := Import(out, o); err != nil {
		t.Fatal(err)
	}
	return out
}

// expectKnown wants a verdict for each line, and settings that are good but for files
// that are only there.
func expectKnown(t *testing.T, out *takeover.Takeover) {
	t.Helper()
	for _, l := range out.Report.Lines {
		if l.Verdict == takeover.Unknown {
			t.Errorf("%s:%d: %s: %s", l.File, l.Line, l.Text, l.Why)
		}
	}
	for _, err := range out.Check(filepath.Join(t.TempDir(), "facteur.toml")) {
		if !strings.Contains(err.Error(), "no such file") {
			t.Errorf("facteur check: %v", err)
		}
	}
}

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "ETC", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestParse(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), map[string]string{
		"dovecot.conf": "# a comment\n\nprotocols = imap # and another\nmail_plugins = quota\nprotocol imap {\n  mail_plugins = $mail_plugins acl\n}\n" +
			"mailbox \"Sent # Messages\" {\n  special_use = \\Sent\n}\nlogin_greeting = \"Hello # you\"\nssl_key = </etc/key.pem\nlog = one \\\n  two\n" +
			"passdb { }\n!include conf.d/*.conf\n!include_try nothing.conf\n!include missing.conf\nnonsense\n}\n",
		"conf.d/2.conf": "b = 2\n", "conf.d/1.conf": "service auth {\n  unix_listener x {\n    mode = 0666\n  }\n}\n",
	})
	file := filepath.Join(dir, "dovecot.conf")
	text, _ := os.ReadFile(file)
	var got strings.Builder
	for _, s := range Parse(file, string(text), readFile) {
		fmt.Fprintf(&got, "%s:%d [%s] %s=%q %v", filepath.Base(s.File), s.Line, strings.Join(s.Path, " / "), s.Name, s.Value, s.FromFile)
		if s.Err != nil {
			got.WriteString(" error")
		}
		got.WriteByte('\n')
	}
	const want = `dovecot.conf:3 [] protocols="imap" false
dovecot.conf:4 [] mail_plugins="quota" false
dovecot.conf:5 [protocol imap] ="" false
dovecot.conf:6 [protocol imap] mail_plugins="quota acl" false
dovecot.conf:8 [mailbox Sent # Messages] ="" false
dovecot.conf:9 [mailbox Sent # Messages] special_use="\\Sent" false
dovecot.conf:11 [] login_greeting="Hello # you" false
dovecot.conf:12 [] ssl_key="/etc/key.pem" true
dovecot.conf:13 [] log="one two" false
dovecot.conf:15 [passdb] ="" false
dovecot.conf:16 [] !include="conf.d/*.conf" false
1.conf:1 [service auth] ="" false
1.conf:2 [service auth / unix_listener x] ="" false
1.conf:3 [service auth / unix_listener x] mode="0666" false
2.conf:1 [] b="2" false
dovecot.conf:17 [] !include_try="nothing.conf" false
dovecot.conf:18 [] !include="missing.conf" false
missing.conf:0 [] ="" false error
dovecot.conf:19 [] ="" false error
dovecot.conf:20 [] ="" false error
`
	if got.String() != want {
		t.Errorf("got\n%s", got.String())
	}
}

// What the slides of the how-to have people write (rows 234, 236).
func TestRow234Slides(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), map[string]string{"dovecot.conf": `dict {
  #quota = mysql:/etc/dovecot/dovecot-dict-sql.conf.ext
  #expire = sqlite:/etc/dovecot/dovecot-dict-sql.conf.ext
}

!include conf.d/*.conf
!include_try local.conf

# Ajouts à partir d'ici ↓
protocols = imap
mail_location = maildir:~/Maildir
`, "conf.d/auth.conf": "passdb {\n  driver = pam\n}\nuserdb {\n  driver = passwd\n}\n"})
	out := imported(t, Options{Path: dir})
	expectKnown(t, out)
	text := string(out.Settings.Text())
	for _, want := range []string{`service = "imap"`, `service = "imaps"`, `kind = "unix"`, `maildir = "~/Maildir"`} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "pop3") {
		t.Errorf("row 236: POP3 is listened on\n%s", text)
	}
}

// Debian's own configuration, as it is installed, and as doveconf prints it.
func TestDebian(t *testing.T) {
	t.Parallel()
	const shipped = "/usr/share/dovecot"
	if _, err := os.Stat(shipped + "/dovecot.conf"); err != nil {
		t.Skip("Debian's dovecot-core is not installed")
	}
	out := imported(t, Options{Path: shipped})
	expectKnown(t, out)
	if n := len(out.Report.Lines); n < 50 {
		t.Errorf("%d lines were read", n)
	}
	doveconf, err := exec.LookPath("doveconf")
	if err != nil {
		t.Skip("doveconf is not installed")
	}
	printed, err := exec.Command(doveconf, "-n", "-c", shipped+"/dovecot.conf").Output()
	if err != nil {
		t.Skipf("doveconf can't read it: %v", err)
	}
	expectKnown(t, imported(t, Options{Path: "/etc/dovecot/dovecot.conf", Text: printed}))
}

// Every setting that Dovecot has is known.
func TestEverySetting(t *testing.T) {
	t.Parallel()
	doveconf, err := exec.LookPath("doveconf")
	if err != nil {
		t.Skip("doveconf is not installed")
	}
	all, err := exec.Command(doveconf, "-a", "-c", "/usr/share/dovecot/dovecot.conf").Output()
	if err != nil {
		t.Skipf("doveconf can't tell: %v", err)
	}
	out := imported(t, Options{Path: "/etc/dovecot/dovecot.conf", Text: all})
	expectKnown(t, out)
	if n := len(out.Report.Lines); n < 800 {
		t.Errorf("%d lines were read", n)
	}
	odd := imported(t, Options{Path: "/x.conf", Text: []byte("no_such_setting = 1\nmail_location = maildir:~/Maildir\n")})
	if odd.Report.Count(takeover.Unknown) != 1 {
		t.Error("a setting that Dovecot does not have is not told")
	}
}

// golden are configurations of how-tos, and what becomes of them.
func TestGolden(t *testing.T) {
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]map[string]string{
		"vmail-sql": {"dovecot.conf": `
protocols = imap pop3 lmtp sieve
mail_location = maildir:/var/vmail/%d/%n/Maildir
auth_mechanisms = plain login
auth_default_realm = example.org
disable_plaintext_auth = yes
first_valid_uid = 150
ssl = required
ssl_cert = </etc/ssl/certs/mail.pem
ssl_key = </etc/ssl/private/mail.key
service imap-login {
  inet_listener imap {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3s {
    port = 1995
  }
}
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
    user = postfix
  }
  inet_listener lmtp {
    address = 127.0.0.1
    port = 24
  }
}
namespace inbox {
  separator = .
  mailbox Spam {
    auto = subscribe
    special_use = \Junk
  }
  mailbox Trash {
    autoexpunge = 30d
    special_use = \Trash
  }
}
passdb {
  driver = sql
  args = dovecot-sql.conf.ext
}
userdb {
  driver = sql
  args = dovecot-sql.conf.ext
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=1G
  quota_rule2 = Trash:storage=+100M
  sieve = file:~/sieve;active=~/.dovecot.sieve
}
`, "dovecot-sql.conf.ext": `driver = mysql
connect = host=127.0.0.1 dbname=vmail user=vmail password=canary-sql
default_pass_scheme = SHA512-CRYPT
password_query = SELECT username AS user, password FROM mailbox WHERE username = '%u' AND active = '1'
user_query = SELECT '/var/vmail/%d/%n' AS home, 150 AS uid, 8 AS gid, concat('*:bytes=', quota) AS quota_rule FROM mailbox WHERE username = '%u' AND active = '1'
iterate_query = SELECT username AS user FROM mailbox
`},
		"vmail-sql-simple": {"dovecot.conf": `
protocols = imap
listen = 192.0.2.1, ::1
mail_location = maildir:/home/vmail/%Ld/%Ln
passdb {
  driver = sql
  args = dovecot-sql.conf.ext
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=/home/vmail/%d/%n
}
`, "dovecot-sql.conf.ext": `driver = pgsql
connect = host=/run/postgresql dbname=mails user=reader
password_query = SELECT userid AS username, domain, password FROM users WHERE userid = '%n' AND domain = '%d'
`},
		"ldap": {"dovecot.conf": `
protocols = imap
mail_location = maildir:~/Maildir
passdb {
  driver = ldap
  args = dovecot-ldap.conf.ext
}
userdb {
  driver = ldap
  args = dovecot-ldap.conf.ext
}
`, "dovecot-ldap.conf.ext": `hosts = ldap1.example.org ldap2.example.org
dn = cn=dovecot,dc=example,dc=org
dnpass = canary-ldap
tls = yes
auth_bind = yes
ldap_version = 3
base = ou=people,dc=example,dc=org
scope = subtree
user_attrs = homeDirectory=home,uidNumber=uid,gidNumber=gid,mailQuota=quota_rule=*:storage=%$
user_filter = (&(objectClass=posixAccount)(mail=%u))
pass_attrs = uid=user,userPassword=password
pass_filter = (&(objectClass=posixAccount)(|(uid=%n)(mail=%u)))
`},
		"passwd-file": {"dovecot.conf": `
mail_location = maildir:/srv/mail/%d/%n
auth_username_format = %Lu
passdb {
  driver = passwd-file
  args = scheme=CRYPT username_format=%u /etc/dovecot/users
}
passdb {
  driver = passwd-file
  deny = yes
  args = /etc/dovecot/deny-users
}
passdb {
  driver = pam
}
userdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
}
userdb {
  driver = passwd
}
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(write(t, t.TempDir(), files)) // where it is decides about the breaks of comments
			out := imported(t, Options{Path: "dovecot.conf"})
			expectKnown(t, out)
			var report strings.Builder
			if err := out.Report.WriteText(&report); err != nil {
				t.Fatal(err)
			}
			got := string(out.Settings.Text()) + "\n----\n" + report.String()
			if strings.Contains(got, "canary") {
				t.Errorf("MAP-010: a password is in the settings or the report\n%s", got)
			}
			file := filepath.Join(home, "testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, _ := os.ReadFile(file); got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			for _, s := range out.Secrets {
				if !strings.HasPrefix(string(s.Text), "canary-") {
					t.Errorf("%s has %q", s.Name, s.Text)
				}
			}
		})
	}
}

func TestMailLocations(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"maildir:~/Maildir": "~/Maildir", "maildir:/home/vmail/%d/%n": "/home/vmail/%d/%n", "maildir:/v/%Ld/%Ln/": "/v/%d/%n", "maildir:~/Maildir:INDEX=/var/indexes/%u": "~/Maildir",
		"maildir:/v/%{domain}/%{username}": "/v/%d/%n", "~/Maildir": "~/Maildir",
		"maildir:~/Maildir:LAYOUT=fs": "!LAYOUT=fs", "maildir:~/Maildir:INBOX=/var/mail/%u": "!INBOX", "mbox:~/mail:INBOX=/var/mail/%u": "!import mbox", "mdbox:~/mdbox": "!doveadm backup",
		"maildir:/v/%1n/%n": "!only %u", "maildir:/v/%2.26Hn": "!only %u",
	} {
		path, reason := maildir(location)
		if hint, refused := strings.CutPrefix(want, "!"); refused != (reason != "") || !refused && path != want || !strings.Contains(reason, hint) && refused {
			t.Errorf("%s: %q %q, want %s", location, path, reason, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a = 1\nb {\n c = $a\n}\n!include x\n")
	f.Add("passdb {\n driver = \"x\n}")
	f.Add("a = $a $a\na = $a $a\n{\n}\n}\\\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range Parse("/nowhere/dovecot.conf", text, nil) {
			if s.Name != "" && s.Err != nil || strings.Contains(s.Text, "\n") {
				t.Errorf("%+v", s)
			}
		}
		out := takeover.New("", "")
		if err := Import(out, Options{Path: "/nowhere/dovecot.conf", Text: []byte(text), Hostname: "mail.example.org"}); err != nil {
			t.Error(err)
		}
	})
}

// A value that grows by itself ends in an error, not in memory.
func TestValueThatGrows(t *testing.T) {
	all := Parse("/nowhere/x", strings.Repeat("mail_plugins = $mail_plugins a\n", 600), nil)
	if last := all[len(all)-1]; last.Err == nil || last.Name != "" || !strings.Contains(last.Err.Error(), "$mail_plugins is longer") {
		t.Errorf("%+v", last)
	}
}

func TestDoubles(t *testing.T) {
	for name, unit := range map[string]string{"settings": "mail_plugins = $mail_plugins a\n", "sections": "passdb {\n driver = pam\n}\n", "open": "namespace a {\n", "continued": "a \\\n"} {
		doubling.Check(t, name, 2000, func(n int) func() {
			text := strings.Repeat(unit, n)
			return func() { Parse("/nowhere/x", text, nil) }
		})
	}
}
