package mailbox

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"facteur/internal/store/maildir"
	"facteur/internal/store/quota"
)

// Always is the MODSEQ that no letter is above.
const Always = 1<<64 - 1

// Staged is a message that was written, durably, but is no letter yet: a file in
// the mailbox's tmp/. It ends in Commit, Replace or Discard.
type Staged struct {
	box  *box // whose tmp/ it is in
	tmp  string
	size maildir.Size
	o    AppendOptions
	uid  uint32 // that it is to have; 0: the next one
	over bool
}

// uidOr is the letter's UID, or else the next.
func (s *Staged) uidOr(next uint32) uint32 {
	if s.uid != 0 {
		return s.uid
	}
	return next
}

// Size is the message's length with CRLF line ends, in bytes.
func (s *Staged) Size() int64 { return s.size.CRLF }

// Discard removes the message, unless it became a letter. It may be called in any
// case, and twice.
func (s *Staged) Discard() {
	if !s.over {
		s.over = true
		s.box.dir.Unstage(s.tmp)
	}
}

func discard(list []*Staged) {
	for _, s := range list {
		s.Discard()
	}
}

// Append stores a message whole or not at all and gives its UID. It is durable
// when Append returns: file synced, renamed, directory synced, index committed.
// A letter without system flags goes to new/, for other programs to see as new.
func (a *Account) Append(ctx context.Context, name string, r io.Reader, size int64, o AppendOptions) (uidValidity, uid uint32, err error) {
	s, err := a.Stage(ctx, name, r, size, o)
	if err != nil {
		return 0, 0, err
	}
	uidValidity, uids, err := a.Commit(ctx, name, []*Staged{s})
	if err != nil {
		return 0, 0, err
	}
	return uidValidity, uids[0], nil
}

// Stage writes a message durably into the mailbox's tmp/, after checking that the
// mailbox is there and has room for size bytes more. r gives size bytes with CRLF
// line ends; what it gives counts.
func (a *Account) Stage(ctx context.Context, name string, r io.Reader, size int64, o AppendOptions) (*Staged, error) {
	dated := !o.Received.IsZero()
	if !dated {
		o.Received = a.store.now()
	}
	s := &Staged{o: o}
	if err := a.openStage(ctx, s, name, size); err != nil {
		return nil, err
	}
	// The client may take its time: nobody waits for it.
	var err error
	s.size, err = s.box.dir.StageDurably(s.tmp, r)
	if errors.Is(err, maildir.ErrNoMaildir) {
		return nil, ErrNoMailbox
	}
	if err != nil {
		return nil, err
	}
	if dated { // for other programs; ours is in the name
		s.box.dir.FS.SetTime(s.box.dir.Tmp(s.tmp), o.Received)
	}
	return s, nil
}

// openStage checks what can be checked before the message comes.
func (a *Account) openStage(ctx context.Context, s *Staged, name string, size int64) (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return err
	}
	if s.box, err = a.find(name); err != nil {
		return err
	}
	if err := a.room(ctx, s.box, quota.Usage{Bytes: size, Messages: 1}); err != nil {
		return err
	}
	if _, err := s.box.keywordNumbers(ctx, s.o.Flags.Keywords, true); err != nil {
		return err
	}
	s.tmp = maildir.FreshName(s.o.Received, a.unique(), a.store.host)
	return nil
}

// Commit makes letters of staged messages, in one mailbox and in their order: all
// of them or none, also in a crash. They are durable when it returns. If it fails
// all are discarded.
func (a *Account) Commit(ctx context.Context, name string, list []*Staged) (uidValidity uint32, uids []uint32, err error) {
	defer func() {
		if err != nil {
			discard(list)
		}
	}()
	a.mu.Lock()
	defer a.mu.Unlock()
	b, err := a.openCommit(ctx, name, list)
	if err != nil {
		return 0, nil, err
	}
	var c change
	if err := b.enrol(ctx, c.of(b), list); err != nil {
		return 0, nil, err
	}
	if len(list) == 1 {
		err = a.commitOne(ctx, &c, list[0])
	} else {
		err = a.commitMany(ctx, &c, list)
	}
	if err != nil {
		return 0, nil, err
	}
	for i, s := range list {
		s.over = true
		uids = append(uids, c.deltas[0].added[i].uid)
	}
	return b.validity, uids, nil
}

// openCommit finds the mailbox and checks that there is room for all.
func (a *Account) openCommit(ctx context.Context, name string, list []*Staged) (*box, error) {
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	b, err := a.find(name)
	if err != nil {
		return nil, err
	}
	sum := quota.Usage{Messages: int64(len(list))}
	for _, s := range list {
		if s.over || s.box.acct != a {
			return nil, errors.New("a staged message of another account, or used up")
		}
		if s.box.gone {
			return nil, ErrNoMailbox
		}
		sum.Bytes += s.size.Bytes
	}
	if err := errors.Join(a.room(ctx, b, sum), b.sync(ctx)); err != nil {
		return nil, err
	}
	if uint64(b.uidNext)+uint64(len(list)) > maxUID {
		return nil, ErrLimit
	}
	return b, nil
}

// enrol gives staged messages names, UIDs and flags in the mailbox.
func (b *box) enrol(ctx context.Context, d *delta, list []*Staged) error {
	next := d.uidNext()
	for _, s := range list {
		numbers, err := b.keywordNumbers(ctx, s.o.Flags.Keywords, true)
		if err != nil {
			return err
		}
		x := arrival{base: maildir.Sized(s.tmp, s.size), found: found{isNew: s.o.Flags.System == 0}}
		if !x.isNew {
			x.info = infoFor("", s.o.Flags.System)
		}
		x.letter = letter{uid: s.uidOr(next), size: s.size.CRLF, flags: s.o.Flags.System,
			received: max(s.o.Received.Unix(), 0), saved: savedFrom(x.base),
			words: b.set(combineWords(FlagsSet, "", numbers))}
		next = max(next, x.uid+1)
		d.added = append(d.added, x)
	}
	return nil
}

// commitOne renames the file first: a crash before the index has it leaves a
// letter that just arrived.
func (a *Account) commitOne(ctx context.Context, c *change, s *Staged) error {
	d := c.deltas[0]
	if err := d.b.place(s.box.dir.Tmp(s.tmp), d.added[0]); err != nil {
		return err
	}
	err := a.commit(ctx, c)
	if err != nil {
		d.b.dir.FS.Remove(d.b.path(d.added[0].base, d.added[0].found))
	}
	return err
}

// commitMany decides in the index that the files are letters, then renames them.
func (a *Account) commitMany(ctx context.Context, c *change, list []*Staged) error {
	dirs := map[*box]bool{}
	for i, s := range list {
		if !dirs[s.box] {
			if err := s.box.dir.FS.SyncDir(s.box.dir.Tmp("")); err != nil {
				return err
			}
			dirs[s.box] = true
		}
		x := c.deltas[0].added[i]
		c.todos = append(c.todos, todo{source: filepath.Join(s.box.folder, "tmp", s.tmp), target: c.deltas[0].b.below(x.base, x.found)})
	}
	return a.carryOut(ctx, c)
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

// Replace puts a staged message into a mailbox and expunges the letter uid, in
// one step (RFC 8508): a crash leaves the one or the other. ErrGone if the letter
// is no longer there. If it fails the message is discarded.
func (v *View) Replace(ctx context.Context, uid uint32, mailbox string, s *Staged) (uidValidity, newUID uint32, err error) {
	defer func() {
		if err != nil {
			s.Discard()
		}
	}()
	a := v.acct
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := errors.Join(v.writable(ctx), v.needs(RightDeleteMail|RightExpunge)); err != nil {
		return 0, 0, err
	}
	if _, ok := v.box.position(uid); !ok || v.Seq(uid) == 0 {
		return 0, 0, ErrGone
	}
	list := []*Staged{s}
	b, err := a.openCommit(ctx, mailbox, list)
	if err != nil {
		return 0, 0, err
	}
	var c change
	if err := a.expunge(ctx, &c, v.box, []uint32{uid}); err != nil {
		return 0, 0, err
	}
	d := c.of(b)
	if err := b.enrol(ctx, d, list); err != nil {
		return 0, 0, err
	}
	if err := s.box.dir.FS.SyncDir(s.box.dir.Tmp("")); err != nil {
		return 0, 0, err
	}
	x := d.added[len(d.added)-1]
	// First of all: if that can't be done, nothing is.
	c.todos = append([]todo{{source: filepath.Join(s.box.folder, "tmp", s.tmp), target: b.below(x.base, x.found)}}, c.todos...)
	if err := a.carryOut(ctx, &c); err != nil {
		return 0, 0, err
	}
	s.over = true
	return b.validity, x.uid, nil
}
