package smtpc

import (
	"strings"
	"time"
	"unicode/utf8"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
)

// Envelope is what the peer is told about a message.
type Envelope struct {
	Sender     address.Address
	Recipients []smtp.Rcpt
	// Size is the size of the message in bytes; 0 when unknown, which Binary does
	// not allow.
	Size int64
	// Body8Bit: the message has bytes above 127, in its body. UTF8: its header
	// has, or it came with SMTPUTF8 and needs it. Addresses speak for themselves.
	// Binary: it is not lines of text (RFC 3030). See Fit.
	Body8Bit, UTF8, Binary bool

	// Ret and EnvelopeID are told to a peer with DSN, as are NOTIFY and ORCPT of the
	// recipients (RFC 3461); Priority to one with MT-PRIORITY (RFC 6710).
	Ret        smtp.Ret
	EnvelopeID string
	Priority   int
	// RequireTLS: only over TLS, to a peer that has proved its name and promises the
	// same for the next hop (RFC 8689).
	RequireTLS bool
	// By is told to a peer with DELIVERBY. What has to come back after a time goes
	// to no other (RFC 2852 §4.1).
	By smtp.DeliverBy

	conversion *message.Conversion // see Fit
}

// needsUTF8 tells whether the message can only go to a peer with SMTPUTF8.
func (e *Envelope) needsUTF8() bool {
	if e.UTF8 || !e.Sender.IsASCII() {
		return true
	}
	for _, to := range e.Recipients {
		if !to.To.IsASCII() {
			return true
		}
	}
	return false
}

// mail appends the MAIL command for a peer with the extensions x.
func (e *Envelope) mail(b []byte, x *smtp.Extensions) []byte {
	m := smtp.Mail{Sender: e.Sender, RequireTLS: e.RequireTLS && x.RequireTLS}
	if x.SizeOffered {
		m.Size = e.Size
	}
	if x.EightBitMIME && (e.Body8Bit || e.needsUTF8()) {
		m.Body = "8BITMIME"
	}
	if e.Binary {
		m.Body = "BINARYMIME"
	}
	m.UTF8 = x.UTF8 && e.needsUTF8()
	if x.DSN {
		m.Ret, m.EnvID = e.Ret, e.EnvelopeID
	}
	if x.DeliverBy {
		m.By = e.By
	}
	if x.Priority {
		m.Priority = e.Priority
	}
	return m.AppendTo(b)
}

// rcpt appends the RCPT command of a recipient for a peer with the extensions x.
func (e *Envelope) rcpt(b []byte, n int, x *smtp.Extensions) []byte {
	r := e.Recipients[n]
	if !x.DSN {
		r = smtp.Rcpt{To: r.To}
	}
	if r.Original.Type == "utf-8" && !x.UTF8 && !isASCII(r.Original.Address) {
		r.Original = smtp.Original{} // RFC 6533 §3: the type is for such peers only
	}
	return r.AppendTo(b)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= utf8.RuneSelf })
}

// obstacle is why a message can not go to a peer with the extensions x, now or
// ever: the result of all its recipients, or nil.
func (e *Envelope) obstacle(x *smtp.Extensions) *Result {
	switch {
	case !speakable(e.Sender):
		return impossible(StageMail, ErrAddress, 553, "5.1.7", "Sender address can not be written in a command")
	case x.SizeOffered && x.Size > 0 && e.Size > x.Size:
		return impossible(StageMail, ErrTooLarge, 552, "5.3.4", "Message is larger than this host takes")
	case e.needsUTF8() && !x.UTF8:
		return impossible(StageMail, ErrNeedsUTF8, 553, "5.6.7", "Message is internationalised, and this host does not take such mail (SMTPUTF8)")
	case e.Binary && !(x.BinaryMIME && x.Chunking):
		return impossible(StageMail, ErrNeedsBinary, 554, "5.6.3", "Message is binary, and this host takes only text (BINARYMIME)")
	case e.RequireTLS && !x.RequireTLS:
		return impossible(StageMail, ErrNeedsTLS, 550, "5.7.30", "Message must travel under TLS all the way, and this host does not promise that (REQUIRETLS)")
	case e.By.Given && e.By.Return && !x.DeliverBy:
		return impossible(StageMail, ErrDeadline, 554, "5.4.7", "Message must arrive in time or come back, and this host does not promise that (DELIVERBY)")
	case e.By.Given && e.By.Return && e.By.Within < max(x.LeastBy, time.Second):
		return impossible(StageMail, ErrDeadline, 554, "5.4.7", "Message must arrive sooner than this host promises (DELIVERBY)")
	case e.Body8Bit && !x.EightBitMIME:
		return impossible(StageMail, ErrNeeds8Bit, 554, "5.6.3", "Message has 8-bit text, and this host takes only 7-bit mail (8BITMIME)")
	}
	return nil
}

func impossible(stage Stage, err error, code int, enhanced, text string) *Result {
	return &Result{Stage: stage, Reply: smtp.NewReply(code, enhanced, text), Err: err}
}

// speakable tells whether an address fits into a line of its own: the last fence
// against one that holds a command (nothing that was parsed does).
func speakable(a address.Address) bool {
	s := a.String()
	return len(s) <= 2*address.MaxMailbox && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}
