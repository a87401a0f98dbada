package filter

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/mail/message"
)

// levelMost is how many stars X-Spam-Level has at most, as amavis and SpamAssassin write it.
const levelMost = 64

// lineMost is where a line of X-Spam-Status is folded, in bytes.
const lineMost = 76

// SpamFields are what stands above a letter about its score, in the form of amavis: what
// people's filters and programs know. Nothing where it is below the level mark.
func (r *Rules) SpamFields(f Fate) []byte {
	if !r.Scores() || f.Wants == nil || f.Tally.Score < f.Wants.Mark {
		return nil
	}
	flag, yes := "NO", "No"
	if f.IsSpam() {
		flag, yes = "YES", "Yes"
	}
	score := number(f.Tally.Score)
	var b bytes.Buffer
	b.WriteString("X-Spam-Flag: " + flag + "\r\nX-Spam-Score: " + score + "\r\n")
	b.WriteString("X-Spam-Level: " + strings.Repeat("*", max(0, min(int(f.Tally.Score), levelMost))) + "\r\n")
	status := yes + ", score=" + score + " tagged_above=" + number(max(f.Wants.Mark, -999)) + " required=" + number(f.Wants.Junk)
	b.WriteString(foldedWords("X-Spam-Status: " + status + " " + f.Tally.tests()))
	return b.Bytes()
}

// IsSpam tells that a letter counts as spam for a recipient, whatever is done with it.
func (f *Fate) IsSpam() bool {
	return !f.trial && (f.Category == Spam || !f.Allowed && f.Wants != nil && f.Tally.Score >= f.Wants.Junk)
}

// tests are what counted, the strongest first.
func (t *Tally) tests() string {
	rows := t.counting()
	slices.SortStableFunc(rows, func(a, b Counted) int { return cmp.Compare(math.Abs(b.Counts), math.Abs(a.Counts)) })
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = strings.ToUpper(nameOf(r.Name)) + "=" + number(r.Counts)
	}
	return "tests=[" + strings.Join(names, ", ") + "] autolearn=no"
}

// foldedWords is a field that is folded at its blanks.
func foldedWords(s string) string {
	var b strings.Builder
	length := 0
	for i, word := range strings.Split(s, " ") {
		switch {
		case i == 0:
		case length+1+len(word) > lineMost:
			b.WriteString("\r\n\t")
			length = 8
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += len(word)
	}
	return b.String() + "\r\n"
}

// number is a score as people read it: "7.1", "-0.25", "12".
func number(score float64) string {
	if score = rounded(score); score == 0 {
		return "0" // not "-0"
	}
	return strconv.FormatFloat(score, 'f', -1, 64)
}

// isSpamField tells fields that claim to be a filter's word on the letter.
func isSpamField(f message.Field) bool {
	const prefix = "x-spam-"
	return len(f.Name) > len(prefix) && bytes.EqualFold(f.Name[:len(prefix)], []byte(prefix)) || f.Is("X-Spam")
}

// Doubted is a stranger's header without what claims to be a filter's word on the letter:
// anybody can write that he is no spammer, and programs of our users believe it.
func (c *Case) Doubted(h message.Header) message.Header {
	rules := c.filter.rules
	if !rules.Scores() {
		return h
	}
	return without(h, func(f message.Field) bool { return isSpamField(f) || rules.Viruses && isVirusField(f) })
}

// without is a header without some fields.
func without(h message.Header, gone func(message.Field) bool) message.Header {
	var out message.Header
	at := 0
	for f := range h.Fields() {
		if gone(f) {
			out = append(out, h[at:f.Start]...)
			at = f.End
		}
	}
	if at == 0 {
		return h
	}
	return append(out, h[at:]...)
}
