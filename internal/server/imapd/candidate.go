package imapd

import (
	"strings"
	"time"

	"facteur/internal/mail/imap"
	"facteur/internal/store/digest"
	"facteur/internal/store/mailbox"
)

// candidate is a letter that is being asked, with as much of it as is at hand.
type candidate struct {
	mailbox.Letter
	q      *query
	seq    uint32
	digest *digest.Digest // nil: not looked at yet
	file   *opened        // nil: not opened yet
}

// meets says whether the letter meets a key, so far as that can be told.
func (c *candidate) meets(k *imap.SearchKey) answer {
	switch k.Op {
	case imap.SearchAnd:
		out := yes
		for i := range k.Keys {
			if out = min(out, c.meets(&k.Keys[i])); out == no {
				break
			}
		}
		return out
	case imap.SearchOr:
		out := no
		for i := range k.Keys {
			if out = max(out, c.meets(&k.Keys[i])); out == yes {
				break
			}
		}
		return out
	case imap.SearchNot:
		return yes - c.meets(&k.Keys[0])
	case imap.SearchSentBefore, imap.SearchSentOn, imap.SearchSentSince, imap.SearchEmailID, imap.SearchThreadID:
		return c.keyed(k)
	case imap.SearchHeader:
		return c.headed(k)
	case imap.SearchBody, imap.SearchText:
		return c.read(k)
	}
	return answerIf(c.known(k))
}

// known answers from what is in memory.
func (c *candidate) known(k *imap.SearchKey) bool {
	switch k.Op {
	case imap.SearchAll:
		return true
	case imap.SearchSeq:
		return c.q.sets[k].Contains(c.seq)
	case imap.SearchUID:
		return c.q.sets[k].Contains(c.UID)
	case imap.SearchFlag:
		return hasFlag(&c.Letter, k.Text)
	case imap.SearchRecent:
		return c.Recent
	case imap.SearchBefore, imap.SearchOn, imap.SearchSince:
		return dayMeets(k.Op-imap.SearchBefore, c.Received, k.Date)
	case imap.SearchSavedBefore, imap.SearchSavedOn, imap.SearchSavedSince:
		return dayMeets(k.Op-imap.SearchSavedBefore, c.saved(), k.Date)
	case imap.SearchLarger:
		return c.Size > k.Size
	case imap.SearchSmaller:
		return c.Size < k.Size
	case imap.SearchOlder:
		return c.q.now.Unix()-c.Received.Unix() >= k.Size
	case imap.SearchYounger:
		return c.q.now.Unix()-c.Received.Unix() <= k.Size
	case imap.SearchModSeq:
		return c.ModSeq >= uint64(k.Size)
	}
	return false
}

// saved is when the letter came into the mailbox. Where that is not known, when it
// was received (RFC 8514 §4.3).
func (c *candidate) saved() time.Time {
	if c.Saved.IsZero() {
		return c.Received
	}
	return c.Saved
}

func hasFlag(l *mailbox.Letter, name string) bool {
	if bit := systemFlag(name); bit != 0 {
		return l.Flags.System&bit != 0
	}
	for _, k := range l.Flags.Keywords {
		if strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

// dayMeets compares days, whatever the time and the zone (RFC 9051 §6.4.4): how
// is 0 for before, 1 for on, 2 for since.
func dayMeets(how imap.SearchOp, t, day time.Time) bool {
	y, m, d := t.Date()
	diff := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Compare(day)
	switch how {
	case 0:
		return diff < 0
	case 1:
		return diff == 0
	}
	return diff >= 0
}

// keyed answers from the keys of the digest.
func (c *candidate) keyed(k *imap.SearchKey) answer {
	switch {
	case c.digest == nil:
		return maybe
	case k.Op == imap.SearchEmailID:
		return answerIf(c.digest.EmailID == k.Text)
	case k.Op == imap.SearchThreadID:
		return answerIf(c.digest.ThreadID == k.Text)
	case c.digest.Sent.IsZero():
		return no
	}
	return answerIf(dayMeets(k.Op-imap.SearchSentBefore, c.digest.Sent, k.Date))
}

// headed looks at the fields of one name: in the digest where it has them.
func (c *candidate) headed(k *imap.SearchKey) answer {
	p := c.q.texts[k]
	switch {
	case c.digest != nil && c.digest.Fields != nil && digest.Common(k.Field):
		return c.scored(p, p.inFields(c.digest.Fields, k.Field))
	case c.file != nil:
		return c.scored(p, p.inFields(c.file.head(), k.Field))
	case c.q.out[k]:
		return no
	}
	return maybe
}

// read looks into the letter.
func (c *candidate) read(k *imap.SearchKey) answer {
	switch {
	case c.file == nil && c.q.out[k]:
		return no
	case c.file == nil:
		return maybe
	}
	p := c.q.texts[k]
	return c.scored(p, k.Op == imap.SearchText && p.inHeader(c.file.head()) || c.file.bodyHas(p))
}

// The scores of RELEVANCY (RFC 6203 §4).
const (
	exactScore = 100 // the text as it was given
	looseScore = 50  // all its words
)

// scored notes how well a fuzzy phrase was met: the best of all counts.
func (c *candidate) scored(p *phrase, met bool) answer {
	if met && p.fuzzy() {
		score := uint8(exactScore)
		if p.loose {
			score = looseScore
		}
		if c.q.scores == nil {
			c.q.scores = map[uint32]uint8{}
		}
		c.q.scores[c.seq] = max(c.q.scores[c.seq], score)
	}
	p.loose = false
	return answerIf(met)
}
