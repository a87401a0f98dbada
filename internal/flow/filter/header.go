package filter

import (
	"strconv"
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/mail/spf"
)

// listID is the identifier of a list: what stands in the last angle brackets of List-Id
// (RFC 2919 §3).
func listID(h message.Header) string {
	text := h.Get("List-Id")
	open, end := strings.LastIndexByte(text, '<'), strings.LastIndexByte(text, '>')
	if open < 0 || end < open {
		return ""
	}
	return strings.TrimSpace(text[open+1 : end])
}

// Strip is a header without the fields that claim to be our word (RFC 8601 §5).
func (r *Rules) Strip(h message.Header) message.Header {
	return authres.WithoutID(h, r.Hostname)
}

// Authenticated is the field about a letter of a user of ours, who logged in as account.
func (r *Rules) Authenticated(account string) []byte {
	return authres.Results{ID: r.Hostname, Methods: []authres.Method{{Name: "auth", Result: "pass",
		Properties: []authres.Property{{Type: "smtp", Name: "auth", Value: account}}}}}.Field()
}

// Fields are what stands above the letter: what was found out, for readers and filters. to
// is the recipient, "" where there are several, who must not learn of each other.
func (r *Rules) Fields(e *Evidence, v Verdict, to string) []byte {
	var out []byte
	if r.SPF.Enabled && r.SPF.ReceivedSPF {
		out = r.receivedSPF(e, to)
	}
	return append(out, r.Results(e, v).Field()...)
}

// resultsMost is how many signatures have a result of their own in Authentication-Results.
// Names of strangers take up to 4 KB each there, and the queue keeps 64 above a letter.
const resultsMost = 12

// Results is the content of Authentication-Results.
func (r *Rules) Results(e *Evidence, v Verdict) authres.Results {
	out := authres.Results{ID: r.Hostname}
	add := func(m authres.Method) { out.Methods = append(out.Methods, m) }
	if e.IPRev.Status != "" {
		add(authres.Method{Name: "iprev", Result: e.IPRev.Status, Comment: e.IPRev.Name, Reason: e.IPRev.Reason,
			Properties: []authres.Property{{Type: "policy", Name: "iprev", Value: e.Client.Addr.Unmap().String()}}})
	}
	if r.SPF.Results {
		for _, m := range spfMethods(e) {
			add(m)
		}
	}
	if r.DKIM && len(e.DKIM) == 0 {
		add(authres.Method{Name: "dkim", Result: "none", Comment: "no signatures found"})
	}
	left := 0
	for i := range e.DKIM {
		if e.DKIM[i].Skipped || i-left == resultsMost {
			left++
		} else {
			add(dkimMethod(&e.DKIM[i]))
		}
	}
	if left > 0 {
		add(authres.Method{Name: "dkim", Result: string(dkim.Policy), Reason: strconv.Itoa(left) + " more signatures are not told of"})
	}
	if e.ARC.Status == arc.Pass || e.ARC.Status == arc.Fail {
		add(e.ARC.Method())
	}
	if e.DMARC.Status != "" {
		add(e.DMARC.Method(v.Applied()))
	}
	return out
}

// receivedSPF are the fields of policyd-spf: of MAIL FROM, or of HELO where that is all
// there is or where it is what failed.
func (r *Rules) receivedSPF(e *Evidence, to string) (out []byte) {
	for _, result := range []*spf.Result{e.SPFHelo, e.SPFMail} {
		if result == nil || e.Relayed != "" || result == e.SPFHelo && e.SPFMail != nil && result.Status != spf.Fail {
			continue
		}
		q := spf.Question{IP: e.Client.Addr, Helo: e.Client.Helo, Sender: e.Sender.String()}
		if !r.SPF.HideReceiver {
			q.Receiver = to
		}
		out = append(out, "Received-SPF: "+folded(spf.Header(*result, q))+"\r\n"...)
	}
	return out
}

// folded breaks a value of parts with semicolons into lines, one part each where they
// would be too long together.
func folded(value string) string {
	if len(value) < 900 {
		return value
	}
	return strings.ReplaceAll(value, "; ", ";\r\n\t")
}

// spfMethods are SPF of MAIL FROM and of HELO (RFC 8601 §2.7.2).
func spfMethods(e *Evidence) (out []authres.Method) {
	if s := e.SPFMail; s != nil {
		m := authres.Method{Name: "spf", Result: string(s.Status), Reason: spfReason(s),
			Properties: []authres.Property{{Type: "smtp", Name: "mailfrom", Value: e.Sender.String()}}}
		if e.Relayed != "" {
			m.Comment, m.Properties[0].Value = "as "+e.Relayed+" says", s.Domain
		}
		out = append(out, m)
	}
	if s := e.SPFHelo; s != nil {
		m := authres.Method{Name: "spf", Result: string(s.Status), Reason: spfReason(s),
			Properties: []authres.Property{{Type: "smtp", Name: "helo", Value: s.Domain}}}
		if e.Relayed != "" {
			m.Comment = "as " + e.Relayed + " says"
		}
		out = append(out, m)
	}
	return out
}

// spfReason is what is wrong with a record; nothing where the owner has spoken. Which of
// our servers did not answer is nobody's business but ours.
func spfReason(s *spf.Result) string {
	switch s.Status {
	case spf.TempError:
		return "the DNS did not answer"
	case spf.PermError:
		return s.Problem
	}
	return ""
}

func dkimMethod(d *dkim.Result) authres.Method {
	m := authres.Method{Name: "dkim", Result: string(d.Status)}
	if d.Status != dkim.Pass {
		m.Reason = d.Reason
	}
	if d.Bits > 0 {
		m.Comment = strconv.Itoa(d.Bits) + "-bit key"
	}
	for _, p := range []authres.Property{{Type: "header", Name: "d", Value: d.Domain}, {Type: "header", Name: "i", Value: d.Identity},
		{Type: "header", Name: "s", Value: d.Selector}, {Type: "header", Name: "a", Value: d.Algorithm}, {Type: "header", Name: "b", Value: d.B}} {
		if p.Value != "" {
			m.Properties = append(m.Properties, p)
		}
	}
	return m
}

// author is who wrote a letter, if its header names one and no other.
func author(h message.Header) (a address.Address) {
	if h.Count("From") != 1 {
		return a
	}
	if all := message.ParseAddresses(h.Get("From")); len(all) == 1 {
		a, _ = address.Parse(all[0].Address()) // null where it is none
	}
	return a
}
