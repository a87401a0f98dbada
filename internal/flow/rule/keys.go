package rule

import (
	"fmt"
	"net/netip"
	"strings"
)

// maxForms bounds the look-ups of one key: a domain has 127 labels at most, which
// nobody has in earnest.
const maxForms = 64

// forms are the keys under which a list is asked for something, the most special
// first, as access(5) of Postfix has them:
//
//	a mailbox   user+ext@domain  user@domain  domain  .domain's parents  user@
//	no sender   <>
//	a client    its name, the parents of it, its address, the networks around it
//	an address  the address, the networks around it
//	other text  the text; where it is a domain, its parents
//
// A parent stands as "example.org" or ".example.org" in the list, a network as
// "192.0.2" or "2001:db8:1"; what a list does with a prefix such as 192.0.2.0/24
// is its own matter.
func forms(key any) []string {
	var out []string
	switch k := key.(type) {
	case *Mailbox:
		out = k.forms()
	case *Client:
		if k.Name != "unknown" {
			out = append(append(out, k.Name), parents(k.Name)...)
		} else {
			out = append(out, k.Name)
		}
		out = append(out, networks(k.Address)...)
	default:
		out = textForms(keyText(key))
	}
	return out[:min(len(out), maxForms)]
}

// wholes are the keys under which a list of patterns is asked: never a part of one.
func wholes(key any) []string {
	switch k := key.(type) {
	case *Mailbox:
		return k.forms()[:1]
	case *Client:
		if k.Address == "" {
			return []string{k.Name}
		}
		return []string{k.Name, k.Address}
	}
	out := textForms(keyText(key))
	return out[:min(len(out), 1)]
}

func (m *Mailbox) forms() []string {
	if m.Address == "" {
		return []string{"<>"}
	}
	out := []string{m.Address}
	if m.Extension != "" {
		out = append(out, m.User+"@"+m.Domain)
	}
	out = append(append(out, m.Domain), parents(m.Domain)...)
	out = append(out, m.Local+"@")
	if m.Extension != "" {
		out = append(out, m.User+"@")
	}
	return out
}

func textForms(s string) []string {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" {
		return nil
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return networks(s)
	}
	if strings.ContainsAny(s, " @[:") {
		return []string{s}
	}
	return append([]string{s}, parents(s)...)
}

// parents are the domains above one, each in two spellings: ".example.org" for what
// is below it, "example.org" for itself and what is below.
func parents(domain string) (out []string) {
	for len(out) < maxForms {
		_, parent, found := strings.Cut(domain, ".")
		if !found || parent == "" {
			return out
		}
		out = append(out, "."+parent, parent)
		domain = parent
	}
	return out
}

// networks are an address and the networks around it at the borders of its numbers.
func networks(ip string) []string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return nil
	}
	separator := "."
	if a = a.Unmap(); a.Is6() {
		separator = ":"
	}
	out := []string{a.String()}
	text := a.String()
	for {
		i := strings.LastIndex(text, separator)
		if i < 0 {
			return out
		}
		if text = strings.TrimRight(text[:i], ":"); text == "" {
			return out
		}
		out = append(out, text)
	}
}

func keyText(key any) string {
	if s, ok := key.(string); ok {
		return s
	}
	return fmt.Sprint(key)
}
