package mailbox

import (
	"context"
	"database/sql"
	"encoding/binary"
	"hash/crc32"

	"facteur/internal/mail/imap"
)

// maxHistory is how many bytes of removals are kept for a mailbox. A removal of
// one letter takes some 25 of them, one of many at a time 1 to 3 a letter. When it
// is full the older half goes.
const maxHistory = 256 << 10

// historyRow is about what a row takes beside its UIDs, in bytes.
const historyRow = 16

// remember puts the removals of a change into the history, and gives what the
// mailbox's row is to say of it.
func (d *delta) remember(tx *sql.Tx) (floor uint64, size int64, err error) {
	floor, size = d.b.historyFloor, d.b.historySize
	if len(d.removed) == 0 {
		return floor, size, nil
	}
	blob := encodeUIDs(imap.Runs(d.removed))
	if len(blob) > maxHistory/2 { // so scattered that it is not worth keeping
		_, err = tx.Exec("DELETE FROM history WHERE mailbox = ?", d.b.id)
		return d.modSeq(), 0, err
	}
	if _, err = tx.Exec("INSERT OR REPLACE INTO history (mailbox, modseq, uids) VALUES (?, ?, ?)",
		d.b.id, int64(d.modSeq()), blob); err != nil {
		return floor, size, err
	}
	if size += int64(len(blob)) + historyRow; size <= maxHistory {
		return floor, size, nil
	}
	return d.b.prune(tx, floor, size)
}

// prune removes the older half of the history.
func (b *box) prune(tx *sql.Tx, floor uint64, size int64) (uint64, int64, error) {
	rows, err := tx.Query("SELECT modseq, length(uids) FROM history WHERE mailbox = ? ORDER BY modseq", b.id)
	if err != nil {
		return floor, size, err
	}
	defer rows.Close()
	for size > maxHistory/2 && rows.Next() {
		var modSeq, length int64
		if err := rows.Scan(&modSeq, &length); err != nil {
			return floor, size, err
		}
		floor, size = uint64(modSeq), size-length-historyRow
	}
	if err := rows.Err(); err != nil {
		return floor, size, err
	}
	rows.Close()
	_, err = tx.Exec("DELETE FROM history WHERE mailbox = ? AND modseq <= ?", b.id, int64(floor))
	return floor, max(size, 0), err
}

// encodeUIDs writes ranges: the distance from the last one and the length of each,
// and a checksum.
func encodeUIDs(rs imap.Ranges) []byte {
	var out []byte
	var last uint32
	for _, r := range rs {
		out = binary.AppendUvarint(out, uint64(r.From-last))
		out = binary.AppendUvarint(out, uint64(r.To-r.From))
		last = r.To
	}
	return binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out))
}

// decodeUIDs is the reverse of encodeUIDs.
func decodeUIDs(blob []byte) (rs imap.Ranges, ok bool) {
	n := len(blob) - 4
	if n < 0 || crc32.ChecksumIEEE(blob[:n]) != binary.LittleEndian.Uint32(blob[n:]) {
		return nil, false
	}
	blob = blob[:n]
	var last uint64
	for len(blob) > 0 {
		gap, n := binary.Uvarint(blob)
		if n <= 0 {
			return nil, false
		}
		length, m := binary.Uvarint(blob[n:])
		if blob = blob[max(n+m, 0):]; m <= 0 || gap > maxUID || length > maxUID || last+gap+length > maxUID {
			return nil, false
		}
		rs = append(rs, imap.Range{From: uint32(last + gap), To: uint32(last + gap + length)})
		last += gap + length
	}
	return rs, true
}

// Vanished gives UIDs of letters that went after the MODSEQ since, of those in
// known (nil: of all). None of them is in the view. Where the history does not
// reach back to since, it is every UID of known above agreed that is not in the view:
// RFC 7162 §3.2.5.2 allows it to tell too many. Up to agreed the client says that it
// has the right letters; it can be mistaken, so the history is believed first.
func (v *View) Vanished(ctx context.Context, since uint64, known imap.Ranges, agreed uint32) (imap.Ranges, error) {
	a := v.acct
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := v.current(ctx); err != nil {
		return nil, err
	}
	gone := gaps(v.uids, v.next)
	if known != nil {
		gone = intersect(gone, known)
	}
	if since >= v.box.historyFloor {
		past, ok, err := v.box.removedSince(ctx, since)
		if err != nil || ok {
			return intersect(gone, past), err
		}
	}
	return intersect(gone, imap.Ranges{{From: agreed + 1, To: maxUID}}), nil
}

// removedSince reads the history. ok is false if a row of it is damaged.
func (b *box) removedSince(ctx context.Context, since uint64) (past imap.Ranges, ok bool, err error) {
	rows, err := b.acct.idx.db.QueryContext(ctx, "SELECT uids FROM history WHERE mailbox = ? AND modseq > ?", b.id, int64(since))
	if err != nil {
		b.acct.suspect(err)
		return nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var blob sql.RawBytes
		if err := rows.Scan(&blob); err != nil {
			return nil, false, err
		}
		rs, ok := decodeUIDs(blob)
		if !ok {
			return nil, false, nil
		}
		past = append(past, rs...)
	}
	b.acct.suspect(rows.Err())
	return past.Union(nil), true, rows.Err()
}

// gaps are the numbers below next that are not among uids, which ascend.
func gaps(uids []uint32, next uint32) (out imap.Ranges) {
	from := uint32(1)
	for _, uid := range uids {
		if uid > from {
			out = append(out, imap.Range{From: from, To: uid - 1})
		}
		from = uid + 1
	}
	if from < next {
		out = append(out, imap.Range{From: from, To: next - 1})
	}
	return out
}

// intersect is the numbers in both.
func intersect(x, y imap.Ranges) (out imap.Ranges) {
	for len(x) > 0 && len(y) > 0 {
		from, to := max(x[0].From, y[0].From), min(x[0].To, y[0].To)
		if from <= to {
			out = append(out, imap.Range{From: from, To: to})
		}
		if x[0].To < y[0].To {
			x = x[1:]
		} else {
			y = y[1:]
		}
	}
	return out
}
