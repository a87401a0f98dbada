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
	"os"
	"path/filepath"
	"strconv"

	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// keySize is the size of an access key, in octets.
const keySize = 32

// directory is where an account keeps its keys, below its home.
const directory = "urlauth"

func keyFile(home string, validity uint32) string {
	return filepath.Join(home, directory, strconv.FormatUint(uint64(validity), 10))
}

// readKey gives the access key of a mailbox; fs.ErrNotExist if it has none.
func readKey(home string, validity uint32) ([]byte, error) {
	text, err := os.ReadFile(keyFile(home, validity))
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(string(text))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("%s is not an access key", keyFile(home, validity))
	}
	return key, nil
}

// makeKey gives a mailbox a key, unless it has one. Of two who do so at a time one
// comes first, and both use his. A key that a power cut takes away takes with it
// what was signed with it, as RESETKEY would.
func makeKey(home string, validity uint32) ([]byte, error) {
	key, err := readKey(home, validity)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Join(home, directory), 0o700); err != nil {
		return nil, err
	}
	key = make([]byte, keySize)
	rand.Read(key) // never fails
	if err := publish(keyFile(home, validity), []byte(hex.EncodeToString(key))); err != nil {
		return nil, err
	}
	return readKey(home, validity)
}

// publish makes a file appear whole; one that is there already stays.
func publish(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), name); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// token is what vouches for a URL.
func token(key []byte, rump string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(rump))
	return hex.EncodeToString(mac.Sum(nil))
}

// Reset takes the key of a mailbox away (RESETKEY, RFC 4467 §7).
func Reset(ctx context.Context, space *namespace.Space, name string) error {
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
	err = os.Remove(keyFile(place.Account.Home(), status.UIDValidity))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ResetAll takes all keys of an account away.
func ResetAll(space *namespace.Space) error {
	return os.RemoveAll(filepath.Join(space.Account().Home(), directory))
}
