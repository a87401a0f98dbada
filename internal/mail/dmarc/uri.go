package dmarc

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"facteur/internal/mail/address"
)

// What can be wrong with a URI for reports. The texts quote nothing of it.
var (
	ErrScheme  = errors.New("only mailto: is supported")
	ErrAddress = errors.New("not one mail address")
	ErrSize    = errors.New("a size that can't be read")
)

// maxURI is the length of a URI in bytes.
const maxURI = 1024

// ParseURI reads one URI of rua or ruf: mailto:local@domain, percent-encoded as
// URIs are, without header fields, and with the "!10m" that RFC 7489 §6.2 allowed.
func ParseURI(s string) (URI, error) {
	scheme, rest, found := strings.Cut(s, ":")
	if !found || !strings.EqualFold(strings.TrimSpace(scheme), "mailto") || len(s) > maxURI {
		return URI{}, ErrScheme
	}
	rest, size, limited := strings.Cut(rest, "!")
	u := URI{}
	if limited {
		if u.Max = parseSize(size); u.Max == 0 {
			return URI{}, ErrSize
		}
	}
	rest, _, _ = strings.Cut(rest, "?")
	text, err := url.PathUnescape(strings.TrimSpace(rest))
	if err != nil {
		return URI{}, ErrAddress
	}
	if u.Address, err = address.Parse(text); err != nil {
		return URI{}, ErrAddress
	}
	return u, nil
}

// parseSize reads 1*DIGIT [ "k" / "m" / "g" / "t" ]; 0 if it can't.
func parseSize(s string) int64 {
	s = strings.ToLower(strings.TrimSpace(s))
	factor := int64(1)
	if n := len(s); n > 0 {
		if i := strings.IndexByte("kmgt", s[n-1]); i >= 0 {
			factor = 1 << (10 * (i + 1))
			s = s[:n-1]
		}
	}
	n, err := strconv.ParseUint(s, 10, 20)
	if err != nil || strings.HasPrefix(s, "+") {
		return 0
	}
	return int64(n) * factor
}
