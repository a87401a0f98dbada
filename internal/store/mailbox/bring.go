package mailbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
	"facteur/internal/store/quota"
)

// This file is about mail that comes from elsewhere in large numbers: each letter once,
// however often it is begun again (facteur import).
//
// # On disk
//
// HOME/imports/NAME is a journal for one mailbox of one source. Batches are appended: a
// line "b N", N lines "KEY BASE UID UIDL" and a line "e", synced before the batch is
// committed to the index; then a line "c". After a crash a last batch without "c" came if
// one of its letters is there, for a batch comes whole or not at all; else it did not. A
// batch without "e" did not come. The keys that came are what a second run leaves out.

// Key names a letter of a source: what has the same key is the same letter.
type Key [12]byte

// Arriving is a letter that comes from elsewhere.
type Arriving struct {
	Key Key
	AppendOptions
	// UID is the letter's on the other server; 0: none. It is kept if the mailbox was
	// taken over and the UID is above all that are there.
	UID uint32
	// UIDL is the letter's unique-id of POP3 there, if that was not made of UIDs.
	UIDL string
}

// Bringing is a mailbox that letters come into from a source. It is used by one
// goroutine at a time, and by one run: the caller sees to that.
type Bringing struct {
	acct    *Account
	name    string
	path    string // of the journal
	known   map[Key]bool
	size    int64 // of the journal, to the end of its last whole batch
	journal *os.File
	last    uint32 // the highest UID, as long as nobody gives others and UIDNEXT is
	next    uint32
	batch   []Arriving
	staged  []*Staged
}

// maxJournal bounds what is read of a journal, in bytes.
const maxJournal = 4 << 30

// Bring opens a mailbox for letters of a source, which is a name of any form. Close it.
func (a *Account) Bring(ctx context.Context, name, source string) (*Bringing, error) {
	if err := a.exists(ctx, name); err != nil {
		return nil, err
	}
	dir := filepath.Join(a.home, "imports")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b := &Bringing{acct: a, name: name, path: filepath.Join(dir, source), known: map[Key]bool{}}
	if source == "" || strings.ContainsAny(source, "/\x00") || source[0] == '.' {
		return nil, fmt.Errorf("%q: %w", source, fs.ErrInvalid)
	}
	var err error
	if b.journal, err = os.OpenFile(b.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err = b.read(ctx); err == nil {
		err = (vfs.OS{}).SyncDir(dir)
	}
	if err != nil {
		b.journal.Close()
		return nil, err
	}
	return b, nil
}

func (a *Account) exists(ctx context.Context, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return err
	}
	_, err := a.find(name)
	return err
}

// noted is a line of a batch in the journal.
type noted struct {
	key  Key
	base string
	uid  uint32
	uidl string
}

// read takes in the journal, decides about its last batch and cuts off what is torn.
func (b *Bringing) read(ctx context.Context) error {
	last, open, err := readJournal(b.journal, func(list []noted) {
		for _, n := range list {
			b.known[n.key] = true
		}
	})
	if err != nil {
		return err
	}
	b.size = last.end
	if open != nil {
		came, err := b.acct.came(ctx, b.name, open)
		if err != nil {
			return err
		}
		if !came {
			b.size = last.start
		}
		for _, n := range open {
			if came {
				b.known[n.key] = true
			}
		}
	}
	if err := b.journal.Truncate(b.size); err != nil {
		return err
	}
	if open != nil && b.size == last.end {
		return b.note("c\n")
	}
	return nil
}

// lastBatch is where the last whole batch of a journal stands.
type lastBatch struct{ start, end int64 }

// readJournal gives whole batches to each; the last one, if nothing says that it came,
// is open instead.
func readJournal(r io.Reader, each func([]noted)) (last lastBatch, open []noted, err error) {
	in := bufio.NewReaderSize(io.LimitReader(r, maxJournal), 64<<10)
	var at int64
	var list []noted
	inside, torn := false, false
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return last, open, nil
		}
		if err != nil {
			return last, open, err
		}
		start := at
		at += int64(len(line))
		switch line = line[:len(line)-1]; {
		case strings.HasPrefix(line, "b ") && torn:
			return last, nil, fmt.Errorf("a journal of an import is damaged before byte %d", start)
		case strings.HasPrefix(line, "b "):
			if open != nil { // what follows a batch was written because it came
				each(open)
			}
			list, open, inside = nil, nil, true
			last = lastBatch{start, start}
		case line == "e" && inside:
			open, inside = list, false
			last.end = at
			if open == nil {
				open = []noted{}
			}
		case line == "c" && open != nil:
			each(open)
			open = nil
			last.end = at
		case inside:
			n, ok := parseNoted(line)
			inside, torn = ok, !ok // a crash may leave anything of the last batch
			list = append(list, n)
		}
	}
}

func parseNoted(line string) (n noted, ok bool) {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) != 4 {
		return n, false
	}
	key, err := hex.DecodeString(fields[0])
	if err != nil || len(key) != len(n.key) {
		return n, false
	}
	copy(n.key[:], key)
	n.base, n.uid, n.uidl = fields[1], listNumber(fields[2]), fields[3]
	return n, n.uid > 0
}

// came tells whether a letter of a batch is there, under whatever flags.
func (a *Account) came(ctx context.Context, name string, list []noted) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return false, err
	}
	bases := make(map[string]bool, len(list))
	for _, n := range list {
		bases[n.base] = true
	}
	for _, b := range a.boxes { // its owner may have moved it
		found := false
		if err := b.whoHas(ctx, bases, func(uint32, string) { found = true }); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// Known are the keys of letters that came before. It is not to be changed.
func (b *Bringing) Known() map[Key]bool { return b.known }

// Add stages a letter of a batch: it reads r to its end, and changes nothing that
// anybody sees. What came before is read and passed over.
func (b *Bringing) Add(ctx context.Context, x Arriving, r io.Reader) error {
	return b.add(ctx, x, func(s *Staged) (maildir.Size, error) {
		size, err := s.box.dir.Stage(s.tmp, r)
		if err == nil {
			s.box.dir.FS.SetTime(s.box.dir.Tmp(s.tmp), s.o.Received) // for other programs
		}
		return size, err
	})
}

// AddLink is Add of a file that becomes the letter's by a hard link: its bytes must be
// durable, and nobody must write to it any more. It has to belong to the user that the
// mail belongs to.
func (b *Bringing) AddLink(ctx context.Context, x Arriving, file string) error {
	return b.add(ctx, x, func(s *Staged) (maildir.Size, error) {
		f := s.box.dir.FS
		size, info, err := maildir.Measure(f, file)
		if err == nil && !info.Mode.IsRegular() {
			err = fs.ErrInvalid
		}
		if err != nil {
			return size, err
		}
		return size, f.Link(file, s.box.dir.Tmp(s.tmp))
	})
}

func (b *Bringing) add(ctx context.Context, x Arriving, stage func(*Staged) (maildir.Size, error)) error {
	if b.known[x.Key] || slices.ContainsFunc(b.batch, func(y Arriving) bool { return y.Key == x.Key }) {
		return nil
	}
	if strings.ContainsAny(x.UIDL, " \n\r\t") {
		x.UIDL = ""
	}
	if x.Received.IsZero() {
		x.Received = b.acct.store.now()
	}
	s := &Staged{o: x.AppendOptions}
	if err := b.acct.openStage(ctx, s, b.name, 0); err != nil {
		return err
	}
	var err error
	if s.size, err = stage(s); err != nil {
		return err
	}
	b.batch, b.staged = append(b.batch, x), append(b.staged, s)
	return nil
}

// Discard forgets the letters of a batch.
func (b *Bringing) Discard() {
	discard(b.staged)
	b.batch, b.staged = nil, nil
}

// Commit makes letters of a batch: all of them or, if it fails, none; it tells how many.
func (b *Bringing) Commit(ctx context.Context) (n int, err error) {
	defer b.Discard()
	if len(b.staged) == 0 {
		return 0, nil
	}
	if err := b.durable(); err != nil {
		return 0, err
	}
	if err := b.commit(ctx); err != nil {
		return 0, err
	}
	for _, x := range b.batch {
		b.known[x.Key] = true
	}
	return len(b.batch), b.note("c\n")
}

// durable brings the staged files to the disk, all at once where that can be done.
func (b *Bringing) durable() error {
	list := make([]maildir.Delivery, len(b.staged))
	for i, s := range b.staged {
		list[i] = maildir.Delivery{Dir: s.box.dir, Name: s.tmp}
	}
	return maildir.SyncStaged(list)
}

func (b *Bringing) commit(ctx context.Context) error {
	a := b.acct
	a.mu.Lock()
	defer a.mu.Unlock()
	box, err := a.openBatch(ctx, b.name, b.staged)
	if err != nil {
		return err
	}
	if err := b.assign(ctx, box); err != nil {
		return err
	}
	var c change
	if err := box.enrol(ctx, c.of(box), b.staged); err != nil {
		return err
	}
	for i, s := range b.staged {
		x := c.deltas[0].added[i]
		c.todos = append(c.todos, todo{source: filepath.Join(s.box.folder, "tmp", s.tmp), target: box.below(x.base, x.found)})
	}
	if err := b.intend(c.deltas[0].added); err != nil {
		return err
	}
	if err := a.carryOut(ctx, &c); err != nil {
		return b.unclear(err)
	}
	for _, s := range b.staged {
		s.over = true
	}
	added := c.deltas[0].added
	b.last, b.next = added[len(added)-1].uid, box.uidNext
	return nil
}

// openBatch is openCommit, without a look at the files as long as UIDs are kept: what is
// delivered meanwhile waits for its number until somebody looks.
func (a *Account) openBatch(ctx context.Context, name string, list []*Staged) (*box, error) {
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	b, err := a.find(name)
	if err != nil {
		return nil, err
	}
	sum := quota.Usage{Messages: int64(len(list))}
	for _, s := range list {
		if s.box != b {
			return nil, errors.Join(errBatch, ErrNoMailbox)
		}
		sum.Bytes += s.size.Bytes
	}
	if err := a.room(ctx, b, sum); err != nil {
		return nil, err
	}
	if b.recent != nobodyLooked {
		err = b.sync(ctx)
	}
	if err == nil && uint64(b.uidNext)+uint64(len(list)) > maxUID {
		err = ErrLimit
	}
	return b, err
}

// assign decides which letters keep their UIDs: those that are above all that are there
// and below what was given here.
func (b *Bringing) assign(ctx context.Context, box *box) error {
	order := make([]int, len(b.batch))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return int(int64(b.batch[i].UID) - int64(b.batch[j].UID)) })
	batch, staged := make([]Arriving, 0, len(order)), make([]*Staged, 0, len(order))
	last := b.last
	if box.recent == nobodyLooked && box.uidNext != b.next {
		var err error
		if last, err = box.highest(ctx); err != nil {
			return err
		}
	}
	var rest []int
	for _, i := range order {
		uid := b.batch[i].UID
		if box.recent != nobodyLooked || uid <= last || uid >= box.uidNext {
			rest = append(rest, i)
			continue
		}
		last, b.staged[i].uid = uid, uid
		batch, staged = append(batch, b.batch[i]), append(staged, b.staged[i])
	}
	slices.Sort(rest)
	for _, i := range rest {
		b.staged[i].uid = 0
		batch, staged = append(batch, b.batch[i]), append(staged, b.staged[i])
	}
	b.batch, b.staged = batch, staged
	return nil
}

// intend writes a batch into the journal, durably.
func (b *Bringing) intend(added []arrival) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "b %d\n", len(added))
	for i, x := range added {
		fmt.Fprintf(&out, "%x %s %d %s\n", b.batch[i].Key[:], x.base, x.uid, b.batch[i].UIDL)
	}
	out.WriteString("e\n")
	start := b.size
	err := b.note(out.String())
	if err == nil {
		err = b.journal.Sync()
	}
	if err != nil {
		b.size = start
		return errors.Join(err, b.journal.Truncate(start))
	}
	return nil
}

// unclear is after a commit that failed: what became of it is known when the mailbox is
// opened again.
func (b *Bringing) unclear(err error) error {
	b.journal.Close()
	return err
}

// note appends to the journal.
func (b *Bringing) note(text string) error {
	n, err := b.journal.WriteAt([]byte(text), b.size)
	if err == nil {
		b.size += int64(n)
	}
	return err
}

// End is after the last letter: unique-ids of POP3 are written where POP3 looks for them.
func (b *Bringing) End(ctx context.Context) error {
	if _, err := b.journal.Seek(0, io.SeekStart); err != nil {
		return err
	}
	ids := map[uint32]string{}
	if _, _, err := readJournal(b.journal, func(list []noted) {
		for _, n := range list {
			if n.uidl != "" {
				ids[n.uid] = n.uidl
			}
		}
	}); err != nil || len(ids) == 0 {
		return err
	}
	return b.acct.writeUIDLs(ctx, b.name, ids)
}

// writeUIDLs writes the mailbox's list with unique-ids of POP3.
func (a *Account) writeUIDLs(ctx context.Context, name string, ids map[uint32]string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return err
	}
	b, err := a.find(name)
	if err != nil {
		return err
	}
	if err := b.sync(ctx); err != nil {
		return err
	}
	return b.writeListWith(ctx, ids)
}

// Close ends it. A batch that was not committed is forgotten.
func (b *Bringing) Close() error {
	b.Discard()
	if err := b.journal.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
