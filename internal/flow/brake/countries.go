package brake

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Countries says in which country an address is used, as a file of lines "CIDR country"
// says it. Where networks overlap, the narrowest counts.
type Countries struct {
	nets map[netip.Prefix]string
	bits [2][]int // of IPv4 and IPv6, the longest first
}

// maxNets bounds a file; the world has some 600,000.
const maxNets = 1 << 20

// ReadCountries reads lines such as "192.0.2.0/24 FR"; "#" begins a remark.
func ReadCountries(r io.Reader) (*Countries, error) {
	c := &Countries{nets: map[netip.Prefix]string{}}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == ';' || r == '\r' })
		if len(fields) == 0 {
			continue
		}
		p, err := netip.ParsePrefix(fields[0])
		if err != nil || len(fields) != 2 || !isCountry(fields[1]) {
			return nil, fmt.Errorf("line %d: expected a network and a country of two letters, such as \"192.0.2.0/24 FR\"", n)
		}
		if len(c.nets) >= maxNets {
			return nil, fmt.Errorf("line %d: more than %d networks", n, maxNets)
		}
		c.add(p.Masked(), strings.ToUpper(fields[1]))
	}
	return c, lines.Err()
}

func isCountry(s string) bool {
	letter := func(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
	return len(s) == 2 && letter(s[0]) && letter(s[1])
}

func (c *Countries) add(p netip.Prefix, country string) {
	c.nets[p] = country
	bits := &c.bits[family(p.Addr())]
	if i, found := slices.BinarySearchFunc(*bits, p.Bits(), func(have, want int) int { return want - have }); !found {
		*bits = slices.Insert(*bits, i, p.Bits())
	}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Of is the country of an address; "" where nobody knows.
func (c *Countries) Of(a netip.Addr) string {
	if c == nil || !a.IsValid() {
		return ""
	}
	a = a.Unmap().WithZone("")
	for _, bits := range c.bits[family(a)] {
		if p, err := a.Prefix(bits); err == nil {
			if country := c.nets[p]; country != "" {
				return country
			}
		}
	}
	return ""
}

// countryOf is where a client seems to be: by the file, else by the end of its confirmed
// name, if that is one of a country.
func (r *Rules) countryOf(a netip.Addr, host string) string {
	if country := r.Countries.Of(a); country != "" || r.Countries != nil {
		return country
	}
	end := host[strings.LastIndexByte(host, '.')+1:]
	if generic := []string{"io", "co", "tv", "me", "cc", "ai", "eu"}; !isCountry(end) || slices.Contains(generic, strings.ToLower(end)) {
		return "" // names that many have who are not there
	}
	return strings.ToUpper(end)
}
