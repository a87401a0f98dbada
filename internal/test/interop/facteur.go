package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"facteur/internal/app/config"
)

// Facteur is the real binary with a configuration and a data directory of
// its own.
type Facteur struct {
	t       testing.TB
	bin     string
	dir     string
	ports   map[string]int
	process *Process
	log     strings.Builder // of processes that have ended
}

// NewFacteur writes facteur.toml and adds the accounts. Start starts it.
func NewFacteur(t testing.TB, setup Setup) *Facteur {
	t.Helper()
	setup = setup.withDefaults()
	f := &Facteur{t: t, bin: Binary(t), dir: Room(t), ports: make(map[string]int)}
	for _, service := range setup.Services {
		if service != local {
			f.ports[service] = FreePort(t)
		}
	}
	WriteFile(t, f.Config(), f.toml(setup))
	for _, address := range setup.Accounts {
		f.Command(Password+"\n", "account", "add", address, "--password-stdin")
	}
	t.Cleanup(f.Kill)
	return f
}

// Serves tells whether facteur has a service.
func Serves(service string) bool {
	return new(config.Service).UnmarshalText([]byte(service)) == nil
}

// toml is the smallest useful file of DESIGN.md §6.
func (f *Facteur) toml(setup Setup) string {
	var b strings.Builder
	fmt.Fprintf(&b, "hostname = %q\ndata_dir = %q\n", "mail."+setup.Domains[0], f.Data())
	fmt.Fprintf(&b, "trusted_networks = [%q]\n", setup.Trusted)
	for _, domain := range setup.Domains {
		fmt.Fprintf(&b, "\n[[domain]]\nname = %q\n", domain)
	}
	for _, service := range setup.Services {
		address := "unix:" + f.Socket()
		if service != local {
			address = f.Addr(service)
		}
		fmt.Fprintf(&b, "\n[[listen]]\nservice = %q\naddress = %q\n", service, address)
	}
	if setup.Smarthost != "" {
		fmt.Fprintf(&b, "\n[outbound]\nsmarthost = [%q]\n", setup.Smarthost)
	}
	fmt.Fprintf(&b, "\n[limits]\nexempt = [%q]\n", setup.Trusted)
	return b.String() + "\n" + setup.Config
}

// local is the service for programs of this machine: it has a socket, no port.
const local = "local"

// Socket is where the service "local" listens.
func (f *Facteur) Socket() string { return filepath.Join(f.dir, "sendmail.sock") }

// Sendmail hands a message to the server as "facteur sendmail" does, and tells its
// exit code.
func (f *Facteur) Sendmail(from string, to []string, message string) (out string, code int) {
	f.t.Helper()
	env := []string{"FACTEUR_SENDMAIL_SOCKET=" + f.Socket()}
	out, err := TryRunEnv(f.t, env, message, f.bin, append([]string{"sendmail", "-i", "-f", from, "--"}, to...)...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		code = -1
	}
	return out, code
}

// Config is the path of facteur.toml.
func (f *Facteur) Config() string { return filepath.Join(f.dir, "facteur.toml") }

// Edit replaces something in facteur.toml, once; it has to be there.
func (f *Facteur) Edit(old, replacement string) {
	f.t.Helper()
	text, err := os.ReadFile(f.Config())
	if err != nil || !strings.Contains(string(text), old) {
		f.t.Fatalf("no %q in %s: %v", old, f.Config(), err)
	}
	WriteFile(f.t, f.Config(), strings.Replace(string(text), old, replacement, 1))
}

// Data is the data directory.
func (f *Facteur) Data() string { return filepath.Join(f.dir, "data") }

// Command runs a facteur command on this configuration and returns what it
// printed; it must succeed.
func (f *Facteur) Command(input string, args ...string) string {
	f.t.Helper()
	return Run(f.t, input, f.bin, append(args, "-c", f.Config())...)
}

// TryCommand is Command for one that may fail.
func (f *Facteur) TryCommand(input string, args ...string) (string, error) {
	f.t.Helper()
	return TryRun(f.t, input, f.bin, append(args, "-c", f.Config())...)
}

// Start starts the server and waits for its banners.
func (f *Facteur) Start() {
	f.t.Helper()
	f.StartWith()
}

// StartWith is Start under a program that runs its arguments in the end, such as
// prlimit.
func (f *Facteur) StartWith(prefix ...string) {
	f.t.Helper()
	f.keepLog()
	args := append(prefix, f.bin, "serve", "-c", f.Config())
	var err error
	f.process, err = launch(command(nil, args[0], args[1:]...), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for service := range f.ports {
		if begin := banners[service]; begin != "" {
			WaitBanner(f.t, f.Addr(service), begin, f.process)
		}
	}
}

// How the services that speak first begin. The others start with TLS.
var banners = map[string]string{
	"smtp": "220", "submission": "220", "lmtp": "220", "imap": "* OK", "pop3": "+OK",
}

func (f *Facteur) keepLog() {
	if f.process != nil {
		f.log.WriteString(f.process.Output())
		f.process = nil
	}
}

// Stop implements Post. The exit status has to be 0.
func (f *Facteur) Stop() {
	f.t.Helper()
	f.Signal(syscall.SIGTERM)
	if !f.process.WaitFor(LongWait) {
		f.t.Fatalf("facteur does not stop on SIGTERM:\n%s", tail(f.Log(), 40))
	}
	if code := f.process.ExitCode(); code != 0 {
		f.t.Errorf("facteur stopped with status %d:\n%s", code, tail(f.Log(), 40))
	}
}

// Signal sends a signal to the server.
func (f *Facteur) Signal(sig os.Signal) {
	f.t.Helper()
	if err := f.process.Signal(sig); err != nil {
		f.t.Fatal(err)
	}
}

// Kill implements Post.
func (f *Facteur) Kill() {
	if f.process != nil {
		f.process.Kill()
	}
	if f.t.Failed() {
		f.t.Logf("facteur said:\n%s", tail(f.Log(), 60))
	}
}

// Running tells whether the server is up.
func (f *Facteur) Running() bool { return f.process != nil && f.process.Running() }

// Addr implements Post.
func (f *Facteur) Addr(service string) string {
	f.t.Helper()
	port, known := f.ports[service]
	if !known {
		f.t.Fatalf("facteur was not asked for service %s", service)
	}
	return Loopback(port)
}

// Port is the port of a service.
func (f *Facteur) Port(service string) string { return strconv.Itoa(f.ports[service]) }

// Maildir implements Post.
func (f *Facteur) Maildir(address string) string {
	return mailboxPath(filepath.Join(f.Data(), "mail"), address)
}

// IndexFiles implements Post: the files of the IMAP index, which may be deleted
// at any time while the server is down.
func (f *Facteur) IndexFiles(address string) []string {
	f.t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(f.Maildir(address)), "index.db*"))
	if err != nil {
		f.t.Fatal(err)
	}
	return files
}

// Queued implements Post: one JSON object a line.
func (f *Facteur) Queued() (int, error) {
	out, err := f.TryCommand("", "queue", "list", "--json")
	if err != nil {
		return 0, fmt.Errorf("queue list: %w\n%s", err, out)
	}
	count := 0
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if !json.Valid([]byte(line)) {
			return 0, fmt.Errorf("queue list --json: not an object: %s", line)
		}
		count++
	}
	return count, nil
}

// Flush implements Post: it asks for "queue retry", which may not exist yet.
func (f *Facteur) Flush() { f.TryCommand("", "queue", "retry", "--all") }

// Processes implements Post.
func (f *Facteur) Processes() []int { return []int{f.process.PID()} }

// Log implements Post.
func (f *Facteur) Log() string {
	if f.process == nil {
		return f.log.String()
	}
	return f.log.String() + f.process.Output()
}
