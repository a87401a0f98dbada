package anatomy

import (
	"net/netip"
	"strings"
	"time"

	"facteur/internal/mail/message"
)

// Hop is one Received line (RFC 5321 §4.4), as far as it could be read: those who
// write them have their own ideas.
type Hop struct {
	// Helo is what the client called itself, Name what the host found for its address,
	// IP that address. Each may be missing.
	Helo string     `json:"helo,omitempty"`
	Name string     `json:"name,omitempty"`
	IP   netip.Addr `json:"ip,omitzero"`
	// By is the host that wrote the line; With the protocol; ID its number for the
	// letter; For a recipient.
	By   string `json:"by,omitempty"`
	With string `json:"with,omitempty"`
	ID   string `json:"id,omitempty"`
	For  string `json:"for,omitempty"`
	// Notes are the comments: software, TLS, who was logged in.
	Notes []string `json:"notes,omitempty"`
	// Time is when; zero if it could not be read.
	Time time.Time `json:"time,omitzero"`
	// Delay is the time since the hop before; negative when the clocks do not agree.
	Delay time.Duration `json:"delay,omitempty"`
	// Belief is how much the line is worth, and Why says so.
	Belief Belief `json:"belief"`
	Why    string `json:"why"`
	// Local: nothing came over the network; a program of the host handed it in.
	Local bool `json:"local,omitempty"`
}

// maxReceived is how much of a line is read, in bytes, and into how many words.
const (
	maxReceived = 8 << 10
	maxWords    = 100
	maxNotes    = 10
)

// ParseReceived reads the unfolded value of a Received field.
func ParseReceived(value string) Hop {
	value = value[:min(len(value), maxReceived)]
	words, date := receivedWords(value)
	var h Hop
	clause := ""
	for _, w := range words {
		switch key := strings.ToLower(w); {
		case w[0] == '(':
			h.note(clause, strings.TrimSuffix(w[1:], ")"))
		case isClause(key):
			clause = key
		default:
			h.word(clause, text(w))
		}
	}
	h.Time, _ = message.ParseDate(date)
	if !h.IP.IsValid() {
		h.IP = findAddr(h.Helo)
	}
	h.Local = h.Helo == "" && h.Name == "" && !h.IP.IsValid()
	return h
}

func isClause(word string) bool {
	switch word {
	case "from", "by", "via", "with", "id", "for":
		return true
	}
	return false
}

// word takes a word of a clause; the first counts, but "with" may have several.
func (h *Hop) word(clause, w string) {
	take := func(s *string) {
		if *s == "" {
			*s = strings.Trim(w, "<>")
		}
	}
	switch clause {
	case "from":
		take(&h.Helo)
	case "by":
		take(&h.By)
	case "with":
		if len(h.With) < 60 {
			h.With = strings.TrimSpace(h.With + " " + w)
		}
	case "id":
		take(&h.ID)
	case "for":
		take(&h.For)
	}
}

// note takes a comment. Behind "from" it says who the client really was, in the
// manners of Postfix and Sendmail "(name [address])", Exim "([address] helo=x)",
// qmail "(HELO x) (address)" and Exchange "(address)".
func (h *Hop) note(clause, comment string) {
	if clause != "from" {
		if len(h.Notes) < maxNotes && strings.TrimSpace(comment) != "" {
			h.Notes = append(h.Notes, text(strings.TrimSpace(comment)))
		}
		return
	}
	if !h.IP.IsValid() {
		h.IP = findAddr(comment)
	}
	words := strings.Fields(comment)
	for i, w := range words {
		switch lower := strings.ToLower(w); {
		case lower == "helo" || lower == "ehlo":
			if i+1 < len(words) {
				h.Name, h.Helo = h.Helo, text(words[i+1])
			}
			return
		case strings.HasPrefix(lower, "helo="):
			if !h.IP.IsValid() {
				h.IP = findAddr(h.Helo)
			}
			h.Name, h.Helo = hostName(h.Helo), text(w[5:])
			return
		}
	}
	if len(words) > 0 && h.Name == "" {
		h.Name = hostName(text(words[0]))
	}
}

// hostName is a word if it is a name, with a dot in it and no address.
func hostName(w string) string {
	w = strings.TrimSuffix(strings.ToLower(w), ".")
	if w == "unknown" || strings.ContainsAny(w, "[]=:,()<>@") || findAddr(w).IsValid() {
		return ""
	}
	if !strings.Contains(w, ".") && w != "localhost" {
		return ""
	}
	return w
}

// findAddr finds an IP address in a text: in brackets first, then a bare word.
func findAddr(s string) netip.Addr {
	for rest := s; ; {
		open := strings.IndexByte(rest, '[')
		if open < 0 {
			break
		}
		inside, after, found := strings.Cut(rest[open+1:], "]")
		if !found {
			break
		}
		if a := parseAddr(inside); a.IsValid() {
			return a
		}
		rest = after
	}
	for _, w := range strings.Fields(s) {
		if a := parseAddr(strings.Trim(w, "(),;")); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

func parseAddr(s string) netip.Addr {
	if len(s) > 60 {
		return netip.Addr{}
	}
	if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
		s = s[5:]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// receivedWords splits a line into words and whole comments, and what follows the
// last semicolon outside of comments.
func receivedWords(s string) (words []string, date string) {
	end := len(s)
	for i, depth := 0, 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			depth = max(depth-1, 0)
		case ';':
			if depth == 0 {
				end = i
			}
		}
	}
	if end < len(s) {
		date = s[end+1:]
	}
	for at := 0; at < end && len(words) < maxWords; {
		start := at
		switch s[at] {
		case ' ', '\t', ';', ')':
			at++
			continue
		case '(':
			at = message.CommentEnd(s[:end], at)
		default:
			for at < end && strings.IndexByte(" \t;(", s[at]) < 0 {
				at++
			}
		}
		words = append(words, s[start:at])
	}
	return words, date
}
