package replay

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"facteur/internal/flow/filter"
	"facteur/internal/flow/learn"
	"facteur/internal/mail/address"
	"facteur/internal/mail/anatomy"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	"facteur/internal/mail/spf"
)

// Trace is what this server wrote above a letter, read back.
type Trace struct {
	// Size is how many bytes of the header it is; 0: the letter did not come by us.
	Size int
	// Client handed the letter over, Sender is that of the envelope.
	Client filter.Client
	Sender address.Address
	// Own: it is a letter of somebody who had logged in.
	Own bool
	// Scored: the filter gave it a score then, and said whether it was spam.
	Scored bool
	Score  float64
	Spam   bool
	// Tests are what counted then.
	Tests []Test
	// Infected is what a virus scanner found then; "" for nothing.
	Infected string
	// results are our own Authentication-Results; applied is what DMARC had done.
	results []authres.Results
	applied filter.Disposition
	policy  dmarc.Policy
	// received are the results in Received-SPF.
	received string
}

// Test is a remark of then, and what it counted for.
type Test struct {
	Name   string
	Counts float64
}

// testsMost is how many of them are taken.
const testsMost = 100

// ReadTrace reads what the server of a name wrote above a letter.
func ReadTrace(h message.Header, hostname string) (t Trace) {
	trace := learn.Trace(h, hostname)
	if len(trace) == 0 {
		return t
	}
	t.Size = len(trace)
	t.Client, t.Sender = Handover(trace)
	t.results = authres.Of(trace, hostname)
	for _, r := range t.results {
		t.Own = t.Own || len(r.Find("auth")) > 0
		for _, m := range r.Find("dmarc") {
			t.comment(m)
		}
	}
	t.Own = t.Own || strings.HasSuffix(protocol(anatomy.ParseReceived(trace.Get("Received")).With), "A")
	t.received, _, _ = strings.Cut(strings.TrimSpace(trace.Get("Received-SPF")), " ")
	t.status(trace.Get("X-Spam-Status"))
	if found, is := strings.CutPrefix(strings.TrimSpace(trace.Get("X-Virus-Status")), "Infected"); is {
		t.Infected = cmp.Or(strings.Trim(found, " ()"), "a virus was found")
	}
	return t
}

// Handover reads who handed a letter over and the sender of its envelope, by the Received on
// top, whoever wrote that, and Return-Path; zero where they don't tell.
func Handover(h message.Header) (filter.Client, address.Address) {
	hop := anatomy.ParseReceived(h.Get("Received"))
	sender, _, err := address.ParsePath(strings.TrimSpace(h.Get("Return-Path")))
	if err != nil {
		sender = address.Address{}
	}
	return filter.Client{Addr: hop.IP, Name: hop.Name, Helo: hop.Helo}, sender
}

// protocol is the word of "with" that says whether the client had logged in: "ESMTPSA".
func protocol(with string) string {
	word, _, _ := strings.Cut(with, " ")
	return strings.ToUpper(strings.TrimPrefix(strings.ToUpper(word), "UTF8"))
}

// comment reads what our results say of DMARC for people: "(p=reject dis=none)".
func (t *Trace) comment(m authres.Method) {
	for _, word := range strings.Fields(m.Comment) {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "p":
			t.policy = dmarc.Policy(value)
		case "dis":
			t.applied = dispositions[value]
		}
	}
}

// dispositions are those that results tell, in our words.
var dispositions = map[string]filter.Disposition{"none": filter.Accept, "quarantine": filter.Junk, "reject": filter.Reject}

// status reads X-Spam-Status: "Yes, score=7.2 … tests=[A=3, B=4.2] …".
func (t *Trace) status(value string) {
	if value == "" {
		return
	}
	_, score, found := strings.Cut(value, "score=")
	if score, _, _ = strings.Cut(score, " "); !found {
		return
	}
	if t.Score, t.Scored = number(score); !t.Scored {
		return
	}
	t.Spam = strings.HasPrefix(value, "Yes")
	_, list, _ := strings.Cut(value, "tests=[")
	list, _, _ = strings.Cut(list, "]")
	for word := range strings.SplitSeq(list, ",") {
		name, points, _ := strings.Cut(strings.TrimSpace(word), "=")
		if counts, ok := number(points); ok && name != "" && len(t.Tests) < testsMost {
			t.Tests = append(t.Tests, Test{strings.ToLower(name), counts})
		}
	}
}

// number reads a score. Infinity is none, and can't be told in JSON.
func number(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// evidence is what was found out then about who sent the letter whose header is h.
func (t *Trace) evidence(h message.Header) filter.Evidence {
	e := filter.Evidence{Client: t.Client, Sender: t.Sender}
	e.DMARC.Author = dmarc.ReadAuthor(h)
	for _, r := range t.results {
		for _, m := range r.Methods {
			t.method(&e, m)
		}
	}
	if e.SPF() == nil && t.received != "" {
		e.SPFMail = &spf.Result{Status: spf.Status(strings.ToLower(t.received)), Identity: spf.MailFrom, Domain: t.Sender.Domain}
	}
	e.DMARC.SPFAligned = e.SPFMail != nil && e.SPFMail.Status == spf.Pass && aligned(e.SPFMail.Domain, e.DMARC.Asked)
	for _, d := range e.DKIM {
		e.DMARC.DKIMAligned = e.DMARC.DKIMAligned || d.Status == dkim.Pass && aligned(d.Domain, e.DMARC.Asked)
	}
	return e
}

// aligned tells domains of one organisation.
func aligned(a, b string) bool {
	return a != "" && b != "" && dkim.Organisation(a) == dkim.Organisation(b)
}

// method takes one result.
func (t *Trace) method(e *filter.Evidence, m authres.Method) {
	switch m.Name {
	case "spf":
		if from := m.Property("smtp", "mailfrom"); from != "" {
			e.SPFMail = &spf.Result{Status: spf.Status(m.Result), Identity: spf.MailFrom, Domain: canonical(from)}
		} else {
			e.SPFHelo = &spf.Result{Status: spf.Status(m.Result), Identity: spf.Helo, Domain: canonical(m.Property("smtp", "helo"))}
		}
	case "dkim":
		if domain := canonical(cmp.Or(m.Property("header", "d"), m.Property("header", "i"))); domain != "" {
			e.DKIM = append(e.DKIM, dkim.Result{Status: dkim.Status(m.Result), Domain: domain, Identity: m.Property("header", "i"), Selector: m.Property("header", "s")})
		}
	case "arc":
		e.ARC.Status = arc.Status(m.Result)
	case "iprev":
		e.IPRev.Status = m.Result
	case "dmarc":
		e.DMARC.Status, e.DMARC.Asked = dmarc.Status(m.Result), canonical(m.Property("header", "from"))
		e.DMARC.Policy, e.DMARC.Org = t.policy, dkim.Organisation(e.DMARC.Asked)
	}
}

// canonical is the domain of an address, or a domain, in the one form.
func canonical(text string) string {
	d, err := address.CanonicalDomain(text[strings.LastIndexByte(text, '@')+1:])
	if err != nil {
		return ""
	}
	return d
}

// verdict is what DMARC had done with the letter where it failed: who vouched for it then
// is not known any more. nil: it is found out.
func (t *Trace) verdict(e *filter.Evidence) *filter.Verdict {
	if e.DMARC.Status != dmarc.Fail || t.applied == "" || t.applied == filter.Reject {
		return nil
	}
	v := &filter.Verdict{Disposition: t.applied, Check: "dmarc", Because: "So it was decided by DMARC when it came."}
	if t.applied == filter.Accept && e.DMARC.Policy != dmarc.PolicyNone && e.DMARC.Policy != "" {
		v.Override = "trusted_forwarder"
	}
	return v
}
