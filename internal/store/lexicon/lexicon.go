// Package lexicon keeps what letters taught: in how many letters of spam and of other
// mail each token was, for the server and for each account.
//
// # On disk
//
// In DATA/lexicon/, for the server "server" and for an account the first half of the
// SHA-256 of its address, in two levels:
//
//	NAME.words   the counts, the letters they came from, and a checksum
//	NAME.log     the lessons since then
//
// A lesson is appended to the journal as it is given, and durable some seconds later. When
// the journal has grown, the counts are written anew, atomically, and another journal
// begins; its head names the counts that it goes on from, and one that goes on from older
// ones is passed over. A crash loses the lessons of the last seconds, and a power cut may
// tear the journal: it counts up to there. A file that can't be read is renamed aside,
// which the log tells, and that owner's learning starts anew.
//
// # Invariants
//
// Readers (Layer) never wait: they look tokens up in tables that change under them
// without locks. A token takes 16 to 19 bytes of memory.
//
// What a letter taught can be taken back exactly, because it is remembered which letters
// were learnt, as what; until they are too many or too long ago. The same letter taught
// again as the same changes nothing.
//
// Everything is bounded (MAP-014): the tokens of a letter, the tokens, letters and lessons
// of a day of an owner, the accounts in memory. When there are many letters of one class
// all counts are halved; when there are too many tokens, those go that were in few letters
// and not seen for long. An account learns from nobody but itself.
//
// The server's counts are everybody's, and nobody's alone. Learn and Instruct with the owner
// Server are for who runs it. What accounts teach the server comes by Contribute: a token counts once
// two accounts taught it, no account may teach more than a few dozen letters a day, nor
// more than half of what all others did.
package lexicon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/mail/words"
)

// Server is the owner of the counts that are everybody's. Accounts are owners by their
// canonical addresses.
const Server = ""

const (
	// MaxTokens is how many tokens one letter teaches; of more, those with the lowest
	// hashes.
	MaxTokens = words.MaxTokens
	// KeepLetters is how many days a letter is remembered after it was learnt.
	KeepLetters = keepDays
	keepDays    = 400

	freeShare  = 10 // letters of a class that an account may teach the server, whatever the others did
	syncEvery  = 3 * time.Second
	restAfter  = 10 * 60 // seconds after which an unused account leaves the memory
	retryAfter = 60      // seconds until what could not be read is tried again
	fileMost   = 128 << 20
	logLeast   = 1 << 20 // bytes of a journal before the counts are written anew
)

// bounds are those of one owner.
type bounds struct {
	tokens, waiting   int
	letters, teachers int
	perDay            uint32 // lessons; 0: who teaches is trusted
	perTeacher        uint16
	halveAt           uint32
}

// Limits are what may be set. The zero value of a field is its default.
type Limits struct {
	// ServerTokens and AccountTokens bound how many tokens have counts; by default a
	// million and 200,000.
	ServerTokens, AccountTokens int
	// PerDay is how many letters an account learns a day, by default 2,000.
	PerDay int
	// PerTeacher is how many letters a day an account may teach the server, by default 50.
	PerTeacher int
	// Memory is how many bytes the counts of accounts may take, by default 64 MB. One
	// account that is in use is in memory whatever it takes.
	Memory int64
}

func (l Limits) filled() Limits {
	set := func(n *int, usual int) {
		if *n <= 0 {
			*n = usual
		}
	}
	set(&l.ServerTokens, 1_000_000)
	set(&l.AccountTokens, 200_000)
	set(&l.PerDay, 2000)
	set(&l.PerTeacher, 50)
	l.PerTeacher = min(l.PerTeacher, 10_000)
	if l.Memory <= 0 {
		l.Memory = 64 << 20
	}
	return l
}

// of are the bounds of an owner.
func (l Limits) of(owner string) bounds {
	if owner == Server {
		return bounds{tokens: l.ServerTokens, waiting: l.ServerTokens / 2, letters: 100_000, teachers: 50_000,
			perTeacher: uint16(l.PerTeacher), halveAt: 50_000}
	}
	return bounds{tokens: l.AccountTokens, letters: 20_000, perDay: uint32(l.PerDay), halveAt: 10_000}
}

// Store is the lexicon. Its methods may be called from any goroutine.
type Store struct {
	fs     vfs.FS
	dir    string
	limits Limits
	events event.Sink
	now    func() time.Time
	seed   uint64

	mu    sync.Mutex
	books map[string]*book
}

// Open works on a directory, which is made when something is learnt. Run is to be
// called, or nothing becomes durable but by Sync.
func Open(fsys vfs.FS, dir string, l Limits, events event.Sink) *Store {
	return &Store{fs: fsys, dir: dir, limits: l.filled(), events: events, now: time.Now, seed: rand.Uint64(), books: make(map[string]*book)}
}

// today is the day in days since 2020, never 0.
func (s *Store) today() uint16 {
	const epoch = 18262
	return uint16(min(max(s.now().Unix()/86400-epoch, 1), countMost))
}

// Layer is what an owner has learnt, for words.Judge. Of what can't be read it is
// empty, and the log says so.
func (s *Store) Layer(owner string) words.Layer {
	l := words.Layer{Name: owner, Count: func(uint64) (uint32, uint32) { return 0, 0 }}
	if owner == Server {
		l.Name = "server"
	}
	if p := s.pages(owner); p != nil {
		l.Spam, l.Ham, l.Count = p.spam.Load(), p.ham.Load(), p.main.count
	}
	return l
}

// pages are those of an owner, to be read; nil if they can't be.
func (s *Store) pages(owner string) *pages {
	b := s.book(owner)
	if p := b.read.Load(); p != nil {
		return p
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p, _ := s.load(b)
	return p
}

// book is that of an owner, read or not.
func (s *Store) book(owner string) *book {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.books[owner]
	if b == nil {
		b = &book{owner: owner, name: path.Join(s.dir, fileName(owner))}
		s.books[owner] = b
	}
	b.used.Store(s.now().Unix())
	return b
}

// fileName is where the files of an owner are, below the directory.
func fileName(owner string) string {
	if owner == Server {
		return "server"
	}
	sum := sha256.Sum256([]byte(owner))
	name := hex.EncodeToString(sum[:16])
	return path.Join(name[:2], name[2:])
}

// Learn teaches an owner a letter, as far as he may learn today.
func (s *Store) Learn(ctx context.Context, owner string, letter [16]byte, tokens []uint64, isSpam bool) (Outcome, error) {
	return s.teach(ctx, owner, &lesson{key: order.Uint64(letter[:8]), class: classOf(isSpam), tokens: tokens})
}

// Instruct is Learn for as many letters a day as there are: it is for who runs the server.
func (s *Store) Instruct(ctx context.Context, owner string, letter [16]byte, tokens []uint64, isSpam bool) (Outcome, error) {
	return s.teach(ctx, owner, &lesson{key: order.Uint64(letter[:8]), class: classOf(isSpam), tokens: tokens, freely: true})
}

// Contribute teaches the server a letter in the name of an account, as far as one account
// may. Undone says that it had been learnt as the other class, and that he has too large a
// share of this one: it counts for neither.
func (s *Store) Contribute(ctx context.Context, account string, letter [16]byte, tokens []uint64, isSpam bool) (Outcome, error) {
	l := s.contribution(account, letter, tokens)
	l.class = classOf(isSpam)
	return s.teach(ctx, Server, l)
}

// Forget takes a letter back that an owner learnt. The tokens are those that it was
// learnt with.
func (s *Store) Forget(ctx context.Context, owner string, letter [16]byte, tokens []uint64) (Outcome, error) {
	return s.teach(ctx, owner, &lesson{key: order.Uint64(letter[:8]), tokens: tokens})
}

// Remembers says as what an owner learnt a letter, if he did and it is not forgotten.
func (s *Store) Remembers(owner string, letter [16]byte) (isSpam, known bool) {
	b := s.book(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := s.load(b)
	if err != nil {
		return false, false
	}
	was := p.letters.known[order.Uint64(letter[:8])].class
	return was == spam, was != none
}

// Withdraw takes back what an account taught the server by a letter, with the same tokens:
// else a letter could be made that takes back what others taught (MAP-014).
func (s *Store) Withdraw(ctx context.Context, account string, letter [16]byte, tokens []uint64) (Outcome, error) {
	return s.teach(ctx, Server, s.contribution(account, letter, tokens))
}

// contribution is a lesson of the server's by an account.
func (s *Store) contribution(account string, letter [16]byte, tokens []uint64) *lesson {
	said := append(append(letter[:], account...), 0)
	for _, token := range orderly(tokens) {
		said = appendToken(said, token)
	}
	sum := sha256.Sum256(said)
	who := sha256.Sum256([]byte(account))
	return &lesson{key: order.Uint64(sum[:8]), teacher: max(order.Uint64(who[:8]), 1), tokens: tokens}
}

// teach writes a lesson down and applies it.
func (s *Store) teach(ctx context.Context, owner string, l *lesson) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Refused, err
	}
	l.day, l.tokens = s.today(), orderly(l.tokens)
	for {
		b := s.book(owner)
		if outcome, again, err := s.write(b, l); !again {
			return outcome, about(owner, err)
		}
	}
}

// write is teach for a book; again says that it has been put away meanwhile.
func (s *Store) write(b *book, l *lesson) (o Outcome, again bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return Refused, true, nil
	}
	p, err := s.load(b)
	if err != nil {
		return Refused, false, err
	}
	if o = p.consider(l); o == Same || o == Refused {
		return o, false, nil
	}
	if err := s.prepare(b, p); err != nil {
		return Refused, false, err
	}
	if err := b.log.add(s.fs, b.name+".log", p.generation, l); err != nil {
		return Refused, false, err
	}
	p.apply(l)
	p.measure()
	return o, false, nil
}

// orderly is the tokens in order, each once, and not too many.
func orderly(tokens []uint64) []uint64 {
	out := make([]uint64, len(tokens))
	for i, t := range tokens {
		out[i] = t & tokenMask
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), MaxTokens)]
}

func about(owner string, err error) error {
	if err == nil {
		return nil
	}
	if owner == Server {
		owner = "the server"
	}
	return fmt.Errorf("what is learnt for %s: %w", owner, err)
}

// Run makes lessons durable, and puts away accounts that nobody uses, until ctx ends.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.Sync()
			s.tidy()
		case <-ctx.Done():
			s.Sync()
			return
		}
	}
}

// Sync makes durable what was learnt.
func (s *Store) Sync() error {
	var all error
	for _, b := range s.all() {
		b.mu.Lock()
		err := b.log.sync(s.fs, b.name+".log")
		b.mu.Unlock()
		if err != nil {
			s.warn(b.owner, "it may be lost, and is written anew with the next letter", err)
			all = errors.Join(all, about(b.owner, err))
		}
	}
	return all
}

func (s *Store) all() (list []*book) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.books {
		list = append(list, b)
	}
	return list
}

// tidy puts accounts away that were not used for a while, and more of them if they take
// too much memory, the longest unused first.
func (s *Store) tidy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var at []*book
	sum := int64(0)
	for _, b := range s.books {
		if b.owner != Server {
			at = append(at, b)
			sum += b.bytes()
		}
	}
	slices.SortFunc(at, func(x, y *book) int { return int(x.used.Load() - y.used.Load()) })
	rested := s.now().Unix() - restAfter
	for _, b := range at {
		if n := b.bytes(); (sum > s.limits.Memory || b.used.Load() < rested) && b.leave() {
			delete(s.books, b.owner)
			sum -= n
		}
	}
}

// bytes is what a book takes in memory.
func (b *book) bytes() int64 {
	const bare = 1024
	if p := b.read.Load(); p != nil {
		return bare + p.size.Load()
	}
	return bare
}

// leave ends the use of a book, unless somebody writes in it or has just done so.
func (b *book) leave() bool {
	if !b.mu.TryLock() {
		return false
	}
	defer b.mu.Unlock()
	if b.log.file != nil || b.log.spoilt {
		return false
	}
	b.gone = true
	return true
}

func (s *Store) warn(owner, what string, err error) {
	s.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/lexicon", Text: fmt.Sprintf("%v: %s", about(owner, err), what)})
}

// Standing is what is known of one owner.
type Standing struct {
	Owner   string `json:"owner"` // "" is the server
	Spam    uint32 `json:"spam"`  // letters
	Ham     uint32 `json:"ham"`
	Tokens  int    `json:"tokens"`
	Waiting int    `json:"waiting"` // tokens that one account alone taught the server
	Letters int    `json:"letters"` // that can be taken back
	Memory  int64  `json:"memory"`  // bytes
	Disk    int64  `json:"disk"`    // bytes
}

// List tells of all owners who learnt something, the server first.
func (s *Store) List(ctx context.Context) (list []Standing, err error) {
	owners, err := s.owners(ctx)
	if err != nil {
		return nil, err
	}
	for _, owner := range owners {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		st, err := s.Standing(owner)
		if err != nil {
			return nil, err
		}
		list = append(list, st)
		s.tidy()
	}
	slices.SortFunc(list, func(x, y Standing) int { return strings.Compare(x.Owner, y.Owner) })
	return list, nil
}

// Standing tells of one owner.
func (s *Store) Standing(owner string) (Standing, error) {
	b := s.book(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := s.load(b)
	if err != nil {
		return Standing{}, about(owner, err)
	}
	st := Standing{Owner: owner, Spam: p.spam.Load(), Ham: p.ham.Load(), Tokens: p.main.tokens, Waiting: p.waiting.tokens,
		Letters: len(p.letters.known), Memory: p.bytes(), Disk: b.log.size}
	if info, err := s.fs.Stat(b.name + ".words"); err == nil {
		st.Disk += info.Size
	}
	return st, nil
}

// owners are those who have files.
func (s *Store) owners(ctx context.Context) (list []string, err error) {
	dirs, err := s.fs.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, d := range dirs {
		switch {
		case d.Type.IsDir():
			names, err := s.fs.ReadDir(path.Join(s.dir, d.Name))
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				if owner, ok := s.ownerOf(path.Join(s.dir, d.Name, n.Name)); ok {
					list = append(list, owner)
				}
			}
		case d.Name == "server.words":
			list = append(list, Server)
		}
	}
	return list, err
}

// ownerOf is whose counts a file has.
func (s *Store) ownerOf(name string) (owner string, ok bool) {
	if !strings.HasSuffix(name, ".words") {
		return "", false
	}
	f, err := s.fs.Open(name)
	if err != nil {
		return "", false
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := f.ReadAt(head, 0)
	r := reader{rest: head[:n]}
	r.take(len(magic) + 8)
	owner = string(r.take(int(order.Uint16(r.take(2)))))
	return owner, !r.short && path.Join(s.dir, fileName(owner))+".words" == name
}

// Remove forgets all that an owner learnt.
func (s *Store) Remove(ctx context.Context, owner string) error {
	b := s.book(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return nil
	}
	if b.log.file != nil {
		b.log.file.Close()
	}
	b.gone = true
	s.mu.Lock()
	if s.books[owner] == b {
		delete(s.books, owner)
	}
	s.mu.Unlock()
	var all error
	for _, suffix := range []string{".words", ".log"} {
		if err := s.fs.Remove(b.name + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	if err := s.fs.SyncDir(path.Dir(b.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		all = errors.Join(all, err)
	}
	return about(owner, all)
}
