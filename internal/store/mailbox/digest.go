package mailbox

import (
	"context"
	"errors"
	"iter"

	"facteur/internal/mail/message"
	"facteur/internal/store/digest"
)

// Digest tells what a letter says; ErrGone if another session expunged it.
func (v *View) Digest(ctx context.Context, uid uint32) (*digest.Digest, error) {
	for d, err := range v.Digests(ctx, []uint32{uid}, digest.All) {
		return d, err
	}
	return nil, ErrGone
}

// Structure is the parsed message.
func (v *View) Structure(ctx context.Context, uid uint32) (*message.Part, error) {
	for d, err := range v.Digests(ctx, []uint32{uid}, digest.Body) {
		if err != nil {
			return nil, err
		}
		return d.Part, nil
	}
	return nil, ErrGone
}

// Digests tells what many letters say, in the order of uids, which is best an
// ascending one. Of each digest, what want names is there. Letters that are gone
// are passed over; another error ends the sequence. A digest and what its slices
// point to is good until the next one.
//
// What is not in the cache is worked out and put there, up to 64 letters at a time,
// by one session if several ask.
func (v *View) Digests(ctx context.Context, uids []uint32, want digest.Want) iter.Seq2[*digest.Digest, error] {
	return func(yield func(*digest.Digest, error) bool) {
		j := digestJob{v: v, r: v.acct.digests.Reader(want), want: want}
		for len(uids) > 0 {
			uids = j.chunk(uids)
			err := j.fill(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, k := range j.keys {
				d := j.r.Get(k)
				if d == nil {
					d, err = j.make(ctx, k)
				}
				if errors.Is(err, ErrGone) {
					continue
				}
				if !yield(d, err) || err != nil {
					return
				}
			}
		}
	}
}

// digestJob is one question for digests.
type digestJob struct {
	v    *View
	r    *digest.Reader
	want digest.Want
	keys []digest.Key // what is looked at now, all of one page of the cache
}

const (
	// chunkBytes bounds the letters that are worked through before the first of
	// them is told of, in octets: a client should not wait long.
	chunkBytes = 4 << 20
	// longLetter is from when on a letter is not worked through for the sake of some
	// lines of its header, in octets.
	longLetter = 256 << 10
)

// chunk takes the next letters and gives those that are left.
func (j *digestJob) chunk(uids []uint32) (left []uint32) {
	j.keys = j.keys[:0]
	var sum int64
	for i, uid := range uids {
		seq := j.v.Seq(uid)
		if seq == 0 {
			continue
		}
		l := j.v.Letter(seq)
		k := digest.Key{Validity: j.v.box.validity, UID: uid, Size: l.Size, Received: l.Received.Unix()}
		sum += l.Size
		if len(j.keys) > 0 && (!k.Beside(j.keys[0]) || sum > chunkBytes) {
			return uids[i:]
		}
		j.keys = append(j.keys, k)
	}
	return nil
}

// fill works out what is missing.
func (j *digestJob) fill(ctx context.Context) error {
	if j.filled() {
		return nil
	}
	cache := j.v.acct.digests
	release, err := cache.Reserve(ctx, j.keys[0])
	if err != nil {
		return err
	}
	defer release()
	j.r.Forget() // another session may have made them
	for _, k := range j.keys {
		if j.r.Has(k) || j.spared(k) {
			continue
		}
		d, err := j.make(ctx, k)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		cache.Keep(k, d)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	j.r.Forget()
	return nil
}

func (j *digestJob) filled() bool {
	for _, k := range j.keys {
		if !j.r.Has(k) && !j.spared(k) {
			return false
		}
	}
	return true
}

// spared tells of which letters only the header is worth a look.
func (j *digestJob) spared(k digest.Key) bool { return j.want == digest.Lines && k.Size > longLetter }

// make works out one digest.
func (j *digestJob) make(ctx context.Context, k digest.Key) (*digest.Digest, error) {
	if j.spared(k) {
		return &digest.Digest{UID: k.UID}, nil
	}
	l, err := j.v.open(ctx, k.UID)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	d, err := digest.Make(l)
	if err != nil {
		return nil, err
	}
	d.UID = k.UID
	return d, nil
}
