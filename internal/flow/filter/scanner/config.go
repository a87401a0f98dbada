package scanner

import (
	"net"
	"time"
)

// Kind is what a scanner speaks.
type Kind string

// The kinds.
const (
	Clamd  Kind = "clamd"
	Rspamd Kind = "rspamd"
	Spamd  Kind = "spamd"
)

// WhenDown is what becomes of letters that a scanner could not look at.
type WhenDown string

// The choices.
const (
	Pass  WhenDown = "pass"  // they go on without it
	Defer WhenDown = "defer" // they have to come again
)

// Config is one scanner, with all defaults filled in.
type Config struct {
	// Name is the family of its remarks, and the beginning of their names.
	Name string
	Kind Kind
	// Network and Address are what net.Dial takes, Socket is how people name both.
	Network, Address, Socket string
	// Timeout is for turn and answer together. It is below the time that a check has.
	Timeout time.Duration
	// MaxSize is the size of the largest letter that is shown to it, in bytes.
	MaxSize  int64
	WhenDown WhenDown
	// Connections is how many letters it is shown at the same time.
	Connections int
	// Weight is what a point of rspamd or spamd counts for, Clip the most that all of them
	// count for, in either direction; 0 leaves that to the verdict.
	Weight, Clip float64
	// Names say which names of clamd are no viruses.
	Names Names
	// TestOnly: what it says is told, and counts for nothing.
	TestOnly bool
	// Outgoing: our users' letters are shown to it, too.
	Outgoing bool
	// Password is for rspamd, User for spamd.
	Password, User string
	// Hostname is ours.
	Hostname string
}

// Defaults.
const (
	DefaultTimeout     = 20 * time.Second
	DefaultConnections = 4
)

// DefaultMaxSize is how large letters are that a kind is shown: about what its own clients
// send, as it looks at no more.
func (k Kind) DefaultMaxSize() int64 {
	switch k {
	case Rspamd:
		return 2 << 20
	case Spamd:
		return 500 << 10
	}
	return 100 << 20 // the StreamMaxLength that clamd has by default
}

// DefaultWeight makes points of a kind those of ours: what rspamd marks from 6 on and
// rejects from 15 on, is junk from 5 on, and killed from 12 on here.
func (k Kind) DefaultWeight() float64 {
	if k == Rspamd {
		return 0.8
	}
	return 1
}

// DefaultWhenDown is to defer where viruses would come through, and to pass where there are
// other voices.
func (k Kind) DefaultWhenDown() WhenDown {
	if k == Clamd {
		return Defer
	}
	return Pass
}

// DefaultAddress is where a kind listens on Debian.
func (k Kind) DefaultAddress() string {
	switch k {
	case Rspamd:
		return "inet:" + net.JoinHostPort("127.0.0.1", "11333")
	case Spamd:
		return "inet:" + net.JoinHostPort("127.0.0.1", "783")
	}
	return "unix:/run/clamav/clamd.ctl"
}
