package authclient

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/authline"
)

// maxAnswer is the longest answer of saslauthd that is read, in octets.
const maxAnswer = 1024

var errConfused = errors.New("it gave an answer that is none")

// askSaslauthd asks as libsasl does: what stands after the last "@" is the realm.
func askSaslauthd(_ context.Context, c net.Conn, q question) lookup.Answer[string] {
	user, realm := q.login, ""
	if at := strings.LastIndexByte(user, '@'); at >= 0 {
		user, realm = user[:at], user[at+1:]
	}
	answer, err := Saslauthd(c, user, q.password, q.service, realm)
	switch {
	case errors.Is(err, errTooLong):
		return lookup.No[string](errRefused)
	case err != nil:
		return lookup.Later[string](err)
	case strings.HasPrefix(answer, "OK"):
		return lookup.Yes(q.login)
	case strings.HasPrefix(answer, "NO"):
		return lookup.No[string](errRefused)
	}
	return lookup.Later[string](errConfused)
}

// errTooLong: nobody has such a name or password.
var errTooLong = errors.New("longer than a name or a password is")

// Saslauthd asks over an open connection and gives the answer, "OK" or "NO" and perhaps
// a word on the reason.
func Saslauthd(c net.Conn, user, password, service, realm string) (string, error) {
	var request []byte
	for _, field := range []string{user, password, service, realm} {
		var ok bool
		if request, ok = authline.AppendString(request, field); !ok {
			return "", errTooLong
		}
	}
	if _, err := c.Write(request); err != nil {
		return "", err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return "", fmt.Errorf("it gave no answer: %w", err)
	}
	n := binary.BigEndian.Uint16(size[:])
	if n < 2 || n > maxAnswer {
		return "", errConfused
	}
	answer := make([]byte, n)
	if _, err := io.ReadFull(c, answer); err != nil {
		return "", fmt.Errorf("it gave half an answer: %w", err)
	}
	return string(answer), nil
}
