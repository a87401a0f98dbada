package event

import (
	"errors"
	"net"
	"strings"
	"syscall"
)

// Reason is why a connection failed, in one line: in the words of the C library,
// "Connection refused", where the system said it, for which admins' greps look.
func Reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text := errno.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "Connection timed out"
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// Dialed tells that an error is of a connection that did not come about.
func Dialed(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
