package mailbox

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"facteur/internal/store/maildir"
)

// Retention says what becomes of letters that their owner expunges. The zero
// Retention keeps none.
type Retention struct {
	Mailbox string        // where they are kept
	For     time.Duration // and how long
}

// maxKept is the most letters that are kept for an account; the oldest go first.
const maxKept = 200_000

// kept is the mailbox of retention; nil if there is none. Callers hold mu.
func (a *Account) kept() *box {
	if a.owner.Keep.Mailbox == "" {
		return nil
	}
	return a.boxes[a.owner.Keep.Mailbox]
}

// keeps tells whether what is expunged in b is kept.
func (a *Account) keeps(b *box) bool {
	return a.owner.Keep.For > 0 && a.owner.Keep.Mailbox != "" && b.name != a.owner.Keep.Mailbox
}

// keep adds to a change that letters go to the mailbox of retention instead of away,
// with their flags but \Deleted, under names that tell where they were: the file
// knows it, whatever becomes of the index. What finds no room there goes for good,
// as does what stood there longest.
func (a *Account) keep(ctx context.Context, c *change, b *box, uids []uint32) error {
	target, err := a.openKept(ctx)
	if err != nil {
		return err
	}
	letters, err := b.pick(ctx, uids)
	if err != nil {
		return err
	}
	list := make([]transferred, 0, len(uids))
	var sum int64
	for _, l := range letters {
		t, err := a.keepOne(ctx, b, l, target)
		if err != nil {
			return err
		}
		t.to.uid = target.uidNext + uint32(len(list))
		sum += t.size
		list = append(list, t)
	}
	if uint64(target.uidNext)+uint64(len(list)) > maxUID {
		return ErrLimit
	}
	if err := a.makeRoom(ctx, c, target, sum, len(list)); err != nil {
		return err
	}
	from, to := c.of(b), c.of(target)
	for i, t := range list {
		from.removed = append(from.removed, uids[i])
		from.freed += t.size
		from.freedFiles += fileSize(t.from.base, t.size)
		to.added = append(to.added, t.to)
		c.todos = append(c.todos, todo{source: b.below(t.from.base, t.from.found), target: target.below(t.to.base, t.to.found)})
	}
	return nil
}

// openKept gives the mailbox of retention, after making it if need be.
func (a *Account) openKept(ctx context.Context) (*box, error) {
	if a.kept() == nil {
		if err := a.create(ctx, a.owner.Keep.Mailbox, ""); err != nil {
			return nil, err
		}
	}
	return a.kept(), a.kept().sync(ctx)
}

// keepOne gives a letter its name in the mailbox of retention.
func (a *Account) keepOne(ctx context.Context, b *box, l letter, target *box) (transferred, error) {
	f, err := b.locate(ctx, l.uid)
	if err != nil {
		return transferred{}, err
	}
	l.flags &^= Deleted
	if l.words, err = b.translate(ctx, l.words, target); err != nil {
		l.words = 0 // so many keywords that there is no number left
	}
	x := arrival{l, a.keptBase(b, f.base, l.received), found{info: infoFor(withoutWords(f.info), l.flags)}}
	x.saved = savedFrom(x.base)
	return transferred{f, l.size, x}, nil
}

// originField is the field of a file name that tells from which folder the letter
// was expunged.
const originField = ",O="

// maxBase bounds the name of a kept letter, in bytes: flags need room behind it.
const maxBase = 200

// keptBase is the name under which a letter of b is kept. An origin that makes it too
// long is left out.
func (a *Account) keptBase(b *box, base string, received int64) string {
	n := maildir.ParseName(base)
	name := maildir.FreshName(time.Unix(received, 0), a.unique(), "kept")
	if n.Size >= 0 && n.VSize >= 0 {
		name = maildir.Sized(name, maildir.Size{Bytes: n.Size, CRLF: n.VSize})
	}
	folder := b.folder
	if folder == "" {
		folder = "INBOX"
	}
	if origin := originField + escapeOrigin.Replace(folder); len(name)+len(origin) <= maxBase {
		name += origin
	}
	return name
}

// The characters of a folder's name that can't stand in a field; never changed.
var (
	escapeOrigin   = strings.NewReplacer(",", "%2C", ":", "%3A", "%", "%25")
	unescapeOrigin = strings.NewReplacer("%2C", ",", "%3A", ":", "%25", "%")
)

// originOf is the mailbox that a kept letter was in; "" if its name does not tell.
func originOf(base string) string {
	_, field, ok := strings.Cut(base, originField)
	if !ok {
		return ""
	}
	field, _, _ = strings.Cut(field, ",")
	folder := unescapeOrigin.Replace(field)
	if folder == "INBOX" {
		return folder
	}
	name, err := maildir.FolderName(folder)
	if err != nil || folder == "" {
		return ""
	}
	return name
}

// makeRoom removes what was kept longest if there would be more than is allowed: no
// more than the account may hold of mail that counts. Nobody can fill a disk by
// storing and expunging.
func (a *Account) makeRoom(ctx context.Context, c *change, target *box, size int64, count int) error {
	most := a.owner.Quota.Bytes
	tooMany := target.count + int64(count) - maxKept
	tooLarge := target.bytes + size - most
	if tooMany <= 0 && (most == 0 || tooLarge <= 0) {
		return nil
	}
	var oldest []uint32
	var freed int64
	err := target.eachLetter(ctx, func(l *letter) {
		if int64(len(oldest)) < tooMany || most > 0 && freed < tooLarge {
			oldest, freed = append(oldest, l.uid), freed+l.size
		}
	})
	if err != nil {
		return err
	}
	return a.destroy(ctx, c, target, oldest)
}

// withoutRoom tells a rename that a full disk has no room for. What was expunged is
// then not kept: its owner must be able to make room.
func withoutRoom(t todo, err error) bool {
	return strings.Contains(path.Base(t.target), originField) && IsFull(err)
}

// Kept is a letter in the mailbox of retention.
type Kept struct {
	UID    uint32
	Origin string    // the mailbox that it was in; "" if that is not known
	Since  time.Time // when it was expunged
	Size   int64     // bytes, with CRLF
}

// KeptLetters are those in the mailbox of retention, the oldest first, and the name of
// that; "" if there is none.
func (a *Account) KeptLetters(ctx context.Context) (mailbox string, list []Kept, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return "", nil, err
	}
	b := a.kept()
	if b == nil {
		return "", nil, nil
	}
	if err := b.sync(ctx); err != nil {
		return "", nil, err
	}
	err = b.eachLetter(ctx, func(l *letter) {
		list = append(list, Kept{UID: l.uid, Since: l.since(), Size: l.size})
	})
	for i := range list {
		var base string
		if err == nil {
			base, err = b.baseOf(ctx, list[i].UID)
		}
		list[i].Origin = originOf(base)
	}
	return b.name, list, err
}

// since is when a letter came into its mailbox, as far as is known.
func (l *letter) since() time.Time {
	if l.saved > 0 {
		return time.Unix(int64(l.saved), 0)
	}
	return time.Unix(l.received, 0)
}

// Restore moves kept letters to a mailbox, which is made and subscribed if it is not
// there: all of them or none. Those that are gone are passed over. It gives how many
// there were.
func (a *Account) Restore(ctx context.Context, uids []uint32, name string) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return 0, err
	}
	b := a.kept()
	if b == nil {
		return 0, nil
	}
	if err := b.sync(ctx); err != nil {
		return 0, err
	}
	wanted, there := ascending(uids), []uint32(nil)
	err := b.eachLetter(ctx, func(l *letter) {
		if _, ok := slices.BinarySearch(wanted, l.uid); ok {
			there = append(there, l.uid)
		}
	})
	if err != nil || len(there) == 0 {
		return 0, err
	}
	target, err := a.findOrCreate(ctx, name)
	if err != nil {
		return 0, err
	}
	_, err = a.transfer(ctx, b, there, target, AllRights, moving)
	return len(there), err
}

// findOrCreate gives a mailbox that has been looked at. Callers hold mu.
func (a *Account) findOrCreate(ctx context.Context, name string) (*box, error) {
	b, err := a.find(name)
	if errors.Is(err, ErrNoMailbox) {
		if name, err = NewName(name); err != nil {
			return nil, err
		}
		if err = a.create(ctx, name, ""); err == nil {
			err = a.subscribe(name, true)
		}
		b = a.boxes[name]
	}
	if err != nil {
		return nil, err
	}
	return b, b.sync(ctx)
}

// Expire expunges the letters of a mailbox that came into it before a time, limit of
// them at most; what is expunged in the mailbox of retention is gone. It gives how
// many there were.
func (a *Account) Expire(ctx context.Context, name string, before time.Time, limit int) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return 0, err
	}
	b, err := a.find(name)
	if err != nil {
		return 0, err
	}
	if err := b.sync(ctx); err != nil {
		return 0, err
	}
	uids, err := b.savedBefore(ctx, before, limit)
	if err != nil {
		return 0, err
	}
	return len(uids), a.remove(ctx, b, uids)
}

// savedBefore are the UIDs of letters that came into the mailbox before a time.
func (b *box) savedBefore(ctx context.Context, before time.Time, limit int) (uids []uint32, err error) {
	err = b.eachLetter(ctx, func(l *letter) {
		if len(uids) < limit && l.since().Before(before) {
			uids = append(uids, l.uid)
		}
	})
	return uids, err
}

// pick gives the letters of some UIDs, which ascend; ErrGone if one is not there.
func (b *box) pick(ctx context.Context, uids []uint32) ([]letter, error) {
	out := make([]letter, 0, len(uids))
	err := b.eachLetter(ctx, func(l *letter) {
		if len(out) < len(uids) && l.uid == uids[len(out)] {
			out = append(out, *l)
		}
	})
	if err == nil && len(out) < len(uids) {
		err = ErrGone
	}
	return out, err
}

// keepAll moves what a mailbox holds to the mailbox of retention, before it is
// deleted. Callers hold mu.
func (a *Account) keepAll(ctx context.Context, b *box) error {
	if !a.keeps(b) {
		return nil
	}
	if err := b.sync(ctx); err != nil {
		return err
	}
	uids, err := b.allUIDs(ctx)
	if err != nil || len(uids) == 0 {
		return err
	}
	return a.remove(ctx, b, uids)
}
