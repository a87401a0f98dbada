package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/internal/store/reputation"
)

// RecordQuery says of whom the record is meant.
type RecordQuery struct {
	// Subject is one; else Kind is "client", "network", "domain" or "sender", "" for all
	// clients.
	Subject string `json:"subject,omitempty"`
	Kind    string `json:"kind,omitempty"`
	// Most is how many are given, the worst first; 0: recordsMost.
	Most int `json:"most,omitempty"`
}

// recordsMost bounds a listing.
const recordsMost = 1000

// BanOrder bans a client or a network.
type BanOrder struct {
	Subject string        `json:"subject"`
	For     time.Duration `json:"for"`
}

// banMost is the longest ban by hand.
const banMost = 365 * 24 * time.Hour

// SubjectName names somebody who has a record.
type SubjectName struct {
	Subject string `json:"subject"`
}

// Since is a time from which on something is told.
type Since struct {
	Since time.Time `json:"since"`
}

// Remembering says where it is kept who sends good mail and who does not, which bans others
// are to enforce as well, and what is done when somebody is banned or forgiven.
func (s *Stores) Remembering(r *reputation.Store, bans func() []reputation.Ban, changed func() error) *Stores {
	s.reputation, s.bans, s.banned = r, bans, changed
	return s
}

// Records implements Office.
func (s *Stores) Records(_ context.Context, q RecordQuery) ([]reputation.Record, error) {
	if q.Subject != "" {
		sub, err := reputation.ParseSubject(q.Subject)
		if err != nil {
			return nil, err
		}
		r, known := s.reputation.Record(sub)
		if !known {
			return nil, fmt.Errorf("%s: nothing is known of it", sub)
		}
		return []reputation.Record{r}, nil
	}
	for _, k := range []reputation.Kind{reputation.OfClient, reputation.OfNetwork, reputation.OfDomain, reputation.OfSender} {
		if q.Kind == k.String() || q.Kind == "" {
			all := s.reputation.Records(k)
			return all[:min(len(all), most(q.Most))], nil
		}
	}
	return nil, fmt.Errorf(`%q is no kind; expected "client", "network", "domain" or "sender"`, q.Kind)
}

func most(n int) int {
	if n <= 0 || n > recordsMost {
		return recordsMost
	}
	return n
}

// Bans implements Office.
func (s *Stores) Bans(context.Context) ([]reputation.Ban, error) { return s.bans(), nil }

// BanSubject implements Office.
func (s *Stores) BanSubject(_ context.Context, o BanOrder) error {
	sub, err := reputation.ParseSubject(o.Subject)
	if err != nil {
		return err
	}
	switch {
	case !sub.Prefix().IsValid():
		return fmt.Errorf("%s is no machine and no network; facteur filter block is for senders", sub)
	case o.For < time.Second || o.For > banMost:
		return errors.New("expected a time from 1s to 365d")
	}
	s.reputation.BanByHand(sub, o.For)
	return s.banned()
}

// Forgive implements Office.
func (s *Stores) Forgive(_ context.Context, n SubjectName) error {
	sub, err := reputation.ParseSubject(n.Subject)
	if err != nil {
		return err
	}
	if !s.reputation.Forgive(sub) {
		return fmt.Errorf("%s: nothing is known of it", sub)
	}
	return s.banned()
}

// Fares implements Office.
func (s *Stores) Fares(_ context.Context, q Since) ([]reputation.Fare, error) {
	return s.reputation.Fares(q.Since), nil
}

// Records implements Office.
func (c *client) Records(ctx context.Context, q RecordQuery) (list []reputation.Record, err error) {
	err = c.call(ctx, "/reputation/records", q, &list)
	return list, err
}

// Bans implements Office.
func (c *client) Bans(ctx context.Context) (list []reputation.Ban, err error) {
	err = c.call(ctx, "/reputation/bans", struct{}{}, &list)
	return list, err
}

// BanSubject implements Office.
func (c *client) BanSubject(ctx context.Context, o BanOrder) error {
	return c.call(ctx, "/reputation/ban", o, nil)
}

// Forgive implements Office.
func (c *client) Forgive(ctx context.Context, n SubjectName) error {
	return c.call(ctx, "/reputation/forgive", n, nil)
}

// Fares implements Office.
func (c *client) Fares(ctx context.Context, q Since) (list []reputation.Fare, err error) {
	err = c.call(ctx, "/reputation/fares", q, &list)
	return list, err
}
