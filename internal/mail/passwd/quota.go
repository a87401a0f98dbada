package passwd

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Quota reads a quota rule of Dovecot's, "*:storage=1G:messages=1000", in octets and
// letters; -1 is "no limit", 0 nothing said. Rules for single mailboxes are for others.
func Quota(rule string) (bytes, messages int64, err error) {
	mailbox, limits, ok := strings.Cut(rule, ":")
	if !ok {
		return 0, 0, fmt.Errorf("expected a quota rule such as \"*:storage=1G\"")
	}
	if mailbox != "*" && mailbox != "?" {
		return 0, 0, fmt.Errorf("a quota for one mailbox is not supported")
	}
	for limit := range strings.SplitSeq(limits, ":") {
		key, value, _ := strings.Cut(limit, "=")
		var n int64
		switch key {
		case "storage":
			n, err = amount(value, 1<<10) // in kilobytes, where nothing else is said
			bytes = n
		case "bytes":
			n, err = amount(value, 1)
			bytes = n
		case "messages":
			n, err = amount(value, 1)
			messages = n
		case "ignore", "noenforcing":
			bytes, messages = -1, -1
		default:
			err = fmt.Errorf("%.20q is no part of a quota rule", limit)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return bytes, messages, nil
}

// amount reads "100", "100M"; 0 is no limit.
func amount(text string, unit int64) (int64, error) {
	digits := strings.TrimRight(text, "BbKkMmGgTt")
	switch strings.ToUpper(text[len(digits):]) {
	case "":
	case "B":
		unit = 1
	case "K", "KB":
		unit = 1 << 10
	case "M", "MB":
		unit = 1 << 20
	case "G", "GB":
		unit = 1 << 30
	case "T", "TB":
		unit = 1 << 40
	default:
		return 0, fmt.Errorf("%.20q is no size", text)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%.20q is no size", text)
	}
	if n == 0 {
		return -1, nil
	}
	return n * unit, nil
}
