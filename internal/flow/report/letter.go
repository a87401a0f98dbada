package report

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// paper is what a report needs to become a letter.
type paper struct {
	domain     string
	begin, end time.Time
	id         string // of the report
	suffix     string // of the file: "xml", "json"
	content    []byte // packed
	text       string // for people
	tls        bool
}

// fileName is as RFC 9990 §2.6.2 and RFC 8460 §5.1 want it. It is the same whenever the
// report is written again.
func (p paper) fileName(host string) string {
	return fmt.Sprintf("%s!%s!%d!%d.%s.gz", host, p.domain, p.begin.Unix(), p.end.Unix(), p.suffix)
}

// mediaType is that of the file.
func (p paper) mediaType() string {
	if p.tls {
		return "application/tlsrpt+gzip"
	}
	return "application/gzip"
}

func (p paper) contentType(boundary string) string {
	if p.tls {
		return `multipart/report; report-type=tlsrpt; boundary="` + boundary + `"`
	}
	return `multipart/mixed; boundary="` + boundary + `"`
}

// messageID is the same whenever the report is written again for a destination, and
// another for each report and destination.
func (p paper) messageID(host string, to address.Address) string {
	return "<" + short(p.fileName(host)+" "+to.String()) + "." + p.begin.Format("20060102") + ".report@" + host + ">"
}

// letter writes the letter. It is the same each time but for its date.
func (p paper) letter(host string, from, to address.Address, now time.Time) ([]byte, string, error) {
	messageID := p.messageID(host, to)
	boundary := "=_" + short(p.id)
	var h message.Builder
	h.Mailboxes("From", []message.Mailbox{mailbox(from)})
	h.Mailboxes("To", []message.Mailbox{mailbox(to)})
	h.Text("Subject", fmt.Sprintf("Report Domain: %s Submitter: %s Report-ID: <%s>", p.domain, host, p.id))
	h.Date("Date", now)
	h.Structured("Message-ID", messageID)
	h.Structured("Auto-Submitted", "auto-generated")
	if p.tls {
		h.Structured("TLS-Report-Domain", p.domain)
		h.Structured("TLS-Report-Submitter", host)
		h.Structured("TLS-Required", "No") // RFC 8689 §5: that TLS fails is what it is about
	}
	h.Structured("MIME-Version", "1.0")
	h.Structured("Content-Type", p.contentType(boundary))
	header, err := h.Bytes()
	if err != nil {
		return nil, "", err
	}
	b := bytes.NewBuffer(header)
	fmt.Fprintf(b, "\r\n--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n%s\r\n", boundary, strings.ReplaceAll(p.text, "\n", "\r\n"))
	name := p.fileName(host)
	fmt.Fprintf(b, "--%s\r\nContent-Type: %s%s\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment%s\r\n\r\n",
		boundary, p.mediaType(), message.FormatParam("name", name), message.FormatParam("filename", name))
	writeBase64(b, p.content)
	fmt.Fprintf(b, "--%s--\r\n", boundary)
	return b.Bytes(), messageID, nil
}

func mailbox(a address.Address) message.Mailbox {
	return message.Mailbox{Local: a.Local, Host: a.Domain}
}

// writeBase64 writes lines of 76 characters.
func writeBase64(b *bytes.Buffer, data []byte) {
	const line = 57
	for len(data) > 0 {
		n := min(line, len(data))
		b.WriteString(base64.StdEncoding.EncodeToString(data[:n]) + "\r\n")
		data = data[n:]
	}
}

// short is a name for a text, always the same.
func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10]))
}

// pack compresses, always to the same bytes.
func pack(data []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	z.Write(data)                                         //nolint:errcheck // a Buffer takes it
	z.Close()
	return b.Bytes()
}
