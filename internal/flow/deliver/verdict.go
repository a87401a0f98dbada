package deliver

import (
	"strings"

	"facteur/internal/flow/route"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/smtp"
)

// verdict is what becomes of an attempt by a way that needs nobody else: it is thrown
// away, refused or set aside. ok is false for the other ways.
func verdict(a *attempt) (results []result, ok bool) {
	c := a.choice
	switch a.hop.Kind {
	case route.Discard:
		return a.ended(dsn.Delivered, "delivered to file: /dev/null"), true
	case route.Expanded:
		return a.ended(dsn.Expanded, "the address leads to several others, to which the message goes"), true
	case route.Refused:
		reply := errorReply(a.hop.Name)
		return a.all(reply, reply.Text()), true
	case route.Program, route.File:
		return nil, false
	}
	switch c.Transport.Kind {
	case transport.Discard:
		results = a.all(smtp.NewReply(250, "2.0.0", "discarded"), textOr(c, c.NextHop))
	case transport.Error:
		reply := errorReply(textOr(c, "mail for "+c.NextHop+" is not accepted"))
		results = a.all(reply, reply.Text())
	case transport.Hold:
		results = a.setAside("held: " + textOr(c, "the way \""+c.Transport.Name+"\" holds mail"))
	default:
		return nil, false
	}
	return results, true
}

// ended gives every recipient the same good end, which is neither a mailbox nor another
// host.
func (a *attempt) ended(action dsn.Action, text string) []result {
	out := a.all(smtp.NewReply(250, "2.0.0", text), text)
	for i := range out {
		out[i].ended, out[i].agent = action, agentLocal
	}
	return out
}

func textOr(c transport.Choice, otherwise string) string {
	for _, text := range []string{c.Text, c.Transport.Text} {
		if text != "" {
			return text
		}
	}
	return otherwise
}

// errorReply reads the text of an error way, with or without codes, as Postfix's error(8)
// does: "5.1.1 no such user", "450 4.2.0 come again", "gone". Without, it is for good.
func errorReply(text string) *smtp.Reply {
	code, enhanced := 0, ""
	if first, rest, _ := strings.Cut(text, " "); len(first) == 3 && (first[0] == '4' || first[0] == '5') && digits(first) {
		code, text = int(first[0]-'0')*100+int(first[1]-'0')*10+int(first[2]-'0'), rest
	}
	if first, rest, _ := strings.Cut(text, " "); isStatus(first) {
		enhanced, text = first, rest
	}
	switch {
	case code == 0 && strings.HasPrefix(enhanced, "4"):
		code = 450
	case code == 0:
		code = 550
	}
	if enhanced == "" || enhanced[0]-'0' != byte(code/100) {
		enhanced = string(rune('0'+code/100)) + ".0.0"
	}
	return smtp.NewReply(code, enhanced, text)
}

// isStatus tells a code of RFC 3463 that is an error.
func isStatus(s string) bool {
	parts := strings.Split(s, ".")
	return len(parts) == 3 && (parts[0] == "4" || parts[0] == "5") && digits(parts[1]) && digits(parts[2])
}

func digits(s string) bool {
	return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == ""
}

// The programs of Postfix that write down what becomes of mail, for those who read the
// log.
const (
	agentLocal   = "local"
	agentError   = "error"
	agentDiscard = "discard"
	agentVirtual = "virtual"
)

// agentOf is the program that a result is written down by.
func agentOf(a *attempt, r result) string {
	switch {
	case r.agent != "":
		return r.agent
	case a.here():
		return agentVirtual
	case a.choice.Transport == nil:
		return "smtp"
	}
	switch a.choice.Transport.Kind {
	case transport.LMTP:
		return "lmtp"
	case transport.Pipe:
		return "pipe"
	case transport.Discard:
		return agentDiscard
	case transport.Error, transport.Hold:
		return agentError
	}
	return "smtp"
}

// logNameOf is what the lines of the log about an attempt begin with.
func logNameOf(a *attempt) string {
	if a.choice.Transport == nil {
		return ""
	}
	return a.choice.Transport.LogName
}
