package replay

import (
	"cmp"
	"slices"
	"strings"

	"facteur/internal/flow/filter"
)

func equal(a, b string) bool { return strings.EqualFold(a, b) }

// Sum is what came of judging many letters.
type Sum struct {
	// Letters were judged; of them Kept were outside of Junk, Spam in it or in quarantine.
	Letters int `json:"letters"`
	Kept    int `json:"kept"`
	Spam    int `json:"spam"`
	// FalsePositives are those kept that would be junk or worse, Moved those of them of which
	// a person had said that they are none; Missed is spam that would pass, and Caught spam that
	// would be caught.
	FalsePositives int `json:"false_positives"`
	Moved          int `json:"moved"`
	Missed         int `json:"missed"`
	Caught         int `json:"caught"`
	// Own are letters of our users, which are not judged; Foreign had no trace of ours and
	// were judged by what is in them alone; Unscored had no score when they came, so that
	// nothing is known of what the DNS said; Failed could not be read.
	Own      int `json:"own"`
	Foreign  int `json:"foreign"`
	Unscored int `json:"unscored"`
	Failed   int `json:"failed"`
	// Remarks are those that counted, by their names.
	Remarks []*Told `json:"remarks"`

	most  int
	worst map[Kind][]Finding
	told  map[string]*Told
}

// Told is how a remark fared.
type Told struct {
	Name string `json:"name"`
	// Letters are those in which it counted, or would if it were not on trial.
	Letters int `json:"letters"`
	// Wrong are letters that people keep which it makes junk: without it, they would pass.
	// Right are letters of Junk which it makes junk, Saved those that people keep which pass
	// by it alone, and Spared those of Junk.
	Wrong  int `json:"wrong"`
	Right  int `json:"right"`
	Saved  int `json:"saved"`
	Spared int `json:"spared"`
}

// remarksMost bounds how many remarks are counted by name.
const remarksMost = 2000

// NewSum makes one that keeps the worst changes of each kind, most of them.
func NewSum(most int) *Sum {
	return &Sum{most: most, Remarks: []*Told{}, worst: make(map[Kind][]Finding), told: make(map[string]*Told)}
}

// Add takes a finding.
func (s *Sum) Add(f Finding) {
	s.Letters++
	if f.Before == Kept {
		s.Kept++
	} else {
		s.Spam++
	}
	switch {
	case f.Kind == FalsePositive:
		s.FalsePositives++
		s.Moved += f.Weight - 1
	case f.Kind == Missed:
		s.Missed++
	case f.Before != Kept:
		s.Caught++
	}
	if f.trace.Size == 0 {
		s.Foreign++
	} else if !f.trace.Scored {
		s.Unscored++
	}
	s.count(&f)
	s.keep(f)
}

// count tells for each remark whether it decided.
func (s *Sum) count(f *Finding) {
	level := f.fate.Wants.Junk
	score := f.fate.Tally.Score
	for i := range f.fate.Tally.Rows {
		r := &f.fate.Tally.Rows[i]
		t := s.of(r)
		if t == nil {
			continue
		}
		t.Letters++
		decided := score >= level && score-r.Counts < level || r.Category != "" && f.fate.Category == r.Category
		saved := r.Counts < 0 && score < level && score-r.Counts >= level
		switch {
		case decided && f.Before == Kept:
			t.Wrong++
		case decided:
			t.Right++
		case saved && f.Before == Kept:
			t.Saved++
		case saved:
			t.Spared++
		}
	}
}

// of is the row of a remark; nil if it says nothing.
func (s *Sum) of(r *filter.Counted) *Told {
	if r.Name == "" || r.Counts == 0 && !r.Test && r.Category == "" {
		return nil
	}
	t := s.told[r.Name]
	if t == nil && len(s.told) < remarksMost {
		t = &Told{Name: r.Name}
		s.told[r.Name] = t
		s.Remarks = append(s.Remarks, t)
	}
	return t
}

// keep keeps a change if it is among the worst.
func (s *Sum) keep(f Finding) {
	if f.Kind == Same || s.most <= 0 {
		return
	}
	f.fate, f.trace = filter.Fate{}, Trace{} // its evidence is not needed any more
	list := append(s.worst[f.Kind], f)
	slices.SortStableFunc(list, worse)
	s.worst[f.Kind] = list[:min(len(list), s.most)]
}

func elsewhere(f Finding) int {
	if f.Elsewhere {
		return 1
	}
	return 0
}

// worse orders changes of one kind: a person's word first, then what is not where the filter
// had put it, then those that are sure.
func worse(a, b Finding) int {
	sure := cmp.Compare(b.Score, a.Score)
	if a.Kind == Missed {
		sure = -sure
	}
	return cmp.Or(cmp.Compare(b.Weight, a.Weight), elsewhere(b)-elsewhere(a), sure)
}

// Changes are the worst ones that were kept, false positives first.
func (s *Sum) Changes() []Finding { return slices.Concat(s.worst[FalsePositive], s.worst[Missed]) }

// Ranked puts the remarks in order: those that err most first.
func (s *Sum) Ranked() []*Told {
	slices.SortStableFunc(s.Remarks, func(a, b *Told) int {
		return cmp.Or(cmp.Compare(b.Wrong, a.Wrong), cmp.Compare(b.Right, a.Right), cmp.Compare(b.Letters, a.Letters), strings.Compare(a.Name, b.Name))
	})
	return s.Remarks
}

// Notes are what the sum does not say.
func (s *Sum) Notes(asked bool) (out []string) {
	if !asked {
		out = append(out, "Lists in the DNS, the client's name and behaviour, reputation, scanners and rules were not asked anew: what they said when a letter came was taken from its header. A list or check that is new has nothing to say here; run it in test-only.")
	}
	out = append(out, "What users have taught the filter since then is part of the judgement: a letter that was itself learnt is known to it.",
		"Letters that were refused, and those that people deleted, are not here; greylisting is not replayed.")
	return out
}
