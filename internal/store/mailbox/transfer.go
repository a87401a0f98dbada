package mailbox

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"facteur/internal/store/maildir"
	"facteur/internal/store/quota"
)

// moving says whether letters leave the mailbox that they are transferred from.
const (
	copying = false
	moving  = true
)

// Copy copies letters, all or none of them. ErrGone if one that this session
// shows is no longer there; UIDs that it doesn't show are passed over.
func (v *View) Copy(ctx context.Context, uids []uint32, to string) (uidValidity uint32, pairs []UIDPair, err error) {
	return v.CopyTo(ctx, uids, v.acct, to, AllRights)
}

// Move moves letters, all or none of them. The removals come through Poll. A
// crash leaves every letter in one of the two mailboxes.
func (v *View) Move(ctx context.Context, uids []uint32, to string) (uidValidity uint32, pairs []UIDPair, err error) {
	return v.MoveTo(ctx, uids, v.acct, to, AllRights)
}

// CopyTo is Copy to a mailbox of any account. The letters keep those flags that may
// lets somebody set there.
func (v *View) CopyTo(ctx context.Context, uids []uint32, target *Account, to string, may Rights) (uidValidity uint32, pairs []UIDPair, err error) {
	if target != v.acct {
		return v.send(ctx, uids, target, to, may)
	}
	return v.within(ctx, uids, to, may, copying)
}

// MoveTo is Move to a mailbox of any account; may is as for CopyTo. To another account
// the letters are copied, durably, then expunged: a crash in between leaves them in
// both.
func (v *View) MoveTo(ctx context.Context, uids []uint32, target *Account, to string, may Rights) (uidValidity uint32, pairs []UIDPair, err error) {
	if v.readOnly {
		return 0, nil, ErrReadOnly
	}
	if err := v.needs(RightDeleteMail | RightExpunge); err != nil {
		return 0, nil, err
	}
	if target == v.acct {
		return v.within(ctx, uids, to, may, moving)
	}
	uidValidity, pairs, err = v.send(ctx, uids, target, to, may)
	if err != nil || len(pairs) == 0 {
		return uidValidity, pairs, err
	}
	return uidValidity, pairs, v.sent(ctx, pairs)
}

// within is a transfer inside of the account.
func (v *View) within(ctx context.Context, uids []uint32, to string, may Rights, move bool) (uint32, []UIDPair, error) {
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
	known := v.shown(uids)
	if len(known) == 0 {
		return target.validity, nil, nil
	}
	pairs, err := a.transfer(ctx, v.box, known, target, may, move)
	return target.validity, pairs, err
}

// shown are the UIDs that the session knows, ascending.
func (v *View) shown(uids []uint32) (known []uint32) {
	for _, uid := range ascending(uids) {
		if v.Seq(uid) != 0 {
			known = append(known, uid)
		}
	}
	return known
}

// transferred is a letter on its way from one mailbox to another.
type transferred struct {
	from file
	size int64
	to   arrival
}

// transfer copies or moves letters between mailboxes of the account. A copy links
// the files into the target's tmp/, durably, then decides in the index that they
// are letters, then renames them into place. A move decides in the index that the
// letters are elsewhere, then renames them: at no time is a file without a name.
func (a *Account) transfer(ctx context.Context, b *box, uids []uint32, target *box, may Rights, move bool) (pairs []UIDPair, err error) {
	list, err := a.prepare(ctx, b, uids, target, may)
	if err != nil {
		return nil, err
	}
	var c change
	if move {
		err = b.leave(ctx, &c, list, uids, target)
	} else {
		err = a.link(ctx, &c, b, list, target)
	}
	if err != nil {
		return nil, err
	}
	d := c.of(target)
	for i, t := range list {
		d.added = append(d.added, t.to)
		pairs = append(pairs, UIDPair{uids[i], t.to.uid})
	}
	if err := a.carryOut(ctx, &c); err != nil {
		if !move {
			unlink(target, list)
		}
		return nil, err
	}
	return pairs, nil
}

// prepare finds letters and gives them names, UIDs and flags in the target.
func (a *Account) prepare(ctx context.Context, b *box, uids []uint32, target *box, may Rights) ([]transferred, error) {
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
		given := may.Permitted(Flags{System: l.flags}).System
		lost := given != l.flags
		l.flags = given
		if !may.Has(RightWrite) {
			l.words = 0
		}
		l.words, err = b.translate(ctx, l.words, target)
		if err != nil {
			return nil, err
		}
		n := maildir.ParseName(f.base)
		n.Sec = l.received
		to := arrival{l, target.freshBase(n), f.found}
		if b != target {
			to.info = withoutWords(to.info)
		}
		if lost {
			to.info = infoFor(to.info, l.flags)
		}
		to.uid, to.saved = target.uidNext+uint32(i), savedFrom(to.base)
		list[i] = transferred{f, l.size, to}
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

// link gives the files second names in the target's tmp/, durably.
func (a *Account) link(ctx context.Context, c *change, b *box, list []transferred, target *box) error {
	if err := a.room(ctx, target, need(list)); err != nil {
		return err
	}
	for i, t := range list {
		if err := a.fs.Link(b.path(t.from.base, t.from.found), target.dir.Tmp(t.to.base)); err != nil {
			unlink(target, list[:i])
			return b.lost(err)
		}
		c.todos = append(c.todos, todo{source: filepath.Join(target.folder, "tmp", t.to.base), target: target.below(t.to.base, t.to.found)})
	}
	err := a.fs.SyncDir(target.dir.Tmp(""))
	if err != nil {
		unlink(target, list)
	}
	return err
}

// need is what letters take in the mailbox that they go to.
func need(list []transferred) quota.Usage {
	u := quota.Usage{Messages: int64(len(list))}
	for _, t := range list {
		u.Bytes += fileSize(t.from.base, t.size)
	}
	return u
}

func unlink(target *box, list []transferred) {
	for _, t := range list {
		target.dir.Unstage(t.to.base)
	}
}

// lost translates a file that isn't where the index has it.
func (b *box) lost(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		b.distrust()
		return ErrGone
	}
	return err
}

// leave plans the renames of a move. It takes room only if the letters did not count
// where they were.
func (b *box) leave(ctx context.Context, c *change, list []transferred, uids []uint32, target *box) error {
	if b.acct.owner.Quota.Ignores(b.name) || target == b.acct.kept() {
		if err := b.acct.room(ctx, target, need(list)); err != nil {
			return err
		}
	}
	d := c.of(b)
	d.removed = uids
	for _, t := range list {
		if _, err := b.dir.FS.Stat(b.path(t.from.base, t.from.found)); err != nil {
			return b.lost(err)
		}
		c.todos = append(c.todos, todo{source: b.below(t.from.base, t.from.found), target: target.below(t.to.base, t.to.found)})
		d.freed += t.size
		d.freedFiles += fileSize(t.from.base, t.size)
	}
	return nil
}

// send copies letters into another account. The accounts are never locked at the
// same time.
func (v *View) send(ctx context.Context, uids []uint32, target *Account, to string, may Rights) (uint32, []UIDPair, error) {
	known := v.shown(uids)
	var sum int64
	for _, uid := range known {
		sum += v.Letter(v.Seq(uid)).Size
	}
	host, err := target.host(ctx, to, quota.Usage{Bytes: sum, Messages: int64(len(known))})
	if err != nil || len(known) == 0 {
		return 0, nil, err
	}
	list, err := v.stageFor(ctx, known, target, host, may)
	if err != nil {
		discard(list)
		return 0, nil, err
	}
	validity, fresh, err := target.Commit(ctx, to, list)
	if err != nil {
		return 0, nil, err
	}
	pairs := make([]UIDPair, len(fresh))
	for i := range fresh {
		pairs[i] = UIDPair{known[i], fresh[i]}
	}
	return validity, pairs, nil
}

// host finds the mailbox that is to get letters of another account.
func (a *Account) host(ctx context.Context, name string, need quota.Usage) (*box, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	b, err := a.find(name)
	if err != nil {
		return nil, err
	}
	return b, a.room(ctx, b, need)
}

// stageFor links letters into the tmp/ of another account's mailbox, or copies
// their bytes where that is another file system.
func (v *View) stageFor(ctx context.Context, uids []uint32, target *Account, host *box, may Rights) (list []*Staged, err error) {
	for _, uid := range uids {
		l := v.Letter(v.Seq(uid))
		target.mu.Lock()
		s := &Staged{box: host, o: AppendOptions{Flags: may.Permitted(l.Flags), Received: l.Received},
			tmp: maildir.FreshName(l.Received, target.unique(), target.store.host)}
		target.mu.Unlock()
		if s.size, err = v.stageOne(ctx, uid, s); err != nil {
			return list, err
		}
		list = append(list, s)
	}
	return list, nil
}

// stageOne does so for one letter. A link needs the file's bytes and names to be
// durable, which those of a letter are.
func (v *View) stageOne(ctx context.Context, uid uint32, s *Staged) (maildir.Size, error) {
	r, err := v.open(ctx, uid)
	if err != nil {
		return maildir.Size{}, err
	}
	defer r.Close()
	if size, err := v.linkOne(ctx, uid, s); err == nil {
		return size, nil
	}
	size, err := s.box.dir.StageDurably(s.tmp, r)
	if err == nil {
		s.box.dir.FS.SetTime(s.box.dir.Tmp(s.tmp), time.Unix(s.o.Received.Unix(), 0))
	}
	return size, err
}

// linkOne links a letter whose name tells its sizes.
func (v *View) linkOne(ctx context.Context, uid uint32, s *Staged) (maildir.Size, error) {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	f, err := v.box.locate(ctx, uid)
	if err != nil {
		return maildir.Size{}, err
	}
	n := maildir.ParseName(f.base)
	if n.Size < 0 || n.VSize < 0 {
		return maildir.Size{}, fs.ErrInvalid
	}
	return maildir.Size{Bytes: n.Size, CRLF: n.VSize}, v.box.dir.FS.Link(v.box.path(f.base, f.found), s.box.dir.Tmp(s.tmp))
}

// sent expunges what was moved to another account, as far as it is still there. What
// the owner moved away is elsewhere, and nothing is to be kept; what a guest took is
// kept as if he had expunged it.
func (v *View) sent(ctx context.Context, pairs []UIDPair) error {
	a := v.acct
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := v.current(ctx); err != nil {
		return err
	}
	var uids []uint32
	for _, p := range pairs {
		if _, ok := v.box.position(p.From); ok {
			uids = append(uids, p.From)
		}
	}
	if len(uids) == 0 {
		return nil
	}
	if v.may != nil {
		return a.remove(ctx, v.box, uids)
	}
	a.beforeRemoval(ctx)
	var c change
	if err := a.destroy(ctx, &c, v.box, uids); err != nil {
		return err
	}
	return a.carryOut(ctx, &c)
}
