package message

import (
	"bytes"
	"strings"
)

// DecodeText decodes the encoded words of RFC 2047 in an unfolded value. The
// result is valid UTF-8 on one line: CR and LF in decoded text become spaces,
// other control characters and bad bytes U+FFFD. Words of an unknown charset or
// with a broken frame stay as they are. Characters that a sender has split over
// two adjacent words are joined. Takes time linear in the length.
func DecodeText(s string) string {
	if !strings.Contains(s, "=?") {
		return cleanText([]byte(s))
	}
	d := wordDecoder{s: s}
	return d.decode()
}

// wordDecoder walks over a value once.
type wordDecoder struct {
	s       string
	at      int
	out     []byte
	nextEnd int // offset of the first "?=" at or after some offset that was asked for; len(s): none
	// the run of adjacent encoded words of one charset, not yet converted
	charset string
	run     []byte
	inRun   bool
}

func (d *wordDecoder) decode() string {
	d.nextEnd = -1
	literal := 0 // start of text not yet written
	for d.at < len(d.s) {
		i := strings.Index(d.s[d.at:], "=?")
		if i < 0 {
			break
		}
		d.at += i
		word, ok := d.word()
		if !ok {
			d.at += 2
			continue
		}
		gap := d.s[literal:d.at]
		if !d.inRun || strings.Trim(gap, " \t\r\n") != "" {
			d.flush()
			d.out = append(d.out, gap...)
		}
		d.add(word)
		d.at = word.end
		literal = d.at
	}
	d.flush()
	d.out = append(d.out, d.s[literal:]...)
	return cleanText(d.out)
}

// encodedWord is a word with a sound frame.
type encodedWord struct {
	charset string
	base64  bool
	text    string
	end     int // offset after "?="
}

// word reads the frame =?charset?encoding?text?= at the current offset.
func (d *wordDecoder) word() (w encodedWord, ok bool) {
	rest := d.s[d.at+2:]
	n := strings.IndexByte(rest[:min(len(rest), longestCharset+20)], '?')
	if n <= 0 || len(rest) < n+3 || rest[n+2] != '?' || strings.ContainsAny(rest[:n], " \t=") {
		return w, false
	}
	switch rest[n+1] {
	case 'b', 'B':
		w.base64 = true
	case 'q', 'Q':
	default:
		return w, false
	}
	w.charset, _, _ = strings.Cut(rest[:n], "*") // RFC 2231 §5: a language may follow
	if !isUTF8Name(w.charset) && charsetByName(w.charset) == nil {
		return w, false
	}
	start := d.at + 2 + n + 3
	end := d.endAfter(start)
	if end == len(d.s) {
		return w, false
	}
	w.text, w.end = d.s[start:end], end+2
	return w, true
}

// endAfter finds the next "?=". It remembers the last answer: a value full of
// beginnings without an end is searched once.
func (d *wordDecoder) endAfter(start int) int {
	if d.nextEnd < start {
		d.nextEnd = len(d.s)
		if i := strings.Index(d.s[start:], "?="); i >= 0 {
			d.nextEnd = start + i
		}
	}
	return d.nextEnd
}

// add appends a word's bytes to the run of its charset.
func (d *wordDecoder) add(w encodedWord) {
	if d.inRun && !strings.EqualFold(d.charset, w.charset) {
		d.flush()
	}
	d.inRun, d.charset = true, w.charset
	if w.base64 {
		d.run = appendBase64(d.run, w.text)
	} else {
		d.run = appendQ(d.run, w.text)
	}
}

// flush converts the run.
func (d *wordDecoder) flush() {
	if !d.inRun {
		return
	}
	text, _ := decodeCharset(d.charset, d.run)
	d.out = append(d.out, bytes.ToValidUTF8(text, []byte("\uFFFD"))...)
	d.run, d.inRun = d.run[:0], false
}

// appendQ decodes the Q encoding (RFC 2047 §4.2); broken escapes stay.
func appendQ(out []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '_':
			c = ' '
		case c == '=' && i+2 < len(text):
			if hi, lo := unhex(text[i+1]), unhex(text[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
			}
		}
		out = append(out, c)
	}
	return out
}

// appendBase64 decodes what there is of base64, over junk and without padding.
func appendBase64(out []byte, text string) []byte {
	var q quantum
	for i := 0; i < len(text); i++ {
		out = q.add(out, text[i])
	}
	return q.flush(out)
}
