package arc

import (
	"strconv"
	"time"

	"facteur/internal/mail/authres"
)

// Status is what came of a chain.
type Status string

// The results; the package's doc says what is which.
const (
	None      Status = "none"
	Pass      Status = "pass"
	Fail      Status = "fail"
	TempError Status = "temperror"
)

// Result is what came of a chain.
type Result struct {
	Status Status
	// Sets are those of the chain, the oldest first, as far as they can be read; none
	// of a chain whose shape is wrong.
	Sets []Set
	// Reason says in plain words why it is not a pass.
	Reason string
	// Author: the newest AMS covers the From field. Else that may have been put there
	// since, and the chain says nothing about the author.
	Author bool
	// OldestPass is the lowest instance of which the AMS holds still, 0 where all do: what
	// came before it changed the message (RFC 8617 §5.2). It is -1 where nobody asked.
	OldestPass int
}

// Set is what one server sealed.
type Set struct {
	Instance int
	// Domain and Selector name the key of the seal, in lower-case A-labels.
	Domain, Selector, Algorithm string
	// Chain is cv=, what it said of the chain before it.
	Chain Status
	// Results is what it had found out about the message when it came; nil where that
	// can't be read.
	Results *authres.Results
	// Time is when it says it sealed (t=); zero where it does not.
	Time time.Time
}

// Sealer is the domain of the newest set; "" without one.
func (r Result) Sealer() string {
	if len(r.Sets) == 0 {
		return ""
	}
	return r.Sets[len(r.Sets)-1].Domain
}

// Method is the result for Authentication-Results (RFC 8617 §10.1).
func (r Result) Method() authres.Method {
	m := authres.Method{Name: "arc", Result: string(r.Status), Reason: r.Reason}
	if n := len(r.Sets); n > 0 {
		m.Comment = "i=" + strconv.Itoa(n) + " " + r.Sealer()
	}
	if r.Status == Pass && r.OldestPass >= 0 {
		m.Properties = []authres.Property{{Type: "header", Name: "oldest-pass", Value: strconv.Itoa(r.OldestPass)}}
	}
	return m
}
