package journey

import (
	"strings"
	"time"

	"facteur/internal/base/event"
)

// The most bytes of a value. Longer ones end in "...".
const (
	wordMax     = 320 // a name, an address (RFC 5321: 254), a Message-Id
	replyMax    = 1 << 10
	sentenceMax = 2 << 10
	// recipientsMax is how many recipients one line names. Each recipient of a
	// message has steps of its own later, so that he is found all the same.
	recipientsMax = 20
	// tableMax is how many lines of a table are kept.
	tableMax = 30
)

const timeForm = "2006-01-02T15:04:05.000000Z"

// appendStep appends the line of a step. The order of the keys is that of the
// package doc; Search relies on t, item, related and session coming first.
func appendStep(b []byte, now time.Time, s *event.Step) []byte {
	b = append(b, `{"t":"`...)
	b = now.UTC().AppendFormat(b, timeForm)
	b = append(b, '"')
	b = appendField(b, "item", s.Item, wordMax)
	b = appendField(b, "related", s.Related, wordMax)
	b = appendField(b, "session", s.Session, wordMax)
	b = appendField(b, "kind", string(s.Kind), wordMax)
	b = appendField(b, "service", s.Service, wordMax)
	if s.Client.Addr.IsValid() {
		b = append(b, `,"addr":"`...)
		b = append(s.Client.Addr.Unmap().WithZone("").AppendTo(b), '"')
	}
	b = appendField(b, "name", s.Client.Name, wordMax)
	b = appendField(b, "helo", s.Helo, wordMax)
	b = appendField(b, "account", s.Account, wordMax)
	b = appendField(b, "from", s.Sender, wordMax)
	b = appendList(b, "to", s.Recipients, recipientsMax)
	b = appendField(b, "msgid", s.MessageID, wordMax)
	b = appendField(b, "rule", s.Rule, wordMax)
	b = appendField(b, "reply", s.Reply, replyMax)
	b = appendField(b, "text", s.Sentence, sentenceMax)
	b = appendList(b, "table", s.Table, tableMax)
	return append(b, "}\n"...)
}

func appendField(b []byte, key, value string, most int) []byte {
	if value == "" {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, key...)
	b = append(b, `":`...)
	return appendString(b, value, most)
}

func appendList(b []byte, key string, values []string, most int) []byte {
	if len(values) == 0 {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, key...)
	b = append(b, `":[`...)
	for i, v := range values[:min(len(values), most)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, v, wordMax)
	}
	return append(b, ']')
}

// appendString appends a JSON string. Clean leaves nothing that JSON escapes but
// the quote and the backslash.
func appendString(b []byte, s string, most int) []byte {
	s = event.Clean(s, most)
	b = append(b, '"')
	for {
		i := strings.IndexAny(s, `"\`)
		if i < 0 {
			break
		}
		b = append(b, s[:i]...)
		b = append(b, '\\', s[i])
		s = s[i+1:]
	}
	b = append(b, s...)
	return append(b, '"')
}
