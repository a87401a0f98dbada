package helper

import (
	"errors"
)

// ErrNotOwn: a home or a file is not a user's own, or others can write to it.
var ErrNotOwn = errors.New("not the user's own")

// ErrHome: the home of a user is missing, is not his own, or can be written by everybody.
// Perhaps it is not mounted.
var ErrHome = errors.New("home not to be used")

// ErrHangs: the files of a user do not answer. It comes at once for a while after
// somebody has waited for them.
var ErrHangs = errors.New("the user's files do not answer")

// ErrBroken: the process ended while it was at work. Another one will be there next time.
var ErrBroken = errors.New("the user's helper has ended")

// ErrBusy: so many processes are at work that no other is started.
var ErrBusy = errors.New("too many helpers are at work")

// ErrNoRoot: the server does not run as root, and can become no other user.
var ErrNoRoot = errors.New("the server does not run as root, and only as root can it reach the files of Unix users")
