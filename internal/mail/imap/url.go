package imap

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// URL is an IMAP URL of (a part of) a message (RFC 5092), with or without the
// right to fetch it (RFC 4467).
type URL struct {
	Host string // "" for a relative URL; then User and Port are empty too
	Port uint16 // 0: none given
	User string // whose mailbox it is
	// Mailbox is "" for a URL that is relative to the selected mailbox.
	Mailbox     string // in UTF-8
	UIDValidity uint32 // 0: none given
	UID         uint32
	Section     Section // the zero Section is the whole message
	Partial     *Partial

	// What follows is for URLs that carry their own right.
	Expire     time.Time // zero: never
	Access     Access
	AccessUser string // of AccessUserPlus and AccessSubmit
	Rump       string // the text that Token vouches for
	Mechanism  string // upper-case; "" for a rump
	Token      string // hexadecimal
}

// Access is who may fetch a URL (RFC 4467 §3).
type Access uint8

// The access identifiers.
const (
	AccessNone      Access = iota // not a URL with a right of its own
	AccessAnonymous               // anybody
	AccessAuth                    // authuser: every user
	AccessUserPlus                // user+NAME: that user
	AccessSubmit                  // submit+NAME: a submission server for that user
)

// maxURL is the longest URL that is understood, in octets.
const maxURL = 4 << 10

// minToken is the shortest token, in hexadecimal digits (RFC 4467 §9).
const minToken = 32

var errURL = syntaxf("Not the URL of a message")

// ParseURL understands the URL of a message or of a part of one. URLs of servers,
// of mailboxes and of searches are refused.
func ParseURL(text string) (*URL, error) {
	if len(text) > maxURL {
		return nil, errURL
	}
	for i := 0; i < len(text); i++ {
		if text[i] <= ' ' || text[i] >= 0x7f || text[i] == '"' || text[i] == '\\' {
			return nil, errURL
		}
	}
	u := &URL{}
	path := text
	if len(text) >= 7 && strings.EqualFold(text[:7], "imap://") {
		server, rest, found := strings.Cut(text[7:], "/")
		if !found || !u.server(server) {
			return nil, errURL
		}
		path = "/" + rest
	}
	if !u.path(path) || !u.rump(text) {
		return nil, errURL
	}
	return u, nil
}

// server reads [user[;AUTH=…]@]host[:port].
func (u *URL) server(text string) bool {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		user, auth, found := cutFold(text[:at], ";AUTH=")
		var ok bool
		if u.User, ok = unescape(user); !ok || found && auth == "" {
			return false
		}
		text = text[at+1:]
	}
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		port, err := strconv.ParseUint(text[i+1:], 10, 16)
		if err != nil || port == 0 {
			return false
		}
		u.Port, text = uint16(port), text[:i]
	}
	u.Host = strings.ToLower(text)
	return text != "" && !strings.ContainsAny(text, ";?#%@")
}

// step is where in a URL a parameter may stand: each once, in this order.
type step uint8

const (
	atMailbox step = iota
	atValidity
	atUID
	atSection
	atPartial
	atExpire
	atAccess
)

// path reads the mailbox and the parameters behind it. Those that are parts of
// the path have a "/" before them, which then ends what stands before.
func (u *URL) path(text string) bool {
	rooted := strings.HasPrefix(text, "/")
	pieces := strings.Split(strings.TrimPrefix(text, "/"), ";")
	was, value := atMailbox, pieces[0]
	for _, piece := range pieces[1:] {
		name, next, found := strings.Cut(piece, "=")
		is := named(name)
		if !found || is <= was {
			return false
		}
		if is == atUID || is == atSection || is == atPartial {
			// ";UID=1" alone stands for a message of the selected mailbox.
			if value, found = strings.CutSuffix(value, "/"); !found && (was != atMailbox || value != "") {
				return false
			}
		}
		if !u.set(was, value) {
			return false
		}
		was, value = is, next
	}
	if !u.set(was, value) || u.UID == 0 || u.Access == AccessNone && !u.Expire.IsZero() {
		return false
	}
	return u.Mailbox != "" && (rooted || u.Host != "") || u.Mailbox == "" && u.Host == "" && u.UIDValidity == 0
}

func named(name string) step {
	switch strings.ToUpper(name) {
	case "UIDVALIDITY":
		return atValidity
	case "UID":
		return atUID
	case "SECTION":
		return atSection
	case "PARTIAL":
		return atPartial
	case "EXPIRE":
		return atExpire
	case "URLAUTH":
		return atAccess
	}
	return atMailbox
}

// set takes the value of a step.
func (u *URL) set(at step, value string) (ok bool) {
	switch at {
	case atMailbox:
		u.Mailbox, ok = unescape(value)
		u.Mailbox = CanonicalInbox(u.Mailbox)
	case atValidity:
		u.UIDValidity, ok = parseUID(value)
	case atUID:
		u.UID, ok = parseUID(value)
	case atSection:
		u.Section, ok = parseSection(value)
	case atPartial:
		u.Partial, ok = parsePartial(value)
	case atExpire:
		var err error
		u.Expire, err = time.Parse(time.RFC3339, value)
		ok = err == nil && !u.Expire.IsZero()
	case atAccess:
		ok = u.access(value)
	}
	return ok
}

// access reads who may fetch, and the token if there is one.
func (u *URL) access(value string) bool {
	who, proof, proved := strings.Cut(value, ":")
	name, user, plus := strings.Cut(who, "+")
	switch strings.ToLower(name) {
	case "anonymous":
		u.Access = AccessAnonymous
	case "authuser":
		u.Access = AccessAuth
	case "user":
		u.Access = AccessUserPlus
	case "submit":
		u.Access = AccessSubmit
	default:
		return false
	}
	var ok bool
	if u.AccessUser, ok = unescape(user); !ok || plus != (u.Access >= AccessUserPlus) || plus && user == "" {
		return false
	}
	if !proved {
		return true
	}
	u.Mechanism, u.Token, ok = strings.Cut(proof, ":")
	u.Mechanism, u.Token = strings.ToUpper(u.Mechanism), strings.ToLower(u.Token)
	return ok && u.Mechanism != "" && len(u.Token) >= minToken && strings.Trim(u.Token, "0123456789abcdef") == ""
}

// rump notes the part of a URL with a right that the token is made of: all
// before ":mechanism:token".
func (u *URL) rump(text string) bool {
	if u.Access == AccessNone {
		return true
	}
	if u.Host == "" || u.User == "" {
		return false // RFC 4467 §3: such a URL says whose it is
	}
	u.Rump = text
	if u.Mechanism != "" {
		u.Rump = text[:len(text)-len(u.Mechanism)-len(u.Token)-2]
	}
	return true
}

// unescape takes %xx back. The result is UTF-8 without control characters.
func unescape(text string) (string, bool) {
	out, err := url.PathUnescape(text)
	if err != nil || !utf8.ValidString(out) {
		return "", false
	}
	return out, strings.IndexFunc(out, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

func cutFold(s, sep string) (before, after string, found bool) {
	i := strings.Index(strings.ToUpper(s), sep) // ASCII: ParseURL saw to that
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func parseUID(text string) (uint32, bool) {
	n, ok := parseNumber([]byte(text))
	return uint32(n), ok && n > 0 && n <= 1<<32-1
}

// parseSection reads what would stand between the brackets of BODY[…].
func parseSection(text string) (Section, bool) {
	text, ok := unescape(text)
	if !ok || text == "" {
		return Section{}, false
	}
	d := &Decoder{line: []byte(text), limits: BeforeLogin()}
	sec := d.section()
	return sec, d.err == nil && d.pos == len(d.line)
}

// parsePartial reads offset or offset.length (RFC 5092 §6).
func parsePartial(text string) (*Partial, bool) {
	from, count, some := strings.Cut(text, ".")
	p := &Partial{Count: 1<<63 - 1}
	var ok bool
	if p.Offset, ok = parseNumber([]byte(from)); !ok {
		return nil, false
	}
	if some {
		p.Count, ok = parseNumber([]byte(count))
	}
	return p, ok && p.Count > 0
}
