package anatomy

import (
	"fmt"
	"io"
	"strings"

	"facteur/internal/mail/dsn"
	"facteur/internal/mail/message"
	"facteur/internal/mail/refusal"
)

// Notice is what a delivery status notification says (RFC 3464), and the letter that
// it is about.
type Notice struct {
	// Reporter is the host that wrote it.
	Reporter string `json:"reporter,omitempty"`
	// QueueID is the letter's number there, if it says so.
	QueueID    string      `json:"queue_id,omitempty"`
	Recipients []Recipient `json:"recipients"`
	// Why says in sentences how the notice came about.
	Why []string `json:"why,omitempty"`
	// Inner is the letter that it is about, or its header; nil if it is not there.
	Inner *Letter `json:"inner,omitempty"`
}

// Recipient is what became of the letter for one.
type Recipient struct {
	Address  string `json:"address"`
	Original string `json:"original,omitempty"`
	// Action is failed, delayed, delivered, relayed or expanded.
	Action string `json:"action"`
	Status string `json:"status,omitempty"`
	// Remote is the host that said Diagnostic.
	Remote     string `json:"remote,omitempty"`
	Diagnostic string `json:"diagnostic,omitempty"`
	// Cause and Cure are what that means, in plain words; "" if it is not known.
	Cause string `json:"cause,omitempty"`
	Cure  string `json:"cure,omitempty"`
	Link  string `json:"link,omitempty"`
}

// maxRecipients is how many are told of one notice.
const maxRecipients = 50

// notice looks whether the letter is one: multipart/report of delivery-status, or a
// part of that type anywhere at its top level.
func (w *walker) notice(root *message.Part) error {
	for _, p := range root.Children {
		if p.Type == "message" && (p.Subtype == "delivery-status" || p.Subtype == "global-delivery-status") {
			status, err := dsn.ParseStatus(within(p.Decoded(w.r), dsn.MaxStatusSize+1))
			if err != nil {
				w.letter.warning("its delivery status can't be read: " + err.Error())
				return nil
			}
			w.letter.Notice = w.status(status)
			return w.inner(root)
		}
	}
	return nil
}

func (w *walker) status(s dsn.Status) *Notice {
	n := &Notice{Reporter: text(s.Message.Typed("Reporting-MTA")), QueueID: text(s.Message.Get("X-Postfix-Queue-ID"))}
	for _, r := range s.Recipients {
		if len(n.Recipients) == maxRecipients {
			w.letter.LeftOut++
			continue
		}
		to := Recipient{
			Address: text(r.Typed("Final-Recipient")), Original: text(r.Typed("Original-Recipient")), Action: strings.ToLower(text(r.Get("Action"))),
			Status: text(r.Get("Status")), Remote: text(r.Typed("Remote-MTA")), Diagnostic: text(r.Typed("Diagnostic-Code")),
		}
		if to.Original == to.Address {
			to.Original = ""
		}
		if reading, ok := refusal.Read(to.Remote, 0, to.Status, to.Diagnostic); ok {
			to.Cause, to.Cure, to.Link = reading.Cause.En, reading.Advice(to.Action == "failed").En, reading.Link
		}
		n.Recipients = append(n.Recipients, to)
	}
	return n
}

// inner dissects the letter in the notice, or what there is of it.
func (w *walker) inner(root *message.Part) error {
	if w.nested == maxNested {
		return nil
	}
	for _, p := range root.Children {
		start, end := p.Body, p.End
		switch {
		case p.Message():
		case p.Type == "text" && p.Subtype == "rfc822-headers", p.Type == "message" && p.Subtype == "global-headers":
		default:
			continue
		}
		var err error
		w.letter.Notice.Inner, err = dissect(io.NewSectionReader(w.r, start, end-start), end-start, w.options, w.nested+1)
		w.letter.Notice.explain()
		return err
	}
	return nil
}

// explain tells how it came to the notice, from the letter inside.
func (n *Notice) explain() {
	in := n.Inner
	if from := in.Handover(); from != nil && !from.Local && from.IP.IsValid() {
		n.Why = append(n.Why, fmt.Sprintf("%s had the letter from %s.", from.By, from.IP))
	}
	for _, m := range in.Marks {
		if m.Field == "X-Sieve-Redirected-From" {
			n.Why = append(n.Why, "A Sieve script of "+m.Value+" sent it on.")
		}
	}
	for _, r := range n.Recipients {
		if r.Action == "failed" && r.Remote != "" {
			n.Why = append(n.Why, fmt.Sprintf("%s did not take it for %s, so %s had to tell whoever the envelope named as its sender.", r.Remote, r.Address, n.Reporter))
			break
		}
	}
	if sender := strings.Trim(in.ReturnPath, "<> "); sender != "" && in.unproven() {
		n.Why = append(n.Why, "Nothing in the letter proves that "+sender+" wrote it: if that is forged, the notice reaches somebody who has nothing to do with it.")
	}
}

// unproven tells that the letter came from outside without any result of ours that
// vouches for its sender.
func (l *Letter) unproven() bool {
	for _, c := range l.Claims {
		for _, m := range c.Methods {
			if c.Belief == Ours && m.Result == "pass" && (m.Name == "spf" || m.Name == "dkim" || m.Name == "dmarc") {
				return false
			}
		}
	}
	return l.Handover() != nil && !l.Handover().Local
}
