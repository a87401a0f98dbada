package sasl

import (
	"bytes"
	"strings"
)

// The challenges of LOGIN. Old clients compare them to the letter.
const (
	askUser     = "Username:"
	askPassword = "Password:"
)

// loginServer asks for the name, then for the password. A client may send the
// name as initial response.
type loginServer struct {
	judge Judge
	step  byte // 0: nothing; 1: name asked; 2: password asked; 3: done
	user  []byte
}

// Next implements Server.
func (s *loginServer) Next(response []byte) ([]byte, bool, error) {
	switch {
	case s.step == 0 && response == nil:
		s.step = 1
		return []byte(askUser), false, nil
	case s.step < 2:
		s.step = 2
		s.user = bytes.Clone(response)
		return []byte(askPassword), false, nil
	case s.step == 2:
		s.step = 3
		cred, err := check(s.user, response)
		if err == nil {
			err = s.judge.Password(cred)
		}
		return nil, err == nil, err
	}
	return nil, false, ErrSyntax
}

// Login is the client's side of LOGIN.
type Login struct {
	Credentials
	steps int
}

// Next answers a challenge. What it asks for is guessed from its text, as
// servers differ in the words, else from its turn.
func (l *Login) Next(challenge []byte) ([]byte, error) {
	l.steps++
	if l.steps > 2 {
		return nil, ErrSyntax
	}
	text := strings.ToLower(string(challenge))
	if strings.HasPrefix(text, "pass") || l.steps == 2 && !strings.HasPrefix(text, "user") {
		return []byte(l.Password), nil
	}
	return []byte(l.User), nil
}
