package dns

import (
	"fmt"
	"net/netip"
	"strings"
)

// canonical is a domain as we ask for it: lower-case, without the last dot.
// Only letters, digits, hyphens and underscores can be asked for: that is what
// mail uses, and it keeps escapes out of cache keys and log lines.
func canonical(domain string) (string, bool) {
	name := strings.ToLower(strings.TrimSuffix(domain, "."))
	if name == "" || len(name) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return "", false
		}
	}
	return name, true
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// hostName is a name out of an answer when it can be the name of a host: no
// hyphen at the edge of a label, and not a number in disguise of a name.
func hostName(name string) (string, bool) {
	host, ok := canonical(name)
	if !ok {
		return "", false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if strings.Trim(last, "0123456789") == "" {
		return "", false
	}
	return host, true
}

// clip keeps an unreadable name from filling a log line.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// reverseName is the name under which the PTR record of an address is kept.
func reverseName(a netip.Addr) string {
	if a.Unmap().Is4() {
		return reversed(a) + "in-addr.arpa"
	}
	return reversed(a) + "ip6.arpa"
}

// reversed is an address with its last part first, and a dot after each.
func reversed(a netip.Addr) string {
	a = a.Unmap()
	if !a.Is4() {
		return nibbles(a)
	}
	b := a.As4()
	return fmt.Sprintf("%d.%d.%d.%d.", b[3], b[2], b[1], b[0])
}

// nibbles is reversed for IPv6: 32 digits.
func nibbles(a netip.Addr) string {
	const hex = "0123456789abcdef"
	raw := a.As16()
	var b strings.Builder
	for i := len(raw) - 1; i >= 0; i-- {
		b.Write([]byte{hex[raw[i]&15], '.', hex[raw[i]>>4], '.'})
	}
	return b.String()
}
