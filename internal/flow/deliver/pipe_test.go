package deliver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/flow/transport"
	"facteur/internal/store/queue"
)

// throughProgram makes the usual way one through a shell script, which finds "$1" to be a
// directory for it.
func (c *corridor) throughProgram(script, flags string, args ...string) (dir string) {
	c.t.Helper()
	dir, err := os.MkdirTemp("", "pipe")
	check(c.t, err)
	c.t.Cleanup(func() { os.RemoveAll(dir) })
	check(c.t, os.Chmod(dir, 0o777))
	file := filepath.Join(dir, "script")
	check(c.t, os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o755))
	t := &transport.Transport{Name: "prog", Kind: transport.Pipe, Command: append([]string{file, dir}, args...), Flags: flags, TimeLimit: 20 * time.Second}
	if os.Geteuid() == 0 {
		t.User = "nobody"
	}
	c.throughTransports(transport.Rules{Usual: t})
	return dir
}

// A program gets the letter and says what comes of it, in Postfix's words in the log.
func TestPipe(t *testing.T) {
	for name, x := range map[string]struct {
		script, line string
		kept         bool // in the queue
		notice       string
	}{
		"delivered":     {`cat >"$1/letter"`, "dsn=2.0.0, status=sent (delivered via prog service)", false, ""},
		"put off":       {"echo later; exit 75", "dsn=4.3.0, status=deferred (temporary failure. Command output: later)", true, ""},
		"refused":       {"exit 67", "dsn=5.1.1, status=bounced (user unknown)", false, "5.1.1"},
		"not there":     {"exec /no/such/thing", "dsn=4.3.5, status=deferred (Command died with status 127: ", true, ""},
		"reads nothing": {"exit 0", "dsn=2.0.0, status=sent (delivered via prog service)", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, log := newCorridor(t), &logged{}
			c.events = log
			dir := c.throughProgram(x.script, "")
			c.run()
			id := c.post("alice@example.org", "alice@example.org", letterText, "x@far.test")
			want := fmt.Sprintf("postfix/pipe: %s: to=<x@far.test>, relay=prog, ", id)
			c.await("it was tried", func() bool { return log.count(want) == 1 })
			if log.count(x.line) != 1 {
				t.Errorf("no %q in\n%s", x.line, log)
			}
			switch {
			case x.kept:
				it, _, err := c.queue.Show(t.Context(), id)
				if err != nil || it.Recipients[0].State != queue.Queued {
					t.Errorf("%v %+v", err, it)
				}
			case x.notice != "":
				if notice := c.ended(id); !strings.Contains(notice, x.notice) {
					t.Errorf("%s", notice)
				}
			default:
				c.await("the queue is empty", c.empty)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "letter")); name == "delivered" && (err != nil || !arrivedBelow(string(got), "Received: ")) {
				t.Errorf("%v %q", err, got)
			}
		})
	}
}

// With a field that names the recipient, each gets his own copy, and his own end.
func TestPipeOneByOne(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	c.schedule.MinimalBackoff, c.schedule.MaximalBackoff = time.Hour, time.Hour // b is tried once
	dir := c.throughProgram(`cat >"$1/$2"; test "$2" != b || exit 75`, "D", "${user}")
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "a@far.test", "b@far.test", "c@far.test")
	c.await("all were tried", func() bool { return log.count("postfix/pipe: ") == 3 })
	if log.count("status=sent") != 2 || log.count("to=<b@far.test>, relay=prog, ") != 1 || log.count("status=deferred") != 1 {
		t.Errorf("%s", log)
	}
	for _, user := range []string{"a", "b", "c"} {
		got, _ := os.ReadFile(filepath.Join(dir, user))
		if !arrivedBelow(string(got), "Delivered-To: "+user+"@far.test\nReceived: ") {
			t.Errorf("%s got %q", user, got)
		}
	}
}

// Whoever was served is written down before the program runs for the next, so that a crash
// in between does not run it for him again.
func TestPipeOneByOneSettlesEach(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	dir := c.throughProgram(`cat >/dev/null; echo $$ >>"$1/$2"; test "$2" != b || while [ ! -e "$1/go" ]; do sleep 0.05; done`, "D", "${user}")
	c.run()
	id := c.post("alice@example.org", "alice@example.org", letterText, "a@far.test", "b@far.test", "c@far.test")
	c.await("it runs for the second", func() bool { _, err := os.Stat(filepath.Join(dir, "b")); return err == nil })
	it, _, err := c.queue.Show(t.Context(), id)
	check(t, err)
	for _, r := range it.Recipients {
		if settled := r.State != queue.Queued; settled != (r.Address.Local == "a") {
			t.Errorf("%s: %v", r.Address, r.State)
		}
	}
	_, err = c.queue.Delete(t.Context(), queue.Filter{Recipient: "c@far.test"})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o644))
	c.await("the queue is empty", c.empty)
	c.await("both are told of", func() bool { return log.count("status=sent") == 2 })
	if _, err := os.Stat(filepath.Join(dir, "c")); err == nil || log.count("postfix/pipe: ") != 2 {
		t.Errorf("OUT-022: deleted, and tried all the same\n%s", log)
	}
}

// Those who failed one after the other are told of together (LOOP-008).
func TestPipeOneByOneTellsOnce(t *testing.T) {
	c := newCorridor(t)
	c.throughProgram(`cat >/dev/null; test "$2" = b || exit 67`, "D", "${user}")
	c.run()
	c.ended(c.post("alice@example.org", "alice@example.org", letterText, "a@far.test", "b@far.test", "c@far.test", "d@far.test"))
	told := c.letters("alice")
	if len(told) != 1 {
		t.Fatalf("LOOP-008 %d notices", len(told))
	}
	for _, who := range []string{"a", "c", "d"} {
		if !strings.Contains(told[0], "Final-Recipient: rfc822; "+who+"@far.test") {
			t.Errorf("nothing of %s in\n%s", who, told[0])
		}
	}
}

// arrivedBelow tells whether a program got the letter, in Unix lines, below a header that
// begins so.
func arrivedBelow(got, top string) bool {
	return strings.HasPrefix(got, top) && strings.HasSuffix(got, "\nSubject: hello\n\n.body\n\nend\n")
}

// A user that the server can't become is said so, and the mail waits for the admin.
func TestPipeOfNobody(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	c.throughTransports(transport.Rules{Usual: &transport.Transport{Name: "prog", Kind: transport.Pipe, Command: []string{"/bin/cat"}, User: "no-such-user"}})
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "x@far.test")
	c.await("it was tried", func() bool { return log.count("status=deferred") == 1 })
	if log.count(`mail system configuration error: transport prog: there is no user "no-such-user"`) != 1 {
		t.Errorf("%s", log)
	}
}
