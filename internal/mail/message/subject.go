package message

import "strings"

// BaseSubject is the base subject of RFC 5256 §2.1 of an undecoded Subject
// value, for SORT and THREAD. Compare two without regard to case.
func BaseSubject(subject string) string {
	base, _ := baseSubject(subject)
	return base
}

// IsReplySubject tells whether the subject is a reply or forward in the sense of
// RFC 5256 §2.1, that is, whether BaseSubject took "Re:" or the like away.
func IsReplySubject(subject string) bool {
	_, reply := baseSubject(subject)
	return reply
}

func baseSubject(subject string) (base string, reply bool) {
	s := strings.Join(strings.Fields(DecodeText(subject)), " ") // step 1
	for {
		var trailer, leader bool
		s, trailer = trimTrailers(s)
		s, leader = trimLeaders(s)
		reply = reply || trailer || leader
		if !hasPrefixFold(s, "[fwd:") || !strings.HasSuffix(s, "]") { // step 6
			return s, reply
		}
		s, reply = s[len("[fwd:"):len(s)-1], true
	}
}

// trimTrailers is step 2: white space and "(fwd)" at the end.
func trimTrailers(s string) (rest string, found bool) {
	const trailer = "(fwd)"
	for {
		s = strings.TrimRight(s, " ")
		if len(s) < len(trailer) || !strings.EqualFold(s[len(s)-len(trailer):], trailer) {
			return s, found
		}
		s, found = s[:len(s)-len(trailer)], true
	}
}

// trimLeaders is steps 3 to 5: "[list] Re: Fwd: " and blobs, as long as
// something is left. Blobs that no "Re:" follows are never looked at twice,
// which keeps "[][][]…" linear.
func trimLeaders(s string) (rest string, found bool) {
	for {
		s = strings.TrimLeft(s, " ")
		last, after := blobs(s)
		if colon, ok := replyMark(after); ok {
			s, found = colon, true
			continue
		}
		if after == "" {
			return last, found
		}
		return after, found
	}
}

// blobs skips all [blobs] at the start: last is from the last one on, after
// what follows them.
func blobs(s string) (last, after string) {
	last = s
	for {
		rest, ok := blob(s)
		if !ok {
			return last, s
		}
		last, s = s, rest
	}
}

// blob skips "[" *BLOBCHAR "]" *WSP.
func blob(s string) (rest string, ok bool) {
	if s == "" || s[0] != '[' {
		return s, false
	}
	i := strings.IndexAny(s[1:], "[]")
	if i < 0 || s[1+i] == '[' {
		return s, false
	}
	return strings.TrimLeft(s[i+2:], " "), true
}

// replyMark skips ("re" / "fw" / "fwd") *WSP [blob] ":".
func replyMark(s string) (rest string, ok bool) {
	for _, mark := range []string{"re", "fwd", "fw"} {
		if !hasPrefixFold(s, mark) {
			continue
		}
		after, _ := blob(strings.TrimLeft(s[len(mark):], " "))
		if strings.HasPrefix(after, ":") {
			return after[1:], true
		}
	}
	return s, false
}
