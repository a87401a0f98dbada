package vfs

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// OS is the real file system. The zero value takes paths as the operating
// system does; Rooted keeps them below one directory.
type OS struct{ root *os.Root }

// Rooted gives the file system below dir. Names are relative to dir and cannot
// leave it, by ".." or by a symbolic link. It lives until the program ends.
func Rooted(dir string) (OS, error) {
	root, err := os.OpenRoot(dir)
	return OS{root}, err
}

// openFile is where all files are opened. O_NONBLOCK: a FIFO that somebody put
// among the letters must not hold us up.
func (o OS) openFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	flag |= syscall.O_NONBLOCK | syscall.O_CLOEXEC
	if o.root != nil {
		return o.root.OpenFile(name, flag, perm)
	}
	return os.OpenFile(name, flag, perm)
}

// Open implements FS.
func (o OS) Open(name string) (File, error) {
	f, err := o.openFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Create implements FS.
func (o OS) Create(name string, perm fs.FileMode) (File, error) {
	f, err := o.openFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Append implements FS.
func (o OS) Append(name string) (File, error) {
	f, err := o.openFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Rename implements FS.
func (o OS) Rename(from, to string) error {
	if o.root != nil {
		return o.root.Rename(from, to)
	}
	// os.Rename would look first whether to is a directory, once for each letter.
	for {
		err := syscall.Rename(from, to)
		switch err {
		case nil:
			return nil
		case syscall.EINTR:
		default:
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
		}
	}
}

// Link implements FS.
func (o OS) Link(from, to string) error {
	if o.root != nil {
		return o.root.Link(from, to)
	}
	return os.Link(from, to)
}

// Remove implements FS.
func (o OS) Remove(name string) error {
	if o.root != nil {
		return o.root.Remove(name)
	}
	return os.Remove(name)
}

// Mkdir implements FS.
func (o OS) Mkdir(name string, perm fs.FileMode) error {
	if o.root != nil {
		return o.root.Mkdir(name, perm)
	}
	return os.Mkdir(name, perm)
}

// ReadDir implements FS.
func (o OS) ReadDir(name string) ([]Entry, error) {
	f, err := o.openFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	entries := make([]Entry, len(list))
	for i, e := range list {
		entries[i] = Entry{Name: e.Name(), Type: e.Type()}
	}
	return entries, err
}

// Stat implements FS.
func (o OS) Stat(name string) (Info, error) {
	var info fs.FileInfo
	var err error
	if o.root != nil {
		info, err = o.root.Stat(name)
	} else {
		info, err = os.Stat(name)
	}
	if err != nil {
		return Info{}, err
	}
	return osInfo(info), nil
}

// SyncDir implements FS.
func (o OS) SyncDir(name string) error {
	f, err := o.openFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// SetTime implements FS.
func (o OS) SetTime(name string, modified time.Time) error {
	if o.root != nil {
		return o.root.Chtimes(name, modified, modified)
	}
	return os.Chtimes(name, modified, modified)
}

// SyncFS implements FS with syncfs(2), which reports write errors since Linux 5.8.
func (o OS) SyncFS(dir string) error {
	f, err := o.openFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncFS(f)
}

// osFile is an *os.File whose Stat speaks our Info.
type osFile struct{ *os.File }

// Stat implements File.
func (f osFile) Stat() (Info, error) {
	info, err := f.File.Stat()
	if err != nil {
		return Info{}, err
	}
	return osInfo(info), nil
}

func osInfo(info fs.FileInfo) Info {
	out := Info{Size: info.Size(), ModTime: info.ModTime(), Mode: info.Mode()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		out.Device, out.Inode = uint64(st.Dev), uint64(st.Ino)
	}
	return out
}
