package limit

import "syscall"

// RaiseFiles lets the process open as many files as the system allows it to (the
// soft limit becomes the hard one) and returns how many that are.
func RaiseFiles() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	if l.Cur < l.Max {
		raised := syscall.Rlimit{Cur: l.Max, Max: l.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
			return clampInt(uint64(l.Cur)), err
		}
		l = raised
	}
	return clampInt(uint64(l.Cur)), nil
}

func clampInt(n uint64) int { return int(min(n, 1<<30)) }

// ConnectionsFor is how many of the wanted connections fit into a number of open
// files: databases, mailboxes and connections to others need a quarter and 64 more. If
// they are too few, a third of what there is goes to strangers.
func ConnectionsFor(strangers, loggedIn, files int) (int, int) {
	room := max((files-64)*3/4, 2)
	if strangers+loggedIn <= room {
		return strangers, loggedIn
	}
	strangers = min(strangers, max(room/3, room-loggedIn, 1))
	return strangers, room - strangers
}
