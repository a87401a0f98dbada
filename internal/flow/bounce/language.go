package bounce

import (
	"strconv"
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/message"
)

// maxTags is how many languages a header may name.
const maxTags = 20

// language is that of a notice: what the admin set for the reader's domain, what he
// asks for or writes in himself (RFC 3282), or what is set for all. A language that
// notices can't be in counts as none.
func (s *Settings) language(reader address.Address, original []byte) string {
	if s.Only != "" {
		return s.Only
	}
	if l := s.Languages[strings.ToLower(reader.Domain)]; l != "" {
		return l
	}
	header := message.Header(original[:message.HeaderEnd(original)])
	for _, name := range []string{"Accept-Language", "Content-Language"} {
		if tag := preferred(header.Get(name)); tag != "" {
			return tag
		}
	}
	return s.Language
}

// preferred is the language of a list that is wanted most of those that notices can be
// in: "fr-CH, fr;q=0.9, en;q=0.8". "" for none.
func preferred(list string) (best string) {
	most := 0.0
	for i, item := range strings.SplitN(list, ",", maxTags+1) {
		if i == maxTags {
			break
		}
		tag, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		if q := quality(params); q > most && dsn.Speaks(tag) {
			best, most = dsn.Language(tag), q
		}
	}
	return best
}

// quality is "q=0.8"; 1 for none, 0 for what is no number.
func quality(params string) float64 {
	value, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
	if !found {
		return 1
	}
	q, err := strconv.ParseFloat(value, 64)
	if err != nil || q > 1 {
		return 0
	}
	return q
}
