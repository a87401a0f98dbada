// Package correspondent remembers to whom each account wrote. Who was written to may
// answer: that is what greylisting, the filter and the brake on outgoing mail ask here.
//
// It proves nothing by itself: a sender's address can be forged, and only who is proven to
// be that sender should profit from it.
//
// # On disk
//
// Tables in DATA/facteur.db, with a version of their own. Accounts and addresses are there as
// hashes of 64 bits with a key that is made once and kept beside them: nobody reads a list
// of contacts out of a copy by chance, and who has all of it can test an address that he
// guesses, no more. The names of their domains stand there in the same way, as they are and as
// an eye sees them, so that a domain that only looks like one of them is found. A pair is kept
// two years after the last letter.
//
// # Invariants
//
// Note never waits for the disk; what it was given counts at once. An account has MaxPeers
// addresses, and the house MaxPairs pairs: the ones that were written to longest ago
// make room. A crash loses the letters of the last seconds.
package correspondent

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/mail/content"
	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Tables is the tables of this room, for db.Open.
func Tables() db.Tables { return db.Tables{Room: "correspondent", Migrations: migrations} }

const (
	// MaxPeers is how many addresses, and names of domains, are remembered of an account.
	MaxPeers = 10_000
	// MaxPairs is how many pairs of account and address are remembered in all.
	MaxPairs = 2_000_000
	// KeepDays is how long a pair is remembered after the last letter.
	KeepDays = 730
	// MaxRecipients is to how many a letter may go that makes correspondents of them: who
	// writes to more at a time does not expect them all to answer.
	MaxRecipients = 50

	maxPending = 10_000
	writeEvery = 3 * time.Second
	sweepEvery = 6 * time.Hour
	tellEvery  = time.Minute
)

// Store is who wrote to whom. Its methods may be called from any goroutine.
type Store struct {
	db     *db.DB
	events event.Sink
	now    func() time.Time
	key    []byte
	peers  int // most of an account
	pairs  int // most in all

	knows, anybody *sql.Stmt // asked for each letter

	mu      sync.Mutex
	pending map[pair]int64 // letters that are not written yet
	writing map[pair]int64 // those that are being written
	missed  int64
	told    int64     // of missed, in the log
	toldAt  time.Time // when
}

// pair is an account and an address that it wrote to.
type pair struct{ account, peer int64 }

// Open works on a database that was opened with Tables.
func Open(ctx context.Context, d *db.DB, events event.Sink) (*Store, error) {
	s := &Store{db: d, events: events, now: time.Now, peers: MaxPeers, pairs: MaxPairs, pending: make(map[pair]int64)}
	err := d.Write(ctx, func(tx *db.Tx) error {
		fresh := make([]byte, 32)
		rand.Read(fresh)
		if _, err := tx.Exec(`INSERT INTO correspondent_key VALUES (1, ?) ON CONFLICT DO NOTHING`, fresh); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT key FROM correspondent_key`).Scan(&s.key)
	})
	if err == nil {
		s.knows, err = d.Reader().PrepareContext(ctx, `SELECT EXISTS (SELECT 1 FROM correspondent WHERE account = ? AND peer = ? AND last >= ?)`)
	}
	if err == nil {
		s.anybody, err = d.Reader().PrepareContext(ctx, `SELECT EXISTS (SELECT 1 FROM correspondent WHERE peer = ? AND last >= ?)`)
	}
	return s, about(err)
}

// hash is what stands for an account or an address.
func (s *Store) hash(kind, text string) int64 {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(kind + "\x00" + text))
	return int64(binary.LittleEndian.Uint64(h.Sum(nil)))
}

func (s *Store) pair(account string, peer address.Address) pair {
	return pair{s.hash("account", account), s.hash("peer", peer.Key())}
}

// Note remembers that an account, named by its canonical address, wrote a letter that was
// accepted to these addresses.
func (s *Store) Note(account string, to []address.Address) {
	if account == "" || len(to) > MaxRecipients {
		return
	}
	list := make([]pair, 0, len(to))
	for _, peer := range to {
		if !peer.IsNull() {
			p := s.pair(account, peer)
			list = append(append(list, p), s.names(p.account, peer.Domain)...)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range list {
		if _, known := s.pending[p]; !known && len(s.pending) >= maxPending {
			s.missed++ // the disk does not take them
			continue
		}
		s.pending[p]++
	}
}

// Knows says whether an account wrote to an address. What can't be looked up is not
// known: that is no evidence of anything.
func (s *Store) Knows(ctx context.Context, account string, peer address.Address) bool {
	return s.has(ctx, s.pair(account, peer))
}

func (s *Store) has(ctx context.Context, p pair) bool {
	s.mu.Lock()
	known := s.pending[p] > 0 || s.writing[p] > 0
	s.mu.Unlock()
	return known || s.asks(ctx, s.knows, p.account, p.peer, s.oldest())
}

// shortestName is how long the name of a domain is, in bytes, of which it is remembered what
// it looks like: many short names look alike by chance.
const shortestName = 5

// names are the pairs that stand for a domain: its name, and what that looks like. Others
// have that name, too, below another suffix, and are not told apart: it is how they look.
func (s *Store) names(account int64, domain string) []pair {
	name := content.RegisteredName(domain)
	if len(name) < shortestName {
		return nil
	}
	return []pair{{account, s.hash("name", name)}, {account, s.hash("looks", content.Skeleton(name))}}
}

// Resembles says whether a domain, in A-labels, looks like one that an account wrote to, and
// is none of those: "examp1e.org", where "example.org" is known.
func (s *Store) Resembles(ctx context.Context, account, domain string) bool {
	names := s.names(s.hash("account", account), domain)
	return names != nil && s.has(ctx, names[1]) && !s.has(ctx, names[0])
}

// KnownToAnybody says whether any account here wrote to an address.
func (s *Store) KnownToAnybody(ctx context.Context, peer address.Address) bool {
	h := s.hash("peer", peer.Key())
	return s.waits(h) || s.asks(ctx, s.anybody, h, s.oldest())
}

// waits tells an address that somebody wrote to within the last seconds.
func (s *Store) waits(peer int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, some := range []map[pair]int64{s.pending, s.writing} {
		for p := range some {
			if p.peer == peer {
				return true
			}
		}
	}
	return false
}

func (s *Store) asks(ctx context.Context, question *sql.Stmt, args ...any) (yes bool) {
	if err := question.QueryRowContext(ctx, args...).Scan(&yes); err != nil && ctx.Err() == nil {
		s.warn("whom an account wrote to can't be looked up", err)
	}
	return yes
}

// Missed is how many letters were not remembered because the disk did not take them.
func (s *Store) Missed() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missed
}

// Forget forgets all that an account wrote to.
func (s *Store) Forget(ctx context.Context, account string) error {
	h := s.hash("account", account)
	s.mu.Lock()
	for p := range s.pending {
		if p.account == h {
			delete(s.pending, p)
		}
	}
	s.mu.Unlock()
	return about(s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`DELETE FROM correspondent WHERE account = ?`, h)
		return err
	}))
}

// day is today in days since 1970; oldest is the first day that still counts.
func (s *Store) day() int64    { return s.now().Unix() / 86400 }
func (s *Store) oldest() int64 { return s.day() - KeepDays }

// Run writes what was noted until ctx ends, and once more then.
func (s *Store) Run(ctx context.Context) {
	behind.Loop{Write: s.writeAndTell, Every: writeEvery, Sweep: s.sweep, SweepEvery: sweepEvery,
		Events: s.events, Program: "facteur/correspondent", What: "whom accounts wrote to can't be written down"}.Run(ctx)
}

// writeAndTell is Write, and tells what there was no room for.
func (s *Store) writeAndTell(ctx context.Context) error {
	s.tellMissed()
	return s.Write(ctx)
}

// tellMissed tells to how many recipients nobody will be remembered to have written, at
// most once a minute.
func (s *Store) tellMissed() {
	s.mu.Lock()
	n, now := s.missed-s.told, s.now()
	tell := n > 0 && now.Sub(s.toldAt) >= tellEvery
	if tell {
		s.told, s.toldAt = s.missed, now
	}
	s.mu.Unlock()
	if tell {
		s.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/correspondent", Text: fmt.Sprintf(
			"%d recipients of letters are not remembered as correspondents, because too many waited to be written down", n)})
	}
}

func (s *Store) warn(what string, err error) {
	s.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/correspondent", Text: what + ": " + err.Error()})
}

func about(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("correspondents: %w", err)
}
