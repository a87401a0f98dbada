package filter

import (
	"context"
	"fmt"
	"strings"

	"facteur/internal/mail/smtp"
	"facteur/internal/mail/spf"
	"facteur/internal/net/dns"
)

// Refuses tells that SPF may refuse at RCPT, as the admin has set it. Else it is asked at
// the end, together with the rest.
func (c *Case) Refuses() bool {
	p := &c.filter.rules.SPF.Policy
	active := func(l spf.Level) bool { return l != "" && l != spf.Unchecked && l != spf.Never }
	return c.filter.rules.SPF.Enabled && !p.TestOnly && (active(p.MailFrom) || active(p.Helo) || len(p.NotPass) > 0)
}

// Sender asks SPF about HELO and MAIL FROM, once.
func (c *Case) Sender(ctx context.Context) {
	rules := &c.filter.rules.SPF
	if c.sender || !rules.Enabled {
		return
	}
	c.sender = true
	if c.filter.rules.isOurs(c.evidence.Client) {
		return // its word stands in the header; see relayed
	}
	ctx, cancel := context.WithTimeout(dns.WithBudget(ctx, senderBudget), senderTime)
	defer cancel()
	began, name := c.filter.now(), ""
	if c.evidence.Client.named() {
		name = c.evidence.Client.Name
	}
	j := spf.Judge(ctx, c.filter.resolver.SPF(), rules.Policy, rules.Exemptions, c.question(), name)
	if j.Helo != nil && j.Helo.Domain == "" {
		j.Helo = nil // it called itself by nothing that could have a record
	}
	c.evidence.SPFHelo, c.evidence.SPFMail, c.decision = j.Helo, j.MailFrom, j.Decision
	sentence := spfSentence(&c.evidence)
	switch {
	case j.Exempt != "":
		sentence = "SPF was not asked: " + shown(j.Exempt) + "."
	case j.Decision.Action != j.Decision.Would:
		sentence += " It would have been refused for that, if test_only were not set."
	}
	c.remark("spf", began, sentence)
}

// question is what SPF is asked.
func (c *Case) question() spf.Question {
	e := &c.evidence
	q := spf.Question{IP: e.Client.Addr, Helo: e.Client.Helo, Receiver: c.filter.rules.Hostname, Now: c.filter.now()}
	if e.Sender.Domain != "" {
		q.Sender = e.Sender.String()
	}
	return q
}

// SenderVerdict is what becomes of the sender for SPF alone.
func (c *Case) SenderVerdict() Verdict {
	d := c.decision
	if d.Action == spf.Accept || d.Result == nil {
		return accepted
	}
	v := Verdict{Disposition: Reject, Check: "spf", Because: shown(d.Result.Sentence(c.question()))}
	code := 550
	if d.Action == spf.Defer {
		v.Disposition, code = Defer, 451
	}
	about := fmt.Sprintf("<%s>: Sender address rejected: ", c.evidence.Sender)
	if d.Result.Identity == spf.Helo {
		about = fmt.Sprintf("<%s>: Helo command rejected: ", shown(c.evidence.Client.Helo))
	}
	v.Reply = smtp.NewReply(code, d.Code, about+d.Text)
	if len(about)+len(d.Text) > replyLine {
		v.Reply.Lines = []string{strings.TrimSuffix(about, ": "), d.Text[:min(len(d.Text), replyLine)]}
	}
	return v
}

// replyLine is how long a line of a reply may be without its code, in octets (RFC 5321
// §4.5.3.1.5).
const replyLine = 490
