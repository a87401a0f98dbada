package script

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"facteur/internal/test/interop"
	"facteur/internal/test/sim"
)

// story is what one script has: a server, perhaps, and the world outside.
type story struct {
	t      testing.TB
	bin    string
	world  *sim.World
	server *interop.Process
}

type storyKey struct{}

func of(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

// Setup gives a story its world, its ports and the binary.
func Setup(env *testscript.Env) error {
	t := env.T().(testing.TB) // testscript wraps the *testing.T of the story
	world, err := sim.StartWorld("127.0.0.1:0", "127.0.0.1:0", sim.DemoBehaviours(), sim.DemoZone(), nil)
	if err != nil {
		return err
	}
	env.Defer(world.Close)
	s := &story{t: t, bin: interop.Binary(t), world: world}
	env.Values[storyKey{}] = s
	env.Setenv("PATH", filepath.Dir(s.bin)+string(os.PathListSeparator)+os.Getenv("PATH"))
	env.Setenv("FACTEUR", s.bin)
	for _, name := range []string{"SMTP", "SUBMISSION", "IMAP"} {
		env.Setenv(name, interop.Loopback(interop.FreePort(t)))
	}
	env.Setenv("DNS", world.DNS.Addr())
	env.Setenv("OUT_PORT", fmt.Sprint(world.Port()))
	if err := os.WriteFile(filepath.Join(env.WorkDir, "password"), []byte(interop.Password+"\n"), 0o600); err != nil {
		return err
	}
	return fillIn(env)
}

// fillIn puts the addresses into the settings files of the story.
func fillIn(env *testscript.Env) error {
	files, err := filepath.Glob(filepath.Join(env.WorkDir, "*.toml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(os.Expand(string(text), env.Getenv)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Verbs are the commands of package script.
func Verbs() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"serve":    verb(0, serve),
		"demo":     verb(0, demo),
		"shutdown": verb(0, shutdown),
		"reload":   verb(0, func(ts *testscript.TestScript, _ []string) { ts.Check(of(ts).server.Signal(syscall.SIGHUP)) }),
		"talk":     verb(2, talk),
		"submit":   verb(3, submit),
		"bring":    verb(4, bring),
		"visit":    verb(5, visit),
		"zone":     verb(1, func(ts *testscript.TestScript, args []string) { ts.Check(of(ts).world.DNS.Load(ts.ReadFile(args[0]))) }),
		"receive":  verb(3, receive),
		"outside":  verb(2, outside),
		"drained":  verb(0, drained),
		"logged":   verb(1, logged),
		"publish":  verb(1, publish),
	}
}

// verb checks what all verbs have in common.
func verb(count int, do func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this verb cannot be negated")
		}
		if len(args) != count {
			ts.Fatalf("%d arguments, want %d", len(args), count)
		}
		do(ts, args)
	}
}

// publish puts the records of a file into the DNS, as lines of a zone.
func publish(ts *testscript.TestScript, args []string) {
	ts.Check(of(ts).world.DNS.Load(ts.ReadFile(args[0])))
}

func serve(ts *testscript.TestScript, _ []string) {
	s := of(ts)
	config := ts.MkAbs("facteur.toml")
	s.server = interop.Spawn(s.t, nil, s.bin, "serve", "-c", config)
	for name, greeting := range map[string]string{"SMTP": "220", "IMAP": "* OK"} {
		if strings.Contains(ts.ReadFile("facteur.toml"), ts.Getenv(name)) {
			interop.WaitBanner(s.t, ts.Getenv(name), greeting, s.server)
		}
	}
}

// demo starts the demo on its own ports.
func demo(ts *testscript.TestScript, _ []string) {
	s := of(ts)
	s.server = interop.Spawn(s.t, nil, s.bin, "demo", "--dir", ts.MkAbs("demo"))
	interop.WaitBanner(s.t, interop.Loopback(demoPorts[0]), "220", s.server)
}

// demoPorts are the ports that the demo listens on.
var demoPorts = []int{2525, 2587, 2465, 2143, 2993}

// Condition knows [demo-ports]: whether they are free.
func Condition(name string) (bool, error) {
	if name != "demo-ports" {
		return false, fmt.Errorf("unknown condition %s", name)
	}
	for _, port := range demoPorts {
		conn, err := net.Dial("tcp", interop.Loopback(port))
		if err == nil {
			conn.Close()
			return false, nil
		}
	}
	return true, nil
}

func shutdown(ts *testscript.TestScript, _ []string) {
	server := of(ts).server
	ts.Check(server.Signal(syscall.SIGTERM))
	if !server.WaitFor(interop.StartWait) {
		ts.Fatalf("the server does not stop")
	}
	if code := server.ExitCode(); code != 0 {
		ts.Fatalf("the server stopped with status %d:\n%s", code, server.Output())
	}
}

// until polls for something that the server does in its own time.
func until(ts *testscript.TestScript, what string, done func() bool) {
	for deadline := time.Now().Add(interop.StartWait); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if done() {
			return
		}
	}
	log := "no server"
	if server := of(ts).server; server != nil {
		log = server.Output()
	}
	ts.Fatalf("waited %v for %s\n%s", interop.StartWait, what, log)
}

func drained(ts *testscript.TestScript, _ []string) {
	until(ts, "an empty queue", func() bool {
		out, err := interop.TryRun(of(ts).t, "", of(ts).bin, "queue", "list", "--json", "-c", ts.MkAbs("facteur.toml"))
		return err == nil && strings.TrimSpace(out) == ""
	})
}

func logged(ts *testscript.TestScript, args []string) {
	pattern := compile(ts, args[0])
	until(ts, "the log to say "+args[0], func() bool { return pattern.MatchString(of(ts).server.Output()) })
}

func compile(ts *testscript.TestScript, pattern string) *regexp.Regexp {
	re, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	return re
}

func receive(ts *testscript.TestScript, args []string) {
	pattern := compile(ts, args[2])
	until(ts, "a letter to "+args[0]+" that matches "+args[2], func() bool {
		for _, letter := range interop.DialIMAP(of(ts).t, ts.Getenv("IMAP"), args[0]).Bodies("INBOX") {
			if pattern.Match(unixLines(letter)) {
				ts.Check(os.WriteFile(ts.MkAbs(args[1]), unixLines(letter), 0o600))
				return true
			}
		}
		return false
	})
}

func outside(ts *testscript.TestScript, args []string) {
	pattern := compile(ts, args[1])
	until(ts, "a letter outside that matches "+args[1], func() bool {
		for _, taken := range of(ts).world.Sink.Taken() {
			if pattern.Match(unixLines(taken.Data)) {
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), unixLines(taken.Data), 0o600))
				return true
			}
		}
		return false
	})
}

func unixLines(text []byte) []byte { return []byte(strings.ReplaceAll(string(text), "\r\n", "\n")) }

func dial(ts *testscript.TestScript, address string) net.Conn {
	conn, err := net.DialTimeout("tcp", address, interop.StartWait)
	ts.Check(err)
	ts.Check(conn.SetDeadline(time.Now().Add(interop.StartWait)))
	return conn
}
