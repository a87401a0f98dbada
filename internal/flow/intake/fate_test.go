package intake

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/rule"
	"facteur/internal/store/policy"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// finding is a check that always finds the same, and counts how often it was asked.
type finding struct {
	remarks []filter.Remark
	asked   *atomic.Int32
}

func (finding) Name() string     { return "finding" }
func (finding) At() filter.Stage { return filter.End }
func (f finding) Examine(context.Context, *filter.Letter) []filter.Remark {
	f.asked.Add(1)
	return f.remarks
}

// scored are remarks of several families that give a score together.
func scored(score float64) (out []filter.Remark) {
	for i := 0; score > 0; i++ {
		out = append(out, filter.Remark{Check: "family" + string(rune('a'+i)), Name: "x", Score: min(score, 4), Sentence: "Something."})
		score -= 4
	}
	return out
}

// filtering gives a counter a filter that finds something in each letter.
func (c *counter) filtering(t testing.TB, wants func(*policy.Effective), remarks ...filter.Remark) (*diary, *atomic.Int32) {
	t.Helper()
	asked := new(atomic.Int32)
	standard := policy.Default()
	if wants != nil {
		wants(&standard)
	}
	rules := &filter.Rules{Hostname: "mail.example.org", Scoring: true, Checks: []filter.Check{finding{remarks, asked}}}
	f := filter.New(rules, sim.Zone(t, world), nil).Obeys(nil, standard)
	c.with(func(r *Rules) { r.Filter = f })
	log := &diary{}
	c.Desk.events = log
	return log, asked
}

// begins tells that an answer has a code; "ok" is none.
func begins(answer, code string) bool {
	return answer == "" && code == "ok" || code != "ok" && strings.HasPrefix(answer, code)
}

// spamFields are the fields about the score, and the subject.
func spamFields(text string) string {
	header, _, _ := strings.Cut(text, "\r\n\r\n")
	header = strings.NewReplacer("\r\n\t", " ").Replace(header)
	var out []string
	for _, line := range strings.Split(header, "\r\n") {
		if strings.HasPrefix(line, "X-Spam") || strings.HasPrefix(line, "Subject") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// TestScoredLetters: rows 183 to 186 and 194, what becomes of a stranger's letter, what
// stands above it, and what the log says.
func TestScoredLetters(t *testing.T) {
	const text = "X-Spam-Status: No, score=-100\r\nX-Spam-Flag: NO\r\nX-Spam: no\r\nSubject: hello\r\nFrom: a@far.example\r\n\r\nx\r\n"
	tagged := func(e *policy.Effective) { e.SubjectTag = "[SPAM] " }
	shelf := func(e *policy.Effective) {
		e.Destinies = map[policy.Category]policy.Destiny{policy.Spam: policy.Quarantine, policy.Virus: policy.Quarantine, policy.Banned: policy.Reject, policy.BadHeader: policy.Pass}
	}
	for name, x := range map[string]struct {
		wants   func(*policy.Effective)
		remarks []filter.Remark
		code    string
		folder  string
		shelf   string
		fields  string
		log     string
	}{
		"row 184: clean": {remarks: scored(1), code: "ok", log: "Passed CLEAN {RelayedInbound}",
			fields: "X-Spam-Flag: NO\nX-Spam-Score: 1\nX-Spam-Level: *\nX-Spam-Status: No, score=1 tagged_above=-999 required=5 tests=[X=1] autolearn=no\nSubject: hello"},
		"row 183: junk": {remarks: scored(6), code: "ok", folder: `\Junk`, log: "Passed SPAMMY {RelayedTaggedInbound}",
			fields: "X-Spam-Flag: YES\nX-Spam-Score: 6\nX-Spam-Level: ******\nX-Spam-Status: Yes, score=6 tagged_above=-999 required=5 tests=[X=4, X=2] autolearn=no\nSubject: hello"},
		"row 185: a tag": {wants: tagged, remarks: scored(6), code: "ok", folder: `\Junk`, log: "SPAMMY",
			fields: "X-Spam-Flag: YES\nX-Spam-Score: 6\nX-Spam-Level: ******\nX-Spam-Status: Yes, score=6 tagged_above=-999 required=5 tests=[X=4, X=2] autolearn=no\nSubject: [SPAM] hello"},
		"row 183: kill":         {remarks: scored(13), code: "550 5.7.1", log: "Blocked SPAM {RejectedInbound}"},
		"row 188: quarantined":  {wants: shelf, remarks: scored(13), code: "ok", shelf: "spam", log: "Blocked SPAM {DiscardedInbound,Quarantined}"},
		"row 187: a virus":      {wants: shelf, remarks: []filter.Remark{{Name: "eicar", Category: filter.Virus, Sentence: "It carries Eicar."}}, code: "ok", shelf: "virus", log: "INFECTED"},
		"row 187: a program":    {wants: shelf, remarks: []filter.Remark{{Name: "exe", Category: filter.Banned, Sentence: "It carries a.exe."}}, code: "550 5.7.1", log: "BANNED"},
		"a scanner is down":     {remarks: []filter.Remark{{Defer: true, Sentence: "ClamAV does not answer."}}, code: "451 4.7.1", log: "TempFailedInbound"},
		"no single check kills": {remarks: []filter.Remark{{Name: "sure", Score: 1000}}, code: "ok", log: "Passed CLEAN"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t, 0)
			log, _ := c.filtering(t, x.wants, x.remarks...)
			_, answer, id := c.talk(t, stranger, from(t, "a@far.example"), text, "bob@example.org")
			if !begins(answer, x.code) {
				t.Fatalf("%q, expected %s", answer, x.code)
			}
			if !strings.Contains(log.lines(), x.log) {
				t.Errorf("the log:\n%s", log.lines())
			}
			if x.code != "ok" {
				return
			}
			it, text := c.bytes(t, id)
			r := it.Recipients[0]
			if r.Folder != x.folder || r.Quarantine != x.shelf || (r.State == queue.Held) != (x.shelf != "") {
				t.Errorf("folder %q, shelf %q, state %v", r.Folder, r.Quarantine, r.State)
			}
			if got := spamFields(text); x.fields != "" && got != x.fields {
				t.Errorf("%s\nexpected\n%s", got, x.fields)
			}
		})
	}
}

// Row 185: the tag stands once before the subject, in whatever charset the two are.
func TestTagged(t *testing.T) {
	for _, x := range []struct{ subject, tag, want string }{
		{"hello", "[SPAM]", "[SPAM] hello"},
		{"[SPAM] hello", "[SPAM]", "[SPAM] hello"},
		{"", "[SPAM]", "[SPAM]"},
		{"hello", "", "hello"},
		{"hello", "[SPÄM]", "=?utf-8?q?[SP=C3=84M]?= hello"},
		{"=?utf-8?q?[SP=C3=84M]?= hello", "[SPÄM]", "=?utf-8?q?[SP=C3=84M]?= hello"},
		{"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "[SPAM]", "[SPAM] =?iso-2022-jp?B?GyRCRnxLXBsoQg==?="},
	} {
		if got := tagged(x.subject, x.tag); got != x.want {
			t.Errorf("%q with %q: %q, expected %q", x.subject, x.tag, got, x.want)
		}
	}
}

// A refusal tells what a postmaster can do, and nothing that helps to try until it passes.
func TestRefusalOfSpam(t *testing.T) {
	c := newCounter(t, 0)
	c.filtering(t, nil, append(scored(12), filter.Remark{Check: "dns_list", Name: "dnsbl_zen", Score: 3, Sentence: "The host is on the list zen.example."},
		filter.Remark{Check: "words", Name: "words", Score: 3, Sentence: "It sells watches."})...)
	_, answer, _ := c.talk(t, stranger, from(t, "a@far.example"), "Subject: x\r\n\r\nx\r\n", "bob@example.org")
	text := answer
	for _, want := range []string{"looks like spam", "zen.example", "postmaster@mail.example.org"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
	if strings.Contains(text, "watches") || strings.ContainsAny(text, "=") || strings.Contains(text, " 12") {
		t.Errorf("it tells too much: %s", text)
	}
}

// Rules see the score, and add to it: at any stage, in both directions, before the letter
// is refused.
func TestRulesScore(t *testing.T) {
	for name, x := range map[string]struct {
		stage, when, then string
		score             float64
		code, folder      string
		field             string
	}{
		"it sees the score":     {"end", `score > 3 && spam == false && evidence == ["x"]`, "reject 550 seen", 4, "550 5.7.1", "", ""},
		"it adds at the end":    {"end", "true", "score 3 sells watches", 4, "ok", `\Junk`, "score=7 "},
		"it adds at RCPT":       {"rcpt", `sender.domain == "far.example"`, "score 3", 4, "ok", `\Junk`, "RULE_R=3"},
		"it saves from refusal": {"end", "true", "score -9 our partner", 13, "ok", "", "score=4 "},
		"alone, it condemns":    {"end", "true", "score 12 never", 0, "550 5.7.1", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t, 0)
			c.filtering(t, nil, scored(x.score)...)
			set, errs := rule.Compile([]rule.Rule{{Name: "r", Stage: x.stage, When: x.when, Then: []string{x.then}}}, nil, rule.Sources{})
			if errs != nil {
				t.Fatal(errs)
			}
			c.with(func(r *Rules) { r.Access = set })
			_, answer, id := c.talk(t, stranger, from(t, "a@far.example"), "Subject: x\r\n\r\nx\r\n", "bob@example.org")
			if !begins(answer, x.code) {
				t.Fatalf("%q, expected %s", answer, x.code)
			}
			if x.code != "ok" {
				return
			}
			it, text := c.bytes(t, id)
			if got := it.Recipients[0].Folder; got != x.folder {
				t.Errorf("folder %q", got)
			}
			if f := spamFields(text); !strings.Contains(f, x.field) || strings.Count(f, "X-Spam-Status") != 1 {
				t.Errorf("%q is missing:\n%s", x.field, f)
			}
		})
	}
}

// Rows 195 and 196: what a content filter of ours gives back, and what our own users send,
// is not scored, and keeps the fields that it has.
func TestNotScoredTwice(t *testing.T) {
	returned := stranger
	returned.Addr = netip.MustParseAddr("10.1.2.3") // trusted
	returned.Forwarded = &Forwarded{Name: "mx.far.example", Addr: netip.MustParseAddr("192.0.2.9")}
	for name, x := range map[string]struct {
		peer Peer
		want int32
	}{
		"the first pass":           {stranger, 1},
		"row 195: the second pass": {returned, 0},
		"row 196: reinjection":     {func() Peer { p := returned; p.Forwarded = nil; return p }(), 0},
		"a user of ours":           {insider("alice@example.org"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t, 0)
			_, asked := c.filtering(t, nil, scored(6)...)
			sender := "a@far.example"
			if x.peer.Account != "" {
				sender = x.peer.Account
			}
			_, answer, id := c.talk(t, x.peer, from(t, sender), "X-Spam-Status: Yes, score=6\r\nSubject: x\r\n\r\nx\r\n", "bob@example.org")
			if answer != "" {
				t.Fatal(answer)
			}
			if asked.Load() != x.want {
				t.Errorf("the check looked at it %d times", asked.Load())
			}
			_, text := c.bytes(t, id)
			if f := spamFields(text); strings.Count(f, "X-Spam-Status: Yes, score=6") != 1 {
				t.Errorf("%s", f)
			}
		})
	}
}

// Each letter explains itself, whoever decided what becomes of it.
func TestARuleDecidesOfWeighed(t *testing.T) {
	for then, want := range map[string][]string{
		"reject 550 never": {"Blocked SPAMMY {RejectedInbound}", "gave the message 6 points; from 5 on a letter is junk. What becomes of it, a rule has said."},
		"defer 451 later":  {"Blocked SPAMMY {TempFailedInbound}", "a rule has said"},
		"discard":          {"Blocked SPAMMY {DiscardedInbound}", "a rule has said"},
	} {
		t.Run(then, func(t *testing.T) {
			c := newCounter(t, 0)
			log, _ := c.filtering(t, nil, scored(6)...)
			set, errs := rule.Compile([]rule.Rule{{Name: "r", Stage: "end", When: "spam", Then: []string{then}}}, nil, rule.Sources{})
			if errs != nil {
				t.Fatal(errs)
			}
			c.with(func(r *Rules) { r.Access = set })
			c.talk(t, stranger, from(t, "a@far.example"), "Subject: x\r\n\r\nx\r\n", "bob@example.org")
			told := log.lines() + "\n" + log.sentences()
			for _, w := range want {
				if !strings.Contains(told, w) {
					t.Errorf("%q is missing:\n%s", w, told)
				}
			}
			if n := strings.Count(told, "gave the message"); n != 1 {
				t.Errorf("it is told %d times:\n%s", n, told)
			}
		})
	}
}

// Row 179: what our own users send is looked at for what must not go out, where that is
// wanted, and for nothing else: no name server is asked, nothing is scored, and a virus is
// refused at once, whatever the destiny.
func TestOwnLettersAreInspected(t *testing.T) {
	shelf := func(e *policy.Effective) {
		e.Destinies = map[policy.Category]policy.Destiny{policy.Virus: policy.Quarantine, policy.Banned: policy.Pass}
	}
	trusted := stranger
	trusted.Addr = netip.MustParseAddr("10.1.2.3")
	handed, given := trusted, trusted
	handed.PerRecipient = true
	given.Forwarded = &Forwarded{Name: "mx.far.example", Addr: netip.MustParseAddr("192.0.2.9")}
	user := insider("alice@example.org")
	virus := filter.Remark{Name: "eicar", Category: filter.Virus, Sentence: "It carries Eicar."}
	for name, x := range map[string]struct {
		peer   Peer
		remark filter.Remark
		asked  int32
		code   string
		log    string
	}{
		"clean":                      {user, filter.Remark{Name: "clean", Sentence: "ClamAV found nothing."}, 1, "ok", "Passed CLEAN {RelayedOutbound}"},
		"a virus":                    {user, virus, 1, "550 5.7.1", "Blocked INFECTED {RejectedOutbound}"},
		"a virus of a machine":       {trusted, virus, 1, "550 5.7.1", "Blocked INFECTED {RejectedOutbound}"},
		"what may pass":              {user, filter.Remark{Name: "exe", Category: filter.Banned, Sentence: "It carries a.exe."}, 1, "ok", "Passed CLEAN"},
		"it is not scored":           {user, filter.Remark{Check: "rule", Name: "x", Score: 99}, 1, "ok", "Hits: 0,"},
		"the scanner is down":        {user, filter.Remark{Defer: true, Sentence: "ClamAV does not answer."}, 1, "451 4.7.1", "TempFailedOutbound"},
		"by LMTP":                    {handed, virus, 0, "ok", ""},
		"what a content filter gave": {given, virus, 0, "ok", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t, 0)
			standard, asked := policy.Default(), new(atomic.Int32)
			shelf(&standard)
			rules := &filter.Rules{Hostname: "mail.example.org", Scoring: true, DKIM: true, SPF: filter.SPFRules{Enabled: true},
				Own: []filter.Check{finding{[]filter.Remark{x.remark}, asked}}}
			c.with(func(r *Rules) { r.Filter = filter.New(rules, nil, nil).Obeys(nil, standard) }) // without a resolver
			log := &diary{}
			c.Desk.events = log
			_, answer, id := c.talk(t, x.peer, from(t, "alice@example.org"), "DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; h=from; bh=aa; b=aa\r\nSubject: x\r\n\r\nx\r\n", "bob@example.org")
			if !begins(answer, x.code) || asked.Load() != x.asked || !strings.Contains(log.lines(), x.log) || x.log == "" && strings.Contains(log.lines(), "amavis") {
				t.Fatalf("%q, asked %d times\n%s", answer, asked.Load(), log.lines())
			}
			if x.code != "ok" {
				return
			}
			it, text := c.bytes(t, id)
			if r := it.Recipients[0]; r.Folder != "" || r.Quarantine != "" || spamFields(text) != "Subject: x" {
				t.Errorf("%+v\n%s", r, text)
			}
		})
	}
}

// TestRulesOnTrial: a rule on trial refuses nobody and adds no points; the journey and the
// table of evidence tell what it would have done.
func TestRulesOnTrial(t *testing.T) {
	for name, x := range map[string]struct{ stage, then, told string }{
		"a refusal":     {"rcpt", "reject 550 no", `The rule "r" is on trial (test_only); it would have said at RCPT: reject 550 5.7.1 no.`},
		"thrown away":   {"end", "discard", `it would have said at END-OF-MESSAGE: discard.`},
		"points":        {"end", "score 30 sells watches", "(30 if it were not on trial)"},
		"points early":  {"rcpt", "score 30 sells watches", "(30 if it were not on trial)"},
		"at the client": {"connect", "reject 550 no", "it would have said at CONNECT"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t, 0)
			log, _ := c.filtering(t, nil, scored(1)...)
			set, errs := rule.Compile([]rule.Rule{{Name: "r", Stage: x.stage, Then: []string{x.then}, TestOnly: true}}, nil, rule.Sources{})
			if errs != nil {
				t.Fatal(errs)
			}
			c.with(func(r *Rules) { r.Access = set })
			where, answer, id := c.talk(t, stranger, from(t, "a@far.example"), "Subject: x\r\n\r\nx\r\n", "bob@example.org")
			if !begins(answer, "ok") {
				t.Fatalf("%s: %s", where, answer)
			}
			if it, text := c.bytes(t, id); it.Recipients[0].Folder != "" || !strings.Contains(spamFields(text), "score=1 ") {
				t.Errorf("it was not only told: %q\n%s", it.Recipients[0].Folder, spamFields(text))
			}
			if told := log.tables() + log.sentences(); !strings.Contains(told, x.told) {
				t.Errorf("it was told:\n%s", told)
			}
		})
	}
}

// tables are those of the steps.
func (d *diary) tables() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, e := range d.events {
		if s, is := e.(event.Stepper); is {
			out = append(out, s.Step().Table...)
		}
	}
	return strings.Join(out, "\n") + "\n"
}
