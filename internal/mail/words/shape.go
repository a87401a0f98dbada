package words

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"

	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// everywhere are the header fields whose presence means the same everywhere. Others are
// known to layers only.
var everywhere = map[string]bool{
	"from": true, "to": true, "cc": true, "bcc": true, "subject": true, "date": true, "message-id": true,
	"reply-to": true, "in-reply-to": true, "references": true, "mime-version": true,
	"content-transfer-encoding": true, "content-disposition": true, "x-priority": true, "x-msmail-priority": true,
	"importance": true, "priority": true, "user-agent": true,
	"return-receipt-to": true, "disposition-notification-to": true,
}

// ignored are fields that say nothing about who wrote a letter or why, or that we or
// another filter wrote.
var ignored = map[string]bool{
	"received": true, "return-path": true, "delivered-to": true, "delivery-date": true, "authentication-results": true,
	"status": true, "x-status": true, "x-keywords": true, "x-uid": true, "content-length": true, "lines": true, "x-original-to": true,
}

const (
	// maxHops is how many Received lines are looked at, the last first.
	maxHops = 8
	// linksMost is how many links are looked at, placesMost how many words of each.
	linksMost, placesMost = 60, 8
)

// usualShape is how many tokens the shape of most letters has.
const usualShape = 128

// shaper makes tokens of all that is not what a letter says.
type shaper struct {
	view *View
	seen *set
}

func newShaper(limit int) *shaper {
	seen := newSet(limit, usualShape)
	return &shaper{view: seen.view, seen: seen}
}

func (s *shaper) add(text string)   { s.token(text, general) }
func (s *shaper) local(text string) { s.token(text, other) }

func (s *shaper) token(text string, k kind) {
	if len(text) > 100 {
		text = text[:100]
	}
	h := hash(seedShape, text)
	old, slot := s.seen.find(h)
	if old != nil || s.seen.full() {
		return
	}
	s.view.texts = append(s.view.texts, text)
	s.seen.put(token{hash: h, first: int32(len(s.view.texts) - 1), kind: k}, slot)
}

// header adds which fields there are, and what they look like.
func (s *shaper) header(h message.Header) {
	fields := 0
	for f := range h.Fields() {
		name := strings.ToLower(string(f.Name))
		if ignored[name] || strings.HasPrefix(name, "x-spam") || len(name) > 60 {
			continue
		}
		if fields++; fields > 100 {
			break
		}
		if everywhere[name] {
			s.add("has " + name)
		} else {
			s.local("has " + name)
		}
	}
	for _, name := range []string{"to", "date", "message-id", "subject", "from", "mime-version"} {
		if text, ok := h.Lookup(name); !ok {
			s.add("no " + name)
		} else if text == "" {
			s.add("empty " + name)
		}
	}
	s.people(h)
	s.path(h)
	s.agreement(h)
	s.subject(h.Get("Subject"))
	s.marks(h)
}

// people adds who wrote to whom.
func (s *shaper) people(h message.Header) {
	from := message.ParseAddresses(h.Get("From"))
	if len(from) > 0 {
		s.author(from[0])
	}
	to := message.ParseAddresses(h.Get("To"))
	s.add("to " + many(len(to)))
	for i, m := range to {
		if i < 5 {
			s.local("to " + strings.ToLower(m.Address()))
		}
		if len(from) > 0 && strings.EqualFold(m.Address(), from[0].Address()) {
			s.add("to oneself")
		}
		if m.Name != "" {
			s.add("to a name")
		}
		if m.GroupStart {
			s.add("to a group")
		}
	}
	if reply := message.ParseAddresses(h.Get("Reply-To")); len(reply) > 0 && len(from) > 0 {
		s.replies(from[0], reply[0])
	}
	if id := message.MessageID(h.Get("List-Id")); id != "" {
		s.local("list " + strings.ToLower(id))
	}
	if sender := message.ParseAddresses(h.Get("Sender")); len(sender) > 0 {
		s.local("sender " + strings.ToLower(sender[0].Address()))
	}
}

func (s *shaper) author(m message.Mailbox) {
	host := strings.ToLower(m.Host)
	s.token("from "+strings.ToLower(m.Local)+"@"+host, author)
	s.host(author, "from", host)
	if digits(m.Local) >= 3 {
		s.add("from with digits")
	}
	if len(m.Local) > 20 {
		s.add("from is long")
	}
	name := m.DisplayName()
	for w := range strings.FieldsSeq(strings.ToLower(name)) {
		s.token("from name "+w, author)
	}
	switch {
	case name == "":
		s.add("from without name")
	case strings.Contains(name, "@"):
		s.add("from names an address")
	case strings.ToUpper(name) == name && strings.ToLower(name) != name && utf8.RuneCountInString(name) > 3: // not of a writing without capitals
		s.add("from in capitals")
	case digits(name) > 1:
		s.add("from name with digits")
	}
}

func (s *shaper) replies(from, reply message.Mailbox) {
	switch {
	case strings.EqualFold(from.Address(), reply.Address()):
		s.add("reply to author")
	case strings.EqualFold(from.Host, reply.Host):
		s.add("reply to same host")
	default:
		s.add("reply elsewhere")
	}
	s.local("reply to " + strings.ToLower(reply.Address()))
}

// path adds the hosts that it came by, as far as anybody says.
func (s *shaper) path(h message.Header) {
	n := 0
	for f := range h.Fields() {
		if !f.Is("Received") {
			continue
		}
		if n++; n > maxHops {
			return
		}
		for word := range strings.FieldsFuncSeq(strings.ToLower(f.Text()), func(r rune) bool { return strings.ContainsRune(" \t()[];=@<>", r) }) {
			if strings.Contains(word, ".") && len(word) > 4 && !version(word) {
				s.host(path, "by", word)
			}
		}
	}
}

// version tells what only looks like a host: 8.12.5/8.12.5.
func version(word string) bool {
	last := word[strings.LastIndexByte(word, '.')+1:]
	return digits(word)+strings.Count(word, ".") < len(word) && (len(last) < 2 || digits(last) > 0)
}

// host adds a host and the domains above it; of an address its network.
func (s *shaper) host(k kind, what, name string) {
	if digits(name)+strings.Count(name, ".") == len(name) {
		for i := 0; i < 2 && strings.Contains(name, "."); i++ {
			name = name[:strings.LastIndexByte(name, '.')]
			s.token(what+" net "+name, k)
		}
		return
	}
	for i := 0; i < 3 && strings.Contains(name, "."); i++ {
		s.token(what+" host "+name, k)
		_, name, _ = strings.Cut(name, ".")
	}
}

// agreement adds whether the hosts that it came by, and that made its Message-ID, are of
// the author's domain. Who writes in his own name mostly has it so, newsletters included.
func (s *shaper) agreement(h message.Header) {
	home := home(h)
	if home == "" {
		return
	}
	hops, came, first := 0, false, false
	for f := range h.Fields() {
		if !f.Is("Received") {
			continue
		}
		if hops++; hops > maxHops {
			break
		}
		first = strings.Contains(strings.ToLower(f.Text()), home)
		came = came || first
	}
	s.whether(came, "came by author's host")
	s.whether(first, "began at author's host")
	_, id, _ := strings.Cut(h.Get("Message-ID"), "@")
	s.whether(strings.Contains(strings.ToLower(id), home), "message-id of author's host")
}

func (s *shaper) whether(yes bool, what string) {
	if !yes {
		what = "not " + what
	}
	s.add(what)
}

// home is the organisation of the author; "" if none is told.
func home(h message.Header) string {
	from := message.ParseAddresses(h.Get("From"))
	if len(from) == 0 {
		return ""
	}
	return organisation(strings.ToLower(from[0].Host))
}

// organisation is the domain that somebody registered for a host.
func organisation(host string) string {
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}

// subject adds what a subject looks like, and its words.
func (s *shaper) subject(raw string) {
	text := message.DecodeText(raw)
	for _, w := range singles(text) {
		s.token("subject:"+w, subject)
	}
	if message.IsReplySubject(raw) {
		s.add("subject replies")
	}
	if strings.Contains(raw, "=?") {
		charset, _, _ := strings.Cut(raw[strings.Index(raw, "=?")+2:], "?")
		s.charset("subject in ", charset)
	}
	if strings.IndexFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		s.add("subject of raw bytes")
	}
	if capitals(text) > 60 {
		s.add("subject in capitals")
	}
	if strings.Contains(text, "      ") {
		s.add("subject with a gap")
	}
	for _, mark := range []string{"!", "?", "$", "€", "£", "%", "*"} {
		if strings.Contains(text, mark) {
			s.add("subject with " + mark)
		}
	}
	if i := strings.LastIndexByte(text, ' '); i > 0 && tag(text[i+1:]) {
		s.add("subject ends in a number")
	}
}

// tag tells what spammers put behind a subject, so that each is another.
func tag(word string) bool {
	n := digits(word)
	return len(word) >= 5 && n > 0 && n < len(word) || n >= 5
}

// marks adds the date, the message-id, the charset and how urgent it is.
func (s *shaper) marks(h message.Header) {
	if date := h.Get("Date"); date != "" {
		if _, ok := message.ParseDate(date); !ok {
			s.add("date unreadable")
		}
		if !strings.Contains(date, ",") {
			s.add("date without day")
		}
		switch {
		case strings.HasSuffix(date, "GMT"), strings.HasSuffix(date, "UT"):
			s.add("date in GMT")
		case !strings.ContainsAny(date, "+-"):
			s.add("date without zone")
		}
	}
	if id := h.Get("Message-ID"); id != "" {
		s.messageID(message.MessageID(id))
	}
	s.local("mailer " + mailer(h.Get("X-Mailer")))
	s.local("mailer " + mailer(h.Get("User-Agent")))
	if p := h.Get("X-Priority"); p != "" {
		s.add("priority " + p[:1])
	}
	if p := h.Get("Precedence"); p != "" {
		s.local("precedence " + strings.ToLower(p))
	}
}

// mailer is a program without its version.
func mailer(name string) string {
	if i := strings.IndexAny(name, "0123456789/(["); i >= 0 {
		name = name[:i]
	}
	return strings.ToLower(strings.TrimSpace(name))
}

func (s *shaper) messageID(id string) {
	left, right, ok := strings.Cut(strings.Trim(id, "<>"), "@")
	right = strings.ToLower(right)
	switch {
	case !ok || right == "":
		s.add("message-id without host")
	case !strings.Contains(right, "."):
		s.add("message-id of a bare host")
	}
	s.local("message-id at " + right)
	if left != "" && strings.ToUpper(left) == left && strings.IndexFunc(left, unicode.IsLetter) >= 0 {
		s.add("message-id in capitals")
	}
}

// charset adds one that letters of many languages are written in. What others say is the
// language, which is told once, and which the prior has no opinion of.
func (s *shaper) charset(where, name string) {
	switch name = strings.ToLower(name); name {
	case "us-ascii", "utf-8", "iso-8859-1", "iso-8859-15", "windows-1252":
		s.add(where + name)
	}
}

// structure adds what it is made of.
func (s *shaper) structure(l *content.Letter, h message.Header) {
	s.add("is " + mediaType(h.Get("Content-Type")))
	s.add("encoding " + strings.ToLower(h.Get("Content-Transfer-Encoding")))
	s.add("parts " + many(l.Parts))
	for _, name := range l.Charsets[:min(len(l.Charsets), 4)] {
		s.charset("charset ", name)
	}
	if len(l.Languages) > 0 {
		s.local("language " + l.Languages[0].Code)
	}
	if l.EncodedText {
		s.add("base64 without need")
	}
	s.number("invisible characters", l.Invisible)
	if l.Odd != 0 {
		s.add("odd part")
	}
	s.html(&l.HTML)
}

// mediaType is the type of a Content-Type field; "nothing" if there is none.
func mediaType(field string) string {
	kind, _, _ := strings.Cut(field, ";")
	if kind = strings.ToLower(strings.TrimSpace(kind)); kind == "" || len(kind) > 60 {
		return "nothing"
	}
	return kind
}

// html adds the habits of pages.
func (s *shaper) html(h *content.HTML) {
	if h.Pages == 0 {
		return
	}
	s.add("html")
	s.number("images", h.Images)
	s.number("remote images", h.Remote)
	s.number("tiny images", h.Tiny)
	s.number("forms", h.Forms)
	s.number("password fields", h.Passwords)
	s.number("scripts", h.Scripts)
	s.number("frames", h.Frames)
	s.number("split words", h.Split)
	s.number("escaped letters", h.Escaped)
	s.number("unknown tags", h.Unknown)
	if h.Seen > 0 {
		s.add("html per letter " + many(h.Bytes/h.Seen))
	} else {
		s.add("html without text")
	}
}

// number adds how many of something there are, if any.
func (s *shaper) number(what string, n int) {
	if n > 0 {
		s.add(what + " " + many(n))
	}
}

// links adds where links lead, and whether the author's own house is among it.
func (s *shaper) links(l *content.Letter, h message.Header) {
	s.add("links " + many(len(l.Links)))
	home, own := home(h), 0
	houses := map[string]bool{}
	links := l.Links[:min(len(l.Links), linksMost)]
	for i := range links {
		s.link(&links[i])
		s.host(link, "link", links[i].Host)
		s.place(links[i].URL)
		house := organisation(strings.ToLower(links[i].Host))
		houses[house] = true
		if house == home {
			own++
		}
	}
	if len(links) > 0 && home != "" {
		s.whether(own > 0, "links to author's host")
		s.whether(2*own > len(links), "most links to author's host")
		s.add("link hosts " + many(len(houses)))
	}
}

// place adds the words of which the address of a page is made.
func (s *shaper) place(url string) {
	_, rest, _ := strings.Cut(url, "//")
	_, rest, _ = strings.Cut(rest, "/")
	n := 0
	for w := range strings.FieldsFuncSeq(strings.ToLower(rest[:min(len(rest), 200)]), func(r rune) bool { return strings.ContainsRune("/?&=.;+", r) }) {
		if n++; n > placesMost {
			return
		}
		if digits(w) > 3 || len(w) > 24 {
			w = "(code)"
		}
		s.token("place "+w, place)
	}
}

func (s *shaper) link(l *content.Link) {
	if l.Host != "" && strings.IndexFunc(l.Host, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) < 0 {
		s.add("link to a number")
	}
	_, rest, ok := strings.Cut(l.URL, "//")
	if !ok { // mailto:
		return
	}
	switch {
	case strings.Contains(rest, "@") && strings.Index(rest, "@") < strings.Index(rest+"?", "?"):
		s.add("link with @")
	case strings.Contains(rest, "%") && len(rest) < 60:
		s.add("link with %")
	}
	if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, ":") {
		s.add("link with a port")
	}
	if strings.Count(l.Host, ".") > 3 {
		s.add("link to a deep host")
	}
	if strings.Count(l.Host, "-") > 1 {
		s.add("link to a host with hyphens")
	}
	if digits(l.Host) > 3 {
		s.add("link to a host with digits")
	}
}

// files adds the names of files that came with it.
func (s *shaper) files(l *content.Letter) {
	for i := range min(len(l.Files), filesMost) {
		f := &l.Files[i]
		name := strings.ToLower(f.Name)
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 && len(name)-dot < 8 {
			s.add("file " + name[dot:])
		}
		s.local("file " + name)
	}
}

// proportions adds how long the text is, and how it is written.
func (s *shaper) proportions(l *content.Letter) {
	text := l.Text[:min(len(l.Text), wholeText)]
	s.add("length " + many(fields(text)))
	if n := len(text); n > 100 {
		s.add("capitals " + strconv.Itoa(capitals(text)/10*10))
		s.add("exclamations " + many(1000*strings.Count(text, "!")/n))
	}
	if l.Hidden != "" {
		s.add("hidden " + many(fields(l.Hidden)))
	}
}

// fields is how many words with blanks around them there are.
func fields(s string) (n int) {
	for s = s[spaces(s):]; s != ""; s = s[spaces(s):] {
		n++
		s = s[dense(s):]
	}
	return n
}

func digits(s string) int {
	n := 0
	for i := range len(s) {
		if '0' <= s[i] && s[i] <= '9' {
			n++
		}
	}
	return n
}

// capitals is how many of a hundred letters are, those of writings without capitals
// included: a firm's name in a Japanese text is no shout.
func capitals(s string) int {
	all, capital := 0, 0
	for _, r := range s {
		switch {
		case 'A' <= r && r <= 'Z':
			all++
			capital++
		case 'a' <= r && r <= 'z', r >= utf8.RuneSelf && unicode.IsLetter(r):
			all++
		}
	}
	if all < 5 {
		return 0
	}
	return 100 * capital / all
}

// many is how many there are, roughly.
func many(n int) string {
	for _, limit := range []int{0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024} {
		if n <= limit {
			return strconv.Itoa(limit)
		}
	}
	return "many"
}
