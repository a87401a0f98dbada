package reputation

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math/bits"
	"sync"
	"time"

	"facteur/internal/store/db"
)

// Domain is what is known of a domain that brings letters which others wrote, and proves
// each time that it is itself: a mailing list, a forwarder. The zero Domain is unknown.
type Domain struct {
	// Since is when it brought the first letter that still counts.
	Since time.Time
	// Good and Bad are how many letters it brought: fine ones, and spam.
	Good, Bad int
	// Authors is of about how many domains they were; 64 stands for any number from there.
	Authors int
}

const (
	// MaxDomains bounds memory and table; some 3 MB when it is full.
	MaxDomains = 1 << 14

	domainHolds  = 90 * 24 * time.Hour
	lettersMax   = 1 << 30
	domainLength = 255
)

// domains is the part of a Store about domains.
type domains struct {
	mu      sync.Mutex
	known   map[string]standing
	changed map[string]struct{}
	most    int
}

// standing is one domain; times are in Unix seconds.
type standing struct {
	since, expires int64
	good, bad      int
	authors        uint64
}

func newDomains(most int) domains {
	return domains{known: make(map[string]standing), changed: make(map[string]struct{}), most: most}
}

// Domain tells what is known of a domain, in lower case and A-labels.
func (s *Store) Domain(domain string) Domain {
	s.domains.mu.Lock()
	defer s.domains.mu.Unlock()
	k, there := s.domains.known[domain]
	if !there || k.expires <= s.now().Unix() {
		return Domain{}
	}
	return Domain{Since: time.Unix(k.since, 0), Good: k.good, Bad: k.bad, Authors: bits.OnesCount64(k.authors)}
}

// NoteDomain remembers a letter that a domain brought and that somebody at author wrote;
// good tells that it is no spam.
func (s *Store) NoteDomain(domain, author string, good bool) {
	if domain == "" || len(domain) > domainLength {
		return
	}
	d, now := &s.domains, s.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	k, there := d.known[domain]
	if !there && len(d.known) >= d.most {
		d.makeRoom()
	}
	if k.expires <= now.Unix() { // a new one, or an old one whose time was over
		k = standing{since: now.Unix()}
	}
	k.note(author, good)
	k.expires = now.Add(domainHolds).Unix()
	d.known[domain] = k
	d.touch(domain)
}

func (k *standing) note(author string, good bool) {
	if !good {
		k.bad = min(k.bad+1, lettersMax)
		return
	}
	k.good = min(k.good+1, lettersMax)
	h := fnv.New64a()
	h.Write([]byte(author))
	sum := h.Sum64()
	k.authors |= 1 << ((sum ^ sum>>32) % 64)
}

// touch notes a change, within bounds; see Store.touch.
func (d *domains) touch(domain string) {
	if len(d.changed) < 2*d.most {
		d.changed[domain] = struct{}{}
	}
}

// makeRoom forgets, of a few domains, the one that has brought the fewest good letters:
// thousands of new ones do not push out one that is known for long.
func (d *domains) makeRoom() {
	const few = 16
	gone, least, seen := "", 0, 0
	for domain, k := range d.known { // in an order by chance
		if seen == 0 || k.good < least {
			gone, least = domain, k.good
		}
		if seen++; seen == few {
			break
		}
	}
	delete(d.known, gone)
	d.touch(gone)
}

// read fills the memory with what still counts, the best first.
func (d *domains) read(ctx context.Context, from *db.DB, now int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	rows, err := from.Reader().QueryContext(ctx, `SELECT domain, since, good, bad, authors, expires FROM reputation_domain WHERE expires > ? ORDER BY good DESC LIMIT ?`, now, d.most)
	if err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var domain string
		var k standing
		var authors int64
		if err := rows.Scan(&domain, &k.since, &k.good, &k.bad, &authors, &k.expires); err != nil {
			return fmt.Errorf("reputation: %w", err)
		}
		k.authors = uint64(authors)
		d.known[domain] = k
	}
	return rows.Err()
}

// write makes the changes durable, as Store.Write does those of clients.
func (d *domains) write(ctx context.Context, to *db.DB) error {
	for {
		batch := d.take()
		if len(batch) == 0 {
			return nil
		}
		if err := to.Write(ctx, func(tx *db.Tx) error { return putDomains(tx, batch) }); err != nil {
			d.giveBack(batch)
			return fmt.Errorf("reputation: %w", err)
		}
	}
}

// take takes some changes to write them; of a domain that is gone, the zero standing.
func (d *domains) take() map[string]standing {
	d.mu.Lock()
	defer d.mu.Unlock()
	batch := make(map[string]standing)
	for domain := range d.changed {
		batch[domain] = d.known[domain]
		delete(d.changed, domain)
		if len(batch) == writeMost {
			break
		}
	}
	return batch
}

func (d *domains) giveBack(batch map[string]standing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for domain := range batch {
		d.touch(domain)
	}
}

func putDomains(tx *db.Tx, batch map[string]standing) error {
	for domain, k := range batch {
		if k.expires == 0 {
			if _, err := tx.Exec(`DELETE FROM reputation_domain WHERE domain = ?`, domain); err != nil {
				return err
			}
			continue
		}
		if _, err := tx.Exec(`INSERT OR REPLACE INTO reputation_domain (domain, since, good, bad, authors, expires) VALUES (?, ?, ?, ?, ?, ?)`,
			domain, k.since, k.good, k.bad, int64(k.authors), k.expires); err != nil {
			return err
		}
	}
	return nil
}

// sweep drops what is over from memory.
func (d *domains) sweep(now int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.known, func(_ string, k standing) bool { return k.expires <= now })
}
