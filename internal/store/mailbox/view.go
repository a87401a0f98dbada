package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"iter"
	"slices"

	"facteur/internal/mail/imap"
	"facteur/internal/store/maildir"
)

// View is one session's picture of a mailbox. Sequence numbers change only in
// Poll. It is used by one goroutine at a time, except for Wake.
type View struct {
	acct     *Account
	box      *box
	readOnly bool
	wakes    chan struct{}
	onWake   func()
	closed   bool
	may      func() Rights // nil: everything; see share.go

	uids     []uint32          // by sequence number - 1
	next     uint32            // letters below are in uids, or gone
	modSeq   uint64            // changes of letters up to here were told
	highest  uint64            // everything up to here was told
	words    int               // keywords that were told
	own      map[uint32]uint64 // letters changed by this session → their MODSEQ then
	recent   []span            // UIDs that are \Recent here
	removals uint64            // box.removals up to which removals were told
}

// span is a range of UIDs, last not included.
type span struct{ first, last uint32 }

// Select opens a mailbox for one session. Letters that no writing session has
// seen yet are \Recent in this one.
func (a *Account) Select(ctx context.Context, name string, readOnly bool) (*View, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	b, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if b.ownStamp {
		b.newStamp = 0 // a letter may have come beside a change of ours
		if !b.loaded {
			b.curStamp = 0 // look at everything once, not only at what we know of
		}
	}
	if err := b.sync(ctx); err != nil {
		return nil, err
	}
	if err := b.load(ctx); err != nil {
		return nil, err
	}
	v := &View{acct: a, box: b, readOnly: readOnly, wakes: make(chan struct{}, 1),
		modSeq: b.modSeq, highest: b.modSeq, removals: b.removals, words: len(b.keywords)}
	if b.views == nil {
		b.views = map[*View]bool{}
	}
	b.views[v] = true
	v.uids = make([]uint32, 0, len(b.letters))
	v.take()
	if a.store.watch != nil && len(b.views) == 1 {
		a.store.watch.add(b)
	}
	return v, nil
}

// take appends the letters that are new to the session. Callers hold Account.mu.
func (v *View) take() {
	i, _ := v.box.position(v.next)
	for _, l := range v.box.letters[i:] {
		v.uids = append(v.uids, l.uid)
	}
	v.next = v.box.uidNext
	if v.box.recent == nobodyLooked {
		if !v.readOnly {
			v.box.recent, v.box.unsaved = v.next, true
		}
		return
	}
	if v.box.recent < v.next {
		v.addRecent(span{v.box.recent, v.next})
		if !v.readOnly {
			v.box.recent, v.box.unsaved = v.next, true
		}
	}
}

// addRecent joins neighbouring ranges.
func (v *View) addRecent(s span) {
	if n := len(v.recent); n > 0 && v.recent[n-1].last >= s.first {
		v.recent[n-1].last = s.last
		return
	}
	v.recent = append(v.recent, s)
}

func (v *View) isRecent(uid uint32) bool {
	for _, s := range v.recent {
		if uid >= s.first && uid < s.last {
			return true
		}
	}
	return false
}

// Recent is how many letters are \\Recent in this session.
func (v *View) Recent() uint32 {
	var n int
	for _, s := range v.recent {
		first, _ := slices.BinarySearch(v.uids, s.first)
		last, _ := slices.BinarySearch(v.uids, s.last)
		n += last - first
	}
	return uint32(n)
}

// Name is the mailbox's name when it was opened.
func (v *View) Name() string { return v.box.name }

// ReadOnly is true after EXAMINE.
func (v *View) ReadOnly() bool { return v.readOnly }

// UIDValidity is the mailbox's UIDVALIDITY.
func (v *View) UIDValidity() uint32 { return v.box.validity }

// UIDNext is above every UID that this session knows.
func (v *View) UIDNext() uint32 { return v.next }

// HighestModSeq is the MODSEQ up to which this session was told everything
// (RFC 7162 §3.1.2.1): who comes back with it misses nothing.
func (v *View) HighestModSeq() uint64 { return v.highest }

// Keywords are the names that letters of this mailbox have or had.
func (v *View) Keywords() []string {
	v.box.mu.RLock()
	defer v.box.mu.RUnlock()
	return slices.Clone(v.box.keywords)
}

// Len is how many letters this session knows.
func (v *View) Len() uint32 { return uint32(len(v.uids)) }

// Letter gives the letter at seq (1 … Len) with its flags as of now; the zero
// Letter for another seq.
func (v *View) Letter(seq uint32) Letter {
	if seq == 0 || int(seq) > len(v.uids) {
		return Letter{}
	}
	var one [1]Letter
	v.look(seq, one[:])
	return one[0]
}

// batch is how many letters are looked at under one lock.
const batch = 128

// Letters gives the letters at sequence numbers, ascending, with their flags as of
// now. The session must not Poll meanwhile.
func (v *View) Letters(seqs imap.Ranges) iter.Seq2[uint32, Letter] {
	return func(yield func(uint32, Letter) bool) {
		var some [batch]Letter
		for _, r := range seqs {
			last := min(r.To, uint32(len(v.uids)))
			for seq := max(r.From, 1); seq <= last; {
				n := v.look(seq, some[:min(batch, last-seq+1)])
				for i := range n {
					if !yield(seq+uint32(i), some[i]) {
						return
					}
				}
				seq += uint32(n)
			}
		}
	}
}

// look fills some with the letters from seq on. Of a mailbox that rests and can't be
// brought back only UIDs are known.
func (v *View) look(seq uint32, some []Letter) int {
	b := v.box
	b.mu.RLock()
	if b.resting {
		b.mu.RUnlock()
		v.fetch() // if it fails, the session's next operation tells
		b.mu.RLock()
	}
	defer b.mu.RUnlock()
	for i := range some {
		uid := v.uids[int(seq)-1+i]
		l, ok := b.known(uid, int(seq)-1+i)
		if !ok {
			some[i] = Letter{UID: uid}
			continue
		}
		some[i] = b.show(l)
		some[i].Recent = v.isRecent(uid)
	}
	return len(some)
}

// known finds a letter that is there, or was; guess is where it may stand.
func (b *box) known(uid uint32, guess int) (letter, bool) {
	if guess < len(b.letters) && b.letters[guess].uid == uid {
		return b.letters[guess], true
	}
	if i, ok := b.position(uid); ok {
		return b.letters[i], true
	}
	i, ok := slices.BinarySearchFunc(b.buried, uid, func(t tomb, uid uint32) int {
		return int(int64(t.uid) - int64(uid))
	})
	if !ok {
		return letter{}, false
	}
	return b.buried[i].letter, true
}

// Seq finds a UID (0: not in the view).
func (v *View) Seq(uid uint32) uint32 {
	i, ok := slices.BinarySearch(v.uids, uid)
	if !ok {
		return 0
	}
	return uint32(i + 1)
}

// current is the start of every operation of a session. Callers hold Account.mu.
func (v *View) current(ctx context.Context) error {
	if v.closed || v.box.gone || !v.Rights().Has(RightRead) {
		return ErrMailboxGone
	}
	if err := v.acct.ready(ctx); err != nil {
		return err
	}
	if v.box.gone {
		return ErrMailboxGone
	}
	if err := v.box.sync(ctx); err != nil {
		return err
	}
	return v.box.load(ctx)
}

// writable is current for operations that change the mailbox.
func (v *View) writable(ctx context.Context) error {
	if v.readOnly {
		return ErrReadOnly
	}
	return v.current(ctx)
}

// Poll catches up with the store. Unless expunges is true, removals stay unsaid
// (and their letters keep their numbers) until a later Poll.
func (v *View) Poll(ctx context.Context, expunges bool) ([]Change, error) {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	if err := v.current(ctx); err != nil {
		return nil, err
	}
	b := v.box
	var out []Change
	if expunges && v.removals < b.removals {
		out = v.expunged(out)
		v.removals = b.removals
		b.clear()
	}
	told := len(v.uids)
	if v.take(); len(v.uids) > told {
		out = append(out, Change{Kind: Arrived, Seq: uint32(len(v.uids)), UID: v.uids[len(v.uids)-1]})
		v.anticipate(told)
	}
	if v.modSeq < b.modSeq {
		out = v.reflagged(out, told)
		v.modSeq = b.modSeq
	}
	if v.removals == b.removals {
		v.highest = b.modSeq
	}
	v.own = nil
	if len(b.keywords) > v.words {
		v.words = len(b.keywords)
		out = append(out, Change{Kind: KeywordsChanged})
	}
	return out, nil
}

// expunged takes out of the session's list what is no longer there.
func (v *View) expunged(out []Change) []Change {
	letters := v.box.letters
	keep := v.uids[:0]
	for _, uid := range v.uids {
		for len(letters) > 0 && letters[0].uid < uid {
			letters = letters[1:]
		}
		if len(letters) > 0 && letters[0].uid == uid {
			keep = append(keep, uid)
			continue
		}
		out = append(out, Change{Kind: Expunged, Seq: uint32(len(keep) + 1), UID: uid})
	}
	v.uids = keep
	return out
}

// reflagged tells of changes that others made to the first told letters.
func (v *View) reflagged(out []Change, told int) []Change {
	first, last := v.box.touchedSince(v.modSeq)
	from, _ := slices.BinarySearch(v.uids[:told], first)
	at, _ := v.box.position(first)
	letters := v.box.letters[at:]
	for i, uid := range v.uids[from:told] {
		for len(letters) > 0 && letters[0].uid < uid {
			letters = letters[1:]
		}
		if len(letters) == 0 || uid > last {
			break
		}
		l := letters[0]
		if l.uid == uid && l.modSeq > v.modSeq && v.own[uid] != l.modSeq {
			out = append(out, Change{Kind: Reflagged, Seq: uint32(from + i + 1), UID: uid})
		}
	}
	return out
}

// Wake gets a token when Poll would find something. Never closed.
func (v *View) Wake() <-chan struct{} { return v.wakes }

// OnWake has f called whenever Poll would find something, beside the token of Wake;
// nil: nobody any more. f is called under a lock of the account: it must neither wait
// nor call back. When OnWake returns, the f before is not being called.
func (v *View) OnWake(f func()) {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	v.onWake = f
}

// Open reads a message; ErrGone if another session expunged it.
func (v *View) Open(ctx context.Context, uid uint32) (Reader, error) {
	l, err := v.open(ctx, uid)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (v *View) open(ctx context.Context, uid uint32) (*maildir.Letter, error) {
	if v.Seq(uid) == 0 {
		return nil, ErrGone
	}
	if err := v.needs(RightRead); err != nil {
		return nil, err
	}
	if l, err := v.box.read(ctx, uid); err == nil {
		return l, nil
	}
	// Renamed between the look at the index and the open, by us or by another; or
	// the index was just closed.
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	if err := v.acct.ready(ctx); err != nil {
		return nil, err
	}
	l, err := v.box.read(ctx, uid)
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errCorrupt) {
		return l, err
	}
	v.box.distrust()
	if err := v.current(ctx); err != nil {
		return nil, err
	}
	if l, err = v.box.read(ctx, uid); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrGone
	}
	return l, err
}

// read opens a letter's file where the index has it.
func (b *box) read(ctx context.Context, uid uint32) (*maildir.Letter, error) {
	f, err := b.locate(ctx, uid)
	if err != nil {
		return nil, err
	}
	return maildir.OpenLetter(b.dir.FS, b.path(f.base, f.found))
}

// Close ends the session's use of the mailbox.
func (v *View) Close() error {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	if v.closed {
		return nil
	}
	v.closed = true
	b := v.box
	delete(b.views, v)
	b.clear()
	if len(b.views) > 0 {
		return nil
	}
	v.acct.unwatch(b)
	b.unload()
	if b.unsaved && !b.gone && v.acct.started && !v.acct.asleep {
		return v.acct.write(context.Background(), func(tx *sql.Tx) error {
			b.unsaved = false
			return b.saveRow(tx)
		})
	}
	return nil
}
