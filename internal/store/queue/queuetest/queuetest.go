// Package queuetest fills a queue fast: a million items in less than a minute, for
// tests and benchmarks of what a large queue costs. It writes the rows that commits
// and deferrals would have written, without a server; nothing may have the queue open.
package queuetest

import (
	"context"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"time"

	"facteur/internal/store/db"
)

// Mail is what a queue is filled with.
type Mail struct {
	Items int
	// Senders and Domains are how many there are, at least 1: item x (from 0) is from
	// s<x mod Senders>@sender.example, for r<x>@d<x mod Domains>.example.
	Senders, Domains int
	// Message is the bytes of each.
	Message []byte
	// Arrived is when the first came; the others follow at a microsecond each.
	Arrived time.Time
	// Due is when it is tried next, after so many attempts, the last of which was told
	// Reply. Without attempts it is what was never tried.
	Due      time.Time
	Attempts int
	Reply    string
	// Held: it waits for a person.
	Held bool
}

// together is how many items are written in one transaction.
const together = 20_000

// Fill adds mail to the queue in dir, whose tables are those of queue.Migrations.
func Fill(dir string, migrations fs.FS, m Mail) error {
	d, err := db.Open(filepath.Join(dir, "queue.db"), migrations)
	if err != nil {
		return err
	}
	defer d.Close()
	for done := 0; done < m.Items; done += together {
		err := d.Write(context.Background(), func(tx *db.Tx) error { return m.insert(tx, done, min(m.Items, done+together)) })
		if err != nil {
			return fmt.Errorf("filling the queue: %w", err)
		}
	}
	return nil
}

const numbers = `WITH RECURSIVE c(x) AS (SELECT ?1 UNION ALL SELECT x + 1 FROM c WHERE x < ?2 - 1) `

// insert writes the items from one number to another.
func (m Mail) insert(tx *db.Tx, from, to int) error {
	first := m.Arrived.UnixMicro()
	state := 0
	if m.Held {
		state = 2
	}
	sum := crc32.Checksum(m.Message, crc32.MakeTable(crc32.Castagnoli))
	if _, err := tx.Exec(numbers+`INSERT INTO item(id, arrived, sender, account, local, client_addr, client_name, helo, protocol, flags, size, options, sum, data)
		SELECT ?3 + x, ?3 + x, 's' || (x % ?4) || '@sender.example', '', 1, '192.0.2.1', 'client.example', 'client.example', 'ESMTP', 0, ?5, '', ?6, ?7 FROM c`,
		from, to, first, m.Senders, len(m.Message), int64(sum), m.Message); err != nil {
		return err
	}
	if _, err := tx.Exec(numbers+`INSERT INTO recipient(item, n, address, original, route, state, due, attempts, last_reply, delayed, options, sender, size)
		SELECT ?3 + x, 1, 'r' || x || '@d' || (x % ?4) || '.example', 'r' || x || '@d' || (x % ?4) || '.example', 'smtp:d' || (x % ?4) || '.example',
			?5, ?6, ?7, ?8, 0, '', 's' || (x % ?9) || '@sender.example', ?10 FROM c`,
		from, to, first, m.Domains, state, m.Due.UnixMicro(), m.Attempts, m.Reply, m.Senders, len(m.Message)); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE used SET id = max(id, ?)", first+int64(to))
	return err
}
