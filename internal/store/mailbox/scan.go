package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"facteur/internal/store/maildir"
)

const (
	// settled is how old a directory's mtime must be before an unchanged one
	// means an unchanged directory: kernels stamp with ticks of up to 10 ms.
	settled = 50 * time.Millisecond
	// rescan is how long we rely on the mtime that a change of our own left.
	// Somebody else's change in the same tick would hide behind it.
	rescan = time.Minute
	// maxUID is the last UID that is given (UIDNEXT must stay below 2^32).
	maxUID = math.MaxUint32 - 1
)

// found is a file seen in new/ or cur/.
type found struct {
	isNew bool
	info  string // what follows the base in the name
}

// row is what the index knows of a letter's file.
type row struct {
	uid   uint32
	flags SystemFlags
	found
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
	now := time.Now() // the kernel's clock stamped the directories, not the store's
	newStamp, curStamp, err := b.stamps()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", b.name, ErrMailboxGone)
	}
	if err != nil {
		return err
	}
	whole := curStamp != b.curStamp || b.ownStamp && now.Sub(b.lastScan) > rescan
	if !whole && newStamp == b.newStamp {
		return nil
	}
	if whole {
		b.curStamp, b.ownStamp, b.lastScan = trust(curStamp, now), false, now
	}
	b.newStamp, b.unsaved = trust(newStamp, now), true
	err = b.scan(ctx, whole)
	if err != nil {
		b.newStamp, b.curStamp = 0, 0
	}
	return err
}

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
	if newStamp, curStamp, err := b.stamps(); err == nil {
		b.newStamp, b.curStamp, b.ownStamp, b.unsaved = newStamp, curStamp, true, true
	}
}

// scan compares new/, and cur/ if whole, with the index.
func (b *box) scan(ctx context.Context, whole bool) error {
	files, err := b.list(whole)
	if err != nil {
		return err
	}
	rows, err := b.rows(ctx, whole)
	if err != nil {
		return err
	}
	if missing(files, rows) {
		// A rename beside our reading can hide a file. Only what two readings
		// of both directories miss is gone.
		if !whole {
			b.curStamp = 0
			return b.scan(ctx, true)
		}
		again, err := b.list(true)
		if err != nil {
			return err
		}
		for base, f := range again {
			files[base] = f
		}
	}
	if !whole {
		if err := b.dropKnown(ctx, files, rows); err != nil {
			return err
		}
	}
	return b.reconcile(ctx, files, rows)
}

// list reads the names of letters. What is no regular file, or hidden, is none.
func (b *box) list(whole bool) (map[string]found, error) {
	files := map[string]found{}
	if err := b.listDir(files, true); err != nil {
		return nil, err
	}
	if !whole {
		return files, nil
	}
	return files, b.listDir(files, false)
}

func (b *box) listDir(files map[string]found, isNew bool) error {
	dir := b.dir.Cur("")
	if isNew {
		dir = b.dir.New("")
	}
	entries, err := b.dir.FS.ReadDir(dir)
	if err != nil {
		return err
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
		if twin, ok := files[base]; ok {
			if err := b.part(files, base, twin, f); err != nil {
				return err
			}
			continue
		}
		files[base] = f
	}
	return nil
}

// part handles two files with one base. If both exist, one gets a base of its own,
// by a rename: nobody's file is ever removed here. The one that the index knows
// keeps its name, for its UID says which bytes it has (INV-10). If only one is
// there, a rename beside our reading has shown us both names, and the next scan
// will see.
func (b *box) part(files map[string]found, base string, twin, f found) error {
	if _, err := b.dir.FS.Stat(b.path(base, twin)); err != nil {
		b.newStamp, b.curStamp = 0, 0
		files[base] = f
		return nil
	}
	stays, goes := twin, f
	if b.indexed(base) == f {
		stays, goes = f, twin
	}
	fresh := b.freshBase(maildir.ParseName(base))
	err := b.dir.FS.Rename(b.path(base, goes), b.path(fresh, goes))
	if errors.Is(err, fs.ErrNotExist) {
		b.newStamp, b.curStamp = 0, 0
		return nil
	}
	files[base], files[fresh] = stays, goes
	return err
}

// indexed is where the index has the letter of a base; the zero found is cur/
// without flags, which no harm comes of when there is none.
func (b *box) indexed(base string) (f found) {
	b.acct.idx.db.QueryRow("SELECT isnew, info FROM letter WHERE mailbox = ? AND base = ?", b.id, base).Scan(&f.isNew, &f.info)
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

// rows reads what the index knows, of new/ only or of all.
func (b *box) rows(ctx context.Context, whole bool) (map[string]row, error) {
	query := "SELECT base, uid, flags, isnew, info, crc FROM letter WHERE mailbox = ?"
	if !whole {
		query += " AND isnew = 1"
	}
	rs, err := b.acct.idx.db.QueryContext(ctx, query, b.id)
	if err != nil {
		return nil, corruptIf(err)
	}
	defer rs.Close()
	out := make(map[string]row)
	for rs.Next() {
		var base string
		var r row
		var crc int64
		if err := rs.Scan(&base, &r.uid, &r.flags, &r.isNew, &r.info, &crc); err != nil {
			return nil, err
		}
		if crc != checksum(b.id, r.uid, base) {
			// The row lies about which file has this UID. Without its base it
			// is a letter that is gone, and the file a new one.
			base = fmt.Sprintf("/corrupt/%d", r.uid)
		}
		out[base] = r
	}
	return out, rs.Err()
}

func missing(files map[string]found, rows map[string]row) bool {
	for base := range rows {
		if _, ok := files[base]; !ok {
			return true
		}
	}
	return false
}

// dropKnown takes out of files what the index knows as standing in cur/: after
// a look at new/ alone.
func (b *box) dropKnown(ctx context.Context, files map[string]found, rows map[string]row) error {
	for base := range files {
		if _, ok := rows[base]; ok {
			continue
		}
		var uid uint32
		err := b.acct.idx.known.QueryRowContext(ctx, b.id, base).Scan(&uid)
		switch {
		case err == nil:
			b.curStamp = 0 // the whole is to be looked at
			delete(files, base)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	return nil
}

// arrival is a file that is to become a letter.
type arrival struct {
	letter
	base string
	found
}

// reconcile writes the difference between files and rows.
func (b *box) reconcile(ctx context.Context, files map[string]found, rows map[string]row) error {
	c := change{found: true}
	d := c.of(b)
	for base, r := range rows {
		f, ok := files[base]
		delete(files, base)
		switch {
		case !ok:
			d.removed = append(d.removed, r.uid)
		case f != r.found:
			d.moved = append(d.moved, arrival{letter{uid: r.uid, flags: flagsOf(f.info)}, base, f})
			if flagsOf(f.info) != r.flags {
				d.changed = append(d.changed, letter{uid: r.uid, flags: flagsOf(f.info)})
			}
		}
	}
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
	d.next, b.heir = uint32(next), false
	d.added = arrivals
	if d.empty() && len(d.moved) == 0 && d.next == b.uidNext {
		return nil
	}
	sort.Slice(d.removed, func(i, j int) bool { return d.removed[i] < d.removed[j] })
	sort.Slice(d.changed, func(i, j int) bool { return d.changed[i].uid < d.changed[j].uid })
	if err = b.complete(ctx, d); err == nil {
		err = b.acct.commit(ctx, &c)
	}
	if err != nil {
		b.heir, b.listStamp = heir, listStamp
	}
	return err
}

// complete fills in what a scan doesn't see: the other fields of changed
// letters, the bytes of removed ones.
func (b *box) complete(ctx context.Context, d *delta) error {
	for i := range d.changed {
		l := &d.changed[i]
		old, err := b.stored(ctx, l.uid)
		if err != nil {
			return err
		}
		old.flags = l.flags
		*l = old
	}
	for _, uid := range d.removed {
		old, err := b.stored(ctx, uid)
		if err != nil {
			return err
		}
		d.freed += old.size
	}
	return nil
}

// stored gives a letter from memory or the index.
func (b *box) stored(ctx context.Context, uid uint32) (letter, error) {
	if b.loaded {
		if i, ok := b.position(uid); ok {
			return b.letters[i], nil
		}
		return letter{}, ErrGone
	}
	if err := b.loadKeywords(ctx); err != nil {
		return letter{}, err
	}
	l := letter{uid: uid}
	var words string
	err := b.acct.idx.letter.QueryRowContext(ctx, b.id, uid).Scan(&l.modSeq, &l.flags, &words, &l.received, &l.size, &l.saved)
	if errors.Is(err, sql.ErrNoRows) {
		return l, ErrGone
	}
	l.words = b.set(words)
	return l, err
}

// arrivals makes letters of files that the index doesn't know, in the order of
// arrival. A file is opened only if its name doesn't tell its size.
func (b *box) arrivals(files map[string]found) ([]arrival, error) {
	list := make([]arrival, 0, len(files))
	for base, f := range files {
		n := maildir.ParseName(base)
		x := arrival{letter{flags: flagsOf(f.info), size: n.VSize, received: n.Sec, saved: savedOf(n)}, base, f}
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

// savedOf tells when a letter came into its mailbox. Names of ours begin with
// INTERNALDATE and have that time behind it; those of others begin with it.
func savedOf(n maildir.Name) uint32 {
	_, rest, _ := strings.Cut(n.Base, ".N")
	if len(rest) > uniqueDigits && rest[uniqueDigits] == 'C' {
		if ns, err := strconv.ParseUint(rest[:uniqueDigits], 16, 63); err == nil {
			return seconds(int64(ns / 1e9))
		}
	}
	return seconds(n.Sec)
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
	info, err := b.dir.FS.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		b.newStamp, b.curStamp = 0, 0 // renamed meanwhile: look again
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
		size, err := maildir.Measure(b.dir.FS, path)
		x.size = size.CRLF
		if errors.Is(err, fs.ErrPermission) {
			x.size = info.Size
		} else if err != nil {
			return false, err
		}
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

// forget deletes letters from the index.
func (b *box) forget(tx *sql.Tx, uids []uint32) error {
	s, err := tx.Prepare("DELETE FROM letter WHERE mailbox = ? AND uid = ?")
	if err != nil {
		return err
	}
	defer s.Close()
	for _, uid := range uids {
		if _, err := s.Exec(b.id, uid); err != nil {
			return err
		}
	}
	return nil
}

// replace writes where files are now.
func (b *box) replace(tx *sql.Tx, moved []arrival) error {
	s, err := tx.Prepare("UPDATE letter SET isnew = ?, info = ? WHERE mailbox = ? AND uid = ?")
	if err != nil {
		return err
	}
	defer s.Close()
	for _, m := range moved {
		if _, err := s.Exec(m.isNew, m.info, b.id, m.uid); err != nil {
			return err
		}
	}
	return nil
}

// refile writes flags and MODSEQ, and the keywords if they may have changed.
func (b *box) refile(tx *sql.Tx, list []letter, words bool) error {
	query := "UPDATE letter SET flags = ?, modseq = ?, keywords = coalesce(?, keywords) WHERE mailbox = ? AND uid = ?"
	s, err := tx.Prepare(query)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, l := range list {
		var text any
		if words {
			text = b.sets[l.words].text
		}
		if _, err := s.Exec(l.flags, int64(l.modSeq), text, b.id, l.uid); err != nil {
			return err
		}
	}
	return nil
}

// insert writes new letters.
func (b *box) insert(tx *sql.Tx, list []arrival) error {
	s, err := tx.Prepare(`INSERT INTO letter (mailbox, uid, base, info, isnew, modseq, flags, keywords, received, size, saved, crc)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, x := range list {
		words := ""
		if x.words != 0 {
			words = b.sets[x.words].text
		}
		if _, err := s.Exec(b.id, x.uid, x.base, x.info, x.isNew, int64(x.modSeq), x.flags, words,
			x.received, x.size, x.saved, checksum(b.id, x.uid, x.base)); err != nil {
			return err
		}
	}
	return nil
}
