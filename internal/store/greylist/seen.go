package greylist

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/store/behind"
)

// seenHolds is for how long a sender counts as seen after his last letter.
const seenHolds = 90 * 24 * time.Hour

// Seen tells that a sender, in one spelling, has brought a letter with proof and without
// suspicion, to anybody here.
func (s *Store) Seen(sender string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[markOf(sender)] > s.clock.now()
}

// NoteSeen remembers such a letter.
func (s *Store) NoteSeen(sender string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, now := markOf(sender), s.clock.now()
	until, there := s.seen[m]
	if until > now+seconds(seenHolds)-24*60*60 {
		return // noted today
	}
	if !there && len(s.seen) >= s.most.seen {
		first := limit.Spare(s.seen, func(until int64) int64 { return until })
		delete(s.seen, first)
		s.changedSeen.Touch(first)
	}
	s.seen[m] = now + seconds(seenHolds)
	s.changedSeen.Touch(m)
}

// Allowed is somebody who never waits, because an admin said so by a command.
type Allowed struct {
	Subject string    `json:"subject"`
	Since   time.Time `json:"since"`
}

// IsAllowed tells whether one of subjects never waits.
func (s *Store) IsAllowed(subjects ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(subjects, func(a string) bool { _, there := s.allowed[a]; return there })
}

// Allowances are all who never wait.
func (s *Store) Allowances() []Allowed {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Allowed, 0, len(s.allowed))
	for subject, since := range s.allowed {
		out = append(out, Allowed{subject, time.Unix(since, 0).UTC()})
	}
	slices.SortFunc(out, func(a, b Allowed) int { return strings.Compare(a.Subject, b.Subject) })
	return out
}

// Allow lets a subject in without waiting from now on: a network, a domain, an address, in
// canonical form. It is durable when Allow has returned.
func (s *Store) Allow(ctx context.Context, subject string) error {
	s.mu.Lock()
	_, there := s.allowed[subject]
	full := len(s.allowed) >= MaxAllowed
	s.mu.Unlock()
	if full && !there {
		return fmt.Errorf("greylist: %d are allowed already; write networks and domains instead of single ones", MaxAllowed)
	}
	since := s.clock.wall().Unix()
	if err := s.db.Write(ctx, behind.Exec(`INSERT OR IGNORE INTO greylist_allowed (subject, since) VALUES (?, ?)`, subject, since)); err != nil {
		return about(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !there {
		s.allowed[subject] = since
	}
	return nil
}

// Disallow takes that back; false: nobody had allowed it.
func (s *Store) Disallow(ctx context.Context, subject string) (bool, error) {
	s.mu.Lock()
	_, there := s.allowed[subject]
	s.mu.Unlock()
	if err := s.db.Write(ctx, behind.Exec(`DELETE FROM greylist_allowed WHERE subject = ?`, subject)); err != nil {
		return false, about(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.allowed, subject)
	return there, nil
}

// HasAllowed tells that an admin has allowed anybody.
func (s *Store) HasAllowed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.allowed) > 0
}
