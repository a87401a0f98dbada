package dsn

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"strconv"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

// dateForm is RFC 5322 §3.3.
const dateForm = "Mon, 02 Jan 2006 15:04:05 -0700"

// Build makes the notice: a message in CRLF form, to be sent from "<>".
func Build(r Report) []byte {
	parts := [][]byte{r.human(), r.status(), r.returned()}
	mark := boundary(r.MessageID, parts)
	var b bytes.Buffer
	b.Write(r.header(mark))
	for _, part := range parts {
		b.WriteString("\r\n--" + mark + "\r\n")
		b.Write(part)
	}
	b.WriteString("\r\n--" + mark + "--\r\n")
	return b.Bytes()
}

// boundary is a line that none of the parts has: who writes one has to know the
// hash of what he writes.
func boundary(seed string, parts [][]byte) string {
	for n := 0; ; n++ {
		h := sha256.New()
		h.Write([]byte(seed + strconv.Itoa(n)))
		for _, p := range parts {
			h.Write(p)
		}
		mark := "=_" + hex.EncodeToString(h.Sum(nil)[:16])
		if !bytes.Contains(bytes.Join(parts, nil), []byte(mark)) {
			return mark
		}
	}
}

// header is that of the notice; the line break before the first boundary ends it.
func (r Report) header(mark string) []byte {
	var f fields
	f.add("Date", r.Date.Format(dateForm))
	f.add("From", phrase(r.template().sender)+" <"+line(r.from().String())+">")
	f.add("To", "<"+line(r.To.String())+">")
	f.add("Subject", mime.QEncoding.Encode("utf-8", line(r.title())))
	f.add("Message-ID", line(r.MessageID))
	if id := messageID(r.Original); id != "" {
		f.add("In-Reply-To", id)
		f.add("References", id)
	}
	f.add("Auto-Submitted", "auto-replied") // RFC 3834 §5: nobody is to answer
	f.add("MIME-Version", "1.0")
	f.raw("Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"" + mark + "\"")
	return f.Bytes()
}

// human is the part for people.
func (r Report) human() []byte {
	var f fields
	f.raw("Content-Description: Notification")
	f.raw("Content-Type: text/plain; charset=utf-8")
	f.raw("Content-Language: " + words(r.Language).tag)
	return encoded(&f, r.letter())
}

// status is the part for programs. Where the sender's system knows RFC 6533 and there is
// something that ASCII can't say, it is of the internationalised type.
func (r Report) status() []byte {
	body := r.groups(ascii, typed)
	var f fields
	f.raw("Content-Description: Delivery report")
	if r.UTF8 {
		if wide := r.groups(line, unitext); !bytes.Equal(wide, body) {
			f.raw("Content-Type: message/global-delivery-status")
			return encoded(&f, wide)
		}
	}
	f.raw("Content-Type: message/delivery-status")
	f.raw("")
	f.Write(body)
	return f.Bytes()
}

// groups are the fields of the message and of each recipient, with texts and addresses
// as the type of the part allows.
func (r Report) groups(text func(string) string, typed func(address.Address) string) []byte {
	var f fields
	f.add("Reporting-MTA", "dns; "+ascii(r.Host))
	f.maybe("Original-Envelope-Id", ascii(r.EnvelopeID))
	f.maybe("X-Facteur-Queue-ID", ascii(r.QueueID))
	f.date("Arrival-Date", r.Arrived)
	for _, to := range r.Recipients {
		f.raw("")
		to.appendTo(&f, text, typed)
	}
	return f.Bytes()
}

func (to Recipient) appendTo(f *fields, text func(string) string, typed func(address.Address) string) {
	if original := to.original(typed); original != "" {
		f.add("Original-Recipient", original)
	}
	f.add("Final-Recipient", typed(to.Final))
	f.add("Action", string(to.action()))
	f.add("Status", to.status())
	kind := "x-facteur; "
	if to.RemoteMTA != "" {
		kind = "smtp; "
		f.add("Remote-MTA", "dns; "+ascii(to.RemoteMTA))
	}
	if to.Diagnostic != "" {
		f.add("Diagnostic-Code", kind+text(to.Diagnostic))
	}
	f.date("Last-Attempt-Date", to.LastAttempt)
	if to.action() == Delayed {
		f.date("Will-Retry-Until", to.RetryUntil)
	}
}

// original is Original-Recipient: what the sender said it was (RFC 3461 §6.3), or
// else, as Postfix has it, the address that he wrote.
func (to Recipient) original(typed func(address.Address) string) string {
	switch {
	case to.ORcpt.Type == "utf-8":
		return "utf-8; " + utf8Xtext(line(to.ORcpt.Address))
	case to.ORcpt.Type != "":
		return ascii(to.ORcpt.Type) + "; " + ascii(to.ORcpt.Address)
	case to.Original.IsNull():
		return ""
	}
	return typed(to.Original)
}

// action is Failed for what is none of the five.
func (to Recipient) action() Action {
	if to.Action == Expanded || rank(to.Action) > 0 {
		return to.Action
	}
	return Failed
}

// status is the code, or the general one of the action for what is none.
func (to Recipient) status() string {
	if isStatus(to.Status) {
		return to.Status
	}
	switch to.action() {
	case Failed:
		return "5.0.0"
	case Delayed:
		return "4.0.0"
	}
	return "2.0.0"
}

// isStatus checks class "." subject "." detail (RFC 3463 §2).
func isStatus(s string) bool {
	parts := bytes.Split([]byte(s), []byte("."))
	if len(parts) != 3 || len(parts[0]) != 1 || !bytes.ContainsAny([]byte("245"), string(parts[0])) {
		return false
	}
	for _, p := range parts[1:] {
		if len(p) == 0 || len(p) > 3 || len(bytes.Trim(p, "0123456789")) > 0 {
			return false
		}
	}
	return true
}

// phrase is a display name (RFC 5322 §3.2.5).
func phrase(name string) string {
	name = line(name)
	if encoded := mime.QEncoding.Encode("utf-8", name); encoded != name {
		return encoded
	}
	if strings.ContainsAny(name, "()<>[]:;@\\,.\"") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name
}

// fields is a header, or a group of status fields, being written.
type fields struct{ bytes.Buffer }

// raw writes a line as it is.
func (f *fields) raw(s string) { f.WriteString(s + "\r\n") }

// add writes a field, folded.
func (f *fields) add(name, value string) { f.raw(fold(name + ": " + value)) }

func (f *fields) maybe(name, value string) {
	if value != "" {
		f.add(name, value)
	}
}

func (f *fields) date(name string, t time.Time) {
	if !t.IsZero() {
		f.add(name, t.Format(dateForm))
	}
}
