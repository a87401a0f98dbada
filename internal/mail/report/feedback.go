package report

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"facteur/internal/mail/message"
)

// Feedback is a letter of which somebody said what he thinks: a complaint, most of the
// time (RFC 5965).
type Feedback struct {
	// Form is "arf", or "letter" where only the subject says what it is (Microsoft's
	// JMRP: "complaint about message from 192.0.2.42").
	Form string `json:"form"`
	// Type is "abuse", "fraud", "virus", "not-spam", "opt-out", "auth-failure", "other" or
	// another word (RFC 5965 §7.3, RFC 6591).
	Type  string `json:"type"`
	Agent string `json:"agent,omitempty"`
	// Source is the address that the letter came from, where it is told.
	Source   netip.Addr `json:"source,omitzero"`
	MailFrom string     `json:"mail_from,omitempty"`
	// Recipients are those who complained, where that is told: many reporters hide it.
	Recipients []string  `json:"recipients,omitempty"`
	Domains    []string  `json:"domains,omitempty"`
	EnvelopeID string    `json:"envelope_id,omitempty"`
	Arrived    time.Time `json:"arrived,omitzero"`
	Reporter   string    `json:"reporter,omitempty"` // Reporting-MTA
	Incidents  int64     `json:"incidents"`
	// Returned is the letter, or its header, as it came back; nil where it did not.
	Returned []byte `json:"-"`
	// MessageID is that of the letter.
	MessageID string `json:"message_id,omitempty"`
}

// IsComplaint tells feedback that counts against who sent the letter: not what a program
// says of its authentication, nor that it was no spam.
func (f *Feedback) IsComplaint() bool { return f.Type != "auth-failure" && f.Type != "not-spam" }

const (
	maxFeedback  = 64 << 10 // bytes of a message/feedback-report
	maxReturned  = 1 << 20  // bytes of the letter that is kept
	maxOfAField  = 20       // values of a field that may be repeated
	maxIncidents = 1_000_000
)

// ReadFeedback reads the fields of a message/feedback-report. Feedback-Type is all that
// must be there.
func ReadFeedback(fields []byte) (*Feedback, error) {
	h := message.Header(fields[:min(len(fields), maxFeedback)])
	f := &Feedback{Form: "arf", Type: word(h.Get("Feedback-Type")), Agent: text(h.Get("User-Agent"), textMax), Incidents: 1,
		MailFrom: mailAddress(h.Get("Original-Mail-From")), EnvelopeID: text(h.Get("Original-Envelope-Id"), textMax),
		Source: source(h.Get("Source-IP"))}
	if f.Type == "" {
		return nil, errors.New("it is no feedback: it has no Feedback-Type")
	}
	for _, v := range h.All("Original-Rcpt-To") {
		f.addRecipient(v)
	}
	for _, v := range h.All("Reported-Domain") {
		if len(f.Domains) < maxOfAField {
			f.Domains = append(f.Domains, domain(v))
		}
	}
	if _, mta, typed := strings.Cut(h.Get("Reporting-MTA"), ";"); typed {
		f.Reporter = domain(mta)
	}
	for _, name := range []string{"Arrival-Date", "Received-Date"} { // the second of drafts
		if t, ok := message.ParseDate(h.Get(name)); ok && f.Arrived.IsZero() {
			f.Arrived = t.UTC()
		}
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(h.Get("Incidents")), 10, 64); err == nil && n > 0 {
		f.Incidents = min(n, maxIncidents)
	}
	return f, nil
}

// mailAddress is an address without its brackets; "" where nothing is in them.
func mailAddress(s string) string { return text(strings.Trim(strings.TrimSpace(s), "<>"), 320) }

func (f *Feedback) addRecipient(v string) {
	if a := mailAddress(v); a != "" && len(f.Recipients) < maxOfAField {
		f.Recipients = append(f.Recipients, a)
	}
}

// returned takes the letter that came back.
func (f *Feedback) returned(letter []byte) {
	f.Returned = letter[:min(len(letter), maxReturned)]
	h := message.Header(f.Returned[:message.HeaderEnd(f.Returned)])
	f.MessageID = message.MessageID(h.Get("Message-Id"))
	if len(f.Recipients) == 0 {
		for _, name := range []string{"X-HmXmrOriginalRecipient", "X-Original-To"} { // JMRP has the first
			f.addRecipient(h.Get(name))
		}
	}
	f.Recipients = f.Recipients[:min(len(f.Recipients), maxOfAField)]
}

// complaintSubject begins the subject of a complaint of Microsoft's JMRP; the address of
// the server follows.
const complaintSubject = "complaint about message from "

// complaintAbout is the address in a subject of JMRP.
func complaintAbout(subject string) (netip.Addr, bool) {
	s := strings.ToLower(text(subject, textMax))
	if !strings.HasPrefix(s, complaintSubject) {
		return netip.Addr{}, false
	}
	addr := source(strings.TrimSuffix(strings.TrimSpace(s[len(complaintSubject):]), "."))
	return addr, addr.IsValid()
}
