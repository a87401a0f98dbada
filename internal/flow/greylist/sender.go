package greylist

import (
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/batv"
)

// Plain is a sender address without what its maker changes from letter to letter, in lower
// case: "bounce-4711-42@list.example" and "bounce-4712-77@list.example" are the same, and
// so are
//
//	list-bounces+bob=here.example@list.example      VERP: whom the letter is for
//	SRS0=aB3d=TT=example.org=alice@fwd.example      SRS: the day, and a hash of it
//	prvs=0123abcdef=alice@example.org               BATV: the same
//	btv1==0815==alice@example.org                   Barracuda's
//	bounce+47f11.a3-bob=here.example@mail.example   numbers of letters
//
// It is "<>" for the null sender. It stands for no address that anybody could write to.
func Plain(a address.Address) string {
	if a.IsNull() {
		return "<>"
	}
	if bare, _, ok := batv.Cut(a); ok {
		a = bare
	}
	local := strings.ToLower(a.Local)
	if rest, ok := cutBarracuda(local); ok {
		local = rest
	}
	if rest, ok := cutSRS(local); ok {
		local = rest
	} else if base, _, tagged := strings.Cut(local, "+"); tagged && base != "" {
		local = base
	}
	return steady(local) + "@" + strings.ToLower(a.Domain)
}

// cutBarracuda takes "btv1==HASH==" off.
func cutBarracuda(local string) (string, bool) {
	rest, ok := strings.CutPrefix(local, "btv1==")
	if !ok {
		return local, false
	}
	_, rest, ok = strings.Cut(rest, "==")
	return rest, ok && rest != ""
}

// cutSRS takes "SRS0=HASH=DAY=" or "SRS1=HASH=" off; what is left names who wrote first.
func cutSRS(local string) (string, bool) {
	if len(local) < 6 || !strings.ContainsRune("=+-", rune(local[4])) {
		return local, false
	}
	parts := strings.SplitN(local[5:], "=", 4)
	switch {
	case local[:4] == "srs0" && len(parts) >= 3 && parts[0] != "":
		return strings.Join(parts[2:], "="), true
	case local[:4] == "srs1" && len(parts) >= 2:
		// SRS1=HASH=host==HASH=DAY=domain=local: the host before it, and what it had.
		last := strings.LastIndex(local, "=")
		return parts[1] + "=" + local[last+1:], true
	}
	return local, false
}

// steady puts "#" for the parts of a local part that look like numbers of a letter: digits,
// and longer words with digits among their letters.
func steady(local string) string {
	out := make([]byte, 0, len(local))
	for len(local) > 0 {
		n := strings.IndexAny(local, "-_=.")
		if n < 0 {
			n = len(local)
		}
		if isNumber(local[:n]) {
			out = append(out, '#')
		} else {
			out = append(out, local[:n]...)
		}
		end := min(n+1, len(local))
		out = append(out, local[n:end]...)
		local = local[end:]
	}
	return string(out)
}

// isNumber tells digits alone, and longer words with digits before letters: not those of
// people who have a number behind their names.
func isNumber(word string) bool {
	const digits = "0123456789"
	name := strings.TrimRight(word, digits)
	return word != "" && name == "" || len(word) >= 8 && strings.ContainsAny(name, digits)
}
