package pop3d

import (
	"context"
	"iter"
	"math/bits"
	"slices"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/pop3"
	"facteur/internal/store/mailbox"
)

// maildrop is the letters of a session and what the client wants to become of them.
type maildrop struct {
	view    *mailbox.View
	rules   *Rules
	numbers []uint32       // of the letters in view, by message number - 1; nil: the same
	uidls   *mailbox.UIDLs // nil until they are asked for

	count uint32 // letters at the log-in
	size  int64  // their octets

	deleted, seen marks
	gone          int64 // octets of those that are marked as deleted
}

// marks is a set of message numbers, a bit for each once there is one.
type marks struct {
	bits []uint64
	n    int
}

func (m *marks) has(n uint32) bool { return m.bits != nil && m.bits[n/64]&(1<<(n%64)) != 0 }

// add marks one of the numbers up to most.
func (m *marks) add(n, most uint32) {
	if m.has(n) {
		return
	}
	if m.bits == nil {
		m.bits = make([]uint64, most/64+1)
	}
	m.bits[n/64] |= 1 << (n % 64)
	m.n++
}

// openMaildrop looks at the INBOX of an account.
func openMaildrop(ctx context.Context, a *mailbox.Account, r *Rules) (*maildrop, error) {
	v, err := a.Select(ctx, "INBOX", false)
	if err != nil {
		return nil, err
	}
	d := &maildrop{view: v, rules: r}
	if r.Deletion == Flag && slices.Contains(v.Keywords(), r.Hidden) {
		d.numbers = make([]uint32, 0, v.Len())
	}
	for seq, l := range v.Letters(imap.Ranges{{From: 1, To: v.Len()}}) {
		if d.numbers != nil {
			if slices.Contains(l.Flags.Keywords, r.Hidden) {
				continue
			}
			d.numbers = append(d.numbers, seq)
		}
		d.count++
		d.size += l.Size
	}
	return d, nil
}

// seq is where a message stands in the view.
func (d *maildrop) seq(n uint32) uint32 {
	if d.numbers != nil {
		return d.numbers[n-1]
	}
	return n
}

func (d *maildrop) letter(n uint32) mailbox.Letter { return d.view.Letter(d.seq(n)) }

// listed gives the messages from the first to the last that are not marked as deleted.
func (d *maildrop) listed(first, last uint32) iter.Seq2[uint32, mailbox.Letter] {
	return func(yield func(uint32, mailbox.Letter) bool) {
		if d.numbers != nil {
			for n := first; n <= last; n++ {
				if !d.deleted.has(n) && !yield(n, d.letter(n)) {
					return
				}
			}
			return
		}
		for n, l := range d.view.Letters(imap.Ranges{{From: first, To: last}}) {
			if !d.deleted.has(n) && !yield(n, l) {
				return
			}
		}
	}
}

// delete marks a message.
func (d *maildrop) delete(n uint32) {
	d.deleted.add(n, d.count)
	d.gone += d.letter(n).Size
}

// reset takes all marks back.
func (d *maildrop) reset() { d.deleted, d.gone = marks{}, 0 }

// uidl appends the unique-id of a letter.
func (d *maildrop) uidl(to []byte, uid uint32) []byte {
	if own := d.uidls.Of(uid); pop3.Valid(own) {
		return append(to, own...)
	}
	return d.rules.UIDL.Append(to, uid, d.view.UIDValidity())
}

// uids are the letters of marked messages, ascending.
func (d *maildrop) uids(m *marks) []uint32 {
	list := make([]uint32, 0, m.n)
	for i, word := range m.bits {
		for ; word != 0; word &= word - 1 {
			n := uint32(i*64 + bits.TrailingZeros64(word))
			list = append(list, d.letter(n).UID)
		}
	}
	return list
}

// update carries out what was marked, after QUIT.
func (d *maildrop) update(ctx context.Context) error {
	uids := d.uids(&d.deleted)
	if len(uids) == 0 {
		return nil
	}
	switch d.rules.Deletion {
	case Trash:
		_, _, err := d.view.Move(ctx, uids, d.rules.Trash)
		return err
	case Flag:
		_, err := d.view.Store(ctx, uids, mailbox.FlagsAdd, mailbox.Flags{Keywords: []string{d.rules.Hidden}})
		return err
	}
	return d.view.Remove(ctx, uids)
}

// markSeen notes what was read, however the session ends: in one go, since each change
// of the index is written to the disk.
func (d *maildrop) markSeen(ctx context.Context) error {
	uids := d.uids(&d.seen)
	d.seen = marks{}
	if len(uids) == 0 {
		return nil
	}
	_, err := d.view.Store(ctx, uids, mailbox.FlagsAdd, mailbox.Flags{System: mailbox.Seen})
	return err
}
