package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

const (
	// settled is how old a directory's mtime must be before an unchanged one
	// means an unchanged directory: kernels stamp with ticks of up to 10 ms.
	settled = 50 * time.Millisecond
	// rescan is how long at most we rely on the mtimes that a change of our own left:
	// somebody else's change beside it hides behind them. Reading the directories may
	// take one part in rescanShare of the time, and they are not read again within
	// rescanSoon.
	rescan      = time.Minute
	rescanSoon  = time.Second
	rescanShare = 200
	// maxUID is the last UID that is given (UIDNEXT must stay below 2^32).
	maxUID = math.MaxUint32 - 1
)

// found is a file seen in new/ or cur/.
type found struct {
	isNew bool
	info  string // what follows the base in the name
}

// unchanged tells whether the directories have the mtimes at which we read them.
func (b *box) unchanged() bool {
	newStamp, curStamp, err := b.stamps()
	return err == nil && newStamp == b.newStamp && curStamp == b.curStamp
}

// stamps gives the mtimes of new/ and cur/.
func (b *box) stamps() (newStamp, curStamp int64, err error) {
	n, err := b.dir.FS.Stat(b.dir.New(""))
	if err != nil {
		return 0, 0, err
	}
	c, err := b.dir.FS.Stat(b.dir.Cur(""))
	return n.ModTime.UnixNano(), c.ModTime.UnixNano(), err
}

// trust gives the stamp to remember after reading a directory: none if the
// directory may have changed again within the same tick.
func trust(stamp int64, now time.Time) int64 {
	if now.Sub(time.Unix(0, stamp)) < settled {
		return 0
	}
	return stamp
}

// sync brings the index up to date with the files. Callers hold Account.mu, and
// Account.ready was called.
func (b *box) sync(ctx context.Context) error {
	if b.gone {
		return ErrMailboxGone
	}
	if err := b.heed(); err != nil {
		return err
	}
	if b.damaged.Load() {
		if err := b.mend(ctx); err != nil {
			return err
		}
	}
	now := time.Now() // the kernel's clock stamped the directories, not the store's
	newStamp, curStamp, err := b.stamps()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", b.name, ErrMailboxGone)
	}
	if err != nil {
		return err
	}
	whole := curStamp != b.curStamp || b.ownStamp && now.Sub(b.lastScan) > b.patience
	if !whole && newStamp == b.newStamp {
		return nil
	}
	if whole {
		b.curStamp, b.ownStamp, b.lastScan = trust(curStamp, now), false, now
	}
	b.newStamp, b.unsaved, b.doubtful = trust(newStamp, now), true, false
	err = b.scan(ctx, whole)
	if err != nil {
		b.newStamp, b.curStamp = 0, 0
	}
	if whole {
		b.patience = min(max(rescanSoon, rescanShare*time.Since(now)), rescan)
	}
	return err
}

// distrust has the next sync read both directories, also after a change of ours.
func (b *box) distrust() { b.newStamp, b.curStamp, b.doubtful = 0, 0, true }

// heed looks once after opening whether another program wrote the list of UIDs:
// Dovecot may have given some of which no letter is left.
func (b *box) heed() error {
	if b.listSeen {
		return nil
	}
	stamp, err := b.stampOfList()
	if err != nil {
		return err
	}
	if b.listSeen = true; stamp != b.listStamp {
		b.newStamp, b.curStamp = 0, 0
	}
	return nil
}

// own takes the mtimes that a change of ours left, so that it is not taken for
// one of somebody else. Callers hold Account.mu since a sync.
func (b *box) own() {
	if b.doubtful {
		return
	}
	if newStamp, curStamp, err := b.stamps(); err == nil {
		b.newStamp, b.curStamp, b.ownStamp, b.unsaved = newStamp, curStamp, true, true
	}
}

// scan compares new/, and cur/ if whole, with the index.
func (b *box) scan(ctx context.Context, whole bool) error {
	if err := b.loadKeywords(ctx); err != nil {
		return err
	}
	files, err := b.list(whole)
	if err != nil {
		return err
	}
	c := change{found: true}
	d := c.of(b)
	lost, err := b.compare(ctx, d, files, whole)
	switch {
	case errors.Is(err, errCorrupt):
		if err := b.mend(ctx); err != nil {
			return err
		}
		return b.scan(ctx, true)
	case err != nil:
		return err
	case lost && !whole:
		b.curStamp = 0
		return b.scan(ctx, true)
	case lost:
		// A rename beside our reading can hide a file. Only what two readings
		// of both directories miss is gone.
		if err := b.listBoth(files); err != nil {
			return err
		}
		*d = delta{b: b}
		if _, err := b.compare(ctx, d, files, whole); err != nil {
			return err
		}
	}
	if !whole {
		if err := b.passOver(ctx, files); err != nil {
			return err
		}
	}
	return b.reconcile(ctx, &c, files)
}

// listing is what stands in the directories of a mailbox.
type listing struct {
	at   map[string]int32 // base → index of list
	list []sighting
}

// sighting is a file that was seen.
type sighting struct {
	base string
	found
	known bool // the index has it
}

// put notes a file, in place of what was seen of it before.
func (l *listing) put(base string, f found) {
	if i, ok := l.at[base]; ok {
		l.list[i].found, l.list[i].known = f, false
		return
	}
	l.at[base] = int32(len(l.list))
	l.list = append(l.list, sighting{base: base, found: f})
}

// list reads the names of letters. What is no regular file, or hidden, is none.
func (b *box) list(whole bool) (*listing, error) {
	l := &listing{at: make(map[string]int32)}
	if whole {
		return l, b.listBoth(l)
	}
	return l, b.listDir(l, true)
}

// listBoth reads both directories into what was seen before.
func (b *box) listBoth(l *listing) error {
	if err := b.listDir(l, true); err != nil {
		return err
	}
	return b.listDir(l, false)
}

func (b *box) listDir(l *listing, isNew bool) error {
	dir := b.dir.Cur("")
	if isNew {
		dir = b.dir.New("")
	}
	entries, err := b.dir.FS.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(l.list) == 0 && len(entries) > 100 {
		l.at, l.list = make(map[string]int32, len(entries)), make([]sighting, 0, len(entries))
	}
	for _, e := range entries {
		if !e.Type.IsRegular() || e.Name == "" || e.Name[0] == '.' {
			continue
		}
		base := e.Name
		if i := strings.IndexByte(base, ':'); i >= 0 {
			base = base[:i]
		}
		f := found{isNew, e.Name[len(base):]}
		if i, ok := l.at[base]; ok && l.list[i].found != f {
			if err := b.part(l, base, l.list[i].found, f); err != nil {
				return err
			}
			continue
		}
		l.put(base, f)
	}
	return nil
}

// part handles two files with one base. If both exist, one gets a base of its own,
// by a rename: nobody's file is ever removed here. The one that the index knows
// keeps its name, for its UID says which bytes it has (INV-10). If only one is
// there, a rename beside our reading has shown us both names, and the next scan
// will see.
func (b *box) part(l *listing, base string, twin, f found) error {
	if _, err := b.dir.FS.Stat(b.path(base, twin)); err != nil {
		b.distrust()
		l.put(base, f)
		return nil
	}
	stays, goes := twin, f
	if b.indexed(base) == f {
		stays, goes = f, twin
	}
	fresh := b.freshBase(maildir.ParseName(base))
	err := b.dir.FS.Rename(b.path(base, goes), b.path(fresh, goes))
	if errors.Is(err, fs.ErrNotExist) {
		b.distrust()
		return nil
	}
	l.put(base, stays)
	l.put(fresh, goes)
	return err
}

// indexed is where the index has the letter of a base; the zero found is cur/
// without flags, which no harm comes of when there is none.
func (b *box) indexed(base string) (f found) {
	ctx := context.Background()
	b.whoHas(ctx, map[string]bool{base: true}, func(uid uint32, _ string) {
		f, _ = b.placeOf(ctx, uid)
	})
	return f
}

// freshBase is a new base for a letter, with time and sizes as they were.
func (b *box) freshBase(n maildir.Name) string {
	base := maildir.FreshName(time.Unix(n.Sec, 0), b.acct.unique(), b.acct.store.host)
	if n.Size >= 0 {
		base += fmt.Sprintf(",S=%d", n.Size)
	}
	if n.VSize >= 0 {
		base += fmt.Sprintf(",W=%d", n.VSize)
	}
	return base
}

// path is where a letter's file is.
func (b *box) path(base string, f found) string {
	if f.isNew {
		return b.dir.New(base + f.info)
	}
	return b.dir.Cur(base + f.info)
}

// compare notes in d what is different for letters that the index knows, and in
// files which those are. lost tells whether some have no file.
func (b *box) compare(ctx context.Context, d *delta, files *listing, whole bool) (lost bool, err error) {
	query := queryPages
	if !whole {
		query = queryFresh
	}
	for i := range files.list {
		files.list[i].known = false
	}
	err = b.each(ctx, query, func(r *record, base string) error {
		if !whole && !r.isNew {
			return nil
		}
		i, ok := files.at[base]
		if !ok {
			lost = true
			d.removed, d.freed = append(d.removed, r.uid), d.freed+r.size
			return nil
		}
		f := &files.list[i]
		f.known = true
		if f.found == r.found {
			return nil
		}
		d.moved = append(d.moved, arrival{r.letter, base, f.found})
		if flags := flagsOf(f.info); flags != r.flags {
			l := r.letter
			l.flags = flags
			d.changed = append(d.changed, l)
		}
		return nil
	})
	return lost, err
}

// passOver marks what the index knows as standing in cur/: after a look at new/
// alone.
func (b *box) passOver(ctx context.Context, files *listing) error {
	fresh := map[string]bool{}
	for i := range files.list {
		if !files.list[i].known {
			fresh[files.list[i].base] = true
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return b.whoHas(ctx, fresh, func(_ uint32, base string) {
		b.distrust() // the whole is to be looked at
		files.list[files.at[base]].known = true
	})
}

// arrival is a file that is to become a letter.
type arrival struct {
	letter
	base string
	found
}

// reconcile writes the difference between files and index.
func (b *box) reconcile(ctx context.Context, c *change, files *listing) error {
	d := c.of(b)
	arrivals, err := b.arrivals(files)
	if err != nil {
		return err
	}
	if err := b.addWords(ctx, arrivals); err != nil {
		return err
	}
	heir, listStamp := b.heir, b.listStamp
	next, err := b.number(arrivals)
	if err != nil {
		return err
	}
	if next > maxUID {
		return b.renumber(ctx)
	}
	d.next, b.heir, d.added = uint32(next), false, arrivals
	if d.empty() && len(d.moved) == 0 && d.next == b.uidNext {
		return nil
	}
	if err = b.acct.commit(ctx, c); err != nil {
		b.heir, b.listStamp = heir, listStamp
	}
	return err
}

// arrivals makes letters of files that the index doesn't know, in the order of
// arrival. A file is opened only if its name doesn't tell its size.
func (b *box) arrivals(files *listing) ([]arrival, error) {
	var list []arrival
	for i := range files.list {
		if files.list[i].known {
			continue
		}
		x := newArrival(files.list[i].base, files.list[i].found)
		if ok, err := b.examine(&x); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		list = append(list, x)
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].received != list[j].received {
			return list[i].received < list[j].received
		}
		return list[i].base < list[j].base
	})
	return list, nil
}

// newArrival is what the name of a file says about a letter.
func newArrival(base string, f found) arrival {
	n := maildir.ParseName(base)
	return arrival{letter{flags: flagsOf(f.info), size: n.VSize, received: n.Sec, saved: savedFrom(base)}, base, f}
}

// savedFrom tells when a letter came into its mailbox: a function of the base of its
// file name and of nothing else, so that letters are found by it (whoHas). Names of
// ours begin with INTERNALDATE and have that time behind it; those of others begin
// with it.
func savedFrom(base string) uint32 {
	sec, rest, _ := strings.Cut(base, ".N")
	if len(rest) > uniqueDigits && rest[uniqueDigits] == 'C' {
		if ns, err := strconv.ParseUint(rest[:uniqueDigits], 16, 63); err == nil {
			return seconds(int64(ns / 1e9))
		}
	}
	if sec, _, _ = strings.Cut(base, "."); len(sec) > 11 {
		return 0
	}
	n, err := strconv.ParseUint(sec, 10, 63)
	if err != nil {
		return 0
	}
	return seconds(int64(n))
}

// seconds is a time as a letter keeps it; 0 for one that it can't keep.
func seconds(s int64) uint32 {
	if s < 0 || s > math.MaxUint32 {
		return 0
	}
	return uint32(s)
}

// examine asks the file for what its name doesn't tell. Dovecot and mbsync keep
// the time of arrival in the mtime of a letter that they store with an older
// one, so that the earlier of the two counts. A file that can't be opened becomes
// a letter all the same: its owner is to know that it is there.
func (b *box) examine(x *arrival) (ok bool, err error) {
	path := b.path(x.base, x.found)
	var size maildir.Size
	var info vfs.Info
	if x.size < 0 {
		size, info, err = maildir.Measure(b.dir.FS, path)
	}
	if x.size >= 0 || errors.Is(err, fs.ErrPermission) {
		info, err = b.dir.FS.Stat(path)
		size.CRLF = info.Size
	}
	if errors.Is(err, fs.ErrNotExist) {
		b.distrust() // renamed meanwhile: look again
		return false, nil
	}
	if err != nil {
		return false, err
	}
	modified := max(info.ModTime.Unix(), 0)
	if x.received == 0 || modified > 0 && modified < x.received {
		x.received = modified
	}
	if x.size < 0 {
		x.size = size.CRLF
	}
	return true, nil
}

// renumber starts the mailbox again from UID 1 with a new UIDVALIDITY, because
// the UIDs are used up. Its sessions end.
func (b *box) renumber(ctx context.Context) error {
	b.acct.warn("UIDs used up, clients will fetch the mailbox again")
	folder := b.folder
	if err := b.acct.drop(ctx, b); err != nil {
		return err
	}
	fresh := b.acct.newBox(b.name, folder)
	fresh.validity = b.acct.nextValidity()
	if err := b.acct.register(ctx, fresh); err != nil {
		return err
	}
	return ErrMailboxGone
}
