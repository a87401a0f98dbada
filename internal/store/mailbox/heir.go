package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"

	"facteur/internal/store/maildir"
)

// This file is about UIDs that are older than the index: a mailbox that the
// index doesn't know takes its UIDVALIDITY and its UIDs from its list, if that
// can be believed. Two kinds are:
//
//   - one that facteur-uids names, where the last run ended properly: it must
//     have the UIDVALIDITY and reach the UIDNEXT that stand there;
//   - one of Dovecot's with a UIDVALIDITY above all that this account ever had:
//     none of its UIDs can have been given by us.

// maxValidity is the last UIDVALIDITY that is taken over: above it there must be
// room for those that we give.
const maxValidity = 1<<32 - 1<<24

// meet registers mailboxes that the index doesn't know: name → folder.
func (a *Account) meet(ctx context.Context, folders map[string]string) error {
	floor := a.validity
	taken := map[uint32]bool{}
	var boxes []*box
	for _, name := range inboxFirst(sortedKeys(folders)) {
		b := a.newBox(name, folders[name])
		if err := b.inherit(floor); err != nil {
			return err
		}
		if taken[b.validity] {
			b = a.newBox(name, folders[name]) // somebody copied a mailbox with its list
		}
		if b.validity != 0 {
			taken[b.validity] = true
		}
		boxes = append(boxes, b)
	}
	// Only now: what we give is above all that any list has.
	for _, b := range boxes {
		if b.validity == 0 {
			b.validity = a.nextValidity()
		}
	}
	return a.register(ctx, boxes...)
}

// inboxFirst moves INBOX to the front: of two mailboxes with one UIDVALIDITY the
// first keeps it.
func inboxFirst(names []string) []string {
	if i := slices.Index(names, "INBOX"); i > 0 {
		copy(names[1:i+1], names[:i])
		names[0] = "INBOX"
	}
	return names
}

// newBox is a mailbox without UIDVALIDITY.
func (a *Account) newBox(name, folder string) *box {
	return &box{acct: a, name: name, folder: folder, uidNext: 1, modSeq: 1, recent: 1,
		dir: maildir.Dir{FS: a.fs, Path: filepath.Join(a.root, folder)}}
}

// inherit takes over what the list says, as far as it can be believed. The
// letters' UIDs follow at the first look at the files; until then UIDNEXT is
// above all of them, so that whatever happens to the list, none is given twice.
func (b *box) inherit(floor uint32) error {
	l, err := b.readList(nil)
	if l.validity <= maxValidity {
		b.acct.validity = max(b.acct.validity, l.validity) // believed or not: it was given
	}
	if l.ours() && !b.acct.known() {
		b.acct.first = 0 // the account lived, and nobody knows for how long
	}
	bad, none := errors.Is(err, errBadList), errors.Is(err, fs.ErrNotExist)
	last, known := b.acct.left[b.folder]
	switch {
	case err != nil && !bad && !none:
		return err
	case bad:
		return nil
	case known && none && last.UIDNext == 1: // nothing was to be listed
		b.validity, b.modSeq = last.Validity, last.ModSeq
		return nil
	case none:
		return nil
	case known:
		if l.validity != last.Validity || l.next < last.UIDNext {
			return nil
		}
		b.modSeq = last.ModSeq
	default:
		if l.ours() || l.validity <= floor || l.validity > maxValidity {
			return nil
		}
		// Dovecot's MODSEQs count changes: they are below the seconds since 1970.
		b.modSeq = uint64(b.acct.now32())
	}
	b.validity, b.uidNext, b.recent = l.validity, l.next, l.next
	b.heir, b.listNext = true, l.next
	return nil
}

// register puts mailboxes that exist on disk into the index.
func (a *Account) register(ctx context.Context, boxes ...*box) error {
	if len(boxes) == 0 {
		return nil
	}
	insert := func(tx *sql.Tx) error {
		for _, b := range boxes {
			if err := b.create(tx); err != nil {
				return err
			}
		}
		return nil
	}
	write := a.write
	if a.founding {
		write = a.found
	}
	if err := write(ctx, insert); err != nil {
		return err
	}
	for _, b := range boxes {
		a.boxes[b.name] = b
		a.tell(b.name, NoticeCreated)
	}
	a.watchAll()
	return nil
}

// create inserts the mailbox's row.
func (b *box) create(tx *sql.Tx) error {
	r, err := tx.Exec(`INSERT INTO mailbox (name, folder, validity, uidnext, modseq, recent, count, bytes, newstamp, curstamp,
		liststamp, listnext, listcount, heir, historyfloor, historysize, unseen, deleted) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, ?, 0, ?, ?, 0, 0, 0)`,
		b.name, b.folder, b.validity, b.uidNext, int64(b.modSeq), b.recent, b.listNext, b.heir, int64(b.modSeq))
	if err != nil {
		return err
	}
	b.historyFloor, b.historySize = b.modSeq, 0
	b.id, err = r.LastInsertId()
	return err
}

// found writes the first mailboxes of a new index, in one transaction, before
// facteur-uids vouches for it. A crash in between leaves an index without
// changes, which is made again from what facteur-uids and the lists still say.
func (a *Account) found(ctx context.Context, insert func(*sql.Tx) error) error {
	a.epoch = a.nextEpoch()
	a.noteTaken()
	err := a.idx.write(ctx, func(tx *sql.Tx) error {
		if err := insert(tx); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE meta SET epoch = ?, changes = 0, validity = ?", a.epoch, a.validity)
		return err
	})
	if err == nil {
		err = a.mark()
	}
	if err == nil {
		a.founding, a.left = false, nil
	}
	return err
}

// nextEpoch is a name for a run. Later runs have higher ones, so that an index
// can be told to be older than facteur-uids or younger; two runs that go on
// from the same backup have different ones.
func (a *Account) nextEpoch() int64 {
	last := max(a.epoch, a.state.Epoch)
	if last > math.MaxInt64/4*3 {
		last = 0
	}
	return max(last, a.store.now().UnixNano()) + 1 + rand.Int64N(1<<20)
}

// number gives UIDs to letters that the index doesn't know, and the UIDNEXT
// after them: those of the list to the letters that it has, at the first look
// or if another program added them; to the others the next ones, in their order.
func (b *box) number(arrivals []arrival) (next uint64, err error) {
	claims, listNext, err := b.claims(arrivals)
	if err != nil {
		return 0, err
	}
	next = uint64(max(b.uidNext, listNext))
	for i := range arrivals {
		uid := claims[arrivals[i].base]
		if uid == 0 {
			uid = uint32(next)
			next++
		}
		arrivals[i].uid = uid
	}
	sort.Slice(arrivals, func(i, j int) bool { return arrivals[i].uid < arrivals[j].uid })
	return next, nil
}

// claims reads the list unless it is the one that we wrote or read last. Of a
// mailbox that is known only UIDs count that we did not give.
func (b *box) claims(arrivals []arrival) (map[string]uint32, uint32, error) {
	stamp, err := b.stampOfList()
	if err != nil || stamp == b.listStamp && !b.heir {
		return nil, 0, err
	}
	claims := make(map[string]uint32, len(arrivals))
	for _, x := range arrivals {
		claims[x.base] = 0
	}
	l, err := b.readList(func(uid uint32, _, base []byte) {
		if _, ok := claims[string(base)]; ok && (b.heir || uid >= b.uidNext) {
			claims[string(base)] = uid
		}
	})
	if err != nil && !errors.Is(err, errBadList) && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	b.listStamp, b.listNext, b.unsaved = stamp, 0, true
	if err != nil || l.validity != b.validity {
		return nil, 0, nil
	}
	return claims, l.next, nil
}
