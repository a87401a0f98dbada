package mailbox

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
)

// UIDLs are the unique-ids of POP3 that letters of a mailbox had before, at Dovecot
// or, through its migration tools, at Courier and others. Most mailboxes have none.
type UIDLs struct {
	uids []uint32 // ascending
	ends []int    // in text
	text []byte
}

// Of gives a letter's unique-id; nil if it has none of its own.
func (u *UIDLs) Of(uid uint32) []byte {
	i, ok := slices.BinarySearch(u.uids, uid)
	if !ok {
		return nil
	}
	start := 0
	if i > 0 {
		start = u.ends[i-1]
	}
	return u.text[start:u.ends[i]:u.ends[i]]
}

func (u *UIDLs) add(uid uint32, id []byte) {
	u.text = append(u.text, id...)
	u.uids, u.ends = append(u.uids, uid), append(u.ends, len(u.text))
}

// UIDLs reads them from the mailbox's list of UIDs, where they stand as fields "P".
// Lists that can't be believed have none.
func (v *View) UIDLs(ctx context.Context) (*UIDLs, error) {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	if err := v.current(ctx); err != nil {
		return nil, err
	}
	found := new(UIDLs)
	l, err := v.box.readList(func(uid uint32, fields, _ []byte) {
		if id := uidlField(fields); id != nil {
			found.add(uid, id)
		}
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errBadList):
		return new(UIDLs), nil
	case err != nil:
		return nil, err
	case l.validity != v.box.validity:
		return new(UIDLs), nil
	}
	return found, nil
}

// uidlField finds "P<id>" among the fields of a line.
func uidlField(fields []byte) []byte {
	for field := range bytes.FieldsSeq(fields) {
		if field[0] == 'P' && len(field) > 1 {
			return field[1:]
		}
	}
	return nil
}
