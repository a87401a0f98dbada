package content

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	// maxToken bounds one tag, in bytes; what is longer ends the page.
	maxToken = 256 << 10
	// maxOpen bounds how deep elements count; deeper ones look like those around them.
	maxOpen = 256
	// maxShown bounds the text of a link, in bytes.
	maxShown = 512
)

// element is one that is open, with what an eye sees in it.
type element struct {
	tag  atom.Atom
	look look
}

// renderer makes text of a page as it is read.
type renderer struct {
	rd     *reader
	z      *html.Tokenizer
	facts  *HTML
	to     *page
	open   []element
	sheet  sheet
	within string // the name of the file that the page is, "" for the letter's own

	anchor  int  // index in letter.Links, plus one, of the link that is open
	from    int  // where its text begins
	pending bool // a tag that shows nothing stands behind a letter
}

// html renders a page and counts what it is made of.
func (rd *reader) html(source []byte, to *page, facts *HTML, within string) {
	facts.Pages++
	facts.Bytes += len(source) - bytes.Count(source, []byte("\r")) // the same, whatever ends its lines
	h := renderer{rd: rd, z: html.NewTokenizer(bytes.NewReader(source)), facts: facts, to: to, within: within}
	h.z.SetMaxBuf(maxToken)
	h.open = append(h.open, element{look: plainLook})
	before := to.seen
	to.paragraph()
	for h.token(h.z.Next()) {
	}
	h.endAnchor()
	to.paragraph()
	facts.Seen += to.seen - before
}

func (h *renderer) look() look { return h.open[len(h.open)-1].look }

func (h *renderer) token(kind html.TokenType) bool {
	switch kind {
	case html.ErrorToken:
		return false
	case html.TextToken:
		h.text()
	case html.StartTagToken:
		h.start(false)
	case html.SelfClosingTagToken:
		h.start(true)
	case html.EndTagToken:
		h.end()
	case html.CommentToken:
		h.comment()
	}
	return true
}

// text goes to the page or to what is hidden.
func (h *renderer) text() {
	escaped := plainNumbers(h.z.Raw())
	s := h.z.Text()
	top := &h.open[len(h.open)-1]
	switch top.tag {
	case atom.Style:
		h.sheet.read(s)
		return
	case atom.Script, atom.Template:
		return
	}
	if len(bytes.TrimSpace(s)) == 0 {
		if len(s) > 0 {
			h.to.gap()
			h.pending = false
		}
		return
	}
	if top.tag == atom.Title || top.look.hidden() {
		h.hide(s)
		return
	}
	h.facts.Escaped += escaped
	if h.pending && isLetter(s[0]) && !h.to.space && !h.to.line {
		h.facts.Split++
	}
	h.pending = false
	h.rd.letter.Invisible += h.to.flow(s)
}

// hide keeps what an eye does not see.
func (h *renderer) hide(s []byte) {
	to := &h.rd.hidden
	before := to.seen
	to.gap()
	to.flow(s)
	h.facts.Hidden += to.seen - before
}

// plainNumbers counts letters and digits that are written as numbers ("&#86;iagra").
func plainNumbers(raw []byte) (n int) {
	for {
		i := bytes.Index(raw, []byte("&#"))
		if i < 0 || len(raw) < i+4 {
			return n
		}
		raw = raw[i+2:]
		digits, base := raw, 10
		if digits[0]|0x20 == 'x' {
			digits, base = digits[1:], 16
		}
		end := 0
		for end < len(digits) && end < 8 && isHex(digits[end]) && (base == 16 || digits[end] <= '9') {
			end++
		}
		if c, err := strconv.ParseUint(string(digits[:end]), base, 32); err == nil && c < 0x80 && (isLetter(byte(c)) || isDigit(byte(c))) {
			n++
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// comment: programs of Microsoft read what stands in some; nobody sees the others.
func (h *renderer) comment() {
	s := h.z.Text()
	h.empty()
	if bytes.HasPrefix(s, []byte("[if")) || bytes.HasPrefix(s, []byte("[endif")) || bytes.HasPrefix(s, []byte("<![endif")) || bytes.ContainsAny(s, "<>{}") {
		return
	}
	h.hide(s)
}

// empty notes that something which shows nothing stands here, maybe within a word.
func (h *renderer) empty() {
	if n := len(h.to.b); n > 0 && isLetter(h.to.b[n-1]) && !h.to.space && !h.to.line {
		h.pending = true
	}
}

// attributes that matter, of one tag.
type attributes struct {
	href, src, action, style, class, id, alt, color, bgcolor, typ, width, height, content, equiv string
	hidden, background, handler                                                                  bool
}

func (h *renderer) attributes() (a attributes) {
	for n := 0; n < 256; n++ {
		key, value, more := h.z.TagAttr()
		a.set(string(key), value)
		if !more {
			break
		}
	}
	return a
}

// set keeps the first of each, as browsers do.
func (a *attributes) set(key string, value []byte) {
	var into *string
	switch key {
	case "href":
		into = &a.href
	case "src":
		into = &a.src
	case "action", "formaction":
		into = &a.action
	case "style":
		into = &a.style
	case "class":
		into = &a.class
	case "id":
		into = &a.id
	case "alt":
		into = &a.alt
	case "color", "text":
		into = &a.color
	case "bgcolor":
		into = &a.bgcolor
	case "type":
		into = &a.typ
	case "width":
		into = &a.width
	case "height":
		into = &a.height
	case "content":
		into = &a.content
	case "http-equiv":
		into = &a.equiv
	case "hidden":
		a.hidden = true
	case "background":
		a.background = true
	default:
		a.handler = a.handler || strings.HasPrefix(key, "on") && len(key) > 4
	}
	if into != nil && *into == "" {
		*into = string(value)
	}
}

// start opens an element.
func (h *renderer) start(closed bool) {
	name, more := h.z.TagName()
	tag := atom.Lookup(name)
	h.count(tag, name)
	var a attributes
	if more {
		a = h.attributes()
	}
	if a.handler {
		h.facts.Scripts++
	}
	h.implied(tag)
	l := h.look().inside(tag, &a, &h.sheet)
	h.space(tag)
	h.meets(tag, &a, l)
	if void(tag) || closed && tag == 0 {
		return
	}
	if len(h.open) < maxOpen {
		h.open = append(h.open, element{tag, l})
	}
}

func (h *renderer) count(tag atom.Atom, name []byte) {
	h.facts.Tags++
	if tag == 0 && !bytes.ContainsAny(name, ":-") {
		h.facts.Unknown++
	}
}

// void elements have no content.
func void(tag atom.Atom) bool {
	switch tag {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta, atom.Param, atom.Source, atom.Track, atom.Wbr:
		return true
	}
	return false
}

// implied ends what a new element ends by itself.
func (h *renderer) implied(tag atom.Atom) {
	top := h.open[len(h.open)-1].tag
	switch tag {
	case atom.P, atom.Div, atom.Table, atom.Ul, atom.Ol, atom.H1, atom.H2, atom.H3, atom.H4, atom.Blockquote, atom.Hr:
		if top == atom.P {
			h.pop()
		}
	case atom.Li:
		if top == atom.Li {
			h.pop()
		}
	case atom.Td, atom.Th:
		if top == atom.Td || top == atom.Th {
			h.pop()
		}
	case atom.Tr:
		if top == atom.Td || top == atom.Th {
			h.pop()
			top = h.open[len(h.open)-1].tag
		}
		if top == atom.Tr {
			h.pop()
		}
	case atom.Body:
		if top == atom.Head || top == atom.Title {
			h.pop()
		}
	}
}

func (h *renderer) pop() {
	if len(h.open) > 1 {
		h.open = h.open[:len(h.open)-1]
	}
}

// space sets words apart where the page does.
func (h *renderer) space(tag atom.Atom) {
	switch tag {
	case atom.Br, atom.P, atom.Div, atom.Tr, atom.Table, atom.Li, atom.Ul, atom.Ol, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6,
		atom.Hr, atom.Blockquote, atom.Pre, atom.Center, atom.Form, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Dt, atom.Dd, atom.Body, atom.Title:
		h.to.paragraph()
	case atom.Td, atom.Th, atom.Img, atom.Input, atom.Button, atom.Option, atom.Select:
		h.to.gap()
	default:
		h.empty()
	}
}

// end closes the element, and those in it that were not.
func (h *renderer) end() {
	name, _ := h.z.TagName()
	tag := atom.Lookup(name)
	h.facts.Tags++
	switch tag {
	case atom.A:
		h.endAnchor()
	case atom.P, atom.Br:
		h.to.paragraph()
	}
	h.space(tag)
	for i := len(h.open) - 1; i > 0; i-- {
		if h.open[i].tag == tag && tag != 0 {
			h.open = h.open[:i]
			return
		}
		if bounds(h.open[i].tag) && !bounds(tag) {
			return // "</span>" does not end a table
		}
	}
}

// bounds tells elements that an end tag of a small one within does not reach beyond.
func bounds(tag atom.Atom) bool {
	switch tag {
	case atom.Table, atom.Td, atom.Th, atom.Tr, atom.Div, atom.Body, atom.Html, atom.Head, atom.Ul, atom.Ol, atom.Form:
		return true
	}
	return false
}

// meets does what a tag is there for.
func (h *renderer) meets(tag atom.Atom, a *attributes, l look) {
	switch tag {
	case atom.A, atom.Area:
		h.endAnchor()
		h.beginAnchor(a.href, l)
	case atom.Img:
		h.image(a, l)
	case atom.Form:
		h.facts.Forms++
		h.link(a.action, InForm)
	case atom.Input, atom.Button:
		if strings.EqualFold(a.typ, "password") {
			h.facts.Passwords++
		}
		h.link(a.action, InForm)
	case atom.Script:
		h.facts.Scripts++
		h.link(a.src, InScript)
	case atom.Iframe, atom.Frame, atom.Object, atom.Embed, atom.Applet:
		h.facts.Frames++
		h.link(a.src, InScript)
	case atom.Meta:
		if strings.EqualFold(strings.TrimSpace(a.equiv), "refresh") {
			h.facts.Refresh++
			if _, target, ok := cutFold(a.content, "url="); ok {
				h.link(strings.Trim(target, ` '"`), InRefresh)
			}
		}
	}
	if h.facts.Scripts == 0 && strings.Contains(a.href, "script:") {
		h.facts.Scripts++
	}
}

// cutFold is strings.Cut without regard to case.
func cutFold(s, sep string) (before, after string, ok bool) {
	i := strings.Index(strings.ToLower(s), sep)
	if i < 0 || i+len(sep) > len(s) {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func (h *renderer) image(a *attributes, l look) {
	h.facts.Images++
	if s := strings.ToLower(a.src[:min(len(a.src), 8)]); strings.HasPrefix(s, "http") || strings.HasPrefix(s, "//") {
		h.facts.Remote++
		if tiny(a.width) || tiny(a.height) || l.gone {
			h.facts.Tiny++
		}
		h.link(a.src, InImage)
	}
	if a.alt != "" && !l.hidden() {
		h.rd.letter.Invisible += h.to.flow([]byte(a.alt))
		h.to.gap()
	}
}

// tiny tells a width or height of at most two pixels.
func tiny(s string) bool {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(s), "px"))
	return err == nil && n <= 2
}

func (h *renderer) link(target string, where Where) {
	if target != "" {
		if h.within != "" {
			where = InFile
		}
		h.rd.link(target, where)
	}
}

func (h *renderer) beginAnchor(target string, l look) {
	where := InAnchor
	if l.hidden() {
		where = InHidden
	}
	if h.within != "" {
		where = InFile
	}
	h.anchor, h.from = h.rd.link(target, where), len(h.to.b)
}

// endAnchor gives the link its text.
func (h *renderer) endAnchor() {
	if h.anchor > 0 {
		s := h.to.b[min(h.from, len(h.to.b)):]
		h.rd.shown(h.anchor, string(bytes.TrimSpace(s[:min(len(s), maxShown)])))
	}
	h.anchor = 0
}
