package app

import (
	"context"

	"facteur/internal/app/config"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/store/namespace"
	"facteur/internal/store/urlauth"
)

// urls is where rights to letters are given and taken.
func (a *App) urls(c *config.Config) *urlauth.Desk {
	return &urlauth.Desk{FS: vfs.OS{}, Hostname: c.Hostname, Owner: a.spaceOf}
}

// spaceOf opens what the user of a name sees.
func (a *App) spaceOf(ctx context.Context, name string) (*namespace.Space, error) {
	found := a.findOwner(ctx, name)
	switch found.State() {
	case lookup.Found:
		return a.spaces.Open(ctx, found.Value())
	case lookup.NotFound:
		return nil, urlauth.ErrNotThere
	}
	return nil, found.Err()
}
