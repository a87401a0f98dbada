package app

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/learn"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/store/correspondent"
	"facteur/internal/store/lexicon"
	"facteur/internal/store/mailbox"
)

// learning is what letters taught, who teaches, and whom accounts wrote to.
type learning struct {
	lexicon        *lexicon.Store
	teacher        *learn.Teacher
	correspondents *correspondent.Store
}

// openLearning opens what letters taught, and whom accounts wrote to.
func (a *App) openLearning(c *config.Config) (err error) {
	a.lexicon = lexicon.Open(vfs.OS{}, filepath.Join(c.DataDir, "lexicon"), c.LexiconLimits(), a.events)
	if a.correspondents, err = correspondent.Open(context.Background(), a.state, a.events); err != nil {
		return err
	}
	a.teacher = learn.New(learn.House{
		Lexicon: a.lexicon, Letter: a.letterOf, Find: a.answeredBy, Events: event.Tee(a.events, hearsay{a.recorder}),
		// What a thief calls spam is his own business.
		Suspected: func(_ context.Context, account string) bool { return a.brake.Braked(account) },
		Settings:  func() learn.Settings { return a.settings.Load().config.LearnRules() },
	})
	a.spaces.OnJudgement(a.teacher.Judged)
	return nil
}

// classroom takes the letters that users report.
func (a *App) classroom() intake.Classroom {
	return intake.Classroom{Takes: a.teacher.Takes, Busy: a.teacher.Busy, Report: a.teacher.Report, Sent: a.teacher.Sent}
}

// runLearning takes in lessons until ctx ends, then those that wait.
func (a *App) runLearning(ctx context.Context) {
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	var busy sync.WaitGroup
	busy.Go(func() { a.lexicon.Run(keep) })
	busy.Go(func() { a.correspondents.Run(keep) })
	a.teacher.Run(ctx, grace)
	stop()
	busy.Wait()
}

// letterOf opens a letter in a mailbox, as its owner sees it.
func (a *App) letterOf(ctx context.Context, account, name string, uid uint32) (learn.Source, error) {
	return a.letterAt(ctx, account, func(*mailbox.Account) (string, uint32, error) { return name, uid, nil })
}

const (
	// answersReach is how long ago a letter came at most that is found when it is answered.
	answersReach = 90 * 24 * time.Hour
	// answersLooked is how many letters are looked at for it, answersPatience how long.
	answersLooked   = 10_000
	answersPatience = 10 * time.Second
)

// answeredBy opens the letter that somebody answered.
func (a *App) answeredBy(ctx context.Context, account string, ids []string) (learn.Source, error) {
	ctx, cancel := context.WithTimeout(ctx, answersPatience)
	defer cancel()
	wanted := mailbox.Wanted{IDs: ids, Without: []string{`\Junk`, `\Sent`, `\Drafts`}, Since: time.Now().Add(-answersReach), Most: answersLooked}
	letter, err := a.letterAt(ctx, account, func(boxes *mailbox.Account) (string, uint32, error) { return boxes.Locate(ctx, wanted) })
	if err != nil && ctx.Err() != nil {
		return nil, mailbox.ErrGone // it would take too long; a letter from lately is found soon
	}
	return letter, err
}

// letterAt opens a letter of an account, where at says that it is.
func (a *App) letterAt(ctx context.Context, account string, at func(*mailbox.Account) (name string, uid uint32, err error)) (learn.Source, error) {
	owner := a.findOwner(ctx, account)
	switch owner.State() {
	case lookup.NotFound:
		return nil, mailbox.ErrNoMailbox
	case lookup.TryAgain:
		return nil, owner.Err()
	}
	boxes, err := a.mailboxes.Open(ctx, owner.Value())
	if err != nil {
		return nil, err
	}
	name, uid, err := at(boxes)
	if err != nil {
		return nil, errors.Join(err, boxes.Close())
	}
	view, err := boxes.Select(ctx, name, true)
	if err != nil {
		return nil, errors.Join(err, boxes.Close())
	}
	letter, err := view.Open(ctx, uid)
	if err != nil {
		return nil, errors.Join(err, view.Close(), boxes.Close())
	}
	return &openLetter{letter, []io.Closer{letter, view, boxes}}, nil
}

// openLetter is a letter and what has to be open for it.
type openLetter struct {
	mailbox.Reader
	open []io.Closer
}

// Close closes all of it.
func (l *openLetter) Close() (err error) {
	for _, c := range l.open {
		err = errors.Join(err, c.Close())
	}
	return err
}

// contacts hears of letters that were accepted, and notes whom our users wrote to.
type contacts struct{ store *correspondent.Store }

// Emit implements event.Sink.
func (c contacts) Emit(e event.Event) {
	sent, is := e.(intake.Accepted)
	if !is || sent.Peer.Account == "" || sent.Item.Sender.IsNull() {
		return
	}
	var to []address.Address
	for i := range sent.Item.Recipients {
		if r := &sent.Item.Recipients[i]; r.Route != route.Discard.Prefix() && (len(to) == 0 || to[len(to)-1] != r.Original) {
			to = append(to, r.Original)
		}
	}
	c.store.Note(sent.Peer.Account, to)
}
