package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

const (
	// day is between two runs, firstWait until the first one after a start, at most; the
	// moments are spread so that not all servers ask at the same time.
	day       = 24 * time.Hour
	firstWait = time.Hour
	// glance is how often it is looked whether it is time.
	glance = 5 * time.Minute
)

// Daily does all checks once a day, and tells when something has become worse, or is
// mended. What was told is in a file; a crash between the letter and the file tells it once
// more.
type Daily struct {
	FS   vfs.FS
	File string
	Host string
	// Wanted tells whether it is to be done; it is asked again and again.
	Wanted func() bool
	// Look does the checks.
	Look func(ctx context.Context) ([]Finding, error)
	// Tell writes the letter, and returns when it is durable.
	Tell   func(ctx context.Context, subject, text string) error
	Events event.Sink
}

// Run does it until ctx ends.
func (d *Daily) Run(ctx context.Context) {
	next := time.Now().Add(time.Duration(rand.Int64N(int64(firstWait))))
	if m, err := recall(d.FS, d.File); err == nil && m.Day.Add(day).After(next) && m.Day.Before(time.Now()) {
		next = m.Day.Add(day)
	}
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if now.Before(next) || !d.Wanted() {
				continue
			}
			if err := d.Once(ctx); err != nil && ctx.Err() == nil {
				d.warn("the daily look at this server: " + err.Error())
			}
			next = time.Now().Add(day)
		}
	}
}

// Once is one run.
func (d *Daily) Once(ctx context.Context) error {
	before, err := recall(d.FS, d.File)
	if err != nil {
		return err
	}
	list, err := d.Look(ctx)
	if err != nil || ctx.Err() != nil {
		return err // a run that was cut off says nothing
	}
	after, n := before.learn(list, time.Now())
	d.log(n)
	if len(n.worse)+len(n.mended) > 0 {
		subject, text := n.letter(d.Host)
		if err := d.Tell(ctx, subject, text); err != nil {
			return fmt.Errorf("a letter about it could not be written, and is tried again tomorrow: %w", err)
		}
	}
	return after.keep(d.FS, d.File)
}

// log tells the news in the log, too.
func (d *Daily) log(n news) {
	for i, f := range n.worse {
		if i == lettersMost {
			break
		}
		d.warn(f.Check + ": " + plain(f.What))
	}
	for i, t := range n.mended {
		if i == lettersMost {
			break
		}
		d.Events.Emit(event.Note{Severity: slog.LevelInfo, Program: "facteur/doctor", Text: "well again: " + plain(t.What)})
	}
}

func (d *Daily) warn(text string) {
	d.Events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/doctor", Text: text})
}
