package dsn

import (
	"mime"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

// Letter is a plain letter of the house to its postmaster.
type Letter struct {
	Host      string
	To        address.Address
	Date      time.Time
	MessageID string // with brackets
	Language  string
	Sender    string // the name shown for MAILER-DAEMON
	Subject   string
	Text      string // lines ended with LF; what can't be shown becomes "?"
}

// BuildLetter makes the message, in CRLF form and 7 bits but for To.
func BuildLetter(l Letter) []byte {
	var f fields
	f.add("Date", l.Date.Format(dateForm))
	f.add("From", phrase(l.Sender)+" <"+line(Report{Host: l.Host}.from().String())+">")
	f.add("To", "<"+line(l.To.String())+">")
	f.add("Subject", mime.QEncoding.Encode("utf-8", line(l.Subject)))
	f.add("Message-ID", line(l.MessageID))
	f.add("Auto-Submitted", "auto-generated") // RFC 3834 §5
	f.raw("MIME-Version: 1.0")
	f.raw("Content-Type: text/plain; charset=utf-8")
	f.raw("Content-Language: " + Language(l.Language))
	var text strings.Builder
	for s := range strings.SplitSeq(strings.TrimSuffix(l.Text, "\n"), "\n") {
		text.WriteString(line(s) + "\r\n")
	}
	return encoded(&f, []byte(text.String()))
}
