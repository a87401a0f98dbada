package reputation

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Offence is hard evidence against a client: what no honest sender does, or not often.
type Offence uint8

// The offences.
const (
	// Trap is a letter to an address that no human has.
	Trap Offence = iota
	// Decoy is an attempt to send at a listener that no MX names.
	Decoy
	// Guess is an address that nobody has, beyond what honest senders get wrong.
	Guess
	// Virus is a letter with one.
	Virus
	// Kill is a letter above the level kill.
	Kill
	// Hasty is what the tests before the banner found.
	Hasty
	// ByHand is the word of the admin.
	ByHand
	offences
)

var offenceNames = [offences]string{"trap", "decoy", "guess", "virus", "kill", "hasty", "admin"}

// String is the offence in the database and for people.
func (o Offence) String() string { return offenceNames[o] }

// MarshalText implements encoding.TextMarshaler.
func (o Offence) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Offence) UnmarshalText(text []byte) error {
	i := slices.Index(offenceNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is no offence", text)
	}
	*o = Offence(i)
	return nil
}

// what tells the offence in the middle of a sentence.
func (o Offence) what() string {
	return [offences]string{"letters to addresses that no human has", "attempts to send where no MX leads",
		"guessing of addresses", "viruses", "spam that is beyond doubt", "talking out of turn", "the word of the postmaster"}[o]
}

// weights are what each offence counts for; a client is banned from 1 on. One trap or two
// decoys are enough, one virus is not: it may have come from a stranger's hacked account.
// What is only odd (Hasty) counts as a part of a bad letter and leads to no ban.
var weights = [offences]float64{Trap: 1, Decoy: 0.5, Guess: 0.25, Virus: 0.5, Kill: 0.35, Hasty: 0.1}

// ladder is how long a ban lasts, by how many there were before.
var ladder = [...]time.Duration{10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// NextBan is how long the next ban lasts of somebody who had so many.
func NextBan(before int) time.Duration { return ladder[max(0, min(before, len(ladder)-1))] }

const (
	// lettersHalf is how fast letters fade, good and bad; offencesHalf how fast what
	// leads to a ban does.
	lettersHalf  = 30 * 24 * time.Hour
	offencesHalf = 24 * time.Hour
	// stepHolds is how long somebody has to be clean to come down one step of the ladder.
	stepHolds = 14 * 24 * time.Hour
)

// faded is what is left of an amount after some seconds.
func faded(amount float64, seconds int64, half time.Duration) float64 {
	if amount == 0 || seconds <= 0 {
		return amount
	}
	return amount * math.Exp2(-float64(seconds)/half.Seconds())
}

// tally counts offences by kind.
type tally [offences]uint32

// String is "trap=2 guess=7".
func (t tally) String() string {
	var b strings.Builder
	for o, n := range t {
		if n > 0 {
			fmt.Fprintf(&b, " %s=%d", Offence(o), n)
		}
	}
	return strings.TrimPrefix(b.String(), " ")
}

// parseTally reads what String wrote; what it does not know it skips.
func parseTally(text string) (t tally) {
	for _, word := range strings.Fields(text) {
		name, number, _ := strings.Cut(word, "=")
		i := slices.Index(offenceNames[:], name)
		n, err := strconv.ParseUint(number, 10, 32)
		if i >= 0 && err == nil {
			t[i] = uint32(n)
		}
	}
	return t
}
