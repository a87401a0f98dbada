package message

import "strings"

// The limits of message-ids: how many of a References field count (the last,
// which are the nearest ancestors), and how long one may be, in bytes.
const (
	MaxReferences = 100
	MaxMessageID  = 998
)

// MessageID gives the first message-id of an unfolded value (Message-ID,
// In-Reply-To) as <left@right>, quotes and white space removed so that equal
// ids compare equal (RFC 5256 §4); "" if there is none or it is over
// MaxMessageID. A bare left@right gets its brackets.
func MessageID(value string) string {
	t := tokens{s: value}
	if id, ok := nextID(&t); ok {
		return id
	}
	for word := range strings.FieldsSeq(value) {
		if at := strings.IndexByte(word, '@'); at > 0 && len(word) < MaxMessageID-2 && !strings.ContainsAny(word, `<>"(),`) {
			return "<" + word + ">"
		}
	}
	return ""
}

// References gives the message-ids of a References or In-Reply-To value in
// order, in the form of MessageID: the last MaxReferences of them.
func References(value string) []string {
	var ids []string
	t := tokens{s: value}
	for {
		id, ok := nextID(&t)
		if !ok {
			break
		}
		if len(ids) == 2*MaxReferences {
			ids = append(ids[:0], ids[MaxReferences:]...)
		}
		ids = append(ids, id)
	}
	return ids[max(0, len(ids)-MaxReferences):]
}

// nextID reads on to the end of the next sound message-id.
func nextID(t *tokens) (id string, ok bool) {
	for {
		i := strings.IndexByte(t.s[t.at:], '<')
		if i < 0 {
			t.at = len(t.s)
			return "", false
		}
		t.at += i + 1
		if id := bracketed(t); id != "" && len(id) <= MaxMessageID {
			return id, true
		}
	}
}

// bracketed reads from after "<" to ">". A "<" inside starts anew; it is left
// unread, and the result is "".
func bracketed(t *tokens) string {
	id := []byte{'<'}
	for t.at < len(t.s) {
		switch c := t.s[t.at]; c {
		case '>':
			t.at++
			if len(id) == 1 {
				return ""
			}
			return string(append(id, '>'))
		case '<':
			return ""
		case ' ', '\t', '\r', '\n':
			t.at++
		case '"':
			id = appendID(id, t.quoted())
		default:
			id = appendID(id, t.s[t.at:t.at+1])
			t.at++
		}
	}
	return ""
}

// appendID stops growing a little beyond the limit, which then refuses it.
func appendID(id []byte, s string) []byte {
	return append(id, s[:min(len(s), max(0, MaxMessageID+1-len(id)))]...)
}
