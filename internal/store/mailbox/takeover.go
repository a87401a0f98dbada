package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// This file is about mailboxes that come from another server with their UIDVALIDITY
// and UIDs, so that clients go on with what they have. A pair of both must mean the
// same bytes for ever (INV-10), so that this is done only where nobody can have been
// told something else:
//
//   - the mailbox never gave a UID, and no session has it open;
//   - the account never gave that UIDVALIDITY: it is above all that it gave, or below
//     the first of them and none that it took over before.
//
// facteur-uids says which they are. It says so before the index does, and for which
// mailbox; if the server ends in between, that mailbox can still have it. UIDNEXT is that of the other server from the start:
// what is delivered here meanwhile gets UIDs above all that are still to come.

// nobodyLooked stands as the first \Recent UID of a mailbox that was taken over, until
// the first writing session sees it: as long as it stands, letters may be added below
// UIDNEXT, for nobody has been told that there are none.
const nobodyLooked = 0

// maxTaken bounds how many UIDVALIDITYs an account takes over below its first one.
const maxTaken = 2 * maxMailboxes

// taking is a UIDVALIDITY that is noted as given, and the one of the mailbox that gets
// it: as long as a mailbox has that, which no other ever had or will have, the new one
// is in nobody's hands.
type taking struct{ validity, instead uint32 }

// pending is what a mailbox can still get, if there is something.
func (a *Account) pending() taking {
	for _, b := range a.boxes {
		if b.validity == a.taking.instead {
			return a.taking
		}
	}
	return taking{}
}

// known tells whether the account was open before.
func (a *Account) known() bool { return a.state.Epoch != 0 }

// noteTaken writes down what the mailboxes of a new account inherited.
func (a *Account) noteTaken() {
	for _, b := range a.boxes {
		a.noteValidity(b.validity)
	}
}

func (a *Account) noteValidity(v uint32) {
	if v < a.first && !slices.Contains(a.taken, v) {
		a.taken = append(a.taken, v)
	}
}

// TakeOver gives a mailbox the UIDVALIDITY and the UIDNEXT that it had on another server,
// if that can be done; kept tells whether it has them. It does so for a mailbox that has
// them already, from an earlier call, as long as no session has seen it.
func (a *Account) TakeOver(ctx context.Context, name string, validity, next uint32) (kept bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return false, err
	}
	b, err := a.find(name)
	if err != nil {
		return false, err
	}
	if validity == b.validity && b.recent == nobodyLooked {
		return true, b.raise(ctx, next)
	}
	if err := b.sync(ctx); err != nil {
		return false, err
	}
	if b.uidNext != 1 || len(b.views) > 0 || next == 0 || next >= maxUID-uncleanGap || !a.neverGave(validity) && a.taking != (taking{validity, b.validity}) {
		return false, nil
	}
	return true, a.takeOver(ctx, b, validity, next)
}

// neverGave tells whether no mailbox of the account ever had the UIDVALIDITY.
func (a *Account) neverGave(v uint32) bool {
	switch {
	case v == 0, v > maxValidity:
		return false
	case v > max(a.validity, a.state.Validity):
		return true
	}
	return v < a.first && len(a.taken) < maxTaken && !slices.Contains(a.taken, v)
}

// takeOver writes first that the UIDVALIDITY is given, then gives it.
func (a *Account) takeOver(ctx context.Context, b *box, validity, next uint32) error {
	a.noteValidity(validity)
	a.validity = max(a.validity, validity)
	a.taking = taking{validity, b.validity}
	if err := a.noteTaking(); err != nil {
		return err
	}
	modSeq := max(b.modSeq, uint64(a.now32())) // above those of Dovecot, which count changes
	err := a.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE mailbox SET validity = ?, uidnext = ?, modseq = ?, recent = ?, historyfloor = ?, listnext = 0, heir = 0 WHERE id = ?",
			validity, next, int64(modSeq), nobodyLooked, int64(modSeq), b.id)
		return err
	})
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.uidNext, b.modSeq = next, modSeq
	b.mu.Unlock()
	b.validity, b.recent, b.heir, b.listNext, b.historyFloor = validity, nobodyLooked, false, 0, modSeq
	a.taking = taking{}
	return a.noteTaking()
}

// noteTaking writes what is given and being given into facteur-uids.
func (a *Account) noteTaking() error {
	s := a.state
	s.Taken, s.First, s.Taking, s.Validity = a.taken, a.first, a.taking, max(s.Validity, a.validity)
	if err := writeState(a.fs, a.root, s); err != nil {
		return err
	}
	a.state = s
	return nil
}

// raise lifts UIDNEXT to that of the other server, where letters came meanwhile.
func (b *box) raise(ctx context.Context, next uint32) error {
	if next <= b.uidNext || next >= maxUID-uncleanGap {
		return nil
	}
	err := b.acct.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE mailbox SET uidnext = ? WHERE id = ?", next, b.id)
		return err
	})
	if err == nil {
		b.mu.Lock()
		b.uidNext = next
		b.mu.Unlock()
	}
	return err
}

// highest is the highest UID of the letters that are there.
func (b *box) highest(ctx context.Context) (last uint32, err error) {
	if b.count == 0 {
		return 0, nil
	}
	err = b.eachLetter(ctx, func(l *letter) { last = max(last, l.uid) })
	return last, err
}

var errBatch = errors.New("a batch of letters for more than one mailbox")
