// Package program gives a message to a program on this machine, as Postfix's pipe(8)
// does: on its standard input, with what is known of the message in its arguments.
//
// # The command
//
// A command is a list of arguments, of which the first is the path of the program. No
// shell reads it. In the others, ${name} stands for:
//
//	sender, recipient, original_recipient    an address
//	user, extension, mailbox, domain         parts of a recipient: user+extension@domain
//	nexthop, queue_id, size
//	client_address, client_hostname, client_helo, client_protocol, sasl_username
//
// $name and $(name) are the same, $$ is a dollar. An argument with a macro of the
// recipient becomes as many arguments as there are recipients. What a macro stands for
// stays within its argument, whatever characters it has. An argument that would begin
// with a "-" because of it is refused, as it could be read as an option, unless an
// argument "--" stands before it.
//
// The flags are those of pipe(8): D, O, R and F put a header field or a From_ line in
// front, B a blank line behind; ">" and "." quote lines; u, h and q change addresses. X
// is taken and ignored. Lines end with LF unless the settings say otherwise.
//
// # The process
//
// The program runs as the user that was named, with his group and no other, in a session
// of its own, in the root directory, with an environment of PATH, HOME, USER, LOGNAME,
// SHELL and LANG, and with no open file but the three. A server that is root starts itself
// once more for it (see Main), and that process becomes first the user and then the
// program: there is none of the user's that the server waits for (LOC-011). What it writes is read, and 4 KiB
// are kept, of printable characters. It is killed, with all processes of its group, at the end
// of its time, and when it has written more than a megabyte; what it has left
// running in its group is killed when it has ended. One that has become another user, as
// by sudo, can't be killed by a server that is not root: after ten seconds more it is let
// go, and the letter is tried again, which may bring it twice. Where five of a name run
// on so, no other is started. A crash of the server kills it with
// SIGKILL, lest it take the part of the letter that it has read for the whole, and leaves the
// message in the queue: what the program had done by then it does again. What it has started
// itself lives on until it reads the end of its input.
//
// # The result
//
// An exit with 0 is a delivery, also when the program has not read everything. Another
// status is read as <sysexits.h> has it: 71, 74 and 75 are temporary, the others
// permanent; an enhanced status code (RFC 3463) at the start of the output takes its
// place. Signals are temporary, and so are 126 and 127, with which shells say
// that there is no such program, for it is no fault of the message.
package program

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Settings are what an admin says of a program. Zero fields take the defaults in
// brackets.
type Settings struct {
	// Name is what log lines call it.
	Name string
	// Command is the program, an absolute path, and its arguments.
	Command []string
	// User is the account that it runs as, "name" or "name:group"; "" is the server's
	// own, unless that is root.
	User string
	// Flags are letters of pipe(8).
	Flags string
	// NullSender stands for the empty sender (MAILER-DAEMON); EmptyNullSender leaves it
	// empty.
	NullSender      string
	EmptyNullSender bool
	// EOL ends lines (LF).
	EOL string
	// Literal: the arguments stand as they are written, "$" and all.
	Literal bool
	// Env is added to the environment, "NAME=value"; Dir is where it runs ("/").
	Env []string
	Dir string
	// Leave: what it has left running when it ended by itself is not ended, as vacation
	// leaves its sendmail.
	Leave bool
	// End is written behind a message that was read to its end, for a program that knows a
	// whole one by it. Such a program is told to give up by the end of its input, and is
	// killed only where it does not.
	End string
	// Limit is the most time that it gets (1000 s).
	Limit time.Duration
	// Strays counts those that can't be ended, for all programs that share it; nil: the
	// Program has one of its own.
	Strays *Strays
}

// Program is a command that can be run, any number of times at a time.
type Program struct {
	settings Settings
	args     []argument
	account  *account
	strays   *Strays
	patience time.Duration // with one that was killed
}

// knownFlags are the letters that are understood.
const knownFlags = "BDFORXhqu.>"

// New checks the settings as far as that is possible without running anything. The
// errors are sentences for the admin.
func New(s Settings) (*Program, error) {
	args, err := s.arguments()
	if err != nil {
		return nil, err
	}
	p := &Program{settings: s, args: args, strays: cmp.Or(s.Strays, new(Strays)), patience: killTime}
	p.fillIn()
	p.account, err = findAccount(s.User, os.Geteuid())
	return p, err
}

// Check tells what is wrong with the settings on any machine and for anybody: whether
// the user is there and may be become is for New.
func (s Settings) Check() error {
	_, err := s.arguments()
	return err
}

// arguments are those of the command behind the program.
func (s Settings) arguments() (args []argument, err error) {
	if len(s.Command) == 0 || !filepath.IsAbs(s.Command[0]) {
		return nil, errors.New("the command must begin with the absolute path of a program")
	}
	if i := strings.IndexFunc(s.Flags, func(r rune) bool { return !strings.ContainsRune(knownFlags, r) }); i >= 0 {
		return nil, fmt.Errorf("unknown flag %q: the flags are %s", s.Flags[i:i+1], knownFlags)
	}
	for _, text := range s.Command[1:] {
		if s.Literal {
			args = append(args, argument{parts: []part{{text: text}}})
			continue
		}
		a, err := parseArgument(text)
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	return args, nil
}

// OneByOne tells that each recipient needs a copy of his own (flags D and O).
func (p *Program) OneByOne() bool { return p.flag('D') || p.flag('O') }

func (p *Program) fillIn() {
	s := &p.settings
	if s.NullSender == "" && !s.EmptyNullSender {
		s.NullSender = "MAILER-DAEMON"
	}
	if s.EOL == "" {
		s.EOL = "\n"
	}
	if s.Limit <= 0 {
		s.Limit = 1000 * time.Second
	}
	if s.Dir == "" {
		s.Dir = "/"
	}
	if s.Name == "" {
		s.Name = filepath.Base(s.Command[0])
	}
}

func (p *Program) flag(letter byte) bool { return strings.IndexByte(p.settings.Flags, letter) >= 0 }

// account is whom a program runs as.
type account struct {
	name, home string
	uid, gid   uint32
	change     bool // it is not the server's own
}

// findAccount looks a user up, for a server that runs as euid.
func findAccount(name string, euid int) (*account, error) {
	if name == "" {
		if euid == 0 {
			return nil, errors.New("a program does not run as root: name a user for it")
		}
		u, err := user.LookupId(strconv.Itoa(euid))
		if err != nil {
			u = &user.User{Uid: strconv.Itoa(euid), Gid: strconv.Itoa(os.Getegid()), Username: strconv.Itoa(euid), HomeDir: "/"}
		}
		return newAccount(u, "", euid)
	}
	name, group, _ := strings.Cut(name, ":")
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("there is no user %q on this machine: %w", name, err)
	}
	return newAccount(u, group, euid)
}

func newAccount(u *user.User, group string, euid int) (*account, error) {
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, fmt.Errorf("there is no group %q on this machine: %w", group, err)
		}
		u.Gid = g.Gid
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	a := &account{name: u.Username, home: u.HomeDir, uid: uint32(uid), gid: uint32(gid), change: euid == 0}
	switch {
	case err != nil:
		return nil, err
	case uid == 0 || gid == 0:
		return nil, fmt.Errorf("a program does not run as root: user %s is", u.Username)
	case euid != 0 && int(uid) != euid:
		return nil, fmt.Errorf("the server can't run a program as %s: it does not run as root itself; leave the user out, or run it as %s", u.Username, u.Username)
	case euid != 0 && int(gid) != os.Getegid():
		return nil, fmt.Errorf("the server can't run a program with group %s: it does not run as root itself", u.Gid)
	}
	return a, nil
}
