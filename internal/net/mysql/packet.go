package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxPacket is the largest packet that is taken or sent, in bytes.
const MaxPacket = 1 << 20

// ErrProtocol says that the server sent what the protocol does not allow, or what is
// beyond our bounds.
var ErrProtocol = errors.New("the server does not keep to MySQL's protocol")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProtocol, fmt.Errorf(format, args...))
}

// packets reads and writes the packets of one connection.
type packets struct {
	rw   io.ReadWriter
	next byte // the number of the next packet
	buf  bytes.Buffer
}

// read gives the next packet; it is good until the one after it is read.
func (p *packets) read() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(p.rw, head[:]); err != nil {
		return nil, err
	}
	size := int64(head[0]) | int64(head[1])<<8 | int64(head[2])<<16
	if size > MaxPacket {
		return nil, wrong("a packet of %d bytes; expected at most %d", size, MaxPacket)
	}
	if head[3] != p.next {
		return nil, wrong("packet number %d where %d was due", head[3], p.next)
	}
	p.next++
	p.buf.Reset()
	if _, err := io.CopyN(&p.buf, p.rw, size); err != nil {
		return nil, short(err)
	}
	if size == 0 {
		return nil, wrong("an empty packet")
	}
	return p.buf.Bytes(), nil
}

// short is the end of a connection in the middle of a packet.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// write sends one packet.
func (p *packets) write(body []byte) error {
	if len(body) > MaxPacket {
		return fmt.Errorf("a question of %d bytes; expected at most %d", len(body), MaxPacket)
	}
	n := len(body)
	out := append(make([]byte, 0, n+4), byte(n), byte(n>>8), byte(n>>16), p.next)
	p.next++
	_, err := p.rw.Write(append(out, body...))
	return err
}

// reader walks through a packet. Once something is missing it is broken, and gives
// zero values.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.broken, r.rest = true, nil
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

// number is a little-endian number of n bytes, at most 8.
func (r *reader) number(n int) uint64 {
	var all [8]byte
	copy(all[:], r.take(n))
	return binary.LittleEndian.Uint64(all[:])
}

// text ends with a NUL, or with the packet.
func (r *reader) text() string {
	if i := bytes.IndexByte(r.rest, 0); i >= 0 {
		out := string(r.rest[:i])
		r.rest = r.rest[i+1:]
		return out
	}
	return string(r.take(len(r.rest)))
}

// length is a length-encoded number.
func (r *reader) length() uint64 {
	switch first := r.number(1); first {
	case 0xfc:
		return r.number(2)
	case 0xfd:
		return r.number(3)
	case 0xfe:
		return r.number(8)
	case 0xfb, 0xff:
		r.broken = true
		return 0
	default:
		return first
	}
}

// counted is text behind its length.
func (r *reader) counted() []byte {
	n := r.length()
	if n > uint64(len(r.rest)) {
		r.broken, r.rest = true, nil
		return nil
	}
	return r.take(int(n))
}

// appendCounted writes text behind its length.
func appendCounted(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 0xfb:
		b = append(b, byte(n))
	case n <= 0xffff:
		b = binary.LittleEndian.AppendUint16(append(b, 0xfc), uint16(n))
	default:
		b = append(b, 0xfd, byte(n), byte(n>>8), byte(n>>16))
	}
	return append(b, s...)
}

// Error is what a server answered with instead of rows.
type Error struct {
	Code  uint16
	State string // SQLSTATE, 5 characters; may be empty
	Text  string // by the server; at most 512 bytes
}

// Error implements error.
func (e *Error) Error() string {
	if e.State == "" {
		return fmt.Sprintf("%s (error %d)", e.Text, e.Code)
	}
	return fmt.Sprintf("%s (error %d, SQLSTATE %s)", e.Text, e.Code, e.State)
}

// refusal reads an error packet.
func refusal(b []byte) error {
	r := reader{rest: b[1:]}
	e := &Error{Code: uint16(r.number(2))}
	if len(r.rest) >= 6 && r.rest[0] == '#' {
		e.State = string(r.take(6)[1:])
	}
	e.Text = string(bytes.ToValidUTF8(r.rest[:min(len(r.rest), 512)], []byte("?")))
	return e
}

const (
	isOK    = 0x00
	isMore  = 0x01
	isLocal = 0xfb
	isEnd   = 0xfe
	isError = 0xff
)

// ended tells the packet that ends a list of columns or of rows.
func ended(b []byte) bool { return b[0] == isEnd && len(b) < 9 }
