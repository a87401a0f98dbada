package directory

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// proofLife is how long a password that was proved needs no new hash. Mail
// programs log in several times in a row, one connection per folder.
const proofLife = time.Minute

// refusalLife is how long a password that was wrong is known to be. A telephone
// that was not told of a new password tries the old one for days.
const refusalLife = 10 * time.Minute

// proofs remembers, for one minute, which password opened which account, and for
// ten which did not. What it keeps is a MAC under a key of this process over the
// account, the stored hash and the password: it fits no other account, it is worth
// nothing outside this process, and a changed password ends it by itself. What is
// remembered of strangers is under their names, so that a wrong password costs them
// as much, the first time and the second, as it costs anybody.
type proofs struct {
	key [32]byte

	mu      sync.Mutex
	entries map[string]proof
	refused map[[sha256.Size]byte]time.Time // until when
}

// inquiries are the questions that somebody is about to answer, by the MAC of account,
// stored hash and password: who asks the same meanwhile waits for him and takes no place
// in the line before the hash. It is as large as that line is long.
type inquiries struct {
	mu   sync.Mutex
	open map[[sha256.Size]byte]chan struct{}
}

// begin gives the one who asks first what ends the inquiry, and the others what is
// closed then.
func (q *inquiries) begin(mac [sha256.Size]byte) (end func(), other <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if over, ok := q.open[mac]; ok {
		return nil, over
	}
	over := make(chan struct{})
	q.open[mac] = over
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.open, mac)
		close(over)
	}, nil
}

// memory is what proofs knows of a password.
type memory uint8

const (
	unknown memory = iota
	right
	wrong
)

type proof struct {
	mac     [sha256.Size]byte
	expires time.Time
}

func newProofs() *proofs {
	p := &proofs{entries: map[string]proof{}, refused: map[[sha256.Size]byte]time.Time{}}
	rand.Read(p.key[:]) // never fails (crypto/rand)
	return p
}

func (p *proofs) recall(account, stored, password string) memory {
	mac := p.mac(account, stored, password)
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.entries[account]
	switch {
	case ok && now.Before(known.expires) && hmac.Equal(known.mac[:], mac[:]):
		return right
	case now.Before(p.refused[mac]):
		return wrong
	}
	return unknown
}

func (p *proofs) refuse(account, stored, password string) {
	mac := p.mac(account, stored, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.refused) >= cacheSize {
		clear(p.refused)
	}
	p.refused[mac] = time.Now().Add(refusalLife)
}

func (p *proofs) add(account, stored, password string) {
	mac := p.mac(account, stored, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.entries) >= cacheSize {
		clear(p.entries)
	}
	p.entries[account] = proof{mac, time.Now().Add(proofLife)}
}

func (p *proofs) drop(account string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.entries, account)
}

// mac binds the three together; lengths stand before them, so that no two
// triples give the same bytes.
func (p *proofs) mac(parts ...string) (out [sha256.Size]byte) {
	h := hmac.New(sha256.New, p.key[:])
	for _, part := range parts {
		binary.Write(h, binary.BigEndian, uint64(len(part))) // a hash takes all
		h.Write([]byte(part))
	}
	h.Sum(out[:0])
	return out
}
