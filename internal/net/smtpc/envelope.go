package smtpc

import (
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// Envelope is what the peer is told about a message.
type Envelope struct {
	Sender     address.Address
	Recipients []address.Address
	// Size is the size of the message in bytes; 0 when unknown.
	Size int64
	// Body8Bit: the message has bytes above 127, in its body. UTF8: its header
	// has, or it came with SMTPUTF8 and needs it. Addresses speak for themselves.
	Body8Bit, UTF8 bool
}

// needsUTF8 tells whether the message can only go to a peer with SMTPUTF8.
func (e Envelope) needsUTF8() bool {
	if e.UTF8 || !e.Sender.IsASCII() {
		return true
	}
	for _, to := range e.Recipients {
		if !to.IsASCII() {
			return true
		}
	}
	return false
}

// mail is the MAIL command for a peer with the extensions x.
func (e Envelope) mail(x smtp.Extensions) []byte {
	m := smtp.Mail{Sender: e.Sender}
	if x.SizeOffered {
		m.Size = e.Size
	}
	if x.EightBitMIME && (e.Body8Bit || e.needsUTF8()) {
		m.Body = "8BITMIME"
	}
	m.UTF8 = x.UTF8 && e.needsUTF8()
	return m.AppendTo(nil)
}

// obstacle is why a message can not go to a peer with the extensions x, now or
// ever: the result of all its recipients, or nil.
func (e Envelope) obstacle(x smtp.Extensions) *Result {
	switch {
	case !speakable(e.Sender):
		return impossible(StageMail, ErrAddress, 553, "5.1.7", "Sender address can not be written in a command")
	case x.SizeOffered && x.Size > 0 && e.Size > x.Size:
		return impossible(StageMail, ErrTooLarge, 552, "5.3.4", "Message is larger than this host takes")
	case e.needsUTF8() && !x.UTF8:
		return impossible(StageMail, ErrNeedsUTF8, 553, "5.6.7", "Message is internationalised, and this host does not take such mail (SMTPUTF8)")
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
