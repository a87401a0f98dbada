package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// TLS is how the connections of one sender to the mail hosts of domains came to their
// TLS (RFC 8460 §4.2).
type TLS struct {
	Organization string      `json:"organization-name"`
	Range        TLSRange    `json:"date-range"`
	Contact      string      `json:"contact-info"`
	ID           string      `json:"report-id"`
	Policies     []TLSPolicy `json:"policies"`
}

// TLSRange is the period of a report.
type TLSRange struct {
	Start time.Time `json:"start-datetime"`
	End   time.Time `json:"end-datetime"`
}

// TLSPolicy is what a policy brought.
type TLSPolicy struct {
	Policy   TLSPolicyFound `json:"policy"`
	Summary  TLSSummary     `json:"summary"`
	Failures []TLSFailure   `json:"failure-details,omitempty"`
}

// TLSPolicyFound is the policy as the sender found it.
type TLSPolicyFound struct {
	Type   string `json:"policy-type"` // "tlsa", "sts", "no-policy-found"
	Lines  texts  `json:"policy-string,omitempty"`
	Domain string `json:"policy-domain"`
	MX     texts  `json:"mx-host,omitempty"`
}

// TLSSummary counts sessions.
type TLSSummary struct {
	Success number `json:"total-successful-session-count"`
	Failure number `json:"total-failure-session-count"`
}

// TLSFailure is sessions that failed in the same way.
type TLSFailure struct {
	Result   string `json:"result-type"`
	Sender   string `json:"sending-mta-ip,omitempty"`
	Host     string `json:"receiving-mx-hostname,omitempty"`
	Helo     string `json:"receiving-mx-helo,omitempty"`
	Receiver string `json:"receiving-ip,omitempty"`
	Sessions number `json:"failed-session-count"`
	Info     string `json:"additional-information,omitempty"`
	Reason   string `json:"failure-reason-code,omitempty"`
}

// MarshalJSON writes the period as RFC 3339 has it, in whole seconds.
func (r TLSRange) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"start-datetime": r.Start.UTC().Format(time.RFC3339), "end-datetime": r.End.UTC().Format(time.RFC3339)})
}

// JSON writes a report.
func (t *TLS) JSON() ([]byte, error) { return json.MarshalIndent(t, "", "  ") }

// Sessions is how many sessions a report tells of, and how many of them failed.
func (t *TLS) Sessions() (all, failed int64) {
	for _, p := range t.Policies {
		all += int64(p.Summary.Success) + int64(p.Summary.Failure)
		failed += int64(p.Summary.Failure)
	}
	return all, failed
}

// ReadTLS reads a report on TLS. Lists may be single texts and numbers texts, as some
// senders write them; keys that RFC 8460 does not know are passed over.
func ReadTLS(data []byte, l Limits) (*TLS, error) {
	l = l.withDefaults()
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	// A value costs memory many times its bytes: what there can be is counted first.
	if int64(len(data)) > l.Bytes || bytes.Count(data, []byte("{")) > 3*l.Records+10 || bytes.Count(data, []byte(",")) > 20*l.Records+100 {
		return nil, ErrTooLarge
	}
	var t TLS
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("it is no TLS report: %s", text(err.Error(), 100))
	}
	if len(t.Policies) == 0 || t.Organization == "" && t.ID == "" {
		return nil, errors.New("it is no TLS report: it has no policies, or nobody reports")
	}
	if n := t.tidy(); n > l.Records {
		return nil, ErrTooMany
	}
	return &t, nil
}

// tidy makes all texts fit to be shown and kept, and counts policies and failures.
func (t *TLS) tidy() (n int) {
	t.Organization, t.Contact, t.ID = text(t.Organization, textMax), text(t.Contact, textMax), text(t.ID, textMax)
	t.Range.Start, t.Range.End = t.Range.Start.UTC(), t.Range.End.UTC()
	for i := range t.Policies {
		p := &t.Policies[i]
		p.Policy.Type, p.Policy.Domain = word(p.Policy.Type), domain(p.Policy.Domain)
		p.Policy.Lines.tidy()
		p.Policy.MX.tidy()
		n += 1 + len(p.Failures)
		for j := range p.Failures {
			p.Failures[j].tidy()
		}
	}
	return n
}

func (f *TLSFailure) tidy() {
	f.Result, f.Reason, f.Info = word(f.Result), text(f.Reason, textMax), text(f.Info, textMax)
	f.Sender, f.Receiver = text(f.Sender, 64), text(f.Receiver, 64)
	f.Host, f.Helo = text(f.Host, domainMax), text(f.Helo, domainMax)
}

// texts is a list of texts, or one text.
type texts []string

// maxTexts is how many lines of a policy and how many patterns are kept.
const maxTexts = 100

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

func (t *texts) tidy() {
	*t = (*t)[:min(len(*t), maxTexts)]
	for i := range *t {
		(*t)[i] = text((*t)[i], textMax)
	}
}

// number is a count, also as a text.
type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "null" || s == "" {
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= maxCount) {
		return fmt.Errorf("%q is no number of sessions", text(s, 40))
	}
	*n = number(f)
	return nil
}

// Set sets a count.
func (n *number) Set(count int) { *n = number(count) }
