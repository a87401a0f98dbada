//go:build !linux

package vfs

// Mounts is not known outside Linux.
func Mounts() []string { return nil }
