package queue

import (
	"strings"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

// The flags column of item.
const (
	flag8Bit = 1 << iota
	flagUTF8
	flagBinary
	flagTLSOptional
	flagFront     // data is what stands before the file
	flagAuthentic // see Origin
	flagReturned  // see Origin
)

// insert writes the rows of a draft whose bytes are already where they belong.
func (q *Queue) insert(tx *db.Tx, d Draft) error {
	it := d.Item
	if err := q.ids.use(tx, it.ID); err != nil {
		return err
	}
	sender := mailbox(it.Sender)
	_, err := tx.Exec(`INSERT INTO item(id, arrived, sender, account, local, client_addr, client_name, helo, protocol, flags, size, options, sum, data)
		VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		int64(it.ID), it.Arrived.UnixMicro(), sender, it.Origin.Account, it.Origin.Local,
		it.Origin.ClientAddr, it.Origin.ClientName, it.Origin.Helo, it.Origin.Protocol, flags(it)|d.Spool.flags(), it.Size, it.options(), int64(d.Spool.checksum()), inline(d))
	if err != nil {
		return err
	}
	for i := range it.Recipients {
		if err := insertRecipient(tx, it, sender, &it.Recipients[i]); err != nil {
			return err
		}
	}
	return nil
}

// flags are those of where the bytes are.
func (s *Spool) flags() int {
	if s.front != nil {
		return flagFront
	}
	return 0
}

// inline are the bytes for the row; nil, which is NULL, where they are in a file.
func inline(d Draft) []byte {
	switch {
	case d.Item.Size > inlineMax:
		return d.Spool.front
	case d.Spool.mem == nil:
		return []byte{}
	}
	return d.Spool.mem
}

func insertRecipient(tx *db.Tx, it *Item, sender string, r *Recipient) error {
	address := mailbox(r.Address)
	original := address
	if r.Original != r.Address {
		original = mailbox(r.Original)
	}
	_, err := tx.Exec(`INSERT INTO recipient(item, n, address, original, route, state, due, attempts, last_reply, delayed, options, sender, size)
		VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		int64(it.ID), r.N, address, original, r.Route, r.row(), r.Due.UnixMicro(),
		r.Attempts, r.LastReply, r.Delayed, r.options(), sender, it.Size)
	if err == nil && r.inQuarantine() {
		err = insertExhibit(tx, it, r)
	}
	return err
}

func flags(it *Item) (f int) {
	if it.Body8Bit {
		f |= flag8Bit
	}
	if it.UTF8 {
		f |= flagUTF8
	}
	if it.Binary {
		f |= flagBinary
	}
	if it.TLSOptional {
		f |= flagTLSOptional
	}
	if it.Origin.Authentic {
		f |= flagAuthentic
	}
	if it.Origin.Returned {
		f |= flagReturned
	}
	return f
}

// mailbox is how an address stands in a column: local part dequoted, "@", domain.
// The last "@" divides, for no domain has one.
func mailbox(a address.Address) string {
	if a.Domain == "" {
		return a.Local
	}
	return a.Local + "@" + a.Domain
}

func parseMailbox(s string) address.Address {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return address.Address{Local: s}
	}
	return address.Address{Local: s[:i], Domain: s[i+1:]}
}

// itemColumns and recipientColumns are what rows are read from, columns both.
const (
	itemColumns      = "i.id, i.arrived, i.sender, i.account, i.local, i.client_addr, i.client_name, i.helo, i.protocol, i.flags, i.size, i.options"
	recipientColumns = "r.n, r.address, r.original, r.route, r.state, r.due, r.attempts, r.last_reply, r.delayed, r.options"
	columns          = itemColumns + ", " + recipientColumns
)

// scanRow reads one recipient with its item.
func scanRow(scan func(...any) error) (it Item, r Recipient, err error) {
	var id, arrived int64
	var sender, options string
	var flags int
	var raw recipientRow
	err = scan(append([]any{&id, &arrived, &sender, &it.Origin.Account, &it.Origin.Local, &it.Origin.ClientAddr,
		&it.Origin.ClientName, &it.Origin.Helo, &it.Origin.Protocol, &flags, &it.Size, &options}, raw.fields(&r)...)...)
	it.ID, it.Arrived, it.Sender = ID(id), time.UnixMicro(arrived), parseMailbox(sender)
	it.Body8Bit, it.UTF8, it.Binary = flags&flag8Bit != 0, flags&flagUTF8 != 0, flags&flagBinary != 0
	it.TLSOptional, it.Origin.Authentic, it.Origin.Returned = flags&flagTLSOptional != 0, flags&flagAuthentic != 0, flags&flagReturned != 0
	it.setOptions(options)
	raw.finish(&r)
	return it, r, err
}

// leanColumns are what of an item stands with its recipients, and those.
const leanColumns = "r.item, r.sender, r.size, " + recipientColumns

// scanLean reads one recipient without the row of its item: of that there are the ID,
// the time of it, the sender and the size.
func scanLean(scan func(...any) error) (it Item, r Recipient, err error) {
	var id int64
	var sender string
	var raw recipientRow
	err = scan(append([]any{&id, &sender, &it.Size}, raw.fields(&r)...)...)
	it.ID, it.Arrived, it.Sender = ID(id), time.UnixMicro(id), parseMailbox(sender)
	raw.finish(&r)
	return it, r, err
}

// recipientRow is what of a recipient's row has another form in memory.
type recipientRow struct {
	address, original, options string
	state                      int
	due                        int64
}

// fields are where recipientColumns go.
func (raw *recipientRow) fields(r *Recipient) []any {
	return []any{&r.N, &raw.address, &raw.original, &r.Route, &raw.state, &raw.due, &r.Attempts, &r.LastReply, &r.Delayed, &raw.options}
}

func (raw *recipientRow) finish(r *Recipient) {
	r.setOptions(raw.options)
	r.setRow(raw.state)
	r.Address, r.Due = parseMailbox(raw.address), time.UnixMicro(raw.due)
	if r.Original = r.Address; raw.original != raw.address {
		r.Original = parseMailbox(raw.original)
	}
}
