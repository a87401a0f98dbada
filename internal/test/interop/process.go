package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sys "golang.org/x/sys/unix"
)

// Deadlines are generous: they bound a broken test, they judge nothing.
const (
	LongWait  = 5 * time.Minute
	StartWait = time.Minute
	pollEvery = 20 * time.Millisecond
)

var errTooLong = errors.New("still running after " + LongWait.String())

// Process is a program that a test started.
type Process struct {
	cmd  *exec.Cmd
	out  *output
	done chan struct{}
	err  error // of Wait; read after done
}

// Spawn starts a program in its own process group. It is killed, with all its
// descendants, when the test ends.
func Spawn(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	p, err := launch(command(env, name, args...), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), tail(p.Output(), 60))
		}
	})
	return p
}

func command(env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func launch(cmd *exec.Cmd, input []byte) (*Process, error) {
	p := &Process{cmd: cmd, out: new(output), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if input != nil {
		cmd.Stdin = bytes.NewReader(input)
	}
	// Pdeathsig: a test binary that dies of a timeout runs no clean-up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second // a grandchild may keep the pipe open
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is everything written so far, stdout and stderr together.
func (p *Process) Output() string { return p.out.String() }

// Running tells whether the process is there.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Freeze stops the process and its descendants, and returns when they have stopped:
// the signal alone may let them answer once more.
func (p *Process) Freeze(t testing.TB) {
	t.Helper()
	for _, pid := range Family(p.PID()) {
		syscall.Kill(pid, syscall.SIGSTOP)
		WaitUntil(t, "the process has stopped", func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			_, state, found := strings.Cut(string(stat), ") ")
			return err != nil || found && strings.HasPrefix(state, "T")
		})
	}
}

// Thaw lets them go on.
func (p *Process) Thaw() {
	for _, pid := range Family(p.PID()) {
		syscall.Kill(pid, syscall.SIGCONT)
	}
}

// WaitFor waits for the end and tells whether it came in time.
func (p *Process) WaitFor(limit time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// ExitCode is the status of an ended process, -1 when a signal ended it.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Kill ends the process and all its descendants with SIGKILL and waits until
// they are gone. It does nothing to a process that has ended.
func (p *Process) Kill() {
	if !p.Running() {
		return
	}
	// Stopped first: nobody is born between the census and the kill, and a
	// parent cannot notice that its children die before it does.
	p.Signal(syscall.SIGSTOP)
	family := Family(p.PID())
	for _, pid := range family {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.done
	waitGone(family)
}

func waitGone(pids []int) {
	deadline := time.Now().Add(StartWait)
	for _, pid := range pids {
		for alive(pid) && time.Now().Before(deadline) {
			time.Sleep(pollEvery)
		}
	}
}

// alive tells whether a process can still act: a zombie cannot.
func alive(pid int) bool {
	s, err := readStat(pid)
	return err == nil && s.state != 'Z'
}

// output collects what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

// stat is what /proc/PID/stat says (proc_pid_stat(5)).
type stat struct {
	parent int
	state  byte
	dead   int64 // cutime+cstime, in clock ticks: of children that ended
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The command name may hold blanks and parentheses: count from its end.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return stat{}, io.ErrUnexpectedEOF
	}
	s := stat{state: fields[0][0]}
	s.parent, _ = strconv.Atoi(fields[1])
	for _, field := range fields[13:15] {
		n, _ := strconv.ParseInt(field, 10, 64)
		s.dead += n
	}
	return s, nil
}

// Family lists a process and its living descendants, parents first.
func Family(pid int) []int {
	children := make(map[int][]int)
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(child); err == nil {
			children[s.parent] = append(children[s.parent], child)
		}
	}
	family := []int{pid}
	for i := 0; i < len(family); i++ {
		family = append(family, children[family[i]]...)
	}
	return family
}

// CPU is the processor time that a process, its living descendants and those
// descendants that ended and were waited for have used. Those that ended are counted
// in hundredths of a second.
func CPU(pid int) (sum time.Duration) {
	for _, member := range Family(pid) {
		sum += processClock(member)
		if s, err := readStat(member); err == nil {
			sum += time.Duration(s.dead) * (time.Second / 100)
		}
	}
	return sum
}

// processClock is what the clock of a process shows that counts its processor time,
// of all its threads (clock_getcpuclockid(3)); 0 when it is gone.
func processClock(pid int) time.Duration {
	var shows sys.Timespec
	if sys.ClockGettime(int32(^pid<<3|2), &shows) != nil {
		return 0
	}
	return time.Duration(shows.Nano())
}

// Memory is the resident memory of a process and its descendants in bytes,
// with pages that several of them share counted once (Pss).
func Memory(pid int) int64 {
	var sum int64
	for _, member := range Family(pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", member))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				sum += kib << 10
			}
		}
	}
	return sum
}

// Busy is the processor time that the whole machine has spent on anything at
// all since it was started (proc_stat(5)).
func Busy() time.Duration {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	var ticks int64
	for i, field := range strings.Fields(line) {
		// cpu user nice system idle iowait irq softirq steal; guest time is
		// in user already.
		if n, err := strconv.ParseInt(field, 10, 64); err == nil && i <= 7 && i != 4 && i != 5 {
			ticks += n
		}
	}
	return time.Duration(ticks) * (time.Second / 100)
}
