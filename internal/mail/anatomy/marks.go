package anatomy

import (
	"strconv"
	"strings"

	"facteur/internal/mail/message"
)

// Mark is a field that tells how the letter was treated on its way, with what it
// means. Anybody can have written it.
type Mark struct {
	Field   string `json:"field"`
	Value   string `json:"value"`
	Meaning string `json:"meaning,omitempty"`
}

// meanings tells what a field means; fields that are listed without a function are
// shown as they are.
var meanings = []struct {
	field   string
	meaning func(value string) string
}{
	{"Return-Path", nil},
	{"Delivered-To", always("the mailbox that it was put into")},
	{"X-Original-To", always("the recipient before aliases")},
	{"Received-SPF", receivedSPF},
	{"X-Spam-Status", spamStatus},
	{"X-Spam-Flag", spamFlag},
	{"X-Spam-Level", spamLevel},
	{"X-Spam-Score", score},
	{"X-Spam-Bar", nil},
	{"X-Spam-Report", nil},
	{"X-Spam", spamFlag},
	{"X-Spamd-Result", spamdResult},
	{"X-Rspamd-Score", score},
	{"X-Rspamd-Action", nil},
	{"X-Virus-Scanned", always("a virus scanner looked at it; this does not say that it is harmless")},
	{"X-Virus-Status", nil},
	{"X-MS-Exchange-Organization-SCL", scl},
	{"X-MS-Exchange-Organization-PCL", pcl},
	{"X-MS-Exchange-Organization-BCL", bcl},
	{"X-MS-Exchange-Organization-AuthAs", exchangeAuth},
	{"X-Forefront-Antispam-Report", forefront},
	{"X-Forefront-Antispam-Report-Untrusted", forefront},
	{"X-Microsoft-Antispam", microsoftAntispam},
	{"X-Microsoft-Antispam-Untrusted", microsoftAntispam},
	{"X-Gm-Message-State", nil},
	{"X-Originating-IP", always("the address of the person's own machine, as the webmail or server saw it")},
	{"X-PHP-Originating-Script", always("sent by a script of a web site: the number is its owner's on that machine")},
	{"X-Mailer", always("the program that says it made the letter")},
	{"User-Agent", always("the program that says it made the letter")},
	{"X-Sieve", always("a Sieve script has sorted or redirected it")},
	{"X-Sieve-Redirected-From", always("a Sieve script sent it on from this address")},
	{"Resent-From", always("somebody sent it on by hand")},
	{"X-Loop", always("a program that sends mail on knows its own letters by this")},
	{"Auto-Submitted", autoSubmitted},
	{"Precedence", always("a list or a mass mailing; programs should not answer")},
	{"List-Id", always("came through this mailing list")},
	{"List-Unsubscribe", always("where to leave the list")},
	{"Feedback-ID", always("the sender's names for the campaign, for complaints")},
	{"X-Complaints-To", nil},
}

func always(meaning string) func(string) string { return func(string) string { return meaning } }

// marks reads the fields that say something, in their order.
func (l *Letter) marks(h message.Header) {
	for f := range h.Fields() {
		for _, m := range meanings {
			if !f.Is(m.field) {
				continue
			}
			if len(l.Marks) == maxMarks {
				l.LeftOut++
				break
			}
			mark := Mark{Field: m.field, Value: text(f.Text())}
			if m.meaning != nil {
				mark.Meaning = m.meaning(mark.Value)
			}
			l.Marks = append(l.Marks, mark)
			break
		}
	}
}

func receivedSPF(value string) string {
	word, _, _ := strings.Cut(value, " ")
	return map[string]string{
		"pass":      "the owner of the envelope's domain lets this host send",
		"fail":      "the owner of the envelope's domain says that this host does not send for it",
		"softfail":  "the owner of the envelope's domain thinks that this host does not send for it",
		"neutral":   "the owner of the envelope's domain does not say",
		"none":      "the envelope's domain has no SPF record",
		"temperror": "the DNS did not answer; some filters hold this against the letter",
		"permerror": "the SPF record is broken",
	}[strings.ToLower(word)]
}

// spamStatus is SpamAssassin's "Yes, score=7.1 required=5.0 tests=…".
func spamStatus(value string) string {
	verdict, _, _ := strings.Cut(value, ",")
	points, limit := assigned(value, "score"), assigned(value, "required")
	if points == "" || limit == "" {
		return ""
	}
	if strings.EqualFold(strings.TrimSpace(verdict), "yes") {
		return "SpamAssassin gave " + points + " points; from " + limit + " on it is spam, so it was"
	}
	return "SpamAssassin gave " + points + " points; from " + limit + " on it would be spam"
}

// assigned finds name=value between spaces and commas.
func assigned(s, name string) string {
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == ';' }) {
		if value, ok := strings.CutPrefix(w, name+"="); ok {
			return value
		}
	}
	return ""
}

func spamFlag(value string) string {
	if word, _, _ := strings.Cut(strings.ToLower(value), " "); word == "yes" || word == "true" {
		return "a filter took it for spam"
	}
	return ""
}

func spamLevel(value string) string {
	if n := strings.Count(value, "*"); n > 0 {
		return "a filter gave it " + strconv.Itoa(n) + " whole points"
	}
	return ""
}

func score(value string) string {
	if _, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil {
		return ""
	}
	return "points of a filter; more is worse"
}

// spamdResult is Rspamd's "default: False [3.20 / 15.00]; …".
func spamdResult(value string) string {
	_, rest, found := strings.Cut(value, "[")
	points, rest, slash := strings.Cut(rest, "/")
	limit, _, closed := strings.Cut(rest, "]")
	if !found || !slash || !closed {
		return ""
	}
	return "Rspamd gave " + strings.TrimSpace(points) + " points; it refuses from " + strings.TrimSpace(limit) + " on"
}

func autoSubmitted(value string) string {
	if strings.HasPrefix(strings.ToLower(value), "no") {
		return "written by a person"
	}
	return "written by a program; programs should not answer"
}

func exchangeAuth(value string) string {
	if strings.EqualFold(value, "Internal") {
		return "Exchange takes the sender for one of its own users"
	}
	return "Exchange takes the sender for somebody from outside"
}
