package rule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// Verb is what an action does.
type Verb uint8

// The verbs.
const (
	// Continue does nothing: the next rule is asked.
	Continue Verb = iota
	// Accept skips the rules of this stage that follow.
	Accept
	// Reject refuses for good, Defer for now.
	Reject
	Defer
	// Hold keeps the message in the queue until a person decides.
	Hold
	// Discard says 250 and forgets.
	Discard
	// Redirect sends the message to Address instead of all its recipients, BCC to
	// Address as well.
	Redirect
	BCC
	// Prepend puts a header field above the message, Add below its header; Remove
	// takes all fields of the name away.
	Prepend
	Add
	Remove
	// Tag gives the message a word that later rules can ask for.
	Tag
	// Class asks the rules of a class, then goes on. An Accept in it ends the stage.
	Class
	// Ask is a Class in which an Accept ends the class only.
	Ask
	// Warn tells the log.
	Warn
	// Score is one more remark about the letter for the filter: Points for spam, against it
	// when negative.
	Score
	// Sleep waits.
	Sleep
	// Listed does what the list says in which `when` found something.
	Listed
)

// Action is one thing that a rule does.
type Action struct {
	Verb Verb
	// Reply is what a Reject or Defer answers; its text is the admin's.
	Reply *smtp.Reply
	// Text is the reason of Hold, Discard and Warn, the word of Tag, the name of
	// Class and Ask.
	Text string
	// Address is of Redirect and BCC.
	Address address.Address
	// Field and Value are of Prepend, Add and Remove: ASCII, on one line.
	Field, Value string
	// Points is of Score, whose Text says why.
	Points float64
	// Wait is of Sleep.
	Wait time.Duration
}

// maxSleep bounds what one rule may delay a client, in time.
const maxSleep = 10 * time.Second

// maxText bounds the texts, in bytes: a reply line has 512 (RFC 5321 §4.5.3.1.5).
const maxText = 400

// verbs are the words of the language, and what reads the rest of each. The words
// in capitals are those of Postfix's access(5) and header_checks(5) that have
// another word here; lists brought from there go on working.
var verbs = map[string]func(rest string) (Action, error){
	"continue": bare(Continue),
	"accept":   bare(Accept),
	"reject":   func(rest string) (Action, error) { return parseReply(Reject, rest) },
	"defer":    func(rest string) (Action, error) { return parseReply(Defer, rest) },
	"hold":     reason(Hold),
	"discard":  reason(Discard),
	"warn":     reason(Warn),
	"redirect": toAddress(Redirect),
	"bcc":      toAddress(BCC),
	"prepend":  func(rest string) (Action, error) { return parseField(Prepend, rest) },
	"add":      afterWord("header", func(rest string) (Action, error) { return parseField(Add, rest) }),
	"remove":   afterWord("header", parseRemove),
	"tag":      word(Tag),
	"class":    word(Class),
	"ask":      word(Ask),
	"sleep":    parseSleep,
	"score":    parseScore,
	"listed":   bare(Listed),

	"ok": bare(Accept), "permit": bare(Accept), "dunno": bare(Continue),
	"defer_if_permit": func(rest string) (Action, error) { return parseReply(Defer, rest) },
	"defer_if_reject": bare(Continue), // what is to be refused is refused, what not is not
}

// Verbs are the words that begin an action, as the settings know them.
var verbWords = []string{"accept", "add", "ask", "bcc", "class", "continue", "defer", "discard", "hold", "listed", "prepend",
	"redirect", "reject", "remove", "score", "sleep", "tag", "warn"}

// ParseAction reads one action:
//
//	accept                          skip the rules of this stage that follow
//	continue                        nothing; the next rule is asked
//	reject [CODE] [X.Y.Z] [TEXT]    refuse for good   (554 5.7.1 Access denied)
//	defer  [CODE] [X.Y.Z] [TEXT]    refuse for now    (450 4.7.1 Try again later)
//	CODE [X.Y.Z] [TEXT]             the same, by the first digit of the code
//	hold [TEXT]                     keep in the queue until a person decides
//	discard [TEXT]                  say 250 and forget
//	redirect ADDRESS                to this address instead of all recipients
//	bcc ADDRESS                     to this address as well
//	prepend NAME: VALUE             a header field above the message
//	add header NAME: VALUE          a header field below its header
//	remove header NAME              all fields of the name
//	tag WORD                        a word that later rules can ask for
//	class NAME                      ask the rules of a class, then go on
//	ask NAME                        the same, and "accept" ends the class only
//	warn TEXT                       tell the log
//	score NUMBER [TEXT]             points for spam, or against it, for the filter
//	sleep DURATION                  wait, 10s at most
//	listed                          what the list says that "when" found something in
//
// Case does not matter in the first word. Errors are for the admin who wrote it.
func ParseAction(s string) (Action, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Action{}, errors.New("the action is empty; expected one such as \"reject 554 5.7.1 No entry\"")
	}
	if err := printable(s); err != nil {
		return Action{}, err
	}
	first, rest, _ := strings.Cut(s, " ")
	rest = strings.TrimSpace(rest)
	if first[0] >= '0' && first[0] <= '9' {
		return parseCode(s)
	}
	parse := verbs[strings.ToLower(first)]
	if parse == nil {
		return Action{}, fmt.Errorf("unknown action %q%s", first, near(strings.ToLower(first), verbWords))
	}
	return parse(rest)
}

// printable refuses what could end the line of a reply, a header or the log.
func printable(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("the action is longer than %d characters", maxText)
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return errors.New("the action has characters other than printable ASCII, which replies and header fields can't carry")
		}
	}
	return nil
}

func bare(v Verb) func(string) (Action, error) {
	return func(rest string) (Action, error) {
		if rest != "" && v == Listed {
			return Action{}, fmt.Errorf("nothing is expected after the word, found %q", rest)
		}
		return Action{Verb: v, Text: rest}, nil
	}
}

func reason(v Verb) func(string) (Action, error) {
	return func(rest string) (Action, error) {
		if rest == "" && v == Warn {
			return Action{}, errors.New("warn: the text is missing")
		}
		return Action{Verb: v, Text: rest}, nil
	}
}

func word(v Verb) func(string) (Action, error) {
	return func(rest string) (Action, error) {
		if rest == "" || strings.ContainsAny(rest, " ,;:\"'") {
			return Action{}, fmt.Errorf("expected one word after it, found %q", rest)
		}
		return Action{Verb: v, Text: rest}, nil
	}
}

// pointsMost bounds the points of one rule.
const pointsMost = 1000

func parseScore(rest string) (Action, error) {
	number, text, _ := strings.Cut(rest, " ")
	points, err := strconv.ParseFloat(number, 64)
	if err != nil || !(points >= -pointsMost && points <= pointsMost) {
		return Action{}, fmt.Errorf("expected a number between -%d and %d and a reason such as \"score 2.5 sells watches\", found %q", pointsMost, pointsMost, rest)
	}
	return Action{Verb: Score, Points: points, Text: strings.TrimSpace(text)}, nil
}

func toAddress(v Verb) func(string) (Action, error) {
	return func(rest string) (Action, error) {
		a, err := address.Parse(rest)
		if err != nil {
			return Action{}, fmt.Errorf("expected an address such as boss@example.org, found %q: %w", rest, err)
		}
		return Action{Verb: v, Address: a}, nil
	}
}

func afterWord(second string, parse func(string) (Action, error)) func(string) (Action, error) {
	return func(rest string) (Action, error) {
		found, after, _ := strings.Cut(rest, " ")
		if !strings.EqualFold(found, second) {
			return Action{}, fmt.Errorf("expected the word %q, found %q", second, found)
		}
		return parse(strings.TrimSpace(after))
	}
}

// parseField reads "Name: value", in quotes or not.
func parseField(v Verb, s string) (Action, error) {
	if n := len(s); n > 1 && s[0] == '"' && s[n-1] == '"' {
		s = s[1 : n-1]
	}
	name, value, found := strings.Cut(s, ":")
	if !found || !isFieldName(name) {
		return Action{}, fmt.Errorf(`expected a header field such as "X-Group: family", found %q`, s)
	}
	return Action{Verb: v, Field: name, Value: strings.TrimSpace(value)}, nil
}

func parseRemove(s string) (Action, error) {
	name := strings.TrimSuffix(s, ":")
	if !isFieldName(name) {
		return Action{}, fmt.Errorf("expected the name of a header field, found %q", s)
	}
	return Action{Verb: Remove, Field: name}, nil
}

// isFieldName tells field-name (RFC 5322 §3.6.8).
func isFieldName(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ':' {
			return false
		}
	}
	return s != "" && len(s) <= 76
}

func parseSleep(s string) (Action, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > maxSleep {
		return Action{}, fmt.Errorf("expected a time up to %v such as 2s, found %q", maxSleep, s)
	}
	return Action{Verb: Sleep, Wait: d}, nil
}

// parseCode reads a reply that begins with its code, as lists of Postfix have it.
// Digits alone, which postmap's address lists have, accept.
func parseCode(s string) (Action, error) {
	switch {
	case strings.Trim(s, "0123456789") == "" && len(s) != 3:
		return Action{Verb: Accept}, nil
	case s[0] == '5':
		return parseReply(Reject, s)
	case s[0] == '4':
		return parseReply(Defer, s)
	}
	return Action{}, fmt.Errorf("expected a code from 400 to 599, found %q", s)
}

// parseReply reads [CODE] [X.Y.Z] [TEXT].
func parseReply(v Verb, s string) (Action, error) {
	class, r := 5, &smtp.Reply{Code: 554, Enhanced: "5.7.1", Lines: []string{"Access denied"}}
	if v == Defer {
		class, r = 4, &smtp.Reply{Code: 450, Enhanced: "4.7.1", Lines: []string{"Try again later"}}
	}
	if first, rest, _ := strings.Cut(s, " "); isNumber(first, 3) {
		r.Code, _ = strconv.Atoi(first)
		if r.Code/100 != class {
			return Action{}, fmt.Errorf("expected a code from %d00 to %d99, found %q", class, class, first)
		}
		if r.Code == 421 || r.Code == 521 {
			return Action{}, fmt.Errorf("%d would end the session; expected another code", r.Code)
		}
		s = strings.TrimSpace(rest)
	}
	if first, rest, _ := strings.Cut(s, " "); isEnhanced(first) {
		if int(first[0]-'0') != class {
			return Action{}, fmt.Errorf("expected a status that begins with %d., found %q", class, first)
		}
		r.Enhanced, s = first, strings.TrimSpace(rest)
	}
	if s != "" {
		r.Lines = []string{s}
	}
	return Action{Verb: v, Reply: r}, nil
}

func isNumber(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789") == ""
}

// isEnhanced tells class "." subject "." detail (RFC 3463 §2).
func isEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return len(parts) == 3 && len(parts[0]) == 1
}

// String is the action as the settings would have it.
func (a Action) String() string {
	switch a.Verb {
	case Reject, Defer:
		return a.word() + " " + a.Reply.Error()
	case Redirect, BCC:
		return a.word() + " " + a.Address.String()
	case Prepend:
		return a.word() + " " + a.Field + ": " + a.Value
	case Add:
		return a.word() + " header " + a.Field + ": " + a.Value
	case Remove:
		return a.word() + " header " + a.Field
	case Sleep:
		return a.word() + " " + a.Wait.String()
	case Score:
		return strings.TrimSpace(a.word() + " " + strconv.FormatFloat(a.Points, 'g', -1, 64) + " " + a.Text)
	}
	return strings.TrimSpace(a.word() + " " + a.Text)
}

func (a Action) word() string {
	return [...]string{Continue: "continue", Accept: "accept", Reject: "reject", Defer: "defer", Hold: "hold", Discard: "discard",
		Redirect: "redirect", BCC: "bcc", Prepend: "prepend", Add: "add", Remove: "remove", Tag: "tag", Class: "class", Ask: "ask",
		Warn: "warn", Score: "score", Sleep: "sleep", Listed: "listed"}[a.Verb]
}
