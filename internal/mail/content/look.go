package content

import (
	"math"
	"strconv"
	"strings"

	"golang.org/x/net/html/atom"
)

// look is how text within an element is seen.
type look struct {
	gone       bool // not displayed, of no size, or out of the screen
	small      bool // of a size that nobody reads
	ink, paper color
}

// color is 0xRRGGBB, or one of these.
type color int32

const (
	unknown     color = -1 // behind it is a picture, or what we can't read
	transparent color = -2
	unset       color = -3
)

var plainLook = look{ink: 0x000000, paper: 0xffffff}

func (l look) hidden() bool {
	return l.gone || l.small || l.ink == transparent || l.ink >= 0 && l.paper >= 0 && near(l.ink, l.paper)
}

// near tells colours that an eye does not part.
func near(a, b color) bool {
	const little = 10
	for shift := 0; shift <= 16; shift += 8 {
		if d := (a>>shift)&0xff - (b>>shift)&0xff; d > little || d < -little {
			return false
		}
	}
	return true
}

// inside is the look within an element, by its attributes and the style sheet.
func (l look) inside(tag atom.Atom, a *attributes, s *sheet) look {
	switch tag {
	case atom.Head, atom.Script, atom.Style, atom.Template:
		l.gone = true
		return l
	}
	var st style
	st.ink, st.paper = unset, unset
	if tag == atom.Font || tag == atom.Body {
		st.ink = parseColor(a.color)
	}
	if a.bgcolor != "" {
		st.paper = parseColor(a.bgcolor)
	}
	if a.background {
		st.paper = unknown
	}
	s.apply(&st, tag, a)
	if a.style != "" {
		st.read(a.style)
	}
	return l.with(&st, a.hidden)
}

func (l look) with(st *style, hidden bool) look {
	l.gone = l.gone || hidden || st.gone()
	if st.visible && !st.gone() {
		l.gone = false
	}
	if st.size != 0 {
		l.small = st.size == sizeTiny
	}
	if st.ink != unset {
		l.ink = st.ink
	}
	if st.paper != unset && st.paper != transparent {
		l.paper = st.paper
	}
	return l
}

// sizes of text.
const (
	sizeTiny = 1 + iota
	sizeRead
)

// style is what declarations say about being seen.
type style struct {
	none, invisible, noHeight, noWidth, clipped, away, faint bool
	visible                                                  bool // "visibility: visible" ends what an outer element says
	size                                                     int
	ink, paper                                               color
}

func (st *style) gone() bool {
	return st.none || st.invisible || st.away || st.faint || st.clipped && (st.noHeight || st.noWidth)
}

// read takes declarations: "display:none; color:#fff".
func (st *style) read(s string) {
	for n := 0; s != "" && n < 64; n++ {
		var decl string
		decl, s, _ = strings.Cut(s, ";")
		name, value, ok := strings.Cut(decl, ":")
		if ok {
			st.declare(lower(strings.TrimSpace(name)), value)
		}
	}
}

// lower is strings.ToLower that most often has nothing to do.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' || s[i] >= 0x80 {
			return strings.ToLower(s)
		}
	}
	return s
}

func (st *style) declare(name, value string) {
	switch name {
	case "display", "visibility", "font-size", "font", "opacity", "color", "background", "background-color", "max-height", "height", "line-height",
		"max-width", "width", "overflow", "text-indent", "left", "top", "margin-left", "margin-top", "transform", "clip", "background-image":
	default:
		return
	}
	v := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(lower(value)), "!important"))
	switch name {
	case "display":
		st.none = v == "none"
	case "visibility":
		st.invisible, st.visible = v == "hidden" || v == "collapse", v == "visible"
	case "font-size":
		st.fontSize(v)
	case "font":
		for _, w := range strings.Fields(v) {
			if w, _, _ = strings.Cut(w, "/"); w != "" && (isDigit(w[0]) || w[0] == '.') && !weight(w) {
				st.fontSize(w)
			}
		}
	case "opacity":
		n, err := strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64)
		st.faint = err == nil && n < 0.1
	case "color":
		st.ink = parseColor(v)
	case "background", "background-color", "background-image":
		st.background(name, v)
	case "max-height", "height":
		st.noHeight = st.noHeight || zero(v)
	case "max-width", "width":
		st.noWidth = st.noWidth || zero(v)
	case "overflow":
		st.clipped = v == "hidden"
	case "text-indent", "left", "top", "margin-left", "margin-top":
		st.away = st.away || pixels(v) < -400
	case "transform":
		st.away = st.away || strings.HasPrefix(v, "scale(0)")
	case "clip":
		st.away = st.away || strings.HasPrefix(v, "rect(0") && !strings.Contains(v, "auto")
	}
}

// weight tells the numbers of "font" that are no sizes.
func weight(w string) bool {
	n, err := strconv.Atoi(w)
	return err == nil && n >= 100 && n%100 == 0
}

func (st *style) fontSize(v string) {
	switch n := pixels(v); {
	case math.IsNaN(n):
	case n <= 2:
		st.size = sizeTiny
	default:
		st.size = sizeRead
	}
}

func (st *style) background(name, v string) {
	if strings.Contains(v, "url(") || strings.Contains(v, "gradient") {
		st.paper = unknown
		return
	}
	if name == "background-image" {
		return
	}
	if c := parseColor(v); c >= 0 || name == "background-color" {
		st.paper = c
		return
	}
	for _, w := range strings.Fields(v) {
		if c := parseColor(w); c >= 0 {
			st.paper = c
		}
	}
}

func zero(v string) bool { return pixels(v) == 0 }

// pixels is a length, roughly; NaN if it can't be told.
func pixels(v string) float64 {
	end := 0
	for end < len(v) && (isDigit(v[end]) || v[end] == '.' || v[end] == '-' || v[end] == '+') {
		end++
	}
	n, err := strconv.ParseFloat(v[:end], 64)
	if err != nil {
		return math.NaN()
	}
	switch strings.TrimSpace(v[end:]) {
	case "", "px", "pt":
		return n
	case "em", "rem", "vw", "vh":
		return n * 14
	case "%":
		return n / 7
	}
	return math.NaN()
}

// parseColor reads what CSS and HTML have for one.
func parseColor(s string) color {
	s = strings.TrimSpace(lower(s))
	if s == "" {
		return unset
	}
	if c, ok := namedColor(s); ok {
		return c
	}
	if strings.HasPrefix(s, "rgb") {
		return functional(s)
	}
	hex := strings.TrimPrefix(s, "#")
	n, err := strconv.ParseUint(hex, 16, 32)
	switch {
	case err != nil:
		return unknown
	case len(hex) == 3:
		return color((n>>8)*0x110000 | (n>>4&15)*0x1100 | (n&15)*0x11)
	case len(hex) == 6:
		return color(n)
	}
	return unknown
}

// functional reads rgb(1, 2, 3) and rgba(1, 2, 3, 0).
func functional(s string) color {
	_, args, _ := strings.Cut(s, "(")
	args = strings.TrimRight(args, ") ")
	fields := strings.FieldsFunc(args, func(r rune) bool { return r == ',' || r == ' ' || r == '/' })
	if len(fields) < 3 {
		return unknown
	}
	var c color
	for _, f := range fields[:3] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return unknown
		}
		c = c<<8 | color(max(0, min(n, 255)))
	}
	if len(fields) > 3 {
		if alpha, err := strconv.ParseFloat(strings.TrimSuffix(fields[3], "%"), 64); err == nil && alpha < 0.1 {
			return transparent
		}
	}
	return c
}

// namedColor knows the names that letters use.
func namedColor(s string) (color, bool) {
	switch s {
	case "white":
		return 0xffffff, true
	case "black", "windowtext":
		return 0x000000, true
	case "red":
		return 0xff0000, true
	case "green":
		return 0x008000, true
	case "blue":
		return 0x0000ff, true
	case "yellow":
		return 0xffff00, true
	case "gray", "grey":
		return 0x808080, true
	case "silver":
		return 0xc0c0c0, true
	case "navy":
		return 0x000080, true
	case "maroon":
		return 0x800000, true
	case "purple":
		return 0x800080, true
	case "orange":
		return 0xffa500, true
	case "teal":
		return 0x008080, true
	case "lime":
		return 0x00ff00, true
	case "aqua", "cyan":
		return 0x00ffff, true
	case "snow":
		return 0xfffafa, true
	case "ivory":
		return 0xfffff0, true
	case "whitesmoke":
		return 0xf5f5f5, true
	case "transparent":
		return transparent, true
	case "inherit", "currentcolor", "initial", "unset", "none", "auto":
		return unset, true
	}
	return 0, false
}
