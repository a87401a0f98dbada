package vfs

import "strings"

// Op is a kind of operation, for faults.
type Op uint8

// The operations of FS and File.
const (
	OpAny Op = iota
	OpOpen
	OpCreate
	OpRename
	OpLink
	OpRemove
	OpMkdir
	OpReadDir
	OpStat
	OpSyncDir
	OpSyncFS
	OpRead
	OpWrite
	OpSync
	OpSetTime
)

// String is the operation's name in errors.
func (o Op) String() string {
	names := [...]string{"any", "open", "create", "rename", "link", "remove", "mkdir",
		"readdir", "stat", "syncdir", "syncfs", "read", "write", "sync", "settime"}
	return names[o]
}

// Fault makes operations of a Mem fail.
type Fault struct {
	Op    Op     // OpAny: every kind
	Match string // part of the path; "": every path
	Nth   int    // the first matching operation that fails: 1, 2, …
	For   int    // how many fail from there on; 0: one, negative: all
	Err   error  // syscall.EIO, syscall.ENOSPC …
	Short bool   // a write that fails has written half
	seen  int
}

// Inject adds a fault.
func (m *Mem) Inject(f Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, &f)
}

// Heal takes all faults away. What they broke stays broken.
func (m *Mem) Heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = nil
}

// strikes counts a matching operation and tells whether it fails.
func (f *Fault) strikes(op Op, name string) bool {
	if f.Op != OpAny && f.Op != op || !strings.Contains(name, f.Match) {
		return false
	}
	f.seen++
	return f.seen >= f.Nth && (f.For < 0 || f.seen < f.Nth+max(f.For, 1))
}
