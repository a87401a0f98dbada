package urlauth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"

	"facteur/internal/base/vfs"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// keySize is the size of an access key, in octets.
const keySize = 32

// keys are the access keys of an account.
type keys struct {
	fs  vfs.FS
	dir string
}

func (d *Desk) keys(account *mailbox.Account) keys {
	return keys{d.FS, path.Join(account.Home(), "urlauth")}
}

func (k keys) file(validity uint32) string {
	return path.Join(k.dir, strconv.FormatUint(uint64(validity), 10))
}

// read gives the access key of a mailbox; fs.ErrNotExist if it has none.
func (k keys) read(validity uint32) ([]byte, error) {
	text, err := vfs.ReadFile(k.fs, k.file(validity), 2*keySize+1)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(string(text))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("%s is not an access key", k.file(validity))
	}
	return key, nil
}

// make gives a mailbox a key, unless it has one. Of two who do so at a time one comes
// first, and both use his.
func (k keys) make(validity uint32) ([]byte, error) {
	key, err := k.read(validity)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := vfs.MkdirAll(k.fs, k.dir, 0o700); err != nil {
		return nil, err
	}
	key = make([]byte, keySize)
	rand.Read(key) // never fails
	if err := k.publish(k.file(validity), []byte(hex.EncodeToString(key))); err != nil {
		return nil, err
	}
	return k.read(validity)
}

// publish makes a file appear whole; one that is there already stays.
func (k keys) publish(name string, text []byte) error {
	fresh := path.Join(k.dir, "new-"+rand.Text())
	f, err := k.fs.Create(fresh, 0o600)
	if err != nil {
		return err
	}
	defer k.fs.Remove(fresh)
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = k.fs.Link(fresh, name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return k.fs.SyncDir(k.dir)
}

// remove takes the key of a mailbox away, for good: what was taken back must not be
// worth something again after a power cut.
func (k keys) remove(validity uint32) error {
	if err := k.fs.Remove(k.file(validity)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return k.sync()
}

// removeAll takes all keys away, and what a crash left of the making of some.
func (k keys) removeAll() error {
	entries, err := k.fs.ReadDir(k.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if rerr := k.fs.Remove(path.Join(k.dir, e.Name)); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return errors.Join(err, k.sync())
}

// sync makes removals durable. Where there is no directory there is nothing to remove.
func (k keys) sync() error {
	if err := k.fs.SyncDir(k.dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// token is what vouches for a URL.
func token(key []byte, rump string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(rump))
	return hex.EncodeToString(mac.Sum(nil))
}

// Reset takes the key of a mailbox away (RESETKEY, RFC 4467 §7).
func (d *Desk) Reset(ctx context.Context, space *namespace.Space, name string) error {
	place, _, err := space.Enter(ctx, name, mailbox.RightRead)
	if err != nil {
		return err
	}
	defer place.Close()
	if !place.Own() {
		return mailbox.ErrNoPermission
	}
	status, err := place.Account.Status(ctx, place.Name)
	if err != nil {
		return err
	}
	return d.keys(place.Account).remove(status.UIDValidity)
}

// ResetAll takes all keys of an account away.
func (d *Desk) ResetAll(space *namespace.Space) error { return d.keys(space.Account()).removeAll() }
