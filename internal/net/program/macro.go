package program

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

// Letter is what a program may be told about a message.
type Letter struct {
	Sender     address.Address
	Recipients []Recipient
	NextHop    string
	QueueID    string
	Size       int64
	// What is known of the client that handed it in; "" where nothing is.
	ClientAddress, ClientName, ClientHelo, ClientProtocol, Account string
	// Now stands in the From_ line.
	Now time.Time
}

// Recipient is one whom the program is to deliver to.
type Recipient struct{ Address, Original address.Address }

// argument is one of the command, cut up: text, macro, text, macro, …
type argument struct {
	parts []part
	each  bool // once for each recipient
}

// part is plain text, or the name of a macro.
type part struct{ text, macro string }

// perRecipient are the macros that depend on the recipient.
var perRecipient = map[string]bool{"recipient": true, "original_recipient": true, "user": true, "extension": true, "mailbox": true, "domain": true}

// perMessage are the others.
var perMessage = map[string]bool{"sender": true, "nexthop": true, "queue_id": true, "size": true, "client_address": true,
	"client_hostname": true, "client_helo": true, "client_protocol": true, "sasl_username": true}

// parseArgument cuts an argument at its macros.
func parseArgument(text string) (a argument, err error) {
	for rest := text; rest != ""; {
		plain, after, found := strings.Cut(rest, "$")
		if plain != "" {
			a.parts = append(a.parts, part{text: plain})
		}
		if !found {
			break
		}
		if rest, found = strings.CutPrefix(after, "$"); found {
			a.parts = append(a.parts, part{text: "$"})
			continue
		}
		var name string
		if name, rest, err = macroName(after); err != nil {
			return argument{}, fmt.Errorf("%w in argument %q", err, text)
		}
		a.parts = append(a.parts, part{macro: name})
		a.each = a.each || perRecipient[name]
	}
	return a, nil
}

// macroName reads the name behind a "$".
func macroName(s string) (name, rest string, err error) {
	closing := map[byte]string{'{': "}", '(': ")"}
	if s != "" && closing[s[0]] != "" {
		var found bool
		if name, rest, found = strings.Cut(s[1:], closing[s[0]]); !found {
			return "", "", fmt.Errorf("a macro without its %q", closing[s[0]])
		}
	} else {
		n := strings.IndexFunc(s, func(r rune) bool { return !(r == '_' || r >= 'a' && r <= 'z') })
		if n < 0 {
			n = len(s)
		}
		name, rest = s[:n], s[n:]
	}
	if !perRecipient[name] && !perMessage[name] {
		return "", "", fmt.Errorf("unknown macro %q", "${"+name+"}")
	}
	return name, rest, nil
}

// argumentError is why a letter can not be put into a command line.
type argumentError struct{ macro, value string }

// Error implements error.
func (e *argumentError) Error() string {
	return fmt.Sprintf("%s %q can't stand in the arguments of a program", e.macro, e.value)
}

// expand makes the arguments for a letter.
func (p *Program) expand(l *Letter) ([]string, error) {
	var out []string
	literal := false // behind "--"
	for _, a := range p.args {
		times := 1
		if a.each {
			times = len(l.Recipients)
		}
		for n := range times {
			text, err := p.fill(a, l, n, literal)
			if err != nil {
				return nil, err
			}
			out = append(out, text)
		}
		literal = literal || len(a.parts) == 1 && a.parts[0].text == "--"
	}
	return out, nil
}

// fill makes one argument, for recipient n.
func (p *Program) fill(a argument, l *Letter, n int, literal bool) (string, error) {
	text := ""
	for _, part := range a.parts {
		if part.macro == "" {
			text += part.text
			continue
		}
		value := p.value(part.macro, l, n)
		bad := strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
		if bad || text == "" && !literal && strings.HasPrefix(value, "-") {
			return "", &argumentError{part.macro, value}
		}
		text += value
	}
	return text, nil
}

// value is what a macro stands for.
func (p *Program) value(name string, l *Letter, n int) string {
	if perRecipient[name] {
		return p.ofRecipient(name, l.Recipients[n])
	}
	switch name {
	case "sender":
		return p.sender(l, p.flag('q'))
	case "nexthop":
		return p.fold('h', l.NextHop)
	case "queue_id":
		return l.QueueID
	case "size":
		return strconv.FormatInt(l.Size, 10)
	case "client_address":
		if _, err := netip.ParseAddr(l.ClientAddress); err != nil {
			return "unknown"
		}
		return l.ClientAddress
	case "client_hostname":
		return harmless(l.ClientName)
	case "client_helo":
		return harmless(l.ClientHelo)
	case "client_protocol":
		return harmless(l.ClientProtocol)
	}
	return l.Account
}

// harmless is a word of the client, or none: nothing that it says of itself is a reason
// to refuse a message.
func harmless(s string) string {
	if s == "" || s[0] == '-' || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "unknown"
	}
	return s
}

func (p *Program) sender(l *Letter, quoted bool) string {
	if l.Sender.IsNull() {
		return p.settings.NullSender
	}
	return written(l.Sender, quoted)
}

func (p *Program) ofRecipient(name string, r Recipient) string {
	a := r.Address
	if name == "original_recipient" {
		a = r.Original
	}
	a.Local, a.Domain = p.fold('u', a.Local), p.fold('h', a.Domain)
	user, extension, _ := strings.Cut(a.Local, "+")
	switch name {
	case "user":
		return user
	case "extension":
		return extension
	case "mailbox":
		return a.Local
	case "domain":
		return a.Domain
	}
	return written(a, p.flag('q'))
}

// fold makes small letters where the flag says so.
func (p *Program) fold(letter byte, s string) string {
	if p.flag(letter) {
		return strings.ToLower(s)
	}
	return s
}

// written is an address as an argument: as it is, or quoted as in a header.
func written(a address.Address, quoted bool) string {
	switch {
	case quoted:
		return a.String()
	case a.Domain == "":
		return a.Local
	}
	return a.Local + "@" + a.Domain
}
