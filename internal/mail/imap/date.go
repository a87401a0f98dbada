package imap

import "time"

// The forms of RFC 9051 §9: date-text and date-time. The day has one or two
// digits in the first, a blank or a zero in front in the second.
const (
	dateLayout     = "_2-Jan-2006"
	dateTimeLayout = "_2-Jan-2006 15:04:05 -0700"
)

// date reads a date of SEARCH, quoted or not: midnight UTC of that day.
func (d *Decoder) date() time.Time {
	t, err := time.Parse(dateLayout, d.astring())
	if err != nil {
		d.fail("Invalid date")
	}
	return t
}

// dateTime reads the quoted date of APPEND.
func (d *Decoder) dateTime() time.Time {
	t, err := time.Parse(dateTimeLayout, d.quoted())
	if err != nil || t.Year() < 1 {
		d.fail("Invalid date-time")
	}
	return t
}

// appendDateTime is t.AppendFormat of "02-Jan-2006 15:04:05 -0700", by hand: it
// stands in every line of a list.
func appendDateTime(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	_, zone := t.Zone()
	b = append(appendTwo(b, day), '-')
	b = append(append(b, month.String()[:3]...), '-')
	b = append(appendTwo(appendTwo(b, year/100), year%100), ' ')
	b = append(appendTwo(b, hour), ':')
	b = append(appendTwo(b, minute), ':')
	b = append(appendTwo(b, second), ' ')
	sign := byte('+')
	if zone < 0 {
		sign, zone = '-', -zone
	}
	return appendTwo(appendTwo(append(b, sign), zone/3600), zone/60%60)
}

// appendTwo appends two digits of a number below 100.
func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10%10), byte('0'+n%10)) }
