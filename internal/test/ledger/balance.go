package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// onlyAfterFault is the rule of SMTP: the sender cannot know whether an
// answer that it never read was a 250 (RFC 5321 §4.5.3.2.6, RFC 1047). For him the
// letter is still queued, and may be bounced or deleted as well as sent again.
func onlyAfterFault(earlier, later Copy) bool {
	return earlier.Place == Remote &&
		(earlier.Unanswered || later.Place == Remote && later.Epoch > earlier.Epoch)
}

// Options loosen Balance, to test the harness on servers that promise less.
type Options struct {
	// LocalDuplicates allows any number of second copies in local mailboxes:
	// Postfix may deliver twice when it is killed.
	LocalDuplicates bool
	// LateRefusals allows copies of what was refused: of Postfix, the program at the door
	// may say 451 because the one behind it was killed, which had the letter already.
	LateRefusals bool
}

// Balance compares the book with all copies and returns one line for each
// thing that is wrong. Copies have to come in the order in which they were
// taken, per source.
func (b *Book) Balance(copies []Copy, opt Options) (wrong []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := make(map[string]map[string][]Copy) // id → address → copies
	for _, c := range copies {
		if b.entries[c.ID] == nil {
			wrong = append(wrong, fmt.Sprintf("stray: %s: not in the book: id %q %s", c.Where, c.ID, c.Head))
			continue
		}
		if found[c.ID] == nil {
			found[c.ID] = make(map[string][]Copy)
		}
		found[c.ID][c.To] = append(found[c.ID][c.To], c)
	}
	for _, id := range slices.Sorted(maps.Keys(b.entries)) {
		wrong = append(wrong, b.entries[id].check(found[id], opt)...)
	}
	return wrong
}

// byHand are the places where a person puts a letter, whatever was to become of it.
func (p Place) byHand() bool { return p == Deleted || p == Held }

// check balances one letter.
func (e *Entry) check(found map[string][]Copy, opt Options) (wrong []string) {
	complain := func(kind, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%s: letter %s (%s): ", kind, e.ID, e.Answer)+fmt.Sprintf(format, args...))
	}
	have := 0
	for n, to := range e.To {
		answer := e.answer(n)
		copies := found[to.Address]
		delete(found, to.Address)
		if len(copies) > 0 {
			have++
		}
		if waits := slices.IndexFunc(copies, func(c Copy) bool { return c.Place == Queued }); waits >= 0 {
			complain("queued", "%s still waits: %s", to.Address, copies[waits].Where)
			copies = slices.DeleteFunc(slices.Clone(copies), func(c Copy) bool { return c.Place == Queued })
		} else if len(copies) == 0 && answer == Accepted && !e.Deleted[to.Address] {
			complain("lost", "no copy for %s", to.Address)
		}
		if len(copies) > 0 && (answer == Refused && !opt.LateRefusals || answer == Unsent) {
			complain("ghost", "%s got what was not accepted: %s", to.Address, where(copies))
		}
		for _, c := range copies {
			if e.Deleted[to.Address] && c.Place == Remote && c.Epoch > e.DeletedIn {
				complain("risen", "%s got it after it was deleted, and after a crash: %s", to.Address, c.Where)
			}
			if to.Want != NoPlace && c.Place != to.Want && !c.Place.byHand() {
				complain("astray", "%s should be %s, is %s: %s", to.Address, to.Want, c.Place, c.Where)
			}
			if (c.Place == Local || c.Place == Remote) && c.Sum != e.Sum {
				complain("altered", "%s: the bytes are not those that were sent: %s", to.Address, c.Where)
			}
		}
		if !mayRepeat(copies, opt) {
			complain("twice", "%s has it %d times: %s", to.Address, len(copies), where(copies))
		}
	}
	if e.Each == nil && e.Deleted == nil && e.Answer == Unknown && have != 0 && have != len(e.To) {
		complain("half", "%d of %d recipients have it", have, len(e.To))
	}
	for address, copies := range found {
		complain("astray", "%s has it, and was not a recipient: %s", address, where(copies))
	}
	return wrong
}

// mayRepeat tells whether every copy after the first has its excuse.
func mayRepeat(copies []Copy, opt Options) bool {
	for i := 1; i < len(copies); i++ {
		local := opt.LocalDuplicates && copies[i-1].Place == copies[i].Place && copies[i].Place != Remote
		if !local && !onlyAfterFault(copies[i-1], copies[i]) {
			return false
		}
	}
	return true
}

func where(copies []Copy) string {
	places := make([]string, len(copies))
	for i, c := range copies {
		places[i] = c.Where
	}
	return strings.Join(places, ", ")
}
