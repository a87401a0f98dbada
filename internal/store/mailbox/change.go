package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"facteur/internal/store/maildir"
)

// file is where a letter's file is, by the index.
type file struct {
	base string
	found
}

// locate asks the index for a letter's file.
func (b *box) locate(ctx context.Context, uid uint32) (file, error) {
	var f file
	var crc int64
	err := b.acct.idx.locate.QueryRowContext(ctx, b.id, uid).Scan(&f.base, &f.info, &f.isNew, &crc)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return f, ErrGone
	case err == nil && crc != checksum(b.id, uid, f.base):
		return f, fmt.Errorf("%w: UID %d", errCorrupt, uid)
	}
	return f, err
}

// allUIDs lists a mailbox's letters.
func (b *box) allUIDs(ctx context.Context) ([]uint32, error) {
	rows, err := b.acct.idx.db.QueryContext(ctx, "SELECT uid FROM letter WHERE mailbox = ? ORDER BY uid", b.id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []uint32
	for rows.Next() {
		var uid uint32
		if err := rows.Scan(&uid); err != nil {
			return nil, err
		}
		out = append(out, uid)
	}
	return out, rows.Err()
}

// below gives a path relative to the Maildir, for a todo.
func (b *box) below(base string, f found) string {
	if f.isNew {
		return filepath.Join(b.folder, "new", base+f.info)
	}
	return filepath.Join(b.folder, "cur", base+f.info)
}

// Append stores a message whole or not at all and gives its UID. It is durable
// when Append returns: file synced, renamed, directory synced, index committed.
// A letter without system flags goes to new/, for other programs to see as new.
func (a *Account) Append(ctx context.Context, name string, r io.Reader, size int64, o AppendOptions) (uidValidity, uid uint32, err error) {
	dated := !o.Received.IsZero()
	if !dated {
		o.Received = a.store.now()
	}
	b, tmp, err := a.openAppend(ctx, name, size, o)
	if err != nil {
		return 0, 0, err
	}
	// The client may take its time: nobody waits for it.
	actual, err := b.dir.StageDurably(tmp, r)
	if errors.Is(err, maildir.ErrNoMaildir) {
		return 0, 0, ErrNoMailbox
	}
	if err != nil {
		return 0, 0, err
	}
	if dated { // for other programs; ours is in the name
		b.dir.FS.SetTime(b.dir.Tmp(tmp), o.Received)
	}
	uidValidity, uid, err = a.closeAppend(ctx, b, tmp, actual, o)
	if err != nil {
		b.dir.Unstage(tmp)
	}
	return uidValidity, uid, err
}

// openAppend checks what can be checked before the message comes.
func (a *Account) openAppend(ctx context.Context, name string, size int64, o AppendOptions) (*box, string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return nil, "", err
	}
	b, err := a.find(name)
	if err != nil {
		return nil, "", err
	}
	if err := a.room(size); err != nil {
		return nil, "", err
	}
	if _, err := b.keywordNumbers(ctx, o.Flags.Keywords, true); err != nil {
		return nil, "", err
	}
	return b, maildir.FreshName(o.Received, a.unique(), a.store.host), nil
}

// closeAppend makes a letter of the staged file.
func (a *Account) closeAppend(ctx context.Context, b *box, tmp string, size maildir.Size, o AppendOptions) (uint32, uint32, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return 0, 0, err
	}
	if b.gone {
		return 0, 0, ErrNoMailbox
	}
	if err := errors.Join(a.room(size.CRLF), b.sync(ctx)); err != nil {
		return 0, 0, err
	}
	if b.uidNext >= maxUID {
		return 0, 0, ErrLimit
	}
	numbers, err := b.keywordNumbers(ctx, o.Flags.Keywords, true)
	if err != nil {
		return 0, 0, err
	}
	x := arrival{base: maildir.Sized(tmp, size), found: found{isNew: o.Flags.System == 0}}
	if !x.isNew {
		x.info = infoFor("", o.Flags.System)
	}
	x.letter = letter{uid: b.uidNext, modSeq: b.modSeq + 1, size: size.CRLF, flags: o.Flags.System,
		received: max(o.Received.Unix(), 0), words: b.set(combineWords(FlagsSet, "", numbers))}
	if err := b.place(b.dir.Tmp(tmp), x); err != nil {
		return 0, 0, err
	}
	err = a.commit(ctx, func(tx *sql.Tx) error { return b.insert(tx, []arrival{x}) }, delta{b: b, added: []letter{x.letter}})
	if err != nil {
		b.dir.FS.Remove(b.path(x.base, x.found))
		return 0, 0, err
	}
	return b.validity, x.uid, nil
}

// place renames a staged file to where the letter belongs, durably. If it fails
// the file is in neither place.
func (b *box) place(staged string, x arrival) error {
	target := b.path(x.base, x.found)
	if err := b.dir.FS.Rename(staged, target); err != nil {
		return err
	}
	if err := b.dir.FS.SyncDir(filepath.Dir(target)); err != nil {
		b.dir.FS.Remove(target)
		return err
	}
	b.own()
	return nil
}

// Store changes flags and gives the letters of uids that exist, as they are
// afterwards. System flags go to the file names, which is what counts after a
// crash; all index changes are one transaction. Sessions other than this one
// hear of it through Poll.
func (v *View) Store(ctx context.Context, uids []uint32, op FlagOp, f Flags) ([]Letter, error) {
	a, b := v.acct, v.box
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := v.writable(ctx); err != nil {
		return nil, err
	}
	numbers, err := b.keywordNumbers(ctx, f.Keywords, op != FlagsRemove)
	if err != nil {
		return nil, err
	}
	uids = ascending(uids)
	d := delta{b: b}
	var moved []arrival
	for _, uid := range uids {
		i, ok := b.position(uid)
		if !ok {
			continue
		}
		l := b.letters[i]
		flags := combine(op, l.flags, f.System)
		words := b.set(combineWords(op, b.sets[l.words].text, numbers))
		if flags == l.flags && words == l.words {
			continue
		}
		if flags != l.flags {
			var m arrival
			if m, err = b.reflag(ctx, uid, flags); err != nil {
				break
			}
			moved = append(moved, m)
		}
		l.flags, l.words = flags, words
		d.changed = append(d.changed, l)
	}
	if len(d.changed) > 0 {
		b.own()
		d.stamp()
		cerr := a.commit(ctx, func(tx *sql.Tx) error {
			return errors.Join(b.replace(tx, moved), b.refile(tx, d.changed, true))
		}, d)
		if err == nil {
			err = cerr
		}
	}
	if err != nil {
		return nil, err
	}
	for _, l := range d.changed {
		v.own[l.uid] = l.modSeq
	}
	return b.letterList(uids), nil
}

// ascending sorts UIDs and removes doubles, in a copy.
func ascending(uids []uint32) []uint32 {
	uids = slices.Clone(uids)
	slices.Sort(uids)
	return slices.Compact(uids)
}

func (b *box) letterList(uids []uint32) []Letter {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Letter, 0, len(uids))
	for _, uid := range uids {
		if i, ok := b.position(uid); ok {
			out = append(out, b.show(b.letters[i]))
		}
	}
	return out
}

// reflag renames a letter's file to tell its flags; from new/ it goes to cur/.
func (b *box) reflag(ctx context.Context, uid uint32, flags SystemFlags) (arrival, error) {
	f, err := b.locate(ctx, uid)
	if err != nil {
		return arrival{}, err
	}
	to := found{info: infoFor(f.info, flags)}
	err = b.dir.FS.Rename(b.path(f.base, f.found), b.path(f.base, to))
	if errors.Is(err, fs.ErrNotExist) {
		b.newStamp, b.curStamp = 0, 0
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
	if err := v.writable(ctx); err != nil {
		return err
	}
	d := delta{b: b}
	var todos []todo
	wanted := ascending(uids)
	for _, l := range b.letters {
		if l.flags&Deleted == 0 {
			continue
		}
		if _, ok := slices.BinarySearch(wanted, l.uid); uids != nil && !ok {
			continue
		}
		f, err := b.locate(ctx, l.uid)
		if err != nil {
			return err
		}
		todos = append(todos, todo{source: b.below(f.base, f.found)})
		d.removed = append(d.removed, l.uid)
		d.freed += l.size
	}
	if len(todos) == 0 {
		return nil
	}
	err := a.commit(ctx, func(tx *sql.Tx) error {
		return errors.Join(b.forget(tx, d.removed), plan(tx, todos))
	}, d)
	if err != nil {
		return err
	}
	a.decided(ctx, todos, b)
	return nil
}

// decided does what a committed transaction has planned. A failure is only
// reported: what was decided will be done, before anything else in the account.
func (a *Account) decided(ctx context.Context, todos []todo, boxes ...*box) {
	a.todos = todos
	if err := a.finish(ctx); err != nil {
		a.warn("files of an account can't be brought up to date: " + err.Error())
	}
	for _, b := range boxes {
		b.own()
	}
}

// Copy copies letters, all or none of them. ErrGone if one that this session
// shows is no longer there; UIDs that it doesn't show are passed over.
func (v *View) Copy(ctx context.Context, uids []uint32, to string) (uidValidity uint32, pairs []UIDPair, err error) {
	return v.transfer(ctx, uids, to, v.acct.copy)
}

// Move moves letters, all or none of them. The removals come through Poll. A
// crash leaves every letter in one of the two mailboxes.
func (v *View) Move(ctx context.Context, uids []uint32, to string) (uidValidity uint32, pairs []UIDPair, err error) {
	if v.readOnly {
		return 0, nil, ErrReadOnly
	}
	return v.transfer(ctx, uids, to, v.acct.move)
}

func (v *View) transfer(ctx context.Context, uids []uint32, to string,
	how func(context.Context, *box, []uint32, *box) ([]UIDPair, error)) (uint32, []UIDPair, error) {
	a := v.acct
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := v.current(ctx); err != nil {
		return 0, nil, err
	}
	target, err := a.find(to)
	if err != nil {
		return 0, nil, err
	}
	if err := target.sync(ctx); err != nil {
		return 0, nil, err
	}
	var known []uint32
	for _, uid := range ascending(uids) {
		if v.Seq(uid) != 0 {
			known = append(known, uid)
		}
	}
	if len(known) == 0 {
		return target.validity, nil, nil
	}
	pairs, err := how(ctx, v.box, known, target)
	return target.validity, pairs, err
}

// transferred is a letter on its way from one mailbox to another.
type transferred struct {
	from file
	size int64
	to   arrival
}

// prepare finds letters and gives them names and UIDs in the target.
func (a *Account) prepare(ctx context.Context, b *box, uids []uint32, target *box) ([]transferred, error) {
	if uint64(target.uidNext)+uint64(len(uids)) > maxUID {
		return nil, ErrLimit
	}
	list := make([]transferred, len(uids))
	for i, uid := range uids {
		l, err := b.stored(ctx, uid)
		if err != nil {
			return nil, err
		}
		f, err := b.locate(ctx, uid)
		if err != nil {
			return nil, err
		}
		l.words, err = b.translate(ctx, l.words, target)
		if err != nil {
			return nil, err
		}
		l.uid, l.modSeq = target.uidNext+uint32(i), target.modSeq+1
		n := maildir.ParseName(f.base)
		n.Sec = l.received
		list[i] = transferred{f, l.size, arrival{l, target.freshBase(n), f.found}}
	}
	return list, nil
}

// translate gives a set of keywords of b in the numbers of target.
func (b *box) translate(ctx context.Context, words uint32, target *box) (uint32, error) {
	if words == 0 || b == target {
		return words, nil
	}
	numbers, err := target.keywordNumbers(ctx, b.sets[words].names, true)
	if err != nil {
		return 0, err
	}
	return target.set(combineWords(FlagsSet, "", numbers)), nil
}

// copy links the files into the target's tmp/, durably, then decides in the
// index that they are letters, then renames them into place.
func (a *Account) copy(ctx context.Context, b *box, uids []uint32, target *box) (pairs []UIDPair, err error) {
	list, err := a.prepare(ctx, b, uids, target)
	if err != nil {
		return nil, err
	}
	var sum int64
	for _, t := range list {
		sum += t.size
	}
	if err := a.room(sum); err != nil {
		return nil, err
	}
	linked := 0
	defer func() {
		for _, t := range list[:linked] {
			if err != nil {
				target.dir.Unstage(t.to.base)
			}
		}
	}()
	todos := make([]todo, len(list))
	for i, t := range list {
		if err := a.store.fs.Link(b.path(t.from.base, t.from.found), target.dir.Tmp(t.to.base)); err != nil {
			return nil, b.lost(err)
		}
		linked++
		todos[i] = todo{source: filepath.Join(target.folder, "tmp", t.to.base), target: target.below(t.to.base, t.to.found)}
	}
	if err := a.store.fs.SyncDir(target.dir.Tmp("")); err != nil {
		return nil, err
	}
	return a.transfer(ctx, target, list, uids, todos, nil)
}

// lost translates a file that isn't where the index has it.
func (b *box) lost(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		b.newStamp, b.curStamp = 0, 0
		return ErrGone
	}
	return err
}

// move decides in the index that the letters are elsewhere, then renames them.
// At no time is a file without a name.
func (a *Account) move(ctx context.Context, b *box, uids []uint32, target *box) ([]UIDPair, error) {
	list, err := a.prepare(ctx, b, uids, target)
	if err != nil {
		return nil, err
	}
	todos := make([]todo, len(list))
	source := delta{b: b, removed: uids}
	for i, t := range list {
		if _, err := a.store.fs.Stat(b.path(t.from.base, t.from.found)); err != nil {
			return nil, b.lost(err)
		}
		todos[i] = todo{source: b.below(t.from.base, t.from.found), target: target.below(t.to.base, t.to.found)}
		source.freed += t.size
	}
	return a.transfer(ctx, target, list, uids, todos, &source)
}

// transfer commits what copy and move have prepared, and does it.
func (a *Account) transfer(ctx context.Context, target *box, list []transferred, uids []uint32, todos []todo, source *delta) ([]UIDPair, error) {
	d := delta{b: target}
	arrivals := make([]arrival, len(list))
	pairs := make([]UIDPair, len(list))
	for i, t := range list {
		arrivals[i] = t.to
		d.added = append(d.added, t.to.letter)
		pairs[i] = UIDPair{uids[i], t.to.uid}
	}
	deltas := []delta{d}
	boxes := []*box{target}
	switch {
	case source != nil && source.b == target:
		deltas[0].removed, deltas[0].freed = source.removed, source.freed
	case source != nil:
		deltas = append(deltas, *source)
		boxes = append(boxes, source.b)
	}
	err := a.commit(ctx, func(tx *sql.Tx) error {
		err := errors.Join(target.insert(tx, arrivals), plan(tx, todos))
		if source != nil && err == nil {
			err = source.b.forget(tx, source.removed)
		}
		return err
	}, deltas...)
	if err != nil {
		return nil, err
	}
	a.decided(ctx, todos, boxes...)
	return pairs, nil
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
	s := Status{Messages: uint32(b.count), UIDNext: b.uidNext, UIDValidity: b.validity, HighestModSeq: b.modSeq, Size: b.bytes}
	if b.counted == s.HighestModSeq && b.countedFrom == b.recent {
		s.Unseen, s.Deleted, s.Recent = b.unseen, b.deleted, b.recents
		return s, nil
	}
	err := b.acct.idx.db.QueryRowContext(ctx, `SELECT coalesce(sum(flags & ? = 0), 0), coalesce(sum(flags & ? != 0), 0),
		coalesce(sum(uid >= ?), 0) FROM letter WHERE mailbox = ?`, Seen, Deleted, b.recent, b.id).
		Scan(&s.Unseen, &s.Deleted, &s.Recent)
	if err == nil {
		b.counted, b.countedFrom = s.HighestModSeq, b.recent
		b.unseen, b.deleted, b.recents = s.Unseen, s.Deleted, s.Recent
	}
	return s, err
}
