package dkim

import "time"

// Status is a result in the words of RFC 8601 §2.7.1.
type Status string

// The results that a signature can have. The package's doc says what is which.
const (
	Pass      Status = "pass"
	Fail      Status = "fail"
	Policy    Status = "policy"
	Neutral   Status = "neutral"
	TempError Status = "temperror"
	PermError Status = "permerror"
)

// Result is what came of one signature.
type Result struct {
	Status Status `json:"status"`
	// Reason says in plain words why it is not a pass, and what there is to be said
	// of one; it may be empty then.
	Reason string `json:"reason,omitempty"`
	// Domain and Selector name the key (d=, s=), in lower-case A-labels where they are
	// names at all; what a stranger wrote where they are not. Identity is i=.
	Domain   string `json:"domain"`
	Selector string `json:"selector"`
	Identity string `json:"identity,omitempty"`
	// Algorithm is a=; Bits is the size of the key, 0 when it was not found.
	Algorithm string `json:"algorithm"`
	Bits      int    `json:"bits,omitempty"`
	// Testing: the domain says that it is trying DKIM out (t=y).
	Testing bool `json:"testing,omitempty"`
	// Limited is how many bytes of the canonical body are not covered, because of l=.
	Limited int64 `json:"limited,omitempty"`
	// B is the first characters of b=, which tell signatures of a domain apart
	// (header.b, RFC 6008).
	B string `json:"b,omitempty"`
	// Signed are the names of the fields covered, in lower case (h=).
	Signed []string `json:"signed,omitempty"`
	// Header and Body are the canonical forms (c=).
	Header Canon `json:"header"`
	Body   Canon `json:"body"`
	// Time and Expires are t= and x=; zero when not there.
	Time    time.Time `json:"time,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// HeaderIntact and BodyIntact tell which half holds, where that was looked at: a
	// letter with an intact header and a changed body went through a mailing list.
	HeaderIntact bool `json:"header_intact"`
	BodyIntact   bool `json:"body_intact"`
	// Skipped: it was not evaluated, as the message has too many.
	Skipped bool `json:"skipped,omitempty"`
}
