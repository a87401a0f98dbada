package app

import (
	"context"
	"path/filepath"
	"time"

	"facteur/internal/app/control"
	"facteur/internal/app/doctor"
	"facteur/internal/base/vfs"
	"facteur/internal/mail/address"
)

// lookAfter looks at this server as the world does, once a day.
func (a *App) lookAfter() *doctor.Daily {
	c := a.settings.Load().config
	return &doctor.Daily{
		FS: vfs.OS{}, File: filepath.Join(c.DataDir, "doctor.json"), Host: c.Hostname, Events: a.events,
		Wanted: func() bool { return a.settings.Load().config.Doctor.Daily },
		Look:   a.examine,
		Tell: func(ctx context.Context, subject, text string) error {
			reader, _ := address.Parse(a.settings.Load().config.Doctor.MailTo) //nolint:errcheck // the settings are checked; none is the postmaster
			return a.writer.TellAdmin(ctx, reader, subject, text, time.Now())
		},
	}
}

// examine does what "facteur doctor" does, from within.
func (a *App) examine(ctx context.Context) ([]doctor.Finding, error) {
	visit := func(ctx context.Context, fn func(context.Context, control.Office) error) error {
		return fn(ctx, a.stores)
	}
	w, err := doctor.New(ctx, a.settings.Load().config, a.resolver, visit, "")
	if err != nil {
		return nil, err
	}
	return doctor.Run(ctx, w), nil
}
