package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// rspamdFiles are the admin's files of a private rspamd with the settings of the package:
// one process for each processor scans by itself as a milter. It has no Redis, so that
// what needs one (Bayes, greylisting, ratelimits, history) costs it nothing.
var rspamdFiles = map[string]string{
	"local.d/worker-proxy.inc":      "bind_socket = \"127.0.0.1:%[1]d\"; milter = yes; count = 2; timeout = 120s;\nupstream \"local\" { default = yes; self_scan = yes; }\n",
	"local.d/worker-normal.inc":     "enabled = false;\n",
	"local.d/worker-controller.inc": "enabled = false;\n",
	"local.d/worker-fuzzy.inc":      "enabled = false;\n",
	"local.d/options.inc":           "dns { nameserver = [\"%[2]s\"]; }\nlocal_addrs = [];\n",
	"local.d/logging.inc":           "type = \"console\"; level = \"error\";\n",
	"local.d/milter_headers.conf":   "use = [\"x-spamd-result\", \"authentication-results\"];\n",
	"local.d/actions.conf":          "reject = null; greylist = null;\n",
}

// measureRspamd has all strangers send to Debian's Postfix with its rspamd as a milter, which
// delivers by virtual(8).
func (w *strangers) measureRspamd(b *testing.B, period time.Duration) (r result) {
	b.Run("Postfix and rspamd", func(b *testing.B) {
		scanner, milter := w.rspamd(b)
		d := interop.NewDebianWith(b, interop.Setup{Accounts: inboundAccounts(), Services: []string{"smtp"}, Trusted: "127.0.0.1/32", Quiet: true},
			map[string]string{"smtpd_milters": "inet:" + milter, "milter_default_action": "tempfail", "smtpd_client_connection_count_limit": "0"})
		d.Start()
		r = w.load(b, d, period, d.Processes()[0], scanner)
	})
	return r
}

// rspamd starts one, and tells its process and where it listens.
func (w *strangers) rspamd(b *testing.B) (pid int, addr string) {
	b.Helper()
	program, dir, port := interop.Need(b, "rspamd"), interop.Room(b), interop.FreePort(b)
	for name, text := range rspamdFiles {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		interop.WriteFile(b, path, fmt.Sprintf(text+"# %[1]d %[2]s\n", port, w.dns.Addr()))
	}
	p := interop.Spawn(b, nil, program, "-i", "-f", "-c", "/etc/rspamd/rspamd.conf", "--var=LOCAL_CONFDIR="+dir, "--var=DBDIR="+dir, "--var=RUNDIR="+dir, "--var=LOGDIR="+dir)
	addr = interop.Loopback(port)
	interop.WaitListening(b, "tcp", addr, p)
	return p.PID(), addr
}
