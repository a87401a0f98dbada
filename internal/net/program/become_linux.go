package program

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// OwnProgram is how this program is started again, whatever was put in its place meanwhile.
const OwnProgram = "/proc/self/exe"

// words are an account as arguments of Become: it has its group and no other.
func (a *account) words() []string {
	return []string{fmt.Sprint(a.uid), fmt.Sprint(a.gid), fmt.Sprint(a.gid)}
}

// errIdentity is words that are no user's.
var errIdentity = errors.New("no user that a process could become")

// Become makes this process another user's: words are his number, that of his group, and
// those of all his groups. Root is none.
func Become(words []string) error {
	var ids []int
	for _, w := range words {
		n, err := strconv.ParseUint(w, 10, 32)
		if err != nil || n == 0 {
			return errIdentity
		}
		ids = append(ids, int(n))
	}
	if len(ids) < 2 {
		return errIdentity
	}
	uid, gid := ids[0], ids[1]
	if err := syscall.Setgroups(ids[2:]); err != nil {
		return err
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return err
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return err
	}
	// Another user's process is as fs.suid_dumpable says.
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// The statuses of a process that could not become the program.
const (
	usage         = 64
	notPermitted  = 77
	wordsOfPerson = 3
)

// Main is this program on its way to be another, as a user: args are those of Become,
// the directory, and the command. It gives the exit status of a failure. Nothing is said
// on the standard error but that, for it is the program's output.
func Main(args []string) int {
	if len(args) < wordsOfPerson+2 {
		return usage
	}
	// What we were started with is not for a user.
	_ = unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC)
	runtime.LockOSThread() // it is this thread that becomes the program, and dies with its parent
	parent := os.Getppid()
	if err := Become(args[:wordsOfPerson]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return notPermitted
	}
	if err := dieWith(parent); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return notExecutable
	}
	dir, command := args[wordsOfPerson], args[wordsOfPerson+1:]
	err := os.Chdir(dir)
	if err == nil {
		err = &os.PathError{Op: "exec", Path: command[0], Err: syscall.Exec(command[0], command, os.Environ())}
	}
	fmt.Fprintln(os.Stderr, err)
	return notExecutable
}

// errOrphan: the server has ended before the program began.
var errOrphan = errors.New("the server has ended")

// dieWith has this thread killed when its parent ends. To become another user undoes what
// the parent had ordered of that kind (prctl(2), PR_SET_PDEATHSIG).
func dieWith(parent int) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	if os.Getppid() != parent {
		return errOrphan
	}
	return nil
}
