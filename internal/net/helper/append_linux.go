package helper

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"facteur/internal/net/program"
)

// AppendCommand is the Job of putting a letter into a file, as a user: at the end of an
// mbox, or into a Maildir where the path ends with "/". name is what the letter is called
// there: a second attempt with the same finds it. Flags and end belong to it: without the
// end, which no letter can know, the letter is none (see program.Settings).
func AppendCommand(path, name string) (command []string, flags, end string) {
	if flags = "DFROB>"; strings.HasSuffix(path, "/") {
		flags = "DRO"
	}
	end = rand.Text()
	return []string{program.OwnProgram, "helper", "append", path, name, end}, flags, end
}

// The words of <sysexits.h> that a file is answered with.
const (
	exitCantCreate = 73
	exitTemporary  = 75
)

// appendMain is a program: the letter is its standard input, up to end.
func appendMain(path, name, end string) int {
	var err error
	letter := &whole{bufio.NewReaderSize(os.Stdin, 64<<10), end}
	if strings.HasSuffix(path, "/") {
		err = toMaildir(path, name, letter)
	} else {
		err = toMbox(path, letter)
	}
	if err == nil {
		return 0
	}
	fmt.Println(err)
	if errors.Is(err, errNoMbox) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR) {
		return exitCantCreate
	}
	return exitTemporary
}

// whole is a letter up to its end, and an error where that is missing: a server that was
// killed must not look like the end of a letter.
type whole struct {
	in  *bufio.Reader
	end string
}

// Read implements io.Reader.
func (w *whole) Read(p []byte) (int, error) {
	b, err := w.in.Peek(min(len(p), 32<<10) + len(w.end))
	rest := b[:max(0, len(b)-len(w.end))]
	switch {
	case err == nil:
	case err != io.EOF:
		return 0, err
	case string(b[len(rest):]) != w.end:
		return 0, io.ErrUnexpectedEOF
	case len(rest) == 0:
		return 0, io.EOF
	}
	return w.in.Discard(copy(p, rest))
}

var errNoMbox = errors.New("no file that mail can be added to")

// lockTime is how long the locks of an mbox are waited for, and staleLock is how old a
// lock file is whose owner has died.
const (
	lockTime  = 60 * time.Second
	staleLock = 500 * time.Second
)

// toMbox adds a letter to a file, locked by fcntl and, where the directory may be written,
// by a lock file, and takes back what it could not write whole.
func toMbox(path string, letter io.Reader) error {
	unlock, err := dotLock(path)
	if err != nil {
		return err
	}
	defer unlock()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
		return fmt.Errorf("%s: %w", path, errNoMbox)
	}
	if err := lockFile(f); err != nil {
		return err
	}
	return addTo(f, letter)
}

func addTo(f *os.File, letter io.Reader) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 64<<10)
	if last := make([]byte, 1); end > 0 {
		// What ended in the middle of a line, as where the machine died, must not swallow
		// the From_ line of this letter.
		if _, err := f.ReadAt(last, end-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			_, _ = out.WriteString("\n\n")
		}
	}
	_, err = io.Copy(out, letter)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	return nil
}

func lockFile(f *os.File) error {
	for end := time.Now().Add(lockTime); ; time.Sleep(100 * time.Millisecond) {
		err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// dotLock makes path.lock. Where that may not be made, fcntl has to do.
func dotLock(path string) (unlock func(), err error) {
	lock := path + ".lock"
	for end := time.Now().Add(lockTime); ; time.Sleep(200 * time.Millisecond) {
		f, err := os.OpenFile(lock, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case err == nil:
			_, _ = f.WriteString(strconv.Itoa(os.Getpid()))
			f.Close()
			return func() { os.Remove(lock) }, nil
		case errors.Is(err, os.ErrPermission), errors.Is(err, unix.EROFS):
			return func() {}, nil
		case !errors.Is(err, os.ErrExist) || time.Now().After(end):
			return nil, err
		}
		if info, err := os.Lstat(lock); err == nil && time.Since(info.ModTime()) > staleLock {
			os.Remove(lock)
		}
	}
}

// toMaildir puts a letter into a Maildir that is there, once.
func toMaildir(dir, name string, letter io.Reader) error {
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if base, _, _ := strings.Cut(e.Name(), ":"); base == name {
				return nil // it came with an attempt before
			}
		}
	}
	tmp := filepath.Join(dir, "tmp", name)
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, letter)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, filepath.Join(dir, "new", name))
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return syncDirectory(filepath.Join(dir, "new"))
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
