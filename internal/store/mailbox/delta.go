package mailbox

import (
	"context"
	"database/sql"
	"slices"
)

// delta is a change of one mailbox that goes to the index, then to the sessions.
type delta struct {
	b       *box
	removed []uint32 // ascending
	freed   int64    // bytes of the removed, with CRLF
	// freedFiles is the bytes of their files.
	freedFiles int64
	changed    []letter  // flags or keywords are others; ascending
	moved      []arrival // files that have another name now
	added      []arrival // ascending
	next       uint32    // UIDNEXT, if it is to be higher than after added
	after      numbers   // once it was saved
}

// empty tells whether no session will see anything of it.
func (d *delta) empty() bool { return len(d.removed)+len(d.changed)+len(d.added) == 0 }

// numbers are those of a mailbox as its row has them.
type numbers struct {
	count, bytes    int64
	uidNext         uint32
	modSeq          uint64
	unseen, deleted int64
	floor           uint64 // of the history
	size            int64  // of the history
}

// uidNext is the mailbox's after the change.
func (d *delta) uidNext() uint32 {
	next := max(d.b.uidNext, d.next)
	if n := len(d.added); n > 0 {
		next = max(next, d.added[n-1].uid+1)
	}
	return next
}

// modSeq is the mailbox's after the change.
func (d *delta) modSeq() uint64 {
	if d.empty() {
		return d.b.modSeq
	}
	return d.b.modSeq + 1
}

// stamp gives all letters of the change the next MODSEQ of the mailbox.
func (d *delta) stamp() {
	for i := range d.changed {
		d.changed[i].modSeq = d.b.modSeq + 1
	}
	for i := range d.added {
		d.added[i].modSeq = d.b.modSeq + 1
	}
}

// save writes the change and the mailbox's row as it is afterwards.
func (d *delta) save(tx *sql.Tx) error {
	d.stamp()
	b := d.b
	unseen, deleted, err := d.savePages(tx)
	if err != nil {
		return err
	}
	d.after = numbers{count: b.count + int64(len(d.added)) - int64(len(d.removed)), bytes: b.bytes - d.freed,
		uidNext: d.uidNext(), modSeq: d.modSeq(), unseen: b.unseen + unseen, deleted: b.deleted + deleted}
	for i := range d.added {
		d.after.bytes += d.added[i].size
	}
	if d.after.floor, d.after.size, err = d.remember(tx); err != nil {
		return err
	}
	return d.saveRow(tx)
}

const saveRow = `UPDATE mailbox SET uidnext = ?, modseq = ?, recent = ?, count = ?, bytes = ?, newstamp = ?, curstamp = ?,
	liststamp = ?, listnext = ?, listcount = ?, heir = ?, historyfloor = ?, historysize = ?, unseen = ?, deleted = ? WHERE id = ?`

// saveRow writes the mailbox's row. Stamps that a change of ours left are not
// written: something else may hide behind them, and who opens the account the next
// time, maybe after a crash, is to look.
func (d *delta) saveRow(tx *sql.Tx) error {
	b, n := d.b, d.after
	newStamp, curStamp := b.newStamp, b.curStamp
	if b.ownStamp {
		newStamp, curStamp = 0, 0
	}
	_, err := tx.Stmt(b.acct.idx.saveRow).Exec(n.uidNext, int64(n.modSeq), b.recent, n.count, n.bytes, newStamp, curStamp,
		b.listStamp, b.listNext, b.listCount, b.heir, int64(n.floor), n.size, n.unseen, n.deleted, b.id)
	return err
}

// saveRow writes the mailbox's row as it is.
func (b *box) saveRow(tx *sql.Tx) error {
	d := delta{b: b, after: numbers{b.count, b.bytes, b.uidNext, b.modSeq, b.unseen, b.deleted, b.historyFloor, b.historySize}}
	return d.saveRow(tx)
}

// change is what one transaction does: to mailboxes, and what is to be done to
// files because of it.
type change struct {
	deltas []*delta
	todos  []todo
	found  bool // it happened already: a scan has seen it
}

// of is the change of one mailbox.
func (c *change) of(b *box) *delta {
	i := slices.IndexFunc(c.deltas, func(d *delta) bool { return d.b == b })
	if i < 0 {
		i = len(c.deltas)
		c.deltas = append(c.deltas, &delta{b: b})
	}
	return c.deltas[i]
}

// commit writes changes of mailboxes and plans what is to be done to files, in one
// transaction, and brings the changes to the sessions. If it fails the disk will be
// read again.
func (a *Account) commit(ctx context.Context, c *change) error {
	for _, d := range c.deltas {
		if err := d.b.loadKeywords(ctx); err != nil {
			return err
		}
		if len(d.b.views) > 0 { // they must hear of it
			if err := d.b.load(ctx); err != nil {
				return err
			}
		}
	}
	for _, d := range c.deltas {
		d.b.where.hold()
	}
	err := a.write(ctx, func(tx *sql.Tx) error {
		for _, d := range c.deltas {
			if err := d.save(tx); err != nil {
				return err
			}
		}
		return a.plan(tx, c.todos)
	})
	for _, d := range c.deltas {
		d.b.where.release()
		if err != nil {
			d.b.newStamp, d.b.curStamp, d.b.unsaved = 0, 0, true
			continue
		}
		d.b.unsaved = false
		d.b.apply(d)
	}
	if err == nil {
		a.count(c)
	}
	return err
}

// carryOut commits and does what was decided. A failure of the latter is only
// reported: what was decided will be done, before anything else in the account.
func (a *Account) carryOut(ctx context.Context, c *change) error {
	if err := a.commit(ctx, c); err != nil {
		return err
	}
	if len(c.todos) == 0 {
		return nil
	}
	boxes := make([]*box, len(c.deltas))
	for i, d := range c.deltas {
		boxes[i] = d.b
	}
	defer a.quietly(len(c.todos), boxes...)()
	a.todos = c.todos
	if err := a.finish(ctx); err != nil {
		a.warn("files of an account can't be brought up to date: " + err.Error())
	}
	for _, d := range c.deltas {
		d.b.own()
	}
	return nil
}
