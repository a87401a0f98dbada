package helper

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"facteur/internal/net/program"
)

// kind is what a process of a user is for.
type kind string

const (
	forFiles    kind = "files"
	forCommands kind = "command"
)

// process is one of a user's.
type process struct {
	id     int
	uid    uint32
	kind   kind
	proc   *os.Process
	killed bool
}

// start begins a process of a user, with its end of a socket. as is nil for the user that
// we are. The process becomes the user itself, when it runs: were it the user's between
// fork and exec, he could stop it there, and with it us, who wait for that exec (LOC-011).
func start(k kind, home string, as *identity, theirs *os.File) (*os.Process, error) {
	args := []string{"helper", string(k), home}
	if as != nil {
		args = append(args, as.words()...)
	}
	return launch(k == forFiles, &syscall.SysProcAttr{Setsid: true}, theirs, args...)
}

// words are an identity as arguments: uid, gid, and all groups.
func (id *identity) words() []string {
	list := []string{fmt.Sprint(id.UID), fmt.Sprint(id.gid)}
	for _, g := range id.groups {
		list = append(list, fmt.Sprint(g))
	}
	return list
}

// become makes this process the user's whose words these are; none: it is his.
func become(words []string) error {
	if len(words) == 0 {
		return nil
	}
	return program.Become(words)
}

// launch starts this program. A thread that may gain no more privileges gives that on, and
// is not used again.
func launch(confined bool, attr *syscall.SysProcAttr, theirs *os.File, args ...string) (p *os.Process, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	// What we were started with is for us.
	_ = unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if !confined {
			defer runtime.UnlockOSThread()
		} else if err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return
		}
		p, err = os.StartProcess(program.OwnProgram, append([]string{"facteur"}, args...), &os.ProcAttr{
			Dir: "/", Env: []string{}, Files: []*os.File{null, null, os.Stderr, theirs}, Sys: attr,
		})
	}()
	<-done
	return p, err
}

// harden is the first that each process does. Errors are those of a kernel that knows
// none of this.
func harden() {
	syscall.Umask(0o077)
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	for resource, most := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 2*maxHandles + 64} {
		_ = unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most})
	}
}

// Main is the whole of a process: args are what stands behind "helper". It gives the
// exit status.
func Main(args []string) int {
	if len(args) > 0 && args[0] == "program" {
		return program.Main(args[1:])
	}
	harden()
	if len(args) == 4 && args[0] == "append" {
		return appendMain(args[1], args[2], args[3])
	}
	conn, err := socket(os.NewFile(3, "server"))
	if err != nil {
		os.Stderr.WriteString("facteur helper: this is started by facteur serve, and by nobody else\n")
		return 64
	}
	defer conn.Close()
	switch {
	case len(args) == 5 && args[0] == "root":
		limit, _ := strconv.Atoi(args[4])
		least, _ := strconv.ParseUint(args[1], 10, 32)
		return (&porter{conn: conn, rules: Rules{uint32(least), args[2], args[3]}.filled(), limit: limit, running: map[int]*process{}}).serve()
	case len(args) < 2 || become(args[2:]) != nil:
		return 64
	case args[0] == string(forFiles):
		return filesMain(conn, args[1])
	case args[0] == string(forCommands):
		return commandMain(conn, args[1])
	}
	return 64
}

// filesMain serves the files of a home. The first packet says whether it could be opened.
func filesMain(conn packets, home string) int {
	runtime.GOMAXPROCS(1)
	f, err := openHome(home)
	if _, werr := conn.Write(say(make([]byte, 4), err)); err != nil || werr != nil {
		return 1
	}
	if err := f.serve(conn); err != nil {
		return 1
	}
	return 0
}
