package mailbox

import (
	"context"
	"database/sql"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
)

// The versions of the index that can be brought up to date: in all of them a letter
// was a row.
const (
	oldestVersion = 2 // without times of saving and without history
	rowsVersion   = 4
)

// migrate brings an index of an older version up to date, in one transaction.
// Letters keep UIDs, MODSEQs and keywords. Rows with changed bytes are left out:
// their files become new letters.
func (x *index) migrate(ctx context.Context, version int) error {
	if version < oldestVersion || version > rowsVersion {
		return fmt.Errorf("%w: version %d", errCorrupt, version)
	}
	return x.write(ctx, func(tx *sql.Tx) error {
		if err := reshape(tx, version); err != nil {
			return err
		}
		ids, err := mailboxIDs(tx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := pack(tx, id); err != nil {
				return err
			}
		}
		_, err = tx.Exec(fmt.Sprintf(`DROP TABLE letter; PRAGMA user_version=%d`, schemaVersion))
		return err
	})
}

// reshape makes the tables of today beside that of the letters.
func reshape(tx *sql.Tx, version int) error {
	todos, err := oldTodos(tx)
	if err != nil {
		return err
	}
	statements := `DROP TABLE todo; DROP TABLE IF EXISTS structure; ` + pageTables + `
		ALTER TABLE mailbox ADD COLUMN unseen INTEGER NOT NULL DEFAULT 0;
		ALTER TABLE mailbox ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;`
	if version == oldestVersion {
		statements += historyTable + `
		ALTER TABLE mailbox ADD COLUMN historyfloor INTEGER NOT NULL DEFAULT 0;
		ALTER TABLE mailbox ADD COLUMN historysize INTEGER NOT NULL DEFAULT 0;
		UPDATE mailbox SET historyfloor = modseq;`
	}
	if _, err := tx.Exec(statements); err != nil {
		return err
	}
	_, err = planIn(tx, todos)
	return err
}

func oldTodos(tx *sql.Tx) (list []todo, err error) {
	rows, err := tx.Query("SELECT source, target FROM todo ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t todo
		if err := rows.Scan(&t.source, &t.target); err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

func mailboxIDs(tx *sql.Tx) (ids []int64, err error) {
	rows, err := tx.Query("SELECT id FROM mailbox")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// packer makes pages of letters that come by ascending UID.
type packer struct {
	tx      *sql.Tx
	id      int64
	list    []record
	names   []named
	words   []string // packed, by number as the records have it
	numbers map[string]uint32
}

// pack makes the pages of one mailbox.
func pack(tx *sql.Tx, id int64) error {
	rows, err := tx.Query(`SELECT uid, base, info, isnew, modseq, flags, keywords, received, size, crc
		FROM letter WHERE mailbox = ? ORDER BY uid`, id)
	if err != nil {
		return err
	}
	defer rows.Close()
	p := &packer{tx: tx, id: id, words: []string{""}, numbers: map[string]uint32{"": 0}}
	for rows.Next() {
		var r record
		var base, words string
		var crc int64
		if err := rows.Scan(&r.uid, &base, &r.info, &r.isNew, &r.modSeq, &r.flags, &words, &r.received, &r.size, &crc); err != nil {
			return err
		}
		if crc == oldChecksum(id, r.uid, base) {
			r.words, r.saved = p.set(words), savedFrom(base)
			p.list, p.names = append(p.list, r), append(p.names, named{r.uid, base})
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	return p.write()
}

// oldChecksum tied a UID to its file.
func oldChecksum(mailbox int64, uid uint32, base string) int64 {
	return int64(crc32.ChecksumIEEE(fmt.Appendf(nil, "%d %d %s", mailbox, uid, base)))
}

// set translates keywords, which were numbers as text.
func (p *packer) set(text string) uint32 {
	n, ok := p.numbers[text]
	if !ok {
		var numbers []uint16
		for _, t := range strings.Fields(text) {
			if k, err := strconv.ParseUint(t, 10, 16); err == nil {
				numbers = append(numbers, uint16(k))
			}
		}
		slices.Sort(numbers)
		n = uint32(len(p.words))
		p.words, p.numbers[text] = append(p.words, packWords(slices.Compact(numbers))), n
	}
	return n
}

func (p *packer) write() error {
	var bytes int64
	unseen, deleted := countFlags(p.list)
	count := len(p.list)
	for i := range p.list {
		bytes += p.list[i].size
	}
	for len(p.list) > 0 {
		n := p.list[0].uid >> pageBits
		var part []record
		part, p.list = cut(p.list, func(r record) bool { return r.uid>>pageBits > n })
		fresh := 0
		for i := range part {
			if part[i].isNew {
				fresh++
			}
		}
		id := p.id<<32 | int64(n)
		data := encodeRecords(id, part, func(n uint32) string { return p.words[n] })
		if _, err := p.tx.Exec("INSERT INTO page (id, fresh, letters) VALUES (?, ?, ?)", id, fresh, data); err != nil {
			return err
		}
	}
	for len(p.names) > 0 {
		n := p.names[0].uid >> nameBits
		var part []named
		part, p.names = cut(p.names, func(x named) bool { return x.uid>>nameBits > n })
		id := p.id<<32 | int64(n)
		if _, err := p.tx.Exec("INSERT INTO name (id, bases) VALUES (?, ?)", id, encodeNames(id, part)); err != nil {
			return err
		}
	}
	_, err := p.tx.Exec("UPDATE mailbox SET count = ?, bytes = ?, unseen = ?, deleted = ?, newstamp = 0, curstamp = 0 WHERE id = ?",
		count, bytes, unseen, deleted, p.id)
	return err
}
