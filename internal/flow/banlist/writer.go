package banlist

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/reputation"
)

// Target is a file that a list is written to.
type Target struct {
	Format Format
	File   string
}

// Writer keeps files up to date.
type Writer struct {
	// Bans gives those in force, those that last longest first.
	Bans func() []reputation.Ban
	// Targets are asked for each time.
	Targets func() []Target
	// Changed has something to receive after a change.
	Changed <-chan struct{}
	Events  event.Sink
	failed  map[string]bool
}

const (
	// gather is how long after a change is waited for more of them.
	gather = 2 * time.Second
	// every is how often the files are written without any change: bans end.
	every = time.Minute
)

// Run writes until ctx ends.
func (w *Writer) Run(ctx context.Context) {
	w.failed = make(map[string]bool)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.writeAll(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.Changed:
			select {
			case <-ctx.Done():
				return
			case <-time.After(gather):
			}
		}
	}
}

func (w *Writer) writeAll(now time.Time) {
	targets := w.Targets()
	if len(targets) == 0 {
		return
	}
	bans := w.Bans()
	for _, t := range targets {
		err := WriteFile(t, bans, now)
		if err != nil && !w.failed[t.File] {
			w.Events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/reputation", Text: "the list of bans can't be written: " + err.Error()})
		}
		w.failed[t.File] = err != nil
	}
}

// WriteFile writes a list in the place of the one before. Everybody may read it, as the
// programs that it is for run as users of their own.
func WriteFile(t Target, bans []reputation.Ban, now time.Time) (err error) {
	f, err := os.CreateTemp(filepath.Dir(t.File), "."+filepath.Base(t.File)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(Write(f, t.Format, bans, now), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), t.File)
}
