package directory

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"facteur/internal/mail/address"
)

func (d *Directory) mailDir() string { return filepath.Join(d.dataDir, "mail") }

// homeOf is where an account lives below DATA/mail. a is folded (it was read from
// a Key), so that all spellings of one mailbox live in one place.
func homeOf(a address.Address) string {
	return filepath.Join(pathName(a.Domain), pathName(a.Local))
}

// pathName writes any string as the name of one file. Letters, digits and a few
// harmless marks stand for themselves; each other byte, and a dot in front, is
// "%XX". So no name is empty (a "%" alone stands for that), "." or "..", none
// holds a slash or a NUL, and no two strings have the same name.
func pathName(s string) string {
	if s == "" {
		return "%"
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) && (c != '.' || i > 0) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("._-+=", c) >= 0
}

// AddressIn is HomeOf backwards: whose home, in lower case, a directory below that of all
// mail is. ok is false for one that is nobody's.
func AddressIn(below string) (a address.Address, ok bool) {
	domain, local, ok := strings.Cut(filepath.ToSlash(below), "/")
	var errs [2]error
	a.Domain, errs[0] = url.PathUnescape(domain)
	a.Local, errs[1] = url.PathUnescape(local)
	return a, ok && errors.Join(errs[:]...) == nil && homeOf(a) == below
}
