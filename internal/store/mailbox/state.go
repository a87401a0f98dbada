package mailbox

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"facteur/internal/base/vfs"
)

// stateFile stands in the Maildir, beside the letters that it is about.
const stateFile = "facteur-uids"

// state is what facteur-uids says: which index is the right one. An index that
// was deleted, restored from a backup or copied from elsewhere is found out by
// it, and then no UIDVALIDITY that was used is used again.
type state struct {
	Epoch    int64 // the name of the last run that wrote; later runs have higher ones
	Open     bool  // that run has not ended properly
	Changes  int64 // transactions of the index at its end, if it has
	Validity uint32
	// Validity is no smaller than any UIDVALIDITY given so far.

	// Base is the index that an open run began with, as long as nothing of the run
	// stands in it for sure.
	Base written

	// Gap is how many UIDs are passed over at the next start, if it is more than after
	// any run that did not end: see Restored.
	Gap uint32

	// First is below every UIDVALIDITY that was ever given here, but for those in
	// Taken, which came from other servers; 0: that is not known. See takeover.go.
	First uint32
	Taken []uint32
	// Taking is the last of them, until the index has it.
	Taking taking

	// Boxes are the mailboxes whose lists of UIDs were complete at the end of
	// that run, by folder; none if it has not ended.
	Boxes map[string]lastSeen
}

// written is up to where an index is written: which run did it last, and how many
// transactions it has.
type written struct{ Epoch, Changes int64 }

// lastSeen is what a mailbox had reached.
type lastSeen struct {
	Validity, UIDNext uint32
	ModSeq            uint64
}

// maxStateFile is the most that is read, in bytes.
const maxStateFile = 16 << 20

const stateFormat = "facteur-uids 1\n" +
	"# Which index belongs to these letters. If this file is lost, clients fetch everything again.\n" +
	"epoch %d\nopen %t\nchanges %d\nvalidity %d\n"

func readState(f vfs.FS, root string) (s state, found bool, err error) {
	data, err := vfs.ReadFile(f, path.Join(root, stateFile), maxStateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	head, boxes, _ := strings.Cut(string(data), boxMark)
	head, base, _ := strings.Cut(head, baseMark)
	head, pending, _ := strings.Cut(head, takingMark)
	head, origin, _ := strings.Cut(head, firstMark)
	head, gap, _ := strings.Cut(head, gapMark)
	n, _ := fmt.Sscanf(head, stateFormat, &s.Epoch, &s.Open, &s.Changes, &s.Validity)
	if m, _ := fmt.Sscanf(baseMark+base, baseFormat, &s.Base.Epoch, &s.Base.Changes); m != 2 || !s.Open {
		s.Base = written{}
	}
	if n == 4 {
		s.Gap = min(listNumber(strings.TrimSuffix(gap, "\n")), restoredGap)
		s.First, s.Taken = readOrigin(origin)
		s.Taking = readTaking(pending)
	}
	if n == 4 && !s.Open && boxes != "" {
		s.Boxes = readBoxes(boxMark + boxes)
	}
	return s, n == 4, nil
}

const (
	baseMark   = "base "
	baseFormat = baseMark + "epoch %d changes %d\n"
)

const gapMark = "gap "

const (
	firstMark = "first "
	takenMark = "taken "
)

// readOrigin reads "N" and lines "taken N"; all of them or, if one is bad, none.
func readOrigin(text string) (first uint32, taken []uint32) {
	number, rest, _ := strings.Cut(text, "\n")
	if first = listNumber(number); first == 0 {
		return 0, nil
	}
	for line := range strings.Lines(rest) {
		digits, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), takenMark)
		n := listNumber(digits)
		if !ok || n == 0 {
			return 0, nil
		}
		taken = append(taken, n)
	}
	return first, taken
}

// writeOrigin is the inverse of readOrigin; nothing where nothing is known.
func writeOrigin(first uint32, taken []uint32) string {
	if first == 0 {
		return ""
	}
	text := fmt.Sprintf(firstMark+"%d\n", first)
	for _, v := range taken {
		text += fmt.Sprintf(takenMark+"%d\n", v)
	}
	return text
}

const (
	takingMark   = "taking "
	takingFormat = takingMark + "%d instead of %d\n"
)

// readTaking reads what follows takingMark; the zero value if it is bad.
func readTaking(text string) (t taking) {
	if n, _ := fmt.Sscanf(takingMark+text, takingFormat, &t.validity, &t.instead); n != 2 || t.validity == 0 || t.validity > maxValidity || t.instead == 0 {
		return taking{}
	}
	return t
}

const (
	boxMark   = "box "
	boxFormat = boxMark + "validity %d uidnext %d modseq %d folder %q\n"
)

// readBoxes reads the lines of mailboxes: all of them or, if one is bad, none.
func readBoxes(text string) map[string]lastSeen {
	boxes := map[string]lastSeen{}
	for line := range strings.Lines(text) {
		var x lastSeen
		var folder string
		if _, err := fmt.Sscanf(line, boxFormat, &x.Validity, &x.UIDNext, &x.ModSeq, &folder); err != nil ||
			x.Validity == 0 || x.UIDNext == 0 || x.UIDNext > maxUID {
			return nil
		}
		boxes[folder] = x
	}
	return boxes
}

func writeState(f vfs.FS, root string, s state) error {
	text := fmt.Sprintf(stateFormat, s.Epoch, s.Open, s.Changes, s.Validity)
	if s.Gap > 0 {
		text += fmt.Sprintf(gapMark+"%d\n", s.Gap)
	}
	text += writeOrigin(s.First, s.Taken)
	if s.Taking != (taking{}) {
		text += fmt.Sprintf(takingFormat, s.Taking.validity, s.Taking.instead)
	}
	if s.Base != (written{}) {
		text += fmt.Sprintf(baseFormat, s.Base.Epoch, s.Base.Changes)
	}
	for _, folder := range slices.Sorted(maps.Keys(s.Boxes)) {
		x := s.Boxes[folder]
		text += fmt.Sprintf(boxFormat, x.Validity, x.UIDNext, x.ModSeq, folder)
	}
	return vfs.WriteFile(f, path.Join(root, stateFile), []byte(text), 0o600)
}

// vouches tells whether an index with these numbers is the one last written.
func (s state) vouches(epoch, changes int64) bool {
	return s.Epoch == epoch && (s.Open || s.Changes == changes) || epoch > 0 && s.Base == written{epoch, changes}
}

// olderThan tells whether an index with these numbers was written after this.
// One that has no changes was just being made.
func (s state) olderThan(epoch, changes int64) bool {
	return changes > 0 && (epoch > s.Epoch || epoch == s.Epoch && changes > s.Changes)
}
