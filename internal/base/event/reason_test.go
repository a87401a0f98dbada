package event

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestReason(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for want, err := range map[string]error{
		"Connection refused":    fmt.Errorf("asking: %w", dial),
		"Connection timed out":  &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
		"Broken pipe":           syscall.EPIPE,
		"it said no; and again": errors.Join(errors.New("it said no"), errors.New("and again")),
	} {
		if got := Reason(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	if got := Reason(context.DeadlineExceeded); got != "Connection timed out" {
		t.Error(got)
	}
	if !Dialed(fmt.Errorf("asking: %w", dial)) || Dialed(syscall.EPIPE) {
		t.Error("what a dial is")
	}
}
