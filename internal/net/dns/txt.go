package dns

import (
	"context"
	"strings"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// LookupTXT finds the TXT records of a name, each with its strings joined
// without anything between (RFC 7208 §3.3), bytes as they were sent: they are a
// stranger's, and may be anything.
func (r *Resolver) LookupTXT(ctx context.Context, name string) lookup.Answer[[]string] {
	return convert(r.ask(ctx, name, wire.TypeTXT), texts)
}

func texts(found records) lookup.Answer[[]string] {
	var list []string
	for _, rr := range found.rrs {
		if txt, ok := rr.(*wire.TXT); ok {
			list = append(list, unescape(strings.Join(txt.Txt, "")))
		}
	}
	return lookup.Yes(list)
}

// unescape undoes the presentation form (RFC 1035 §5.1: \DDD and \X) in which
// the wire library keeps strings.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		if i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]) {
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
			continue
		}
		i++
		b = append(b, s[i])
	}
	return string(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
