package config

import (
	"time"

	"facteur/internal/base/conf"
)

// SubmissionRules is what our own users may do: those who log in, and the users of this
// machine.
type SubmissionRules struct {
	// The tables that say who may send as which address, beside what each account may
	// anyway (its own address, with any extension, and what "facteur account grant"
	// gave it): lines "sales@example.org alice@example.org, bob@example.org", or
	// "@example.org" for a whole domain. A name without domain is one of the origin's.
	// Postfix calls this smtpd_sender_login_maps.
	SenderLogins Maps `toml:"sender_logins"`
	// What is done about the From field that a user's program writes: "ignore", or
	// "check": it has to be an address that the account may send as. The sender of
	// the envelope is always checked.
	HeaderFrom HeaderFrom `toml:"header_from"`
	// How many recipients one account may send to in an hour. A stolen password shows
	// by this before the world notices. "facteur brake set" gives an account limits of its
	// own, [[quota_rule]] has further ones.
	RecipientsPerHour int `toml:"recipients_per_hour"`
	// The same for a day.
	RecipientsPerDay int `toml:"recipients_per_day"`
	// What is done with more: "brake" brakes the account ([brake]): all that it sends from
	// then on is held until a person says otherwise. "hold" keeps what is too much in the
	// queue for the postmaster to look at, who is told once a day ("facteur queue release"
	// lets it go), and with more than twice as much tells the user's program to come later;
	// "defer" tells it that at once.
	OverLimit OverLimit `toml:"over_limit"`
	// What the user's program is told then; empty: a general sentence.
	OverLimitText string `toml:"over_limit_text"`
	// For how long a user can have a message held back before it is sent (RFC 4865).
	// "0s": not offered.
	MaximalHoldTime conf.Duration `toml:"maximal_hold_time"`
}

func defaultSubmission() SubmissionRules {
	return SubmissionRules{
		HeaderFrom: FromIgnored, RecipientsPerHour: 1000, RecipientsPerDay: 5000, OverLimit: OverBrake,
		MaximalHoldTime: conf.Duration(7 * 24 * time.Hour),
	}
}

// HeaderFrom is what is done about the From field of users.
type HeaderFrom string

// The choices.
const (
	FromIgnored HeaderFrom = "ignore"
	FromChecked HeaderFrom = "check"
)

// Form says what a HeaderFrom may be.
func (HeaderFrom) Form() string { return oneOf(FromIgnored, FromChecked) }

// UnmarshalText takes a choice.
func (h *HeaderFrom) UnmarshalText(text []byte) error {
	return choose(h, text, FromIgnored, FromChecked)
}

// OverLimit is what is done with mail beyond the limits of an account.
type OverLimit string

// The choices.
const (
	OverBrake OverLimit = "brake"
	OverHold  OverLimit = "hold"
	OverDefer OverLimit = "defer"
)

// Form says what an OverLimit may be.
func (OverLimit) Form() string { return oneOf(OverBrake, OverHold, OverDefer) }

// UnmarshalText takes a choice.
func (o *OverLimit) UnmarshalText(text []byte) error {
	return choose(o, text, OverBrake, OverHold, OverDefer)
}

// leastPace is a limit under which nobody can work, in recipients: one usual letter
// to a circle of friends.
const leastPace = 10

func (k *checker) submission() {
	s := k.c.Submission
	k.atLeast("submission.recipients_per_hour", int64(s.RecipientsPerHour), leastPace)
	k.atLeast("submission.recipients_per_day", int64(s.RecipientsPerDay), int64(s.RecipientsPerHour))
	if s.MaximalHoldTime < 0 || s.MaximalHoldTime.Std() > 365*24*time.Hour {
		k.failf("submission.maximal_hold_time", "expected 0s to 365d")
	}
	k.replyText("submission.over_limit_text", s.OverLimitText)
}

func printableASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
