package mysql

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
)

// What the two sides can do. The names are those of the protocol.
const (
	longPassword     = 0x1
	longFlag         = 0x4
	connectWithDB    = 0x8
	protocol41       = 0x200
	offersTLS        = 0x800
	transactions     = 0x2000
	secureConnection = 0x8000
	pluginAuth       = 0x80000
	countedAuth      = 0x200000
)

// utf8mb4 is the number of utf8mb4_general_ci, which every server has.
const utf8mb4 = 45

// maxRounds is how often a server may ask for something else before it lets us in.
const maxRounds = 8

// Config is who we are, and how.
type Config struct {
	User, Password, Database string
	// TLS encrypts the connection and verifies the server; nil: nothing is encrypted. A
	// server that does not offer TLS then is an error.
	TLS *tls.Config
}

// greeting is the first packet of a server.
type greeting struct {
	can    uint32
	salt   []byte
	plugin string
}

func parseGreeting(b []byte) (g greeting, err error) {
	if b[0] == isError {
		return g, refusal(b)
	}
	r := reader{rest: b}
	if version := r.number(1); version != 10 {
		return g, wrong("version %d of the handshake; expected 10", version)
	}
	r.text()  // the server's version
	r.take(4) // the number of the connection
	g.salt = append(g.salt, r.take(8)...)
	r.take(1)
	g.can = uint32(r.number(2))
	r.take(3) // character set, status
	g.can |= uint32(r.number(2)) << 16
	more := max(13, int(r.number(1))-8)
	r.take(10)
	if r.broken {
		return g, errCutOff
	}
	if g.can&(protocol41|secureConnection) != protocol41|secureConnection {
		return g, errors.New("the server is older than MySQL 4.1")
	}
	if salt := r.take(more); len(salt) > 0 {
		g.salt = append(g.salt, salt[:len(salt)-1]...) // without its NUL
	}
	g.plugin = nativePassword
	if g.can&pluginAuth != 0 {
		g.plugin = r.text()
	}
	if r.broken {
		return g, errCutOff
	}
	return g, nil
}

var errCutOff = wrong("the greeting is cut off")

// Connect logs in over a connection that was just made. On an error the connection is
// of no use.
func Connect(raw net.Conn, c Config) (*Conn, error) {
	conn := &Conn{raw: raw, packets: packets{rw: raw}}
	l := login{Config: c, conn: conn, private: raw.RemoteAddr().Network() == "unix"}
	if err := l.run(); err != nil {
		return nil, err
	}
	if err := conn.exec("SET SESSION TRANSACTION READ ONLY"); err != nil {
		return nil, err
	}
	return conn, nil
}

// login is the beginning of a connection.
type login struct {
	Config
	conn    *Conn
	private bool // nobody can listen in
}

func (l *login) run() error {
	b, err := l.conn.read()
	if err != nil {
		return err
	}
	g, err := parseGreeting(b)
	if err != nil {
		return err
	}
	if l.TLS != nil {
		if err := l.encrypt(g); err != nil {
			return err
		}
	}
	answer, err := l.answer(g.plugin, g.salt)
	var unknown *unknownPlugin
	if errors.As(err, &unknown) { // that of this user may be another
		g.plugin, answer, err = nativePassword, nativeAnswer(l.Password, g.salt), nil
	}
	if err != nil {
		return err
	}
	out := append(l.head(g), l.User...)
	out = appendCounted(append(out, 0), string(answer))
	out = append(append(out, l.Database...), 0)
	out = append(append(out, g.plugin...), 0)
	if err := l.conn.write(out); err != nil {
		return err
	}
	return l.settle(g.plugin, g.salt)
}

// head is the beginning of our answer, and of the request for TLS.
func (l *login) head(g greeting) []byte {
	can := uint32(longPassword | longFlag | connectWithDB | protocol41 | transactions | secureConnection | pluginAuth | countedAuth)
	if l.TLS != nil {
		can |= offersTLS
	}
	b := binary.LittleEndian.AppendUint32(nil, can&(g.can|pluginAuth|countedAuth))
	b = binary.LittleEndian.AppendUint32(b, MaxPacket)
	return append(append(b, utf8mb4), make([]byte, 23)...)
}

func (l *login) encrypt(g greeting) error {
	if g.can&offersTLS == 0 {
		return errors.New("the server does not offer TLS")
	}
	if err := l.conn.write(l.head(g)); err != nil {
		return err
	}
	encrypted := tls.Client(l.conn.raw, l.TLS)
	if err := encrypted.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	l.conn.rw, l.private = encrypted, true
	return nil
}

// settle answers what the server asks until it lets us in.
func (l *login) settle(plugin string, salt []byte) error {
	for range maxRounds {
		b, err := l.conn.read()
		if err != nil {
			return err
		}
		switch b[0] {
		case isOK:
			return nil
		case isError:
			return refusal(b)
		case isEnd:
			plugin, salt, err = l.another(b)
		case isMore:
			err = l.more(plugin, b[1:])
		default:
			err = wrong("the byte %#x in a log-in", b[0])
		}
		if err != nil {
			return err
		}
	}
	return wrong("more than %d questions in a log-in", maxRounds)
}

// another goes on by the plugin that the server names.
func (l *login) another(b []byte) (plugin string, salt []byte, err error) {
	r := reader{rest: b[1:]}
	plugin = r.text()
	salt = append(salt, r.rest...)
	if n := len(salt); n > 0 && salt[n-1] == 0 {
		salt = salt[:n-1]
	}
	answer, err := l.answer(plugin, salt)
	if err != nil {
		return "", nil, err
	}
	if len(answer) == 0 {
		// An empty packet: we have no password.
		l.conn.next++
		_, err := l.conn.rw.Write([]byte{0, 0, 0, l.conn.next - 1})
		return plugin, salt, err
	}
	return plugin, salt, l.conn.write(answer)
}

const (
	nativePassword  = "mysql_native_password"
	cachingPassword = "caching_sha2_password"
	clearPassword   = "mysql_clear_password"
)

// unknownPlugin is a way to log in that we do not have.
type unknownPlugin struct{ name string }

func (e *unknownPlugin) Error() string {
	return fmt.Sprintf("the server wants the log-in %.64q, which is not spoken here; give the user %s or %s", e.name, nativePassword, cachingPassword)
}

func (l *login) answer(plugin string, salt []byte) ([]byte, error) {
	switch plugin {
	case nativePassword:
		return nativeAnswer(l.Password, salt), nil
	case cachingPassword:
		return cachingAnswer(l.Password, salt), nil
	case clearPassword:
		if !l.private {
			return nil, errInClear
		}
		return append([]byte(l.Password), 0), nil
	}
	return nil, &unknownPlugin{plugin}
}

var errInClear = errors.New("the server wants the password itself, and the way there is not encrypted; " +
	"use TLS or the server's socket, or give the user " + nativePassword)

// more answers caching_sha2_password, which has two things to say: it remembers the
// password, or it wants it.
func (l *login) more(plugin string, said []byte) error {
	const remembered, wanted = 3, 4
	switch {
	case plugin != cachingPassword || len(said) != 1:
		return wrong("an unexpected question in a log-in by %.64q", plugin)
	case said[0] == remembered:
		return nil
	case said[0] == wanted && l.private:
		return l.conn.write(append([]byte(l.Password), 0))
	case said[0] == wanted:
		return errInClear
	}
	return wrong("the question %d in a log-in", said[0])
}

// nativeAnswer is SHA1(password) XOR SHA1(salt + SHA1(SHA1(password))).
func nativeAnswer(password string, salt []byte) []byte {
	if password == "" {
		return nil
	}
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	mask := sha1.Sum(append(append([]byte(nil), salt...), twice[:]...))
	return xor(once[:], mask[:])
}

// cachingAnswer is SHA256(password) XOR SHA256(SHA256(SHA256(password)) + salt).
func cachingAnswer(password string, salt []byte) []byte {
	if password == "" {
		return nil
	}
	once := sha256.Sum256([]byte(password))
	twice := sha256.Sum256(once[:])
	mask := sha256.Sum256(append(twice[:], salt...))
	return xor(once[:], mask[:])
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}
