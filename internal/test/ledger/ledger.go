// Package ledger is the oracle for "no mail lost": it sends letters with
// unique ids, writes down only what the client saw, and after faults compares
// that with every copy that is found anywhere.
//
// A Book holds one Entry for each letter. A Driver sends letters through every
// door that it is told of - SMTP with DATA and with BDAT, LMTP, the sendmail
// command - and notes the answers. Sources give Copies: Maildir reads the disk, IMAP
// asks the server, Sink is the remote server of the test and remembers what it
// took, and notices (RFC 3464) in the sender's mailbox count as the end of
// the recipients that they name. Balance compares:
//
//	answer seen         copies of each recipient, over all sources together
//	250                 exactly one, in the place where it belongs
//	an error            none
//	end never sent      none
//	unknown             none, or one for every recipient of the letter
//
// Over LMTP each recipient has an answer of its own, and the last rule holds for
// each alone.
//
// Who has no copy and still waits in the queue is told as queued, not as lost. Who was not
// in the queue any more when a person deleted the letter must have his copy.
//
// A second copy in a local mailbox is never right. A second copy at the remote
// server is right only if a fault lies between the two: a crash of the
// sending side (Sink.Fault) or an answer that the sink swallowed. Bytes must
// be those that were sent, behind Return-Path, Delivered-To, X-Original-To and
// Received lines. A file in new/ or cur/ that is no known letter is an error
// of its own: a torn file is one of those. What lies in tmp/ never counts.
package ledger

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sync"
)

// Answer is what the client saw at the end of a letter.
type Answer uint8

// The zero Answer is Unknown: a letter whose answer was never noted is one
// whose answer was never read.
const (
	Unknown  Answer = iota // the end went out, no answer came back
	Accepted               // 250
	Refused                // 4xx or 5xx
	Unsent                 // the connection ended before the last byte went out
)

func (a Answer) String() string {
	return [...]string{"unknown", "accepted", "refused", "unsent"}[a]
}

// Place is where a copy can be.
type Place uint8

// The places. NoPlace in a Recipient means: any.
const (
	NoPlace Place = iota
	Local         // in the recipient's mailbox
	Remote        // taken by the next hop
	Bounced       // named as failed in a notice to the sender
	Deleted       // taken out of the queue by a person
	Held          // in the queue, waiting for a person
	Queued        // still in the queue: nowhere yet, and not lost
)

func (p Place) String() string {
	return [...]string{"anywhere", "local", "remote", "bounced", "deleted", "held", "queued"}[p]
}

// Recipient is one address of a letter and where it should end.
type Recipient struct {
	Address string
	Want    Place
}

// Entry is one letter in the book.
type Entry struct {
	ID     string
	To     []Recipient // those that the server took at RCPT
	Size   int
	Sum    [sha256.Size]byte // of the bytes with CRLF line ends
	Answer Answer
	// Each is the answer of each recipient of To, where the protocol has one for
	// each (LMTP, RFC 2033 §4.2). Answer is then the worst of them.
	Each []Answer
	// Deleted are the recipients who were in the queue when a person went to delete the
	// letter: no others may be missing. He surely did in the epoch DeletedIn, unless
	// NobodyKnows.
	Deleted   map[string]bool
	DeletedIn int
}

// NobodyKnows is the epoch of a deletion whose end was not seen.
const NobodyKnows = math.MaxInt

// answer is what was seen for the n-th recipient.
func (e *Entry) answer(n int) Answer {
	if e.Each != nil {
		return e.Each[n]
	}
	return e.Answer
}

// Book is the ledger: what the client saw, and nothing else. It is safe for
// concurrent use.
type Book struct {
	mu      sync.Mutex
	entries map[string]*Entry
	journal io.Writer
}

// NewBook starts an empty book. Each line that is added to it is also
// written to journal, as JSON, if that is not nil.
func NewBook(journal io.Writer) *Book {
	return &Book{entries: make(map[string]*Entry), journal: journal}
}

// Open notes that a letter is about to be sent to the recipients. From here
// on its answer is Unknown.
func (b *Book) Open(letter Letter, to []Recipient) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &Entry{ID: letter.ID, To: to, Size: letter.Size, Sum: sha256.Sum256(letter.Bytes())}
	if b.entries[e.ID] != nil {
		panic("ledger: letter " + e.ID + " is in the book already")
	}
	b.entries[e.ID] = e
	b.note(e)
}

// Close notes what came back for a letter, and for whom it was taken: the
// recipients that got 250 at RCPT.
func (b *Book) Close(id string, taken []Recipient, answer Answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[id]
	e.To, e.Answer = taken, answer
	b.note(e)
}

// CloseEach is Close for a letter with an answer for each recipient.
func (b *Book) CloseEach(id string, taken []Recipient, each []Answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[id]
	e.To, e.Each, e.Answer = taken, each, worst(each)
	b.note(e)
}

// Delete notes that a person deletes a letter of which these recipients are left in the
// queue: first without knowing whether it works (NobodyKnows), then with the epoch of the
// sink in which it had.
func (b *Book) Delete(id string, left []string, epoch int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[id]
	if e == nil {
		return
	}
	if e.Deleted == nil {
		e.Deleted = make(map[string]bool)
	}
	for _, address := range left {
		e.Deleted[address] = true
	}
	e.DeletedIn = epoch
}

// worst is Unknown if any answer is, Accepted only if all are.
func worst(each []Answer) Answer {
	sum := Accepted
	for _, a := range each {
		if a == Unknown {
			return Unknown
		}
		if a != Accepted {
			sum = a
		}
	}
	return sum
}

func (b *Book) note(e *Entry) {
	if b.journal == nil {
		return
	}
	line, err := json.Marshal(map[string]any{"id": e.ID, "to": e.To, "size": e.Size, "answer": e.Answer.String()})
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(b.journal, "%s\n", line)
}

// Count tells how many letters have each answer.
func (b *Book) Count() map[Answer]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := make(map[Answer]int)
	for _, e := range b.entries {
		count[e.Answer]++
	}
	return count
}
