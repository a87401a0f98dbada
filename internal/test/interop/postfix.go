package interop

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Postfix is a private instance of Debian's Postfix: its own configuration,
// queue and port, its log on our side of a pipe.
type Postfix struct {
	t       testing.TB
	dir     string
	port    int
	process *Process
}

// PostfixSetup says how a private Postfix differs from Debian's defaults.
type PostfixSetup struct {
	// Main holds lines of main.cf by parameter name.
	Main map[string]string
	// Master is added to master.cf.
	Master string
	// Quiet is for measurements: the log goes to a syslog daemon, or nowhere
	// without one, which is the cheapest for Postfix, and 100 clients find
	// 100 processes.
	Quiet bool
}

// The services of Debian's master.cf, without chroot: the private spool has
// no copy of /etc in it.
const masterCf = `
127.0.0.1:%d inet n - n - - smtpd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// NewPostfix writes the configuration of a private Postfix. Start starts it.
func NewPostfix(t testing.TB, setup PostfixSetup) *Postfix {
	t.Helper()
	NeedRoot(t)
	Need(t, "postfix")
	p := &Postfix{t: t, dir: Room(t), port: FreePort(t)}
	WriteFile(t, p.path("etc/main.cf"), p.mainCf(setup))
	WriteFile(t, p.path("etc/master.cf"), fmt.Sprintf(masterCf, p.port)+setup.Master+"\n")
	p.makeDirs()
	Run(t, "", Need(t, "postfix"), "-c", p.path("etc"), "check")
	t.Cleanup(p.Kill)
	return p
}

func (p *Postfix) path(name string) string { return filepath.Join(p.dir, name) }

func (p *Postfix) mainCf(setup PostfixSetup) string {
	params := map[string]string{
		"compatibility_level":  "3.6",
		"queue_directory":      p.path("spool"),
		"data_directory":       p.path("lib"),
		"command_directory":    "/usr/sbin",
		"daemon_directory":     "/usr/lib/postfix/sbin",
		"inet_interfaces":      "127.0.0.1",
		"inet_protocols":       "ipv4",
		"myhostname":           "postfix.test",
		"mydestination":        "",
		"mynetworks":           "127.0.0.0/8",
		"alias_maps":           "",
		"local_recipient_maps": "",
		"biff":                 "no",
		"smtputf8_enable":      "yes",
		// Nothing may leave this machine: no look-ups, no MX.
		"smtp_dns_support_level": "disabled",
		"disable_dns_lookups":    "yes",
		"smtpd_peername_lookup":  "no",
		"minimal_backoff_time":   "1s",
		"maximal_backoff_time":   "5s",
		"queue_run_delay":        "1s",
		"transport_retry_time":   "1s",
	}
	if setup.Quiet {
		params["default_process_limit"] = "200" // 100 clients never wait for a process
	} else {
		params["maillog_file"] = p.path("log")
		params["maillog_file_prefixes"] = p.dir
	}
	maps.Copy(params, setup.Main)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(params)) {
		fmt.Fprintf(&b, "%s = %s\n", name, params[name])
	}
	return b.String()
}

// makeDirs makes the two directories that "postfix check" expects to be
// there; data_directory belongs to Postfix's user.
func (p *Postfix) makeDirs() {
	p.t.Helper()
	for _, name := range []string{"spool", "lib"} {
		if err := os.Mkdir(p.path(name), 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
	Chown(p.t, p.path("lib"), "postfix")
}

// Chown gives a file to a user of the system.
func Chown(t testing.TB, path, name string) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		Missing(t, "no user %s on this machine", name)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
	return uid, gid
}

// Start starts Postfix and waits for its banner.
func (p *Postfix) Start() {
	p.t.Helper()
	cmd := exec.Command(Need(p.t, "master"), "-c", p.path("etc"), "-d")
	var err error
	if p.process, err = launch(cmd, nil); err != nil {
		p.t.Fatal(err)
	}
	WaitBanner(p.t, p.Addr(), "220", p.process)
}

// Kill ends every process of this Postfix with SIGKILL.
func (p *Postfix) Kill() {
	if p.process != nil {
		p.process.Kill()
	}
	if p.t.Failed() {
		p.t.Logf("postfix said:\n%s", tail(p.Log(), 60))
	}
}

// Stop ends Postfix as "postfix stop" does.
func (p *Postfix) Stop() {
	p.t.Helper()
	p.process.Signal(syscall.SIGTERM)
	if !p.process.WaitFor(StartWait) {
		p.t.Fatal("Postfix does not stop")
	}
}

// Addr is where the SMTP server listens.
func (p *Postfix) Addr() string { return Loopback(p.port) }

// Config is the configuration directory, for sendmail -C.
func (p *Postfix) Config() string { return p.path("etc") }

// PID is the process id of master.
func (p *Postfix) PID() int { return p.process.PID() }

// Log is the mail log.
func (p *Postfix) Log() string {
	text, err := os.ReadFile(p.path("log"))
	if err != nil && p.process != nil {
		return p.process.Output()
	}
	return string(text)
}

// Sendmail hands a message to Postfix through its sendmail command.
func (p *Postfix) Sendmail(from string, to []string, message string) {
	p.t.Helper()
	args := append([]string{"-C", p.Config(), "-i", "-f", from, "--"}, to...)
	Run(p.t, message, "/usr/sbin/sendmail", args...)
}

// Queued counts the messages in the queue.
func (p *Postfix) Queued() (int, error) {
	count := 0
	for _, name := range []string{"maildrop", "incoming", "active", "deferred"} {
		err := filepath.WalkDir(p.path("spool/"+name), func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && complete(d) {
				count++
			}
			return nil // a file may move while we look
		})
		if err != nil {
			return 0, err
		}
	}
	return count, nil
}

// complete tells whether a queue file is a message: until cleanup(8) is done
// with it, and for ever when that was killed, it is not executable.
func complete(d os.DirEntry) bool {
	info, err := d.Info()
	return err == nil && info.Mode()&0o100 != 0
}

// Flush retries all deferred mail now.
func (p *Postfix) Flush() {
	TryRun(p.t, "", Need(p.t, "postqueue"), "-c", p.Config(), "-f")
}

// WaitBanner waits until something at addr greets with a line that begins so.
func WaitBanner(t testing.TB, addr, begin string, p *Process) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(StartWait); time.Now().Before(deadline); time.Sleep(pollEvery) {
		if err = banner(addr, begin); err == nil {
			return
		}
		if !p.Running() {
			t.Fatalf("the server at %s ended instead of starting:\n%s", addr, tail(p.Output(), 40))
		}
	}
	t.Fatalf("no banner at %s: %v\n%s", addr, err, tail(p.Output(), 40))
}

func banner(addr, begin string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	line := make([]byte, 512)
	n, err := conn.Read(line)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(line[:n]), begin) {
		return fmt.Errorf("greeting is %q", line[:n])
	}
	conn.Write([]byte("QUIT\r\n"))
	return nil
}

// WaitUntil polls until done says true.
func WaitUntil(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(LongWait); time.Now().Before(deadline); time.Sleep(pollEvery) {
		if done() {
			return
		}
	}
	t.Fatalf("waited %v for %s", LongWait, what)
}
