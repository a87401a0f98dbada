package message

import (
	"bytes"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

const (
	// MaxPreview is how long a preview is, in characters (RFC 8970 §3.2).
	MaxPreview = 200
	// How much decoded text a preview is made of, in bytes. HTML mail has as much
	// before its first word; what comes later is not looked for.
	plainPreview = 4 << 10
	htmlPreview  = 32 << 10
)

// Preview gives the first words of a message: the text of its first text part
// that is no attachment, HTML without its tags, white space folded, at most
// MaxPreview characters, none of them a control character. r is the message that
// was parsed. A message without text has "".
func Preview(r io.ReaderAt, root *Part) (string, error) {
	p := firstText(root, 0)
	if p == nil {
		return "", nil
	}
	size := int64(plainPreview)
	if p.Subtype == "html" {
		size = htmlPreview
	}
	text := make([]byte, min(size, 3*(p.End-p.Body))) // Latin-1 may grow, to UTF-8
	n, err := p.begin(r, text)
	if err != nil {
		return "", err
	}
	if text = text[:n]; p.Subtype == "html" {
		text = plainOf(text)
	}
	return foldSpace(text, MaxPreview), nil
}

// begin fills text with the first of what Text gives. Most text is valid as it is.
func (p *Part) begin(r io.ReaderAt, text []byte) (n int, err error) {
	if IsUTF8(p.Param("charset")) {
		n, err = io.ReadFull(p.Decoded(r), text)
	}
	if n == 0 || !utf8.Valid(text[:n]) {
		n, err = io.ReadFull(p.Text(r), text)
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, err
}

// firstText is the first text part in the order of the message, but of an
// alternative the plain one if it has one.
func firstText(p *Part, depth int) *Part {
	if p.Disposition == "attachment" || depth > maxDepth {
		return nil
	}
	if p.Type == "text" {
		return p
	}
	if !p.Multipart() {
		return nil // a message inside is not what this one says
	}
	var first *Part
	for _, c := range p.Children {
		t := firstText(c, depth+1)
		if t != nil && (first == nil || p.Subtype == "alternative" && first.Subtype != "plain" && t.Subtype == "plain") {
			first = t
		}
		if first != nil && (p.Subtype != "alternative" || first.Subtype == "plain") {
			break
		}
	}
	return first
}

// plainOf is the text of HTML that a reader would see, roughly.
func plainOf(source []byte) []byte {
	var out bytes.Buffer
	z := html.NewTokenizer(bytes.NewReader(source))
	z.SetMaxBuf(htmlPreview)
	hidden := 0 // inside of title, style or script
	for out.Len() < 8*MaxPreview {
		switch z.Next() {
		case html.ErrorToken:
			return out.Bytes()
		case html.TextToken:
			if hidden == 0 {
				out.Write(z.Text())
			}
		case html.StartTagToken:
			if name, _ := z.TagName(); unseen(string(name)) {
				hidden++
			}
			out.WriteByte(' ')
		case html.EndTagToken:
			if name, _ := z.TagName(); unseen(string(name)) {
				hidden = max(0, hidden-1)
			}
			out.WriteByte(' ')
		case html.SelfClosingTagToken:
			out.WriteByte(' ')
		}
	}
	return out.Bytes()
}

// unseen tells the elements whose text is not shown in the page.
func unseen(name string) bool {
	switch name {
	case "title", "style", "script", "template":
		return true
	}
	return false
}

// unseenRune tells what a reader sees nothing of, of a rune that is size bytes long.
func unseenRune(r rune, size int) bool {
	if ' ' < r && r < 0x7f {
		return false
	}
	return r == utf8.RuneError && size == 1 || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u034f'
}

// foldSpace joins words by single spaces, up to a number of characters. What is
// neither seen nor a space (controls, joiners that newsletters pad with) is left
// out.
func foldSpace(text []byte, most int) string {
	var out strings.Builder
	space := false
	for n := 0; len(text) > 0 && n < most; {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case unicode.IsSpace(r):
			space = n > 0
		case unseenRune(r, size):
		default:
			if space {
				if n++; n >= most {
					return out.String()
				}
				out.WriteByte(' ')
			}
			out.WriteRune(r)
			n++
			space = false
		}
	}
	return out.String()
}
