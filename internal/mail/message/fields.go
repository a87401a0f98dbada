package message

import "bytes"

// fieldKind is a header field that the tree is made from.
type fieldKind int

const (
	otherField fieldKind = iota
	contentType
	contentEncoding
	contentID
	contentDescription
	contentMD5
	contentDisposition
	contentLanguage
	contentLocation
	dateField // from here on only in messages
	subjectField
	fromField
	senderField
	replyToField
	toField
	ccField
	bccField
	inReplyToField
	messageIDField
	fieldKinds
)

// mimeFieldBytes is what is kept of a Content-* field, in bytes.
const mimeFieldBytes = 32 << 10

// fieldSet gathers the raw values of the wanted fields while a header streams by.
type fieldSet struct {
	raw     [fieldKinds][]byte
	seen    [fieldKinds]bool
	message bool // envelope fields are wanted
	current fieldKind
	odd     Oddity
}

func (s *fieldSet) reset(message bool) {
	for i := range s.raw {
		s.raw[i] = s.raw[i][:0]
	}
	s.seen = [fieldKinds]bool{}
	s.message, s.current, s.odd = message, otherField, 0
}

// start takes the first line of a field, or the start of it.
func (s *fieldSet) start(line []byte) {
	s.current = otherField
	colon := bytes.IndexByte(line[:min(len(line), 64)], ':')
	if colon < 0 {
		return
	}
	kind := wantedField(line[:colon])
	if kind == otherField || kind >= dateField && !s.message {
		return
	}
	if s.seen[kind] && !joined(kind) {
		if kind == contentType || kind == contentEncoding || kind == contentDisposition {
			s.odd |= DuplicateField
		}
		return
	}
	if s.seen[kind] {
		s.raw[kind] = append(s.raw[kind], ',')
	}
	s.seen[kind], s.current = true, kind
	s.more(line[colon+1:])
}

// more takes what follows in the current field.
func (s *fieldSet) more(line []byte) {
	if s.current == otherField {
		return
	}
	raw := s.raw[s.current]
	if s.current < dateField {
		line = line[:min(len(line), mimeFieldBytes-min(len(raw), mimeFieldBytes))]
	}
	s.raw[s.current] = append(raw, line...)
}

// joined tells of which fields all occurrences count.
func joined(kind fieldKind) bool {
	return kind == toField || kind == ccField || kind == bccField
}

// wantedField looks up a field name of any case, white space before the colon
// allowed (RFC 5322 §4.5).
func wantedField(name []byte) fieldKind {
	var lower [25]byte // "content-transfer-encoding"
	name = bytes.TrimRight(name, " \t")
	if len(name) > len(lower) {
		return otherField
	}
	for i, c := range name {
		lower[i] = lowerByte(c)
	}
	switch string(lower[:len(name)]) {
	case "content-type":
		return contentType
	case "content-transfer-encoding":
		return contentEncoding
	case "content-id":
		return contentID
	case "content-description":
		return contentDescription
	case "content-md5":
		return contentMD5
	case "content-disposition":
		return contentDisposition
	case "content-language":
		return contentLanguage
	case "content-location":
		return contentLocation
	case "date":
		return dateField
	case "subject":
		return subjectField
	case "from":
		return fromField
	case "sender":
		return senderField
	case "reply-to":
		return replyToField
	case "to":
		return toField
	case "cc":
		return ccField
	case "bcc":
		return bccField
	case "in-reply-to":
		return inReplyToField
	case "message-id":
		return messageIDField
	}
	return otherField
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
