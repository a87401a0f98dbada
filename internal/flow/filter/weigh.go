package filter

import (
	"math"
	"slices"
	"strings"

	"facteur/internal/store/policy"
)

// Scale is how remarks count, as the admin has set it.
type Scale struct {
	// Scores are those that stand in place of a remark's own, by Name; 0 switches it off.
	Scores map[string]float64
	// TestOnly are names and families that are told and count nothing yet.
	TestOnly map[string]bool
	// All: the whole filter is on trial. It is told what would become of letters.
	All bool
	// Caps are the most that families may count, where that is more than what is the most
	// for each; see Tally.
	Caps map[string]float64
}

// capped is the part of the level of junk that one family may count for at most: no single
// check condemns.
const capped = 0.9

// Families that are the word of the admin or of the recipient himself, and count in full.
const (
	familyRule = "rule"
	familyList = "list"
)

// Counted is a remark, and what it counted for: a row of the table of evidence.
type Counted struct {
	Remark
	// Counts is its part of the score.
	Counts float64
	// Note says why that is not its Score: "clipped", "test", "off", or "set" by the admin;
	// "" where it is.
	Note string
}

// Tally is what speaks for and against a letter, added up for one recipient.
type Tally struct {
	Score float64
	Rows  []Counted // in the order of the remarks
}

// Tally adds up remarks for an account whose letters are junk from a level on. It looks at
// nothing but its arguments.
//
// What one family counts for, in either direction, is clipped to just below that level,
// each of its remarks in proportion: two independent families have to agree. The admin's
// word goes beyond: a cap of his, or a score of his that is greater.
func (s *Scale) Tally(remarks []Remark, account string, junk float64) Tally {
	var t Tally
	sums, caps := make(map[string]float64), make(map[string]float64)
	for _, r := range remarks {
		if r.Of != "" && r.Of != account {
			continue
		}
		row, set := s.count(r)
		t.Rows = append(t.Rows, row)
		sums[r.Check] += row.Counts
		if set {
			caps[r.Check] = max(caps[r.Check], math.Abs(row.Counts))
		}
	}
	for i := range t.Rows {
		row := &t.Rows[i]
		most := max(capped*max(junk, 0), s.Caps[row.Check], caps[row.Check])
		if sum := math.Abs(sums[row.Check]); sum > most && row.Counts != 0 && row.Check != familyRule && row.Check != familyList {
			row.Counts *= most / sum
			row.Note = "clipped"
		}
		t.Score += row.Counts
	}
	t.Score = rounded(t.Score)
	return t
}

// Weigh is the tally for an account that wants something of its own, where the server's level
// of junk is usual. Whether the letter is junk is found with families clipped by the
// account's own level. If it is, how far it is beyond that is told as everybody would be: who
// wants to have junk found early has not made grave letters harmless by that, and his level
// kill means what it means to others. No single family reaches kill, either.
//
// So there is one score, which reaches the level junk where two families agree, and a level
// above it where the letter does by what it has.
func (s *Scale) Weigh(remarks []Remark, account string, wants *policy.Effective, usual float64) Tally {
	own := min(wants.Junk, wants.Kill)
	t := s.Tally(remarks, account, own)
	if t.Score < own || usual <= own {
		return t
	}
	if wide := s.Tally(remarks, account, min(usual, wants.Kill)); wide.Score > t.Score {
		return wide
	}
	return t
}

// count is a remark by itself; set: the admin says how much it counts.
func (s *Scale) count(r Remark) (row Counted, set bool) {
	row = Counted{Remark: r}
	switch own, is := s.Scores[r.Name]; {
	case r.Name == "" || r.Category != "" || r.Defer:
		return row, false
	case r.Test || s.TestOnly[r.Name] || s.TestOnly[r.Check]:
		row.Test, row.Note = true, "test"
	case is && own == 0:
		row.Note = "off"
	case is:
		row.Counts, row.Note, set = own, "set", true
	case !math.IsNaN(r.Score) && !math.IsInf(r.Score, 0):
		row.Counts = r.Score
	}
	return row, set
}

// isTest tells a remark that counts nothing yet, of whatever category.
func (s *Scale) isTest(r *Remark) bool { return r.Test || s.TestOnly[r.Name] || s.TestOnly[r.Check] }

// inEarnest are remarks without those on trial.
func (s *Scale) inEarnest(remarks []Remark) []Remark {
	if s.All {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(remarks), func(r Remark) bool { return s.isTest(&r) })
}

// rounded is a score as it is told, to the thousandth: what a header says and what was
// compared with the levels are the same.
func rounded(score float64) float64 { return math.Round(score*1000) / 1000 }

// isPersonal tells that something in it is one recipient's business alone.
func (t *Tally) isPersonal() bool {
	return slices.ContainsFunc(t.Rows, func(r Counted) bool { return r.Of != "" || r.Check == familyList })
}

// counting are the rows that count.
func (t *Tally) counting() (out []Counted) {
	for _, r := range t.Rows {
		if r.Counts != 0 {
			out = append(out, r)
		}
	}
	return out
}

// nameOf is a name as a header may have it.
func nameOf(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, cutShort(name, 60))
}
