package mailbox

import (
	"context"
	"database/sql"
	"errors"

	"facteur/internal/mail/message"
)

const (
	maxPart    = 64 << 10 // bytes of a structure that is worth keeping
	maxPending = 1 << 20  // bytes of structures that wait to be written
)

// cachedPart is a structure that waits for the next write. It is only a cache:
// it is not worth a transaction of its own.
type cachedPart struct {
	box  *box
	uid  uint32
	data []byte
}

// Structure is the parsed message, from the cache where it is there.
func (v *View) Structure(ctx context.Context, uid uint32) (*message.Part, error) {
	if p := v.box.cached(ctx, uid); p != nil {
		return p, nil
	}
	l, err := v.open(ctx, uid)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	p, err := message.Parse(l, message.Limits{})
	if err != nil {
		return nil, err
	}
	v.acct.keep(ctx, v.box, uid, p.Append(nil))
	return p, nil
}

// cached reads the cache. What can't be read is made anew.
func (b *box) cached(ctx context.Context, uid uint32) *message.Part {
	var data []byte
	err := b.acct.idx.part.QueryRowContext(ctx, b.id, uid).Scan(&data)
	if err != nil {
		return nil
	}
	p, err := message.Decode(data)
	if err != nil {
		return nil
	}
	return p
}

// keep puts a structure into the cache, sooner or later.
func (a *Account) keep(ctx context.Context, b *box, uid uint32, data []byte) {
	if len(data) > maxPart {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.started {
		return
	}
	a.structures = append(a.structures, cachedPart{b, uid, data})
	if a.partBytes += len(data) + 100; a.partBytes > maxPending {
		if err := a.write(ctx, func(*sql.Tx) error { return nil }); err != nil {
			a.structures, a.partBytes = nil, 0
		}
	}
}

// writeStructures goes along with a transaction. Letters that are gone
// meanwhile are left out.
func (a *Account) writeStructures(tx *sql.Tx) error {
	if len(a.structures) == 0 {
		return nil
	}
	s, err := tx.Prepare(`INSERT OR REPLACE INTO structure (mailbox, uid, part)
		SELECT mailbox, uid, ? FROM letter WHERE mailbox = ? AND uid = ?`)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, c := range a.structures {
		if _, e := s.Exec(c.data, c.box.id, c.uid); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}
