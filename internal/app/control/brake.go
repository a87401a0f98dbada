package control

import (
	"context"
	"fmt"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/flow/brake"
	brakestore "facteur/internal/store/brake"
	"facteur/internal/store/db"
	"facteur/internal/store/queue"
)

// BrakeQuery picks an account; "" is all of which there is something to tell.
type BrakeQuery struct {
	Account string `json:"account,omitempty"`
}

// BrakeOrder is something done to an account: "release", "delete", "forgive" or "set".
type BrakeOrder struct {
	Do      string `json:"do"`
	Account string `json:"account"`
	// Hour and Day are limits of its own, for "set": nil leaves one as it is, 0 takes it
	// back.
	Hour *int `json:"hour,omitempty"`
	Day  *int `json:"day,omitempty"`
}

// Braking says which brake the server has.
func (s *Stores) Braking(g *brake.Gate) *Stores {
	s.brake = func(context.Context) (*brake.Gate, error) { return g, nil }
	return s
}

// openBrake is the brake while no server runs: it lifts, and stops nobody.
func openBrake(ctx context.Context, cfg *config.Config, d *db.DB, q *queue.Queue, events event.Sink) (*brake.Gate, error) {
	kept, err := brakestore.Open(ctx, d, events)
	if err != nil {
		return nil, err
	}
	rules, err := cfg.BrakeRules()
	if err != nil {
		return nil, err
	}
	return brake.New(brake.House{Rules: func() *brake.Rules { return rules }, Kept: kept, Queue: q, Events: events}), nil
}

// Brake implements Office.
func (s *Stores) Brake(ctx context.Context, account string) ([]brake.Standing, error) {
	g, err := s.brake(ctx)
	switch {
	case err != nil:
		return nil, err
	case account == "":
		return g.Standings(ctx)
	}
	one, err := g.Stands(ctx, account)
	return []brake.Standing{one}, err
}

// ChangeBrake implements Office.
func (s *Stores) ChangeBrake(ctx context.Context, o BrakeOrder) (done brake.Done, err error) {
	g, err := s.brake(ctx)
	if err != nil {
		return done, err
	}
	by := brake.By(caller(ctx).String())
	done.Account = o.Account
	switch o.Do {
	case "release":
		return g.Release(ctx, o.Account, by)
	case "delete":
		return g.Delete(ctx, o.Account, by)
	case "forgive":
		return done, g.Forgive(ctx, o.Account, by)
	case "set":
		return done, g.SetLimits(ctx, o.Account, o.Hour, o.Day)
	}
	return done, fmt.Errorf("%q is nothing that can be done to the brake", o.Do)
}

// Brake implements Office.
func (c *client) Brake(ctx context.Context, account string) (list []brake.Standing, err error) {
	err = c.call(ctx, "/brake", BrakeQuery{account}, &list)
	return list, err
}

// ChangeBrake implements Office.
func (c *client) ChangeBrake(ctx context.Context, o BrakeOrder) (done brake.Done, err error) {
	err = c.call(ctx, "/brake/change", o, &done)
	return done, err
}
