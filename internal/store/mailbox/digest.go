package mailbox

import (
	"context"
	"errors"
	"iter"

	"facteur/internal/store/digest"
)

// Digest tells what a letter says; ErrGone if another session expunged it.
func (v *View) Digest(ctx context.Context, uid uint32) (*digest.Digest, error) {
	l, err := v.open(ctx, uid)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	d, err := digest.Make(l)
	if err != nil {
		return nil, err
	}
	d.UID = uid
	return d, nil
}

// Digests tells what many letters say, in the order of uids, which is best an
// ascending one. Of each digest, what want names is there. Letters that are gone
// are passed over; another error ends the sequence. A digest and what it points
// to is good until the next one.
func (v *View) Digests(ctx context.Context, uids []uint32, want digest.Want) iter.Seq2[*digest.Digest, error] {
	return func(yield func(*digest.Digest, error) bool) {
		for _, uid := range uids {
			d, err := v.Digest(ctx, uid)
			if errors.Is(err, ErrGone) {
				continue
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}
