// Package userfile finds accounts in the files where machines and other mail servers
// have written them down: Dovecot's passwd-file, and the users of this machine in
// /etc/passwd with their passwords in /etc/shadow.
//
// # On disk
//
// Nothing is written. Files are looked at once in a second while somebody asks, and read
// again when they have changed and two looks have found the same, since who writes one
// in place may be half done. A file that has gone or can't be read says "try again":
// mail waits until it is back, and nobody is unknown by that. Files are at most 64 MiB.
//
// # Invariants
//
// A line with a mistake is told with its file and number, without what stands in it; all
// others count. If it has a name, mail for that waits until the line is right; one whose
// password only can't be read has mail, and log-ins wait. Any other is nobody's. Root, users below the least number, "nobody", and
// the numbers that systemd gives to services are no accounts (LOC-010). A locked user
// has mail and can not log in.
package userfile

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/passwd"
)

const (
	maxFile  = 64 << 20
	glance   = time.Second
	maxTold  = 20 // problems of one file
	program  = "facteur/directory"
	maxFiles = 1000 // files of one directory with a place for the domain
)

// watched is what one file says, read again when the file changes.
type watched[T any] struct {
	path   string
	read   func(text string) (T, []passwd.Problem)
	events event.Sink
	secret bool // it has passwords, and is nobody else's to read

	mu     sync.Mutex
	value  T
	loaded bool
	looked time.Time
	seen   os.FileInfo // of what is in use
	next   os.FileInfo // of what the last look found
	told   string      // the trouble that was told last
}

// get is what the file says now.
func (w *watched[T]) get(now time.Time) (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loaded && now.Sub(w.looked) < glance && !now.Before(w.looked) {
		return w.value, nil
	}
	if err := w.look(); err != nil {
		w.loaded = false
		w.seen, w.next = nil, nil
		w.complain(err.Error())
		var none T
		return none, err
	}
	w.looked = now
	return w.value, nil
}

// look reads the file if need be. w.mu is held.
func (w *watched[T]) look() error {
	info, err := os.Stat(w.path)
	switch {
	case err != nil:
		return err
	case same(info, w.seen):
		w.next = nil
		return nil
	case w.loaded && !same(info, w.next):
		w.next = info // it counts if the next look finds it again
		return nil
	}
	text, info, err := slurp(w.path)
	if errors.Is(err, errMoving) && w.loaded {
		w.next = nil
		return nil
	}
	if err != nil {
		return err
	}
	var problems []passwd.Problem
	w.value, problems = w.read(text)
	w.loaded, w.seen, w.next, w.told = true, info, nil, ""
	w.tell(problems)
	if w.secret && info.Mode().Perm()&0o004 != 0 { // MAP-011
		w.warn(fmt.Sprintf("%s: everybody on this machine can read the passwords in it; chmod o= %[1]s", w.path))
	}
	return nil
}

func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

// errMoving says that a file changed while it was read.
var errMoving = errors.New("the file changes while it is read")

func slurp(path string) (string, os.FileInfo, error) {
	in, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer in.Close()
	before, err := in.Stat()
	if err != nil {
		return "", nil, err
	}
	if !before.Mode().IsRegular() || before.Size() > maxFile {
		return "", nil, fmt.Errorf("%s: expected a file of at most %d MiB", path, maxFile>>20)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile))
	if err != nil {
		return "", nil, err
	}
	after, err := in.Stat()
	if err == nil && !same(before, after) {
		err = fmt.Errorf("%s: %w", path, errMoving)
	}
	return string(text), after, err
}

// tell tells of lines that do not count.
func (w *watched[T]) tell(problems []passwd.Problem) {
	for i, p := range problems {
		if i == maxTold {
			w.warn(fmt.Sprintf("%s: %d more lines with mistakes", w.path, len(problems)-i))
			return
		}
		result := "this line is nobody's"
		if p.Name != "" {
			result = "until it is right, nobody logs in, and mail may have to wait"
		}
		w.warn(fmt.Sprintf("%s:%d: %s; %s", w.path, p.Line, p.Why, result))
	}
}

// complain tells of a trouble once.
func (w *watched[T]) complain(text string) {
	if w.told != text {
		w.told = text
		w.warn(text + "; who is written there has to wait")
	}
}

func (w *watched[T]) warn(text string) {
	w.events.Emit(event.Note{Severity: slog.LevelWarn, Program: program, Text: text})
}
