package dkim

import "encoding/base64"

// foldAt is the width of lines: 76 octets before the line end.
const foldAt = 76

// TagWriter writes a field that is a tag list, folded where white space may be.
type TagWriter struct {
	buf  []byte
	line int // octets in the line so far
}

// NewTagWriter begins the field of a name.
func NewTagWriter(name string) *TagWriter {
	w := &TagWriter{buf: make([]byte, 0, 1536)}
	w.put(name + ":")
	return w
}

// Tag writes a tag that stays in one piece.
func (w *TagWriter) Tag(name, value string) { w.word(name + "=" + value + ";") }

// Names writes a tag of names separated by colons; lines break before a name.
func (w *TagWriter) Names(name string, values []string) {
	next := name + "="
	for i, v := range values {
		next += v
		end := ":"
		if i == len(values)-1 {
			end = ";"
		}
		if i == 0 {
			w.word(next + end)
		} else {
			w.piece(next + end)
		}
		next = ""
	}
}

// Signature ends with an empty b=, and gives the field without a line end: what is
// signed. AppendBase64 ends it.
func (w *TagWriter) Signature() []byte {
	w.fold()
	w.put("b=")
	return w.buf
}

// word writes after a space, or in a new line.
func (w *TagWriter) word(s string) {
	if w.line+1+len(s) > foldAt {
		w.fold()
	} else {
		w.put(" ")
	}
	w.put(s)
}

// piece writes without a space, or in a new line.
func (w *TagWriter) piece(s string) {
	if w.line+len(s) > foldAt {
		w.fold()
	}
	w.put(s)
}

func (w *TagWriter) fold() {
	w.buf = append(w.buf, "\r\n\t"...)
	w.line = 1
}

func (w *TagWriter) put(s string) {
	w.buf = append(w.buf, s...)
	w.line += len(s)
}

// AppendBase64 ends a field that TagWriter.Signature gave with the signature itself,
// folded, and its line end.
func AppendBase64(field, signature []byte) []byte {
	text := base64.StdEncoding.EncodeToString(signature)
	for width := foldAt - 3; text != ""; width = foldAt - 1 {
		n := min(len(text), width)
		field = append(field, text[:n]...)
		if text = text[n:]; text != "" {
			field = append(field, "\r\n\t"...)
		}
	}
	return append(field, '\r', '\n')
}
