package maildir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/base/vfs"
)

func TestMeter(t *testing.T) {
	root := filepath.Join(t.TempDir(), "Maildir")
	m := NewMeter(vfs.OS{})
	usage := func(quota, want int64) {
		t.Helper()
		if n, err := m.Usage(root, quota); n != want || err != nil {
			t.Errorf("usage %d, %v; want %d", n, err, want)
		}
	}
	usage(1000, 0)
	m = NewMeter(vfs.OS{})
	if _, err := CreateFolder(vfs.OS{}, root, "Work"); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(vfs.OS{}, root); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"new/1.a.h,S=100,W=100": 3, "cur/2.a.h:2,S": 20, ".Work/cur/3.a.h,S=7:2,": 1, "tmp/4": 50} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	usage(1000, 127)
	m.Add(root, 500)
	usage(1000, 627) // remembered
	m.Add(root, 300)
	usage(1000, 927) // nearly full, but measured a moment ago
	m.by[root] = reading{927, m.by[root].at.Add(-2 * nearlyAge)}
	usage(1000, 127) // nearly full and not so new: measured again
}
