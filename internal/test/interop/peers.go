package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Mail servers that can't be installed beside Postfix are unpacked by
// .ci/setup, and used from there: FACTEUR_PEERS, or peersDir.
const peersDir = "/var/cache/facteur-peers"

// Users that unpacked programs were compiled to run as. They exist only in the
// passwd and group files of a Peer.
const (
	eximID    = 42601
	smtpdID   = 42602
	smtpqID   = 42603
	peerUsers = `Debian-exim:x:42601:42601::/var/spool/exim4:/bin/false
opensmtpd:x:42602:42602::/var/lib/opensmtpd/empty:/bin/false
opensmtpq:x:42603:42603::/var/lib/opensmtpd/empty:/bin/false
`
	peerGroups = `Debian-exim:x:42601:
opensmtpd:x:42602:
opensmtpq:x:42603:
`
)

// Peer is a room of its own for a program that was only unpacked: it sees its
// own passwd, group, /run, /var/spool and /var/lib, and nobody else sees those.
type Peer struct {
	t    testing.TB
	root string // of the unpacked packages
	dir  string
}

// peerScript lays the private files over the machine's, in a mount namespace
// that ends with the program.
const peerScript = `set -e
room=$1 root=$2; shift 2
for file in passwd group; do mount --bind "$room/$file" "/etc/$file"; done
mount --bind "$room/spool" /var/spool
mount --bind "$room/lib" /var/lib
mount --bind "$room/run" /run
mount --bind "$root/usr/libexec" /usr/libexec
exec "$@"`

// NewPeer makes the room. The test is skipped where program ("usr/sbin/exim4")
// was not unpacked.
func NewPeer(t testing.TB, program string) *Peer {
	t.Helper()
	NeedRoot(t)
	p := &Peer{t: t, root: peersRoot(), dir: Room(t)}
	if _, err := os.Stat(filepath.Join(p.root, program)); err != nil {
		Missing(t, "%s is not unpacked (make setup): %v", program, err)
	}
	if said, err := exec.Command(Need(t, "unshare"), "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("no room for %s: this machine gives no mount namespaces: %s", program, said)
	}
	for file, users := range map[string]string{"passwd": peerUsers, "group": peerGroups} {
		system, err := os.ReadFile("/etc/" + file)
		if err != nil {
			t.Fatal(err)
		}
		WriteFile(t, p.path(file), strings.TrimRight(string(system), "\n")+"\n"+users)
	}
	for _, dir := range []string{"spool", "lib", "run"} {
		p.makeDir(dir, 0, 0o755)
	}
	return p
}

func peersRoot() string {
	if dir := os.Getenv("FACTEUR_PEERS"); dir != "" {
		return dir
	}
	return peersDir
}

func (p *Peer) path(name string) string { return filepath.Join(p.dir, name) }

// makeDir makes a directory of the room, with an owner.
func (p *Peer) makeDir(name string, owner int, mode os.FileMode) string {
	p.t.Helper()
	dir := p.path(name)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.Chmod(dir, mode)
	}
	if err == nil {
		err = os.Chown(dir, owner, owner)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return dir
}

// command is a program of the packages, to be run in the room.
func (p *Peer) command(program string, args ...string) (name string, all []string) {
	all = []string{"--mount", "sh", "-c", peerScript, "sh", p.dir, p.root, filepath.Join(p.root, program)}
	return Need(p.t, "unshare"), append(all, args...)
}

// spawn starts a program in the room.
func (p *Peer) spawn(program string, args ...string) *Process {
	p.t.Helper()
	name, all := p.command(program, args...)
	return Spawn(p.t, nil, name, all...)
}

// run runs a program in the room to its end; it must succeed.
func (p *Peer) run(input, program string, args ...string) string {
	p.t.Helper()
	name, all := p.command(program, args...)
	return Run(p.t, input, name, all...)
}

// NextHop says where a sending peer hands its mail, and how.
type NextHop struct {
	Addr string
	TLS  bool // STARTTLS is asked for; the certificate is not judged
	// User and Password log in, when they are given.
	User, Password string
}

func (h NextHop) split() (host, port string) {
	host, port, _ = strings.Cut(h.Addr, ":")
	return host, port
}

// Exim is Debian's Exim, as a client of NextHop or as a server that takes
// everything for exim.test into one Maildir.
type Exim struct {
	*Peer
	port int
}

const eximDomain = "exim.test"

// NewExim writes the configuration. Start makes it listen.
func NewExim(t testing.TB, hop NextHop) *Exim {
	t.Helper()
	e := &Exim{Peer: NewPeer(t, "usr/sbin/exim4"), port: FreePort(t)}
	for _, dir := range []string{"exim", "exim/log", "exim/mail"} {
		e.makeDir(dir, eximID, 0o755)
	}
	WriteFile(t, e.config(), e.configuration(hop))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("exim wrote:\n%s", tail(e.Log(), 40))
		}
	})
	return e
}

func (e *Exim) config() string { return e.path("exim.conf") }

// configuration is the smallest that does both. Every delivery runs as Exim's
// own user; what the letter looks like is not touched.
func (e *Exim) configuration(hop NextHop) string {
	host, port := hop.split()
	transport := "  hosts_require_tls =\n  hosts_avoid_tls = *\n"
	if hop.TLS {
		transport = "  hosts_require_tls = *\n  tls_verify_hosts =\n  tls_try_verify_hosts =\n"
	}
	authenticator := ""
	if hop.User != "" {
		transport += "  hosts_require_auth = *\n"
		authenticator = fmt.Sprintf("begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n  client_send = ^%s^%s\n", hop.User, hop.Password)
	}
	if port == "" {
		host, port = "127.0.0.1", "1"
	}
	return fmt.Sprintf(`exim_path = %[1]s/usr/sbin/exim4
spool_directory = %[2]s/exim
log_file_path = %[2]s/exim/log/%%slog
log_selector = +smtp_confirmation
primary_hostname = exim.test
qualify_domain = exim.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = %[3]d
deliver_drop_privilege = true
trusted_users = root
keep_environment =
host_lookup =
rfc1413_hosts =
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
tls_advertise_hosts =
acl_smtp_rcpt = acl_rcpt
begin acl
acl_rcpt:
  deny local_parts = nobody
       message = no such user
  accept
begin routers
here:
  driver = accept
  domains = exim.test
  transport = maildir
there:
  driver = manualroute
  domains = ! exim.test
  route_data = %[4]s
  self = send
  transport = remote
begin transports
maildir:
  driver = appendfile
  directory = %[2]s/exim/mail/box
  maildir_format = true
  create_directory = true
  user = Debian-exim
  delivery_date_add
  envelope_to_add
  return_path_add
remote:
  driver = smtp
  port = %[5]s
  allow_localhost = true
%[6]sbegin retry
* * F,1h,1s
%[7]s`, e.root, e.dir, e.port, host, port, transport, authenticator)
}

// Start starts the server.
func (e *Exim) Start() {
	e.t.Helper()
	WaitBanner(e.t, e.Addr(), "220", e.spawn("usr/sbin/exim4", "-C", e.config(), "-bdf", "-q1s"))
}

// Addr is where it listens.
func (e *Exim) Addr() string { return Loopback(e.port) }

// Maildir is where everything for exim.test arrives.
func (e *Exim) Maildir() string { return e.path("exim/mail/box") }

// Log is the main log.
func (e *Exim) Log() string {
	text, _ := os.ReadFile(e.path("exim/log/mainlog"))
	return string(text)
}

// Send hands a letter to Exim's command and delivers it at once, in the
// foreground.
func (e *Exim) Send(from string, to []string, letter string, options ...string) {
	e.t.Helper()
	args := append([]string{"-C", e.config(), "-odf", "-i", "-f", from}, options...)
	e.run(letter, "usr/sbin/exim4", append(append(args, "--"), to...)...)
}

// OpenSMTPD is Debian's OpenSMTPD, which relays what it gets to NextHop, and
// takes what is for opensmtpd.test into one Maildir.
type OpenSMTPD struct {
	*Peer
	port int
}

const opensmtpdDomain = "opensmtpd.test"

// NewOpenSMTPD writes the configuration. Start makes it listen.
func NewOpenSMTPD(t testing.TB, hop NextHop) *OpenSMTPD {
	t.Helper()
	o := &OpenSMTPD{Peer: NewPeer(t, "usr/sbin/smtpd"), port: FreePort(t)}
	o.makeDir("spool/smtpd", 0, 0o711)
	o.makeDir("lib/opensmtpd/empty", 0, 0o755)
	o.makeDir("mail", smtpdID, 0o755)
	WriteFile(t, o.path("smtpd.conf"), o.configuration(hop))
	return o
}

func (o *OpenSMTPD) configuration(hop NextHop) string {
	text := fmt.Sprintf(`listen on 127.0.0.1 port %d hostname opensmtpd.test
table users { "@" = "opensmtpd" }
action "here" maildir "%s" virtual <users>
match from any for domain "opensmtpd.test" action "here"
`, o.port, o.Maildir())
	if hop.Addr == "" {
		return text
	}
	scheme, login := "smtp+notls://", ""
	if hop.TLS {
		scheme = "smtp+tls://"
	}
	if hop.User != "" {
		text += fmt.Sprintf("table secrets { login = \"%s:%s\" }\n", hop.User, hop.Password)
		scheme, login = scheme+"login@", " auth <secrets>"
	}
	insecure := ""
	if hop.TLS {
		insecure = " tls no-verify"
	}
	return text + fmt.Sprintf("action \"there\" relay host \"%s%s\"%s%s\nmatch from any for any action \"there\"\n", scheme, hop.Addr, insecure, login)
}

// Start starts the server.
func (o *OpenSMTPD) Start() {
	o.t.Helper()
	WaitBanner(o.t, o.Addr(), "220", o.spawn("usr/sbin/smtpd", "-d", "-f", o.path("smtpd.conf")))
}

// Addr is where it listens.
func (o *OpenSMTPD) Addr() string { return Loopback(o.port) }

// Maildir is where everything for opensmtpd.test arrives.
func (o *OpenSMTPD) Maildir() string { return o.path("mail/box") }
