package journey

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"facteur/internal/base/event"
)

// Entry is a step as it was kept; see the package doc for the keys.
type Entry struct {
	Time     time.Time  `json:"t"`
	Item     string     `json:"item,omitempty"`
	Related  string     `json:"related,omitempty"`
	Session  string     `json:"session,omitempty"`
	Kind     event.Kind `json:"kind"`
	Service  string     `json:"service,omitempty"`
	Addr     string     `json:"addr,omitempty"`
	Name     string     `json:"name,omitempty"`
	Helo     string     `json:"helo,omitempty"`
	Account  string     `json:"account,omitempty"`
	From     string     `json:"from,omitempty"`
	To       []string   `json:"to,omitempty"`
	MsgID    string     `json:"msgid,omitempty"`
	Rule     string     `json:"rule,omitempty"`
	Reply    string     `json:"reply,omitempty"`
	Sentence string     `json:"text,omitempty"`
	Table    []string   `json:"table,omitempty"`
}

// parseEntry reads a line; false for what is no whole line of ours, such as the
// last one before a crash.
func parseEntry(line []byte) (e Entry, ok bool) {
	ok = json.Unmarshal(line, &e) == nil && !e.Time.IsZero()
	return e, ok
}

// ofConnection tells that a step is about the connection and not about a letter.
func (e *Entry) ofConnection() bool {
	return e.Item == "" && e.From == "" && len(e.To) == 0
}

// head is the beginning of a line, which is enough to pass over most lines. Its
// fields are as they stand in the line.
type head struct{ time, item, related, session []byte }

func parseHead(line []byte) (h head) {
	h.time, line = cutField(line, `{"t":"`)
	h.item, line = cutField(line, `,"item":"`)
	h.related, line = cutField(line, `,"related":"`)
	h.session, _ = cutField(line, `,"session":"`)
	return h
}

// cutField cuts a key and its value; the value is nil if another key comes first.
func cutField(line []byte, key string) (value, rest []byte) {
	if len(line) < len(key) || string(line[:len(key)]) != key {
		return nil, line
	}
	end := bytes.IndexByte(line[len(key):], '"')
	if end < 0 {
		return nil, line
	}
	return line[len(key) : len(key)+end], line[len(key)+end+1:]
}

// sought is what a search looks for: in any spelling, the value of any field that
// names something.
type sought struct {
	words   []string // lower case
	needles [][]byte // the same, as they stand in a line in lower case
}

func newSought(words ...string) sought {
	var s sought
	for _, w := range words {
		if w = strings.ToLower(strings.Trim(w, "<> ")); w == "" {
			continue
		}
		s.words = append(s.words, w)
		quoted := appendString(nil, strings.TrimPrefix(w, "@"), replyMax)
		s.needles = append(s.needles, quoted[1:len(quoted)-1])
	}
	return s
}

// mayMatch passes over lines that can't: it looks at bytes only. lower is room for
// the line in lower case.
func (s *sought) mayMatch(line, lower []byte) bool {
	lower = lower[:copy(lower[:cap(lower)], line)]
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c | 0x20
		}
	}
	for _, n := range s.needles {
		if bytes.Contains(lower, n) || !isASCII(n) {
			return true
		}
	}
	return false
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func (s *sought) match(e *Entry) bool {
	for _, w := range s.words {
		for _, v := range [...]string{e.Item, e.Related, e.Session, e.Addr, e.Name, e.Account, strings.Trim(e.MsgID, "<> ")} {
			if strings.EqualFold(v, w) {
				return true
			}
		}
		if matchAddress(e.From, w) {
			return true
		}
		for _, to := range e.To {
			if matchAddress(to, w) {
				return true
			}
		}
	}
	return false
}

// matchAddress compares an address with an address, or with a domain ("@" before it
// or not).
func matchAddress(address, word string) bool {
	if strings.EqualFold(address, word) {
		return word != ""
	}
	at := strings.LastIndexByte(address, '@')
	return at >= 0 && strings.EqualFold(address[at+1:], strings.TrimPrefix(word, "@"))
}
