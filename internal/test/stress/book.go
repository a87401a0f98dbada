package stress

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Book is what all clients know for certain, together.
type Book struct {
	hazy    bool // see Config.Hazy
	mu      sync.Mutex
	clock   int // counts what is written
	boxes   map[string]*box
	letters map[string]*letter
	broken  []string
	serial  int
}

// box is one mailbox.
type box struct {
	validity uint32
	next     uint32 // the highest UIDNEXT that anybody was told
	modseq   uint64 // the highest
	uids     map[uint32]*fact
}

// fact is what is known of a UID that was there at some time.
type fact struct {
	id      string // of the letter
	sum     [sha256.Size]byte
	read    bool              // sum is known
	deleted bool              // somebody marked it \Deleted, or asked for it
	moved   bool              // somebody asked to move it
	items   map[string]string // what FETCH told of it that never changes
	gone    int               // when somebody was told that it is gone; 0: nobody
	story   []string
}

// tell adds to what is told of a UID when something is wrong with it.
func (f *fact) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if n := len(f.story); n > 0 && f.story[n-1] == line {
		return
	}
	if f.story = append(f.story, line); len(f.story) > 30 {
		f.story = f.story[1:]
	}
}

// letter is one that was given to the server.
type letter struct {
	taken   bool // the server said so
	deleted bool // somebody marked a copy of it \Deleted
}

func newBook(hazy bool) *Book {
	return &Book{hazy: hazy, boxes: make(map[string]*box), letters: make(map[string]*letter)}
}

// compose makes a letter that carries its own checksum.
func (b *Book) compose(words string) (id, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serial++
	id = fmt.Sprintf("letter-%d", b.serial)
	b.letters[id] = new(letter)
	return id, fmt.Sprintf("From: bob@example.net\r\nSubject: %s\r\nX-Letter: %s\r\nX-Sum: %x\r\n\r\n%s", id, id, sha256.Sum256([]byte(words)), words)
}

// taken: the server has said that it has the letter.
func (b *Book) taken(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters[id].taken = true
}

// violation writes down that something is wrong.
func (b *Book) violation(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong(format, args...)
}

func (b *Book) wrong(format string, args ...any) {
	if len(b.broken) < 20 {
		b.broken = append(b.broken, fmt.Sprintf(format, args...))
	}
}

// violations are those so far.
func (b *Book) violations() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.broken)
}

// now is the time of the book: what is written later has a higher one.
func (b *Book) now() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock++
	return b.clock
}

func (b *Book) box(name string) *box {
	if b.boxes[name] == nil {
		b.boxes[name] = &box{uids: make(map[uint32]*fact)}
	}
	return b.boxes[name]
}

func (x *box) fact(uid uint32) *fact {
	if x.uids[uid] == nil {
		x.uids[uid] = new(fact)
	}
	return x.uids[uid]
}

// expect is what somebody may expect of a command that he sends now.
type expect struct {
	at     int
	next   uint32
	modseq uint64
}

func (b *Book) expect(name string) expect {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock++
	x := b.box(name)
	return expect{b.clock, x.next, x.modseq}
}

// selected: what a SELECT said that was sent with those expectations.
func (b *Book) selected(name string, before expect, validity, next uint32, modseq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.box(name)
	if x.validity != 0 && validity != x.validity {
		b.wrong("%s: UIDVALIDITY %d, and it was %d", name, validity, x.validity)
	}
	if next < before.next {
		b.wrong("%s: UIDNEXT %d, and it was %d", name, next, before.next)
	}
	if modseq != 0 && modseq < before.modseq {
		b.wrong("%s: HIGHESTMODSEQ %d, and there was %d", name, modseq, before.modseq)
	}
	x.validity, x.next, x.modseq = validity, max(x.next, next), max(x.modseq, modseq)
}

// modseq: somebody was told one.
func (b *Book) modseq(name string, modseq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.box(name)
	x.modseq = max(x.modseq, modseq)
}

// seen: a UID with this letter is in the mailbox, as a client saw it that selected it
// at a time.
func (b *Book) seen(name string, uid uint32, id string, selectedAt int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.box(name).fact(uid)
	if f.gone != 0 && f.gone < selectedAt {
		b.wrong("%s: UID %d (%s) is there again, after it was gone", name, uid, f.id)
	}
	b.identify(name, uid, f, id)
}

func (b *Book) identify(name string, uid uint32, f *fact, id string) {
	if id == "" {
		return
	}
	if f.id != "" && f.id != id {
		b.wrong("%s: UID %d is %s, and it was %s", name, uid, id, f.id)
	}
	if b.letters[id] == nil {
		b.wrong("%s: UID %d is %q, which nobody sent", name, uid, id)
		return
	}
	f.id = id
	b.letters[id].deleted = b.letters[id].deleted || f.deleted
}

// fixed: FETCH told an item of a UID that never changes.
func (b *Book) fixed(name string, uid uint32, item, value string) {
	if b.hazy && item == "RFC822.SIZE" && value == "0" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.box(name).fact(uid)
	if before, told := f.items[item]; told && before != value {
		b.wrong("%s: UID %d (%s) has %s %.300s, and it was %.300s", name, uid, f.id, item, value, before)
	}
	if f.items == nil {
		f.items = make(map[string]string)
	}
	f.items[item] = value
}

// body: the bytes of a UID.
func (b *Book) body(name string, uid uint32, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, sum := b.box(name).fact(uid), sha256.Sum256([]byte(text))
	if f.read && f.sum != sum {
		b.wrong("%s: UID %d (%s) has other bytes than before: %.300q", name, uid, f.id, text)
	}
	f.read, f.sum = true, sum
	head, words, _ := strings.Cut(text, "\r\n\r\n")
	if want := field(head, "X-Sum"); want != fmt.Sprintf("%x", sha256.Sum256([]byte(words))) {
		b.wrong("%s: UID %d (%s) does not have the text that was sent: %.300q", name, uid, f.id, text)
	}
	b.identify(name, uid, f, field(head, "X-Letter"))
}

// field is the value of a field of a header.
func field(head, name string) string {
	for line := range strings.SplitSeq(head, "\r\n") {
		if value, found := strings.CutPrefix(line, name+": "); found {
			return value
		}
	}
	return ""
}

// placed: the server said that it gave this UID to a letter, for a command that was
// sent with those expectations.
func (b *Book) placed(name string, before expect, validity, uid uint32, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.box(name)
	if x.validity != 0 && validity != x.validity {
		b.wrong("%s: a letter came under UIDVALIDITY %d, and it is %d", name, validity, x.validity)
	}
	if uid < before.next {
		b.wrong("%s: the new UID %d is below UIDNEXT, which was %d", name, uid, before.next)
	}
	x.next = max(x.next, uid+1)
	x.fact(uid).tell("it was placed")
	b.identify(name, uid, x.fact(uid), id)
}

// flags: somebody was told the flags of a UID. A copy of a letter that is marked
// \Deleted is marked, too.
func (b *Book) flags(client, name string, uid uint32, flags string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.box(name).fact(uid)
	f.tell("%s saw flags %s", client, flags)
	if strings.Contains(flags, `\deleted`) {
		b.mark(f)
	}
}

func (b *Book) mark(f *fact) {
	if f.deleted = true; b.letters[f.id] != nil {
		b.letters[f.id].deleted = true
	}
}

// deleting: somebody marks UIDs \Deleted, or moving: moves them away.
func (b *Book) deleting(name string, uids []uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, uid := range uids {
		f := b.box(name).fact(uid)
		f.tell("somebody marks it")
		b.mark(f)
	}
}

func (b *Book) moving(name string, uids []uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, uid := range uids {
		f := b.box(name).fact(uid)
		f.tell("somebody moves it")
		f.moved = true
	}
}

// copied: a UID was placed that is a copy of another, flags included (RFC 9051 §6.4.7).
func (b *Book) copied(source string, old uint32, target string, before expect, validity, uid uint32) {
	b.mu.Lock()
	f := *b.box(source).fact(old)
	b.mu.Unlock()
	b.placed(target, before, validity, uid, f.id)
	b.mu.Lock()
	b.box(target).fact(uid).tell("as a copy of %s UID %d: %q", source, old, f.story[max(0, len(f.story)-6):])
	b.mu.Unlock()
	if f.deleted {
		b.deleting(target, []uint32{uid})
	}
}

// gone: somebody was told that a UID is gone.
func (b *Book) gone(name string, uid uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.box(name).fact(uid)
	if f.id != "" && !f.deleted && !f.moved {
		b.wrong("%s: UID %d (%s) is gone, and nobody deleted it: %q", name, uid, f.id, f.story)
	}
	if b.clock++; f.gone == 0 {
		f.gone = b.clock
	}
}

// balance compares what is known with all that is there, by mailbox and UID.
func (b *Book) balance(there map[string]map[uint32]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.boxes)) {
		for uid, f := range b.boxes[name].uids {
			switch is := there[name][uid]; {
			case is && f.gone != 0:
				b.wrong("%s: UID %d (%s) is there, after it was gone", name, uid, f.id)
			case !is && f.gone == 0 && f.id != "" && !f.deleted && !f.moved:
				b.wrong("%s: UID %d (%s) is lost; that letter is %s: %q", name, uid, f.id, b.places(f.id, there), f.story)
			}
		}
	}
}

// missing tells of a letter that the server has taken, that nobody deleted, and that is
// nowhere; "" if there is none. One that comes from outside may need a moment.
func (b *Book) missing(there map[string]map[uint32]bool) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := make(map[string]bool)
	for name, x := range b.boxes {
		for uid, f := range x.uids {
			held[f.id] = held[f.id] || there[name][uid]
		}
	}
	for id, l := range b.letters {
		if l.taken && !l.deleted && !held[id] {
			return fmt.Sprintf("%s is nowhere, and nobody deleted it: %s", id, b.stories(id))
		}
	}
	return ""
}

// stories is what is told of all UIDs that a letter had.
func (b *Book) stories(id string) string {
	var all []string
	for name, x := range b.boxes {
		for uid, f := range x.uids {
			if f.id == id {
				all = append(all, fmt.Sprintf("%s UID %d: %q", name, uid, f.story))
			}
		}
	}
	return strings.Join(all, "; ")
}

// places tells where a letter is, for the report.
func (b *Book) places(id string, there map[string]map[uint32]bool) string {
	var at []string
	for name, x := range b.boxes {
		for uid, f := range x.uids {
			if f.id == id && there[name][uid] {
				at = append(at, fmt.Sprintf("%s UID %d", name, uid))
			}
		}
	}
	if at == nil {
		return "nowhere"
	}
	slices.Sort(at)
	return strings.Join(at, ", ")
}

// count tells how many letters were taken, and how many UIDs they had.
func (b *Book) count() (letters, uids int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.letters {
		if l.taken {
			letters++
		}
	}
	for _, x := range b.boxes {
		uids += len(x.uids)
	}
	return letters, uids
}
