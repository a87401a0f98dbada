package imap

import "time"

// The forms of RFC 9051 §9: date-text and date-time. The day has one or two
// digits in the first, a blank or a zero in front in the second.
const (
	dateLayout     = "_2-Jan-2006"
	dateTimeLayout = "_2-Jan-2006 15:04:05 -0700"
	dateTimeOut    = "02-Jan-2006 15:04:05 -0700"
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

// FormatDateTime writes a time as INTERNALDATE has it, without the quotes.
func FormatDateTime(t time.Time) string { return t.Format(dateTimeOut) }
