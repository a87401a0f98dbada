// Package dmarc tells whether the domain that a reader sees in From stands behind
// a message, and what its owner wants done if not: RFC 9989, and the records that
// were written for RFC 7489.
//
// # In the DNS
//
//	_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.org"
//
// The record of the Author Domain counts, else that of its Organizational Domain,
// else that of the public suffix above. Which domain is the organisation's is found
// by walking up the tree (Org): at most eight questions, however long the name.
// There is no list of public suffixes.
//
// # What is decided here, and what is not
//
// Evaluate gives facts: status, the owner's wish after sp, np, psd and t, what was
// aligned, whose domains stand in From. What is done with a message that fails, or
// that has no author or several, is the receiver's policy (flow/filter).
//
// Of several domains in From each is evaluated, and the worst result counts: a
// message that shows a bank's address beside its own has to satisfy the bank.
//
// # Records of RFC 7489
//
// RFC 9989 has no pct, rf and ri. They are ignored, but for pct=0: it asked that
// the policy be applied to nothing yet, which today is t=y, and is read so.
//
// # Invariants
//
// A DNS that does not answer gives "temperror", never "fail", unless what is known
// is enough for "pass". Work and questions are bounded: five domains in From, eight
// questions for each name, 8 KiB of record, five addresses for reports.
package dmarc

import (
	"context"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/message"
)

// TXT asks for the TXT records of a name; the strings of one record are joined.
type TXT func(ctx context.Context, name string) lookup.Answer[[]string]

// Exists asks whether a name is there at all: NotFound means NXDOMAIN (RFC 8020),
// and not that it has no record of some type.
type Exists func(ctx context.Context, name string) lookup.Answer[bool]

// Status is the result in the words of RFC 8601 §2.7.
type Status string

// The statuses.
const (
	// None: no record applies to the domain.
	None Status = "none"
	// Pass: SPF or DKIM authenticated an aligned domain.
	Pass Status = "pass"
	// Fail: neither did.
	Fail Status = "fail"
	// TempError: the DNS did not answer, and what it said before decides nothing.
	TempError Status = "temperror"
	// PermError: From has no domain to ask about, or too many.
	PermError Status = "permerror"
)

// Policy is what an owner asks to be done with mail that fails.
type Policy string

// The policies. The empty Policy stands for a tag that is absent.
const (
	PolicyNone Policy = "none"
	Quarantine Policy = "quarantine"
	Reject     Policy = "reject"
)

// SPF is the result for the domain of MAIL FROM (that of HELO for a null sender).
type SPF struct{ Domain, Status string }

// DKIM is the result of one signature.
type DKIM struct{ Domain, Selector, Status string }

// Question is what Evaluate wants to know of a message.
type Question struct {
	Header message.Header
	SPF    SPF
	DKIM   []DKIM
	// Exists is asked for np only. Nil: all domains are taken to exist.
	Exists Exists
}

// Result is what came of it.
type Result struct {
	Status Status `json:"status"`
	// From are the domains in From, canonical, each once; those beyond MaxAuthors
	// are left out.
	From []string `json:"from"`
	// Author is what else was seen in From.
	Author Author `json:"author"`
	// Asked is the domain of From that this is about: of several the worst.
	Asked string `json:"asked,omitempty"`
	// Domain is where the record was found; "" if there is none.
	Domain string `json:"record_of,omitempty"`
	// Org is the Organizational Domain of Asked, as far as it had to be known.
	Org string `json:"organizational_domain,omitempty"`
	// Policy is what the owner asks for this message, should it fail; the test mode
	// has been taken into account. "" if there is no record.
	Policy Policy `json:"policy,omitempty"`
	// Tag is where the policy stands: "p", "sp" or "np".
	Tag string `json:"tag,omitempty"`
	// Record is the record that applies; nil if there is none.
	Record *Record `json:"record,omitempty"`
	// SPFAligned and DKIMAligned tell which of them passed and is aligned.
	SPFAligned  bool `json:"spf_aligned"`
	DKIMAligned bool `json:"dkim_aligned"`
	// Signer is the domain of the first aligned signature.
	Signer string `json:"signer,omitempty"`
	// Reason is a sentence for people.
	Reason string `json:"reason"`
}

// Published is the policy as the record has it, before the test mode is taken
// into account.
func (r Result) Published() Policy {
	if r.Record == nil {
		return PolicyNone
	}
	return r.Record.tag(r.Tag)
}

// Method is the result for Authentication-Results; disposition is what we do with
// the message ("none", "quarantine", "reject"; "" is "none").
func (r Result) Method(disposition string) authres.Method {
	m := authres.Method{Name: "dmarc", Result: string(r.Status)}
	if disposition == "" {
		disposition = string(PolicyNone)
	}
	switch r.Status {
	case TempError, PermError:
		m.Reason = r.Reason
	default:
		m.Comment = "p=" + string(r.Published()) + " dis=" + disposition
	}
	if r.Asked != "" {
		m.Properties = []authres.Property{{Type: "header", Name: "from", Value: r.Asked}}
	}
	return m
}
