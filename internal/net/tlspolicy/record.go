package tlspolicy

import (
	"errors"
	"strings"
)

// ErrRecord: the TXT record of a domain that announces a policy can't be read, or there
// are several.
var ErrRecord = errors.New("the _mta-sts record is not valid")

// ParseRecord finds the announcement of a policy among the TXT records of
// _mta-sts.DOMAIN, and gives its id (RFC 8461 §3.1). "" is none. Other records are
// passed over; of several announcements none counts.
func ParseRecord(texts []string) (id string, err error) {
	var found []string
	for _, t := range texts {
		if isRecord(t) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return recordID(found[0])
	}
	return "", ErrRecord
}

// isRecord: it starts with its version, and nothing else does.
func isRecord(text string) bool {
	rest, ok := strings.CutPrefix(text, "v=STSv1")
	return ok && strings.HasPrefix(strings.TrimLeft(rest, " \t"), ";")
}

func recordID(text string) (string, error) {
	for field := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(strings.Trim(field, " \t"), "=")
		if name == "id" {
			if !isID(value) {
				return "", ErrRecord
			}
			return value, nil
		}
	}
	return "", ErrRecord
}

// isID: 1 to 32 letters and digits.
func isID(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}
