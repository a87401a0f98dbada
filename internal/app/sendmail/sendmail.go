// Package sendmail is the command that programs of a Unix machine hand their mail
// to, by the name that they know: options, input and exit codes of sendmail(8) as
// Sendmail, Postfix and Exim have them.
//
// # The way of a letter
//
// The command connects to the Unix socket of the service "local", reads the letter
// from its standard input, completes it, and speaks SMTP. It needs no privileges and
// has none: who calls is what the kernel tells the server (SO_PEERCRED), and nothing
// else here is believed there. Nothing is kept: when the server is down, the command
// says so and fails with 75, and the caller still has the letter.
//
// # Promises
//
// Exit code 0 means that the server has committed the letter for every recipient.
// Any other means that it was accepted for none, but for two cases, which the error
// names: the connection was lost after the last byte and before the answer; and a
// letter to more recipients than one transaction takes, of which a later part was
// refused after all had been asked. A letter is handed over only when its input
// came to its end; a command that is killed has sent nothing, or all.
//
// # What is done to the letter
//
// Lines end in LF or CRLF. A line of one dot ends the input, unless -i or -oi says
// that it does not. A first line "From …" or ">From …" (of an mbox) goes. A letter
// that does not begin with a header gets an empty one. Bcc and Resent-Bcc fields go.
// A missing From is added, with the name of -F, $NAME or the user's; Date and
// Message-Id are the desk's to add. Addresses without a domain get that of the
// server. With -t, an entry of To, Cc or Bcc that is no address refuses the letter.
//
// # Bounds
//
// A header of 4 MiB, 10,000 recipients, and of the whole what the server takes
// (SIZE), known before the input is read. 256 KiB are held in memory, more goes to
// a file without a name in $TMPDIR.
package sendmail

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Status is an exit code of sysexits.h.
type Status int

// The exit codes in use.
const (
	OK          Status = 0
	Usage       Status = 64 // the command line is wrong
	DataErr     Status = 65 // the letter is
	NoUser      Status = 67 // a recipient does not exist
	Unavailable Status = 69 // refused for good
	Software    Status = 70
	OSErr       Status = 71
	IOErr       Status = 74 // the input could not be read
	TempFail    Status = 75 // not now: try again
	NoPerm      Status = 77 // the caller may not do that
	Config      Status = 78 // the settings are wrong
)

// Error is why the letter was not accepted, and the code to exit with.
type Error struct {
	Status Status
	Text   string
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

func failf(s Status, format string, args ...any) error {
	return &Error{s, fmt.Sprintf(format, args...)}
}

// StatusOf is the exit code of an error; OK of nil.
func StatusOf(err error) Status {
	var e *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &e):
		return e.Status
	}
	return TempFail
}

// down is the error for a server that can't be reached at its socket.
func down(socket string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return failf(NoPerm, "the socket %s may not be used by this user; the message was not accepted", socket)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return failf(TempFail, "the mail system is down (nobody answers at %s); the message was not accepted", socket)
	}
	return failf(TempFail, "the mail system can't be reached: %v; the message was not accepted", err)
}
