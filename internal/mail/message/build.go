package message

import "strings"

// quoteLocal quotes a local part that is no dot-atom.
func quoteLocal(local string) string {
	if isDotAtom(local) {
		return local
	}
	return quoteString(local)
}

// isDotAtom follows RFC 5322 §3.2.3, with bytes over 127 (RFC 6532 §3.2).
func isDotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == 127 || strings.IndexByte(`()<>[]:;@\,"`, c) >= 0 {
			return false
		}
	}
	return true
}

func quoteString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
