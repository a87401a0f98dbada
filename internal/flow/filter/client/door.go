package client

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/flow/filter"
)

// Door is the check of how the client behaved at the door: what the tests there, which
// postscreen's users know, have found. It asks nobody.
type Door struct {
	// before is what an address did in the last days, by the name of the test and how often.
	before func(netip.Addr) map[string]int
}

// NewDoor makes the check. before tells what an address did earlier (store/reputation);
// nil: nobody remembers.
func NewDoor(before func(netip.Addr) map[string]int) *Door { return &Door{before} }

// Name implements filter.Check.
func (*Door) Name() string { return "door" }

// At implements filter.Check: until the letter is here, the client can misbehave.
func (*Door) At() filter.Stage { return filter.End }

// Quick implements filter.Quick.
func (*Door) Quick() {}

// Examine implements filter.Check.
func (d *Door) Examine(_ context.Context, l *filter.Letter) (remarks []filter.Remark) {
	for _, what := range l.Door {
		if s, sentence, ok := misdeed(what); ok {
			remarks = append(remarks, filter.Remark{Check: d.Name(), Name: s.Name, Score: s.Score, Sentence: sentence})
		}
	}
	if d.before == nil {
		return remarks
	}
	var earlier []string
	for what := range d.before(l.Client.Addr) {
		if _, _, ok := misdeed(what); ok && !slices.Contains(l.Door, what) {
			earlier = append(earlier, what)
		}
	}
	if len(earlier) > 0 {
		slices.Sort(earlier)
		remarks = append(remarks, filter.Remark{Check: d.Name(), Name: doorBefore.Name, Score: doorBefore.Score,
			Sentence: fmt.Sprintf("In the last thirty days this client has failed at the door: %s.", strings.Join(earlier, ", "))})
	}
	return remarks
}

// misdeed is what a failed test at the door costs.
func misdeed(what string) (Symbol, string, bool) {
	switch what {
	case "pregreet":
		return doorPreGreet, "The client talked before it was greeted, as programs do that only send: a mail server waits for the greeting (RFC 5321, section 4.3.1).", true
	case "pipelining":
		return doorPipelining, "The client did not wait for answers where it has to (RFC 2920, section 3.1): its program plays back what it was told.", true
	case "bare_newline":
		return doorNewline, "The client ended lines with LF alone, where CRLF has to stand (RFC 5321, section 2.3.8): a newer version of its program may do so.", true
	case "non_smtp_command":
		return doorNonSMTP, "The client spoke something else than SMTP, as if it had been misled into talking to a mail server.", true
	}
	return Symbol{}, "", false
}

var _ filter.Check = (*Door)(nil)
