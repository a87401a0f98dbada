package login

import (
	"errors"

	"facteur/internal/mail/sasl"
)

// Reason is the kind of a refusal. Each door has words for each.
type Reason uint8

// The reasons.
const (
	// Wrong: no such user, a wrong password, a disabled account, a token or a
	// certificate that is nobody's. Which of them, nobody learns.
	Wrong Reason = iota + 1
	// Later: nobody could find out; the password may be right.
	Later
	// Limited: too many failures; the password was not looked at.
	Limited
	// Canceled: the client gave up.
	Canceled
	// Malformed: what the client sent is not the mechanism.
	Malformed
	// Proxy: the client wants to act for somebody else.
	Proxy
	// Binding: the client does not see the TLS connection that we see.
	Binding
	// NeedsTLS: somebody could listen in.
	NeedsTLS
	// Unknown: there is no such mechanism, here or for this client.
	Unknown
	// Barred: all is right, and the account is not let in for now; Err says why.
	Barred
)

// reasons are for the log.
var reasons = [...]string{
	Wrong: "wrong user name or password", Later: "temporary failure", Limited: "too many failures",
	Canceled: "canceled by the client", Malformed: "malformed response", Proxy: "wants to act for somebody else",
	Binding: "channel binding does not match", NeedsTLS: "needs TLS", Unknown: "unknown mechanism", Barred: "not let in for now",
}

// String is a few words for the log.
func (r Reason) String() string {
	if int(r) < len(reasons) && r > 0 {
		return reasons[r]
	}
	return "unknown reason"
}

// Refusal is why somebody did not come in.
type Refusal struct {
	Reason Reason
	// Told: the client gave up, or went astray, after it had been told that its secret
	// is right, as SCRAM does before its end. That is a password found out, and the
	// log's to know.
	Told bool
	// User is the name that the client gave, as it wrote it; it may be "".
	User string
	// Err is the cause, for the log and not for the client; nil where the Reason
	// says all.
	Err error
}

// Error implements error; it is for the log.
func (r *Refusal) Error() string {
	if r.Err != nil {
		return r.Reason.String() + ": " + r.Err.Error()
	}
	return r.Reason.String()
}

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// refusalOf sorts the errors of an exchange. One that is not known is ours: nobody
// is told that his password is wrong because of it.
func refusalOf(err error) *Refusal {
	var own *Refusal
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, sasl.ErrWrong):
		return &Refusal{Reason: Wrong}
	case errors.Is(err, sasl.ErrCanceled):
		return &Refusal{Reason: Canceled}
	case errors.Is(err, sasl.ErrSyntax):
		return &Refusal{Reason: Malformed}
	case errors.Is(err, sasl.ErrProxy):
		return &Refusal{Reason: Proxy}
	case errors.Is(err, sasl.ErrBinding):
		return &Refusal{Reason: Binding}
	}
	return &Refusal{Reason: Later, Err: err}
}
