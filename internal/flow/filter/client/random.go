package client

import "strings"

// isRandom tells a word that nobody has chosen: letters and digits thrown together. It has
// to be long, and odd in more than one way; what programs give to honest machines (WIN-…,
// the number of a container, of a serial number in hexadecimal) is not random in this sense.
func isRandom(word string) bool {
	word = strings.ToLower(word)
	if len(word) < 7 || len(word) > 63 || isSerial(word) {
		return false
	}
	word = sounds.Replace(word)
	letters, changes, run, longest, vowels := 0, 0, 0, 0, 0
	last := kindless
	for _, r := range word {
		k := kindOf(r)
		if k == other {
			return false // it is composed, and somebody has composed it
		}
		if last != kindless && (k == digit) != (last == digit) {
			changes++
		}
		switch k {
		case vowel:
			vowels++
			letters++
			run = 0
		case consonant:
			letters++
			run++
			longest = max(longest, run)
		default:
			run = 0
		}
		last = k
	}
	odd := 0
	if longest >= 5 {
		odd++
	}
	if changes >= 3 {
		odd++
	}
	if changes >= 5 {
		odd++
	}
	if letters >= 6 && vowels*6 < letters {
		odd++
	}
	return odd >= 2
}

// sounds are several letters that are one sound: words of many languages have them side by
// side.
var sounds = strings.NewReplacer("tsch", "s", "sch", "s", "ch", "c", "sh", "s", "th", "t", "ph", "f", "ck", "k", "sz", "s", "cz", "c", "rz", "r", "tz", "t", "ng", "n")

// isSerial tells names that programs give: hexadecimal numbers, and a word in front of one.
func isSerial(word string) bool {
	hex := strings.Trim(word, "0123456789abcdef") == ""
	return hex || strings.HasPrefix(word, "win-") || strings.HasPrefix(word, "desktop-") || strings.HasPrefix(word, "laptop-") || strings.HasPrefix(word, "ip-")
}

type kind int

const (
	kindless kind = iota
	vowel
	consonant
	digit
	other
)

func kindOf(r rune) kind {
	switch {
	case strings.ContainsRune("aeiouy", r):
		return vowel
	case r >= 'a' && r <= 'z':
		return consonant
	case r >= '0' && r <= '9':
		return digit
	}
	return other
}
