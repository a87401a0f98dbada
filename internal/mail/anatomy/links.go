package anatomy

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"

	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// linkText is how much of a text is searched for links, in bytes.
const linkText = 1 << 20

// Link is where a reader can be led.
type Link struct {
	// Part is the number of the part that it stands in.
	Part string `json:"part"`
	// URL is the target, Host its host in canonical form, Text what a reader sees.
	URL  string `json:"url"`
	Host string `json:"host,omitempty"`
	Text string `json:"text,omitempty"`
	// Count is how often it stands there.
	Count int `json:"count"`
	// Doubt says what speaks against it; "" if nothing.
	Doubt string `json:"doubt,omitempty"`
}

// links finds those of a text part.
func (w *walker) links(p *message.Part, part *Part) {
	body := within(p.Text(w.r), linkText)
	f := finder{letter: w.letter, part: part.Number, known: map[string]int{}}
	if p.Subtype == "html" || part.Kind == "HTML" {
		f.html(body)
		return
	}
	f.plain(string(body))
}

// finder collects links, each target once.
type finder struct {
	letter *Letter
	part   string
	known  map[string]int // index in letter.Links, plus one
}

func (f *finder) add(target, shown string) {
	target = strings.TrimSpace(target)
	if target == "" || strings.HasPrefix(target, "#") {
		return
	}
	link := Link{Part: f.part, URL: text(target), Text: text(strings.Join(strings.Fields(shown), " ")), Count: 1}
	key := link.URL + "\x00" + link.Text
	if at := f.known[key]; at > 0 {
		f.letter.Links[at-1].Count++
		return
	}
	if len(f.letter.Links) == maxLinks {
		f.letter.LeftOut++
		return
	}
	link.judge(target)
	f.letter.Links = append(f.letter.Links, link)
	f.known[key] = len(f.letter.Links)
}

// judge finds the host, and what speaks against the link.
func (l *Link) judge(target string) {
	read := content.ParseLink(target)
	l.Host = read.Host
	seen := content.HostInText(l.Text)
	if seen != "" && l.Host != "" && seen != l.Host && !sameHouse(seen, l.Host) {
		l.Doubt = "the text shows " + seen + ", the link leads to " + l.Host
		return
	}
	l.Doubt = strings.Join((read.Tricks &^ content.Redirect).Words(), "; ")
}

// plain finds URLs in a text.
func (f *finder) plain(s string) {
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			return
		}
		start := i
		for start > 0 && i-start < 6 && isLetter(s[start-1]) {
			start--
		}
		end := i + 3
		for end < len(s) && s[end] > ' ' && strings.IndexByte(`<>"{}|\^`+"`", s[end]) < 0 {
			end++
		}
		switch scheme := strings.ToLower(s[start:i]); scheme {
		case "http", "https", "ftp":
			f.add(strings.TrimRight(s[start:end], ".,;:!?)]'*_"), "")
		}
		s = s[end:]
	}
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// maxToken bounds one tag of HTML, in bytes.
const maxToken = 256 << 10

// html finds where a click leads, and forms.
func (f *finder) html(body []byte) {
	z := html.NewTokenizer(bytes.NewReader(body))
	z.SetMaxBuf(maxToken)
	target, shown := "", []byte(nil)
	for {
		switch z.Next() {
		case html.ErrorToken:
			f.add(target, string(shown))
			return
		case html.TextToken:
			if target != "" && len(shown) < maxText {
				shown = append(append(shown, z.Text()...), ' ')
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			tag, more := z.TagName()
			name := string(tag)
			attribute := map[string]string{"a": "href", "area": "href", "form": "action"}[name]
			if attribute == "" || !more {
				continue
			}
			f.add(target, string(shown))
			target, shown = attributeOf(z, attribute), shown[:0]
			if name == "form" && target != "" {
				f.letter.warning("a form in the letter sends what is typed into it elsewhere")
			}
		case html.EndTagToken:
			if tag, _ := z.TagName(); string(tag) == "a" {
				f.add(target, string(shown))
				target, shown = "", shown[:0]
			}
		}
	}
}

// attributeOf gives the first attribute of a name of the current tag.
func attributeOf(z *html.Tokenizer, name string) string {
	value, found := "", false
	for {
		key, v, more := z.TagAttr()
		if !found && string(key) == name {
			value, found = string(v[:min(len(v), 4*maxText)]), true
		}
		if !more {
			return value
		}
	}
}
