package behind

import (
	"context"
	"log/slog"
	"time"

	"facteur/internal/base/event"
)

// lastWrite is how long the end waits for the disk.
const lastWrite = 5 * time.Second

// Loop is when a room writes.
type Loop struct {
	Write func(context.Context) error
	Every time.Duration
	// Sweep, if there is one, drops what is over.
	Sweep      func(context.Context) error
	SweepEvery time.Duration

	// Events are told what fails, by Program: What is "… can't be written".
	Events        event.Sink
	Program, What string
}

// Run writes until ctx ends, and once more then.
func (l Loop) Run(ctx context.Context) {
	write := time.NewTicker(l.Every)
	defer write.Stop()
	var sweep <-chan time.Time
	if l.Sweep != nil {
		tick := time.NewTicker(l.SweepEvery)
		defer tick.Stop()
		sweep = tick.C
	}
	for {
		select {
		case <-write.C:
			l.try(ctx, l.Write)
		case <-sweep:
			l.try(ctx, l.Sweep)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			l.try(last, l.Write)
			return
		}
	}
}

func (l Loop) try(ctx context.Context, fn func(context.Context) error) {
	if err := fn(ctx); err != nil && ctx.Err() == nil {
		l.Events.Emit(event.Note{Severity: slog.LevelWarn, Program: l.Program, Text: l.What + ": " + err.Error()})
	}
}
