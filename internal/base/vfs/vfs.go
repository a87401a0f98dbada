// Package vfs is the file system as the mail store sees it: the real one (OS)
// and a twin in memory (Mem) that can lose power.
//
// Names are slash-separated paths. OS takes them as the operating system does,
// or below one directory when it is rooted; Mem has one tree that starts at "/".
//
// What is promised about durability is what POSIX and Linux promise, no more:
//
//   - written bytes are durable after File.Sync of that file;
//   - a new, renamed or removed name is durable after SyncDir of its directory
//     (of both directories, for a rename across two);
//   - SyncFS makes everything on the file system of a directory durable at once;
//   - before that, a crash keeps any subset: bytes without the name, the name
//     without the bytes, half of a file in pieces of 512 bytes;
//   - Rename and Link are atomic: no crash shows half of one. What happens to
//     one file, or to one name, keeps its order; different files and names are
//     independent. (ext4, XFS, btrfs and ZFS give this and more.)
//
// A Sync, SyncDir or SyncFS that failed has told once and may not tell again:
// the caller must treat what it wrote since the last success as lost, never
// retry the sync and believe its success (INV 11 of the design).
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"time"
)

// ErrNoSyncFS is what SyncFS returns where the system can't do it.
var ErrNoSyncFS = errors.New("syncfs not supported")

// FS is a file system. Errors are *fs.PathError or *os.LinkError around the
// errno, so that errors.Is(err, fs.ErrNotExist), syscall.ENOSPC and so on work.
// It is safe for concurrent use.
type FS interface {
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Create makes a new file for writing; fs.ErrExist if the name is taken.
	Create(name string, perm fs.FileMode) (File, error)
	// Append opens a file for writing at its end: each Write adds to what is there
	// then, whoever wrote it. The file must be there.
	Append(name string) (File, error)
	// Rename moves a name, replacing a file that has the new one.
	Rename(from, to string) error
	// Link gives a file a second name; fs.ErrExist if that is taken.
	Link(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// Mkdir makes one directory; fs.ErrExist if the name is taken.
	Mkdir(name string, perm fs.FileMode) error
	// ReadDir lists a directory in no particular order, without "." and "..".
	ReadDir(name string) ([]Entry, error)
	// Stat tells about a file, or about what a symbolic link leads to.
	Stat(name string) (Info, error)
	// SetTime sets a file's ModTime. It is durable with the next sync of the
	// file, or later.
	SetTime(name string, modified time.Time) error
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// SyncFS makes everything durable that was written on the file system that
	// holds dir: one call for a whole batch of files. ErrNoSyncFS means that
	// this system has no such call; sync file by file then.
	SyncFS(dir string) error
}

// File is an open file. It is used by one goroutine at a time, but for ReadAt.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	// Sync makes the file's bytes durable (fsync).
	Sync() error
	// Stat tells about the open file.
	Stat() (Info, error)
}

// Entry is one name of a directory.
type Entry struct {
	Name string
	Type fs.FileMode // type bits only; 0 is a regular file. Links are not followed.
}

// Info is what Stat knows.
type Info struct {
	Size    int64 // bytes
	ModTime time.Time
	Mode    fs.FileMode
	Device  uint64 // equal for what one SyncFS reaches
	Inode   uint64 // the file's identity on its Device
}

// MkdirAll makes a directory and its parents, and each new name durable.
func MkdirAll(f FS, dir string, perm fs.FileMode) error {
	info, err := f.Stat(dir)
	switch {
	case err == nil && info.Mode.IsDir():
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := path.Dir(dir)
	if parent != dir {
		if err := MkdirAll(f, parent, perm); err != nil {
			return err
		}
	}
	if err := f.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return f.SyncDir(parent)
}

// ReadFile reads a whole file, at most limit bytes of it.
func ReadFile(f FS, name string, limit int64) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

// WriteFile replaces a file durably and atomically: a crash leaves the old
// content or the new. It uses name+".new" on the way.
func WriteFile(f FS, name string, data []byte, perm fs.FileMode) error {
	fresh := name + ".new"
	if err := f.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.Create(fresh, perm)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = f.Rename(fresh, name)
	}
	if err != nil {
		f.Remove(fresh)
		return err
	}
	return f.SyncDir(path.Dir(name))
}
