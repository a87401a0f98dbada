package message

import "strings"

// MaxAddresses is how many mailboxes ParseAddresses gives at most, group marks
// included.
const MaxAddresses = 10_000

// ParseAddresses reads an unfolded address list (From, To, Cc, …; RFC 5322 §3.4
// with the obsolete forms of §4.4) as far as it makes sense. Names stay as they
// are, encoded words too; quotes are removed from names and local parts. An
// address without a name takes its comment as one: "joe@x (Joe)". It never
// fails, and takes time linear in the length.
func ParseAddresses(value string) []Mailbox { return parseMailboxes(value, MaxAddresses) }

func parseMailboxes(value string, limit int) []Mailbox {
	p := addressParser{tokens: tokens{s: value}, limit: limit}
	p.run()
	return p.list
}

// DisplayName is the name decoded to UTF-8.
func (m Mailbox) DisplayName() string { return DecodeText(m.Name) }

// Address is local@host, the local part quoted where it must be; only one of
// them where the other is missing, "" for group marks.
func (m Mailbox) Address() string {
	switch {
	case m.GroupStart || m.GroupEnd:
		return ""
	case m.Host == "":
		return quoteLocal(m.Local)
	}
	return quoteLocal(m.Local) + "@" + m.Host
}

// addressParser collects one mailbox after the other.
type addressParser struct {
	tokens
	list    []Mailbox
	limit   int
	inGroup bool

	// words is the phrase so far; runFrom is where the words start that follow
	// each other without space: a local part, should "@" follow.
	words   []byte
	runFrom int
	spaced  bool // white space or a comment came after the last word
	comment string
	current Mailbox
	angle   bool // current has its <address>
	filled  bool // current has an address
}

func (p *addressParser) run() {
	for !p.full() {
		p.skipSpace()
		if p.at == len(p.s) {
			break
		}
		p.step(p.s[p.at])
	}
	p.endMailbox()
	p.endGroup()
}

// full tells whether what follows would be thrown away.
func (p *addressParser) full() bool {
	return len(p.list) >= p.limit || p.inGroup && len(p.list) >= p.limit-1
}

// endGroup marks the end of the group, if there is one.
func (p *addressParser) endGroup() {
	if p.inGroup {
		p.inGroup = false
		p.emit(Mailbox{GroupEnd: true})
	}
}

// step takes the next token, which starts with c.
func (p *addressParser) step(c byte) {
	switch {
	case c == ',':
		p.at++
		p.endMailbox()
	case c == ';':
		p.at++
		p.endMailbox()
		p.endGroup()
	case c == ':' && !p.inGroup && !p.filled:
		p.at++
		p.startGroup()
	case c == '<' && !p.angle:
		p.at++
		p.angleAddress()
	case c == '@' && !p.filled:
		p.at++
		p.bareAddress()
	case c == '"':
		p.word(p.quoted())
	default:
		p.word(p.atom())
	}
}

// skipSpace skips white space and comments and remembers the last comment.
func (p *addressParser) skipSpace() {
	start := p.at
	for p.at < len(p.s) {
		from := p.at
		switch c := p.s[p.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			p.at++
		case c == '(':
			p.at = CommentEnd(p.s, p.at)
			p.comment = p.s[from:p.at]
		default:
			p.spaced = p.spaced || p.at > start
			return
		}
	}
	p.spaced = p.spaced || p.at > start
}

// atom reads a run of bytes that mean nothing special; at least one byte,
// whatever it is.
func (p *addressParser) atom() string {
	start := p.at
	p.at++
	for p.at < len(p.s) && !isSpecial(p.s[p.at]) {
		p.at++
	}
	return p.s[start:p.at]
}

func isSpecial(c byte) bool {
	return strings.IndexByte(" \t\r\n()<>,;:@\"", c) >= 0
}

// word appends to the phrase.
func (p *addressParser) word(w string) {
	if p.filled {
		return // after the address: junk
	}
	if n := len(p.words); p.spaced && n > 0 {
		bound := p.words[n-1] == '.' || w != "" && w[0] == '.' // "joe . q @ x": obs-local-part
		p.words = append(p.words, ' ')
		if !bound {
			p.runFrom = n + 1
		}
	}
	p.words = append(p.words, w...)
	p.spaced = false
}

// bareAddress reads the domain after the words and "@".
func (p *addressParser) bareAddress() {
	p.current.Local = string(p.words[p.runFrom:])
	if strings.Contains(p.current.Local, ". ") || strings.Contains(p.current.Local, " .") {
		p.current.Local = strings.ReplaceAll(p.current.Local, " ", "")
	}
	p.words = p.words[:p.runFrom]
	p.current.Host = p.domain()
	p.filled = true
}

// domain reads a domain or a domain literal, white space around dots removed.
func (p *addressParser) domain() string {
	var domain []byte
	for {
		p.spaced = false
		p.skipSpace()
		if p.at == len(p.s) {
			break
		}
		c := p.s[p.at]
		if p.spaced && len(domain) > 0 && domain[len(domain)-1] != '.' && c != '.' {
			break
		}
		if c == '[' {
			domain = append(domain, p.literal()...)
			continue
		}
		if isSpecial(c) && (c != '@' || len(domain) == 0) && c != '"' {
			break
		}
		domain = append(domain, p.atom()...)
	}
	return string(domain)
}

// literal reads [ … ] up to its end, or to what can't be in one.
func (p *addressParser) literal() string {
	start := p.at
	for p.at++; p.at < len(p.s); p.at++ {
		switch p.s[p.at] {
		case ']':
			p.at++
			return p.s[start:p.at]
		case '<', '>', ',', ';', '"', '(', ')', ' ':
			return p.s[start:p.at]
		}
	}
	return p.s[start:p.at]
}

// angleAddress reads what follows "<": an old source route, local part and
// domain, and the ">".
func (p *addressParser) angleAddress() {
	name := string(p.words)
	if p.filled { // "bob@good <eve@evil>": what looked like an address is a name
		name += p.current.Address()
		p.current = Mailbox{}
	}
	p.angle, p.filled = true, true
	p.current.Name = strings.TrimSpace(name)
	p.words, p.runFrom = p.words[:0], 0
	p.skipSpace()
	if p.at < len(p.s) && p.s[p.at] == '@' {
		p.current.Route = p.route()
	}
	p.localPart()
	if p.take('@') {
		p.current.Host = p.domain()
	}
	for p.skipSpace(); p.at < len(p.s) && !strings.Contains(">,;", p.s[p.at:p.at+1]); p.skipSpace() {
		p.junk()
	}
	p.take('>')
}

// route reads obs-route: "@a,@b:" without the colon. Without a colon there is
// no route.
func (p *addressParser) route() string {
	start := p.at
	for i := start; i < len(p.s); i++ {
		switch p.s[i] {
		case ':':
			p.at = i + 1
			return strings.TrimSpace(p.s[start:i])
		case '>', '<', '"', ';', '(':
			return ""
		}
	}
	return ""
}

// localPart reads the words up to "@" or the end of the angle address.
func (p *addressParser) localPart() {
	var local []byte
	for p.skipSpace(); p.at < len(p.s); p.skipSpace() {
		switch c := p.s[p.at]; c {
		case '@', '>', ',', ';':
			p.current.Local = string(local)
			return
		case '"':
			local = append(local, p.quoted()...)
		default:
			local = append(local, p.atom()...)
		}
	}
	p.current.Local = string(local)
}

// startGroup takes the words as the name of a group.
func (p *addressParser) startGroup() {
	p.inGroup = true
	p.inGroup = p.emit(Mailbox{Local: strings.TrimSpace(string(p.words)), GroupStart: true})
	p.clear()
}

// endMailbox writes the current mailbox, if there is anything of it.
func (p *addressParser) endMailbox() {
	m := p.current
	switch phrase := strings.TrimSpace(string(p.words)); {
	case p.angle:
	case p.filled || strings.Contains(phrase, " "):
		m.Name = phrase
	default:
		m.Local = phrase
	}
	if m.Name == "" && (m.Local != "" || m.Host != "") {
		m.Name = commentText(p.comment)
	}
	if m.Local != "" || m.Host != "" || m.Name != "" {
		p.emit(m)
	}
	p.clear()
}

func (p *addressParser) clear() {
	p.words, p.runFrom, p.spaced, p.comment = p.words[:0], 0, false, ""
	p.current, p.angle, p.filled = Mailbox{}, false, false
}

// emit adds to the list unless it is full. The last place of a group is kept
// for its end.
func (p *addressParser) emit(m Mailbox) bool {
	if p.full() {
		return false
	}
	p.list = append(p.list, m)
	return true
}

// commentText takes the parentheses off and resolves backslashes.
func commentText(comment string) string {
	text := strings.TrimSuffix(strings.TrimPrefix(comment, "("), ")")
	if strings.Contains(text, `\`) {
		out := make([]byte, 0, len(text))
		for i := 0; i < len(text); i++ {
			if text[i] == '\\' && i+1 < len(text) {
				i++
			}
			out = append(out, text[i])
		}
		text = string(out)
	}
	return strings.TrimSpace(text)
}
