package vfs

import (
	"io/fs"
	"time"
)

// ReadOnly is a file system that nothing is changed in: every such call fails with
// fs.ErrPermission. It is for who looks at files that belong to another process.
type ReadOnly struct{ FS }

func refused(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrPermission}
}

// Create implements FS.
func (ReadOnly) Create(name string, _ fs.FileMode) (File, error) { return nil, refused("create", name) }

// Append implements FS.
func (ReadOnly) Append(name string) (File, error) { return nil, refused("append", name) }

// Rename implements FS.
func (ReadOnly) Rename(from, _ string) error { return refused("rename", from) }

// Link implements FS.
func (ReadOnly) Link(from, _ string) error { return refused("link", from) }

// Remove implements FS.
func (ReadOnly) Remove(name string) error { return refused("remove", name) }

// Mkdir implements FS.
func (ReadOnly) Mkdir(name string, _ fs.FileMode) error { return refused("mkdir", name) }

// SetTime implements FS.
func (ReadOnly) SetTime(name string, _ time.Time) error { return refused("chtimes", name) }

// SyncDir implements FS: there is nothing to make durable.
func (ReadOnly) SyncDir(string) error { return nil }

// SyncFS implements FS: there is nothing to make durable.
func (ReadOnly) SyncFS(string) error { return nil }

var _ FS = ReadOnly{}
