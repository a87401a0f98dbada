package authd

import (
	"context"
	"encoding/binary"
	"io"
	"strings"

	"facteur/internal/flow/login"
	"facteur/internal/mail/authline"
	"facteur/internal/server/listen"
)

// Saslauthd answers one question in saslauthd's language. It is a listen.Handler.
func (s *Server) Saslauthd(ctx context.Context, c *listen.Conn) {
	c.Busy(responseTime)
	if !s.enter(c) {
		return
	}
	var fields [4]string // name, password, service, realm
	for i := range fields {
		var ok bool
		if fields[i], ok = readString(c); !ok {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, responseTime)
	defer cancel()
	user := fields[0]
	if realm := fields[3]; realm != "" && !strings.Contains(user, "@") {
		user += "@" + realm
	}
	x := s.session(c)
	_, r := x.check(ctx, x.applicant(fields[2], "", ""), user, fields[1])
	answer, _ := authline.AppendString(nil, saslauthdAnswer(r))
	c.Busy(writeTime)
	c.Write(answer) //nolint:errcheck // it is over in any case
}

// saslauthdAnswer is the answer for a refusal; nil: none. The language has no word for
// "later".
func saslauthdAnswer(r *login.Refusal) string {
	switch {
	case r == nil:
		return "OK"
	case r.Reason == login.Later, r.Reason == login.Limited, r.Reason == login.Barred:
		return "NO try again later"
	}
	return "NO"
}

// readString reads a string after its length.
func readString(c io.Reader) (string, bool) {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return "", false
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > authline.MaxString {
		return "", false
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return string(b), err == nil
}
