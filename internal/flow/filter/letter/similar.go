package letter

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"facteur/internal/mail/content"
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
	if content.Skeleton(sName) == content.Skeleton(kName) && sName != kName {
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
