package letter

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

// likeness of two domains.
type likeness int

const (
	other likeness = iota
	// cousin: one has the other in its name: "example-support.org", "example.org.evil.test".
	cousin
	// alike: an eye takes one for the other.
	alike
)

// shortestName is how long the name of a domain must be, without its suffix, that likeness
// is no chance.
const shortestName = 5

// similar compares a stranger's domain with one that is known; both in A-labels.
func similar(stranger, known string) likeness {
	s, k := registered(stranger), registered(known)
	if s == k {
		return other
	}
	sName, sSuffix := split(s)
	kName, kSuffix := split(k)
	if skeleton(sName) == skeleton(kName) && sName != kName {
		return alike
	}
	if len(kName) < shortestName {
		return other
	}
	if sSuffix == kSuffix && len(kName) > shortestName && oneOff(sName, kName) {
		return alike
	}
	if strings.HasPrefix(stranger, known+".") || strings.Contains(stranger, "."+known+".") ||
		strings.Contains(sName, strings.ReplaceAll(k, ".", "-")) || strings.Contains(sName, strings.ReplaceAll(k, ".", "")) ||
		strings.HasPrefix(sName, kName+"-") || strings.HasSuffix(sName, "-"+kName) {
		return cousin
	}
	return other
}

// split gives the name and the public suffix of a registered domain.
func split(domain string) (name, suffix string) {
	suffix, _ = publicsuffix.PublicSuffix(domain)
	return strings.TrimSuffix(strings.TrimSuffix(domain, suffix), "."), suffix
}

// oneOff tells names that one slip of the pen parts: a letter too much, too little,
// another, or two that are exchanged. Digits that differ are no slip: "server1", "server2".
func oneOff(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	if len(a) > len(b) {
		return a[i+1:] == b[i:] && !isDigit(a[i])
	}
	if i == len(a) {
		return false
	}
	if a[i+1:] == b[i+1:] {
		return !isDigit(a[i]) || !isDigit(b[i])
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// skeleton is a name with everything that looks alike made equal (in the manner of UTS 39,
// with a table of our own for what is used in domains).
func skeleton(name string) string {
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
