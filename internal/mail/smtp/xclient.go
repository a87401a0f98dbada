package smtp

import (
	"net/netip"
	"strconv"
	"strings"

	"facteur/internal/mail/address"
)

// The attributes of Postfix's XCLIENT and XFORWARD commands, as they are announced
// in the reply to EHLO.
var (
	XclientAttributes  = []string{"NAME", "ADDR", "PROTO", "HELO", "LOGIN", "PORT", "DESTADDR", "DESTPORT"}
	XforwardAttributes = []string{"NAME", "ADDR", "PROTO", "HELO", "SOURCE", "PORT", "IDENT"}
)

// Attribute is a value of XCLIENT or XFORWARD. The zero Attribute was not given.
type Attribute struct {
	State AttributeState
	Text  string // decoded, printable; "" unless the state is Given
}

// AttributeState is what is known of a value.
type AttributeState uint8

// The states.
const (
	NotGiven    AttributeState = iota
	Given                      // Text has it
	Unavailable                // "[UNAVAILABLE]": there is none
	TempUnavail                // "[TEMPUNAVAIL]": it could not be looked up now
)

// Or is the text, or what a missing one is shown as.
func (a Attribute) Or(missing string) string {
	if a.State == Given {
		return a.Text
	}
	return missing
}

// Xclient is the attributes of one XCLIENT or XFORWARD command. Addr and Port are
// set with AddrState and PortState only where those are Given.
type Xclient struct {
	Name, Helo, Login, Ident Attribute
	Proto                    Attribute // "SMTP" or "ESMTP"
	Source                   Attribute // "LOCAL" or "REMOTE"

	Addr, DestAddr           netip.Addr
	AddrState, DestAddrState AttributeState
	Port, DestPort           uint16
	PortState, DestPortState AttributeState
}

var (
	replyXclientSyntax = NewReply(501, "5.5.4", "Syntax: attribute=value ...")
	replyXclientName   = NewReply(501, "5.5.4", "Bad attribute name")
	replyXclientValue  = NewReply(501, "5.5.4", "Bad attribute value syntax")
)

// ParseXclient reads the arguments of XCLIENT.
func ParseXclient(args string) (Xclient, *Reply) { return parseAttributes(args, XclientAttributes) }

// ParseXforward reads the arguments of XFORWARD.
func ParseXforward(args string) (Xclient, *Reply) { return parseAttributes(args, XforwardAttributes) }

func parseAttributes(args string, known []string) (x Xclient, bad *Reply) {
	some := false
	for word := range strings.FieldsSeq(args) {
		some = true
		name, value, ok := strings.Cut(word, "=")
		switch {
		case !ok:
			return Xclient{}, replyXclientSyntax
		case !oneOf(name, known):
			return Xclient{}, replyXclientName
		case !x.set(strings.ToUpper(name), value):
			return Xclient{}, replyXclientValue
		}
	}
	if !some {
		return x, replyXclientSyntax
	}
	return x, nil
}

func oneOf(s string, words []string) bool {
	for _, w := range words {
		if strings.EqualFold(s, w) {
			return true
		}
	}
	return false
}

// set reads a value; the last of a name counts, as with Postfix.
func (x *Xclient) set(name, value string) bool {
	a, ok := parseAttribute(value)
	if !ok {
		return false
	}
	switch name {
	case "NAME":
		x.Name = a
		return a.State != Given || isHost(a.Text)
	case "HELO":
		x.Helo = a
	case "LOGIN":
		x.Login = a
	case "IDENT":
		x.Ident = a
	case "PROTO":
		return a.choose(&x.Proto, "SMTP", "ESMTP")
	case "SOURCE":
		return a.choose(&x.Source, "LOCAL", "REMOTE")
	case "ADDR":
		return a.addr(&x.Addr, &x.AddrState)
	case "DESTADDR":
		return a.addr(&x.DestAddr, &x.DestAddrState)
	case "PORT":
		return a.port(&x.Port, &x.PortState)
	case "DESTPORT":
		return a.port(&x.DestPort, &x.DestPortState)
	}
	return true
}

func parseAttribute(value string) (Attribute, bool) {
	switch {
	case value == "":
		return Attribute{}, false
	case strings.EqualFold(value, "[UNAVAILABLE]"):
		return Attribute{State: Unavailable}, true
	case strings.EqualFold(value, "[TEMPUNAVAIL]"):
		return Attribute{State: TempUnavail}, true
	}
	text, ok := decodeXtext(value)
	return Attribute{Given, text}, ok && len(text) <= 255 && printable(text, false)
}

// isHost tells what can be a host's name or be shown as one.
func isHost(s string) bool {
	_, err := address.CanonicalDomain(s)
	return err == nil && isASCII(s)
}

func (a Attribute) choose(to *Attribute, words ...string) bool {
	if a.State == Given {
		a.Text = strings.ToUpper(a.Text)
		if !oneOf(a.Text, words) {
			return false
		}
	}
	*to = a
	return true
}

// addr reads an IPv4 address, or one of IPv6 behind "IPV6:".
func (a Attribute) addr(to *netip.Addr, state *AttributeState) bool {
	*to, *state = netip.Addr{}, a.State
	if a.State != Given {
		return true
	}
	text, six := a.Text, false
	if len(text) > 5 && strings.EqualFold(text[:5], "IPV6:") {
		text, six = text[5:], true
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Is6() != six || ip.Zone() != "" {
		return false
	}
	*to = ip.Unmap()
	return true
}

func (a Attribute) port(to *uint16, state *AttributeState) bool {
	*to, *state = 0, a.State
	if a.State != Given {
		return true
	}
	n, err := strconv.ParseUint(a.Text, 10, 16)
	if err != nil || !isDigits(a.Text) {
		return false
	}
	*to = uint16(n)
	return true
}
