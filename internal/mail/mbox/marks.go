package mbox

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Marks are what programs keep about a letter in its header.
type Marks struct {
	Seen, Answered, Flagged, Deleted, Draft bool
	// Old: it was there when the mailbox was last opened.
	Old      bool
	Keywords []string
	UID      uint32 // 0: none
	internal bool
}

// strip takes out of a header what is not the letter's, and gives the rest with CRLF.
// length is that of Content-Length; -1: none.
func strip(raw []byte, base *Base) (head []byte, m Marks, length int64) {
	length = -1
	var out bytes.Buffer
	for len(raw) > 0 {
		field := firstField(raw)
		raw = raw[len(field):]
		name, value, _ := strings.Cut(string(field[:min(len(field), 4096)]), ":")
		value = strings.Join(strings.Fields(value), " ")
		switch strings.ToLower(name) {
		case "status":
			m.Seen, m.Old = m.Seen || strings.Contains(value, "R"), m.Old || strings.Contains(value, "O")
		case "x-status":
			m.status(value)
		case "x-keywords":
			m.Keywords = append(m.Keywords, strings.Fields(value)...)
		case "x-uid":
			m.UID = number(value)
		case "x-imap":
			m.internal = true // UW-IMAP keeps its data in a letter of their own
			base.read(value)
		case "x-imapbase":
			base.read(value)
		case "content-length":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 {
				length = n
			}
		default:
			writeCRLF(&out, unquoted(field))
		}
	}
	return out.Bytes(), m, length
}

// firstField is the first field with its continuations, or the empty line.
func firstField(raw []byte) []byte {
	for end := 0; ; {
		i := bytes.IndexByte(raw[end:], '\n')
		if i < 0 {
			return raw
		}
		end += i + 1
		if end >= len(raw) || raw[end] != ' ' && raw[end] != '\t' || len(bytes.TrimRight(raw[:end], "\r\n")) == 0 {
			return raw[:end]
		}
	}
}

// status reads X-Status: A answered, F flagged, D deleted, T draft.
func (m *Marks) status(value string) {
	for _, c := range value {
		switch c {
		case 'A':
			m.Answered = true
		case 'F':
			m.Flagged = true
		case 'D':
			m.Deleted = true
		case 'T':
			m.Draft = true
		}
	}
}

// read reads "VALIDITY LASTUID KEYWORD…".
func (b *Base) read(value string) {
	fields := strings.Fields(value)
	if len(fields) < 2 || b.Validity != 0 {
		return
	}
	b.Validity, b.LastUID, b.Keywords = number(fields[0]), number(fields[1]), fields[2:]
}

// number reads a decimal; 0 if it is none.
func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// writeCRLF writes lines with CRLF; the last one may be without an end.
func writeCRLF(out *bytes.Buffer, lines []byte) {
	for len(lines) > 0 {
		i := bytes.IndexByte(lines, '\n')
		if i < 0 {
			out.Write(lines)
			return
		}
		out.Write(bytes.TrimSuffix(lines[:i], []byte("\r")))
		out.WriteString("\r\n")
		lines = lines[i+1:]
	}
}

// fromDate finds the date in what stands behind "From ": weekday, month, day, time, and
// the year with or without a zone before or behind it.
func fromDate(text string, zone *time.Location) (time.Time, bool) {
	if len(text) > maxFromLine {
		return time.Time{}, false
	}
	fields := strings.Fields(text)
	for i := len(fields) - 5; i >= 0; i-- {
		if t, ok := dateOf(fields[i:], zone); ok {
			return t, true
		}
	}
	return time.Time{}, false
}

const weekdays = "Mon Tue Wed Thu Fri Sat Sun"

func dateOf(f []string, zone *time.Location) (time.Time, bool) {
	if len(f[0]) != 3 || !strings.Contains(weekdays, f[0]) {
		return time.Time{}, false
	}
	clock := "15:04:05"
	if strings.Count(f[3], ":") == 1 {
		clock = "15:04"
	}
	for i := 4; i < min(len(f), 7); i++ {
		if len(f[i]) != 4 || number(f[i]) < 1900 {
			continue
		}
		day := strings.Join([]string{f[1], f[2], f[3], f[i]}, " ")
		t, err := time.ParseInLocation("Jan 2 "+clock+" 2006", day, zoneOf(f, i, zone))
		return t, err == nil
	}
	return time.Time{}, false
}

// zoneOf is the zone of a date whose year is field i.
func zoneOf(f []string, i int, zone *time.Location) *time.Location {
	for _, z := range []int{i - 1, i + 1} {
		if z < 4 || z >= len(f) {
			continue
		}
		if t, err := time.Parse("-0700", f[z]); err == nil {
			return t.Location()
		}
		if f[z] == "GMT" || f[z] == "UTC" {
			return time.UTC
		}
	}
	return zone
}
