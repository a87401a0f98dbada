package program_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/net/program"
)

// place is a directory that the programs' user may use.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "program")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shell writes a script and makes a program of it, with arguments behind it.
func shell(t *testing.T, script string, args ...string) program.Settings {
	t.Helper()
	file := filepath.Join(place(t), "script")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return settings(append([]string{file}, args...)...)
}

func settings(command ...string) program.Settings {
	s := program.Settings{Name: "prog", Command: command, Limit: 30 * time.Second}
	if os.Geteuid() == 0 {
		s.User = "nobody"
	}
	return s
}

func made(t *testing.T, s program.Settings) *program.Program {
	t.Helper()
	p, err := program.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func at(t *testing.T, s string) address.Address {
	t.Helper()
	if s == "" {
		return address.Address{}
	}
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func letter(t *testing.T, sender string, to ...string) program.Letter {
	l := program.Letter{Sender: at(t, sender), NextHop: "Next.Example", QueueID: "3XyZ", Size: 42, ClientAddress: "192.0.2.1",
		ClientName: "client.example", ClientHelo: "-evil helo", ClientProtocol: "ESMTP", Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, s := range to {
		l.Recipients = append(l.Recipients, program.Recipient{Address: at(t, s), Original: at(t, "Orig@x.example")})
	}
	return l
}

const body = "Subject: x\r\n\r\nFrom here\r\n.dot\r\nend\r\n"

func TestStatus(t *testing.T) {
	for script, want := range map[string]string{
		"cat >/dev/null":                  `250 2.0.0 delivered via prog service`,
		"echo thanks; exit 0":             `250 2.0.0 delivered via prog service (thanks)`,
		"cat >/dev/null; exit 75":         `451 4.3.0 temporary failure`,
		"echo not now; exit 75":           `451 4.3.0 temporary failure. Command output: not now`,
		"exit 64":                         `554 5.3.0 command line usage error`,
		"echo who?; exit 67":              `554 5.1.1 user unknown. Command output: who?`,
		"exit 71":                         `451 4.3.0 system resource problem`,
		"exit 74":                         `451 4.3.0 input/output error`,
		"exit 77":                         `554 5.7.0 permission denied`,
		"exit 78":                         `554 5.3.5 local configuration error`,
		"echo oops >&2; exit 1":           `554 5.3.0 Command died with status 1: "PROGRAM". Command output: oops`,
		"exec /no/such/program":           `451 4.3.5 Command died with status 127: "PROGRAM". Command output: PROGRAM: 2: exec: /no/such/program: not found`,
		"kill -9 $$":                      `451 4.3.0 Command died with signal 9: "PROGRAM"`,
		"echo 4.2.2 full; exit 67":        `451 4.2.2 full`,
		"echo 5.7.1 spam; exit 75":        `554 5.7.1 spam`,
		"echo 2.0.0 fine; exit 67":        `554 5.1.1 user unknown. Command output: 2.0.0 fine`,
		"echo 5.1.1; exit 75":             `554 5.1.1 `,
		"printf 'a\\033[1m\\nb'; exit 75": `451 4.3.0 temporary failure. Command output: a?[1m b`,
	} {
		t.Run(script, func(t *testing.T) {
			s := shell(t, script)
			o := made(t, s).Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(body))
			want := strings.ReplaceAll(want, "PROGRAM", s.Command[0])
			if got := fmt.Sprintf("%d %s %s", o.Reply.Code, o.Reply.Enhanced, o.Reply.Text()); got != want || o.Delivered() != strings.HasPrefix(want, "250") {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	show := `for a in "$@"; do printf '[%s]' "$a"; done; exit 75`
	for name, x := range map[string]struct {
		flags  string
		sender string
		args   string // separated by blanks
		want   string
	}{
		"all":                    {"", "A@X.example", "${sender} ${recipient} ${nexthop} ${queue_id} ${size} ${client_address}", "[A@x.example][Bob+Ext@y.example][c@z.example][Next.Example][3XyZ][42][192.0.2.1]"},
		"parts":                  {"", "a@x.example", "${user} ${extension} ${mailbox} ${domain}", "[Bob][c][Ext][][Bob+Ext][c][y.example][z.example]"},
		"in the middle":          {"", "a@x.example", "--to=${recipient}! x$$y", "[--to=Bob+Ext@y.example!][--to=c@z.example!][x$y]"},
		"other forms":            {"", "a@x.example", "$sender $(sender)", "[a@x.example][a@x.example]"},
		"folded":                 {"uh", "a@x.example", "${recipient} ${nexthop}", "[bob+ext@y.example][c@z.example][next.example]"},
		"null sender":            {"", "", "${sender}", "[MAILER-DAEMON]"},
		"metacharacters":         {"", `"$(id);` + "`id`" + ` >x|"@x.example`, "${sender}", "[$(id);`id` >x|@x.example]"},
		"quoted":                 {"q", `"a b"@x.example`, "${sender}", `["a b"@x.example]`},
		"what the client claims": {"", "a@x.example", "${client_hostname} ${client_helo} ${client_protocol}", "[client.example][unknown][ESMTP]"},
		"option behind --":       {"", "-f@x.example", "-- ${sender}", "[--][-f@x.example]"},
		"option inside":          {"", "-f@x.example", "x${sender}", "[x-f@x.example]"},
		"option":                 {"", "-f@x.example", "${sender} --", "5.1.3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := shell(t, show, strings.Fields(x.args)...)
			s.Flags = x.flags
			o := made(t, s).Run(context.Background(), letter(t, x.sender, "Bob+Ext@y.example", "c@z.example"), strings.NewReader(body))
			if x.want == "5.1.3" {
				if o.Reply.Enhanced != x.want || !o.Reply.Permanent() {
					t.Errorf("%v", o.Reply)
				}
				return
			}
			if o.Output != x.want {
				t.Errorf("got %s, want %s (%v)", o.Output, x.want, o.Reply)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	for name, x := range map[string]struct{ flags, eol, body, want string }{
		"none":            {"", "", body, "Subject: x\n\nFrom here\n.dot\nend\n"},
		"CRLF":            {"", "\r\n", body, body},
		"front":           {"DROF", "", "S: x\r\n\r\n", "From a@x.example  Fri Jan  2 03:04:05 2026\nReturn-Path: <a@x.example>\nX-Original-To: Orig@x.example\nDelivered-To: b@y.example\nS: x\n\n"},
		"quotes":          {">.B", "", body, "Subject: x\n\n>From here\n..dot\nend\n\n"},
		"no line end":     {"", "", "S: x\r\n\r\nend", "S: x\n\nend\n"},
		"bare CR":         {"", "", "a\rb\r\n", "a\rb\n"},
		"long line":       {".", "", strings.Repeat("x", 32<<10-1) + "\r\n.a\r\n", strings.Repeat("x", 32<<10-1) + "\n..a\n"},
		"longer line":     {".", "", strings.Repeat("x", 32<<10) + ".\r\n", strings.Repeat("x", 32<<10) + ".\n"},
		"From in a line":  {">", "", strings.Repeat("x", 32<<10) + "From \r\n", strings.Repeat("x", 32<<10) + "From \n"},
		"CR at the brink": {"", "", strings.Repeat("x", 32<<10-1) + "\ry\r\n", strings.Repeat("x", 32<<10-1) + "\ry\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(place(t), "out")
			s := shell(t, `cat >"$1"`, out)
			s.Flags, s.EOL = x.flags, x.eol
			o := made(t, s).Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(x.body))
			got, err := os.ReadFile(out)
			if err != nil || !o.Delivered() || string(got) != x.want {
				t.Errorf("%v, %v: got %.200q, want %.200q", o.Reply, err, got, x.want)
			}
		})
	}
	t.Run("a loop", func(t *testing.T) {
		s := shell(t, "cat >/dev/null")
		s.Flags = "D"
		o := made(t, s).Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader("Delivered-To: B@y.example\r\n\r\n"))
		if o.Reply.Enhanced != "5.4.6" || o.Reply.Text() != "mail forwarding loop for b@y.example" {
			t.Errorf("%v", o.Reply)
		}
	})
}

// What misbehaves is ended, in its time, with all that it started, and leaves nothing open.
func TestMisbehaviour(t *testing.T) {
	large := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 100_000)
	for name, x := range map[string]struct {
		script string
		body   string
		limit  time.Duration
		want   string
	}{
		"reads nothing":                   {"exit 0", large, 0, "250 2.0.0 "},
		"reads nothing, and fails":        {"exit 75", large, 0, "451 4.3.0 temporary failure"},
		"sleeps":                          {"exec sleep 1000", large, time.Second, "451 4.3.0 Command time limit exceeded: "},
		"ignores a signal":                {"trap '' TERM INT HUP; while :; do sleep 1; done", "", time.Second, "451 4.3.0 Command time limit exceeded: "},
		"endless output":                  {"exec yes", "", 0, "451 4.3.0 Command killed: "},
		"a child keeps stdout":            {"sleep 1000 & echo done; exit 0", "", 0, "250 2.0.0 delivered via prog service (done)"},
		"a child in a session of its own": {"setsid sleep 5 & echo done; exit 0", large, 0, "250 2.0.0 delivered via prog service (done)"},
		"many children":                   {"for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; wait", "", time.Second, "451 4.3.0 Command time limit exceeded: "},
	} {
		t.Run(name, func(t *testing.T) {
			before := descriptors(t)
			s := shell(t, x.script)
			if x.limit > 0 {
				s.Limit = x.limit
			}
			o := made(t, s).Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(x.body))
			if got := fmt.Sprintf("%d %s %s", o.Reply.Code, o.Reply.Enhanced, o.Reply.Text()); !strings.HasPrefix(got, x.want) {
				t.Errorf("got %s, want %s", got, x.want)
			}
			if after := descriptors(t); after > before {
				t.Errorf("%d files are open, %d were", after, before)
			}
			noneLeft(t, s.Command[0])
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(list)
}

// noneLeft looks for processes of ours that are dead and not buried, or run a script.
func noneLeft(t *testing.T, script string) {
	t.Helper()
	list, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range list {
		stat, _ := os.ReadFile(file)
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if len(fields) > 1 && fields[1] == fmt.Sprint(os.Getpid()) && fields[0] == "Z" || strings.Contains(string(command), script) {
			t.Errorf("left behind: %s %q", stat, command)
		}
	}
}

// A message that breaks off on our side is not taken for one that has ended.
func TestBrokenBody(t *testing.T) {
	out := filepath.Join(place(t), "out")
	s := shell(t, `cat >/dev/null; touch "$1"`, out)
	broken := io.MultiReader(strings.NewReader(strings.Repeat(body, 10_000)), failing{})
	o := made(t, s).Run(context.Background(), letter(t, "a@x.example", "b@y.example"), broken)
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) || !o.Reply.Temporary() || !strings.Contains(o.Reply.Text(), "disk on fire") {
		t.Errorf("%v, %v", o.Reply, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestShutdown(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	o := made(t, settings("/bin/sleep", "1000")).Run(ctx, letter(t, "a@x.example", "b@y.example"), strings.NewReader(body))
	if !o.Reply.Temporary() || o.Err == nil {
		t.Errorf("%v", o.Reply)
	}
}

// The program sees nothing of ours: not the environment, not the files, not the user.
func TestIsolation(t *testing.T) {
	t.Setenv("SECRET", "xyzzy")
	secret, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	o := made(t, shell(t, "env; id -un; id -Gn; pwd; for f in /proc/self/fd/*; do [ -e $f ] && readlink $f; done; exit 75")).
		Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(body))
	for _, bad := range []string{"xyzzy", "SECRET", "root", "/dev/zero", "socket:", "?"} {
		if strings.Contains(o.Output, bad) {
			t.Errorf("%q in %s", bad, o.Output)
		}
	}
	if os.Geteuid() == 0 && !strings.Contains(o.Output, " nobody nogroup / ") {
		t.Errorf("not run as nobody: %s", o.Output)
	}
}

func TestSettings(t *testing.T) {
	for name, x := range map[string]struct {
		s    program.Settings
		want string
	}{
		"no command":    {program.Settings{}, "absolute path"},
		"relative":      {settings("cat"), "absolute path"},
		"unknown macro": {settings("/bin/cat", "${passwd}"), `unknown macro "${passwd}"`},
		"unclosed":      {settings("/bin/cat", "${sender"), `without its "}"`},
		"no such user":  {program.Settings{Command: []string{"/bin/cat"}, User: "nobody-of-this-name"}, "there is no user"},
		"no such group": {program.Settings{Command: []string{"/bin/cat"}, User: "nobody:no-such-group"}, "there is no group"},
		"root":          {program.Settings{Command: []string{"/bin/cat"}, User: "root"}, "does not run as root"},
		"unknown flag":  {program.Settings{Command: []string{"/bin/cat"}, Flags: "Dz"}, `unknown flag "z"`},
	} {
		if _, err := program.New(x.s); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %s", name, err, x.want)
		}
	}
	missing := made(t, settings("/no/such/program"))
	if o := missing.Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(body)); o.Reply.Enhanced != "4.3.5" {
		t.Errorf("%v", o.Reply)
	}
	if len(program.Missing("/etc/passwd", "")) != 1 || program.Missing("/bin/cat", "nobody:nogroup") != nil || len(program.Missing("/bin/cat", "nobody:nosuchgroup")) != 1 || len(program.Missing("/nothere", "nosuchuser")) != 2 {
		t.Error("what is missing is not told, or what is there")
	}
}

// Whatever the addresses are, there are as many arguments as the command has, none of
// them an option by their doing, and no control character in any.
func FuzzArguments(f *testing.F) {
	f.Add("a", "x.example", "b", "helo")
	f.Add("-a", "-x", "-b\x00", "-h\n")
	p, err := program.New(settings("/bin/cat", "-f", "${sender}", "${recipient}", "${user}", "${client_helo}", "${nexthop}"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, local, domain, to, helo string) {
		l := program.Letter{Sender: address.Address{Local: local, Domain: domain}, NextHop: domain, ClientHelo: helo,
			Recipients: []program.Recipient{{Address: address.Address{Local: to, Domain: domain}}}}
		args, err := program.Expand(p, l)
		if err != nil {
			return
		}
		if len(args) != 6 {
			t.Fatalf("%q", args)
		}
		for _, a := range args[1:] {
			if strings.HasPrefix(a, "-") || strings.ContainsFunc(a, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%q", args)
			}
		}
	})
}
