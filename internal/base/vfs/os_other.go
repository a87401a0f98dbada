//go:build !linux

package vfs

import "os"

// syncFS has no equivalent outside Linux: sync(2) does not wait everywhere.
func syncFS(*os.File) error { return ErrNoSyncFS }
