package mailbox

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
)

// below gives a path relative to the Maildir, for a todo.
func (b *box) below(base string, f found) string {
	if f.isNew {
		return filepath.Join(b.folder, "new", base+f.info)
	}
	return filepath.Join(b.folder, "cur", base+f.info)
}

// Store changes flags and gives the letters of uids that exist, as they are
// afterwards. System flags go to the file names, which is what counts after a
// crash; all index changes are one transaction. Sessions other than this one
// hear of it through Poll.
func (v *View) Store(ctx context.Context, uids []uint32, op FlagOp, f Flags) ([]Letter, error) {
	now, _, err := v.StoreIf(ctx, uids, op, f, Always)
	return now, err
}

// StoreIf is Store for letters whose MODSEQ is not above unchangedSince (RFC 7162
// §3.1.3). Those that it passes over are modified; now are the others.
func (v *View) StoreIf(ctx context.Context, uids []uint32, op FlagOp, f Flags, unchangedSince uint64) (now []Letter, modified []uint32, err error) {
	a, b := v.acct, v.box
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := v.writable(ctx); err != nil {
		return nil, nil, err
	}
	f, err = v.changeable(f)
	if err != nil {
		return nil, nil, err
	}
	numbers, err := b.keywordNumbers(ctx, f.Keywords, op != FlagsRemove)
	if err != nil {
		return nil, nil, err
	}
	var c change
	d := c.of(b)
	uids, modified = b.unmodified(ascending(uids), unchangedSince)
	news := v.news(uids)
	if op == FlagsSet || f.System != 0 {
		defer a.quietly(len(uids), b)()
	}
	err = b.reflag(ctx, d, uids, v.reflagging(op, f.System), numbers)
	if len(d.changed) > 0 {
		b.own()
		if cerr := a.commit(ctx, &c); err == nil {
			err = cerr
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if v.own == nil {
		v.own = make(map[uint32]uint64, len(d.changed))
	}
	for _, l := range d.changed {
		if !news[l.uid] {
			v.own[l.uid] = l.modSeq
		}
	}
	return v.letterList(uids), modified, nil
}

// news are those letters that others changed since the session was told of any: what
// it does to them itself is no longer all that it has to be told (RFC 9051 §6.4.6).
func (v *View) news(uids []uint32) (news map[uint32]bool) {
	b := v.box
	if v.modSeq == b.modSeq {
		return nil
	}
	for _, uid := range uids {
		i, ok := b.position(uid)
		if !ok || b.letters[i].modSeq <= v.modSeq || v.own[uid] == b.letters[i].modSeq {
			continue
		}
		if news == nil {
			news = make(map[uint32]bool)
		}
		news[uid] = true
	}
	return news
}

// unmodified divides UIDs into those of letters whose MODSEQ is at most since,
// and those of others. What is not there is in neither.
func (b *box) unmodified(uids []uint32, since uint64) (rest, modified []uint32) {
	if since == Always {
		return uids, nil
	}
	for _, uid := range uids {
		if i, ok := b.position(uid); !ok {
			continue
		} else if b.letters[i].modSeq > since {
			modified = append(modified, uid)
		} else {
			rest = append(rest, uid)
		}
	}
	return rest, modified
}

// reflag renames files to tell flags and notes in d what changes. After an error
// d has what was done.
func (b *box) reflag(ctx context.Context, d *delta, uids []uint32, r reflagging, numbers []uint16) error {
	for _, uid := range uids {
		i, ok := b.position(uid)
		if !ok {
			continue
		}
		l := b.letters[i]
		flags, words := r.system(l.flags), l.words
		if r.keywords {
			words = b.set(combineWords(r.op, b.sets[l.words].text, numbers))
		}
		if flags == l.flags && words == l.words {
			continue
		}
		if flags != l.flags {
			m, err := b.rename(ctx, uid, flags)
			if err != nil {
				return err
			}
			d.moved = append(d.moved, m)
		}
		l.flags, l.words = flags, words
		d.changed = append(d.changed, l)
	}
	return nil
}

// ascending sorts UIDs and removes doubles, in a copy.
func ascending(uids []uint32) []uint32 {
	uids = slices.Clone(uids)
	slices.Sort(uids)
	return slices.Compact(uids)
}

func (v *View) letterList(uids []uint32) []Letter {
	b := v.box
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Letter, 0, len(uids))
	for _, uid := range uids {
		if i, ok := b.position(uid); ok {
			l := b.show(b.letters[i])
			l.Recent = v.isRecent(uid)
			out = append(out, l)
		}
	}
	return out
}

// rename gives a letter's file a name that tells its flags; from new/ it goes to
// cur/.
func (b *box) rename(ctx context.Context, uid uint32, flags SystemFlags) (arrival, error) {
	f, err := b.locate(ctx, uid)
	if err != nil {
		return arrival{}, err
	}
	to := found{info: infoFor(f.info, flags)}
	err = b.dir.FS.Rename(b.path(f.base, f.found), b.path(f.base, to))
	if errors.Is(err, fs.ErrNotExist) {
		b.distrust()
		return arrival{}, ErrGone
	}
	return arrival{letter{uid: uid}, f.base, to}, err
}

// Expunge removes the letters of uids (nil: all) that are \Deleted: all of them
// or, if it fails, none. This session hears of it through Poll too.
func (v *View) Expunge(ctx context.Context, uids []uint32) error {
	a, b := v.acct, v.box
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := errors.Join(v.writable(ctx), v.needs(RightExpunge)); err != nil {
		return err
	}
	wanted := ascending(uids)
	var doomed []uint32
	for _, l := range b.letters {
		if l.flags&Deleted == 0 {
			continue
		}
		if _, ok := slices.BinarySearch(wanted, l.uid); uids == nil || ok {
			doomed = append(doomed, l.uid)
		}
	}
	return a.remove(ctx, b, doomed)
}

// Remove expunges the letters of uids, whatever their flags, as far as they are there:
// all of them or, if it fails, none.
func (v *View) Remove(ctx context.Context, uids []uint32) error {
	a, b := v.acct, v.box
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := errors.Join(v.writable(ctx), v.needs(RightDeleteMail|RightExpunge)); err != nil {
		return err
	}
	there := slices.DeleteFunc(ascending(uids), func(uid uint32) bool {
		_, ok := b.position(uid)
		return !ok
	})
	return a.remove(ctx, b, there)
}

// remove expunges letters whatever their flags: all of them or none.
func (a *Account) remove(ctx context.Context, b *box, uids []uint32) error {
	if len(uids) == 0 {
		return nil
	}
	var c change
	if err := a.expunge(ctx, &c, b, uids); err != nil {
		return err
	}
	return a.carryOut(ctx, &c)
}

// expunge adds to a change that letters, by ascending UID, leave the mailbox
// because their owner wants so. Everything that removes letters for a user goes
// through here. They are kept if that is wanted and there is room: on a full disk
// it is more important that they go. After any other error they stay where they are.
func (a *Account) expunge(ctx context.Context, c *change, b *box, uids []uint32) error {
	a.beforeRemoval(ctx)
	if !a.keeps(b) {
		return a.destroy(ctx, c, b, uids)
	}
	err := a.keep(ctx, c, b, uids)
	if !IsFull(err) && !errors.Is(err, ErrLimit) {
		return err
	}
	a.warn("expunged letters are not kept: " + err.Error())
	return a.destroy(ctx, c, b, uids)
}

// destroy adds to a change that letters, by ascending UID, are no more.
func (a *Account) destroy(ctx context.Context, c *change, b *box, uids []uint32) error {
	d := c.of(b)
	for _, uid := range uids {
		l, err := b.stored(ctx, uid)
		if err != nil {
			return err
		}
		f, err := b.locate(ctx, uid)
		if err != nil {
			return err
		}
		c.todos = append(c.todos, todo{source: b.below(f.base, f.found)})
		d.removed = append(d.removed, uid)
		d.freed += l.size
		d.freedFiles += fileSize(f.base, l.size)
	}
	return nil
}

// Status tells about a mailbox without opening it. It costs two stats if
// nothing changed and the mailbox is open or was asked for before.
func (a *Account) Status(ctx context.Context, name string) (Status, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return Status{}, err
	}
	b, err := a.find(name)
	if err != nil {
		return Status{}, err
	}
	if err := b.sync(ctx); err != nil {
		return Status{}, err
	}
	return b.status(ctx)
}

func (b *box) status(ctx context.Context) (Status, error) {
	s := Status{Messages: uint32(b.count), UIDNext: b.uidNext, UIDValidity: b.validity, HighestModSeq: b.modSeq, Size: b.bytes,
		Unseen: uint32(b.unseen), Deleted: uint32(b.deleted)}
	var err error
	s.Recent, err = b.recents(ctx)
	return s, err
}

// DeletedSize is the bytes of a mailbox's letters that are \\Deleted. Unlike Status it
// reads them all, if there is any such letter.
func (a *Account) DeletedSize(ctx context.Context, name string) (sum int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return 0, err
	}
	b, err := a.find(name)
	if err != nil || b.deleted == 0 {
		return 0, err
	}
	if err := errors.Join(b.sync(ctx), b.loadKeywords(ctx)); err != nil {
		return 0, err
	}
	err = b.eachPage(ctx, queryPages, 0, func(_ uint32, list []record) error {
		for i := range list {
			if list[i].flags&Deleted != 0 {
				sum += list[i].size
			}
		}
		return nil
	})
	return sum, err
}

// recents counts the letters that no session has seen yet.
func (b *box) recents(ctx context.Context) (n uint32, err error) {
	if b.recent >= b.uidNext || b.recent == nobodyLooked {
		return 0, nil
	}
	if b.loaded {
		i, _ := b.position(b.recent)
		return uint32(len(b.letters) - i), nil
	}
	if err := b.loadKeywords(ctx); err != nil {
		return 0, err
	}
	err = b.eachPage(ctx, queryPages, b.recent>>pageBits, func(_ uint32, list []record) error {
		for i := range list {
			if list[i].uid >= b.recent {
				n++
			}
		}
		return nil
	})
	return n, err
}
