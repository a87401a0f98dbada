package report

import (
	"net/netip"
	"time"
)

// Aggregate is what one receiver saw of the mail of one policy domain in a period (RFC
// 9990 §2.1). Fields that an older report has not are empty.
type Aggregate struct {
	Version   string    `json:"version,omitempty"`
	Reporter  Reporter  `json:"reporter"`
	Published Published `json:"published"`
	Records   []Record  `json:"records"`
	// Problems are what was odd about the document: what a reader should doubt.
	Problems []string `json:"problems,omitempty"`
}

// Reporter is who reports, about when.
type Reporter struct {
	Org     string `json:"org"`
	Email   string `json:"email"`
	Contact string `json:"contact,omitempty"`
	// ID is unique among the reports of one reporter about one domain.
	ID    string    `json:"id"`
	Begin time.Time `json:"begin,omitzero"`
	End   time.Time `json:"end,omitzero"`
	// Errors are what the reporter found wrong with the record in the DNS.
	Errors    []string `json:"errors,omitempty"`
	Generator string   `json:"generator,omitempty"`
}

// Published is the policy as the reporter found it, its tags under their names.
type Published struct {
	Domain    string `json:"domain"`
	Discovery string `json:"discovery,omitempty"` // "psl" or "treewalk"
	P         string `json:"p"`
	SP        string `json:"sp,omitempty"`
	NP        string `json:"np,omitempty"`
	FO        string `json:"fo,omitempty"`
	ADKIM     string `json:"adkim,omitempty"`
	ASPF      string `json:"aspf,omitempty"`
	Testing   string `json:"testing,omitempty"` // "y" or "n"
	Pct       string `json:"pct,omitempty"`     // RFC 7489 only
}

// Record is letters from one address that fared alike.
type Record struct {
	Source netip.Addr `json:"source"` // invalid where the report has none
	Count  int64      `json:"count"`
	// Disposition is what was done: "none", "pass", "quarantine", "reject".
	Disposition string `json:"disposition"`
	// DKIM and SPF are "pass" where one that passes is aligned with the From.
	DKIM    string   `json:"dkim"`
	SPF     string   `json:"spf"`
	Reasons []Reason `json:"reasons,omitempty"`
	// HeaderFrom, EnvelopeFrom and EnvelopeTo are domains.
	HeaderFrom   string      `json:"header_from"`
	EnvelopeFrom string      `json:"envelope_from,omitempty"`
	EnvelopeTo   string      `json:"envelope_to,omitempty"`
	Signatures   []Signature `json:"signatures,omitempty"`
	SPFChecks    []SPFCheck  `json:"spf_checks,omitempty"`
}

// Passed tells whether the letters passed DMARC.
func (r *Record) Passed() bool { return r.DKIM == "pass" || r.SPF == "pass" }

// Reason is why a receiver did otherwise than the policy says.
type Reason struct {
	Type    string `json:"type"`
	Comment string `json:"comment,omitempty"`
}

// Signature is a DKIM signature of the letters, aligned or not.
type Signature struct {
	Domain   string `json:"domain"`
	Selector string `json:"selector,omitempty"`
	Result   string `json:"result"`
	Human    string `json:"human,omitempty"`
}

// SPFCheck is a check of SPF, aligned or not.
type SPFCheck struct {
	Domain string `json:"domain"`
	Scope  string `json:"scope,omitempty"` // "mfrom", "helo"
	Result string `json:"result"`
	Human  string `json:"human,omitempty"`
}

// Messages is how many letters a report tells of, and how many of them passed.
func (a *Aggregate) Messages() (all, passed int64) {
	for i := range a.Records {
		all += a.Records[i].Count
		if a.Records[i].Passed() {
			passed += a.Records[i].Count
		}
	}
	return all, passed
}
