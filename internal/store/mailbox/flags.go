package mailbox

import (
	"context"
	"database/sql"
	"encoding/binary"
	"slices"
	"strings"

	"facteur/internal/store/maildir"
)

// Limits of keywords (RFC 9051 leaves them to us).
const (
	maxKeywords    = 1000 // names in one mailbox
	maxKeywordSize = 255  // bytes of one name
)

// flagLetters pairs the system flags with their letters in file names, in
// alphabetical order.
var flagLetters = [...]struct {
	flag   SystemFlags
	letter byte
}{
	{Draft, maildir.FlagDraft}, {Flagged, maildir.FlagFlagged}, {Answered, maildir.FlagReplied},
	{Seen, maildir.FlagSeen}, {Deleted, maildir.FlagTrashed},
}

// flagsOf reads what follows the base of a file name. Garbage is passed over.
func flagsOf(info string) SystemFlags {
	text, ok := strings.CutPrefix(info, ":2,")
	if !ok {
		return 0
	}
	var f SystemFlags
	for _, p := range flagLetters {
		if strings.IndexByte(text, p.letter) >= 0 {
			f |= p.flag
		}
	}
	return f
}

// infoFor gives the end of a file name with these flags, keeping what others
// have put there.
func infoFor(info string, f SystemFlags) string {
	var want []byte
	for _, p := range flagLetters {
		if f&p.flag != 0 {
			want = append(want, p.letter)
		}
	}
	old, _ := strings.CutPrefix(info, ":2,")
	if old == info {
		old = ""
	}
	return ":2," + maildir.SetFlags(old, string(want))
}

// combine applies a STORE to system flags.
func combine(op FlagOp, old, f SystemFlags) SystemFlags {
	switch op {
	case FlagsAdd:
		return old | f
	case FlagsRemove:
		return old &^ f
	}
	return f
}

// combineWords applies a STORE to packed keywords.
func combineWords(op FlagOp, old string, numbers []uint16) []byte {
	var have []uint16
	if op != FlagsSet {
		have = unpackWords(old)
	}
	if op == FlagsRemove {
		have = slices.DeleteFunc(have, func(n uint16) bool { return slices.Contains(numbers, n) })
	} else {
		have = append(have, numbers...)
	}
	slices.Sort(have)
	return []byte(packWords(slices.Compact(have)))
}

// packWords writes numbers of keywords as pages have them: ascending uvarints.
func packWords(numbers []uint16) string {
	var out []byte
	for _, n := range numbers {
		out = binary.AppendUvarint(out, uint64(n))
	}
	return string(out)
}

// unpackWords is the reverse of packWords.
func unpackWords(packed string) (numbers []uint16) {
	c := cursor{data: []byte(packed)}
	for c.more() {
		if n := c.uvarint(); !c.bad && n < maxKeywords {
			numbers = append(numbers, uint16(n))
		}
	}
	return numbers
}

// keywordNumbers gives the numbers of names in a mailbox; unknown ones are added
// if create is true, else left out. Callers hold Account.mu.
func (b *box) keywordNumbers(ctx context.Context, names []string, create bool) ([]uint16, error) {
	if err := b.loadKeywords(ctx); err != nil {
		return nil, err
	}
	var out []uint16
	var fresh []string
	for _, name := range names {
		n, ok := b.numbers[strings.ToLower(name)]
		if !ok && !create {
			continue
		}
		if !ok {
			n = uint16(len(b.keywords) + len(fresh))
			if i := indexFold(fresh, name); i >= 0 {
				n = uint16(len(b.keywords) + i)
			} else if len(name) > maxKeywordSize || name == "" || int(n) >= maxKeywords {
				return nil, ErrLimit
			} else {
				fresh = append(fresh, name)
			}
		}
		out = append(out, n)
	}
	return out, b.addKeywords(ctx, fresh)
}

func indexFold(list []string, s string) int {
	return slices.IndexFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
}

// addKeywords names new keywords, in a transaction of their own: a name that no
// letter has does no harm.
func (b *box) addKeywords(ctx context.Context, fresh []string) error {
	if len(fresh) == 0 {
		return nil
	}
	first := len(b.keywords)
	err := b.acct.write(ctx, func(tx *sql.Tx) error {
		for i, name := range fresh {
			if _, err := tx.Exec("INSERT INTO keyword (mailbox, number, name) VALUES (?, ?, ?)", b.id, first+i, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, name := range fresh {
		b.numbers[strings.ToLower(name)] = uint16(first + i)
	}
	b.mu.Lock()
	b.keywords = append(b.keywords, fresh...)
	b.mu.Unlock()
	b.wake()
	return nil
}
