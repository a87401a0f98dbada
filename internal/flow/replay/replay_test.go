package replay

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	"facteur/internal/store/policy"
)

const hostname = "mail.example.org"

// stored is a letter as the server stores one.
func stored(received, tests, text string) string {
	out := "Return-Path: <bob@far.example>\r\nDelivered-To: <alice@example.org>\r\n"
	if tests != "" {
		out += "X-Spam-Flag: NO\r\nX-Spam-Score: 2.1\r\nX-Spam-Status: " + tests + "\r\n"
	}
	return out + "Authentication-Results: mail.example.org; spf=neutral smtp.mailfrom=bob@far.example;\r\n" +
		"\tdkim=pass header.d=lists.example header.s=s1; dmarc=fail (p=reject dis=none) header.from=far.example\r\n" +
		"Received: " + received + "\r\n" + text
}

const (
	stranger = "from diskstation (adsl.far.example [192.0.2.7])\r\n\tby mail.example.org (facteur) with ESMTPS id 5F3A90\r\n\tfor <alice@example.org>; Sun, 22 Nov 2026 10:00:00 +0000"
	status   = "No, score=2.1 tagged_above=-999\r\n\trequired=5 tests=[DNSBL_ZEN=3,\r\n\tWORDS=-1.6, HELO_NOT_FQDN=0.7] autolearn=no"
	text     = "From: Bob <bob@far.example>\r\nTo: alice@example.org\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\n\r\nSee you.\r\n"
)

func TestReadTrace(t *testing.T) {
	h := message.Header(strings.SplitAfter(stored(stranger, status, text), "\r\n\r\n")[0])
	trace := ReadTrace(h, hostname)
	if got := string(h[trace.Size:]); !strings.HasPrefix(got, "From: Bob") {
		t.Errorf("the letter begins with %q", got[:min(len(got), 40)])
	}
	if c := trace.Client; c.Addr.String() != "192.0.2.7" || c.Name != "adsl.far.example" || c.Helo != "diskstation" {
		t.Errorf("client: %+v", c)
	}
	if trace.Sender.String() != "bob@far.example" || !trace.Scored || trace.Spam || trace.Score != 2.1 {
		t.Errorf("%+v", trace)
	}
	if got := fmt.Sprint(trace.Tests); got != "[{dnsbl_zen 3} {words -1.6} {helo_not_fqdn 0.7}]" {
		t.Errorf("tests: %s", got)
	}
	e := trace.evidence(h[trace.Size:])
	if e.SPFMail == nil || e.SPFMail.Status != "neutral" || len(e.DKIM) != 1 || e.DKIM[0].Domain != "lists.example" || e.DMARC.Status != dmarc.Fail || e.DMARC.Policy != dmarc.Reject {
		t.Errorf("%+v", e)
	}
	if v := trace.verdict(&e); v == nil || v.Disposition != filter.Accept || v.Override == "" {
		t.Errorf("who vouched for it then is forgotten: %+v", v)
	}
	for name, foreign := range map[string]string{"nobody's": text, "another server's": strings.ReplaceAll(stored(stranger, status, text), hostname, "mail.elsewhere.example")} {
		if trace := ReadTrace(message.Header(foreign), hostname); trace.Size != 0 || trace.Scored || trace.Client.Addr.IsValid() {
			t.Errorf("%s trace is believed: %+v", name, trace)
		}
	}
	for _, bad := range []string{"Yes, score=Inf required=5 tests=[A=+Inf, B=NaN]", "Yes, score=NaN required=5"} {
		if trace := ReadTrace(message.Header(stored(stranger, bad, text)), hostname); trace.Size == 0 || trace.Scored || len(trace.Tests) != 0 {
			t.Errorf("%s: %+v", bad, trace)
		}
	}
	own := strings.Replace(stored(stranger, "", text), "ESMTPS", "ESMTPSA", 1)
	if !ReadTrace(message.Header(own), hostname).Own {
		t.Error("a letter of a user of ours is taken for a stranger's")
	}
}

// Who handed a letter in a file over is told by whichever host wrote the Received on top.
func TestHandover(t *testing.T) {
	foreign := strings.ReplaceAll(stored(stranger, status, text), hostname, "mail.elsewhere.example")
	for name, letter := range map[string]string{"ours": stored(stranger, status, text), "another's": foreign, "below a reader's": "Status: RO\r\n" + foreign} {
		client, sender := Handover(message.Header(strings.SplitAfter(letter, "\r\n\r\n")[0]))
		if client.Addr.String() != "192.0.2.7" || client.Name != "adsl.far.example" || client.Helo != "diskstation" || sender.String() != "bob@far.example" {
			t.Errorf("%s: %+v, %s", name, client, sender)
		}
	}
	if client, sender := Handover(message.Header("From: a@b.example\r\nReturn-Path: nonsense <\r\n\r\n")); client.Addr.IsValid() || !sender.IsNull() {
		t.Errorf("nobody's: %+v, %s", client, sender)
	}
}

// subject is a check of what the subject says.
type subject struct{ score float64 }

func (subject) Name() string     { return "subject" }
func (subject) At() filter.Stage { return filter.End }
func (s subject) Examine(_ context.Context, l *filter.Letter) []filter.Remark {
	if strings.Contains(l.Header.Get("Subject"), "Jackpot") {
		return []filter.Remark{{Name: "jackpot", Score: s.score, Sentence: "It speaks of a jackpot."}}
	}
	return nil
}

func newJudge(t testing.TB, scale filter.Scale, checks ...filter.Check) *Judge {
	t.Helper()
	rules := &filter.Rules{Hostname: hostname, Scoring: true, Checks: checks, Scale: scale}
	families := map[string]string{"dnsbl_zen": "dnslist", "helo_not_fqdn": "client"}
	return &Judge{Filter: filter.New(rules, nil, nil).Obeys(nil, policy.Default()), Hostname: hostname,
		Anew:   func(name string) bool { return name == "words" || name == "jackpot" },
		Family: func(name string) string { return families[name] }}
}

func letterOf(place Place, text string, keywords ...string) *Letter {
	return &Letter{Account: "alice@example.org", Name: "INBOX/1", Place: place, Received: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Keywords: keywords, Text: []byte(text)}
}

// A virus that a scanner found is one still, as no scanner is asked anew.
func TestReplayOfAVirus(t *testing.T) {
	infected := "X-Virus-Scanned: clamd at mail.example.org\r\nX-Virus-Status: Infected (clamd found the virus Eicar)\r\n" + stored(stranger, status, text)
	f, err := newJudge(t, filter.Scale{}).Judge(t.Context(), letterOf(Shelf, infected))
	if err != nil || f.Kind != Same || f.After != filter.Quarantined || !strings.Contains(f.Because, "Eicar") {
		t.Errorf("%v: %s, %s (%s)", err, f.Kind, f.After, f.Because)
	}
}

// TestJudge: what changes, in which place, by whose word.
func TestJudge(t *testing.T) {
	jackpot := strings.Replace(text, "=?utf-8?q?Caf=C3=A9?=", "Jackpot", 1)
	spam := strings.Replace(status, "No, score=2.1", "Yes, score=7", 1)
	for _, test := range []struct {
		name   string
		letter *Letter
		scale  filter.Scale
		kind   Kind
		weight int
	}{
		{"what was found then counts, what is made anew does not count twice", letterOf(Kept, stored(stranger, status, text)), filter.Scale{}, Same, 1},
		{"a proposed score of what was found then", letterOf(Kept, stored(stranger, status, text)), filter.Scale{Scores: map[string]float64{"helo_not_fqdn": 5}}, FalsePositive, 1},
		{"two checks agree", letterOf(Kept, stored(stranger, status, jackpot)), filter.Scale{}, FalsePositive, 1},
		{"on trial it counts nothing", letterOf(Kept, stored(stranger, status, jackpot)), filter.Scale{TestOnly: map[string]bool{"subject": true}}, Same, 1},
		{"not where the filter had it", letterOf(Kept, stored(stranger, spam, jackpot)), filter.Scale{}, FalsePositive, 1},
		{"a program says so", letterOf(Kept, stored(stranger, status, jackpot), "$NotJunk"), filter.Scale{}, FalsePositive, 2},
		{"it is where it belongs", letterOf(Junk, stored(stranger, spam, jackpot)), filter.Scale{}, Same, 1},
		{"spam that would pass", letterOf(Junk, stored(stranger, spam, jackpot)), filter.Scale{Scores: map[string]float64{"dnsbl_zen": 0}}, Missed, 1},
		{"in Junk, though it was none", letterOf(Junk, stored(stranger, status, text)), filter.Scale{}, Missed, 1},
		{"in Junk, a program says so", letterOf(Junk, stored(stranger, status, text), "$Junk"), filter.Scale{}, Missed, 2},
		{"without any trace", letterOf(Kept, jackpot), filter.Scale{}, Same, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := newJudge(t, test.scale, subject{4}).Judge(t.Context(), test.letter)
			if err != nil || f.Kind != test.kind || f.Weight != test.weight {
				t.Errorf("%v, %s, weight %d: %+v", err, f.Kind, f.Weight, f.Remarks)
			}
			if elsewhere := strings.HasPrefix(test.name, "not where") || strings.HasPrefix(test.name, "in Junk"); elsewhere != f.Elsewhere {
				t.Errorf("elsewhere: %v", f.Elsewhere)
			}
		})
	}
	if _, err := newJudge(t, filter.Scale{}).Judge(t.Context(), letterOf(Kept, strings.Replace(stored(stranger, "", text), "ESMTPS", "ESMTPA", 1))); err != ErrOwn {
		t.Errorf("a letter of a user of ours: %v", err)
	}
}

// TestSum: the worst come first and are bounded, and it is told which remark erred.
func TestSum(t *testing.T) {
	j, s := newJudge(t, filter.Scale{}, subject{4}), NewSum(2)
	jackpot := strings.Replace(text, "=?utf-8?q?Caf=C3=A9?=", "Jackpot", 1)
	add := func(l *Letter, name string) {
		l.Name = name
		f, err := j.Judge(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		s.Add(f)
	}
	for i := range 5 {
		add(letterOf(Kept, stored(stranger, status, jackpot)), fmt.Sprint("fp", i))
	}
	add(letterOf(Junk, stored(stranger, status, text)), "missed")
	add(letterOf(Kept, stored(stranger, status, jackpot), "NonJunk"), "moved")
	add(letterOf(Junk, stored(stranger, status, jackpot)), "caught")
	add(letterOf(Kept, text), "foreign")
	var names []string
	for _, f := range s.Changes() {
		names = append(names, f.Letter)
	}
	if got := strings.Join(names, " "); got != "moved fp0 missed" {
		t.Errorf("changes: %s", got)
	}
	if s.Letters != 9 || s.Kept != 7 || s.FalsePositives != 6 || s.Moved != 1 || s.Spam != 2 || s.Missed != 1 || s.Caught != 1 || s.Foreign != 1 {
		t.Errorf("%+v", s)
	}
	first := s.Ranked()[0]
	if first.Wrong != 6 || first.Right != 1 || first.Name != "dnsbl_zen" && first.Name != "jackpot" {
		t.Errorf("%+v", first)
	}
	for _, r := range s.Ranked() {
		if r.Name == "helo_not_fqdn" && (r.Wrong != 0 || r.Letters != 8) {
			t.Errorf("what did not decide is blamed: %+v", r)
		}
	}
}

// TestNothingIsKept: the letter is not changed, and a run that was ended finds nothing.
func TestNothingIsKept(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := letterOf(Kept, stored(stranger, status, text))
	if _, err := newJudge(t, filter.Scale{}).Judge(ctx, l); err == nil {
		t.Error("a finding of a judgement that was cut short")
	}
	if string(l.Text) != stored(stranger, status, text) {
		t.Error("the letter was changed")
	}
}

// FuzzReadTrace: what strangers write is never taken for ours, and nothing breaks.
func FuzzReadTrace(f *testing.F) {
	f.Add(stored(stranger, status, text))
	f.Add("X-Spam-Status: Yes, score=1e999 tests=[A=, =2, B=NaN]\r\n" + text)
	f.Add("Received: from x ([192.0.2.1]) by mail.example.org with ESMTP id 1; x\r\n" + text)
	f.Fuzz(func(t *testing.T, letter string) {
		header, _, err := message.ReadHeader(strings.NewReader(letter), 1<<16)
		if err != nil {
			return
		}
		trace := ReadTrace(header, hostname)
		if trace.Size > len(header) || len(trace.Tests) > testsMost || trace.Scored && trace.Size == 0 {
			t.Fatalf("%+v", trace)
		}
		trace.evidence(header[trace.Size:])
	})
}
