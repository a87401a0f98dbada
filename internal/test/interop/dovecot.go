package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Password is the password of every account in these tests.
const Password = "secret"

// Dovecot is a private instance of Debian's Dovecot: IMAP on loopback over
// Maildirs at ROOT/<domain>/<local>/Maildir.
type Dovecot struct {
	t       testing.TB
	dir     string
	port    int
	pop3    int // port, or 0
	process *Process
}

const dovecotConf = `
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_login_user = dovenull
default_internal_user = dovecot
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_max_userip_connections = 100
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = static
  args = password=%[2]s
}
userdb {
  driver = static
  args = uid=mail gid=mail home=%[3]s/%%d/%%n allow_all_users=yes
}
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
    port = %[4]d
  }
  inet_listener imaps {
    port = 0
  }
}
service auth {
  unix_listener sasl {
    mode = 0666
  }
}
auth_mechanisms = plain login
service stats {
  client_limit = 1000
}
`

// lmtpConf makes it take mail, too.
const lmtpConf = `
protocols = imap lmtp
protocol lmtp {
  auth_username_format = %u
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
`

// NewDovecotLMTP is NewDovecot with a socket for LMTP. It takes mail for everybody.
func NewDovecotLMTP(t testing.TB, root string) *Dovecot {
	t.Helper()
	Need(t, "lmtp")
	d := NewDovecot(t, root)
	text, err := os.ReadFile(d.Config())
	if err != nil {
		t.Fatal(err)
	}
	WriteFile(t, d.Config(), string(text)+lmtpConf)
	return d
}

const pop3Conf = `
protocols = imap pop3
service pop3-login {
  inet_listener pop3 {
    address = 127.0.0.1
    port = %d
  }
  inet_listener pop3s {
    port = 0
  }
}
`

// ServePOP3 makes it speak POP3 as well, from its next start on.
func (d *Dovecot) ServePOP3() {
	d.t.Helper()
	Need(d.t, "pop3")
	text, err := os.ReadFile(d.Config())
	if err != nil {
		d.t.Fatal(err)
	}
	d.pop3 = FreePort(d.t)
	WriteFile(d.t, d.Config(), string(text)+fmt.Sprintf(pop3Conf, d.pop3))
}

// LMTPSocket is where it takes mail.
func (d *Dovecot) LMTPSocket() string { return filepath.Join(d.dir, "run", "lmtp") }

// NewDovecot writes the configuration of a private Dovecot which serves the
// Maildirs under root. They have to belong to the user mail.
func NewDovecot(t testing.TB, root string) *Dovecot {
	t.Helper()
	NeedRoot(t)
	Need(t, "dovecot")
	d := &Dovecot{t: t, dir: Room(t), port: FreePort(t)}
	WriteFile(t, d.Config(), fmt.Sprintf(dovecotConf, d.dir, Password, root, d.port))
	t.Cleanup(d.Kill)
	return d
}

// authSocket is where Postfix asks who may log in.
func (d *Dovecot) authSocket() string { return filepath.Join(d.dir, "run", "sasl") }

// Config is the configuration file, for doveadm -c.
func (d *Dovecot) Config() string { return filepath.Join(d.dir, "dovecot.conf") }

// Start starts Dovecot and waits for its banner.
func (d *Dovecot) Start() {
	d.t.Helper()
	var err error
	d.process, err = launch(command(nil, Need(d.t, "dovecot"), "-F", "-c", d.Config()), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	WaitBanner(d.t, d.Addr(), "* OK", d.process)
}

// Kill ends every process of this Dovecot with SIGKILL.
func (d *Dovecot) Kill() {
	if d.process == nil {
		return
	}
	d.process.Kill()
	// Dovecot refuses to start over its own stale pid file only when that
	// pid is alive again, as somebody else's.
	os.Remove(filepath.Join(d.dir, "run", "master.pid"))
	if d.t.Failed() {
		d.t.Logf("dovecot said:\n%s", tail(d.Log(), 40))
	}
}

// Stop ends Dovecot in peace.
func (d *Dovecot) Stop() {
	d.t.Helper()
	d.process.Signal(syscall.SIGTERM)
	if !d.process.WaitFor(StartWait) {
		d.t.Fatal("Dovecot does not stop")
	}
}

// Addr is where the IMAP server listens.
func (d *Dovecot) Addr() string { return Loopback(d.port) }

// PID is the process id of the master.
func (d *Dovecot) PID() int { return d.process.PID() }

// Log is Dovecot's log.
func (d *Dovecot) Log() string {
	text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	return string(text) + d.process.Output()
}

// mailboxPath is where an address has its Maildir below a root.
func mailboxPath(root, address string) string {
	local, domain, _ := strings.Cut(address, "@")
	return filepath.Join(root, domain, local, "Maildir")
}
