package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"facteur/internal/test/interop"
)

// localRspamd are the admin's files of a private rspamd with the settings of the package that
// learns, in SQLite. The corpus says nothing of clients that could be believed, and nobody is
// asked: modules that judge a client, or ask the DNS, are off, as they are for the others.
var localRspamd = map[string]string{
	"worker-normal.inc":     "bind_socket = \"%[1]s/scan mode=0600\"; count = 1;\n",
	"worker-controller.inc": "bind_socket = \"%[1]s/learn mode=0600\"; count = 1;\n",
	"worker-proxy.inc":      "enabled = false;\n",
	"worker-fuzzy.inc":      "enabled = false;\n",
	"logging.inc":           "type = \"console\"; level = \"error\";\n",
	"options.inc":           "filters = \"chartable,regexp\"; local_addrs = []; dns { nameserver = [\"127.0.0.1:1\"]; timeout = 0.1s; retransmits = 1; }\n",
	"classifier-bayes.conf": "backend = \"sqlite3\"; cache { type = \"sqlite3\"; path = \"%[1]s/learnt.sqlite\"; }\n" +
		"statfile { symbol = \"BAYES_HAM\"; spam = false; path = \"%[1]s/ham.sqlite\"; }\nstatfile { symbol = \"BAYES_SPAM\"; spam = true; path = \"%[1]s/spam.sqlite\"; }\n",
}

// asking are the modules of rspamd that ask others, or judge the client.
var asking = []string{"arc", "asn", "dkim_signing", "dmarc", "fuzzy_check", "greylist", "hfilter", "mx_check", "once_received", "rbl", "spf", "surbl", "url_redirector", "whitelist"}

// localScanner is an rspamd without a network: it is reached by the sockets in a directory.
type localScanner struct {
	*interop.Process
	dir string
}

func newLocalScanner(b *testing.B) *localScanner {
	interop.NeedRoot(b)
	program, s := interop.Need(b, "rspamd"), &localScanner{dir: interop.Room(b)}
	local := filepath.Join(s.dir, "local.d")
	if err := os.Mkdir(local, 0o755); err != nil {
		b.Fatal(err)
	}
	for name, text := range localRspamd {
		interop.WriteFile(b, filepath.Join(local, name), fmt.Sprintf(text+"# %[1]s\n", s.dir))
	}
	for _, name := range asking {
		interop.WriteFile(b, filepath.Join(local, name+".conf"), "enabled = false;\n")
	}
	s.Process = interop.Spawn(b, nil, interop.Need(b, "unshare"), "-n", program, "-i", "-f", "-c", "/etc/rspamd/rspamd.conf",
		"--var=LOCAL_CONFDIR="+s.dir, "--var=DBDIR="+s.dir, "--var=RUNDIR="+s.dir, "--var=LOGDIR="+s.dir)
	for _, name := range []string{"scan", "learn"} {
		interop.WaitListening(b, "unix", filepath.Join(s.dir, name), s.Process)
	}
	return s
}

// post shows letters to one of its sockets, and has each answer read.
func (s *localScanner) post(b *testing.B, socket string, letters []judged, path func(judged) string, read func(judged, int, []byte)) {
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, socket))
	}}}
	defer c.CloseIdleConnections()
	for _, l := range letters {
		response, err := c.Post("http://rspamd/"+path(l), "", bytes.NewReader(l.raw))
		if err != nil {
			b.Fatal(err)
		}
		text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		response.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		read(l, response.StatusCode, text)
	}
}

// rspamd judges all letters in one process, after it has learnt. Spam is what it would mark
// ("add header", from 6 points on) or refuse. It does not learn again what it has or
// knows well, nor too short a letter.
func rspamd(b *testing.B, train, test []judged) (t tally) {
	s := newLocalScanner(b)
	learnt := 0
	s.post(b, "learn", train, func(l judged) string {
		if l.spam {
			return "learnspam"
		}
		return "learnham"
	}, func(_ judged, code int, text []byte) {
		known := code == http.StatusNoContent || code == http.StatusAlreadyReported || bytes.Contains(text, []byte("has been already learned"))
		switch {
		case code == http.StatusOK:
			learnt++
		case !known:
			b.Fatalf("rspamd does not learn: %d %s", code, text)
		}
	})
	b.Logf("rspamd learnt %d of %d letters", learnt, len(train))
	began := interop.CPU(s.PID())
	s.post(b, "scan", test, func(judged) string { return "checkv2" }, func(l judged, code int, text []byte) {
		var a struct {
			Action string
		}
		if err := json.Unmarshal(text, &a); err != nil || code != http.StatusOK {
			b.Fatalf("rspamd does not judge: %d %s", code, text)
		}
		t.note(l.spam, answers[a.Action])
	})
	t.letters, t.cpu = len(test), interop.CPU(s.PID())-began
	return t
}

// answers are what actions say, as note takes it.
var answers = map[string]int{"reject": 0, "add header": 0, "rewrite subject": 0, "greylist": 1, "soft reject": 1, "no action": 1}
