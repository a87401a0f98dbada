// Package learn takes in what people say of letters: this is spam, this is not. It teaches
// their words to store/lexicon, and tells who wants to know what else follows from it.
//
//	a letter moved to Junk or out of it ──┐
//	a keyword ($Junk, $NotJunk) ──────────┤ queue, in the background
//	a letter sent to a report address ────┤            │
//	an answer to a letter ────────────────┤            │
//	a release, facteur learn ─────────────┴──► Teacher.Teach ──► the account's counts
//	                                                       ├──► the server's, gated
//	                                                       └──► Taught
//
// # Invariants
//
// What users do is never slower for it, and never fails: what they do is queued, what the
// queue has no room for is dropped and counted, and what goes wrong later the log tells.
//
// Only what a person did counts. What the filter put into Junk teaches nothing by that. That
// somebody answers a letter says less than what he says of it: see Sent.
//
// An account teaches itself. Of what it says the server learns as much as one account may
// (see store/lexicon), and nothing while the account is suspected (MAP-014).
//
// # What a crash leaves
//
// What was queued, and what was learnt within the last seconds, may be forgotten.
package learn

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/lexicon"
	"facteur/internal/store/namespace"
)

// Way is how a letter came to be taught.
type Way string

// The ways.
const (
	Moved    Way = "moved"    // to the junk mailbox or out of it
	Stored   Way = "stored"   // by a client in the junk mailbox
	Marked   Way = "marked"   // with a keyword
	Reported Way = "reported" // to a report address
	Released Way = "released" // from quarantine
	Answered Way = "answered" // by a letter to who wrote it
	Command  Way = "command"  // by facteur learn
	Trapped  Way = "trapped"  // to an address that no human has
)

// Settings are those of learning.
type Settings struct {
	// Moves: what is moved to Junk and out of it teaches. Keywords: so does $Junk.
	Moves, Keywords bool
	// Answers: a letter that somebody answers is no spam.
	Answers bool
	// Share: what accounts learn is taught to the server, too, as far as one account may.
	Share bool
	// Hostname is the name under which this server writes its trace fields.
	Hostname string
	// TakesSpam and TakesHam tell the addresses that letters are reported to.
	TakesSpam, TakesHam func(address.Address) bool
}

// House is what a Teacher works with.
type House struct {
	Lexicon *lexicon.Store
	// Letter opens a letter of an account; the error is mailbox.ErrGone if it is no longer
	// there.
	Letter func(ctx context.Context, account, mailbox string, uid uint32) (Source, error)
	// Find opens the letter of an account that has one of these Message-IDs, as
	// message.MessageID gives them; mailbox.ErrGone if there is none. It does not look
	// where junk is, nor where the account's own letters are.
	Find func(ctx context.Context, account string, ids []string) (Source, error)
	// Suspected says that an account is not to teach others: it may be somebody else's.
	Suspected func(ctx context.Context, account string) bool
	Settings  func() Settings
	Events    event.Sink
	// Taught hears of each lesson that changed something; nil: nobody does.
	Taught func(Taught)
}

// Source is an open letter.
type Source interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Teacher takes in what people say. Its methods may be called from any goroutine.
type Teacher struct {
	House
	queue   *line
	dropped atomic.Int64
}

// New makes a Teacher. Run is to be called.
func New(h House) *Teacher {
	return &Teacher{House: h, queue: newLine()}
}

// Lesson is what somebody says of a letter.
type Lesson struct {
	// Account is whose counts learn; lexicon.Server for those of the server, which only who
	// runs it may teach.
	Account string
	*Letter
	Spam bool
	// Forget takes back what was said of the letter; Spam says nothing then.
	Forget bool
	Way    Way
	// Correcting: it counts only if the letter was learnt as spam before, or the filter took
	// it for spam.
	Correcting bool
}

// Teach does a lesson and tells what it changed in the account's counts.
func (t *Teacher) Teach(ctx context.Context, l Lesson) (lexicon.Outcome, error) {
	if l.Correcting && !t.isWrong(l.Account, l.Letter) {
		return lexicon.Same, nil
	}
	if l.Forget {
		return t.forget(ctx, l)
	}
	learn := t.Lexicon.Learn
	if l.Way == Command {
		learn = t.Lexicon.Instruct
	}
	o, err := learn(ctx, l.Account, l.ID, l.Tokens, l.Spam)
	if err != nil || o == lexicon.Same || o == lexicon.Refused {
		return o, err
	}
	told := Taught{Account: l.Account, Spam: l.Spam, Way: l.Way, Outcome: o, LetterID: l.ID, Facts: l.Facts}
	if l.Account != lexicon.Server {
		told.Shared, err = t.share(ctx, l)
	}
	t.Events.Emit(told)
	if t.Taught != nil {
		t.Taught(told)
	}
	return o, err
}

// isWrong says whether there is something to be corrected where a letter is said to be no
// spam.
func (t *Teacher) isWrong(account string, l *Letter) bool {
	wasSpam, known := t.Lexicon.Remembers(account, l.ID)
	return wasSpam || !known && l.Facts.Junked
}

// share teaches the server in the name of an account, if it may. Who said something may
// always take it back.
func (t *Teacher) share(ctx context.Context, l Lesson) (bool, error) {
	if !t.Settings().Share || t.Suspected != nil && t.Suspected(ctx, l.Account) {
		_, err := t.Lexicon.Withdraw(ctx, l.Account, l.ID, l.Tokens)
		return false, err
	}
	o, err := t.Lexicon.Contribute(ctx, l.Account, l.ID, l.Tokens, l.Spam)
	return err == nil && o != lexicon.Refused && o != lexicon.Undone, err
}

func (t *Teacher) forget(ctx context.Context, l Lesson) (lexicon.Outcome, error) {
	o, err := t.Lexicon.Forget(ctx, l.Account, l.ID, l.Tokens)
	if err == nil && l.Account != lexicon.Server {
		_, err = t.Lexicon.Withdraw(ctx, l.Account, l.ID, l.Tokens)
	}
	return o, err
}

// TeachLetter is Teach for a letter that is still to be read.
func (t *Teacher) TeachLetter(ctx context.Context, account string, letter io.ReaderAt, size int64, isSpam bool, way Way) (lexicon.Outcome, error) {
	read, err := Read(letter, size, t.Settings().Hostname)
	if err != nil {
		return lexicon.Refused, err
	}
	if way == Reported || way == Command {
		read.Facts = read.Facts.unproven() // anybody can write such a letter
	}
	return t.Teach(ctx, Lesson{Account: account, Letter: read, Spam: isSpam, Way: way})
}

// Dropped is how many acts of users taught nothing because too many waited.
func (t *Teacher) Dropped() int64 { return t.dropped.Load() }

// patience is how long one task may take.
const patience = time.Minute

// enqueue has something done soon for an account, if there is room; size is how many bytes
// it keeps in memory.
func (t *Teacher) enqueue(account string, size int64, do func(context.Context)) {
	t.dropped.Add(t.queue.put(account, task{size, do}))
}

// tellEvery is how often the log hears of what was dropped.
const tellEvery = time.Minute

// Run does what was queued until ctx ends, and what is left then within the grace.
func (t *Teacher) Run(ctx context.Context, grace time.Duration) {
	tell, told := time.NewTicker(tellEvery), int64(0)
	defer tell.Stop()
	for {
		select {
		case <-t.queue.ready:
			if one, ok := t.queue.take(); ok {
				t.do(ctx, one)
			}
		case <-tell.C:
			told = t.tellDropped(told)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
			defer cancel()
			t.drain(last)
			t.tellDropped(told)
			return
		}
	}
}

// tellDropped tells what was dropped since that was told, if anything was.
func (t *Teacher) tellDropped(told int64) int64 {
	now := t.Dropped()
	if now > told {
		t.Events.Emit(event.Note{Severity: slog.LevelWarn, Program: program, Text: fmt.Sprintf(
			"%d acts of users taught nothing, because too many waited at a time; nothing else is lost", now-told)})
	}
	return now
}

func (t *Teacher) drain(ctx context.Context) {
	for one, ok := t.queue.take(); ok; one, ok = t.queue.take() {
		if ctx.Err() != nil {
			return
		}
		t.do(ctx, one)
	}
}

func (t *Teacher) do(ctx context.Context, one task) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	one.do(ctx)
}

// Judged takes in what a user said of letters by what he did in his mailboxes. It is for
// namespace.House.OnJudgement.
func (t *Teacher) Judged(j namespace.Judgement) {
	s := t.Settings()
	if j.By == namespace.ByKeyword && !s.Keywords || j.By != namespace.ByKeyword && !s.Moves {
		return
	}
	t.enqueue(j.User, 4*int64(len(j.UIDs)), func(ctx context.Context) {
		for _, uid := range j.UIDs {
			if ctx.Err() != nil {
				t.dropped.Add(1)
				continue
			}
			if err := t.judged(ctx, j, uid); err != nil {
				t.warn(j.User, err)
			}
		}
	})
}

// ways are those of what users do in mailboxes.
func wayOf(by namespace.By) Way {
	switch by {
	case namespace.ByKeyword:
		return Marked
	case namespace.ByStoring:
		return Stored
	}
	return Moved
}

func (t *Teacher) judged(ctx context.Context, j namespace.Judgement, uid uint32) error {
	src, err := t.Letter(ctx, j.User, j.Mailbox, uid)
	if isGone(err) {
		return nil // he went on with it; what he did last counts
	}
	if err != nil {
		return err
	}
	defer src.Close()
	// Its words are not looked at for nothing: of many letters that are stored, hardly any
	// says something.
	letter, err := look(src, src.Size(), t.Settings().Hostname, !j.Correcting)
	if err == nil && j.Correcting && t.isWrong(j.User, letter) {
		letter, err = Read(src, src.Size(), t.Settings().Hostname)
	}
	if err != nil {
		return err
	}
	_, err = t.Teach(ctx, Lesson{Account: j.User, Letter: letter, Spam: j.Spam, Way: wayOf(j.By), Correcting: j.Correcting})
	return err
}
