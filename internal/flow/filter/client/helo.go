package client

import (
	"net/netip"
	"strings"

	"facteur/internal/mail/address"
)

// form is what HELO is, before anybody is asked about it.
type form int

// The forms.
const (
	fqdn form = iota
	empty
	localhost
	bare     // an address without brackets
	literal  // one with them
	short    // one word
	homeName // .local and its like
	invalid
)

// hello is what a client calls itself.
type hello struct {
	form form
	name string     // of a name: canonical
	addr netip.Addr // of an address
}

// readHello reads what stands behind HELO.
func readHello(text string) hello {
	text = strings.TrimSuffix(strings.ToLower(text), ".")
	if text == "" {
		return hello{form: empty}
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return ofAddress(a, bare)
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner = strings.TrimPrefix(strings.TrimSuffix(inner, "]"), "ipv6:")
		a, err := netip.ParseAddr(inner)
		if err != nil || !strings.HasSuffix(text, "]") {
			return hello{form: invalid}
		}
		return ofAddress(a, literal)
	}
	return ofName(text)
}

func ofAddress(a netip.Addr, f form) hello {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() || a.IsUnspecified() {
		return hello{form: localhost, addr: a}
	}
	return hello{form: f, addr: a}
}

func ofName(text string) hello {
	// Underscores are in names of Windows machines. They are wrong, and harmless.
	name, err := address.CanonicalDomain(strings.ReplaceAll(text, "_", "-"))
	if err != nil {
		return hello{form: invalid}
	}
	if name = text; !isASCII(name) {
		name, _ = address.CanonicalDomain(text)
	}
	if name == "localhost" || strings.HasPrefix(name, "localhost.") {
		return hello{form: localhost, name: name}
	}
	if !strings.Contains(name, ".") {
		return hello{form: short, name: name}
	}
	if isHome(name[strings.LastIndexByte(name, '.')+1:]) || strings.HasSuffix(name, ".home.arpa") {
		return hello{form: homeName, name: name}
	}
	return hello{form: fqdn, name: name}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isHome tells the last labels of names that are for use at home or in an office; the DNS
// of the world will never know them.
func isHome(label string) bool {
	switch label {
	case "local", "localdomain", "lan", "home", "internal", "intern", "intranet", "private", "priv", "corp", "office", "box", "localnet", "workgroup", "domain", "loc", "site", "host":
		return true
	}
	return false
}

// quoted is what a stranger wrote, in a sentence of ours.
func quoted(text string) string {
	const most = 64
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '"' {
			return '?'
		}
		return r
	}, text[:min(len(text), most)])
	if len(text) > most {
		clean += "…"
	}
	return `"` + clean + `"`
}
