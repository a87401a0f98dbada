package program

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Run gives a letter to the program and waits for its end. body is read once. When ctx
// ends, so does the program, and the letter stays.
func (p *Program) Run(ctx context.Context, l Letter, body io.Reader) Outcome {
	args, err := p.expand(&l)
	if err != nil {
		return p.impossible(err)
	}
	if body, err = p.loops(&l, body); err != nil {
		return p.impossible(err)
	}
	if err := p.strays.full(p.settings.Name); err != nil {
		return p.impossible(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.settings.Limit, errLimit)
	defer cancel()
	r := &run{program: p, cancel: cancel}
	if err := r.start(args); err != nil {
		return p.impossible(err)
	}
	r.feed(&l, body)
	if !r.wait(ctx) {
		return p.unending(r)
	}
	return p.outcome(r, r.cmd.ProcessState)
}

var (
	errLimit  = errors.New("time limit")
	errOutput = errors.New("too much output")
)

// run is one process.
type run struct {
	program *Program
	cancel  context.CancelFunc
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	output  output
	fed     chan struct{} // closed when nothing more is written to it
	source  error         // why the message ended early; after fed
	killed  error         // why it was; nil when it ended by itself

	mu   sync.Mutex
	over bool // the number of the process may be another's
}

func (r *run) start(args []string) (err error) {
	p := r.program
	if r.cmd, err = p.command(args); err != nil {
		return err
	}
	r.cmd.Env = p.environment()
	// A program whose letter ends because we died would take it for a whole one.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	r.output.full = r.kill
	r.cmd.Stdout, r.cmd.Stderr = &r.output, &r.output
	r.cmd.WaitDelay = drainTime
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		return err
	}
	r.output.mu.Lock() // the process is known before it can be killed for its output
	defer r.output.mu.Unlock()
	return r.cmd.Start()
}

// command is the program, or, where it is to run as another user, this program, which
// becomes that user and then the program: were the process the user's between fork and
// exec, he could stop it there, and with it us, who wait for that exec (LOC-011).
func (p *Program) command(args []string) (*exec.Cmd, error) {
	path := p.settings.Command[0]
	if !p.account.change {
		c := exec.Command(path, args...)
		c.Dir = p.settings.Dir
		return c, nil
	}
	if _, err := exec.LookPath(path); err != nil {
		return nil, err
	}
	words := append([]string{"helper", "program"}, p.account.words()...)
	c := exec.Command(OwnProgram, append(append(words, p.settings.Dir, path), args...)...)
	c.Dir = "/"
	return c, nil
}

// drainTime is how long the output of an ended program is waited for where a child of it
// keeps it open.
const drainTime = time.Second

// searchPath is where programs are looked for.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment has nothing of the server's own.
func (p *Program) environment() []string {
	return append([]string{"PATH=" + searchPath, "HOME=" + p.account.home,
		"USER=" + p.account.name, "LOGNAME=" + p.account.name, "SHELL=/bin/sh", "LANG=C"}, p.settings.Env...)
}

// feed writes the message. A message that can't be read to its end must not look like
// one that has ended: the program is killed first, if it would not know (see End).
func (r *run) feed(l *Letter, body io.Reader) {
	r.fed = make(chan struct{})
	go func() {
		defer close(r.fed)
		defer r.stdin.Close()
		var source *sourceError
		err := r.program.copyTo(r.stdin, l, body)
		switch end := r.program.settings.End; {
		case errors.As(err, &source):
			if r.source = source; end == "" {
				r.killGroup()
			}
		case err == nil:
			_, _ = io.WriteString(r.stdin, end)
		}
	}()
}

// wait ends with the program, and kills what it leaves behind; false when it can't be
// killed either, as one can't that sudo has made another user's. Such a one is let go.
func (r *run) wait(ctx context.Context) bool {
	ended := make(chan struct{})
	go func() {
		r.ended()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		if !r.givesUp(ended) {
			r.kill(context.Cause(ctx))
		}
		select {
		case <-ended:
		case <-time.After(r.program.patience):
			r.letGo(ended)
			return false
		}
	}
	r.bury()
	return true
}

// givesUp ends the input of a program that knows a whole message, and tells whether it has
// ended by that: it then takes back what it had begun.
func (r *run) givesUp(ended <-chan struct{}) bool {
	if r.program.settings.End == "" {
		return false
	}
	r.stdin.Close()
	select {
	case <-ended:
		return true
	case <-time.After(r.program.patience):
		return false
	}
}

// killTime is how long a program that was killed is waited for.
const killTime = 10 * time.Second

// letGo buries the program when it ends by itself, which may be never. Nothing more is
// read for it from now on.
func (r *run) letGo(ended <-chan struct{}) {
	strays, name := r.program.strays, r.program.settings.Name
	strays.add(name, 1)
	go func() {
		<-ended
		r.bury()
		strays.add(name, -1)
	}()
	r.stdin.Close()
	<-r.fed
}

// bury is for a program that is dead: its number is still its own.
func (r *run) bury() {
	if !r.program.settings.Leave || r.killed != nil {
		r.killGroup()
	}
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.stdin.Close()
	<-r.fed
	_ = r.cmd.Wait() // the state says all
}

// ended waits until the program has, and leaves the burial to Wait.
func (r *run) ended() {
	for {
		err := unix.Waitid(unix.P_PID, r.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// kill ends the program for a reason; the first one counts.
func (r *run) kill(why error) {
	r.output.once.Do(func() { r.killed = why })
	r.killGroup()
}

// killGroup ends all processes of the program. It leads their group, see Setsid.
func (r *run) killGroup() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		_ = unix.Kill(-r.cmd.Process.Pid, unix.SIGKILL)
	}
}

// The bounds of what a program writes, in bytes.
const (
	maxKept    = 4 << 10
	maxWritten = 1 << 20
)

// output keeps the beginning of what a program writes.
type output struct {
	once sync.Once
	full func(error)

	mu      sync.Mutex
	kept    []byte
	written int
}

// told is what was kept, for people. A program that was let go still writes.
func (o *output) told() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return Printable(o.kept)
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, p[:min(len(p), maxKept-len(o.kept))]...)
	if o.written += len(p); o.written > maxWritten {
		o.full(errOutput)
		return 0, errOutput
	}
	return len(p), nil
}
