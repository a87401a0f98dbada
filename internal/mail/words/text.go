package words

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// How much of a text is read: all of it, or its beginning, middle and end.
	wholeText = 16 << 10
	headText  = 8 << 10
	pieceText = 4 << 10
	// A word has at most longWord bytes: what is longer counts as a word without name.
	longWord = 30
	// Between blanks, no more than maxChunk bytes are looked at.
	maxChunk = 200
)

// reader makes tokens of texts.
type reader struct {
	view *View
	seen *set
	// last are the two words before: indices in view.texts and hashes.
	last  [2]int32
	hash  [2]uint64
	count int // words since the text began, at most 2
}

// newReader is a reader of about as many bytes of text as expected. A word has six of them,
// and most are new in two pairs.
func newReader(limit, expected int) *reader {
	seen := newSet(limit, expected/3)
	return &reader{view: seen.view, seen: seen}
}

// text adds the words of a text.
func (r *reader) text(s string) {
	for _, piece := range pieces(s) {
		r.count = 0
		r.piece(piece)
	}
}

// pieces are what is read of a text, so that a giant one costs no more than a long one.
func pieces(s string) []string {
	if len(s) <= wholeText {
		return []string{s}
	}
	middle := len(s)/2 - pieceText/2
	return []string{s[:headText], s[middle : middle+pieceText], s[len(s)-pieceText:]}
}

func (r *reader) piece(s string) {
	for s = s[spaces(s):]; s != ""; s = s[spaces(s):] {
		end := dense(s)
		r.chunk(s[:min(end, maxChunk)])
		s = s[end:]
	}
}

// spaces is how many bytes of white space s begins with.
func spaces(s string) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf {
			return len(s) - len(strings.TrimLeftFunc(s[i:], unicode.IsSpace))
		} else if !blank(c) {
			return i
		}
	}
	return len(s)
}

// dense is how many bytes s begins with that are no white space.
func dense(s string) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf {
			if end := strings.IndexFunc(s[i:], unicode.IsSpace); end >= 0 {
				return i + end
			}
			return len(s)
		} else if blank(c) {
			return i
		}
	}
	return len(s)
}

func blank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// chunk adds what stands between two blanks.
func (r *reader) chunk(s string) {
	switch {
	case strings.Contains(s, "://") || strings.HasPrefix(s, "www."):
		r.word("<link>")
		return
	case strings.IndexByte(s, '@') > 0:
		r.word("<address>")
		return
	}
	if class := amount(s); class != "" {
		r.word(class)
		return
	}
	r.letters(s)
	if class := outcry(s); class != "" {
		r.word(class)
	}
}

// letters adds the words of a chunk.
func (r *reader) letters(s string) {
	for s != "" {
		start := strings.IndexFunc(s, partOfWord)
		if start < 0 {
			return
		}
		s = s[start:]
		end := wordLen(s)
		r.run(strings.TrimRight(s[:end], "'’"))
		s = s[end:]
	}
}

// wordLen is how many bytes s begins with that are one word.
func wordLen(s string) int {
	for i, c := range s {
		if !partOfWord(c) && c != '\'' && c != '’' {
			return i
		}
	}
	return len(s)
}

func partOfWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r) || invisible(r)
}

// run adds a run of letters and digits: a word, a number, or characters that are words
// by themselves.
func (r *reader) run(s string) {
	first, _ := utf8.DecodeRuneInString(s)
	border := strings.IndexFunc(s, func(c rune) bool { return syllabic(c) != syllabic(first) && !invisible(c) })
	switch {
	case border > 0: // two writings without a blank between them
		r.run(s[:border])
		r.run(s[border:])
		return
	case syllabic(first):
		r.syllables(s)
		return
	case number(s):
		if len(s) <= 3 {
			r.word(s)
		} else {
			r.word("<number>")
		}
		return
	case len(s) > longWord:
		r.word("<long>")
		return
	}
	if w := fold(s); len(w) > 1 {
		r.word(w)
	}
}

func number(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' }) < 0
}

// syllables adds characters two by two: words of Chinese and Japanese mostly have two.
func (r *reader) syllables(s string) {
	s = fold(s)
	before := -1
	for i, c := range s {
		if before >= 0 {
			r.word(s[before : i+utf8.RuneLen(c)])
		}
		before = i
	}
}

// amount names what a chunk with a currency or per cent sign amounts to; "" for others.
func amount(s string) string {
	i := sign(s)
	if i < 0 {
		return ""
	}
	digits := 0
	for _, c := range s {
		if '0' <= c && c <= '9' {
			digits++
		} else if c == '.' && digits > 0 && len(s)-strings.LastIndexByte(s, '.') <= 4 {
			break
		}
	}
	switch {
	case digits == 0:
		return ""
	case s[i] == '%':
		return "<per cent>"
	case digits > 6:
		return "<millions>"
	case digits > 3:
		return "<thousands>"
	}
	return "<price>"
}

// sign is where the first currency or per cent sign is; -1: nowhere.
func sign(s string) int {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '$', c == '%':
			return i
		case c >= utf8.RuneSelf:
			if other := strings.IndexAny(s[i:], "$€£¥%"); other >= 0 {
				return i + other
			}
			return -1
		}
	}
	return -1
}

// outcry names shouting at the end of a chunk.
func outcry(s string) string {
	switch {
	case strings.HasSuffix(s, "!!"):
		return "!!"
	case strings.HasSuffix(s, "!"):
		return "!"
	case strings.HasSuffix(s, "??"):
		return "??"
	case strings.Contains(s, "$$"):
		return "$$"
	}
	return ""
}

// word adds a word, and the pairs that it makes with the two before it.
func (r *reader) word(w string) {
	h := hash(seedWord, w)
	at := r.at(h, w)
	for i := 2 - r.count; i < 2; i++ {
		r.seen.add(token{hash: hashPair(r.hash[i], h), first: r.last[i], second: at, kind: pair})
	}
	r.last[0], r.hash[0] = r.last[1], r.hash[1]
	r.last[1], r.hash[1] = at, h
	r.count = min(r.count+1, 2)
}

// at adds a word, and is where it is kept to be shown. Where there is no more room for
// tokens, no more words are kept: nothing will show them.
func (r *reader) at(h uint64, w string) int32 {
	t, slot := r.seen.find(h)
	switch {
	case t != nil:
		return t.first
	case r.seen.full():
		return 0
	}
	at := int32(len(r.view.texts))
	r.view.texts = append(r.view.texts, w)
	r.seen.put(token{hash: h, first: at, kind: single}, slot)
	return at
}

// titleMost is how many words of a subject count.
const titleMost = 100

// singles are the words of a short text, each once.
func singles(text string) (all []string) {
	r := newReader(3*titleMost, len(text))
	r.text(text)
	for _, t := range r.view.tokens {
		if t.kind == single && len(all) < titleMost {
			all = append(all, r.view.texts[t.first])
		}
	}
	return all
}
