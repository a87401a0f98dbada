package mailbox

import (
	"context"
	"database/sql"
	"slices"
)

// mend repairs what damaged pages leave: the letters whose names are still known
// keep their UIDs; of those whose page of letters is lost the files tell the rest,
// but for keywords; those whose names are lost are gone, and their files are new
// letters. Callers hold Account.mu.
func (b *box) mend(ctx context.Context) error {
	b.acct.warn("the index of " + b.name + " was damaged and is mended from the files")
	if err := b.loadKeywords(ctx); err != nil {
		return err
	}
	files, err := b.list(true)
	if err != nil {
		return err
	}
	known, err := b.salvage(ctx)
	if err != nil {
		return err
	}
	var list []record
	var names []named
	var rebuilt []letter
	err = b.eachName(ctx, func(x named) error {
		r, ok := known[x.uid]
		if !ok {
			i, there := files.at[x.base]
			if !there {
				return nil
			}
			a := newArrival(x.base, files.list[i].found)
			if ok, err := b.examine(&a); err != nil || !ok {
				return err
			}
			r = record{a.letter, a.found}
			r.uid, r.modSeq = x.uid, b.modSeq+1
			rebuilt = append(rebuilt, r.letter)
		}
		r.saved = savedFrom(x.base)
		list, names = append(list, r), append(names, x)
		return nil
	})
	if err == nil {
		err = b.rewrite(ctx, list, names, rebuilt)
	}
	return err
}

// salvage gives the letters of pages that are whole.
func (b *box) salvage(ctx context.Context) (map[uint32]record, error) {
	known := map[uint32]record{}
	err := b.eachRow(ctx, queryPages, func(p page) error {
		list, err := decodeRecords(p.id, p.data, nil, b.set)
		for i := range list {
			if err == nil {
				known[list[i].uid] = list[i]
			}
		}
		return nil
	})
	return known, err
}

// eachName gives the names of pages that are whole.
func (b *box) eachName(ctx context.Context, fn func(named) error) error {
	return b.eachRow(ctx, queryNames, func(p page) error {
		list, err := decodeNames(p.id, p.data, nil)
		if err != nil {
			return nil
		}
		for _, x := range list {
			if err := fn(x); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachRow gives the rows of a query.
func (b *box) eachRow(ctx context.Context, query string, fn func(page) error) error {
	for id := b.pageID(0); ; {
		pages, err := b.rows(ctx, query, id, b.pagesEnd())
		if err != nil || len(pages) == 0 {
			return b.corrupt(err)
		}
		for _, p := range pages {
			if err := fn(p); err != nil {
				return err
			}
		}
		id = pages[len(pages)-1].id + 1
	}
}

// rewrite puts a mended list of letters in place of what the index has. Which
// letters are gone nobody knows for sure: the history starts anew.
func (b *box) rewrite(ctx context.Context, list []record, names []named, rebuilt []letter) error {
	d := delta{b: b, changed: rebuilt}
	d.after = numbers{uidNext: b.uidNext, modSeq: b.modSeq + 1, floor: b.modSeq + 1, count: int64(len(list))}
	d.after.unseen, d.after.deleted = countFlags(list)
	for i := range list {
		d.after.bytes += list[i].size
		d.after.uidNext = max(d.after.uidNext, list[i].uid+1)
	}
	if b.loaded {
		for _, l := range b.letters {
			if _, ok := slices.BinarySearchFunc(list, l.uid, func(r record, uid uint32) int { return int(int64(r.uid) - int64(uid)) }); !ok {
				d.removed = append(d.removed, l.uid)
			}
		}
	}
	b.newStamp, b.curStamp, b.ownStamp = 0, 0, false
	b.where.hold()
	err := b.acct.write(ctx, func(tx *sql.Tx) error {
		if err := b.clearPages(tx); err != nil {
			return err
		}
		for len(list) > 0 {
			n := list[0].uid >> pageBits
			var part []record
			part, list = cut(list, func(r record) bool { return r.uid>>pageBits > n })
			if err := b.writeRecords(tx, n, part); err != nil {
				return err
			}
		}
		for len(names) > 0 {
			n := names[0].uid >> nameBits
			var part []named
			part, names = cut(names, func(x named) bool { return x.uid>>nameBits > n })
			if err := b.writeNames(tx, n, part); err != nil {
				return err
			}
		}
		return d.saveRow(tx)
	})
	b.where.release()
	if err != nil {
		return err
	}
	b.damaged.Store(false)
	b.apply(&d)
	return nil
}

// clearPages removes what the index has of a mailbox's letters.
func (b *box) clearPages(tx *sql.Tx) error {
	for _, table := range []string{"page", "name"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE id >= ? AND id < ?", b.pageID(0), b.pagesEnd()); err != nil {
			return err
		}
	}
	_, err := tx.Exec("DELETE FROM history WHERE mailbox = ?", b.id)
	return err
}
