package sasl

import (
	"errors"
	"strings"
)

// bearerServer is OAUTHBEARER and XOAUTH2: a token that somebody else gave out.
//
//	OAUTHBEARER  n,a=user,^Ahost=…^Aport=…^Aauth=Bearer token^A^A
//	XOAUTH2      user=user^Aauth=Bearer token^A^A
//
// A refusal of the token is a challenge with the reason in JSON, to which the
// client has nothing to say, and then the end (RFC 7628 §3.2.3).
type bearerServer struct {
	judge   Judge
	old     bool // XOAUTH2
	asked   bool
	refused error
}

// refusedJSON is all that a client learns. It is the same for a token that is
// wrong and for one of an account that is not here.
const refusedJSON = `{"status":"invalid_token","schemes":"bearer"}`

// refusedOld is what Google answers; its clients look for the status.
const refusedOld = `{"status":"401","schemes":"Bearer","scope":""}`

// Next implements Server.
func (s *bearerServer) Next(response []byte) ([]byte, bool, error) {
	switch {
	case s.refused != nil:
		return nil, false, s.refused
	case response == nil && !s.asked:
		s.asked = true
		return []byte{}, false, nil
	}
	user, token, err := s.parse(response)
	if err != nil {
		return nil, false, err
	}
	if err = ErrWrong; token != "" { // without a token it only asks how to get one
		err = s.judge.Token(user, token)
	}
	if !errors.Is(err, ErrWrong) {
		return nil, err == nil, err
	}
	s.refused = err
	if s.old {
		return []byte(refusedOld), false, nil
	}
	return []byte(refusedJSON), false, nil
}

func (s *bearerServer) parse(response []byte) (user, token string, err error) {
	if len(response) > MaxToken+2*MaxField {
		return "", "", ErrSyntax
	}
	text := string(response)
	if !s.old {
		header, rest, err := cutGS2(text)
		if err != nil || header.flag == 'p' || !strings.HasPrefix(rest, "\x01") {
			return "", "", ErrSyntax
		}
		user, text = header.authzid, rest[1:]
	}
	fields, ok := pairs(text)
	scheme, token, _ := strings.Cut(fields["auth"], " ")
	if !ok || scheme != "" && !strings.EqualFold(scheme, "Bearer") || !tokenForm(token) {
		return "", "", ErrSyntax
	}
	if s.old {
		name, err := field([]byte(fields["user"]))
		if err != nil || name == "" {
			return "", "", ErrSyntax
		}
		user = Prep(name)
	}
	return user, token, nil
}

// pairs reads "key=value^A…^A" with "^A" behind the last. A key given twice is
// an error; of the keys, those that nobody asks for do not matter.
func pairs(text string) (map[string]string, bool) {
	text, ok := strings.CutSuffix(text, "\x01\x01")
	if !ok || strings.Count(text, "\x01") > 20 {
		return nil, false
	}
	out := make(map[string]string)
	for part := range strings.SplitSeq(text, "\x01") {
		key, value, ok := strings.Cut(part, "=")
		if _, twice := out[key]; !ok || key == "" || twice {
			return nil, false
		}
		out[key] = value
	}
	_, given := out["auth"]
	return out, given
}

// tokenForm is b64token (RFC 6750 §2.1), or nothing.
func tokenForm(token string) bool {
	return len(token) <= MaxToken && !strings.ContainsFunc(token, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~+/=", r))
	})
}

// OAuthBearer is the client's initial response of OAUTHBEARER. What the server
// says against it is answered by "^A".
func OAuthBearer(user, token string) []byte {
	name := strings.NewReplacer(",", "=2C", "=", "=3D").Replace(user)
	return []byte("n,a=" + name + ",\x01auth=Bearer " + token + "\x01\x01")
}

// XOAuth2 is the client's initial response of XOAUTH2. What the server says against
// it is answered by an empty line.
func XOAuth2(user, token string) []byte {
	return []byte("user=" + user + "\x01auth=Bearer " + token + "\x01\x01")
}
