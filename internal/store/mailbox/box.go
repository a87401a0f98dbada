package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/store/maildir"
)

// letter is a letter of a loaded mailbox: 40 bytes. What is not needed to
// answer FETCH FLAGS and SEARCH is in the index only.
type letter struct {
	modSeq   uint64
	received int64 // s
	size     int64 // bytes, with CRLF
	uid      uint32
	words    uint32 // which of box.sets
	flags    SystemFlags
	saved    uint32 // s; 0: not known
}

// box is a mailbox. Account.mu guards what stands first; mu what sessions read.
type box struct {
	acct     *Account
	id       int64
	name     string
	folder   string
	dir      maildir.Dir
	validity uint32
	recent   uint32 // letters from this UID on are \Recent for the next session
	count    int64
	bytes    int64
	newStamp int64 // mtime of new/ when last read; 0: read it again
	curStamp int64
	ownStamp bool // the stamps were taken after a change of ours, not by a scan
	doubtful bool // something was otherwise than expected since the last scan
	lastScan time.Time
	patience time.Duration // after lastScan, while the stamps are of ours
	arrived  atomic.Bool   // another program put a file into new/ since the last look
	unsaved  bool          // recent or a stamp is newer than in the index
	gone     bool
	loaded   bool
	swept    bool // the cache of digests, since it was loaded
	// The list of UIDs, see uidlist.go; the names are those of the columns.
	listStamp, listCount int64
	listNext             uint32
	heir                 bool
	listSeen             bool // its mtime was looked at since the account was opened
	// The history of removals, see history.go.
	historyFloor    uint64
	historySize     int64
	unseen, deleted int64
	views           map[*View]bool
	numbers         map[string]uint16 // keyword in lower case → number, once asked for
	setNumbers      map[string]uint32 // packed keywords → index of sets
	touches         []touch           // the last changes of flags, ascending by MODSEQ
	forgotten       uint64            // changes up to this MODSEQ are not among them
	damaged         atomic.Bool       // a page was found damaged
	where           whereabouts

	notes  notes    // see metadata.go
	shared aclCache // who else may do what; see share.go

	mu       sync.RWMutex
	uidNext  uint32
	modSeq   uint64
	letters  []letter // ascending by uid, when loaded
	keywords []string // by number
	sets     []keywordSet
	resting  bool   // letters are not in memory though sessions are there
	buried   []tomb // letters that are gone but not for every session
	removals uint64 // how many times letters were removed
}

// keywordSet is a combination of keywords that some letter has.
type keywordSet struct {
	text  string   // as in the index: packWords
	names []string // sorted
}

// tomb keeps what a session may still ask about a letter that is gone.
type tomb struct {
	letter
	removal uint64
}

// load reads the letters for the first session. Callers hold Account.mu.
func (b *box) load(ctx context.Context) error {
	if b.loaded {
		return nil
	}
	if err := b.loadKeywords(ctx); err != nil {
		return err
	}
	letters, err := b.readLetters(ctx)
	if errors.Is(err, errCorrupt) {
		if err = b.sync(ctx); err == nil { // which mends
			letters, err = b.readLetters(ctx)
		}
	}
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.letters, b.resting = letters, false
	b.mu.Unlock()
	b.loaded = true
	return nil
}

func (b *box) readLetters(ctx context.Context) ([]letter, error) {
	letters := make([]letter, 0, max(b.count, 0))
	err := b.eachPage(ctx, queryPages, 0, func(_ uint32, list []record) error {
		for i := range list {
			letters = append(letters, list[i].letter)
		}
		return nil
	})
	if err == nil && int64(len(letters)) != b.count {
		err = b.corrupt(fmt.Errorf("%w: %d letters in %s, not %d", errCorrupt, len(letters), b.name, b.count))
	}
	return letters, err
}

// unload forgets the letters when the last session has left.
func (b *box) unload() {
	b.mu.Lock()
	b.letters, b.buried, b.resting = nil, nil, false
	b.mu.Unlock()
	b.loaded, b.swept = false, false
}

// end tells the sessions that the mailbox is no more (or the account is closed).
func (b *box) end() {
	b.gone = true
	b.wake()
}

func (b *box) loadKeywords(ctx context.Context) error {
	if b.numbers != nil {
		return nil
	}
	numbers, names := map[string]uint16{}, []string{}
	rows, err := b.acct.idx.db.QueryContext(ctx, "SELECT name FROM keyword WHERE mailbox = ? ORDER BY number", b.id)
	if err == nil {
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			numbers[strings.ToLower(name)] = uint16(len(names))
			names = append(names, name)
		}
		err = rows.Err()
	}
	if err != nil {
		b.acct.suspect(err)
		return err
	}
	b.numbers, b.setNumbers = numbers, map[string]uint32{"": 0}
	b.mu.Lock()
	b.keywords, b.sets = names, []keywordSet{{}}
	b.mu.Unlock()
	return nil
}

// set gives the number of a combination of keywords, in the form of packWords.
// Callers hold Account.mu.
func (b *box) set(packed []byte) uint32 {
	if n, ok := b.setNumbers[string(packed)]; ok {
		return n
	}
	s := keywordSet{text: string(packed)}
	for _, n := range unpackWords(s.text) {
		if int(n) < len(b.keywords) {
			s.names = append(s.names, b.keywords[n])
		}
	}
	sort.Strings(s.names)
	b.mu.Lock()
	b.sets = append(b.sets, s)
	b.mu.Unlock()
	b.setNumbers[s.text] = uint32(len(b.sets) - 1)
	return b.setNumbers[s.text]
}

// setText is the reverse of set.
func (b *box) setText(n uint32) string { return b.sets[n].text }

// position finds a letter by UID. Callers hold mu.
func (b *box) position(uid uint32) (int, bool) {
	return slices.BinarySearchFunc(b.letters, uid, func(l letter, uid uint32) int {
		return int(int64(l.uid) - int64(uid))
	})
}

// show gives a letter as the outside sees it. Callers hold mu.
func (b *box) show(l letter) Letter {
	out := Letter{
		UID: l.uid, ModSeq: l.modSeq, Size: l.size, Received: time.Unix(l.received, 0),
		Flags: Flags{System: l.flags, Keywords: b.sets[l.words].names},
	}
	if l.saved != 0 {
		out.Saved = time.Unix(int64(l.saved), 0)
	}
	return out
}

// apply brings a committed delta into memory and wakes the sessions.
func (b *box) apply(d *delta) {
	b.mu.Lock()
	b.count, b.bytes, b.uidNext, b.modSeq = d.after.count, d.after.bytes, d.after.uidNext, d.after.modSeq
	b.unseen, b.deleted, b.historyFloor, b.historySize = d.after.unseen, d.after.deleted, d.after.floor, d.after.size
	if b.loaded {
		for _, l := range d.changed {
			if i, ok := b.position(l.uid); ok {
				b.letters[i] = l
			}
		}
		b.bury(d.removed)
		for i := range d.added {
			b.letters = append(b.letters, d.added[i].letter)
		}
	}
	b.mu.Unlock()
	b.touched(d)
	if !d.empty() {
		b.wake()
		b.acct.tellChange(d)
	}
}

// touch is between which UIDs a change of flags was.
type touch struct {
	modSeq      uint64
	first, last uint32
}

// maxTouches is how many changes of flags are remembered, so that a session need not
// look through all letters to find one that was changed.
const maxTouches = 64

// touched remembers a change. Callers hold Account.mu.
func (b *box) touched(d *delta) {
	if len(d.changed) == 0 {
		return
	}
	if len(b.touches) == maxTouches {
		b.forgotten = b.touches[0].modSeq
		b.touches = append(b.touches[:0], b.touches[1:]...)
	}
	b.touches = append(b.touches, touch{d.after.modSeq, d.changed[0].uid, d.changed[len(d.changed)-1].uid})
}

// touchedSince is between which UIDs flags changed after a MODSEQ.
func (b *box) touchedSince(modSeq uint64) (first, last uint32) {
	if modSeq < b.forgotten {
		return 1, maxUID
	}
	first = maxUID
	for _, t := range b.touches {
		if t.modSeq > modSeq {
			first, last = min(first, t.first), max(last, t.last)
		}
	}
	return first, last
}

// bury takes letters out, but keeps them as long as a session may ask for them.
func (b *box) bury(uids []uint32) {
	if len(uids) == 0 {
		return
	}
	b.removals++
	first, _ := b.position(uids[0])
	keep := b.letters[:first]
	for _, l := range b.letters[first:] {
		for len(uids) > 0 && uids[0] < l.uid {
			uids = uids[1:]
		}
		if len(uids) == 0 || l.uid != uids[0] {
			keep = append(keep, l)
			continue
		}
		uids = uids[1:]
		b.buried = append(b.buried, tomb{l, b.removals})
	}
	b.letters = keep
	slices.SortFunc(b.buried, func(x, y tomb) int { return int(int64(x.uid) - int64(y.uid)) })
}

// clear forgets letters that every session knows to be gone. Callers hold
// Account.mu.
func (b *box) clear() {
	oldest := b.removals
	for v := range b.views {
		oldest = min(oldest, v.removals)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buried = slices.DeleteFunc(b.buried, func(t tomb) bool { return t.removal <= oldest })
	if len(b.buried) == 0 {
		b.buried = nil
	}
}

// wake gives each session a token, and tells those who want to be told. Callers hold
// Account.mu.
func (b *box) wake() {
	for v := range b.views {
		select {
		case v.wakes <- struct{}{}:
		default:
		}
		if v.onWake != nil {
			v.onWake()
		}
	}
}
