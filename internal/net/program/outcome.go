package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"facteur/internal/mail/smtp"
)

// Outcome is what became of a letter, for all its recipients.
type Outcome struct {
	// Reply is 250 for delivered, else 451 or 554, with the enhanced code and the text
	// that stands in the log.
	Reply *smtp.Reply
	// Output is the beginning of what the program wrote, on one line, printable.
	Output string
	// Err is why it was not run, or did not end by itself; nil when it did.
	Err error
}

// Delivered tells whether the program has taken the letter.
func (o Outcome) Delivered() bool { return o.Reply.Code == 250 }

// sysexits is <sysexits.h> as Postfix reads it.
var sysexits = map[int]struct{ enhanced, text string }{
	64: {"5.3.0", "command line usage error"},
	65: {"5.6.0", "data format error"},
	66: {"5.3.0", "cannot open input"},
	67: {"5.1.1", "user unknown"},
	68: {"5.1.2", "host name unknown"},
	69: {"5.3.0", "service unavailable"},
	70: {"5.3.0", "internal software error"},
	71: {"4.3.0", "system resource problem"},
	72: {"5.3.0", "critical OS file missing"},
	73: {"5.2.0", "can't create user output file"},
	74: {"4.3.0", "input/output error"},
	75: {"4.3.0", "temporary failure"},
	76: {"5.5.0", "remote error in protocol"},
	77: {"5.7.0", "permission denied"},
	78: {"5.3.5", "local configuration error"},
}

// The statuses of a shell that could not run what it was told to.
const (
	notExecutable = 126
	notFound      = 127
)

// outcome reads the end of a program.
func (p *Program) outcome(r *run, state *os.ProcessState) Outcome {
	o := Outcome{Output: r.output.told()}
	program := p.settings.Command[0]
	wait, _ := state.Sys().(syscall.WaitStatus)
	status := wait.ExitStatus()
	switch {
	case r.source != nil:
		o.Err = r.source
		return o.say("4.3.0", r.source.Error(), false)
	case errors.Is(r.killed, errLimit):
		o.Err = r.killed
		return o.say("4.3.0", fmt.Sprintf("Command time limit exceeded: %q", program), true)
	case r.killed != nil:
		o.Err = r.killed
		return o.say("4.3.0", fmt.Sprintf("Command killed: %q: %v", program, r.killed), true)
	case wait.Signaled():
		return o.say("4.3.0", fmt.Sprintf("Command died with signal %d: %q", int(wait.Signal()), program), true)
	case status == 0:
		return o.say("2.0.0", "delivered via "+p.settings.Name+" service", true)
	}
	if enhanced, text, ok := ownStatus(o.Output); ok {
		return o.say(enhanced, text, false)
	}
	if known, ok := sysexits[status]; ok {
		return o.say(known.enhanced, known.text, true)
	}
	enhanced := "5.3.0"
	if status == notExecutable || status == notFound {
		enhanced = "4.3.5"
	}
	return o.say(enhanced, fmt.Sprintf("Command died with status %d: %q", status, program), true)
}

// unending is the outcome of a program that was killed and goes on: nobody knows whether
// it takes the letter yet.
func (p *Program) unending(r *run) Outcome {
	o := Outcome{Output: r.output.told(), Err: r.killed}
	return o.say("4.3.0", fmt.Sprintf("the program can not be ended: %q runs on as process %d (%v)", p.settings.Command[0], r.cmd.Process.Pid, r.killed), true)
}

// say makes the reply; quote adds the output.
func (o Outcome) say(enhanced, text string, quote bool) Outcome {
	code := 554
	switch enhanced[0] {
	case '2':
		code = 250
		if quote && o.Output != "" {
			text += " (" + o.Output + ")"
		}
	case '4':
		code = 451
	}
	if quote && code != 250 && o.Output != "" {
		text += ". Command output: " + o.Output
	}
	o.Reply = smtp.NewReply(code, enhanced, text)
	return o
}

// ownStatus reads an enhanced status code that the output begins with.
func ownStatus(output string) (enhanced, text string, ok bool) {
	enhanced, text, _ = strings.Cut(output, " ")
	class, rest, _ := strings.Cut(enhanced, ".")
	subject, detail, two := strings.Cut(rest, ".")
	ok = two && (class == "4" || class == "5") && number(subject) && number(detail)
	return enhanced, text, ok
}

func number(s string) bool {
	return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == ""
}

// impossible is the outcome of a letter for which nothing was run.
func (p *Program) impossible(err error) Outcome {
	o := Outcome{Err: err}
	var argument *argumentError
	var loop *loopError
	switch {
	case errors.As(err, &argument):
		return o.say("5.1.3", err.Error(), false)
	case errors.As(err, &loop):
		return o.say("5.4.6", err.Error(), false)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return o.say("4.3.5", fmt.Sprintf("mail system configuration error: %v", err), false)
	}
	return o.say("4.3.0", err.Error(), false)
}

// Printable is text on one line, of printable characters.
func Printable[T string | []byte](b T) string {
	text := strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\r' || c == '\t':
			return ' '
		case c == utf8.RuneError || !unicode.IsPrint(c):
			return '?'
		}
		return c
	}, string(b))
	text = strings.TrimSpace(text)
	for len(text) > maxText {
		text = text[:maxText]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return text
}

// maxText is how much of the output is told, in bytes.
const maxText = 1 << 10
