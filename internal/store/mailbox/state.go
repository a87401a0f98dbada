package mailbox

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"facteur/internal/base/vfs"
)

// stateFile stands in the Maildir, beside the letters that it is about.
const stateFile = "facteur-uids"

// state is what facteur-uids says: which index is the right one. An index that
// was deleted, restored from a backup or copied from elsewhere is found out by
// it, and then no UIDVALIDITY that was used is used again.
type state struct {
	Epoch    int64 // the random name of the last run that wrote
	Open     bool  // that run has not ended properly
	Changes  int64 // transactions of the index at its end, if it has
	Validity uint32
	// Validity is no smaller than any UIDVALIDITY given so far.
}

const stateFormat = "facteur-uids 1\n" +
	"# Which index belongs to these letters. If this file is lost, clients fetch everything again.\n" +
	"epoch %d\nopen %t\nchanges %d\nvalidity %d\n"

func readState(f vfs.FS, root string) (s state, found bool, err error) {
	data, err := vfs.ReadFile(f, path.Join(root, stateFile), 4096)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	n, _ := fmt.Sscanf(string(data), stateFormat, &s.Epoch, &s.Open, &s.Changes, &s.Validity)
	return s, n == 4, nil
}

func writeState(f vfs.FS, root string, s state) error {
	text := fmt.Sprintf(stateFormat, s.Epoch, s.Open, s.Changes, s.Validity)
	return vfs.WriteFile(f, path.Join(root, stateFile), []byte(text), 0o600)
}

// vouches tells whether an index with these numbers is the one last written.
func (s state) vouches(epoch, changes int64) bool {
	return s.Epoch == epoch && (s.Open || s.Changes == changes)
}
