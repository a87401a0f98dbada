package ledger

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"strings"
)

// IDHeader carries the id of a letter.
const IDHeader = "X-Ledger-Id"

// Letter is a message that can be made again at any time from its id and size.
type Letter struct {
	ID   string
	From string
	Size int // bytes, about: the last line may pass it
}

// Bytes writes the letter with CRLF line ends. Its lines are the ones that
// mail software gets wrong: dots in front, blanks at the end, nothing at all,
// 8-bit bytes, "From " at the start, 998 bytes long (RFC 5322 §2.1.1).
func (l Letter) Bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nSubject: letter %s\r\n%s: %s\r\n", l.From, l.ID, IDHeader, l.ID)
	fmt.Fprintf(&b, "Message-ID: <%s@ledger.test>\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n", l.ID)
	b.WriteString("To: undisclosed-recipients:;\r\nMIME-Version: 1.0\r\n")
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	random := rand.New(rand.NewPCG(seed(l.ID), uint64(l.Size)))
	for b.Len() < l.Size {
		b.WriteString(line(random))
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "end of %s\r\n", l.ID)
	return b.Bytes()
}

func seed(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64()
}

// The lines that are not plain text.
var oddLines = []string{
	".", "..", ".hidden", "", "From the sea", "blanks behind  ", "\ttab", "ünïcödé ✉",
	"--", "QUIT", "DATA", "Received: not a header", strings.Repeat("x", 998),
}

func line(random *rand.Rand) string {
	if random.IntN(4) == 0 {
		return oddLines[random.IntN(len(oddLines))]
	}
	text := make([]byte, 20+random.IntN(56))
	for i := range text {
		text[i] = "abcdefghijklmnopqrstuvwxyz     ."[random.IntN(32)]
	}
	text[len(text)-1] = '!'
	return string(text)
}

// prefixHeaders are what servers may put in front of a letter.
var prefixHeaders = []string{"return-path", "delivered-to", "x-original-to", "received"}

// strip takes the prefix headers from a stored letter.
func strip(stored []byte) []byte {
	for {
		end, prefix := firstField(stored)
		if !prefix {
			return stored
		}
		stored = stored[end:]
	}
}

// firstField finds the end of the first header field with its continuation
// lines, and tells whether it is a prefix header.
func firstField(text []byte) (end int, prefix bool) {
	name, _, found := bytes.Cut(text[:min(len(text), 80)], []byte(":"))
	if !found {
		return 0, false
	}
	for _, header := range prefixHeaders {
		prefix = prefix || strings.EqualFold(string(name), header)
	}
	for end < len(text) {
		length := bytes.IndexByte(text[end:], '\n') + 1
		if length == 0 {
			return len(text), prefix
		}
		if end += length; end == len(text) || text[end] != ' ' && text[end] != '\t' {
			break
		}
	}
	return end, prefix
}

// canonical turns a letter that is stored with LF line ends, as Maildirs
// have them, into the form it was sent in. A letter with any CRLF is taken as
// it is, so that a mixture shows.
func canonical(stored []byte) []byte {
	if bytes.Contains(stored, []byte("\r\n")) {
		return stored
	}
	return bytes.ReplaceAll(stored, []byte("\n"), []byte("\r\n"))
}

var idLine = regexp.MustCompile(`(?m)^` + IDHeader + `: ([^\r\n]+)\r?$`)

// idOf finds the id of a letter, or of the letter that a notice returns.
func idOf(text []byte) string {
	if found := idLine.FindSubmatch(text); found != nil {
		return string(found[1])
	}
	return ""
}
