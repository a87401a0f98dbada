package filter

import (
	"strings"

	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
)

// What scanners leave behind: fields above the letter, and letters that have to come again.

// deferring is why a letter can't be judged now; "" where it can.
func deferring(remarks []Remark) string {
	for i := range remarks {
		if remarks[i].Defer {
			return remarks[i].Sentence
		}
	}
	return ""
}

// unavailable is the reply to a letter that can't be judged now, in the words that milters
// have for it.
func unavailable() *smtp.Reply {
	return smtp.NewReply(451, "4.7.1", "Service unavailable - try again later")
}

// Remarks are all that the outcome was made of.
func (o *Outcome) Remarks() []Remark {
	out := make([]Remark, len(o.Shown.Tally.Rows))
	for i := range out {
		out[i] = o.Shown.Tally.Rows[i].Remark
	}
	return out
}

// ScannedFields tell which virus scanners looked at a letter, as clamav-milter does.
func (r *Rules) ScannedFields(remarks []Remark) []byte {
	var b strings.Builder
	status := ""
	for i := range remarks {
		switch m := &remarks[i]; {
		case m.Scanned == "":
			continue
		case m.Category == Virus:
			status = "Infected (" + ascii(strings.TrimSuffix(m.Sentence, ".")) + ")"
		case status == "":
			status = "Clean"
		}
		b.WriteString("X-Virus-Scanned: " + nameOf(remarks[i].Scanned) + " at " + r.Hostname + "\r\n")
	}
	if status != "" {
		b.WriteString(foldedWords("X-Virus-Status: " + status))
	}
	return []byte(b.String())
}

// isVirusField tells fields that claim to be a virus scanner's word on the letter.
func isVirusField(f message.Field) bool { return f.Is("X-Virus-Scanned") || f.Is("X-Virus-Status") }
