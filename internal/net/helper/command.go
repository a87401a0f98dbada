package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"facteur/internal/mail/smtp"
	"facteur/internal/net/program"
)

// Job is a program to be run as a user, with a letter on its standard input.
type Job struct {
	// Command is the program's path and its arguments, as they are (see program.Words).
	Command []string
	// Flags, End, Env and Limit are those of program.Settings.
	Flags string
	End   string
	Env   []string
	Limit time.Duration
	// Letter is for Flags; Size is how long the message is, in bytes: one that ends early
	// is not delivered.
	Letter program.Letter
	Size   int64
}

// report is what a process says of its Job.
type report struct {
	Code           int
	Enhanced, Text string
	Output         string
}

// Run runs a program as a user. What fails for a reason of ours is temporary.
func (s *Staff) Run(ctx context.Context, u User, j Job, body io.Reader) program.Outcome {
	conn, id, err := s.start(forCommands, u)
	if err != nil {
		return failedJob(err)
	}
	defer conn.Close()
	r, err := s.run(ctx, conn, id, j, body)
	if err != nil {
		return failedJob(err)
	}
	return r.outcome()
}

func failedJob(err error) program.Outcome {
	return program.Outcome{Reply: smtp.NewReply(451, "4.3.0", "program can't be run: "+err.Error()), Err: err}
}

// endTime is how long a process has to end after its program.
const endTime = 30 * time.Second

func (s *Staff) run(ctx context.Context, conn packets, id int, j Job, body io.Reader) (*report, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	defer in.Close()
	b, err := json.Marshal(j)
	if err != nil || len(b) > maxData {
		return nil, errors.Join(err, errPacket)
	}
	soon(conn, j.limit()+endTime)
	if err := sendWith(conn, b, in); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrBroken, err)
	}
	in.Close()
	// What the process notices of our end is that the socket is closed for writing.
	defer context.AfterFunc(ctx, func() { _ = conn.CloseWrite(); soon(conn, endTime) })()
	fed := make(chan error, 1)
	go func() {
		_, err := io.Copy(out, body)
		out.Close()
		fed <- err
	}()
	answer := make([]byte, maxPacket)
	n, err := conn.Read(answer)
	_ = out.SetDeadline(time.Now()) // nobody reads any more
	source := <-fed
	if err != nil || n == 0 {
		s.kill(id)
		return nil, fmt.Errorf("%w: %v", ErrBroken, err)
	}
	r := new(report)
	if err := json.Unmarshal(answer[:n], r); err != nil {
		return nil, errPacket
	}
	if source != nil && r.Code == 250 && !errors.Is(source, os.ErrDeadlineExceeded) && !isClosed(source) {
		return nil, source // it can't have seen the whole, whatever it says
	}
	return r, nil
}

// outcome is what a report says. It comes from a process of the user's: he may say of his
// own letters what he likes, but only that.
func (r *report) outcome() program.Outcome {
	switch r.Code {
	case 250, 451, 554:
	default:
		return failedJob(errPacket)
	}
	return program.Outcome{Reply: smtp.NewReply(r.Code, r.Enhanced, program.Printable(r.Text)), Output: program.Printable(r.Output)}
}

func (j *Job) limit() time.Duration {
	if j.Limit <= 0 {
		return 1000 * time.Second
	}
	return j.Limit
}

// work runs the program of a Job in the user's process.
func (j *Job) work(ctx context.Context, home string, body io.Reader) report {
	p, err := program.New(program.Settings{Command: j.Command, Literal: true, Leave: true, Flags: j.Flags, End: j.End, Env: j.Env, Limit: j.limit(), Dir: home})
	if err != nil {
		return report{Code: 451, Enhanced: "4.3.5", Text: "mail system configuration error: " + err.Error()}
	}
	o := p.Run(ctx, j.Letter, &exactly{body, j.Size})
	return report{Code: o.Reply.Code, Enhanced: o.Reply.Enhanced, Text: o.Reply.Text(), Output: o.Output}
}

// exactly is a reader that fails where the message ends too early: a server that was
// killed must not look like the end of a letter.
type exactly struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
