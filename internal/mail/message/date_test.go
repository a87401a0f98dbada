package message

import (
	"strings"
	"testing"
	"time"
)

// dateTests have the result in RFC 3339, "" for none.
var dateTests = []struct{ in, want string }{
	{"Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"},
	{"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)", "1969-02-13T23:32:00-03:30"},
	{"21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06Z"},
	{"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T09:55:06-06:00"},
	{"Tue, 1 Jul 03 10:52:37 +0200", "2003-07-01T10:52:37+02:00"},
	{"1 Jan 102 00:00 EST", "2002-01-01T00:00:00-05:00"},
	{"Thu, 9 Jan 2025 10:26:14 Z", "2025-01-09T10:26:14Z"},
	{"Thu, 9 Jan 2025 10:26:14 A", "2025-01-09T10:26:14Z"},
	{"Thu, 9 Jan 2025 10:26:14 CEST", "2025-01-09T10:26:14+02:00"},
	{"Thu, 9 Jan 2025 10:26:14 +02:00", "2025-01-09T10:26:14+02:00"},
	{"Thu, 9 Jan 2025 10:26:14 GMT+0200", "2025-01-09T10:26:14+02:00"},
	{"Thu, 9 Jan 2025 10:26", "2025-01-09T10:26:00Z"},
	{"9 January 2025", "2025-01-09T00:00:00Z"},
	{"09-Jan-2025 10:26:14 -0500", "2025-01-09T10:26:14-05:00"},
	{"Thu Jan  9 10:26:14 2025", "2025-01-09T10:26:14Z"},
	{"Thu Jan  9 10:26:14 EST 2025", "2025-01-09T10:26:14-05:00"},
	{"Thu Jan  9 10:26:14 2025 +0100", "2025-01-09T10:26:14+01:00"},
	{"31 Feb 2025 25:61:61 +0000", "2025-02-28T23:59:59Z"},
	{"1 Jan 999999 00:00:00 +0000", "9998-12-31T23:59:59Z"},
	{"1 Jan 99999999999999999999 00:00:00 +0000", "9998-12-31T23:59:59Z"},
	{"1 Jan 1000 00:00:00 +0000", "1900-01-01T00:00:00Z"},
	{"1 Jan 1900 00:00:00 +9999", "1900-01-01T00:00:00Z"},
	{"99999999999 Jan 2025 00:00:00 -9999", "2025-01-31T00:00:00Z"},
	{"", ""}, {"Thu", ""}, {"Thu, 9 2025", ""}, {"9 Xyz 2025 00:00", ""}, {"x Jan 2025", ""}, {"9 Jan x", ""}, {"9 Jan 5", ""}, {"(((", ""}, {",,,", ""}, {"-- -", ""},
}

func TestParseDate(t *testing.T) {
	for _, tt := range dateTests {
		t.Run("MIME-019 "+tt.in, func(t *testing.T) {
			when, ok := ParseDate(tt.in)
			got := ""
			if ok {
				got = when.Format(time.RFC3339)
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestFirstOfManyDates(t *testing.T) {
	t.Run("MIME-019 100 dates", func(t *testing.T) {
		root := mustParse(t, "Date: 1 Jan 2026 00:00:00 +0000\r\n"+strings.Repeat("Date: 2 Jan 2026 00:00:00 +0000\r\n", 99)+"\r\n")
		if when, ok := ParseDate(root.Envelope.Date); !ok || when.Day() != 1 {
			t.Errorf("%v %v", when, ok)
		}
	})
}

func TestFormatDate(t *testing.T) {
	for _, tt := range []struct {
		in   time.Time
		want string
	}{
		{time.Date(1997, 11, 21, 9, 55, 6, 0, time.FixedZone("", -6*3600)), "Fri, 21 Nov 1997 09:55:06 -0600"},
		{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "Thu, 01 Jan 2026 00:00:00 +0000"},
		{time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 5*3600+1800)), "Thu, 01 Jan 2026 00:00:00 +0530"},
		{time.Date(20260, 1, 1, 0, 0, 0, 0, time.UTC), "Thu, 01 Jan 9998 00:00:00 +0000"},
		{time.Time{}, "Mon, 01 Jan 1900 00:00:00 +0000"},
	} {
		if got := FormatDate(tt.in); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.in, got, tt.want)
		}
	}
}
