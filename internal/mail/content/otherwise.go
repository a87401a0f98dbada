package content

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"

	"facteur/internal/mail/archive"
	"facteur/internal/mail/message"
)

// Other readings of a letter (draft-chen-email-mime-ambiguity-defense): where
// message.Parse had to choose, what it did not choose is looked at as well.

// ambiguous are the oddities after which parts may be cut in another way.
const ambiguous = message.DuplicateField | message.DuplicateParam | message.BadType | message.BadBoundary | message.LongBoundary | message.SameBoundary |
	message.Unterminated | message.BadEncoding

// Bounds of what other readings may cost.
const (
	maxElsewhere      = 8 << 20 // bytes of the letter that are cut in another way
	maxElsewhereParts = 200
	maxDecodings      = 8       // times that a part is decoded in another way
	maxDecoded        = 4 << 20 // bytes of each
)

// otherwise cuts the letter at every line that any program could take for a delimiter:
// it starts with "--", and fields of a part stand behind it. Without oddities only what
// stands between the parts is looked at: before the first and after the last.
func (rd *reader) otherwise(root *message.Part) {
	rd.elsewhere = true
	defer func() { rd.elsewhere = false }()
	if rd.letter.Odd&ambiguous != 0 {
		raw := readUpTo(io.NewSectionReader(rd.r, root.Body, root.End-root.Body), maxElsewhere)
		rd.cut(raw, root)
		return
	}
	stack := []*message.Part{root}
	for spent := int64(0); len(stack) > 0 && spent < maxElsewhere; {
		p := stack[len(stack)-1]
		stack = append(stack[:len(stack)-1], p.Children...)
		if !p.Multipart() || len(p.Children) == 0 {
			continue
		}
		for _, gap := range [][2]int64{{p.Body, p.Children[0].Header}, {p.Children[len(p.Children)-1].End, p.End}} {
			if n := gap[1] - gap[0]; n > 200 { // a delimiter is shorter
				raw := readUpTo(io.NewSectionReader(rd.r, gap[0], n), maxElsewhere-spent)
				spent += int64(len(raw))
				rd.cut(raw, nil)
			}
		}
	}
}

// cut reads the pieces of raw bytes. root is what they are in the reading that was chosen,
// to leave out what was seen there.
func (rd *reader) cut(raw []byte, root *message.Part) {
	starts := map[int64]bool{}
	if root != nil {
		bodies(root, starts, root.Body)
	}
	parts := 0
	for at := 0; at < len(raw) && parts < maxElsewhereParts; {
		line := at
		end := bytes.IndexByte(raw[at:], '\n')
		if end < 0 {
			break
		}
		at += end + 1
		if !bytes.HasPrefix(raw[line:], []byte("--")) || !fieldsAt(raw[at:]) {
			continue
		}
		parts++
		piece := raw[at:nextDelimiter(raw, at)]
		body := int64(at + message.HeaderEnd(piece))
		if !starts[body] {
			rd.piece(piece)
		}
	}
}

// bodies notes where bodies of parts start, without recursion.
func bodies(root *message.Part, starts map[int64]bool, origin int64) {
	stack := []*message.Part{root}
	for len(stack) > 0 && len(starts) < 10_000 {
		p := stack[len(stack)-1]
		stack = append(stack[:len(stack)-1], p.Children...)
		if len(p.Children) == 0 && p.Odd == 0 {
			starts[p.Body-origin] = true
		}
	}
}

// fieldsAt tells whether fields of a part stand here.
func fieldsAt(b []byte) bool { return len(b) > 8 && strings.EqualFold(string(b[:8]), "content-") }

// nextDelimiter is where the piece that starts at an offset ends.
func nextDelimiter(raw []byte, at int) int {
	for i := at; ; {
		n := bytes.Index(raw[i:], []byte("\n--"))
		if n < 0 {
			return len(raw)
		}
		i += n + 1
		end := bytes.IndexByte(raw[i:], '\n')
		if end < 0 || fieldsAt(raw[i+end+1:]) || bytes.HasSuffix(bytes.TrimRight(raw[i:i+end], "\r \t"), []byte("--")) {
			return i
		}
	}
}

// piece reads bytes as a part of their own.
func (rd *reader) piece(raw []byte) {
	saved := rd.r
	rd.r = bytes.NewReader(raw)
	rd.leaves(message.ParseBytes(raw, message.Limits{Depth: 10, Parts: 100}))
	rd.r = saved
}

func (rd *reader) leaves(root *message.Part) {
	stack := []*message.Part{root}
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = append(stack[:len(stack)-1], p.Children...)
		if len(p.Children) == 0 {
			rd.leaf(node{part: p})
		}
	}
}

// decodings looks at a part's other readings: by the second of two fields, by an encoding
// that is meant though it is not named so, by base64 that ends early for some.
func (rd *reader) decodings(n node) {
	if rd.decoded >= maxDecodings {
		return
	}
	was := rd.elsewhere
	rd.elsewhere = true
	defer func() { rd.elsewhere = was }()
	if n.part.Odd&message.DuplicateField != 0 {
		rd.secondFields(n)
	}
	if n.part.Odd&message.BadEncoding != 0 {
		rd.meant(n)
	}
	if n.part.Encoding == "base64" {
		rd.padded(n)
	}
}

// fields are lines of a part's header, for other readings of it.
type fields struct{ types, encodings, dispositions [][]byte }

func (rd *reader) fields(p *message.Part) (fs fields) {
	header := readUpTo(io.NewSectionReader(rd.r, p.Header, p.Body-p.Header), 64<<10)
	for f := range message.Header(header).Fields() {
		line := bytes.TrimRight(header[f.Start:f.End], "\r\n")
		switch {
		case f.Is("Content-Type"):
			fs.types = append(fs.types, line)
		case f.Is("Content-Transfer-Encoding"):
			fs.encodings = append(fs.encodings, line)
		case f.Is("Content-Disposition"):
			fs.dispositions = append(fs.dispositions, line)
		}
	}
	return fs
}

// secondFields reads a part by those of its fields that were not taken.
func (rd *reader) secondFields(n node) {
	fs := rd.fields(n.part)
	body := readUpTo(n.part.Raw(rd.r), maxDecoded)
	for i, t := range first(fs.types, 3) {
		for j, e := range first(fs.encodings, 3) {
			if i+j > 0 && rd.decoded < maxDecodings {
				rd.whole(body, t, e, first(fs.dispositions, 1)[0])
			}
		}
	}
}

// first gives at most n, and at least one that is empty.
func first(list [][]byte, n int) [][]byte {
	if len(list) == 0 {
		return [][]byte{nil}
	}
	return list[:min(len(list), n)]
}

// whole reads bytes as a part with these fields, and in no other way again.
func (rd *reader) whole(body []byte, fields ...[]byte) {
	var raw []byte
	for _, f := range fields {
		if len(f) > 0 {
			raw = append(append(raw, f...), "\r\n"...)
		}
	}
	if fields != nil {
		raw = append(raw, "\r\n"...)
	}
	before := rd.decoded + 1
	rd.decoded = maxDecodings
	rd.piece(append(raw, body...))
	rd.decoded = before
}

// meant decodes a part whose encoding is unknown, or one that must not have any, by what
// it looks like.
func (rd *reader) meant(n node) {
	raw := readUpTo(n.part.Raw(rd.r), maxDecoded)
	encoding := "quoted-printable"
	switch {
	case looksBase64(raw):
		encoding = "base64"
	case !bytes.Contains(raw, []byte("=3D")) && !bytes.Contains(raw, []byte("=20")) && !bytes.Contains(raw, []byte("=\r\n")):
		return
	}
	decoded := readUpTo(message.DecodeTransfer(encoding, bytes.NewReader(raw)), maxDecoded)
	if n.part.Message() {
		rd.whole(decoded)
		return
	}
	fs := rd.fields(n.part)
	rd.whole(decoded, first(fs.types, 1)[0], first(fs.dispositions, 1)[0])
}

// looksBase64 tells whether the first lines are nothing else.
func looksBase64(raw []byte) bool {
	raw = bytes.TrimSpace(raw[:min(len(raw), 512)])
	n := 0
	for _, c := range raw {
		switch {
		case isLetter(c), isDigit(c), c == '+', c == '/', c == '=':
			n++
		case c != '\r' && c != '\n':
			return false
		}
	}
	return n >= 40
}

// padded reads base64 as programs do that stop at the first "=", and as those that take
// no notice of it.
func (rd *reader) padded(n node) {
	head := readUpTo(n.part.Raw(rd.r), 2*sniffBytes)
	at := bytes.IndexByte(head, '=')
	if at < 0 || len(bytes.Trim(head[at:], "=\r\n \t")) == 0 {
		return
	}
	rd.decoded++
	all := readUpTo(n.part.Raw(rd.r), maxDecoded)
	kept := bytes.Map(func(r rune) rune {
		if r < 0x80 && (isLetter(byte(r)) || isDigit(byte(r)) || r == '+' || r == '/') {
			return r
		}
		return -1
	}, all)
	joined := make([]byte, base64.RawStdEncoding.DecodedLen(len(kept)))
	m, _ := base64.RawStdEncoding.Decode(joined, kept[:len(kept)/4*4])
	f := archive.File{}
	if f.Sniff(joined[:min(m, sniffBytes)]); f.Kind != archive.Text && f.Kind != archive.Other {
		rd.file(n.part, node{}, archive.File{Name: archive.Clean(n.part.FileName()), Real: f.Real, Kind: f.Kind}, joined[:m], func() io.Reader { return bytes.NewReader(joined[:m]) })
	}
}
