package interop

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Programs that a mail server asks: Debian's opendkim and clamav-milter (milters)
// and postgrey (a policy server), each with a configuration of its own.

// OpenDKIM is a private opendkim. It signs what logged-in users of example.org send
// and verifies everything else, with keys that it knows without any DNS.
type OpenDKIM struct {
	t       testing.TB
	dir     string
	port    int
	process *Process
}

const opendkimConf = `
Syslog no
LogWhy yes
UMask 002
Mode sv
Canonicalization simple/simple
Domain example.org
Selector test
KeyFile %[1]s/key.pem
TestDNSData %[1]s/dns
InternalHosts %[1]s/internal
ExternalIgnoreList %[1]s/internal
OversignHeaders From
AlwaysAddARHeader yes
Socket inet:%[2]d@127.0.0.1
`

// NewOpenDKIM writes its configuration and makes its key.
func NewOpenDKIM(t testing.TB) *OpenDKIM {
	t.Helper()
	Need(t, "opendkim")
	o := &OpenDKIM{t: t, dir: closedRoom(t), port: FreePort(t)}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	os.Chmod(WriteFile(t, filepath.Join(o.dir, "key.pem"), string(private)), 0o600)
	WriteFile(t, filepath.Join(o.dir, "dns"), "test._domainkey.example.org v=DKIM1; k=rsa; p="+base64.StdEncoding.EncodeToString(public)+"\n")
	WriteFile(t, filepath.Join(o.dir, "internal"), "192.0.2.99\n")
	WriteFile(t, filepath.Join(o.dir, "conf"), fmt.Sprintf(opendkimConf, o.dir, o.port))
	return o
}

// closedRoom is a directory below others that only root may write to, which opendkim
// asks for.
func closedRoom(t testing.TB) string {
	t.Helper()
	NeedRoot(t)
	dir, err := os.MkdirTemp("/run", "fct")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Record is the record of its key, as a line of a zone of test/sim.
func (o *OpenDKIM) Record() string {
	o.t.Helper()
	text, err := os.ReadFile(filepath.Join(o.dir, "dns"))
	if err != nil {
		o.t.Fatal(err)
	}
	name, record, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return fmt.Sprintf("%s. TXT %q", name, record)
}

// Start starts it and waits until it listens.
func (o *OpenDKIM) Start() {
	o.t.Helper()
	o.process = Spawn(o.t, nil, Need(o.t, "opendkim"), "-f", "-x", filepath.Join(o.dir, "conf"))
	WaitListening(o.t, "tcp", Loopback(o.port), o.process)
}

// Kill ends it.
func (o *OpenDKIM) Kill() { o.process.Kill() }

// Socket is where it listens, as settings name it.
func (o *OpenDKIM) Socket() string { return "inet:" + Loopback(o.port) }

// ClamAV is a private clamd, which knows one virus, and a private clamav-milter,
// which asks it.
type ClamAV struct {
	t           testing.TB
	dir         string
	clamd, milt *Process
}

// Virus is the EICAR test file, in two halves so that no scanner finds it here.
const Virus = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// NewClamAV writes both configurations. onInfected is Reject, Quarantine, …
func NewClamAV(t testing.TB, onInfected string) *ClamAV {
	t.Helper()
	Need(t, "clamav-milter")
	c := NewClamd(t, "")
	WriteFile(t, c.path("milter.conf"), fmt.Sprintf("Foreground yes\nUser root\nMilterSocket unix:%s\nClamdSocket unix:%s\nTemporaryDirectory %s\nOnInfected %s\nOnFail Defer\nAddHeader Add\nLogFile %s\n",
		c.path("milter.sock"), c.path("clamd.sock"), c.dir, onInfected, c.path("milter.log")))
	return c
}

// NewClamd is clamd alone; more are lines of its settings.
func NewClamd(t testing.TB, more string) *ClamAV {
	t.Helper()
	NeedRoot(t)
	Need(t, "clamd")
	c := &ClamAV{t: t, dir: Room(t)}
	WriteFile(t, c.path("db/test.ndb"), "Test.Eicar:0:*:"+hex.EncodeToString([]byte(Virus))+"\nPUA.Test.Tool:0:*:"+hex.EncodeToString([]byte(unwanted))+"\n")
	WriteFile(t, c.path("clamd.conf"), fmt.Sprintf("Foreground yes\nUser root\nDatabaseDirectory %s\nLocalSocket %s\nTemporaryDirectory %s\nMaxThreads 2\nDetectPUA yes\nLogFile %s\n%s",
		c.path("db"), c.path("clamd.sock"), c.dir, c.path("clamd.log"), more))
	return c
}

// unwanted is what the scanner takes for an unwanted program.
const unwanted = "a tool that the scanner has doubts about"

func (c *ClamAV) path(name string) string { return filepath.Join(c.dir, name) }

// Start starts both.
func (c *ClamAV) Start() {
	c.t.Helper()
	c.StartScanner()
	c.StartMilter()
}

// StartScanner starts clamd alone.
func (c *ClamAV) StartScanner() {
	c.t.Helper()
	c.clamd = Spawn(c.t, nil, Need(c.t, "clamd"), "--config-file="+c.path("clamd.conf"))
	WaitListening(c.t, "unix", c.path("clamd.sock"), c.clamd)
}

// ScannerSocket is where clamd listens, as settings name it.
func (c *ClamAV) ScannerSocket() string { return "unix:" + c.path("clamd.sock") }

// StartMilter starts the milter alone.
func (c *ClamAV) StartMilter() {
	c.t.Helper()
	c.milt = Spawn(c.t, nil, Need(c.t, "clamav-milter"), "--config-file="+c.path("milter.conf"))
	WaitListening(c.t, "unix", c.path("milter.sock"), c.milt)
}

// KillScanner ends clamd, KillMilter the milter.
func (c *ClamAV) KillScanner() { c.clamd.Kill() }

// KillMilter ends the milter. Its socket goes with it.
func (c *ClamAV) KillMilter() {
	c.milt.Kill()
	os.Remove(c.path("milter.sock"))
}

// Socket is where the milter listens, as settings name it.
func (c *ClamAV) Socket() string { return "unix:" + c.path("milter.sock") }

// Postgrey is a private postgrey.
type Postgrey struct {
	t       testing.TB
	dir     string
	network string
	address string
	process *Process
}

// NewPostgrey makes room for one that listens on "tcp" or "unix".
func NewPostgrey(t testing.TB, network string) *Postgrey {
	t.Helper()
	NeedRoot(t)
	Need(t, "postgrey")
	p := &Postgrey{t: t, dir: Room(t), network: network}
	p.address = filepath.Join(p.dir, "socket")
	if network == "tcp" {
		p.address = Loopback(FreePort(t))
	}
	WriteFile(t, filepath.Join(p.dir, "none"), "")
	Chown(t, p.dir, "postgrey")
	return p
}

// Start starts it, with a delay of one second.
func (p *Postgrey) Start() {
	p.t.Helper()
	listen := "--unix=" + p.address
	if p.network == "tcp" {
		listen = "--inet=" + p.address
	}
	none := filepath.Join(p.dir, "none")
	p.process = Spawn(p.t, nil, Need(p.t, "postgrey"), listen, "--dbdir="+p.dir, "--delay=1", "--auto-whitelist-clients=0",
		"--whitelist-clients="+none, "--whitelist-recipients="+none, "--user=postgrey", "--group=postgrey", "--hostname=mail.example.org")
	WaitListening(p.t, p.network, p.address, p.process)
}

// Kill ends it.
func (p *Postgrey) Kill() { p.process.Kill() }

// Socket is where it listens, as settings name it.
func (p *Postgrey) Socket() string {
	if p.network == "tcp" {
		return "inet:" + p.address
	}
	return "unix:" + p.address
}

// WaitListening waits until a program takes connections.
func WaitListening(t testing.TB, network, address string, p *Process) {
	t.Helper()
	WaitUntil(t, "a listener at "+address, func() bool {
		if !p.Running() {
			t.Fatalf("it ended instead of listening at %s:\n%s", address, tail(p.Output(), 40))
		}
		conn, err := net.DialTimeout(network, address, time.Second)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}
