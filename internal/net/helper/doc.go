// Package helper works on the files of Unix users, and runs their programs, as these
// users themselves, so that nothing that a user does to his own files can make the server
// read or write elsewhere.
//
// # Three kinds of process, all of them this program
//
//	facteur serve            asks; it may run as root or not
//	facteur helper root      started by the first while that is root; starts the others
//	facteur helper files     one for each user whose mail is being worked on
//	facteur helper command   one for each program of a user that runs
//
// The root process has one socket, to the server, and takes nothing from it but a user's
// number, name and home, which have to be those that passwd has at that moment: so a user
// who was removed, renamed, or whose number is another's by now is not served (LOC-010).
// Root, numbers below the least, 65534 and 65535, and the group root never are. It
// reads no file of a user's, and no byte of a letter reaches it. It ends with the server.
// A server that is not root serves the one user that it runs as, and starts his processes
// itself.
//
// A process of a user runs with his uid, gid and groups, in a session of its own, with no
// environment, umask 077, no core, and one socket; ptrace and /proc/PID/fd are closed to
// the user (PR_SET_DUMPABLE, LOC-011). It is root's until it runs, and becomes the user's
// itself: so a user who stops it at once stops nobody who waits for it to start. The one for files has PR_SET_NO_NEW_PRIVS; that for
// commands has not, for a user may run setuid programs.
//
// # On the wire
//
// The sockets are pairs of SOCK_SEQPACKET: a packet is a request or its answer, 64 KiB of
// data and a name or two at most, in a fixed form (wire.go). No descriptor of a user's
// ever comes to the server: what is read and written goes through the socket in pieces. So a
// file system that hangs holds the user's process and never a thread of the server's; a
// file whose length changes, a FIFO or a device can't surprise it; disk quotas are the
// user's; and what a process in a user's power may say is about his own mail only.
//
// # Files
//
// The home is opened once. It must belong to the user and not be writable for all: so
// nothing is ever made in the mount point of a home that is not mounted (LOC-003). All
// names are below it, opened with openat2(RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS): neither a
// link nor a race leads out, and both ends of a rename are in directories that are
// open by then (LOC-001, LOC-002). Only regular files and directories are opened, and
// never waited for (O_NONBLOCK).
//
// # Time
//
// An operation that takes longer than Patience has failed. Its process is killed and left
// to itself, for one that waits for a disk can't be ended; the user is told of as not
// reachable for a while (ErrHangs), and then another process may try. Two of a user's that
// can't be ended are all that there may be (LOC-005). Processes that nobody has used for Idle
// end; above Limit the one that was used least recently does.
//
// # What a crash leaves
//
// Each process ends when its socket is closed, and so with the server, if it
// does not wait for a disk. An operation whose answer did not come may have been carried
// out or not: callers are those of package vfs, who expect that of a crash. Kill any of
// these processes at any time: the next operation fails with an error that is not for
// good, and the one after it finds a new process. A command whose process was killed is
// killed with it, and tried again.
package helper
