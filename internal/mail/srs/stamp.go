package srs

import (
	"strings"
	"time"
)

// A day is counted from 1970, modulo what two characters of base32 can hold.
const (
	digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	slots  = len32 * len32
	len32  = len(digits)
)

func day(t time.Time) int { return int(t.Unix()/(24*60*60)) % slots }

func stampOf(day int) string { return string([]byte{digits[day/len32], digits[day%len32]}) }

// dayOf reads a stamp, in either case.
func dayOf(stamp string) (day int, ok bool) {
	if len(stamp) != 2 {
		return 0, false
	}
	stamp = strings.ToUpper(stamp)
	high, low := strings.IndexByte(digits, stamp[0]), strings.IndexByte(digits, stamp[1])
	return high*len32 + low, high >= 0 && low >= 0
}

// age is how many days ago a day was. That of tomorrow is none: clocks differ.
func age(made int, now time.Time) int {
	days := (day(now) - made + slots) % slots
	if days == slots-1 {
		return 0
	}
	return days
}
