package content

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"facteur/internal/mail/archive"
	"facteur/internal/mail/message"
)

// reader goes through the tree once and fills the letter.
type reader struct {
	r      io.ReaderAt
	lim    Limits
	letter *Letter
	files  *archive.Budget

	text, other, hidden page
	source              int64          // of Limits.Source, spent
	known               map[string]int // index in letter.Links, plus one
	elsewhere           bool           // what is read now is another reading
	decoded             int            // of maxDecodings
}

// subject reads what stands above the text.
func (rd *reader) subject(h message.Header) {
	raw := h.Get("Subject")
	rd.charsetsOf(raw)
	s, invisible := visible(message.DecodeText(raw))
	rd.letter.Subject, rd.letter.SubjectInvisible = s, invisible
}

// charsetsOf notes the charsets of encoded words.
func (rd *reader) charsetsOf(raw string) {
	for i := 0; i < 16; i++ {
		_, after, ok := strings.Cut(raw, "=?")
		if !ok {
			return
		}
		name, rest, ok := strings.Cut(after, "?")
		if name, _, _ = strings.Cut(name, "*"); ok && len(name) < 40 { // behind "*" is a language (RFC 2231 §5)
			rd.charset(name)
		}
		_, text, _ := strings.Cut(rest, "?") // behind "B?" or "Q?"
		_, raw, _ = strings.Cut(text, "?=")  // "=?=" is the end of a word, and no beginning
	}
}

func (rd *reader) charset(name string) {
	name = strings.ToLower(archive.Clean(name))
	if name != "" && len(rd.letter.Charsets) < 10 && !slices.Contains(rd.letter.Charsets, name) {
		rd.letter.Charsets = append(rd.letter.Charsets, name)
	}
}

// node is a part on the way through the tree.
type node struct {
	part   *message.Part
	number string
	aside  bool // of alternatives, one that is not shown
}

// tree walks over all parts, without recursion: depth is the sender's choice.
func (rd *reader) tree(root *message.Part) {
	stack := []node{{part: root}}
	if !root.Multipart() {
		stack[0].number = "1"
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		rd.letter.Odd |= n.part.Odd
		if rd.letter.Parts >= rd.lim.Parts {
			rd.letter.LeftOut++
			continue
		}
		rd.letter.Parts++
		shown := shownOf(n.part)
		for i := len(n.part.Children) - 1; i >= 0; i-- {
			stack = append(stack, node{n.part.Children[i], childNumber(n, i), n.aside || shown >= 0 && i != shown})
		}
		switch {
		case len(n.part.Children) == 0:
			rd.leaf(n)
		case n.part.Odd&message.BadEncoding != 0:
			rd.decodings(n)
		}
	}
}

// childNumber counts as IMAP does (RFC 9051 §6.4.5.1).
func childNumber(n node, i int) string {
	switch {
	case n.part.Message() && n.part.Children[i].Multipart():
		return n.number
	case n.number == "":
		return strconv.Itoa(i + 1)
	}
	return n.number + "." + strconv.Itoa(i+1)
}

// shownOf is the child of an alternative that programs show: the last with HTML, else
// the last with text; -1: this is no alternative.
func shownOf(p *message.Part) int {
	if !p.Multipart() || p.Subtype != "alternative" {
		return -1
	}
	best, rank := 0, 0
	for i, c := range p.Children {
		r := 1
		switch {
		case c.Type == "text" && c.Subtype == "html", c.Multipart() && hasHTML(c):
			r = 3
		case c.Type == "text" && c.Subtype == "plain", c.Multipart():
			r = 2
		}
		if r >= rank {
			best, rank = i, r
		}
	}
	return best
}

// hasHTML looks at the children, and for a related within a mixed at theirs.
func hasHTML(p *message.Part) bool {
	for _, c := range p.Children {
		if c.Type == "text" && c.Subtype == "html" {
			return true
		}
		for _, d := range c.Children {
			if d.Type == "text" && d.Subtype == "html" {
				return true
			}
		}
	}
	return false
}

// leaf reads a part that has no parts.
func (rd *reader) leaf(n node) {
	p := n.part
	if p.End <= p.Body {
		return
	}
	if !p.Multipart() {
		rd.body(p, n, func() io.Reader { return p.Decoded(rd.r) })
	}
	rd.decodings(n)
}

// body reads what a part decodes to: as text, as a file, or both.
func (rd *reader) body(p *message.Part, n node, decoded func() io.Reader) {
	name := p.FileName()
	from := decoded()
	head := readUpTo(from, sniffBytes)
	f := archive.File{Name: archive.Clean(name), Declared: p.Type + "/" + p.Subtype}
	f.Sniff(head)
	text := p.Type == "text" && (f.Kind == archive.Text || f.Kind == archive.Page || f.Kind == archive.Script || f.Kind == archive.Other || f.Kind == archive.Message)
	if text && p.Disposition != "attachment" && (name == "" || p.Subtype == "plain" || p.Subtype == "html") {
		rd.show(p, n, io.MultiReader(bytes.NewReader(head), from), f.Kind)
		if name == "" && f.Kind != archive.Script {
			return
		}
	}
	rd.file(p, n, f, head, decoded)
}

// sniffBytes is how much of a part is looked at for its type.
const sniffBytes = 4 << 10

// show reads a text part.
func (rd *reader) show(p *message.Part, n node, decoded io.Reader, kind archive.Kind) {
	charset := p.Param("charset")
	rd.charset(charset)
	raw := rd.take(decoded, p.End-p.Body)
	if p.Encoding == "base64" && len(raw) > 0 && ascii(raw) {
		rd.letter.EncodedText = true
	}
	source := utf8Of(charset, raw)
	to := &rd.text
	switch {
	case rd.elsewhere:
		to = &rd.hidden
	case n.aside:
		to = &rd.other
	}
	if p.Subtype == "html" || p.Subtype == "x-amp-html" || kind == archive.Page && p.Subtype != "plain" {
		facts := &rd.letter.HTML
		if n.aside || rd.elsewhere {
			facts = &HTML{} // counted once
		}
		rd.html(source, to, facts, "")
		return
	}
	to.paragraph()
	to.b = slices.Grow(to.b, len(source))
	start := to.len()
	rd.letter.Invisible += to.write(source)
	to.paragraph()
	rd.plainLinks(to.since(start))
}

// take reads source text within the limit; of about as many bytes as expected.
func (rd *reader) take(r io.Reader, expected int64) []byte {
	left := rd.lim.Source - rd.source
	b := readAbout(r, left+1, expected)
	if int64(len(b)) > left {
		b = b[:max(left, 0)]
		rd.letter.Cut = true
	}
	rd.source += int64(len(b))
	return b
}

// readUpTo reads at most max bytes; what can't be read is not there. Letters are small:
// it begins with what most need.
func readUpTo(r io.Reader, max int64) []byte { return readAbout(r, max, 1<<10) }

// readAbout is readUpTo where something is known of how much there is.
func readAbout(r io.Reader, most, expected int64) []byte {
	b := make([]byte, 0, min(most, max(expected, 0), 64<<10)+1)
	for int64(len(b)) < most {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(int64(cap(b)), most)])
		b = b[:len(b)+n]
		if err != nil {
			break
		}
	}
	return b
}

// utf8Of decodes a text; most of it is valid as it is.
func utf8Of(charset string, b []byte) []byte {
	if message.IsUTF8(charset) && utf8.Valid(b) {
		return b
	}
	return readUpTo(message.ToUTF8(charset, bytes.NewReader(b)), 4*int64(len(b))+4)
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// file looks at an attachment.
func (rd *reader) file(p *message.Part, n node, f archive.File, head []byte, decoded func() io.Reader) {
	if len(rd.letter.Files) >= rd.lim.Files {
		rd.letter.LeftOut++
		return
	}
	f.Size = sizeOf(p, head)
	if archive.Opens(head) {
		whole := readUpTo(decoded(), rd.lim.File+1)
		f.Size = int64(len(whole))
		if f.Size > rd.lim.File {
			f.Trouble = "too large to be looked through"
		} else {
			f = rd.files.Examine(bytes.NewReader(whole), f.Size, f.Name, f.Declared)
		}
	}
	if f.Kind == archive.Page {
		rd.html(utf8Of(p.Param("charset"), rd.take(decoded(), p.End-p.Body)), &page{}, &rd.letter.Pages, f.Name)
	}
	rd.letter.Files = append(rd.letter.Files, File{File: f, Part: n.number, Elsewhere: rd.elsewhere,
		Inline: p.Disposition == "inline" || p.Disposition == "" && p.ID != ""})
}

// sizeOf is the decoded size, for base64 within a few bytes: to read a picture of 20 MB
// to its end for its size is not worth it.
func sizeOf(p *message.Part, head []byte) int64 {
	raw := p.End - p.Body
	if len(head) < sniffBytes {
		return int64(len(head))
	}
	if p.Encoding == "base64" {
		return max(raw-2*p.Lines, 0) / 4 * 3
	}
	return raw
}

// finish cuts and counts.
func (rd *reader) finish() {
	l := rd.letter
	l.Text, l.Other, l.Hidden = rd.text.string(rd.lim.Text), rd.other.string(rd.lim.Text), rd.hidden.string(rd.lim.Text)
	l.Cut = l.Cut || rd.text.len() > rd.lim.Text
	l.Languages = languages(l.Subject, l.Text, l.Other)
}
