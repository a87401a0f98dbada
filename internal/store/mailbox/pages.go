package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// pageID is the row of a page: the mailbox, then the page's number.
func (b *box) pageID(n uint32) int64 { return b.id<<32 | int64(n) }

// pagesEnd is above the rows of the mailbox's pages.
func (b *box) pagesEnd() int64 { return (b.id + 1) << 32 }

// corrupt notes that a page was found damaged: the next sync mends.
func (b *box) corrupt(err error) error {
	b.acct.suspect(err)
	if errors.Is(err, errCorrupt) {
		b.damaged.Store(true)
	}
	return err
}

// statement is a prepared statement in a transaction, or outside of one.
func statement(tx *sql.Tx, s *sql.Stmt) *sql.Stmt {
	if tx == nil {
		return s
	}
	return tx.Stmt(s)
}

// blob reads one row's blob; nil if there is no such row.
func blob(ctx context.Context, s *sql.Stmt, id int64) (data []byte, err error) {
	err = s.QueryRowContext(ctx, id).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return data, corruptIf(err)
}

// readRecords reads a page; none if it is not there.
func (b *box) readRecords(ctx context.Context, tx *sql.Tx, n uint32, set func([]byte) uint32) ([]record, error) {
	x := b.acct.shared.Load()
	if x == nil {
		return nil, errAsleep
	}
	data, err := blob(ctx, statement(tx, x.readPage), b.pageID(n))
	if err != nil || data == nil {
		return nil, b.corrupt(err)
	}
	list, err := decodeRecords(b.pageID(n), data, make([]record, 0, 1<<pageBits), set)
	return list, b.corrupt(err)
}

// readNames reads a page of names; none if it is not there.
func (b *box) readNames(ctx context.Context, tx *sql.Tx, n uint32) ([]named, error) {
	x := b.acct.shared.Load()
	if x == nil {
		return nil, errAsleep
	}
	data, err := blob(ctx, statement(tx, x.readNames), b.pageID(n))
	if err != nil || data == nil {
		return nil, b.corrupt(err)
	}
	list, err := decodeNames(b.pageID(n), data, make([]named, 0, 1<<nameBits))
	return list, b.corrupt(err)
}

// writeRecords writes a page, or removes it if it is empty.
func (b *box) writeRecords(tx *sql.Tx, n uint32, list []record) error {
	if len(list) == 0 {
		_, err := tx.Stmt(b.acct.idx.dropPage).Exec(b.pageID(n))
		return err
	}
	fresh := 0
	for i := range list {
		if list[i].isNew {
			fresh++
		}
	}
	_, err := tx.Stmt(b.acct.idx.writePage).Exec(b.pageID(n), fresh, encodeRecords(b.pageID(n), list, b.setText))
	return err
}

// writeNames writes a page of names, or removes it if it is empty.
func (b *box) writeNames(tx *sql.Tx, n uint32, list []named) error {
	if len(list) == 0 {
		_, err := tx.Stmt(b.acct.idx.dropNames).Exec(b.pageID(n))
		return err
	}
	_, err := tx.Stmt(b.acct.idx.writeNames).Exec(b.pageID(n), encodeNames(b.pageID(n), list))
	return err
}

// page is a row as it was read.
type page struct {
	id   int64
	data []byte
}

// someRows is how many pages are in memory at a time where all are gone through.
const someRows = 32

// rows reads up to someRows pages from the row id on.
func (b *box) rows(ctx context.Context, query string, id, end int64) ([]page, error) {
	rows, err := b.acct.idx.db.QueryContext(ctx, query, id, end, someRows)
	if err != nil {
		return nil, corruptIf(err)
	}
	defer rows.Close()
	var list []page
	for rows.Next() {
		var p page
		if err := rows.Scan(&p.id, &p.data); err != nil {
			return nil, corruptIf(err)
		}
		list = append(list, p)
	}
	return list, corruptIf(rows.Err())
}

const (
	queryPages = "SELECT id, letters FROM page WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
	queryFresh = "SELECT id, letters FROM page WHERE fresh > 0 AND id >= ? AND id < ? ORDER BY id LIMIT ?"
	queryNames = "SELECT id, bases FROM name WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
)

// eachPage goes through pages of letters, ascending. The records are valid during
// the call only.
func (b *box) eachPage(ctx context.Context, query string, from uint32, fn func(n uint32, list []record) error) error {
	if err := b.loadKeywords(ctx); err != nil {
		return err
	}
	scratch := make([]record, 0, 1<<pageBits)
	for id := b.pageID(from); ; {
		pages, err := b.rows(ctx, query, id, b.pagesEnd())
		if err != nil || len(pages) == 0 {
			return b.corrupt(err)
		}
		for _, p := range pages {
			list, err := decodeRecords(p.id, p.data, scratch, b.set)
			if err != nil {
				return b.corrupt(err)
			}
			if err := fn(uint32(p.id), list); err != nil {
				return err
			}
		}
		id = pages[len(pages)-1].id + 1
	}
}

// each gives every letter with the base of its file name, ascending; of pages of
// the query. A letter without a name, or a name without a letter, is damage.
func (b *box) each(ctx context.Context, query string, fn func(r *record, base string) error) error {
	return b.eachPage(ctx, query, 0, func(n uint32, list []record) error {
		names, err := b.namesOf(ctx, n)
		if err != nil {
			return err
		}
		if len(names) != len(list) {
			return b.corrupt(fmt.Errorf("%w: %d letters and %d names in page %d of %s", errCorrupt, len(list), len(names), n, b.name))
		}
		for i := range list {
			if names[i].uid != list[i].uid {
				return b.corrupt(fmt.Errorf("%w: UID %d of %s has no name", errCorrupt, list[i].uid, b.name))
			}
			if err := fn(&list[i], names[i].base); err != nil {
				return err
			}
		}
		return nil
	})
}

// namesOf reads the names of the letters of a page.
func (b *box) namesOf(ctx context.Context, n uint32) ([]named, error) {
	first := n << (pageBits - nameBits)
	rows, err := b.rows(ctx, queryNames, b.pageID(first), b.pageID(first)+1<<(pageBits-nameBits))
	if err != nil {
		return nil, err
	}
	list := make([]named, 0, 1<<pageBits)
	for _, p := range rows {
		if list, err = decodeNames(p.id, p.data, list); err != nil {
			return nil, b.corrupt(err)
		}
	}
	return list, nil
}

// savePages writes what a change does to letters, and gives by how much it changes
// the numbers of unseen and deleted letters.
func (d *delta) savePages(tx *sql.Tx) (unseen, deleted int64, err error) {
	slices.SortFunc(d.moved, func(x, y arrival) int { return int(int64(x.uid) - int64(y.uid)) })
	c := d.parts()
	for {
		n, ok := c.next()
		if !ok {
			break
		}
		list, err := d.b.readRecords(context.Background(), tx, n, d.b.set)
		if err != nil {
			return 0, 0, err
		}
		u, del := countFlags(list)
		part := c.take(n)
		if list, err = part.apply(list); err != nil {
			return 0, 0, d.b.corrupt(err)
		}
		u2, del2 := countFlags(list)
		unseen, deleted = unseen+u2-u, deleted+del2-del
		if err := d.b.writeRecords(tx, n, list); err != nil {
			return 0, 0, err
		}
	}
	return unseen, deleted, d.saveNames(tx)
}

func countFlags(list []record) (unseen, deleted int64) {
	for i := range list {
		if list[i].flags&Seen == 0 {
			unseen++
		}
		if list[i].flags&Deleted != 0 {
			deleted++
		}
	}
	return unseen, deleted
}

// parts is what is left of a change while it is divided by pages.
type parts struct {
	removed      []uint32
	changed      []letter
	moved, added []arrival
}

func (d *delta) parts() *parts { return &parts{d.removed, d.changed, d.moved, d.added} }

// next is the first page that the rest of the change is about.
func (p *parts) next() (n uint32, ok bool) {
	n = 1<<32 - 1
	if len(p.removed) > 0 {
		n, ok = min(n, p.removed[0]>>pageBits), true
	}
	if len(p.changed) > 0 {
		n, ok = min(n, p.changed[0].uid>>pageBits), true
	}
	if len(p.moved) > 0 {
		n, ok = min(n, p.moved[0].uid>>pageBits), true
	}
	if len(p.added) > 0 {
		n, ok = min(n, p.added[0].uid>>pageBits), true
	}
	return n, ok
}

// take splits off what is about page n.
func (p *parts) take(n uint32) (part parts) {
	part.removed, p.removed = cut(p.removed, func(uid uint32) bool { return uid>>pageBits > n })
	part.changed, p.changed = cut(p.changed, func(l letter) bool { return l.uid>>pageBits > n })
	part.moved, p.moved = cut(p.moved, func(x arrival) bool { return x.uid>>pageBits > n })
	part.added, p.added = cut(p.added, func(x arrival) bool { return x.uid>>pageBits > n })
	return part
}

// cut divides a list before the first element that is later.
func cut[T any](list []T, later func(T) bool) (before, after []T) {
	if i := slices.IndexFunc(list, later); i >= 0 {
		return list[:i], list[i:]
	}
	return list, nil
}

// apply changes the letters of a page.
func (p *parts) apply(list []record) ([]record, error) {
	at := func(uid uint32) (int, error) {
		i, ok := slices.BinarySearchFunc(list, uid, func(r record, uid uint32) int { return int(int64(r.uid) - int64(uid)) })
		if !ok {
			return 0, fmt.Errorf("%w: UID %d is not in its page", errCorrupt, uid)
		}
		return i, nil
	}
	for i := range p.moved {
		k, err := at(p.moved[i].uid)
		if err != nil {
			return nil, err
		}
		list[k].found = p.moved[i].found
	}
	for i := range p.changed {
		k, err := at(p.changed[i].uid)
		if err != nil {
			return nil, err
		}
		list[k].letter = p.changed[i]
	}
	n := len(list)
	list = slices.DeleteFunc(list, func(r record) bool {
		_, gone := slices.BinarySearch(p.removed, r.uid)
		return gone
	})
	if len(list)+len(p.removed) != n {
		return nil, fmt.Errorf("%w: removed letters are not in their page", errCorrupt)
	}
	return p.arrive(list)
}

// arrive appends new letters.
func (p *parts) arrive(list []record) ([]record, error) {
	for i := range p.added {
		if n := len(list); n > 0 && list[n-1].uid >= p.added[i].uid {
			return nil, fmt.Errorf("%w: UID %d was given twice", errCorrupt, p.added[i].uid)
		}
		list = append(list, record{p.added[i].letter, p.added[i].found})
	}
	return list, nil
}

// saveNames writes what a change does to names.
func (d *delta) saveNames(tx *sql.Tx) error {
	removed, added := d.removed, d.added
	for len(removed) > 0 || len(added) > 0 {
		n := uint32(1<<32 - 1)
		if len(removed) > 0 {
			n = removed[0] >> nameBits
		}
		if len(added) > 0 {
			n = min(n, added[0].uid>>nameBits)
		}
		list, err := d.b.readNames(context.Background(), tx, n)
		if err != nil {
			return err
		}
		var gone []uint32
		var come []arrival
		gone, removed = cut(removed, func(uid uint32) bool { return uid>>nameBits > n })
		come, added = cut(added, func(x arrival) bool { return x.uid>>nameBits > n })
		list = slices.DeleteFunc(list, func(x named) bool {
			_, found := slices.BinarySearch(gone, x.uid)
			return found
		})
		for i := range come {
			list = append(list, named{come[i].uid, come[i].base})
		}
		if err := d.b.writeNames(tx, n, list); err != nil {
			return err
		}
	}
	return nil
}
