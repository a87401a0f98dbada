package doctor

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is what the kernel knows of its clock.
type Clock struct {
	// Synced: something keeps it right.
	Synced bool
	// Error is by how much it may be wrong, at most; the kernel's own estimate.
	Error time.Duration
}

// checkClock: something keeps the clock right. Dates in letters, the ends of certificates
// and of signatures, and one-time passwords need it.
func checkClock(_ context.Context, w *World, r *report) {
	c, err := w.Clock()
	switch {
	case err != nil:
		r.untold("whether the clock is right", err)
	case !c.Synced:
		r.add(Warning, "Nothing keeps the clock of this machine right.").
			because("Dates in letters, certificates and signatures need it. In a container, the host's clock counts.").do("timedatectl set-ntp true   # or install chrony")
	case c.Error > 10*time.Second:
		r.add(Warning, "The clock may be wrong by %v.", c.Error.Round(time.Second)).do("timedatectl timesync-status   # or: chronyc tracking")
	default:
		r.add(OK, "The clock is kept right.")
	}
}

// LookAtClock asks the kernel (adjtimex(2)), and changes nothing.
func LookAtClock() (Clock, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return Clock{}, err
	}
	return Clock{Synced: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, Error: time.Duration(t.Maxerror) * time.Microsecond}, nil
}
