package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Check tells what is inconsistent between index, sessions and files; for tests.
// It first takes in what other programs did, as every operation does.
func (a *Account) Check() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx := context.Background()
	if err := a.ready(ctx); err != nil {
		return err
	}
	var all error
	seen := map[uint32]string{}
	for _, b := range a.boxes {
		if other, twice := seen[b.validity]; twice {
			all = errors.Join(all, fmt.Errorf("%s and %s share UIDVALIDITY %d", other, b.name, b.validity))
		}
		seen[b.validity] = b.name
		if err := b.check(ctx); err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", b.name, err))
		}
	}
	return all
}

func (b *box) check(ctx context.Context) error {
	b.newStamp, b.curStamp = 0, 0
	for range 3 { // doubled names settle in the second look
		if err := b.sync(ctx); err != nil {
			return err
		}
	}
	if len(b.views) > 0 {
		if err := b.load(ctx); err != nil {
			return err
		}
	}
	files, err := b.list(true)
	if err != nil {
		return err
	}
	var all error
	fail := func(format string, args ...any) { all = errors.Join(all, fmt.Errorf(format, args...)) }
	var bytes, unseen, deleted int64
	byUID := map[uint32]letter{}
	err = b.each(ctx, queryPages, func(r *record, base string) error {
		i, ok := files.at[base]
		if !ok || files.list[i].found != r.found {
			fail("UID %d: index has %v, disk not (%t)", r.uid, r.found, ok)
		}
		if r.flags != flagsOf(r.info) {
			fail("UID %d: flags %b, name says %q", r.uid, r.flags, r.info)
		}
		if r.uid == 0 || r.uid >= b.uidNext {
			fail("UID %d: UIDNEXT is %d", r.uid, b.uidNext)
		}
		if r.modSeq == 0 || r.modSeq > b.modSeq {
			fail("UID %d: MODSEQ %d, mailbox has %d", r.uid, r.modSeq, b.modSeq)
		}
		if r.saved != savedFrom(base) {
			fail("UID %d: saved %d, name says %q", r.uid, r.saved, base)
		}
		one := []record{*r}
		u, d := countFlags(one)
		bytes, unseen, deleted = bytes+r.size, unseen+u, deleted+d
		byUID[r.uid] = r.letter
		return nil
	})
	if err != nil {
		fail("%w", err)
	}
	if len(files.list) != len(byUID) {
		fail("%d files, %d letters", len(files.list), len(byUID))
	}
	if b.count != int64(len(byUID)) || b.bytes != bytes || b.unseen != unseen || b.deleted != deleted {
		fail("mailbox counts %d letters, %d bytes, %d unseen, %d deleted; letters %d, %d, %d, %d",
			b.count, b.bytes, b.unseen, b.deleted, len(byUID), bytes, unseen, deleted)
	}
	return errors.Join(all, b.checkNames(ctx), b.checkLoaded(byUID), b.checkViews())
}

// checkNames finds pages of names that no letters belong to.
func (b *box) checkNames(ctx context.Context) error {
	n := int64(0)
	err := b.eachName(ctx, func(named) error { n++; return nil })
	if err == nil && n != b.count {
		err = fmt.Errorf("%d names, %d letters", n, b.count)
	}
	return err
}

func (b *box) checkLoaded(want map[uint32]letter) error {
	if !b.loaded {
		return nil
	}
	if len(b.letters) != len(want) {
		return fmt.Errorf("%d letters in memory, %d in the index", len(b.letters), len(want))
	}
	for i, l := range b.letters {
		if i > 0 && b.letters[i-1].uid >= l.uid {
			return fmt.Errorf("UIDs in memory out of order at %d", l.uid)
		}
		if l != want[l.uid] {
			return fmt.Errorf("UID %d: memory %+v, index %+v", l.uid, l, want[l.uid])
		}
	}
	return nil
}

func (b *box) checkViews() error {
	for v := range b.views {
		if !slices.IsSorted(v.uids) {
			return errors.New("a session's UIDs are out of order")
		}
		for i, uid := range v.uids {
			if _, ok := b.known(uid, i); !ok {
				return fmt.Errorf("a session shows UID %d, which nobody knows", uid)
			}
		}
	}
	return nil
}
