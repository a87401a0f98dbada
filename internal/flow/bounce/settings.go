package bounce

import (
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
)

// Settings are what the admin set for notices. They are not changed once in use.
type Settings struct {
	// Language is that of notices whose reader's is not known; Languages has that of
	// the readers of a domain (in lower case).
	Language  string
	Languages map[string]string
	// Only, unless empty, is the one language that all notices are in.
	Only string
	// Templates are the texts by language; what they do not have is built in.
	Templates map[string]*dsn.Templates
	// Return is the size of the largest message that goes back whole, in bytes; 0 for
	// dsn.DefaultReturn.
	Return int
	// DelayWarning, Lifetime and BounceLifetime are what the texts can tell of.
	DelayWarning, Lifetime, BounceLifetime time.Duration
	// Topics are those that the postmaster gets letters about, with who gets them; the
	// null address for the postmaster.
	Topics map[event.Topic]address.Address
	// Interval is how often he gets a letter about each, at most; 0 for an hour.
	Interval time.Duration
}

// reader is who gets letters about a topic, as the admin has named him.
func (s *Settings) reader(t event.Topic) address.Address {
	if to := s.Topics[t]; !to.IsNull() {
		return to
	}
	return address.Address{Local: "postmaster"}
}

func (s *Settings) interval() time.Duration {
	if s.Interval <= 0 {
		return time.Hour
	}
	return s.Interval
}
