package mailbox

import (
	"context"
	"errors"
	"iter"

	"facteur/internal/mail/imap"
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
		tell := func(r *Reading, err error) bool { return err == nil && r.Digest == nil || yield(r.Digest, err) }
		j := v.digestJob(want)
		for _, uid := range uids {
			if seq := v.Seq(uid); seq > 0 && !j.take(ctx, seq, v.Letter(seq), tell) {
				return
			}
		}
		j.tell(ctx, tell)
	}
}

// Reading is a letter and what it says.
type Reading struct {
	Seq uint32
	Letter
	Digest *digest.Digest // nil if the letter is gone, or nothing was asked
}

// Read gives the letters at sequence numbers with what they say, as Letters and
// Digests do.
func (v *View) Read(ctx context.Context, seqs imap.Ranges, want digest.Want) iter.Seq2[*Reading, error] {
	return func(yield func(*Reading, error) bool) {
		j := v.digestJob(want)
		var one Reading
		for seq, l := range v.Letters(seqs) {
			if want == 0 {
				if one = (Reading{Seq: seq, Letter: l}); !yield(&one, nil) {
					return
				}
			} else if !j.take(ctx, seq, l, yield) {
				return
			}
		}
		j.tell(ctx, yield)
	}
}

// digestJob is one question for digests.
type digestJob struct {
	v     *View
	r     *digest.Reader
	want  digest.Want
	some  []Reading // what is looked at now, all of one page of the cache
	keys  []digest.Key
	bytes int64
	maker digest.Maker
}

func (v *View) digestJob(want digest.Want) *digestJob {
	return &digestJob{v: v, r: v.acct.digests.Reader(want), want: want}
}

const (
	// chunkBytes bounds the letters that are worked through before the first of
	// them is told of, in octets: a client should not wait long.
	chunkBytes = 4 << 20
	// longLetter is from when on a letter is not worked through for the sake of some
	// lines of its header, in octets.
	longLetter = 256 << 10
)

// take adds a letter to those that are looked at, and tells of these first if it
// doesn't belong to them. False ends it all.
func (j *digestJob) take(ctx context.Context, seq uint32, l Letter, yield func(*Reading, error) bool) bool {
	k := digest.Key{Validity: j.v.box.validity, UID: l.UID, Size: l.Size, Received: l.Received.Unix()}
	if len(j.keys) > 0 && (!k.Beside(j.keys[0]) || j.bytes+l.Size > chunkBytes) && !j.tell(ctx, yield) {
		return false
	}
	j.keys = append(j.keys, k)
	j.some = append(j.some, Reading{Seq: seq, Letter: l})
	j.bytes += l.Size
	return true
}

// tell gives the letters that are looked at.
func (j *digestJob) tell(ctx context.Context, yield func(*Reading, error) bool) bool {
	if len(j.keys) == 0 {
		return true
	}
	err := j.v.needs(RightRead)
	if err == nil {
		err = j.fill(ctx)
	}
	if err != nil {
		yield(nil, err)
		return false
	}
	for i, k := range j.keys {
		d, err := j.r.Get(k), error(nil)
		if d == nil {
			d, err = j.make(ctx, k)
		}
		if errors.Is(err, ErrGone) {
			d, err = nil, nil
		}
		j.some[i].Digest = d
		if !yield(&j.some[i], err) || err != nil {
			return false
		}
	}
	j.keys, j.some, j.bytes = j.keys[:0], j.some[:0], 0
	return true
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
	j.v.acct.store.aside.add(sideJob{b: j.v.box})
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
	d, err := j.maker.Make(l)
	if err != nil {
		return nil, err
	}
	d.UID = k.UID
	return d, nil
}
