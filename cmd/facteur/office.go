package main

import (
	"context"
	"errors"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
)

// load reads and checks the settings file.
func (c *command) load() (*config.Config, error) {
	path, err := config.Find(c.settings)
	if err != nil {
		return nil, err
	}
	return config.Load(path)
}

// withOffice runs fn at the counter of the post office, be it open or closed.
func (c *command) withOffice(ctx context.Context, fn func(context.Context, control.Office) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	office, done, err := control.Open(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(fn(ctx, office), done())
}
