package message

import (
	"bytes"
	"io"
	"strings"
)

var (
	lf     = []byte("\n")
	dashes = []byte("\n--")
)

// The lengths of boundaries, in bytes: what RFC 2046 §5.1.1 allows and what we
// put up with.
const (
	standardBoundary = 70
	longestBoundary  = 2048
)

// Parse reads a message to its end and tells its structure. Whatever the bytes
// are, it gives a tree; an error is the reader's own (never io.EOF), with the
// tree of what was read before it. It reads in one pass through a window of 32
// KiB and keeps only what the tree holds.
func Parse(r io.Reader, limits Limits) (*Part, error) {
	p := parser{src: newSource(r), limits: limits.withDefaults()}
	root := p.parse()
	if p.src.err != io.EOF {
		return root, p.src.err
	}
	return root, nil
}

// ParseBytes is Parse of a message in memory, and gives the same. The tree keeps
// nothing of b.
func ParseBytes(b []byte, limits Limits) *Part {
	p := parser{src: sourceOf(b), limits: limits.withDefaults()}
	return p.parse()
}

// parser is the state of one Parse: a stack of open parts instead of recursion.
type parser struct {
	src    source
	limits Limits
	open   []frame // from the root to the part being read
	parts  int
	frozen bool // the part limit is reached: no more delimiters
	fields fieldSet
	// totals over all headers
	headerBytes, addresses int
}

// frame is an open part.
type frame struct {
	part *Part
	// boundary is what delimits the children; "" when not a multipart or after
	// the closing delimiter.
	boundary string
	// lines is the source's line count where the body starts.
	lines int64
}

// parse runs the machine: read a header, then either go into the part or skip
// to the delimiter that ends it.
func (p *parser) parse() *Part {
	root := &Part{Envelope: &Envelope{}}
	part, digest := root, false
	for part != nil {
		p.enter(part)
		p.readHeader(part, digest)
		p.open[len(p.open)-1].lines = p.src.lines
		digest = false
		if inner := p.message(part); inner != nil {
			part = inner
			continue
		}
		p.openMultipart(part)
		part, digest = p.nextSibling()
	}
	p.finish()
	return root
}

// enter makes part the one being read.
func (p *parser) enter(part *Part) {
	p.parts++
	p.open = append(p.open, frame{part: part})
}

// message opens the message inside a message/rfc822.
func (p *parser) message(part *Part) *Part {
	if !part.Message() {
		return nil
	}
	if !p.mayNest(part) {
		return nil
	}
	inner := &Part{Envelope: &Envelope{}}
	part.Children = []*Part{inner}
	return inner
}

// mayNest checks the limits; a part that may not be looked into becomes opaque.
func (p *parser) mayNest(part *Part) bool {
	switch {
	case len(p.open) > p.limits.Depth:
		part.Odd |= DepthLimit
	case p.parts >= p.limits.Parts:
		part.Odd |= PartLimit
	default:
		return true
	}
	part.Type, part.Subtype = "application", "octet-stream"
	return false
}

// openMultipart starts to look for the boundary of a multipart.
func (p *parser) openMultipart(part *Part) {
	if !part.Multipart() {
		return
	}
	boundary := strings.TrimRight(part.Param("boundary"), " \t\r\n")
	if boundary == "" || len(boundary) > longestBoundary {
		part.Odd |= BadBoundary
		return
	}
	if !p.mayNest(part) {
		return
	}
	if len(boundary) > standardBoundary {
		part.Odd |= LongBoundary
	}
	for _, f := range p.open {
		if f.boundary == boundary {
			part.Odd |= SameBoundary
		}
	}
	p.open[len(p.open)-1].boundary = boundary
}

// nextSibling skips to the next delimiter that opens a part, and closes what it
// ends. It gives nil at the end of the message.
func (p *parser) nextSibling() (part *Part, digest bool) {
	for {
		level, last, ok := p.nextDelimiter()
		if !ok {
			return nil, false
		}
		p.closeAbove(level)
		line, _ := p.src.line()
		p.src.skip(len(line))
		owner := &p.open[level]
		switch {
		case last:
			owner.boundary = ""
		case p.parts >= p.limits.Parts:
			owner.part.Odd |= PartLimit
			p.frozen = true
		default:
			part = &Part{}
			owner.part.Children = append(owner.part.Children, part)
			return part, owner.part.Subtype == "digest"
		}
	}
}

// nextDelimiter skips to the next line that is a delimiter of an open multipart
// and leaves it unread.
func (p *parser) nextDelimiter() (level int, last, ok bool) {
	if p.frozen || !p.delimited() {
		p.src.skipAll()
		return 0, false, false
	}
	for p.src.skipToDashes() {
		line, whole := p.src.line()
		if whole {
			if level, last, ok = p.delimiter(line); ok {
				return level, last, true
			}
		}
		p.src.skip(2)
	}
	return 0, false, false
}

// delimited tells whether any boundary is being looked for.
func (p *parser) delimited() bool {
	for i := range p.open {
		if p.open[i].boundary != "" {
			return true
		}
	}
	return false
}

// delimiter tells which open multipart a whole line delimits, the innermost
// first. The line must be exactly "--", the boundary, "--" for the last, and
// white space: so a boundary that starts another is never taken for it.
func (p *parser) delimiter(line []byte) (level int, last, ok bool) {
	if p.frozen || !bytes.HasPrefix(line, dashes[1:]) {
		return 0, false, false
	}
	line = bytes.TrimRight(line[2:], " \t\r\n")
	for i := len(p.open) - 1; i >= 0; i-- {
		boundary := p.open[i].boundary
		switch {
		case boundary == "":
		case string(line) == boundary:
			return i, false, true
		case len(line) == len(boundary)+2 && line[len(boundary)] == '-' && line[len(boundary)+1] == '-' && string(line[:len(boundary)]) == boundary:
			return i, true, true
		}
	}
	return 0, false, false
}

// closeAbove ends the parts inside the multipart at level, at the line end
// before the delimiter that starts here. An enclosing multipart's delimiter
// ends inner multiparts too (RFC 2046 §5.1.2).
func (p *parser) closeAbove(level int) {
	end, lines := p.src.offset()-int64(p.src.eol), p.src.lines
	if p.src.eol > 0 {
		lines--
	}
	for len(p.open)-1 > level {
		f := &p.open[len(p.open)-1]
		if f.part.Body > end {
			// Nothing between the header and the delimiter: there the line end
			// ends the header. What encloses it ends no earlier.
			end, lines = p.src.offset(), p.src.lines
		}
		p.closeTop(end, lines)
	}
}

// finish ends all open parts at the end of the message.
func (p *parser) finish() {
	for len(p.open) > 0 {
		p.closeTop(p.src.offset(), p.src.lines)
	}
}

func (p *parser) closeTop(end, lines int64) {
	f := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	f.part.End = end
	f.part.Lines = lines - f.lines
	if f.boundary != "" {
		f.part.Odd |= Unterminated
	}
}

// readHeader reads a part's header up to its empty line, a delimiter or the
// end, and fills in what it says.
func (p *parser) readHeader(part *Part, digest bool) {
	part.Header = p.src.offset()
	p.fields.reset(part.Envelope != nil)
	budget := min(p.limits.HeaderBytes, p.limits.TotalHeaderBytes-p.headerBytes)
	left := budget
	for count := 0; ; {
		line, whole := p.src.line()
		if n := emptyLine(line); n > 0 || len(line) == 0 {
			p.src.skip(n)
			break
		}
		if _, _, ok := p.delimiter(line); ok && whole {
			break
		}
		if !isWSP(line[0]) {
			if count++; count > p.limits.Fields {
				left = 0
			}
			p.fields.start(line[:min(len(line), left)])
		} else {
			p.fields.more(line[:min(len(line), left)])
		}
		left -= p.skipLine(line, whole, left)
		if left == 0 {
			part.Odd |= HeaderLimit
		}
	}
	p.headerBytes += budget - left
	part.Body = p.src.offset()
	p.interpret(part, digest)
}

// skipLine goes to the end of a header line, whose start was looked at, and
// adds the rest of it to its field. It gives how much of the budget was used.
func (p *parser) skipLine(line []byte, whole bool, left int) (used int) {
	for {
		used = min(used+len(line), left)
		p.src.skip(len(line))
		if whole {
			return used
		}
		line, whole = p.src.line()
		p.fields.more(line[:min(len(line), left-used)])
	}
}

func isWSP(c byte) bool { return c == ' ' || c == '\t' }
