package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// Unbound is Debian's validating resolver, private, which knows a few zones and nothing
// else of the world. Its answers about signed ones have the AD bit.
type Unbound struct {
	port    int
	process *Process
}

const unboundConf = `server:
	interface: 127.0.0.1
	port: %[2]d
	do-daemonize: no
	do-ip6: no
	username: ""
	chroot: ""
	directory: %[1]s
	pidfile: ""
	use-syslog: no
	verbosity: 1
	num-threads: 1
	access-control: 127.0.0.0/8 allow
	do-not-query-localhost: no
	module-config: "validator iterator"
	local-zone: "." static
%[3]s
remote-control:
	control-enable: no
%[4]s`

// StartUnbound starts one on loopback.
func StartUnbound(t testing.TB, zones ...Zone) *Unbound {
	t.Helper()
	program := Need(t, "unbound")
	u, dir := &Unbound{port: FreePort(t)}, Room(t)
	var server, auth strings.Builder
	for _, z := range zones {
		text, anchor := z.text(t)
		path := WriteFile(t, filepath.Join(dir, z.Name+".zone"), text)
		fmt.Fprintf(&server, "\tlocal-zone: \"%s.\" transparent\n", z.Name)
		if anchor != "" {
			fmt.Fprintf(&server, "\ttrust-anchor: \"%s\"\n", anchor)
		}
		fmt.Fprintf(&auth, "auth-zone:\n\tname: \"%s.\"\n\tzonefile: \"%s\"\n\tfor-downstream: no\n\tfor-upstream: yes\n\tfallback-enabled: no\n", z.Name, path)
	}
	conf := WriteFile(t, filepath.Join(dir, "unbound.conf"), fmt.Sprintf(unboundConf, dir, u.port, server.String(), auth.String()))
	u.process = Spawn(t, nil, program, "-d", "-c", conf)
	WaitListening(t, "tcp", u.Addr(), u.process)
	return u
}

// Addr is where it listens, by UDP and TCP.
func (u *Unbound) Addr() string { return Loopback(u.port) }

// Process is the running server.
func (u *Unbound) Process() *Process { return u.process }
