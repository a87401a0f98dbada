package content

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"

	"facteur/internal/mail/address"
	"facteur/internal/mail/archive"
)

// Where a link stands.
type Where string

// The places.
const (
	InText     Where = "text"     // written out
	InAnchor   Where = "anchor"   // a click on a text or picture
	InHidden   Where = "hidden"   // the same, that nobody sees
	InImage    Where = "image"    // fetched when the letter is opened
	InForm     Where = "form"     // what is typed in goes there
	InScript   Where = "script"   // a script, frame or object
	InRefresh  Where = "refresh"  // the page leads away by itself
	InRedirect Where = "redirect" // where another link leads on to
	InFile     Where = "file"     // in a web page that is attached
)

// Trick is a set of ways to make a link look like another, or to hide its host.
type Trick uint16

// The tricks.
const (
	// UserInfo: a name before "@" looks like the host.
	UserInfo Trick = 1 << iota
	// BareAddress: an IP address in place of a name.
	BareAddress
	// OddAddress: an IP address as a browser reads it and nobody else: "http://0x7f.1/".
	OddAddress
	// EscapedHost: the host is written with %-codes, or characters that are mapped to ASCII.
	EscapedHost
	// Mismatch: the text shows another host.
	Mismatch
	// RunsCode: data: or a script.
	RunsCode
	// International: the host has letters beyond ASCII; by itself honest.
	International
	// MixedScript: a label of the host mixes letters of several scripts, as words do not.
	MixedScript
	// Shortener: a service that gives short addresses for long ones.
	Shortener
	// Redirect: the link says in itself where it leads on to.
	Redirect
	// BadForm: written as browsers mend it and nobody means it.
	BadForm
)

// Tricks in words, in the order of the bits.
var trickWords = [...]string{"has a name before \"@\", which looks like the host and is not", "leads to a bare address", "writes an address in a way that only browsers read",
	"hides its host behind codes", "shows another host than it leads to", "runs code", "leads to a host with letters beyond ASCII", "mixes scripts in its host",
	"is a short form that hides where it leads", "leads on to another host", "is written badly"}

// Words says what the tricks are.
func (t Trick) Words() []string {
	var said []string
	for i, w := range trickWords {
		if t&(1<<i) != 0 {
			said = append(said, w)
		}
	}
	return said
}

// MarshalJSON writes the words.
func (t Trick) MarshalJSON() ([]byte, error) { return json.Marshal(t.Words()) }

// Link is where a reader can be led.
type Link struct {
	// URL is the target as it stands, cleaned and bounded.
	URL string `json:"url"`
	// Scheme is in lower case; "https" where the letter leaves it out.
	Scheme string `json:"scheme,omitempty"`
	// Host in canonical form: a name in A-labels, or an address; "" for other schemes
	// than http, https and ftp.
	Host string `json:"host,omitempty"`
	// Domain is what somebody registered of it (the organisation's); "" for an address.
	Domain string `json:"domain,omitempty"`
	// Shown is the text that a reader clicks on, and ShownHost the host that it names.
	Shown     string `json:"shown,omitempty"`
	ShownHost string `json:"shown_host,omitempty"`
	Where     Where  `json:"where"`
	Tricks    Trick  `json:"tricks,omitempty"`
	// Count is how often it stands there.
	Count int `json:"count"`
	// Elsewhere: it only appears in another reading of the letter.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// maxURL bounds what is told of one, in bytes.
const maxURL = 1024

// link adds one, and gives its index plus one; 0: none was added.
func (rd *reader) link(target string, where Where) int {
	target = strings.TrimSpace(target)
	if target == "" || target[0] == '#' || strings.HasPrefix(target, "cid:") || strings.HasPrefix(target, "{{") {
		return 0
	}
	key := string(where) + target
	if at := rd.known[key]; at > 0 {
		rd.letter.Links[at-1].Count++
		return at
	}
	if len(rd.letter.Links) >= rd.lim.Links {
		rd.letter.LeftOut++
		return 0
	}
	l := ParseLink(target)
	l.Where, l.Count, l.Elsewhere = where, 1, rd.elsewhere
	rd.letter.Links = append(rd.letter.Links, l)
	at := len(rd.letter.Links)
	rd.known[key] = at
	if l.Tricks&Redirect != 0 && where != InRedirect {
		rd.link(onward(target), InRedirect)
	}
	return at
}

// shown notes the text of a link. One target with two texts keeps the first, unless the
// second shows a host.
func (rd *reader) shown(at int, text string) {
	l := &rd.letter.Links[at-1]
	host := HostInText(text)
	if l.Shown != "" && (host == "" || l.ShownHost != "") {
		return
	}
	l.Shown, l.ShownHost = strings.ToValidUTF8(text, ""), host
	if host != "" && l.Host != "" && registered(host) != registered(l.Host) {
		l.Tricks |= Mismatch
	}
}

// registered is the organisation's domain of a host, or the host itself.
func registered(host string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return org
	}
	return host
}

// ParseLink reads a target as browsers do, which is more than the standard has
// (https://url.spec.whatwg.org/): they drop tabs and line ends, take "\" for "/", any
// number of slashes, %-codes in hosts, and addresses as inet_aton reads them.
func ParseLink(target string) Link {
	target = dropControls(target)
	l := Link{URL: archive.Clean(target[:min(len(target), maxURL)])}
	scheme, rest := splitScheme(target)
	l.Scheme = scheme
	switch scheme {
	case "javascript", "vbscript", "data":
		l.Tricks |= RunsCode
		return l
	case "http", "https", "ftp":
	case "":
		if !strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, `\\`) {
			return l
		}
		l.Scheme = "https"
	default:
		return l
	}
	slashes := 0
	for slashes < len(rest) && (rest[slashes] == '/' || rest[slashes] == '\\') {
		slashes++
	}
	if slashes != 2 || strings.Contains(rest[:slashes], `\`) {
		l.Tricks |= BadForm
	}
	rest = rest[slashes:]
	authority := rest
	if end := strings.IndexAny(rest, `/\?#`); end >= 0 {
		authority = rest[:end]
	}
	l.authority(authority)
	if onward(target) != "" {
		l.Tricks |= Redirect
	}
	return l
}

func dropControls(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' }) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, s)
}

// splitScheme cuts "http:" off, in lower case; "" if there is none.
func splitScheme(s string) (scheme, rest string) {
	for i := 0; i < len(s) && i < 20; i++ {
		switch c := s[i]; {
		case c == ':' && i > 0:
			return lower(s[:i]), s[i+1:]
		case !isLetter(c) && !(i > 0 && (isDigit(c) || c == '+' || c == '-' || c == '.')):
			return "", s
		}
	}
	return "", s
}

// authority reads "user:password@host:port".
func (l *Link) authority(s string) {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		if looksLikeHost(s[:at]) {
			l.Tricks |= UserInfo
		}
		s = s[at+1:]
	}
	host := s
	if strings.HasPrefix(s, "[") {
		host, _, _ = strings.Cut(s[1:], "]")
	} else if colon := strings.LastIndexByte(s, ':'); colon >= 0 {
		host = s[:colon]
	}
	if strings.Contains(host, "%") {
		l.Tricks |= EscapedHost
		if plain, err := url.PathUnescape(host); err == nil {
			host = plain
		}
	}
	l.host(host)
}

// looksLikeHost tells what before "@" an eye takes for the host: "bank.example", and not
// "git" or "anna:secret". What stands behind codes hides something, too.
func looksLikeHost(name string) bool {
	return strings.ContainsAny(name, ".%@") || strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0
}

func (l *Link) host(host string) {
	host = strings.TrimSuffix(host, ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		l.Host = ip.Unmap().WithZone("").String()
		l.Tricks |= BareAddress
		return
	}
	if ip, ok := numbers(host); ok {
		l.Host = ip.String()
		l.Tricks |= BareAddress | OddAddress
		return
	}
	name, err := address.CanonicalDomain(host)
	if err != nil {
		l.Tricks |= BadForm
		return
	}
	l.Host, l.Domain = name, registered(name)
	if ascii([]byte(name)) && !ascii([]byte(host)) && !strings.Contains(name, "xn--") {
		l.Tricks |= EscapedHost // full-width letters, circled ones …
	}
	if strings.Contains(name, "xn--") {
		l.Tricks |= International
		if mixed(name) {
			l.Tricks |= MixedScript
		}
	}
	if slices.Contains(shorteners, l.Domain) && l.Domain == strings.TrimPrefix(name, "www.") {
		l.Tricks |= Shortener
	}
}

// numbers reads an IPv4 address as inet_aton does: one to four numbers, each decimal,
// octal or hexadecimal, the last filling what is left.
func numbers(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if s == "" || len(parts) > 4 || !isDigit(s[0]) {
		return netip.Addr{}, false
	}
	var ip uint64
	for i, p := range parts {
		base := 10
		switch {
		case len(p) > 1 && (p[:2] == "0x" || p[:2] == "0X"):
			p, base = p[2:], 16
			if p == "" {
				p = "0"
			}
		case len(p) > 1 && p[0] == '0':
			base = 8
		}
		n, err := strconv.ParseUint(p, base, 32)
		last := i == len(parts)-1
		if err != nil || !last && n > 255 || last && n >= 1<<(8*(5-len(parts))) {
			return netip.Addr{}, false
		}
		if last {
			ip = ip<<(8*(5-len(parts))) | n
		} else {
			ip = ip<<8 | n
		}
	}
	return netip.AddrFrom4([4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)}), true
}

// shorteners are services that give short addresses for long ones, by registered domain.
var shorteners = []string{"bit.ly", "tinyurl.com", "t.co", "goo.gl", "ow.ly", "is.gd", "v.gd", "buff.ly", "cutt.ly", "rebrand.ly", "shorturl.at", "t.ly", "rb.gy",
	"tiny.cc", "s.id", "qrco.de", "lnkd.in", "bl.ink", "soo.gd", "clck.ru", "u.to", "vk.cc", "adf.ly", "shorte.st", "cli.gs", "x.co", "trib.al", "snip.ly",
	"tny.im", "urlz.fr", "2u.pw", "n9.cl", "gg.gg", "kutt.it", "hyperurl.co", "l.ead.me", "surl.li", "shrtco.de", "dub.sh", "short.gy", "tr.ee"}

// onward is the URL in the query of another: "https://a.example/?u=https%3A%2F%2Fb.example".
func onward(target string) string {
	_, query, ok := strings.Cut(target, "?")
	for n := 0; ok && query != "" && n < 32; n++ {
		var one string
		one, query, _ = strings.Cut(query, "&")
		_, value, _ := strings.Cut(one, "=")
		if len(value) < 10 || value[0]|0x20 != 'h' {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil && (hasPrefixFold(plain, "http://") || hasPrefixFold(plain, "https://")) {
			return plain
		}
	}
	return ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// HostInText gives the host that a reader believes a link leads to, if its text is a URL
// or the name of a host; "" otherwise.
func HostInText(s string) string {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, " @\n") || !strings.Contains(s, ".") || len(s) > maxShown {
		return ""
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	l := ParseLink(s)
	if l.Tricks&BareAddress != 0 {
		return l.Host
	}
	if suffix, icann := publicsuffix.PublicSuffix(l.Host); !icann || suffix == l.Host {
		return "" // "report.final", "v2.0"
	}
	return l.Host
}

// plainLinks finds URLs in a text, and what programs make links of.
func (rd *reader) plainLinks(s string) {
	for at := 0; at < len(s); {
		i := strings.IndexAny(s[at:], ":wW")
		if i < 0 {
			return
		}
		i += at
		start, end := candidate(s, i)
		if start < 0 {
			at = i + 1
			continue
		}
		target := strings.TrimRight(s[start:end], ".,;:!?)]'*_")
		if s[i] != ':' {
			target = "http://" + target
		}
		rd.link(target, InText)
		at = end
	}
}

// candidate gives the bounds of a URL of which i is the colon, or the first w of "www.".
func candidate(s string, i int) (start, end int) {
	start = i
	if s[i] == ':' {
		if !strings.HasPrefix(s[i:], "://") {
			return -1, 0
		}
		for start > 0 && i-start < 6 && isLetter(s[start-1]) {
			start--
		}
		switch lower(s[start:i]) {
		case "http", "https", "ftp":
		default:
			return -1, 0
		}
	} else if !hasPrefixFold(s[i:], "www.") || i > 0 && (isLetter(s[i-1]) || isDigit(s[i-1]) || strings.IndexByte("./@-:", s[i-1]) >= 0) {
		return -1, 0
	}
	end = i + 3
	for end < len(s) && s[end] > ' ' && strings.IndexByte(`<>"{}|^`+"`", s[end]) < 0 {
		end++
	}
	return start, end
}
