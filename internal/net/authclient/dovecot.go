package authclient

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/authline"
	"facteur/internal/mail/sasl"
)

// maxHandshake is how many lines a greeting may have.
const maxHandshake = 200

// askDovecot logs in by PLAIN on an auth-client socket.
func askDovecot(_ context.Context, c net.Conn, q question) lookup.Answer[string] {
	s := talk(c)
	// Each client has a number of its own. Dovecot means that of the process, and turns
	// away a second connection with the same.
	s.say(authline.Of("VERSION", "1", "2"), authline.Of("CPID", number()))
	if err := s.until("DONE"); err != nil {
		return lookup.Later[string](err)
	}
	response := sasl.Encode(sasl.Plain(sasl.Credentials{User: q.login, Password: q.password}))
	s.say(authline.Of("AUTH", "1", "PLAIN", "service="+q.service, "secured", "nologin", "resp="+response))
	for {
		l, err := s.answer()
		switch {
		case err != nil:
			return lookup.Later[string](err)
		case l.Name == "OK":
			if user, ok := l.Value("user"); ok && user != "" {
				return lookup.Yes(user)
			}
			return lookup.Yes(q.login)
		case l.Name == "FAIL":
			if _, temp := l.Value("temp"); temp {
				return lookup.Later[string](errors.New("it can not tell at the moment"))
			}
			return lookup.No[string](errRefused)
		}
		return lookup.Later[string](errConfused)
	}
}

// number is a number of a client.
func number() string {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return strconv.FormatUint(uint64(binary.BigEndian.Uint32(b[:])>>1)+1, 10)
}

// Users asks a Dovecot's auth-userdb socket. Its methods may be called from any
// goroutine.
type Users struct {
	path  string
	turns chan struct{}
}

// NewUsers asks the socket at a path.
func NewUsers(path string) *Users { return &Users{path, make(chan struct{}, atOnce)} }

// User is what a Dovecot knows of a user.
type User struct {
	// Name is the user's, as Dovecot spells it.
	Name string
	// Fields are those of the userdb: "home", "uid", "gid", "mail", "quota_rule".
	Fields map[string]string
}

// User looks up a user.
func (u *Users) User(ctx context.Context, name string) lookup.Answer[User] {
	conn, done, err := dial(ctx, u.path, u.turns)
	if err != nil {
		return lookup.Later[User](err)
	}
	defer done()
	s := talk(conn)
	s.say(authline.Of("VERSION", "1", "1"), authline.Of("USER", "1", name, "service=facteur"))
	l, err := s.answer()
	switch {
	case err != nil:
		return lookup.Later[User](fmt.Errorf("%s: %w", u.path, err))
	case l.Name == "USER" && len(l.Fields) >= 2:
		return lookup.Yes(userOf(l))
	case l.Name == "NOTFOUND":
		return lookup.No[User](errors.New("there is no such user"))
	}
	return lookup.Later[User](fmt.Errorf("%s: it can not tell at the moment", u.path))
}

func userOf(l authline.Line) User {
	u := User{Name: l.Fields[1], Fields: map[string]string{}}
	for _, f := range l.Fields[2:] {
		key, value, _ := strings.Cut(f, "=")
		u.Fields[key] = value
	}
	return u
}

// List gives the names of all users, until fn fails.
func (u *Users) List(ctx context.Context, fn func(name string) error) error {
	conn, done, err := dial(ctx, u.path, u.turns)
	if err != nil {
		return err
	}
	defer done()
	s := talk(conn)
	s.say(authline.Of("VERSION", "1", "1"), authline.Of("LIST", "1", "service=facteur"))
	for {
		l, err := s.answer()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", u.path, err)
		case l.Name == "DONE":
			if l.Field(1) == "fail" {
				return fmt.Errorf("%s: it can not list its users", u.path)
			}
			return nil
		case l.Name != "LIST" || l.Field(1) == "":
			return fmt.Errorf("%s: %w", u.path, errConfused)
		}
		if err := fn(l.Fields[1]); err != nil {
			return err
		}
	}
}

// conversation is one connection.
type conversation struct {
	conn net.Conn
	r    *bufio.Reader
	err  error // of writing
}

func talk(c net.Conn) *conversation {
	return &conversation{conn: c, r: bufio.NewReaderSize(c, authline.MaxLine+1)}
}

func (s *conversation) say(lines ...authline.Line) {
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(l.String())
	}
	if s.err == nil {
		_, s.err = s.conn.Write([]byte(text.String()))
	}
}

func (s *conversation) next() (authline.Line, error) {
	if s.err != nil {
		return authline.Line{}, s.err
	}
	text, err := s.r.ReadSlice('\n')
	if err != nil {
		return authline.Line{}, fmt.Errorf("it gave no answer: %w", err)
	}
	return authline.Parse(string(text[:len(text)-1]))
}

// greetings are the lines that a server begins with. Their first field is no number of
// a request, even where it looks so.
const greetings = " VERSION MECH SPID CUID COOKIE DONE "

// until reads a greeting up to a line.
func (s *conversation) until(name string) error {
	for range maxHandshake {
		l, err := s.next()
		switch {
		case err != nil:
			return err
		case l.Name == "VERSION" && l.Field(0) != "1":
			return fmt.Errorf("it speaks version %.10q of the protocol, and we version 1", l.Field(0))
		case l.Name == name:
			return nil
		}
	}
	return errConfused
}

// answer is the next line for request number 1.
func (s *conversation) answer() (authline.Line, error) {
	for range maxHandshake {
		l, err := s.next()
		if err != nil {
			return l, err
		}
		if id, ok := l.ID(); ok && id == 1 && (l.Name == "DONE" || !strings.Contains(greetings, " "+l.Name+" ")) {
			return l, nil
		}
	}
	return authline.Line{}, errConfused
}
