package refusal

import (
	"slices"
	"strconv"
	"strings"
)

const (
	// maxText is how much of a text is read, in bytes. Refusals say what they have to
	// say much sooner.
	maxText = 2 << 10
	// maxHost is that of a host's name (RFC 1035 §2.3.4).
	maxHost = 255
)

// form is a row of the table: a text that is known.
type form struct {
	id, who string
	// own: the words are this server's; it never fits where a host is known, which can say
	// them as well and would mean itself.
	own bool
	// at is the domains of the operator's hosts, separated by blanks; "" for any. Such
	// a row never fits where the host is not known.
	at string
	// on is the codes it comes with, any of them, separated by blanks: a class ("4"), a
	// code ("421"), an enhanced code ("5.7.26", "x.7.26" in both classes) or a range of
	// them ("5.7.606-649"). "" for any.
	on string
	// says is the words it has, any of these; in each, parts that follow one another
	// are separated by "*". "#" is a digit. A part that begins or ends with a letter or
	// digit begins or ends a word of the text. None: the code is enough.
	says []string
	// names are such words, too, that may also be a part of an address, as "spamhaus" is of
	// "mailbox spamhaus unknown": they do not fit where a recipient is refused as unknown.
	names []string
	// means is the key of meanings.
	means string
	// link is where to read on; "" for that of the meaning.
	link string
}

// refused is a refusal that is being read.
type refused struct {
	host     string // "" when unknown
	code     string // "" when unknown
	enhanced string // "" for none
	text     string // in lower case, without codes, words separated by one blank
	seen     triples
}

// triples are the sets of three bytes that a text has, each as a bit that it may share
// with others. Most words of the table are ruled out by that, without a search.
type triples [64]uint64

func (t *triples) bit(s string) (word, mask uint64) {
	h := uint64(s[0])*31*31 + uint64(s[1])*31 + uint64(s[2])
	h *= 0x9e3779b97f4a7c15
	return h >> 58, 1 << (h >> 52 & 63)
}

func (t *triples) add(text string) {
	for i := 0; i+3 <= len(text); i++ {
		word, mask := t.bit(text[i:])
		t[word] |= mask
	}
}

// may tells whether text can have a part; yes when in doubt.
func (t *triples) may(part string) bool {
	fixed, _, _ := strings.Cut(part, "#")
	if len(fixed) < 3 {
		return true
	}
	word, mask := t.bit(fixed)
	last, lastMask := t.bit(fixed[len(fixed)-3:])
	return t[word]&mask != 0 && t[last]&lastMask != 0
}

// parse brings a refusal into the form that rows are compared with.
func parse(host string, code int, enhanced, text string) *refused {
	r := &refused{host: hostName(host)}
	if isEnhanced(enhanced) {
		r.enhanced = enhanced
	}
	if code > 0 {
		r.code = strconv.Itoa(code)
	}
	var b strings.Builder
	for word := range strings.FieldsSeq(withoutSubject(lower(text[:min(len(text), maxText)]))) {
		r.add(&b, word)
	}
	r.text = b.String()
	r.seen.add(r.text)
	return r
}

// add takes a word: a code is noted, and left out, as it may stand between any two
// words of what was several lines.
func (r *refused) add(b *strings.Builder, word string) {
	if strings.Contains(word, "@") {
		return // an address: its owner chose the words in it
	}
	code, rest := cutCode(word)
	if code != "" && r.code == "" && b.Len() == 0 {
		r.code = code
	}
	if found := strings.Trim(rest, "(#)[]:,;"); isEnhanced(found) {
		if r.enhanced == "" || strings.HasSuffix(r.enhanced, ".0.0") {
			r.enhanced = found
		}
		return
	}
	if code != "" && (rest == "" && (len(word) > 3 || word == r.code)) {
		return
	}
	if code != "" && len(word) > 3 {
		word = rest
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(word)
}

// withoutSubject leaves out the message's subject, which some hosts repeat: its author
// chose the words in it. It ends with its quotation mark, or with the text.
func withoutSubject(text string) string {
	at := find(text, "subject")
	if at < 0 {
		return text
	}
	at += len("subject")
	rest := strings.TrimLeft(text[at:], " :=")
	if rest == "" {
		return text
	}
	for _, quotes := range [...][2]string{{`"`, `"`}, {"'", "'"}, {"`", "'"}, {"<", ">"}, {"«", "»"}, {"“", "”"}, {"‘", "’"}} {
		if quoted, ok := strings.CutPrefix(rest, quotes[0]); ok {
			_, behind, _ := strings.Cut(quoted, quotes[1])
			return text[:at] + " " + behind
		}
	}
	if strings.HasPrefix(strings.TrimLeft(text[at:], " "), ":") || strings.HasPrefix(text[at:], "=") {
		return text[:at]
	}
	return text
}

// cutCode takes "550", "550-" or "550-5.7.1" apart. For any other word the code is "",
// and the rest the word.
func cutCode(word string) (code, rest string) {
	if len(word) < 3 || word[0] != '4' && word[0] != '5' || !isDigit(word[1]) || !isDigit(word[2]) {
		return "", word
	}
	switch {
	case len(word) == 3:
		return word, ""
	case word[3] == '-':
		return word[:3], word[4:]
	}
	return "", word
}

// isEnhanced tells an enhanced code (RFC 3463 §2) from what else has dots.
func isEnhanced(s string) bool {
	if len(s) < 5 || s[0] != '4' && s[0] != '5' || s[1] != '.' || !isDigit(s[2]) || s[3] != '.' || len(s) > 7 {
		return false
	}
	return strings.Trim(s[4:], "0123456789") == ""
}

// hostName is the name in "Name[address]:port".
func hostName(s string) string {
	s, _, _ = strings.Cut(s[:min(len(s), maxHost)], "[")
	return strings.TrimSuffix(lower(s), ".")
}

// lower is s with its ASCII letters in lower case: a text may be in any charset.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// fits tells whether a refusal is of this form.
func (f *form) fits(r *refused) bool {
	if !f.fitsHost(r.host) || !f.fitsCode(r) {
		return false
	}
	for _, words := range f.says {
		if r.says(words) {
			return true
		}
	}
	for _, name := range f.names {
		if r.says(name) {
			return !r.refusesRecipient()
		}
	}
	return len(f.says)+len(f.names) == 0
}

// refusesRecipient tells whether the text is about a recipient that is not there. It may
// name him, and his name means nothing.
func (r *refused) refusesRecipient() bool {
	if len(r.enhanced) > 3 && r.enhanced[2:4] == "7." { // security or policy (RFC 3463 §3.8)
		return false
	}
	for _, code := range [...]string{"x.1.1", "x.1.2", "x.1.3", "x.1.6", "x.1.10"} {
		if r.has(code) {
			return true
		}
	}
	for _, of := range [...][]string{unknownWords, {"mailbox*unknown", "user*unknown", "recipient*unknown", "mailbox*not found", "user*not found", "recipient*not found", "no*such", "host*not found", "domain*not found", "unknown*domain"}} {
		if slices.ContainsFunc(of, r.says) {
			return true
		}
	}
	return false
}

func (f *form) fitsHost(host string) bool {
	if f.own && host != "" {
		return false
	}
	switch "" {
	case f.at:
		return true
	case host:
		return false
	}
	for domain := range strings.FieldsSeq(f.at) {
		if rest, ok := strings.CutSuffix(host, domain); ok && (rest == "" || rest[len(rest)-1] == '.') {
			return true
		}
	}
	return false
}

func (f *form) fitsCode(r *refused) bool {
	if f.on == "" {
		return true
	}
	for on := range strings.FieldsSeq(f.on) {
		if r.has(on) {
			return true
		}
	}
	return false
}

// has tells whether a refusal came with a class, a code, an enhanced code or one of a
// range.
func (r *refused) has(on string) bool {
	switch {
	case len(on) == 1:
		return r.class() == on
	case len(on) == 3:
		return r.code == on
	case r.enhanced == "":
		return false
	case on[0] == 'x':
		return inRange(r.enhanced[1:], on[1:])
	}
	return inRange(r.enhanced, on)
}

// class is "4" or "5", or "" when unknown.
func (r *refused) class() string {
	switch {
	case r.code != "":
		return r.code[:1]
	case r.enhanced != "":
		return r.enhanced[:1]
	}
	return ""
}

// inRange tells whether code is of a range: "5.7.606-649", or only "5.7.606".
func inRange(code, of string) bool {
	first, last, isRange := strings.Cut(of, "-")
	if !isRange {
		return code == of
	}
	dot := strings.LastIndexByte(first, '.') + 1
	if len(code) <= dot || code[:dot] != first[:dot] {
		return false
	}
	n, _ := strconv.Atoi(code[dot:])
	low, _ := strconv.Atoi(first[dot:])
	high, _ := strconv.Atoi(last)
	return low <= n && n <= high
}

// says tells whether the text has the parts of words, one behind the other.
func (r *refused) says(words string) bool {
	text := r.text
	for part := range strings.SplitSeq(words, "*") {
		if !r.seen.may(part) {
			return false
		}
		at := find(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}

// find is the first place of a part that stands in words of its own; -1 for none.
func find(text, part string) int {
	// What comes before the first "#" is looked for quickly.
	fixed, _, _ := strings.Cut(part, "#")
	for from := 0; ; {
		i := strings.Index(text[from:], fixed)
		if i < 0 || len(text)-from-i < len(part) {
			return -1
		}
		at := from + i
		if like(text[at:at+len(part)], part) && !cutsWord(text, at) && !cutsWord(text, at+len(part)) {
			return at
		}
		from = at + 1
	}
}

// like compares, "#" being any digit.
func like(text, part string) bool {
	for i := range len(part) {
		if part[i] != text[i] && (part[i] != '#' || !isDigit(text[i])) {
			return false
		}
	}
	return true
}

// cutsWord tells whether a place is inside of a word.
func cutsWord(text string, at int) bool {
	return at > 0 && at < len(text) && isWord(text[at-1]) && isWord(text[at])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWord(c byte) bool { return 'a' <= c && c <= 'z' || isDigit(c) || c >= 0x80 }

// reading is what the row means.
func (f *form) reading() Reading {
	m := meanings[f.means]
	r := Reading{ID: f.id, Who: f.who, Fault: m.fault, Cause: m.cause, Cure: m.cure, Link: f.link, SlowDown: m.slowDown, Blocked: m.blocked, waits: m.waits}
	if r.Link == "" {
		r.Link = m.link
	}
	return r
}
