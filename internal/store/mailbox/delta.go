package mailbox

import (
	"context"
	"database/sql"
	"errors"
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
	words      bool      // keywords of changed are others too
	moved      []arrival // files that have another name now
	added      []arrival // ascending
	next       uint32    // UIDNEXT, if it is to be higher than after added
}

// empty tells whether no session will see anything of it.
func (d *delta) empty() bool { return len(d.removed)+len(d.changed)+len(d.added) == 0 }

// numbers are those of the mailbox after the change.
func (d *delta) numbers() (count, bytes int64, uidNext uint32) {
	count = d.b.count + int64(len(d.added)) - int64(len(d.removed))
	bytes, uidNext = d.b.bytes-d.freed, max(d.b.uidNext, d.next)
	for i := range d.added {
		bytes += d.added[i].size
		uidNext = max(uidNext, d.added[i].uid+1)
	}
	return count, bytes, uidNext
}

// modSeq is the mailbox's MODSEQ after the change.
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

// save writes the change and the mailbox's row as it is afterwards. Stamps that
// a change of ours left are not written: something else may hide behind them,
// and who opens the account the next time, maybe after a crash, is to look.
func (d *delta) save(tx *sql.Tx) error {
	d.stamp()
	b := d.b
	if err := errors.Join(b.forget(tx, d.removed), b.replace(tx, d.moved), b.refile(tx, d.changed, d.words), b.insert(tx, d.added)); err != nil {
		return err
	}
	floor, size, err := d.remember(tx)
	if err != nil {
		return err
	}
	count, bytes, uidNext := d.numbers()
	newStamp, curStamp := b.newStamp, b.curStamp
	if b.ownStamp {
		newStamp, curStamp = 0, 0
	}
	_, err = tx.Exec(`UPDATE mailbox SET uidnext = ?, modseq = ?, recent = ?, count = ?, bytes = ?, newstamp = ?, curstamp = ?,
		liststamp = ?, listnext = ?, listcount = ?, heir = ?, historyfloor = ?, historysize = ? WHERE id = ?`,
		uidNext, int64(d.modSeq()), b.recent, count, bytes, newStamp, curStamp,
		b.listStamp, b.listNext, b.listCount, b.heir, int64(floor), size, b.id)
	if err == nil {
		b.historyFloor, b.historySize = floor, size
	}
	return err
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
	err := a.write(ctx, func(tx *sql.Tx) error {
		for _, d := range c.deltas {
			if err := d.save(tx); err != nil {
				return err
			}
		}
		return plan(tx, c.todos)
	})
	for _, d := range c.deltas {
		if err != nil {
			d.b.newStamp, d.b.curStamp, d.b.unsaved = 0, 0, true
			d.b.historyFloor = d.b.modSeq // what was remembered is not in the index
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
	a.todos = c.todos
	if err := a.finish(ctx); err != nil {
		a.warn("files of an account can't be brought up to date: " + err.Error())
	}
	for _, d := range c.deltas {
		d.b.own()
	}
	return nil
}
