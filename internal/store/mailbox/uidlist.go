package mailbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/base/vfs"
)

const (
	listFile     = "dovecot-uidlist" // in the directory of each mailbox
	maxListLine  = 4 << 10           // bytes, with its line end
	maxListLines = 10_000_000
	// listMark is a field of the header that Dovecot keeps and doesn't read. A
	// list that has it is believed only together with facteur-uids.
	listMark = "Xfacteur"
)

// errBadList means that a list of UIDs can't be believed.
var errBadList = errors.New("not a list of UIDs")

// uidList is the header of a dovecot-uidlist.
type uidList struct {
	validity uint32
	next     uint32 // higher than every UID of the list
	guid     string
	fields   []string // others of the header, as they stand
}

// ours tells whether we wrote the list, or Dovecot after we did.
func (l uidList) ours() bool { return slices.Contains(l.fields, listMark) }

// parseList reads a list in Dovecot's version 3 and gives each line to each,
// which may be nil; the bytes are valid during the call only. UIDs must ascend.
// Dovecot appends lines without rewriting the header, so that the next UID is
// that of the header or the one after the last line. What each was given is
// worth nothing if an error is returned.
func parseList(r io.Reader, each func(uid uint32, fields, base []byte)) (uidList, error) {
	lines := bufio.NewReaderSize(r, maxListLine)
	line, err := listLine(lines)
	if errors.Is(err, io.EOF) {
		err = errBadList
	}
	if err != nil {
		return uidList{}, err // one of the disk says nothing about the list
	}
	l, ok := parseListHeader(string(line))
	var last uint32
	for n := 1; ok && n <= maxListLines; n++ {
		line, err := listLine(lines)
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err != nil {
			return l, err
		}
		uid, fields, base, good := parseEntry(line)
		if !good || uid <= last || uid >= maxUID {
			break
		}
		last, l.next = uid, max(l.next, uid+1)
		if each != nil {
			each(uid, fields, base)
		}
	}
	return l, errBadList
}

// listLine reads a line. One that is too long or has no end is an error.
func listLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || errors.Is(err, io.EOF) && len(line) > 0:
		return nil, errBadList
	case err != nil:
		return nil, err
	}
	return line[:len(line)-1], nil
}

// parseListHeader reads "3 V1700000000 N17 G0123…", fields in any order.
func parseListHeader(line string) (l uidList, ok bool) {
	rest, ok := bytes.CutPrefix([]byte(line), []byte("3 "))
	for _, field := range bytes.Fields(rest) {
		value := string(field[1:])
		switch field[0] {
		case 'V':
			l.validity = listNumber(value)
		case 'N':
			l.next = listNumber(value)
		case 'G':
			l.guid = value
		default:
			l.fields = append(l.fields, string(field))
		}
	}
	return l, ok && l.validity > 0 && l.next > 0 && l.next < maxUID
}

// listNumber reads a decimal; 0 if it is none.
func listNumber(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// parseEntry reads "17 W1234 :1700000000.M1P2.host,S=1200".
func parseEntry(line []byte) (uid uint32, fields, base []byte, ok bool) {
	digits, rest, _ := bytes.Cut(line, []byte(" "))
	uid = listNumber(string(digits))
	base, bare := bytes.CutPrefix(rest, []byte(":"))
	if !bare {
		fields, base, ok = bytes.Cut(rest, []byte(" :"))
		if !ok {
			return 0, nil, nil, false
		}
	}
	base, _, _ = bytes.Cut(base, []byte(":")) // some have flags behind it
	return uid, fields, base, uid > 0 && len(base) > 0
}

// entry is a line to be written.
type entry struct {
	uid    uint32
	base   string
	fields string // as Dovecot had them: POP3 UIDLs, sizes
}

// formatList is the inverse of parseList.
func formatList(l uidList, entries []entry) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "3 V%d N%d G%s", l.validity, l.next, l.guid)
	for _, f := range l.fields {
		out.WriteString(" " + f)
	}
	out.WriteByte('\n')
	for _, e := range entries {
		out.Write(strconv.AppendUint(out.AvailableBuffer(), uint64(e.uid), 10))
		out.WriteByte(' ')
		if e.fields != "" {
			out.WriteString(e.fields + " ")
		}
		out.WriteString(":" + e.base + "\n")
	}
	return out.Bytes()
}

// listPath is where the mailbox has its list.
func (b *box) listPath() string { return b.dir.Path + "/" + listFile }

// stampOfList is the mtime of the list; 0 if there is none.
func (b *box) stampOfList() (int64, error) {
	info, err := b.dir.FS.Stat(b.listPath())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.ModTime.UnixNano(), nil
}

// readList is parseList on the mailbox's file; fs.ErrNotExist if there is none.
func (b *box) readList(each func(uid uint32, fields, base []byte)) (uidList, error) {
	info, err := b.dir.FS.Stat(b.listPath())
	if err != nil {
		return uidList{}, err
	}
	if !info.Mode.IsRegular() {
		return uidList{}, errBadList
	}
	f, err := b.dir.FS.Open(b.listPath())
	if err != nil {
		return uidList{}, err
	}
	defer f.Close()
	return parseList(f, each)
}

// listed tells whether the list on disk has every letter and no UID is missing.
// A mailbox that never gave a UID needs none.
func (b *box) listed() bool {
	return b.heir || b.uidNext == 1 || b.listNext == b.uidNext && b.listCount == b.count
}

// writeLists writes the lists of the mailboxes of at most so many letters whose
// letters are others than those listed. One that can't be written is only reported: facteur-uids will
// not vouch for it. Callers hold mu.
func (a *Account) writeLists(ctx context.Context, most int64) {
	for _, b := range a.boxes {
		if b.listed() || b.count > most {
			continue
		}
		if err := b.writeList(ctx); err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.warn("writing a list of UIDs: "+err.Error(), slog.String("mailbox", b.name))
		}
	}
}

// writeList writes the index's UIDs, with what Dovecot had added to its lines.
func (b *box) writeList(ctx context.Context) error { return b.writeListWith(ctx, nil) }

// writeListWith is writeList with unique-ids of POP3 for letters that have none.
func (b *box) writeListWith(ctx context.Context, uidls map[uint32]string) error {
	entries, err := b.entries(ctx)
	if err != nil {
		return err
	}
	fields := make([]string, len(entries))
	old, err := b.readList(func(uid uint32, f, base []byte) {
		i, ok := slices.BinarySearchFunc(entries, uid, func(e entry, uid uint32) int { return int(int64(e.uid) - int64(uid)) })
		if ok && len(f) > 0 && entries[i].base == string(base) {
			fields[i] = string(f)
		}
	})
	l := uidList{validity: b.validity, next: b.uidNext}
	if err == nil {
		l.guid, l.fields = old.guid, old.fields
	}
	if err == nil && old.validity == b.validity {
		for i := range entries {
			entries[i].fields = fields[i]
		}
	}
	for i := range entries {
		if id := uidls[entries[i].uid]; id != "" && uidlField([]byte(entries[i].fields)) == nil {
			entries[i].fields = strings.TrimPrefix(entries[i].fields+" P"+id, " ")
		}
	}
	if l.guid == "" {
		var id [16]byte
		rand.Read(id[:])
		l.guid = hex.EncodeToString(id[:])
	}
	if !l.ours() {
		l.fields = append(l.fields, listMark)
	}
	if err := vfs.WriteFile(b.dir.FS, b.listPath(), formatList(l, entries), 0o600); err != nil {
		return err
	}
	if b.listStamp, err = b.stampOfList(); err != nil {
		return err
	}
	b.listNext, b.listCount, b.unsaved = b.uidNext, b.count, true
	return nil
}

// entries are the index's letters by UID. What a list must not have is left out
// and gets a new UID if the index is lost: names that would break a line.
func (b *box) entries(ctx context.Context) ([]entry, error) {
	if err := b.loadKeywords(ctx); err != nil {
		return nil, err
	}
	list := make([]entry, 0, b.count)
	add := func(r *record, base string) error {
		if !strings.Contains(base, "\n") {
			list = append(list, entry{uid: r.uid, base: base})
		}
		return nil
	}
	err := b.each(ctx, queryPages, add)
	if errors.Is(err, errCorrupt) {
		if err = b.mend(ctx); err == nil {
			list = list[:0]
			err = b.each(ctx, queryPages, add)
		}
	}
	return list, err
}
