package message

import (
	"strconv"
	"strings"
	"time"
)

// The years that ParseDate gives; what is outside is clamped.
const (
	firstYear = 1900 // RFC 5322 §3.3
	lastYear  = 9998 // in any zone still four digits
)

// maxDateWords is how many words of a date are looked at.
const maxDateWords = 12

// ParseDate reads an unfolded Date value (RFC 5322 §3.3 with §4.3: two-digit
// years, named zones, comments), and forgives a missing weekday, time, seconds
// or zone, dashes in the date and the order of asctime. The time stands in the
// zone that the sender wrote; a zone that is unknown or over 23 hours counts as
// UTC. Days, hours and years out of range are clamped. False when there is no
// day, month and year.
func ParseDate(value string) (time.Time, bool) {
	w := dateWords(value)
	if len(w) > 0 && monthNumber(w[0]) == 0 && isAlpha(w[0]) {
		w = w[1:] // the weekday
	}
	if len(w) < 3 {
		return time.Time{}, false
	}
	if monthNumber(w[0]) > 0 {
		w = fromAsctime(w)
	}
	day, okDay := number(w[0])
	month := monthNumber(w[1])
	year, okYear := number(w[2])
	if !okDay || !okYear || month == 0 || len(w[2]) < 2 {
		return time.Time{}, false
	}
	var clock clockTime
	zone := time.UTC
	if len(w) > 3 {
		clock = parseClock(w[3])
	}
	if len(w) > 4 {
		zone = parseZone(w[4])
	}
	year = fullYear(year, len(w[2]))
	if year > lastYear {
		return time.Date(lastYear, time.December, 31, 23, 59, 59, 0, time.UTC), true
	}
	year = max(year, firstYear)
	day = min(max(day, 1), daysIn(time.Month(month), year))
	return time.Date(year, time.Month(month), day, clock.hour, clock.minute, clock.second, 0, zone), true
}

// dateWords splits at white space, commas and comments; "12 : 30" becomes one
// word, "1-Jan-2026" three.
func dateWords(value string) []string {
	var words []string
	t := tokens{s: value}
	glue := false
	for len(words) < maxDateWords {
		t.skipCFWS()
		start := t.at
		for t.at < len(t.s) && strings.IndexByte(" \t\r\n(,", t.s[t.at]) < 0 {
			t.at++
		}
		word := t.s[start:t.at]
		switch {
		case word == "" && t.at == len(t.s):
			return words
		case word == "":
			t.at++ // a comma
			continue
		case (glue || word[0] == ':') && len(words) > 0 && len(words[len(words)-1]) < 32:
			words[len(words)-1] += word
		default:
			words = append(words, splitDashes(word)...)
		}
		glue = strings.HasSuffix(word, ":")
	}
	return words
}

func splitDashes(word string) []string {
	if parts := strings.SplitN(word, "-", 4); len(parts) == 3 && monthNumber(parts[1]) > 0 {
		return parts
	}
	return []string{word}
}

// fromAsctime reorders "Jan 2 15:04:05 [zone] 2006".
func fromAsctime(w []string) []string {
	if len(w) < 4 || !strings.Contains(w[2], ":") {
		return append([]string{w[1], w[0]}, w[2:]...) // "Jan 2, 2006 15:04:05"
	}
	if len(w) > 4 && isAlpha(w[3]) {
		return []string{w[1], w[0], w[4], w[2], w[3]}
	}
	return append([]string{w[1], w[0], w[3], w[2]}, w[4:]...)
}

// number reads a decimal number without sign; too large ones are clamped.
func number(s string) (int, bool) {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int(s[i]-'0'), 1<<30)
	}
	return n, s != ""
}

// monthNumber knows English months by their first three letters.
func monthNumber(s string) int {
	if len(s) < 3 || !isAlpha(s) {
		return 0
	}
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	i := strings.Index(months, strings.ToLower(s[:3]))
	if i < 0 || i%3 != 0 {
		return 0
	}
	return i/3 + 1
}

func isAlpha(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := lowerByte(s[i]); (c < 'a' || c > 'z') && c != '.' {
			return false
		}
	}
	return s != ""
}

// fullYear follows RFC 5322 §4.3 for years of two and three digits.
func fullYear(year, digits int) int {
	switch {
	case digits == 2 && year < 50:
		return 2000 + year
	case digits == 2 || digits == 3:
		return 1900 + year
	}
	return year
}

func daysIn(month time.Month, year int) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

type clockTime struct{ hour, minute, second int }

// parseClock reads hh:mm[:ss], each clamped; a leap second becomes 59.
func parseClock(s string) clockTime {
	part := strings.SplitN(s, ":", 4)
	at := func(i, most int) int {
		if i >= len(part) {
			return 0
		}
		digits, _, _ := strings.Cut(part[i], ".")
		n, _ := number(digits)
		return min(n, most)
	}
	return clockTime{at(0, 23), at(1, 59), at(2, 59)}
}

// parseZone reads +hhmm, +hh:mm or a name. RFC 5322 §4.3: the single letters
// were used wrongly for so long that they mean nothing, as do unknown names.
func parseZone(s string) *time.Location {
	if i := strings.IndexAny(s, "+-"); i >= 0 {
		return numericZone(s[i:])
	}
	hours := map[string]int{
		"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
		"CET": 1, "CEST": 2, "MET": 1, "MEST": 2, "WET": 0, "WEST": 1, "EET": 2, "EEST": 3, "BST": 1, "JST": 9,
	}[strings.ToUpper(s)]
	return location(hours * 3600)
}

func numericZone(s string) *time.Location {
	digits := strings.ReplaceAll(s[1:], ":", "")
	if len(digits) == 3 {
		digits = "0" + digits
	}
	n, ok := number(digits)
	if !ok || len(digits) != 4 || n/100 > 23 || n%100 > 59 {
		return time.UTC
	}
	seconds := n/100*3600 + n%100*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return location(seconds)
}

func location(seconds int) *time.Location {
	if seconds == 0 {
		return time.UTC
	}
	return time.FixedZone("", seconds)
}

// FormatDate writes a date as RFC 5322 §3.3 has it, in t's own zone.
func FormatDate(t time.Time) string {
	if year := t.Year(); year < firstYear || year > lastYear {
		t = time.Date(min(max(year, firstYear), lastYear), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, t.Location())
	}
	_, offset := t.Zone()
	sign := "+"
	if offset < 0 {
		sign, offset = "-", -offset
	}
	zone := strconv.Itoa(10000 + offset/3600*100 + offset%3600/60)[1:]
	return t.Format("Mon, 02 Jan 2006 15:04:05 ") + sign + zone
}
