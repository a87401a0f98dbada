package config

import (
	"os"
	"path/filepath"
	"testing"
)

// The key that is made is kept, and is nobody else's to read.
func TestOwnKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, err := ownKey(dir)
	if err != nil || len(made) != 1 || len(made[0]) < 20 {
		t.Fatalf("%q, %v", made, err)
	}
	info, err := os.Stat(filepath.Join(dir, "forwarding.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, err := ownKey(dir)
	if err != nil || string(again[0]) != string(made[0]) {
		t.Errorf("%q became %q, %v", made, again, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("files are left: %v", left)
	}
	if err := os.WriteFile(filepath.Join(dir, "forwarding.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ownKey(dir); err == nil {
		t.Error("an empty key signs")
	}
}
