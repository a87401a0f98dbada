package filter

import (
	"strings"
	"testing"

	"facteur/internal/store/policy"
)

// TestTrial: what is on trial changes nothing, neither the fate nor what stands above the
// letter, and it is told what it would have done.
func TestTrial(t *testing.T) {
	strict := func(change func(*policy.Effective)) func(*policy.Effective) {
		return func(e *policy.Effective) { e.Tried = wanting(change) }
	}
	scan := Remark{Check: "scanner", Name: "eicar", Category: Virus, Sentence: "It carries Eicar."}
	junked := Verdict{Disposition: Junk, Because: "DMARC says so."}
	for name, x := range map[string]struct {
		remarks []Remark
		verdict Verdict
		all     bool
		wants   func(*policy.Effective)
		is      Disposition
		would   Disposition
		flag    string
	}{
		"a level of a policy":            {scoring(4.9), accepted, false, strict(func(e *policy.Effective) { e.Junk = 4.5 }), Accept, Junk, "NO"},
		"a milder one":                   {scoring(6), accepted, false, strict(func(e *policy.Effective) { e.Junk = 8 }), Junk, Accept, "YES"},
		"one that says the same":         {scoring(6), accepted, false, strict(func(e *policy.Effective) { e.Junk = 4 }), Junk, "", "YES"},
		"a destiny":                      {scoring(13), accepted, false, strict(destiny(Spam, policy.Quarantine)), Reject, Quarantined, "YES"},
		"the whole filter: junk":         {scoring(6), accepted, true, nil, Accept, Junk, "NO"},
		"the whole filter: refused":      {scoring(13), accepted, true, nil, Accept, Reject, "NO"},
		"the whole filter: a virus":      {[]Remark{scan}, accepted, true, destiny(Virus, policy.Reject), Accept, Reject, "NO"},
		"the whole filter: nothing":      {scoring(1), accepted, true, nil, Accept, "", "NO"},
		"the whole filter: DMARC's word": {scoring(13), junked, true, nil, Junk, Reject, "YES"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Rules{Scoring: true, Scale: Scale{All: x.all}}
			f := r.fate(x.remarks, x.verdict, "bob@example.org", wanting(x.wants), 5, listing{})
			if f.Disposition != x.is || f.Would != x.would {
				t.Errorf("%s, would be %q; want %s, %q", f.Disposition, f.Would, x.is, x.would)
			}
			if fields := string(r.SpamFields(f)); !strings.Contains(fields, "X-Spam-Flag: "+x.flag) {
				t.Errorf("above it stands\n%s", fields)
			}
			if told := f.sentence(); strings.Contains(told, "test-only") != (x.would != "") {
				t.Errorf("it is told: %s", told)
			}
		})
	}
	for _, s := range []Scale{{All: true}, {TestOnly: map[string]bool{"scanner": true}}} {
		down := []Remark{{Check: "scanner", Name: "clamav", Defer: true, Sentence: "ClamAV does not answer."}}
		if left := s.inEarnest(down); len(left) > 0 {
			t.Errorf("a scanner on trial that is down puts letters off: %+v", s)
		}
	}
}
