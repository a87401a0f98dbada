package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authDoor is a server that other programs ask about log-ins, and its socket.
func authDoor(t *testing.T, service, owner string) (f *Facteur, socket string) {
	t.Helper()
	socket = filepath.Join(Room(t), "ask")
	f = NewFacteur(t, Setup{Accounts: []string{alice}, Services: []string{"imap"}, Config: fmt.Sprintf(
		"[auth]\nfailure_delay = \"0s\"\n[[listen]]\nservice = %q\naddress = \"unix:%s\"\nsocket_user = %q\n", service, socket, owner)})
	f.Start()
	return f, socket
}

// Rows 67 to 69: a real Postfix lets in whom we know (smtpd_sasl_type = dovecot), by the
// mechanisms that its smtpd_sasl_security_options leave.
func TestPostfixAsksUs(t *testing.T) {
	t.Parallel()
	NeedRoot(t)
	swaks := Need(t, "swaks")
	f, socket := authDoor(t, "auth", "postfix")
	p := NewPostfix(t, PostfixSetup{Main: map[string]string{
		"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": socket,
		"smtpd_sasl_security_options": "noanonymous", "smtpd_tls_auth_only": "no",
	}})
	p.Start()
	try := func(mechanism, user, password string) (string, error) {
		return TryRun(t, "", swaks, "--server", p.Addr(), "--auth", mechanism, "--auth-user", user, "--auth-password", password, "--quit-after", "AUTH")
	}
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		if out, err := try(mechanism, alice, Password); err != nil || !strings.Contains(out, "235 2.7.0") {
			t.Errorf("%s: %v\n%s", mechanism, err, out)
		}
		for _, who := range [][2]string{{alice, "wrong"}, {"nobody@example.org", Password}} {
			if out, err := try(mechanism, who[0], who[1]); err == nil || !strings.Contains(out, "535 5.7.8") {
				t.Errorf("%s %s: %v\n%s", mechanism, who[0], err, out)
			}
		}
	}
	out, _ := try("PLAIN", alice, Password)
	if !strings.Contains(out, "SCRAM-SHA-256") || strings.Contains(out, "PLUS") {
		t.Errorf("what is offered:\n%s", out)
	}
	if log := f.Log(); !strings.Contains(log, "auth-login: Login: user=<"+alice+">, method=PLAIN, rip=127.0.0.1") { // row 77
		t.Error(log)
	}
	f.Stop()
	if out, err := try("PLAIN", alice, Password); err == nil || !strings.Contains(out, "454 4.7.0") && !strings.Contains(out, "421") && !strings.Contains(out, "no authentication") && !strings.Contains(out, "503") {
		t.Errorf("we are away: %v\n%s", err, out)
	}
}

// Row 74: Cyrus's own testsaslauthd finds in us a saslauthd.
func TestTestsaslauthdAsksUs(t *testing.T) {
	t.Parallel()
	test := Need(t, "testsaslauthd")
	_, socket := authDoor(t, "saslauthd", "root")
	for password, want := range map[string]string{Password: `0: OK "Success."`, "wrong": `0: NO "authentication failed"`} {
		out, err := TryRun(t, "", test, "-u", "alice", "-r", "example.org", "-p", password, "-f", socket)
		if !strings.Contains(out, want) || (err == nil) != (password == Password) {
			t.Errorf("%s: %v\n%s", password, err, out)
		}
	}
}

// Rows 70, 72 and 80: a real saslauthd tells whether passwords are right, here by asking
// a real Dovecot over IMAP (rimap). When it is away, nobody's password is wrong.
func TestSaslauthdChecks(t *testing.T) {
	t.Parallel()
	NeedRoot(t)
	program, swaks := Need(t, "saslauthd"), Need(t, "swaks")
	d := NewDovecot(t, Room(t))
	d.Start()
	mux := Room(t)
	sasl := Spawn(t, nil, program, "-a", "rimap", "-O", strings.Replace(d.Addr(), ":", "/", 1), "-r", "-m", mux, "-n", "1", "-d")
	waitSocket(t, filepath.Join(mux, "mux"))
	users := WriteFile(t, filepath.Join(mux, "users"), "alice@example.org:\n")
	if err := os.Chmod(users, 0o600); err != nil {
		t.Fatal(err)
	}
	f := NewFacteur(t, Setup{Services: []string{"submission"}, Config: fmt.Sprintf("[auth]\nfailure_delay = \"0s\"\n"+
		"[[directory]]\nname = \"users\"\nkind = \"passwd-file\"\nsource = %q\npassword = \"saslauthd:%s/mux\"\n", users, mux)})
	f.Start()
	f.expectLogins(t, swaks, map[string]string{
		alice + " " + Password: "235 2.7.0", alice + " wrong": "535 5.7.8", "bob@example.org " + Password: "535 5.7.8",
	})
	sasl.Kill()
	f.expectLogins(t, swaks, map[string]string{alice + " " + Password + "2": "454 4.7.0"})
}

// Rows 71 and 73: a real saslauthd asks PAM (/etc/pam.d/smtp), or shadow, in a room where
// those of this machine are others. Root is never asked about (LOC-016).
func TestSaslauthdAsksPAM(t *testing.T) {
	t.Parallel()
	NeedRoot(t)
	unshare, program, swaks := Need(t, "unshare"), Need(t, "saslauthd"), Need(t, "swaks")
	const hash = "$6$saltstring$REKT2l5jpP6DwhYnQNS7m7XnxVWpq3GjhPPaEVFr9CzyWIGDmvxB.pI4ISrfNE6.pvrkke218/e8VOJaPjCTc/"
	room := Room(t)
	users := WriteFile(t, filepath.Join(room, "passwd"), "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nold:x:1001:1001::/home/old:/bin/sh\n")
	WriteFile(t, filepath.Join(room, "shadow"), "root:"+hash+":19000:0:99999:7:::\nalice:"+hash+":19000:0:99999:7:::\nold:"+hash+":19000:0:99999:7::100:\n")
	WriteFile(t, filepath.Join(room, "pam.d", "smtp"), "auth required pam_unix.so nodelay\naccount required pam_unix.so\n")
	for _, how := range []string{"pam", "shadow"} {
		mux := Room(t)
		script := `cd "$1" && mount --bind passwd /etc/passwd && mount --bind shadow /etc/shadow && mount --bind pam.d /etc/pam.d && exec "$2" -a "$3" -m "$4" -n 1 -d`
		sasl := Spawn(t, nil, unshare, "-m", "sh", "-c", script, "sh", room, program, how, mux)
		waitSocket(t, filepath.Join(mux, "mux"))
		f := NewFacteur(t, Setup{Services: []string{"submission"}, Config: fmt.Sprintf("[auth]\nfailure_delay = \"0s\"\n"+
			"[[directory]]\nname = \"users\"\nkind = \"unix\"\nsource = %q\npassword = \"saslauthd:%s/mux\"\n", users, mux)})
		f.Start()
		const password = "sécret 1"
		f.expectLogins(t, swaks, map[string]string{
			"alice " + password: "235 2.7.0", "ALICE " + password: "235 2.7.0", "alice wrong": "535 5.7.8", "old " + password: "535 5.7.8",
			"root " + password: "535 5.7.8", "nobody " + password: "535 5.7.8",
		})
		sasl.Kill()
		f.expectLogins(t, swaks, map[string]string{"alice another": "454 4.7.0"})
	}
}

// expectLogins logs in as "user password", and expects the reply.
func (f *Facteur) expectLogins(t *testing.T, swaks string, want map[string]string) {
	t.Helper()
	for who, reply := range want {
		user, password, _ := strings.Cut(who, " ")
		out, _ := TryRun(t, "", swaks, "--server", f.Addr("submission"), "--tls", "--auth", "PLAIN", "--auth-user", user,
			"--auth-password", password, "--quit-after", "AUTH")
		if !strings.Contains(out, reply) {
			t.Errorf("%s: expected %s\n%s\n%s", user, reply, out, f.Log())
		}
	}
}

func waitSocket(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(LongWait); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	t.Fatal("nobody listens on " + path)
}

// Row 70: a running Dovecot knows the users and their passwords; we ask it for both.
func TestDovecotKnowsUsers(t *testing.T) {
	t.Parallel()
	swaks := Need(t, "swaks")
	d := NewDovecot(t, Room(t))
	users := WriteFile(t, filepath.Join(d.dir, "users"), "alice@example.org:{PLAIN}"+Password+":8:8::/nowhere::userdb_quota_rule=*:storage=10M\n")
	text, err := os.ReadFile(d.Config())
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "passdb {")
	_, after, _ := strings.Cut(rest, "service imap-login")
	WriteFile(t, d.Config(), before+fmt.Sprintf("passdb {\n driver = passwd-file\n args = %s\n}\nuserdb {\n driver = passwd-file\n args = %s\n}\nservice imap-login", users, users)+after)
	d.Start()
	f := NewFacteur(t, Setup{Services: []string{"submission", "smtp"}, Config: "[auth]\nfailure_delay = \"0s\"\n" +
		"[[directory]]\nname = \"old\"\nkind = \"dovecot\"\nsource = \"" + filepath.Join(d.dir, "run", "auth-userdb") + "\"\n"})
	f.Start()
	f.expectLogins(t, swaks, map[string]string{
		alice + " " + Password: "235 2.7.0", alice + " wrong": "535 5.7.8", "bob@example.org " + Password: "535 5.7.8",
	})
	rcpt := func(to string) string {
		out, _ := TryRun(t, "", swaks, "--server", f.Addr("smtp"), "--from", "x@example.net", "--to", to, "--quit-after", "RCPT")
		return out
	}
	for to, want := range map[string]string{alice: "<-  250 2.1.5", "bob@example.org": "<** 550 5.1.1"} {
		if out := rcpt(to); !strings.Contains(out, want) {
			t.Errorf("%s:\n%s", to, out)
		}
	}
	if out := f.Command("", "account", "list"); !strings.Contains(out, alice) || !strings.Contains(out, "10") {
		t.Error(out)
	}
	d.Stop()
	time.Sleep(time.Second)
	if out := rcpt("carol@example.org"); !strings.Contains(out, "<** 451 4.") { // MAP-004
		t.Error(out)
	}
	f.expectLogins(t, swaks, map[string]string{alice + " " + Password + "2": "454 4.7.0"})
}

// Rows 70 and 76: the users of a machine log in with their names alone or with the
// domain; root, system users and locked ones do not (LOC-010, LOC-016).
func TestUnixUsersLogIn(t *testing.T) {
	t.Parallel()
	swaks, perl := Need(t, "swaks"), Need(t, "perl")
	dir := Room(t)
	hash := func(setting string) string {
		return Run(t, "", perl, "-e", "print crypt(shift, shift)", Password, setting)
	}
	WriteFile(t, dir+"/passwd", "root:x:0:0::/root:/bin/sh\nbin:x:2:2::/bin:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"+
		"bob:x:1001:1001::/home/bob:/bin/false\ncarol:x:1002:1002::/home/carol:/bin/sh\n")
	yes := hash("$y$j9T$abcdefghijkl")
	shadow := WriteFile(t, dir+"/shadow", "root:"+yes+":19000::::::\nbin:"+yes+":19000::::::\nalice:"+yes+":19000::::::\nbob:"+
		hash("$6$abcdefgh")+":19000::::::\ncarol:!"+yes+":19000::::::\n")
	if err := os.Chmod(shadow, 0o600); err != nil {
		t.Fatal(err)
	}
	f := NewFacteur(t, Setup{Services: []string{"submission", "smtp"}, Config: "[auth]\nfailure_delay = \"0s\"\n" +
		"[[directory]]\nname = \"machine\"\nkind = \"unix\"\nsource = \"" + dir + "/passwd\"\n"})
	f.Edit("name = \"example.org\"", "name = \"example.org\"\nclass = \"local\"")
	f.Start()
	f.expectLogins(t, swaks, map[string]string{
		"alice " + Password: "235 2.7.0", alice + " " + Password: "235 2.7.0", "bob " + Password: "235 2.7.0",
		"alice wrong": "535 5.7.8", "carol " + Password: "535 5.7.8", "root " + Password: "535 5.7.8",
		"root@example.org " + Password: "535 5.7.8", "bin " + Password: "535 5.7.8", "nobody " + Password: "535 5.7.8",
	})
	if log := f.Log(); strings.Contains(log, yes) || strings.Contains(log, "="+Password) { // MAP-010
		t.Error(log)
	}
	if out := f.Command("", "account", "list"); !strings.Contains(out, "carol@example.org") || strings.Contains(out, "root@") {
		t.Error(out)
	}
}

// The life of an account: a hash of another server is upgraded at the first log-in, an app
// password opens what it is for, and a disabled account's sessions end.
func TestLifeOfAnAccount(t *testing.T) {
	t.Parallel()
	swaks := Need(t, "swaks")
	f := NewFacteur(t, Setup{Services: []string{"submission", "smtp", "imap"}, Config: "[auth]\nfailure_delay = \"0s\"\n"})
	f.Command("{SSHA}tLYFectZxoRSFco7DS2qk9+GUanMju0T\n", "account", "add", alice, "--password-stdin", "--password-hash")
	f.Start()
	const password = "sécret 1"
	trial := func(want string, args ...string) {
		t.Helper()
		out, _ := f.TryCommand(password+"\n", append([]string{"auth", "test", "--password-stdin"}, args...)...)
		if !strings.Contains(out, want) {
			t.Errorf("%v: expected %q in\n%s", args, want, out)
		}
	}
	trial("SSHA (a fast hash", alice)
	trial("ARGON2ID", alice)
	trial("refused: there is no such account", "nobody@example.org")
	app := strings.TrimSpace(f.Command("", "account", "app-password", "add", alice, "telephone", "--for", "imap"))
	f.expectLogins(t, swaks, map[string]string{alice + " " + app: "535 5.7.8"})
	c := ConnectIMAP(t, f.Addr("imap"))
	c.Do("LOGIN %s %s", alice, app)
	if out := f.Command("", "account", "app-password", "list", alice); !strings.Contains(out, "telephone") || strings.Contains(out, "never") || strings.Contains(out, app) {
		t.Error(out)
	}
	// Row 74: what fingers know.
	for p, want := range map[string]string{password: `0: OK "Success."`, "wrong": `0: NO "authentication failed"`} {
		if out, _ := f.TryCommand("", "testsaslauthd", "-u", "alice", "-r", "example.org", "-p", p); !strings.Contains(out, want) {
			t.Error(out)
		}
	}
	f.Command("", "account", "disable", alice)
	trial("refused: the account is disabled", alice)
	c.conn.SetDeadline(time.Now().Add(LongWait)) //nolint:errcheck // the read tells
	if line, err := c.line(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the session of a disabled account goes on: %q %v", line, err)
	}
	rcpt := func() string {
		out, _ := TryRun(t, "", swaks, "--server", f.Addr("smtp"), "--from", "x@example.net", "--to", alice, "--quit-after", "RCPT")
		return out
	}
	if out := rcpt(); !strings.Contains(out, "<-  250 2.1.5") {
		t.Error(out)
	}
	f.Command("", "account", "disable", alice, "--refuse-mail")
	if out := rcpt(); !strings.Contains(out, "<** 550 5.2.1") {
		t.Error(out)
	}
	f.Command("", "account", "enable", alice)
	trial("logged in", alice)
	log := f.Log()
	for _, secret := range []string{password, app, "tLYFectZxoRSFco7DS2qk9"} { // MAP-010
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log:\n%s", secret, log)
		}
	}
}
