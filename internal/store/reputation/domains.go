package reputation

import (
	"context"
	"database/sql"
	"hash/fnv"
	"maps"
	"math/bits"
	"sync"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/store/behind"
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
	changed *behind.Rows[string]
	most    int
}

// standing is one domain; times are in Unix seconds.
type standing struct {
	since, expires int64
	good, bad      int
	authors        uint64
}

func newDomains(most int) *domains {
	d := &domains{known: make(map[string]standing), most: most}
	d.changed = behind.NewRows(&d.mu, 2*most, d.row)
	return d
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
	d, now := s.domains, s.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	k, there := d.known[domain]
	if !there && len(d.known) >= d.most {
		// Thousands of new ones do not push out one that is known for long.
		least := limit.Spare(d.known, func(k standing) int { return k.good })
		delete(d.known, least)
		d.changed.Touch(least)
	}
	if k.expires <= now.Unix() { // a new one, or an old one whose time was over
		k = standing{since: now.Unix()}
	}
	k.note(author, good)
	k.expires = now.Add(domainHolds).Unix()
	d.known[domain] = k
	d.changed.Touch(domain)
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

// read fills the memory with what still counts, the best first.
func (d *domains) read(ctx context.Context, from *db.DB, now int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const query = `SELECT domain, since, good, bad, authors, expires FROM reputation_domain WHERE expires > ? ORDER BY good DESC LIMIT ?`
	return from.Each(ctx, query, []any{now, d.most}, func(rows *sql.Rows) error {
		var domain string
		var k standing
		var authors int64
		err := rows.Scan(&domain, &k.since, &k.good, &k.bad, &authors, &k.expires)
		k.authors = uint64(authors)
		d.known[domain] = k
		return err
	})
}

func (d *domains) row(domain string) behind.Row {
	k, there := d.known[domain]
	if !there {
		return behind.Exec(`DELETE FROM reputation_domain WHERE domain = ?`, domain)
	}
	return behind.Exec(`INSERT OR REPLACE INTO reputation_domain (domain, since, good, bad, authors, expires) VALUES (?, ?, ?, ?, ?, ?)`,
		domain, k.since, k.good, k.bad, int64(k.authors), k.expires)
}

// sweep drops what is over from memory.
func (d *domains) sweep(now int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.known, func(_ string, k standing) bool { return k.expires <= now })
}
