package imapd

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
	"facteur/internal/store/digest"
	"facteur/internal/store/fulltext"
	"facteur/internal/store/mailbox"
)

// indexer makes the index of texts for mailboxes in which somebody has looked for one:
// who never does pays nothing. It works on one mailbox at a time, after the search
// that found letters missing, and rests three times as long as it works.
type indexer struct {
	mu   sync.Mutex
	busy bool
}

const (
	// indexRest is how long the indexer rests for each unit of time that it worked.
	indexRest = 3
	// indexTime bounds the work on one mailbox; the next search goes on with it.
	indexTime = 10 * time.Minute
)

// want begins to index what a search found missing, unless another mailbox is being
// indexed: its turn comes with its next search.
func (x *indexer) want(v *mailbox.View) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.busy {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), indexTime)
	again, done, err := v.Reopen(ctx)
	if err != nil {
		cancel()
		return // a cache; the search had its answer
	}
	x.busy = true
	go func() {
		defer x.rest()
		defer cancel()
		defer done()
		index(ctx, again)
	}()
}

func (x *indexer) rest() {
	x.mu.Lock()
	x.busy = false
	x.mu.Unlock()
}

// index brings the letters of a mailbox into the index, page by page. What fails is
// left: it is read when it is searched.
func index(ctx context.Context, v *mailbox.View) {
	texts := v.Texts()
	if texts.Sweep(ctx, v.Validities(), v.UIDValidity(), uidsOf(v)) != nil {
		return
	}
	for seq := uint32(1); seq <= v.Len() && ctx.Err() == nil; {
		began := time.Now()
		uids := besides(v, seq)
		seq += uint32(len(uids))
		if worked, err := indexPage(ctx, v, uids); err != nil {
			return
		} else if worked {
			sleep(ctx, indexRest*time.Since(began))
		}
	}
}

// uidsOf is the UIDs of all letters.
func uidsOf(v *mailbox.View) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, l := range v.Letters(imap.Ranges{{From: 1, To: v.Len()}}) {
			if !yield(l.UID) {
				return
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// besides is the UIDs from seq on that share a page.
func besides(v *mailbox.View, seq uint32) (uids []uint32) {
	for ; seq <= v.Len(); seq++ {
		uid := v.Letter(seq).UID
		if len(uids) > 0 && uid/fulltext.Beside != uids[0]/fulltext.Beside {
			break
		}
		uids = append(uids, uid)
	}
	return uids
}

// indexPage indexes letters of one page that are not in it.
func indexPage(ctx context.Context, v *mailbox.View, uids []uint32) (worked bool, err error) {
	r := v.Texts().Reader(ctx, v.UIDValidity())
	page := r.Page(uids[0])
	r.Close()
	if page == nil {
		page = fulltext.NewPage()
	}
	var missing []uint32
	for _, uid := range uids {
		if seq := v.Seq(uid); seq > 0 && !page.Has(indexed(v.Letter(seq))) {
			missing = append(missing, uid)
		}
	}
	if len(missing) == 0 {
		return false, nil
	}
	key := &query{view: v, want: digest.Body}
	digests := key.pull(ctx, missing)
	defer digests.stop()
	w := signer{}
	for content, err := range v.Contents(ctx, missing, key.most()) {
		if err != nil {
			return true, err
		}
		d, err := digests.of(content.UID)
		if errors.Is(err, mailbox.ErrGone) {
			continue
		}
		if err != nil {
			return true, err
		}
		if w.sign(content, d) {
			page.Put(indexed(v.Letter(v.Seq(content.UID))), &w.Signature)
		}
	}
	return true, v.Texts().Put(ctx, v.UIDValidity(), uids[0], page)
}

// signer gathers all that a search would look at in a letter.
type signer struct {
	fulltext.Signature
	opened
}

// sign says whether the signature is good. A large letter is never ruled out.
func (w *signer) sign(c mailbox.Content, d *digest.Digest) bool {
	w.Reset()
	if !c.Whole {
		w.Fill()
		return true
	}
	w.opened = opened{whole: c.Text, tree: d.Part, header: message.Header(c.Text[:min(message.HeaderEnd(c.Text), maxHeader)])}
	w.addHeader(w.header)
	w.walk(w.tree, w.addHeader, w.addText)
	return w.err == nil
}

func (w *signer) addHeader(h message.Header) bool {
	for f := range h.Fields() {
		w.Add([]byte(string(f.Name) + ": " + string(fieldText(f))))
	}
	return false
}

func (w *signer) addText(part *message.Part) bool {
	plain, r := w.text(part)
	if r != nil {
		var err error
		if plain, err = io.ReadAll(r); err != nil {
			w.fail(err)
		}
	}
	w.Add(plain)
	return false
}
