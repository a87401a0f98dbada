package helper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"facteur/internal/base/vfs"
)

// maxHandles bounds what a process for files has open.
const maxHandles = 128

// files are those below one home, as one user reaches them.
type files struct {
	home    int // descriptor
	handles map[uint32]*os.File
	last    uint32
}

// openHome opens a home that is the user's own.
func openHome(dir string) (*files, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrHome, dir, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrHome, dir, err)
	}
	switch uid := uint32(os.Geteuid()); {
	case st.Uid != uid:
		return nil, fmt.Errorf("%w: %s belongs to the user number %d, not to %d: perhaps it is not mounted", ErrHome, dir, st.Uid, uid)
	case st.Mode&0o002 != 0:
		return nil, fmt.Errorf("%w: %s can be written by everybody", ErrHome, dir)
	}
	return &files{home: fd, handles: make(map[uint32]*os.File)}, nil
}

// beneath is how every name is followed.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

func openBeneath(dir int, name string, flags int, perm uint32) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: beneath}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(perm & 0o777)
	}
	if name == "" {
		name = "."
	}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		// EAGAIN: something was renamed meanwhile, and the kernel can't tell where.
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// parent opens the directory of a name, and gives the last part of it.
func (f *files) parent(name string) (fd int, base string, err error) {
	dir, base := path.Split(name)
	if base == "" || base == "." || base == ".." {
		return 0, "", unix.EINVAL
	}
	fd, err = openBeneath(f.home, strings.TrimSuffix(dir, "/"), unix.O_PATH|unix.O_DIRECTORY, 0)
	return fd, base, err
}

// in runs fn with the directory of a name.
func (f *files) in(name string, fn func(dir int, base string) error) error {
	dir, base, err := f.parent(name)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return fn(dir, base)
}

// answer carries out a request, and appends what is to be said to b.
func (f *files) answer(b []byte, r *request) ([]byte, error) {
	switch r.op {
	case opOpen, opOwn:
		return f.open(b, r, unix.O_RDONLY)
	case opCreate:
		return f.open(b, r, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	case opAppend:
		return f.open(b, r, unix.O_WRONLY|unix.O_APPEND)
	case opList:
		return f.openDir(b, r.name)
	case opStat:
		return f.stat(b, r.name)
	case opRead, opWrite, opSync, opInfo, opClose, opNext:
		file := f.handles[r.handle]
		if file == nil {
			return b, unix.EBADF
		}
		return f.use(b, r, file)
	}
	return b, f.change(r)
}

// change is for requests that are answered with yes or no.
func (f *files) change(r *request) error {
	switch r.op {
	case opRename:
		return f.two(r, unix.Renameat)
	case opLink:
		return f.two(r, func(from int, name string, to int, other string) error { return unix.Linkat(from, name, to, other, 0) })
	case opRemove:
		return f.in(r.name, remove)
	case opMkdir:
		return f.in(r.name, func(dir int, base string) error { return unix.Mkdirat(dir, base, r.n&0o777) })
	case opTime:
		return f.setTime(r.name, r.offset)
	case opSyncDir:
		return f.withDir(r.name, unix.Fsync)
	case opSyncFS:
		return f.withDir(r.name, unix.Syncfs)
	}
	return unix.EINVAL
}

func (f *files) two(r *request, fn func(int, string, int, string) error) error {
	return f.in(r.name, func(from int, name string) error {
		return f.in(r.other, func(to int, other string) error { return fn(from, name, to, other) })
	})
}

func remove(dir int, base string) error {
	err := unix.Unlinkat(dir, base, 0)
	if err == unix.EISDIR || err == unix.EPERM {
		if derr := unix.Unlinkat(dir, base, unix.AT_REMOVEDIR); derr != unix.ENOTDIR {
			return derr
		}
	}
	return err
}

func (f *files) withDir(name string, fn func(int) error) error {
	fd, err := openBeneath(f.home, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return fn(fd)
}

// open opens a regular file, and never waits for what is none.
func (f *files) open(b []byte, r *request, flags int) ([]byte, error) {
	if len(f.handles) >= maxHandles {
		return b, unix.EMFILE
	}
	fd, err := openBeneath(f.home, r.name, flags|unix.O_NONBLOCK|unix.O_NOCTTY, r.n)
	if err != nil {
		return b, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = notRegular(st.Mode)
	}
	if err == nil && r.op == opOwn {
		err = own(r.name, &st)
	}
	if err != nil {
		unix.Close(fd)
		return b, err
	}
	return appendInfo(binary.BigEndian.AppendUint32(b, f.keep(fd, r.name)), infoOf(&st)), nil
}

func notRegular(mode uint32) error {
	if mode&unix.S_IFMT == unix.S_IFDIR {
		return unix.EISDIR
	}
	return fmt.Errorf("%w: it is no regular file", ErrNotOwn)
}

// own is an error for a file that others could have written.
func own(name string, st *unix.Stat_t) error {
	switch {
	case st.Uid != 0 && st.Uid != uint32(os.Geteuid()):
		return fmt.Errorf("%w: %s belongs to the user number %d", ErrNotOwn, name, st.Uid)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%w: %s can be written by its group or by everybody", ErrNotOwn, name)
	}
	return nil
}

func (f *files) openDir(b []byte, name string) ([]byte, error) {
	if len(f.handles) >= maxHandles {
		return b, unix.EMFILE
	}
	fd, err := openBeneath(f.home, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return b, err
	}
	return binary.BigEndian.AppendUint32(b, f.keep(fd, name)), nil
}

func (f *files) keep(fd int, name string) uint32 {
	for f.last++; f.last == 0 || f.handles[f.last] != nil; f.last++ {
	}
	f.handles[f.last] = os.NewFile(uintptr(fd), name)
	return f.last
}

func (f *files) use(b []byte, r *request, file *os.File) ([]byte, error) {
	switch r.op {
	case opRead:
		return f.read(b, r, file)
	case opWrite:
		n, err := unix.Pwrite(int(file.Fd()), r.data, r.offset)
		return binary.BigEndian.AppendUint32(b, uint32(max(n, 0))), err
	case opSync:
		return b, file.Sync()
	case opInfo:
		var st unix.Stat_t
		err := unix.Fstat(int(file.Fd()), &st)
		return appendInfo(b, infoOf(&st)), err
	case opNext:
		return f.next(b, file)
	}
	delete(f.handles, r.handle)
	return b, file.Close()
}

func (f *files) read(b []byte, r *request, file *os.File) ([]byte, error) {
	n := min(int(r.n), maxData)
	at := len(b)
	b = append(b, make([]byte, n)...)
	got, err := unix.Pread(int(file.Fd()), b[at:], r.offset)
	return b[:at+max(got, 0)], err
}

// entriesAtOnce keeps the names of one answer in a packet: 255 bytes is the longest.
const entriesAtOnce = maxData / 264

func (f *files) next(b []byte, dir *os.File) ([]byte, error) {
	list, err := dir.ReadDir(entriesAtOnce)
	if err != nil && len(list) == 0 {
		if err == io.EOF {
			err = nil
		}
		return b, err
	}
	for _, e := range list {
		b = appendEntry(b, vfs.Entry{Name: e.Name(), Type: e.Type()})
	}
	return b, nil
}

func (f *files) stat(b []byte, name string) ([]byte, error) {
	fd, err := openBeneath(f.home, name, unix.O_PATH, 0)
	if err != nil {
		return b, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return b, err
	}
	return appendInfo(b, infoOf(&st)), nil
}

func (f *files) setTime(name string, ns int64) error {
	fd, err := openBeneath(f.home, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	at := unix.NsecToTimeval(ns)
	return unix.Futimes(fd, []unix.Timeval{at, at})
}

func infoOf(st *unix.Stat_t) vfs.Info {
	mode := fs.FileMode(st.Mode & 0o777)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	return vfs.Info{Size: st.Size, ModTime: time.Unix(st.Mtim.Unix()), Mode: mode, Device: uint64(st.Dev), Inode: st.Ino}
}

// serve answers requests until the socket is closed.
func (f *files) serve(conn packets) error {
	in, out := make([]byte, maxPacket+1), make([]byte, 0, maxPacket)
	for {
		n, err := conn.Read(in)
		if err != nil || n == 0 {
			return nil // the server has gone, or needs us no more
		}
		r, err := parseRequest(in[:n])
		if err != nil {
			return err
		}
		out = append(out[:0], 0, 0, 0, 0)
		answer, err := f.answer(out, &r)
		out = say(answer, err)
		if _, err := conn.Write(out); err != nil {
			return nil
		}
	}
}

// say finishes an answer.
func say(b []byte, err error) []byte {
	if err == nil {
		return b
	}
	b = binary.BigEndian.AppendUint32(b[:0], uint32(errnoOf(err)))
	for _, known := range []error{ErrNotOwn, ErrHome} {
		if errors.Is(err, known) {
			b = append(b, strings.TrimPrefix(err.Error(), known.Error()+": ")...)
		}
	}
	return b
}
