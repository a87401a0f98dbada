package letter

import (
	"bytes"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// How far a date may be off: clocks of amateurs are wrong by hours, and letters wait in
// queues for days.
const (
	farAhead  = 48 * time.Hour
	longAgo   = 30 * 24 * time.Hour
	manyNamed = 100
)

// header looks at what RFC 5322 §3.6 asks for, and at the subject. Programs of amateurs
// forget much of it: each costs little.
func (v *view) header(n *notes) {
	v.twice(n)
	v.dates(n)
	v.ids(n)
	v.addressed(n)
	v.bytes(n)
	v.subject(n)
	v.received(n)
}

// once are fields that may stand once (RFC 5322 §3.6).
var once = [...]string{"From", "Sender", "Reply-To", "To", "Cc", "Message-ID", "In-Reply-To", "References", "Subject", "Date"}

func (v *view) twice(n *notes) {
	for _, name := range once {
		if c := v.Header.Count(name); c > 1 {
			n.add(duplicate, 1, "The header has %d fields %s, where one may stand.", c, name)
			if name == "From" || name == "Subject" || name == "Date" || name == "Sender" {
				n.add(badHeader, 1, "The header has %d fields %s: readers show different ones.", c, name)
			}
		}
	}
}

func (v *view) dates(n *notes) {
	text, ok := v.Header.Lookup("Date")
	if !ok {
		n.add(dateMissing, 1, "The letter has no Date.")
		return
	}
	date, ok := message.ParseDate(text)
	if !ok {
		n.add(dateBad, 1, "The Date %s can't be read.", quote(text))
		return
	}
	if v.Now.IsZero() {
		return
	}
	switch ahead := date.Sub(v.Now); {
	case ahead > farAhead:
		n.add(dateFuture, 1, "The Date is %d days ahead.", int(ahead.Hours()/24))
	case -ahead > longAgo:
		n.add(datePast, 1, "The Date is %d days ago.", int(-ahead.Hours()/24))
	}
}

func (v *view) ids(n *notes) {
	text, ok := v.Header.Lookup("Message-ID")
	if !ok {
		n.add(idMissing, 1, "The letter has no Message-ID.")
		return
	}
	id := message.MessageID(text)
	if at := strings.LastIndexByte(id, '@'); at < 2 || at >= len(id)-2 || !strings.HasPrefix(strings.TrimSpace(text), "<") {
		n.add(idBad, 1, "The Message-ID %s is not what one has to be.", quote(text))
	}
}

func (v *view) addressed(n *notes) {
	from := message.ParseAddresses(v.Header.Get("From"))
	if len(from) == 0 || from[0].Host == "" && from[0].Local == "" {
		n.add(fromMissing, 1, "Nobody can be read from the From field.")
		n.add(badHeader, 1, "The letter has no author.")
	}
	to := v.Header.Get("To") + "," + v.Header.Get("Cc")
	c := 0
	for _, m := range message.ParseAddresses(to) {
		if m.Host != "" || m.Local != "" && !m.GroupStart {
			c++
		}
	}
	switch {
	case c == 0 && !v.Sender.IsNull():
		n.add(toMissing, 1, "The letter is addressed to nobody: it has neither To nor Cc.")
	case c > manyNamed && v.Header.Count("List-Id") == 0:
		n.add(toMany, 1, "The letter is addressed to %d recipients at once.", c)
	}
}

// bytes looks for such as no header may have.
func (v *view) bytes(n *notes) {
	if bytes.IndexByte(v.Header, 0) >= 0 {
		n.add(controls, 1, "The header has zero bytes.")
		n.add(badHeader, 1, "The header has zero bytes.")
	}
	if !utf8.Valid(v.Header) {
		n.add(eightBit, 1, "The header has bytes beyond ASCII that are no UTF-8.")
	}
	for _, c := range v.content.Charsets {
		if name := strings.Trim(c, "\"' "); name != "" && !message.KnowsCharset(name) && !honestCharset(name) {
			n.add(badCharset, 1, "It names a charset that is not read: %s.", quote(name))
		}
	}
}

// honestCharset tells names that are not read and yet stand in honest letters.
func honestCharset(name string) bool {
	switch name {
	case "unknown-8bit", "unknown", "default", "x-unknown", "ansi_x3.4-1968", "iso-2022-kr", "ascii", "us-ascii", "utf8", "binary", "none", "hz-gb-2312", "gb2312":
		return true
	}
	return strings.HasPrefix(name, "iso-8859-") || strings.HasPrefix(name, "iso_8859-") || strings.HasPrefix(name, "windows-") || strings.HasPrefix(name, "cp")
}

// enoughLetters is how many a subject must have to be judged by them.
const enoughLetters = 12

func (v *view) subject(n *notes) {
	s := v.content.Subject
	if s == "" {
		n.add(subjectMissing, 1, "The letter has no Subject.")
		return
	}
	letters, capitals, single, words := 0, 0, 0, 0
	for w := range strings.FieldsSeq(s) {
		words++
		if utf8.RuneCountInString(w) == 1 && w != "&" && w != "-" && w != "|" && w != "–" {
			single++
		}
		if content.MixedScripts(w) {
			n.add(subjectInvisible, 1, "A word of the Subject mixes scripts: %s.", quote(w))
		}
		for _, r := range w {
			if unicode.IsLetter(r) && unicode.ToUpper(r) != unicode.ToLower(r) {
				letters++
				if unicode.IsUpper(r) {
					capitals++
				}
			}
		}
	}
	if letters >= enoughLetters && capitals*10 >= letters*9 {
		n.add(subjectCapitals, 1, "The Subject is all in capitals.")
	}
	if single >= 5 && single*3 >= words*2 {
		n.add(subjectSpaced, 1, "The letters of the Subject are set apart.")
	}
	if v.content.SubjectInvisible >= 2 {
		n.add(subjectInvisible, 1, "There are characters in the Subject that nobody sees.")
	}
	if strings.HasPrefix(strings.ToLower(s), "re:") && v.Header.Count("In-Reply-To")+v.Header.Count("References")+v.Header.Count("Thread-Index") == 0 {
		n.add(fakeReply, 1, "The Subject says that it is an answer, and the header does not say to what.")
	}
}

// received looks for lines that claim to be ours. A letter that was here before and came
// back (by a list, by a forwarder) says by whom it was sent on.
func (v *view) received(n *notes) {
	if v.house.Hostname == "" {
		return
	}
	by := " by " + strings.ToLower(v.house.Hostname) + " "
	lines := 0
	for f := range v.Header.Fields() {
		if !f.Is("Received") {
			continue
		}
		if lines++; lines > 50 {
			return
		}
		if strings.Contains(strings.ToLower(f.Text())+" ", by) && v.Header.Count("List-Id")+v.Header.Count("Resent-From")+v.Header.Count("X-Forwarded-For")+v.Header.Count("ARC-Seal") == 0 && !v.returns() {
			n.add(receivedForged, 1, "A Received line says that the letter was here before.")
		}
	}
}

// returns tells a letter that may well have been here: it is one of ours.
func (v *view) returns() bool {
	from := message.ParseAddresses(v.Header.Get("From"))
	return v.Sender.IsNull() || v.ours(v.Sender.Domain) || len(from) > 0 && v.ours(canonical(from[0].Host)) || strings.HasPrefix(strings.ToUpper(v.Sender.Local), "SRS")
}
