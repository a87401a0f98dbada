package urlauth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"facteur/internal/base/vfs"
)

func inMemory(t *testing.T) (keys, *vfs.Mem) {
	t.Helper()
	m := vfs.NewMem()
	if err := errors.Join(vfs.MkdirAll(m, "/home", 0o700), m.SyncFS("/")); err != nil {
		t.Fatal(err)
	}
	return keys{m, "/home/urlauth"}, m
}

func (k keys) want(t *testing.T, validity uint32, key []byte) {
	t.Helper()
	switch got, err := k.read(validity); {
	case key == nil && !errors.Is(err, fs.ErrNotExist):
		t.Errorf("key of %d: %x, %v; want none", validity, got, err)
	case key != nil && !bytes.Equal(got, key):
		t.Errorf("key of %d: %x, %v; want %x", validity, got, err, key)
	}
}

func TestKeys(t *testing.T) {
	k, _ := inMemory(t)
	k.want(t, 1, nil)
	if err := errors.Join(k.remove(1), k.removeAll()); err != nil {
		t.Error("nothing to remove:", err)
	}
	one, err1 := k.make(1)
	two, err2 := k.make(2)
	again, err3 := k.make(1)
	if err := errors.Join(err1, err2, err3); err != nil || bytes.Equal(one, two) || !bytes.Equal(one, again) || len(one) != keySize {
		t.Fatalf("%x %x %x %v", one, two, again, err)
	}
	if err := k.remove(1); err != nil {
		t.Fatal(err)
	}
	k.want(t, 1, nil)
	k.want(t, 2, two)
	if fresh, _ := k.make(1); bytes.Equal(fresh, one) {
		t.Error("a key came back")
	}
	if err := k.removeAll(); err != nil {
		t.Fatal(err)
	}
	k.want(t, 1, nil)
	k.want(t, 2, nil)
}

// A file that is no key gives nobody a right, and is not replaced in silence.
func TestNoKey(t *testing.T) {
	for _, text := range []string{"", "abc", string(bytes.Repeat([]byte("0"), 2*keySize+1)), string(bytes.Repeat([]byte("z"), 2*keySize))} {
		k, m := inMemory(t)
		if err := errors.Join(vfs.MkdirAll(m, k.dir, 0o700), vfs.WriteFile(m, k.file(7), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		if key, err := k.make(7); err == nil {
			t.Errorf("%q is taken for the key %x", text, key)
		}
		if err := k.remove(7); err != nil {
			t.Error(err)
		}
	}
}

// A power cut at any operation leaves a key whole or none; one that was given away is
// kept, and one that was taken back does not return.
func TestKeysAfterPowerCut(t *testing.T) {
	for nth := 1; ; nth++ {
		cut := false
		for seed := range uint64(8) {
			k, m := inMemory(t)
			old, err := k.make(1)
			if err != nil {
				t.Fatal(err)
			}
			m.Inject(vfs.Fault{Nth: nth, For: -1, Err: syscall.EIO, Short: true})
			made, merr := k.make(2)
			rerr := k.remove(1)
			cut = cut || merr != nil || rerr != nil
			after := keys{m.Crash(seed), k.dir}
			t.Run(fmt.Sprintf("operation %d seed %d", nth, seed), func(t *testing.T) {
				if merr == nil {
					after.want(t, 2, made)
				} else if _, err := after.read(2); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error("half a key:", err)
				}
				if rerr == nil {
					after.want(t, 1, nil)
				} else if _, err := after.read(1); err == nil {
					after.want(t, 1, old)
				}
				if err := after.removeAll(); err != nil {
					t.Error(err)
				}
				if left, _ := after.fs.ReadDir(after.dir); len(left) > 0 {
					t.Error("left:", left)
				}
			})
		}
		if !cut {
			return
		}
	}
}
