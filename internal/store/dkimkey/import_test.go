package dkimkey_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/store/dkimkey"
)

// A key can be taken over into a state of its life only: another word would stand in the
// file of keys, and make it one that nobody can read.
func TestImportState(t *testing.T) {
	dir, key := t.TempDir(), ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for _, state := range []dkimkey.State{"", "signing", dkimkey.Retired, "active\nevil ed25519 active"} {
		if _, err := dkimkey.New(vfs.OS{}, dir).Import("example.org", "s1", key, state, time.Now()); err == nil {
			t.Errorf("%q was taken", state)
		}
		if r, err := dkimkey.New(vfs.OS{}, dir).Ring("example.org"); err != nil || len(r) > 0 {
			t.Errorf("%q: %v %v", state, r, err)
		}
	}
}
