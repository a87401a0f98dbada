package content

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

// RegisteredName is the label of a domain, in A-labels, that somebody registered: "example"
// of "mail.example.co.uk"; "" if there is none.
func RegisteredName(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(org, ".")
	return name
}

// Skeleton is a name with everything that looks alike made equal (in the manner of UTS 39,
// with a table of our own for what is used in domains). Names with one skeleton are taken
// for each other by an eye.
func Skeleton(name string) string {
	if strings.HasPrefix(name, "xn--") {
		if u, err := idna.Punycode.ToUnicode(name); err == nil {
			name = u
		}
	}
	var b strings.Builder
	for _, r := range norm.NFD.String(name) {
		if like, ok := confusable(r); ok {
			b.WriteString(like)
			continue
		}
		b.WriteRune(r)
	}
	s := b.String()
	for _, pair := range [][2]string{{"rn", "m"}, {"vv", "w"}, {"cl", "d"}} {
		s = strings.ReplaceAll(s, pair[0], pair[1])
	}
	return s
}

// confusable gives what a letter is taken for.
func confusable(r rune) (string, bool) {
	if r < 0x80 {
		switch r {
		case '0':
			return "o", true
		case '1', 'i':
			return "l", true
		case '5':
			return "s", true
		case '-', '_':
			return "", true
		}
		return "", false
	}
	if 0x300 <= r && r < 0x370 {
		return "", true // marks on letters
	}
	if at := strings.IndexRune(lookalikes, r); at >= 0 {
		n := 0
		for range lookalikes[:at] {
			n++
		}
		return string(lookedAt[n]), true
	}
	return "", false
}

// Letters of Cyrillic, Greek, Armenian and odd Latin, and what they are taken for.
const (
	lookalikes = "авеѕіјкмнорсугтхѵԁԛԝһӏьпαβγειηκνορτυχωհոսցօɡıłøđħŧƒɑɩʋⅼ"
	lookedAt   = "abesljkmhopcyrtxvdqwhlbnabyelnkvoptuxwhnugogllodhtfalvl"
)
