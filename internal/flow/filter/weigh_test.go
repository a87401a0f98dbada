package filter

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"facteur/internal/mail/address"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/smtp"
	"facteur/internal/mail/spf"
	"facteur/internal/store/policy"
)

// remarks are any that checks may come with, hostile numbers included.
func remarks(t *rapid.T) []Remark {
	families := []string{"words", "shape", "dnslist", "client", familyAuth}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Remark {
		return Remark{
			Check: rapid.SampledFrom(families).Draw(t, "family"),
			Name:  rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "name"),
			Score: rapid.OneOf(rapid.Float64Range(-50, 50), rapid.Just(math.NaN()), rapid.Just(math.Inf(1)), rapid.Just(math.Inf(-1)), rapid.Just(1e300)).Draw(t, "score"),
			Test:  rapid.Float64Range(0, 1).Draw(t, "test") > 0.9,
			Of:    rapid.SampledFrom([]string{"", "", "bob@example.org", "eve@example.org"}).Draw(t, "of"),
		}
	}), 0, 30).Draw(t, "remarks")
}

// No single family condemns, nor does it acquit by itself: whatever it says, in whatever
// remarks, the letter stays on this side of the level.
func TestNoSingleCheckCondemns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		junk := rapid.Float64Range(0.1, 100).Draw(t, "junk")
		all := remarks(t)
		for i := range all {
			all[i].Check = "words"
		}
		var s Scale
		tally := s.Tally(all, "bob@example.org", junk)
		if most := capped*junk + 0.001; math.Abs(tally.Score) > most || math.IsNaN(tally.Score) {
			t.Fatalf("one family gives %v, the level is %v", tally.Score, junk)
		}
	})
}

// What a tally says adds up: the score is the sum of what its rows count for, each family
// within its bound, and what is on trial, nameless or another's counts nothing.
func TestTallyAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := remarks(t)
		s := Scale{TestOnly: map[string]bool{"d": true}, Scores: map[string]float64{"c": 0}}
		tally := s.Tally(all, "bob@example.org", 5)
		sum, families := 0.0, map[string]float64{}
		for _, r := range tally.Rows {
			sum += r.Counts
			families[r.Check] += r.Counts
			if r.Of == "eve@example.org" {
				t.Fatal("somebody else's remark is in it")
			}
			if r.Counts != 0 && (r.Name == "" || r.Name == "c" || r.Name == "d" || r.Test) {
				t.Fatalf("%+v counts", r)
			}
		}
		for family, got := range families {
			if math.Abs(got) > capped*5+1e-9 {
				t.Fatalf("%s counts for %v", family, got)
			}
		}
		if math.Abs(sum-tally.Score) > 0.0006 {
			t.Fatalf("the rows make %v, the score is %v", sum, tally.Score)
		}
		// The order in which checks end does not matter.
		turned := slices.Clone(all)
		slices.Reverse(turned)
		if other := s.Tally(turned, "bob@example.org", 5); math.Abs(other.Score-tally.Score) > 0.0011 {
			t.Fatalf("%v one way round, %v the other", tally.Score, other.Score)
		}
	})
}

// An account that wants junk found early has not made grave letters harmless: what would be
// killed for everybody is killed for it. Whether a letter is junk is found by its own level.
func TestEarlyJunk(t *testing.T) {
	early := func(junk, kill float64) *policy.Effective {
		return wanting(func(e *policy.Effective) { e.Junk, e.Kill = junk, kill })
	}
	of := func(scores ...float64) (out []Remark) {
		for i, s := range scores {
			out = append(out, Remark{Check: string(rune('a' + i)), Name: string(rune('a' + i)), Score: s})
		}
		return out
	}
	for name, x := range map[string]struct {
		remarks []Remark
		wants   *policy.Effective
		score   float64
		want    Disposition
	}{
		"grave":                      {of(4.5, 4, 1.6), early(2, 12), 10.1, Junk},
		"kill is reached":            {of(4.5, 4, 3.5), early(2, 12), 12, Reject},
		"one check condemns nothing": {of(9), early(2, 12), 1.8, Accept},
		"nor does it kill":           {of(9, 0.3), early(2, 4), 3.9, Junk},
		"two agree":                  {of(9, 0.3), early(2, 12), 4.8, Junk},
		"what is junk stays so":      {of(1.8, 1.8, 1.8, -9), early(2, 12), 3.6, Junk},
		"what is none stays so":      {of(4.5, -4.5, 1), early(2, 12), 1, Accept},
		"junk found late, as it was": {of(9, 0.3), early(10, 12), 9.3, Accept},
	} {
		r := Rules{}
		if f := r.fate(x.remarks, accepted, "", x.wants, 5, listing{}); f.Tally.Score != x.score || f.Disposition != x.want {
			t.Errorf("%s: %v, %s; expected %v, %s", name, f.Tally.Score, f.Disposition, x.score, x.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		junk := rapid.Float64Range(0.1, 20).Draw(t, "junk")
		wants := early(junk, junk+rapid.Float64Range(0, 20).Draw(t, "kill"))
		all, usual := remarks(t), rapid.Float64Range(0.1, 20).Draw(t, "usual")
		var s Scale
		own, told := s.Tally(all, "bob@example.org", junk), s.Weigh(all, "bob@example.org", wants, usual)
		if own.Score >= junk != (told.Score >= junk) || told.Score < own.Score {
			t.Fatalf("by its own level %v (%v), told %v", own.Score, junk, told.Score)
		}
	})
}

func TestScale(t *testing.T) {
	three := func(check string) []Remark {
		return []Remark{{Check: check, Name: "one", Score: 4}, {Check: check, Name: "two", Score: 4, Sentence: "Two."}, {Check: "other", Name: "mild", Score: 0.25}}
	}
	for name, x := range map[string]struct {
		scale   Scale
		remarks []Remark
		want    float64
		tests   string
	}{
		"clipped in proportion":     {Scale{}, three("words"), 4.75, "tests=[ONE=2.25, TWO=2.25, MILD=0.25]"},
		"the admin's cap is higher": {Scale{Caps: map[string]float64{"words": 6}}, three("words"), 6.25, "tests=[ONE=3, TWO=3, MILD=0.25]"},
		"a cap can't be lower":      {Scale{Caps: map[string]float64{"words": 1}}, three("words"), 4.75, "tests=[ONE=2.25, TWO=2.25, MILD=0.25]"},
		"his score says otherwise":  {Scale{Scores: map[string]float64{"one": 20}}, three("words"), 20.25, "tests=[ONE=16.667, TWO=3.333, MILD=0.25]"},
		"a lower score of his":      {Scale{Scores: map[string]float64{"one": 0.5, "two": 0.5}}, three("words"), 1.25, "tests=[ONE=0.5, TWO=0.5, MILD=0.25]"},
		"switched off":              {Scale{Scores: map[string]float64{"one": 0}}, three("words"), 4.25, "tests=[TWO=4, MILD=0.25]"},
		"a name on trial":           {Scale{TestOnly: map[string]bool{"one": true}}, three("words"), 4.25, "tests=[TWO=4, MILD=0.25]"},
		"a family on trial":         {Scale{TestOnly: map[string]bool{"words": true}}, three("words"), 0.25, "tests=[MILD=0.25]"},
		"a rule of the admin's":     {Scale{}, three(familyRule), 8.25, "tests=[ONE=4, TWO=4, MILD=0.25]"},
		"a category is no score":    {Scale{}, []Remark{{Check: "scanner", Name: "eicar", Score: 9, Category: Virus}}, 0, "tests=[]"},
		"a name that is no name":    {Scale{}, []Remark{{Check: "x", Name: "a\r\nB: c", Score: 1}}, 1, "tests=[A__B__C=1]"},
	} {
		t.Run(name, func(t *testing.T) {
			tally := x.scale.Tally(x.remarks, "", 5)
			if tally.Score != x.want {
				t.Errorf("score %v, expected %v", tally.Score, x.want)
			}
			if got, _, _ := strings.Cut(tally.tests(), " autolearn"); got != x.tests {
				t.Errorf("%s, expected %s", got, x.tests)
			}
		})
	}
}

// fates are those of tables: levels 5, 12, 20.
func wanting(change func(*policy.Effective)) *policy.Effective {
	e := policy.Default()
	e.Cutoff = 20
	if change != nil {
		change(&e)
	}
	return &e
}

func destiny(c Category, d policy.Destiny) func(*policy.Effective) {
	return func(e *policy.Effective) {
		e.Destinies = map[Category]policy.Destiny{Virus: policy.Quarantine, Banned: policy.Quarantine, BadHeader: policy.Pass, Spam: policy.Reject}
		e.Destinies[c] = d
	}
}

// scoring are families that together give a score.
func scoring(score float64) (out []Remark) {
	for i := 0; score > 0; i++ {
		part := min(score, 4)
		out = append(out, Remark{Check: string(rune('a' + i)), Name: "x", Score: part})
		score -= part
	}
	return out
}

// Rows 183, 186, 187 and 188: each level has its effect, each category its destiny.
func TestFates(t *testing.T) {
	virus := Remark{Check: "scanner", Name: "virus", Category: Virus, Sentence: "It carries Eicar."}
	header := Remark{Check: "letter", Name: "header", Category: BadHeader, Sentence: "It has two subjects."}
	allowed := policy.Listing{Kind: policy.Allow, By: policy.Entry{Match: "bob@example.org", Sender: "@example.net"}}
	blocked := policy.Listing{Kind: policy.Block, By: policy.Entry{Match: ".", Sender: "@example.net"}}
	junkByDMARC := Verdict{Disposition: Junk, Check: "dmarc", Because: "DMARC of example.net asks to quarantine it."}
	for name, x := range map[string]struct {
		remarks  []Remark
		verdict  Verdict
		wants    func(*policy.Effective)
		list     listing
		how      Blocked
		want     Disposition
		category Category
	}{
		"nothing speaks against it":        {remarks: nil, want: Accept},
		"row 183: below junk":              {remarks: scoring(4.999), want: Accept},
		"row 183: junk":                    {remarks: scoring(5), want: Junk, category: Spam},
		"row 183: below kill":              {remarks: scoring(11.9), want: Junk, category: Spam},
		"row 183: kill":                    {remarks: scoring(12), want: Reject, category: Spam},
		"row 188: kill is quarantined":     {remarks: scoring(12), wants: destiny(Spam, policy.Quarantine), want: Quarantined, category: Spam},
		"row 183: quarantine, cut off":     {remarks: scoring(20), wants: destiny(Spam, policy.Quarantine), want: Discard, category: Spam},
		"row 188: discard keeps":           {remarks: scoring(12), wants: destiny(Spam, policy.Discard), want: Quarantined, category: Spam},
		"row 188: discard, cut off":        {remarks: scoring(20), wants: destiny(Spam, policy.Discard), want: Discard, category: Spam},
		"row 188: kill passes, into Junk":  {remarks: scoring(12), wants: destiny(Spam, policy.Pass), want: Junk, category: Spam},
		"row 187: virus":                   {remarks: []Remark{virus}, want: Quarantined, category: Virus},
		"row 187: virus is refused":        {remarks: []Remark{virus}, wants: destiny(Virus, policy.Reject), want: Reject, category: Virus},
		"row 187: virus may pass":          {remarks: []Remark{virus}, wants: destiny(Virus, policy.Pass), want: Accept},
		"row 187: a virus before spam":     {remarks: append(scoring(12), virus), want: Quarantined, category: Virus},
		"row 187: bad header passes":       {remarks: []Remark{header}, want: Accept},
		"row 187: bad header, quarantined": {remarks: []Remark{header}, wants: destiny(BadHeader, policy.Quarantine), want: Quarantined, category: BadHeader},
		"spam before bad header":           {remarks: append(scoring(12), header), wants: destiny(BadHeader, policy.Quarantine), want: Reject, category: Spam},
		"DMARC has the last word":          {verdict: junkByDMARC, want: Junk, category: Spam},
		"DMARC and kill":                   {verdict: junkByDMARC, remarks: scoring(12), want: Reject, category: Spam},
		"allowed and proven":               {remarks: scoring(30), list: listing{allowed, true}, want: Accept},
		"allowed, with a virus":            {remarks: []Remark{virus}, list: listing{allowed, true}, want: Quarantined, category: Virus},
		"allowed, unproven":                {remarks: scoring(13), list: listing{allowed, false}, want: Junk, category: Spam},
		"allowed, unproven, mild":          {remarks: scoring(7), list: listing{allowed, false}, want: Accept},
		"allowed, DMARC says junk":         {verdict: junkByDMARC, list: listing{allowed, true}, want: Accept},
		"unproven, DMARC says junk":        {verdict: junkByDMARC, list: listing{allowed, false}, want: Junk, category: Spam},
		"allowed, without an author":       {verdict: Verdict{Disposition: Junk, Check: "from", Because: "No From."}, list: listing{allowed, true}, want: Junk, category: Spam},
		"blocked":                          {list: listing{blocked, false}, how: BlockedJunk, want: Junk, category: Spam},
		"blocked is killed":                {list: listing{blocked, false}, how: BlockedKilled, want: Reject, category: Spam},
		"on trial":                         {remarks: []Remark{{Check: "scanner", Name: "virus", Category: Virus, Test: true}}, want: Accept},
	} {
		t.Run(name, func(t *testing.T) {
			r := Rules{Blocked: x.how}
			f := r.fate(x.remarks, x.verdict, "bob@example.org", wanting(x.wants), 5, x.list)
			if f.Disposition != x.want || f.Category != x.category {
				t.Errorf("%s for %q (%s), expected %s for %q", f.Disposition, f.Category, f.Because, x.want, x.category)
			}
			if f.Disposition != Accept && f.Because == "" {
				t.Error("it does not say why")
			}
		})
	}
}

// A letter is refused only when all want that: who wanted it gets it into quarantine else.
func TestSettle(t *testing.T) {
	spam := scoring(13)
	none := func(*policy.Effective) {}
	lenient := func(e *policy.Effective) { e.Kill, e.Junk = policy.Never, policy.Never }
	strict := func(e *policy.Effective) { e.Cutoff = 13 }
	for name, x := range map[string]struct {
		wants []func(*policy.Effective)
		down  bool
		code  int
		want  []Disposition
	}{
		"one":                    {[]func(*policy.Effective){none}, false, 550, []Disposition{Reject}},
		"all":                    {[]func(*policy.Effective){none, none}, false, 550, []Disposition{Reject, Reject}},
		"one takes it":           {[]func(*policy.Effective){none, lenient}, false, 0, []Disposition{Quarantined, Accept}},
		"not even in quarantine": {[]func(*policy.Effective){strict, lenient}, false, 0, []Disposition{Discard, Accept}},
		"a scanner is down":      {[]func(*policy.Effective){lenient}, true, 451, []Disposition{Defer}},
		"down, and refused":      {[]func(*policy.Effective){none}, true, 550, []Disposition{Reject}},
	} {
		t.Run(name, func(t *testing.T) {
			all := spam
			if x.down {
				all = append(slices.Clone(spam), Remark{Check: "scanner", Defer: true, Sentence: "ClamAV does not answer."})
			}
			f := examining(says("x", End, 1))
			c := f.Open(t.Context(), nil, somebody)
			defer c.Close()
			var o Outcome
			for _, w := range x.wants {
				o.Fates = append(o.Fates, f.rules.fate(all, accepted, "", wanting(w), 5, listing{}))
			}
			o.settle(all, func(f Fate) *smtp.Reply { return c.refusal(f, "ID1") })
			code := 0
			if o.Reply != nil {
				code = o.Reply.Code
			}
			if code != x.code {
				t.Errorf("%d, expected %d", code, x.code)
			}
			for i, want := range x.want {
				if o.Fates[i].Disposition != want {
					t.Errorf("recipient %d: %s, expected %s", i, o.Fates[i].Disposition, want)
				}
			}
		})
	}
}

// What one has learnt or wants is not the others' business: the header that all get does
// not tell it.
func TestHeaderIsForAll(t *testing.T) {
	f := examining(trial{"words", End, nil})
	f.rules.Checks[0] = says("words", End, 3)
	c := f.Open(t.Context(), nil, somebody)
	defer c.Close()
	examined(t, c, letter)
	c.Add(Remark{Check: "own", Name: "own_words", Score: 4, Of: "bob@example.org"})
	to := func(names ...string) (out []Recipient) {
		for _, n := range names {
			a, _ := address.Parse(n)
			out = append(out, Recipient{Address: a, Account: n})
		}
		return out
	}
	fields := func(names ...string) string {
		return string(f.rules.SpamFields(c.Weigh(t.Context(), accepted, to(names...), "ID").Shown))
	}
	if got := fields("bob@example.org"); !strings.Contains(got, "OWN_WORDS=4") || !strings.Contains(got, "X-Spam-Flag: YES") {
		t.Errorf("to bob:\n%s", got)
	}
	if got := fields("bob@example.org", "eve@example.org"); strings.Contains(got, "OWN_WORDS") || !strings.Contains(got, "score=3 ") {
		t.Errorf("to both:\n%s", got)
	}
	o := c.Weigh(t.Context(), accepted, to("bob@example.org", "eve@example.org"), "ID")
	if o.Fates[0].Disposition != Junk || o.Fates[1].Disposition != Accept {
		t.Errorf("%s and %s", o.Fates[0].Disposition, o.Fates[1].Disposition)
	}
}

// A letter of a mailing list that a recipient allows, where DMARC of its author asks for the
// junk folder: his word holds where the list is proven to have sent it. Where he allows the
// author, of whom DMARC failed, it does not.
func TestAllowedDespiteDMARC(t *testing.T) {
	me, _ := address.Parse("bob@example.org")
	from, author := address.Address{Local: "bounce", Domain: "lists.example"}, address.Address{Local: "eve", Domain: "bank.example"}
	for name, x := range map[string]struct {
		allowed string
		spf     spf.Status
		want    Disposition
	}{
		"the list, proven":   {"@lists.example", spf.Pass, Accept},
		"the list, unproven": {"@lists.example", spf.Neutral, Junk},
		"the list, forged":   {"@lists.example", spf.SoftFail, Junk},
		"the author":         {"@bank.example", spf.Pass, Junk},
	} {
		f := examining().Obeys(policy.Fixed(policy.Settings{Default: policy.Default(), Entries: []policy.Entry{{Match: "bob@example.org", Sender: x.allowed, Kind: policy.Allow}}}), policy.Default())
		e := Evidence{Sender: from, Author: author, SPFMail: &spf.Result{Status: x.spf, Domain: from.Domain},
			DMARC: dmarc.Result{Status: dmarc.Fail, Policy: dmarc.Quarantine, Asked: author.Domain}}
		c := &Case{filter: f, evidence: e}
		v := Verdict{Disposition: Junk, Check: "dmarc", Because: "DMARC of bank.example asks to quarantine it."}
		o := c.Weigh(t.Context(), v, []Recipient{{Address: me, Account: "bob@example.org"}}, "ID")
		if got := o.Fates[0]; got.Disposition != x.want || !strings.Contains(got.Because, "DMARC of bank.example") {
			t.Errorf("%s: %s (%s)", name, got.Disposition, got.Because)
		}
	}
}

// The header that is for all knows the server's own lists.
func TestHeaderKnowsServersList(t *testing.T) {
	f := examining().Obeys(policy.Fixed(policy.Settings{Default: policy.Default(), Entries: []policy.Entry{{Match: ".", Sender: "@spam.example", Kind: policy.Block}}}), policy.Default())
	f.rules.Blocked = BlockedJunk
	c := &Case{filter: f, evidence: Evidence{Sender: address.Address{Local: "x", Domain: "spam.example"}}}
	c.Add(Remark{Check: "own", Name: "own_words", Score: 1, Of: "bob@example.org"})
	var to []Recipient
	for _, n := range []string{"bob@example.org", "eve@example.org"} {
		a, _ := address.Parse(n)
		to = append(to, Recipient{Address: a, Account: n})
	}
	o := c.Weigh(t.Context(), accepted, to, "ID")
	if got := string(f.rules.SpamFields(o.Shown)); o.Fates[0].Disposition != Junk || o.Fates[1].Disposition != Junk || !strings.Contains(got, "X-Spam-Flag: YES") || strings.Contains(got, "OWN_WORDS") {
		t.Errorf("%s, %s:\n%s", o.Fates[0].Disposition, o.Fates[1].Disposition, got)
	}
}

// Whom a list allows sends no spam: programs that go by the header would put it into Junk
// all the same. Who is not alone on the list gets the header that holds for all.
func TestAllowedIsNoSpam(t *testing.T) {
	r := Rules{Scoring: true}
	allowed := listing{policy.Listing{Kind: policy.Allow, By: policy.Entry{Match: "bob@example.org", Sender: "@example.net"}}, true}
	f := r.fate(scoring(13), accepted, "", wanting(nil), 5, allowed)
	e := Weighed{Outcome: Outcome{Shown: shared([]Fate{f}, Fate{})}}
	if got := string(r.SpamFields(e.Outcome.Shown)); !strings.Contains(got, "X-Spam-Flag: NO") || !strings.Contains(got, "X-Spam-Score: 13") {
		t.Errorf("%s", got)
	}
	if e.class() != "CLEAN" {
		t.Errorf("it is %s", e.class())
	}
	lenient := r.fate(scoring(13), accepted, "", wanting(func(e *policy.Effective) { e.Kill, e.Junk = policy.Never, policy.Never }), 5, listing{})
	server := r.fate(scoring(13), accepted, "", wanting(nil), 5, listing{})
	if got := shared([]Fate{f, lenient}, server); got.Disposition != Reject {
		t.Errorf("one who allows him and one who takes all: %s", got.Disposition)
	}
	f = r.fate(nil, Verdict{Disposition: Junk, Check: "from", Because: "It has no author."}, "", wanting(nil), 5, allowed)
	if !f.IsSpam() {
		t.Error("what is put into Junk all the same is not marked as such")
	}
}

// Row 184: the fields, as amavis writes them and people's filters read them.
func TestSpamFields(t *testing.T) {
	r := Rules{Scoring: true}
	f := r.fate([]Remark{{Check: "a", Name: "html_only", Score: 1.25}, {Check: "b", Name: "words", Score: 4.5}, {Check: "c", Name: "spf_pass", Score: -0.1},
		{Check: "d", Name: "helo_not_fqdn", Score: 1.5}}, accepted, "", wanting(nil), 5, listing{})
	want := "X-Spam-Flag: YES\nX-Spam-Score: 7.15\nX-Spam-Level: *******\n" +
		"X-Spam-Status: Yes, score=7.15 tagged_above=-999 required=5 tests=[WORDS=4.5, HELO_NOT_FQDN=1.5, HTML_ONLY=1.25, SPF_PASS=-0.1] autolearn=no\n"
	if got := unfolded(r.SpamFields(f)); got != want {
		t.Errorf("%s\nexpected\n%s", got, want)
	}
	f.Wants.Mark = 8
	if got := r.SpamFields(f); got != nil {
		t.Errorf("below the level mark:\n%s", got)
	}
	for _, line := range strings.Split(string(r.SpamFields(r.fate(scoring(40), accepted, "", wanting(nil), 5, listing{}))), "\r\n") {
		if len(line) > 90 {
			t.Errorf("a long line: %q", line)
		}
	}
}

// What words of a letter spoke for or against it is told in the journey, and nowhere in the
// log, whichever of its forms; what they mean to one of several recipients, not even there.
func TestWordsAreNotLogged(t *testing.T) {
	f := examining(trial{"words", End, nil})
	f.rules.Checks[0] = says("words", End, 1)
	c := f.Open(t.Context(), nil, somebody)
	defer c.Close()
	examined(t, c, letter)
	c.Add(Remark{Check: "shape", Name: "shape", Score: 2, Sentence: `How it is made speaks like spam: "divorce" +1.2.`})
	c.Add(Remark{Check: "own", Name: "words_own", Score: 4, Of: "bob@example.org", Sentence: `By what this account has learnt: "diagnosis" +2.1.`})
	for _, names := range [][]string{{"bob@example.org"}, {"bob@example.org", "eve@example.org"}} {
		e := Weighed{ID: 1, Client: somebody.Client}
		var to []Recipient
		for _, n := range names {
			a, _ := address.Parse(n)
			e.Recipients, to = append(e.Recipients, a), append(to, Recipient{Address: a, Account: n})
		}
		e.Outcome = c.Weigh(t.Context(), accepted, to, "ID")
		_, line := e.Line()
		_, attrs := e.Record()
		log := fmt.Sprint(line, attrs)
		journey := fmt.Sprint(e.Step().Sentence, e.Step().Table)
		if strings.Contains(log, "divorce") || strings.Contains(log, "diagnosis") || !strings.Contains(log, "SHAPE") && !strings.Contains(log, "shape") {
			t.Errorf("the log to %q: %s", names, log)
		}
		if !strings.Contains(journey, "divorce") || strings.Contains(journey, "diagnosis") != (len(names) == 1) {
			t.Errorf("the journey to %q: %s", names, journey)
		}
	}
}
