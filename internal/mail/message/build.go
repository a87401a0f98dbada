package message

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// The lengths of lines, in bytes without CRLF (RFC 5322 §2.1.1, RFC 2047 §2).
const (
	softLine        = 76
	hardLine        = 998
	encodedWordSize = 75
)

// What a Builder refuses. Each would let a value end its field and start one of
// its own, or make a header that others cut.
var (
	ErrControlCharacter = errors.New("control character in header field")
	ErrFieldName        = errors.New("bad header field name")
	ErrLineTooLong      = errors.New("header line can't be folded to 998 bytes")
)

// Builder writes the header fields of our own letters. The first error stays
// and is given by Bytes. The zero Builder is ready.
type Builder struct {
	buf []byte
	err error
}

// Bytes gives the fields so far, with CRLF, without an empty line at the end.
func (b *Builder) Bytes() ([]byte, error) { return b.buf, b.err }

// Text writes an unstructured field: folded, and in encoded words when it is
// not plain ASCII or looks like an encoded word itself.
func (b *Builder) Text(name, value string) {
	if !b.check(name, value) {
		return
	}
	if needsEncoding(value) || longestWord(value) > hardLine-len(name)-2 {
		value = encodeWords(value, softLine-len(name)-2)
	}
	b.fold(name, value)
}

// Structured writes a field whose value is in its final form, such as Received.
// Each of lines starts a line of its own, after a tab; a line over 998 bytes is
// folded at its spaces. UTF-8 stays as it is (RFC 6532).
func (b *Builder) Structured(name string, lines ...string) {
	if !b.check(name, lines...) {
		return
	}
	b.buf = append(b.buf, name...)
	b.buf = append(b.buf, ": "...)
	used := len(name) + 2
	for i, line := range lines {
		if i > 0 {
			b.buf = append(b.buf, "\r\n\t"...)
			used = 1
		}
		b.append(line, used, hardLine)
	}
	b.buf = append(b.buf, "\r\n"...)
}

// Date writes a date field.
func (b *Builder) Date(name string, t time.Time) { b.Structured(name, FormatDate(t)) }

// Mailboxes writes an address field; names are UTF-8 text (Mailbox.DisplayName
// of one that was read).
func (b *Builder) Mailboxes(name string, list []Mailbox) {
	var value strings.Builder
	for i, m := range list {
		if i > 0 && !m.GroupEnd && !list[i-1].GroupStart {
			value.WriteByte(',')
		}
		if i > 0 && !m.GroupEnd {
			value.WriteByte(' ')
		}
		value.WriteString(FormatMailbox(m))
	}
	if b.check(name, value.String()) {
		b.fold(name, value.String())
	}
}

// FormatMailbox writes one mailbox or group mark as it stands in a header. It
// keeps control characters, which Builder refuses.
func FormatMailbox(m Mailbox) string {
	switch {
	case m.GroupEnd:
		return ";"
	case m.GroupStart:
		return formatPhrase(m.Local) + ":"
	case m.Name == "" && m.Local == "":
		return "<>"
	case m.Name == "":
		return m.Address()
	}
	return formatPhrase(m.Name) + " <" + m.Address() + ">"
}

// formatPhrase writes a display name: bare words, else quoted, else encoded.
func formatPhrase(name string) string {
	if needsEncoding(name) {
		return encodeWords(name, softLine/2)
	}
	for word := range strings.FieldsSeq(name) {
		if !isDotAtom(word) || strings.Contains(word, ".") {
			return quoteString(name)
		}
	}
	if strings.Join(strings.Fields(name), " ") != name || name == "" {
		return quoteString(name)
	}
	return name
}

// FormatParam writes a parameter with the "; " before it: as a token, quoted, or
// extended as RFC 2231 §4 has it when it isn't printable ASCII.
func FormatParam(name, value string) string {
	token, ascii := value != "", true
	for i := 0; i < len(value); i++ {
		token = token && isTokenByte(value[i])
		ascii = ascii && ' ' <= value[i] && value[i] < 127
	}
	switch {
	case !ascii:
		var b strings.Builder
		b.WriteString("; " + name + "*=utf-8''")
		percentEncode(&b, value)
		return b.String()
	case token:
		return "; " + name + "=" + value
	}
	return "; " + name + "=" + quoteString(value)
}

// check refuses what could break out of the field.
func (b *Builder) check(name string, values ...string) bool {
	if b.err != nil {
		return false
	}
	if !isFieldName(name) {
		b.err = ErrFieldName
	}
	for _, value := range values {
		if strings.ContainsFunc(value, isControl) {
			b.err = ErrControlCharacter
		}
	}
	return b.err == nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 127 }

// isFieldName follows RFC 5322 §2.2: printable ASCII without colon.
func isFieldName(name string) bool {
	for i := 0; i < len(name); i++ {
		if name[i] <= ' ' || name[i] >= 127 || name[i] == ':' {
			return false
		}
	}
	return name != "" && len(name) <= softLine
}

// fold writes a whole field in lines of 76 bytes where spaces allow it.
func (b *Builder) fold(name, value string) {
	b.buf = append(b.buf, name...)
	b.buf = append(b.buf, ": "...)
	b.append(value, len(name)+2, softLine)
	b.buf = append(b.buf, "\r\n"...)
}

// append writes text on a line that has used bytes already. It breaks before
// spaces, so that unfolding gives the same text back, and never so that a line
// of nothing but white space comes out, which some readers take for the end of
// the header.
func (b *Builder) append(text string, used, width int) {
	text = strings.Trim(text, " \t")
	for text != "" {
		n := nextBreak(text)
		if used > 1 && used+n > width && text[0] == ' ' {
			b.buf = append(b.buf, "\r\n"...)
			used = 0
		}
		if used += n; used > hardLine && b.err == nil {
			b.err = ErrLineTooLong
		}
		b.buf = append(b.buf, text[:n]...)
		text = text[n:]
	}
}

// nextBreak gives the length of the white space and the word that come next.
func nextBreak(text string) int {
	n := 0
	for n < len(text) && isWSP(text[n]) {
		n++
	}
	for n < len(text) && !isWSP(text[n]) {
		n++
	}
	return n
}

func longestWord(s string) int {
	longest := 0
	for s != "" {
		n := nextBreak(s)
		longest = max(longest, n)
		s = s[n:]
	}
	return longest
}

// needsEncoding tells what can't stand in a header as it is: other than
// printable ASCII, or what a reader would decode.
func needsEncoding(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 127 {
			return true
		}
	}
	return strings.Contains(s, "=?")
}

// encodeWords writes text as encoded words with spaces between: in Q, which
// people can half read, unless B is much shorter. first is how many bytes the first may take.
func encodeWords(text string, first int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	word := encodedWordQ
	if len(encodeQ(text)) > base64.StdEncoding.EncodedLen(len(text))*3/2 {
		word = encodedWordB
	}
	var words []string
	for room := min(first, encodedWordSize); text != ""; room = encodedWordSize {
		n := fittingRunes(text, room, word)
		words = append(words, word(text[:n]))
		text = text[n:]
	}
	return strings.Join(words, " ")
}

func encodedWordQ(text string) string { return "=?utf-8?q?" + encodeQ(text) + "?=" }

func encodedWordB(text string) string {
	return "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
}

// fittingRunes gives how many bytes of text, whole characters and at least one,
// fit into an encoded word of room bytes.
func fittingRunes(text string, room int, word func(string) string) int {
	_, n := utf8.DecodeRuneInString(text)
	for n < len(text) && n < encodedWordSize {
		_, size := utf8.DecodeRuneInString(text[n:])
		if len(word(text[:n+size])) > room {
			break
		}
		n += size
	}
	return n
}

// encodeQ is the Q encoding with the alphabet that is safe in phrases
// (RFC 2047 §5 (3)).
func encodeQ(text string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ' ':
			b.WriteByte('_')
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', strings.IndexByte("!*+-/", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString("=" + hex[c>>4:c>>4+1] + hex[c&15:c&15+1])
		}
	}
	return b.String()
}

// quoteLocal quotes a local part that is no dot-atom.
func quoteLocal(local string) string {
	if isDotAtom(local) {
		return local
	}
	return quoteString(local)
}

// isDotAtom follows RFC 5322 §3.2.3, with bytes over 127 (RFC 6532 §3.2).
func isDotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == 127 || strings.IndexByte(`()<>[]:;@\,"`, c) >= 0 {
			return false
		}
	}
	return true
}

func quoteString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
