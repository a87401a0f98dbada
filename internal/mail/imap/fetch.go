package imap

import "strings"

// Fetch is FETCH (RFC 9051 §6.4.5), macros resolved.
type Fetch struct {
	Set   SequenceSet
	Items []FetchItem
	Page  *Page // of PARTIAL (RFC 9394 §3.3): of the messages in Set, by position
	Changed
}

// FetchKind is what a FetchItem asks for.
type FetchKind uint8

// The data items of RFC 9051 §6.4.5 and RFC 3501 §6.4.5.
const (
	FetchUID FetchKind = iota
	FetchFlags
	FetchInternalDate
	FetchSize
	FetchEnvelope
	FetchBody          // BODY
	FetchBodyStructure // BODYSTRUCTURE
	FetchModSeq        // MODSEQ (RFC 7162 §3.1.4.2)
	FetchPreview       // PREVIEW (RFC 8970)
	FetchEmailID       // EMAILID (RFC 8474 §5)
	FetchThreadID      // THREADID
	FetchSaveDate      // SAVEDATE (RFC 8514 §4.2)
	FetchBinary        // BINARY[…] (RFC 3516 §4.2)
	FetchBinarySize    // BINARY.SIZE[…]
	FetchSection       // BODY[…] and the old names RFC822, RFC822.HEADER, RFC822.TEXT
)

// FetchItem is one data item.
type FetchItem struct {
	Kind    FetchKind
	Name    string // how the response names it, without section and partial
	Section Section
	Partial *Partial
	Peek    bool // does not set \Seen
	Lazy    bool // PREVIEW only if it is at hand
}

// SectionText is the part specifier at the end of a section.
type SectionText uint8

// The part specifiers of RFC 9051 §6.4.5.1.
const (
	SectionAll SectionText = iota
	SectionHeader
	SectionFields    // HEADER.FIELDS
	SectionFieldsNot // HEADER.FIELDS.NOT
	SectionBody      // TEXT
	SectionMIME
)

// Section is what stands in the brackets of BODY[…].
type Section struct {
	Path   []uint32 // part numbers, none for the message itself
	Text   SectionText
	Fields []string // names of header fields, as the client wrote them
}

// Partial is <Offset.Count>, in octets.
type Partial struct{ Offset, Count int64 }

const (
	maxItems  = 200  // data items in one FETCH
	maxPath   = 100  // numbers in a section; no message that we parse is deeper
	maxFields = 1000 // names in HEADER.FIELDS
)

func (d *Decoder) fetch() any {
	f := Fetch{Set: d.sequenceSet()}
	d.space()
	if d.peek() != '(' {
		f.Items = d.macro()
		d.fetchModifiers(&f)
		return f
	}
	d.list(func() {
		if f.Items = append(f.Items, d.fetchItem()); len(f.Items) > maxItems && d.err == nil {
			d.err = &LimitError{"Too many data items"}
		}
	})
	if len(f.Items) == 0 {
		d.fail("FETCH of nothing")
	}
	d.fetchModifiers(&f)
	return f
}

// fetchModifiers reads what may stand behind the data items (RFC 4466 §2.4).
func (d *Decoder) fetchModifiers(f *Fetch) {
	if len(d.line)-d.pos < 2 || !d.accept(' ') {
		return
	}
	d.list(func() {
		switch w := d.word(); {
		case w == "PARTIAL" && f.Page == nil:
			d.space()
			p := d.page()
			f.Page = &p
		case !d.changed(w, &f.Changed):
			d.fail("Unknown modifier of FETCH: %s", clip(w))
		}
	})
	if f.Vanished && !f.Given {
		d.fail("VANISHED needs CHANGEDSINCE")
	}
}

// macro reads ALL, FAST, FULL or a single item.
func (d *Decoder) macro() []FetchItem {
	fast := []FetchItem{
		{Kind: FetchFlags, Name: "FLAGS"},
		{Kind: FetchInternalDate, Name: "INTERNALDATE"},
		{Kind: FetchSize, Name: "RFC822.SIZE"},
	}
	envelope := FetchItem{Kind: FetchEnvelope, Name: "ENVELOPE"}
	switch {
	case d.acceptWord("FAST"):
		return fast
	case d.acceptWord("ALL"):
		return append(fast, envelope)
	case d.acceptWord("FULL"):
		return append(fast, envelope, FetchItem{Kind: FetchBody, Name: "BODY"})
	}
	return []FetchItem{d.fetchItem()}
}

func (d *Decoder) fetchItem() FetchItem {
	name := strings.ToUpper(d.run("a data item", func(c byte) bool { return isAtomChar(c) && c != '[' }))
	it := FetchItem{Name: name}
	switch name {
	case "UID":
		it.Kind = FetchUID
	case "FLAGS":
		it.Kind = FetchFlags
	case "MODSEQ":
		it.Kind = FetchModSeq
	case "INTERNALDATE":
		it.Kind = FetchInternalDate
	case "RFC822.SIZE":
		it.Kind = FetchSize
	case "ENVELOPE":
		it.Kind = FetchEnvelope
	case "BODYSTRUCTURE":
		it.Kind = FetchBodyStructure
	case "PREVIEW":
		it.Kind = FetchPreview
		d.previewModifiers(&it)
	case "EMAILID":
		it.Kind = FetchEmailID
	case "THREADID":
		it.Kind = FetchThreadID
	case "SAVEDATE":
		it.Kind = FetchSaveDate
	case "BINARY", "BINARY.PEEK", "BINARY.SIZE":
		d.binary(&it)
	case "RFC822":
		it.Kind = FetchSection
	case "RFC822.HEADER":
		it.Kind, it.Section.Text, it.Peek = FetchSection, SectionHeader, true
	case "RFC822.TEXT":
		it.Kind, it.Section.Text = FetchSection, SectionBody
	case "BODY", "BODY.PEEK":
		d.bracketed(&it)
	default:
		d.fail("Unknown data item %s", clip(name))
	}
	return it
}

// bracketed reads BODY, and BODY[…] with its partial.
func (d *Decoder) bracketed(it *FetchItem) {
	if it.Name == "BODY" && d.peek() != '[' {
		it.Kind = FetchBody
		return
	}
	it.Kind, it.Peek, it.Name = FetchSection, it.Name != "BODY", "BODY"
	d.expect('[')
	it.Section = d.section()
	d.expect(']')
	if d.peek() == '<' {
		it.Partial = d.partial()
	}
}

// previewModifiers reads the (LAZY) that may follow PREVIEW (RFC 8970 §3.1).
func (d *Decoder) previewModifiers(it *FetchItem) {
	if !d.ahead(" (") {
		return
	}
	d.space()
	d.list(func() {
		if it.Lazy = d.acceptWord("LAZY"); !it.Lazy {
			d.fail("Unknown modifier of PREVIEW")
		}
	})
	if !it.Lazy {
		d.fail("No modifier of PREVIEW")
	}
}

// binary reads BINARY[…] with its partial, and BINARY.SIZE[…]: sections of part
// numbers only (RFC 3516 §7).
func (d *Decoder) binary(it *FetchItem) {
	it.Kind, it.Peek = FetchBinary, it.Name == "BINARY.PEEK"
	if it.Name == "BINARY.SIZE" {
		it.Kind = FetchBinarySize
	} else {
		it.Name = "BINARY"
	}
	d.expect('[')
	it.Section = d.section()
	d.expect(']')
	if it.Section.Text != SectionAll {
		d.fail("BINARY takes part numbers only")
	}
	if it.Kind == FetchBinary && d.peek() == '<' {
		it.Partial = d.partial()
	}
}

// section reads what is between the brackets.
func (d *Decoder) section() Section {
	var s Section
	for c := d.peek(); c >= '0' && c <= '9'; c = d.peek() {
		if s.Path = append(s.Path, d.positive()); len(s.Path) > maxPath && d.err == nil {
			d.err = &LimitError{"Section too deep"}
		}
		if !d.accept('.') {
			return s
		}
		if d.peek() == ']' {
			d.fail("Section ends in a dot")
		}
	}
	if d.peek() != ']' {
		d.sectionText(&s)
	}
	return s
}

func (d *Decoder) sectionText(s *Section) {
	word := strings.ToUpper(d.run("a section", func(c byte) bool { return isAtomChar(c) }))
	switch {
	case word == "HEADER":
		s.Text = SectionHeader
	case word == "TEXT":
		s.Text = SectionBody
	case word == "MIME" && len(s.Path) > 0:
		s.Text = SectionMIME
	case word == "HEADER.FIELDS" || word == "HEADER.FIELDS.NOT":
		s.Text = SectionFields
		if strings.HasSuffix(word, "NOT") {
			s.Text = SectionFieldsNot
		}
		d.space()
		d.list(func() {
			if s.Fields = append(s.Fields, d.astring()); len(s.Fields) > maxFields && d.err == nil {
				d.err = &LimitError{"Too many header fields"}
			}
		})
		if len(s.Fields) == 0 {
			d.fail("No header fields named")
		}
	default:
		d.fail("Unknown section %s", clip(word))
	}
}

// partial reads <offset.count>; both have 63 bits (ATTACKS IMAP-007).
func (d *Decoder) partial() *Partial {
	d.expect('<')
	p := Partial{Offset: d.number()}
	d.expect('.')
	if p.Count = d.number(); p.Count == 0 {
		d.fail("Partial of nothing")
	}
	d.expect('>')
	return &p
}

// AppendItem appends the name of an item as FETCH responses have it: with its
// section and the offset of its partial.
func AppendItem(b []byte, it FetchItem) []byte {
	f := form{b: b}.raw(it.Name)
	switch {
	case it.Kind == FetchBinary, it.Kind == FetchBinarySize, it.Kind == FetchSection && it.Name == "BODY":
		f = f.raw("[").section(it.Section).raw("]")
	}
	if it.Partial != nil {
		f = f.raw("<").number(it.Partial.Offset).raw(">")
	}
	return f.b
}

func (f form) section(s Section) form {
	for i, n := range s.Path {
		if i > 0 {
			f = f.raw(".")
		}
		f = f.number(int64(n))
	}
	if s.Text == SectionAll {
		return f
	}
	if len(s.Path) > 0 {
		f = f.raw(".")
	}
	f = f.raw([...]string{"", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"}[s.Text])
	if s.Fields == nil {
		return f
	}
	f = f.raw(" (")
	for i, name := range s.Fields {
		if i > 0 {
			f = f.raw(" ")
		}
		f = f.astring(name)
	}
	return f.raw(")")
}
