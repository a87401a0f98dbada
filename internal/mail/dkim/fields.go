package dkim

import (
	"crypto/sha256"
	"strings"

	"facteur/internal/mail/message"
)

// Fields is a header, ready for finding what signatures cover: the last field of a
// name is meant first (RFC 6376 §5.4.2). One serves all signatures of a message.
type Fields struct {
	header message.Header
	byName map[string][]span
}

type span struct{ start, end int }

// NewFields makes the index of a header, which must not change as long as it is used.
func NewFields(h message.Header) *Fields {
	f := &Fields{header: h, byName: make(map[string][]span, 32)}
	var name []byte
	for field := range h.Fields() {
		name = name[:0]
		for _, c := range field.Name {
			name = append(name, lower(c))
		}
		if len(name) > 0 {
			f.byName[string(name)] = append(f.byName[string(name)], span{field.Start, field.End})
		}
	}
	return f
}

// AppendSigned appends the canonical form of the fields named, each time a name
// comes the one above, and nothing where there is none any more (RFC 6376 §3.7).
func (f *Fields) AppendSigned(dst []byte, names []string, c Canon) []byte {
	taken := make(map[string]int, len(names))
	for _, name := range names {
		name = strings.ToLower(name)
		all, n := f.byName[name], taken[name]
		if n >= len(all) {
			continue
		}
		taken[name] = n + 1
		at := all[len(all)-1-n]
		dst = c.AppendField(dst, f.header[at.start:at.end])
	}
	return dst
}

// Hash is the hash of the fields named and of the signature field itself, without
// what its b= says and without its line end: what is signed.
func (f *Fields) Hash(names []string, c Canon, signature []byte) []byte {
	signed := f.AppendSigned(make([]byte, 0, 4096), names, c)
	signed = c.AppendField(signed, WithoutSignature(signature))
	sum := sha256.Sum256(signed[:len(signed)-2])
	return sum[:]
}

// once are the fields of which readers show one, and rely on: a second one that a signature
// leaves out is a forger's (RFC 6376 §8.15).
var once = [...]string{"from", "subject", "date", "reply-to", "content-type", "content-transfer-encoding"}

// added gives a field that stands once more than the names cover it, and says something
// else than what they cover; "" if there is none. The same twice is a careless mailer's.
func (f *Fields) added(names []string) string {
	for _, name := range once {
		all, covered := f.byName[name], 0
		for _, n := range names {
			if strings.EqualFold(n, name) {
				covered++
			}
		}
		if covered == 0 || covered >= len(all) {
			continue
		}
		last := f.relaxed(all[len(all)-1])
		for _, at := range all[:len(all)-covered] {
			if f.relaxed(at) != last {
				return name
			}
		}
	}
	return ""
}

func (f *Fields) relaxed(at span) string {
	return string(Relaxed.AppendField(nil, f.header[at.start:at.end]))
}

// count tells how many fields of a name there are.
func (f *Fields) count(name string) int { return len(f.byName[strings.ToLower(name)]) }
