package imapd

import (
	"bytes"
	"io"
	"strings"

	"facteur/internal/mail/collate"
	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
)

// phrase is a text that is looked for. A fuzzy one (RFC 6203) is met as well where
// all its words stand, in any order, accents or not.
type phrase struct {
	*collate.Needle
	words []*collate.Needle // of a fuzzy one, without accents
	loose bool              // words were met, but not the text as it is

	line []byte // memory of inHeader
}

// maxFuzzy is how much of a part is looked at for words, in octets.
const maxFuzzy = 1 << 20

func newPhrase(k *imap.SearchKey) *phrase {
	p := &phrase{Needle: collate.NewNeedle(k.Text)}
	if !k.Fuzzy {
		return p
	}
	for word := range strings.FieldsSeq(collate.Bare(k.Text)) {
		p.words = append(p.words, collate.NewNeedle(word))
	}
	return p
}

func (p *phrase) fuzzy() bool { return len(p.words) > 0 }

// In says whether text meets the phrase.
func (p *phrase) In(text []byte) bool {
	if p.Needle.In(text) {
		return true
	}
	return p.fuzzy() && p.wordsIn(text)
}

func (p *phrase) wordsIn(text []byte) bool {
	bare := []byte(collate.Bare(string(text)))
	for _, w := range p.words {
		if !w.In(bare) {
			return false
		}
	}
	p.loose = true
	return true
}

// InReader is In for a stream of UTF-8.
func (p *phrase) InReader(r io.Reader) (bool, error) {
	if !p.fuzzy() {
		return p.Needle.InReader(r)
	}
	var start bytes.Buffer
	met, err := p.Needle.InReader(io.TeeReader(r, limited{&start}))
	return met || err == nil && p.wordsIn(start.Bytes()), err
}

// limited takes maxFuzzy octets and drops the rest.
type limited struct{ *bytes.Buffer }

func (l limited) Write(b []byte) (int, error) {
	l.Buffer.Write(b[:max(0, min(len(b), maxFuzzy-l.Len()))])
	return len(b), nil
}

// inFields looks at the decoded text of the fields of one name.
func (p *phrase) inFields(h message.Header, name string) bool {
	for f := range h.Fields() {
		if f.Is(name) && p.In(fieldText(f)) {
			return true
		}
	}
	return false
}

// inHeader looks at all fields, with their names.
func (p *phrase) inHeader(h message.Header) bool {
	for f := range h.Fields() {
		p.line = append(append(p.line[:0], f.Name...), ": "...)
		if p.In(append(p.line, fieldText(f)...)) {
			return true
		}
	}
	return false
}

// fieldText is the value unfolded and decoded. Most say what they say.
func fieldText(f message.Field) []byte {
	value := bytes.Trim(f.Value, " \t\r\n")
	if isPlain(value) {
		return value
	}
	return []byte(message.DecodeText(f.Text()))
}

// isPlain says whether a value is one line without encoded words or anything that
// decoding would replace.
func isPlain(value []byte) bool {
	for i, c := range value {
		if c < ' ' && c != '\t' || c >= 0x7f || c == '=' && i+1 < len(value) && value[i+1] == '?' {
			return false
		}
	}
	return true
}
