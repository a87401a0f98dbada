package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"facteur/internal/mail/smtp"
)

// Verb is what a server wants done.
type Verb uint8

// The verbs. Dunno, the zero Verb, is no opinion.
const (
	Dunno         Verb = iota
	OK                 // enough asked: the servers after this one are not
	Reject             // refuse, with the action's code
	DeferIfReject      // a later permanent refusal becomes a temporary one
	DeferIfPermit      // refuse for now, unless something later refuses for good
	Discard            // take the message and drop it
	Hold               // keep the message until an admin releases it
	Prepend            // Text is a header field
	Redirect           // Text is the address that gets the message instead
	BCC                // Text is an address that gets a copy
	Warn               // Text goes to the log
	Info               // the same, with less weight
)

// Action is a server's answer.
type Action struct {
	Verb Verb
	// Text is for people with Reject, Defer…, Discard, Hold, Warn and Info, and the
	// argument with Prepend, Redirect and BCC.
	Text string
	// Code and Enhanced are those of the refusal.
	Code     int
	Enhanced string
}

// ErrUnsupported says that an action is known but not offered here.
var ErrUnsupported = errors.New("action is not supported")

// maxText is how much of a server's text is passed on, in bytes.
const maxText = 512

// verbs are the words without a number, with the codes that Postfix gives them.
var verbs = map[string]Action{
	"OK":              {Verb: OK},
	"DUNNO":           {Verb: Dunno},
	"REJECT":          {Verb: Reject, Code: 554, Enhanced: "5.7.1"},
	"DEFER":           {Verb: Reject, Code: 450, Enhanced: "4.7.1"},
	"DEFER_IF_REJECT": {Verb: DeferIfReject, Code: 450, Enhanced: "4.7.1"},
	"DEFER_IF_PERMIT": {Verb: DeferIfPermit, Code: 450, Enhanced: "4.7.1"},
	"DISCARD":         {Verb: Discard},
	"HOLD":            {Verb: Hold},
	"PREPEND":         {Verb: Prepend},
	"REDIRECT":        {Verb: Redirect},
	"BCC":             {Verb: BCC},
	"WARN":            {Verb: Warn},
	"INFO":            {Verb: Info},
}

// ParseAction reads an action such as "DUNNO", "REJECT go away" or "450 4.2.0
// Greylisted". FILTER and restriction lists are errors that wrap ErrUnsupported.
func ParseAction(s string) (Action, error) {
	word, text, _ := strings.Cut(strings.TrimSpace(s), " ")
	text = strings.TrimSpace(text)
	a, known := verbs[strings.ToUpper(word)]
	code, err := strconv.Atoi(word)
	switch {
	case known:
	case len(word) == 3 && err == nil && code >= 400 && code < 600:
		a = Action{Verb: Reject, Code: code, Enhanced: word[:1] + ".7.1"}
	case allDigits(word) && text == "":
		a = Action{Verb: OK} // access(5): an all-numerical result is OK
	default:
		return Action{}, fmt.Errorf("%q: %w", clip(s, 80), ErrUnsupported)
	}
	return a.with(text)
}

// with adds the text to an action.
func (a Action) with(text string) (Action, error) {
	a.Text = clip(text, maxText)
	switch a.Verb {
	case Prepend:
		name, _, ok := strings.Cut(text, ":")
		if !ok || !isFieldName(name) || len(text) > maxText {
			return Action{}, fmt.Errorf("PREPEND %q: no header field", clip(text, 80))
		}
	case Redirect, BCC:
		if text == "" || len(text) > maxText {
			return Action{}, errors.New("an address is missing")
		}
	case Reject, DeferIfReject, DeferIfPermit:
		a.enhance()
	}
	return a, nil
}

// enhance takes an enhanced status code from the front of the text, if it is of
// the code's class.
func (a *Action) enhance() {
	word, rest, _ := strings.Cut(a.Text, " ")
	if isEnhanced(word) && (word[0] == '4' || word[0] == '5') {
		a.Text = strings.TrimSpace(rest)
		a.Enhanced = strconv.Itoa(a.Code)[:1] + word[1:]
	}
}

// isEnhanced tells class "." subject "." detail (RFC 3463 §2).
func isEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 {
		return false
	}
	for _, p := range parts {
		if len(p) > 3 || !allDigits(p) {
			return false
		}
	}
	return true
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isFieldName tells the name of a header field (RFC 5322 §2.2).
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != "" && len(s) <= 76
}

// Reply is the refusal as Postfix words it: "450 4.2.0 <bob@example.org>:
// Recipient address rejected: Greylisted". subject is what was asked about and
// class its kind, "Recipient address"; nil for an action that refuses nothing.
func (a Action) Reply(subject, class string) *smtp.Reply {
	if a.Code == 0 {
		return nil
	}
	text := a.Text
	if text == "" {
		text = "Access denied"
		if a.Code < 500 {
			text = "Service is unavailable, try again later"
		}
	}
	return smtp.NewReply(a.Code, a.Enhanced, fmt.Sprintf("<%s>: %s rejected: %s", subject, class, text))
}

func clip(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}
