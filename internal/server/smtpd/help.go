package smtpd

import (
	"bytes"

	"facteur/internal/mail/smtp"
)

// topics are what HELP says of each verb.
var topics = [smtp.NumVerbs]string{
	smtp.EHLO: "EHLO name: greet, and hear what is offered", smtp.HELO: "HELO name: greet in the old way",
	smtp.LHLO: "LHLO name: greet", smtp.MAIL: "MAIL FROM:<address> [parameters]: begin a message",
	smtp.RCPT: "RCPT TO:<address> [parameters]: name a recipient", smtp.DATA: "DATA: send the message; it ends with a dot on a line of its own",
	smtp.BDAT: "BDAT octets [LAST]: send a part of the message", smtp.BURL: "BURL url [LAST]: send a part of a stored message",
	smtp.RSET: "RSET: forget the message",
	smtp.NOOP: "NOOP: do nothing", smtp.QUIT: "QUIT: end the session", smtp.VRFY: "VRFY address: tells nothing",
	smtp.HELP: "HELP [command]: this", smtp.STARTTLS: "STARTTLS: encrypt the session", smtp.AUTH: "AUTH mechanism [response]: log in",
	smtp.ETRN: "ETRN domain: have the mail for a domain sent now",
}

// help answers with the verbs that this session may use, or with one of them
// (RFC 5321 §4.1.1.8).
func (s *session) help(args []byte) *smtp.Reply {
	s.limits.junk++
	if word := bytes.TrimSpace(args); len(word) > 0 {
		verb := smtp.ParseVerb(word)
		if topics[verb] == "" || !s.serves(verb) {
			return smtp.NewReply(504, "5.5.4", "Error: no help on that; try HELP alone")
		}
		return smtp.NewReply(214, "2.0.0", topics[verb])
	}
	r := &smtp.Reply{Code: 214, Enhanced: "2.0.0", Lines: []string{"This is facteur at " + s.srv.Hostname + "."}}
	for verb, topic := range topics {
		if topic != "" && s.serves(smtp.Verb(verb)) {
			r.Lines = append(r.Lines, topic)
		}
	}
	return r
}

// serves tells whether a verb leads anywhere in this session, as it is now.
func (s *session) serves(v smtp.Verb) bool {
	offer := s.offer()
	switch v {
	case smtp.EHLO, smtp.HELO:
		return s.srv.Service != LMTP
	case smtp.LHLO:
		return s.srv.Service == LMTP
	case smtp.STARTTLS:
		return offer.StartTLS
	case smtp.AUTH:
		return len(offer.Auth) > 0
	case smtp.BDAT:
		return offer.Chunking
	case smtp.BURL:
		return offer.Burl
	case smtp.ETRN:
		return offer.ETRN
	}
	return true
}
