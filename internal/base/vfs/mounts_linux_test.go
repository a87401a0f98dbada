package vfs

import (
	"slices"
	"testing"
)

func TestMountPointsAreReadFromTheKernelsTable(t *testing.T) {
	const table = `36 35 98:0 /mnt1 /srv/mail rw,noatime master:1 - ext3 /dev/root rw
37 35 0:44 / /srv/my\040mail/a\134b rw - nfs4 host:/x rw
broken line
`
	if got, want := mountPoints(table), []string{"/srv/mail", `/srv/my mail/a\b`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !slices.Contains(Mounts(), "/") {
		t.Errorf("no / in %q", Mounts())
	}
}
