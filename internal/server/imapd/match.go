package imapd

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
	"facteur/internal/store/mailbox"
)

// candidate is a message that is being asked. What was opened for one key is
// there for the next.
type candidate struct {
	letter
	q      *query
	seq    uint32
	header message.Header
}

// meets says whether the message fulfils a key. The recursion is as deep as the
// Decoder let the key be.
func (c *candidate) meets(k *imap.SearchKey) (bool, error) {
	switch k.Op {
	case imap.SearchAnd, imap.SearchOr:
		for i := range k.Keys {
			yes, err := c.meets(&k.Keys[i])
			if err != nil || yes == (k.Op == imap.SearchOr) {
				return yes, err
			}
		}
		return k.Op == imap.SearchAnd, nil
	case imap.SearchNot:
		yes, err := c.meets(&k.Keys[0])
		return !yes, err
	case imap.SearchHeader:
		return c.headerHas(k.Field, k.Text)
	case imap.SearchBody:
		return c.bodyHas(k.Text)
	case imap.SearchText:
		if yes, err := c.anyHeaderHas(k.Text); yes || err != nil {
			return yes, err
		}
		return c.bodyHas(k.Text)
	case imap.SearchSentBefore, imap.SearchSentOn, imap.SearchSentSince:
		return c.sent(k)
	}
	return c.known(k), nil
}

// known answers from what the index has.
func (c *candidate) known(k *imap.SearchKey) bool {
	age := int64(c.q.now.Sub(c.Received) / time.Second)
	switch k.Op {
	case imap.SearchAll:
		return true
	case imap.SearchSeq:
		return c.q.sets[k].Contains(c.seq)
	case imap.SearchUID:
		return c.q.sets[k].Contains(c.UID)
	case imap.SearchFlag:
		return hasFlag(c.Letter, k.Text)
	case imap.SearchRecent:
		return c.Recent
	case imap.SearchBefore, imap.SearchOn, imap.SearchSince:
		return dayMeets(k.Op-imap.SearchBefore, c.Received, k.Date)
	case imap.SearchLarger:
		return c.Size > k.Size
	case imap.SearchSmaller:
		return c.Size < k.Size
	case imap.SearchOlder:
		return age >= k.Size
	case imap.SearchYounger:
		return age <= k.Size
	}
	return false
}

func hasFlag(l mailbox.Letter, name string) bool {
	if bit := systemFlag(name); bit != 0 {
		return l.Flags.System&bit != 0
	}
	for _, k := range l.Flags.Keywords {
		if strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

// dayMeets compares days, whatever the time and the zone (RFC 9051 §6.4.4): how
// is 0 for before, 1 for on, 2 for since.
func dayMeets(how imap.SearchOp, t, day time.Time) bool {
	y, m, d := t.Date()
	diff := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Compare(day)
	switch how {
	case 0:
		return diff < 0
	case 1:
		return diff == 0
	}
	return diff >= 0
}

func (c *candidate) structure() (*message.Part, error) {
	var err error
	if c.tree == nil {
		c.tree, err = c.q.s.view.Structure(c.q.ctx, c.UID)
	}
	return c.tree, err
}

func (c *candidate) open() (mailbox.Reader, error) {
	var err error
	if c.body == nil {
		var r mailbox.Reader
		if r, err = c.q.s.view.Open(c.q.ctx, c.UID); err == nil {
			c.body = r
		}
	}
	return c.body, err
}

func (c *candidate) sent(k *imap.SearchKey) (bool, error) {
	p, err := c.structure()
	if err != nil || p.Envelope == nil {
		return false, err
	}
	t, ok := message.ParseDate(p.Envelope.Date)
	return ok && dayMeets(k.Op-imap.SearchSentBefore, t, k.Date), nil
}

// maxHeader is how much of a header is searched, in octets.
const maxHeader = 256 << 10

// headers reads the header of the message once.
func (c *candidate) headers() (message.Header, error) {
	if c.header != nil {
		return c.header, nil
	}
	r, err := c.open()
	if err == nil {
		c.header, err = readHeader(r, 0, r.Size())
	}
	return c.header, err
}

func readHeader(r io.ReaderAt, from, to int64) (message.Header, error) {
	h, _, err := message.ReadHeader(io.NewSectionReader(r, from, max(0, to-from)), maxHeader)
	if h == nil {
		h = message.Header{} // read, and empty
	}
	if errors.Is(err, message.ErrHeaderTooLong) {
		err = nil
	}
	return h, err
}

// headerHas looks at the decoded text of the fields of one name.
func (c *candidate) headerHas(name, text string) (bool, error) {
	h, err := c.headers()
	if err != nil {
		return false, err
	}
	needle := fold(text)
	for _, value := range h.All(name) {
		if strings.Contains(fold(message.DecodeText(value)), needle) {
			return true, nil
		}
	}
	return false, nil
}

// anyHeaderHas looks at all fields, with their names.
func (c *candidate) anyHeaderHas(text string) (bool, error) {
	h, err := c.headers()
	if err != nil {
		return false, err
	}
	needle := fold(text)
	for f := range h.Fields() {
		if strings.Contains(fold(string(f.Name)+": "+message.DecodeText(f.Text())), needle) {
			return true, nil
		}
	}
	return false, nil
}

// bodyHas looks into all text parts, decoded, and into the headers of attached
// messages.
func (c *candidate) bodyHas(text string) (bool, error) {
	tree, err := c.structure()
	if err != nil {
		return false, err
	}
	r, err := c.open()
	if err != nil {
		return false, err
	}
	return partHas(r, tree, fold(text))
}

func partHas(r io.ReaderAt, p *message.Part, needle string) (bool, error) {
	for _, kid := range p.Children {
		if p.Message() {
			yes, err := streamHas(io.NewSectionReader(r, kid.Header, max(0, kid.Body-kid.Header)), needle)
			if yes || err != nil {
				return yes, err
			}
		}
		if yes, err := partHas(r, kid, needle); yes || err != nil {
			return yes, err
		}
	}
	if len(p.Children) > 0 || p.Type != "text" && p.Type != "message" && p.Type != "multipart" {
		return false, nil
	}
	raw := io.NewSectionReader(r, p.Body, max(0, p.End-p.Body))
	return streamHas(message.ToUTF8(p.Param("charset"), message.DecodeTransfer(p.Encoding, raw)), needle)
}

// fold makes text comparable without regard to case.
func fold(s string) string { return strings.Map(unicode.ToLower, strings.ToUpper(s)) }

// streamHas looks for a folded text in a stream of UTF-8, in bounded memory: a
// window of the last octets that could be the start of a match is kept.
func streamHas(r io.Reader, needle string) (bool, error) {
	if needle == "" {
		return true, nil
	}
	chunk := make([]byte, 16<<10)
	var window []byte // folded
	rest := 0         // octets of an unfinished character at the start of chunk
	for {
		n, err := io.ReadFull(r, chunk[rest:])
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		n += rest
		end := n
		if err == nil {
			end = wholeRunes(chunk[:n])
		}
		window = append(window, fold(string(chunk[:end]))...)
		if bytes.Contains(window, []byte(needle)) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		rest = copy(chunk, chunk[end:n])
		window = append(window[:0], window[max(0, len(window)-len(needle)+1):]...)
	}
}

// wholeRunes is how much of b is finished characters.
func wholeRunes(b []byte) int {
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax); i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				return len(b)
			}
			return i
		}
	}
	return len(b)
}
