package refusal

import "strings"

// Fault is who has to do something about a refusal.
type Fault string

// Whose fault a refusal is.
const (
	// OurAddress: the IP address that we send from, its network or its reputation.
	OurAddress Fault = "address"
	// OurSetup: how our server, its DNS or its domains are set up.
	OurSetup Fault = "setup"
	// OurPace: we send faster than the host likes.
	OurPace Fault = "pace"
	// Message: what the sender wrote, or how.
	Message Fault = "message"
	// Recipient: his address or his mailbox.
	Recipient Fault = "recipient"
	// Theirs: the other side has trouble, or rules of its own.
	Theirs Fault = "theirs"
)

// Text is a sentence or two in each language.
type Text struct{ En, Fr string }

// In is the text in a language: "fr", "fr-CA", …; English for all that is not French.
func (t Text) In(language string) string {
	if base, _, _ := strings.Cut(language, "-"); strings.EqualFold(base, "fr") {
		return t.Fr
	}
	return t.En
}

// Reading is what a refusal means.
type Reading struct {
	// ID is the row of the table, "microsoft-s3140"; it is stable.
	ID string
	// Who is the operator, list or program whose words these are; "" where many use
	// them.
	Who   string
	Fault Fault
	// Cause says what is wrong, Cure what to do about it. Both are whole sentences.
	Cause, Cure Text
	// Link is where to read on, or to ask for removal; "" for none.
	Link string
	// SlowDown: the host says that we come too fast, or too often.
	SlowDown bool
	// Blocked: it refuses this address of ours, whatever the message; another relay
	// or source address may be taken.
	Blocked bool

	waits bool
}

// Advice is what to do, ended when the server tries no more: Cure may say that it goes on.
func (r Reading) Advice(ended bool) Text {
	if ended && r.waits {
		return tooLate
	}
	return r.Cure
}

// Read finds what a refusal means. Host is who said it, as a name, "name[address]" or
// "name[address]:port"; "" when it is not known. Code may be 0 and enhanced "" when all
// is in text. The text may be one line or several joined by blanks, with the codes of
// each still in it or not.
func Read(host string, code int, enhanced, text string) (Reading, bool) {
	r := parse(host, code, enhanced, text)
	for i := range forms {
		if forms[i].fits(r) {
			return forms[i].reading(), true
		}
	}
	return Reading{}, false
}

// ReadOwn is Read for a text of this server about what kept it from giving the message to
// anybody: the TLS of a host was not good enough, or something in this house is wrong.
// Other texts are not read.
func ReadOwn(text string) (Reading, bool) {
	r := parse("", 0, "", text)
	for i := range forms {
		if forms[i].own && forms[i].fits(r) {
			return forms[i].reading(), true
		}
	}
	return Reading{}, false
}

// ReadReason is Read for a reason as the queue and the log keep it: "host
// mx.example.net[192.0.2.1] said: 550 5.1.1 User unknown (in reply to RCPT TO
// command)".
func ReadReason(reason string) (Reading, bool) {
	for _, verb := range [...]string{" said: ", " refused to talk to me: "} {
		before, text, found := strings.Cut(reason, verb)
		host, isHost := afterLast(before, "host ")
		if !found || !isHost {
			continue
		}
		if i := strings.LastIndex(text, " (in reply to "); i >= 0 {
			text = text[:i]
		}
		return Read(host, 0, "", text)
	}
	return Read("", 0, "", reason)
}

func afterLast(s, sep string) (string, bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", false
	}
	return s[i+len(sep):], true
}
