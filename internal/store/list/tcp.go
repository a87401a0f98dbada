package list

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"facteur/internal/base/event"
)

// maxLine is the longest reply of a tcp: table with its line end (tcp_table(5)).
const maxLine = 4096

// tcpTable is a table that is asked line by line (tcp_table(5)), such as postsrsd.
type tcpTable struct{}

// openTCP reads host:port.
func openTCP(s Source, rest string, events event.Sink) (*remote, error) {
	host, err := tcpHost(rest)
	if err != nil {
		return nil, err
	}
	r := newRemote(s, []string{host}, tcpTable{}, events)
	r.entire = true
	return r, nil
}

func tcpHost(rest string) (string, error) {
	host, port, err := net.SplitHostPort(rest)
	if err != nil || host == "" {
		return "", fmt.Errorf("expected a host and a port such as \"tcp:127.0.0.1:10001\", found %q", rest)
	}
	return withPort(rest, port)
}

// talk is one connection of lines or of netstrings.
type talk struct {
	wire *wire
	in   *bufio.Reader
	ask1 func(s *talk, key string) (value string, found bool, err error)
}

func speak(ctx context.Context, host string, ask func(*talk, string) (string, bool, error)) (session, error) {
	raw, err := new(net.Dialer).DialContext(ctx, network(host), host)
	if err != nil {
		return nil, describe(ctx, bare(err))
	}
	w := newWire(raw)
	return &talk{wire: w, in: bufio.NewReaderSize(w, maxLine), ask1: ask}, nil
}

// ask sends a question and reads its answer. What comes without a question, before it
// or behind an answer, is nobody's: the connection is given up (MAP-006).
func (s *talk) ask(ctx context.Context, key string) (values []string, found bool, err error) {
	rest := s.wire.during(ctx)
	defer rest()
	value, found, err := s.ask1(s, key)
	if err == nil && s.in.Buffered() > 0 {
		err = errors.New("the server says more than it was asked")
	}
	switch {
	case err != nil:
		return nil, false, describe(ctx, err)
	case !found:
		return nil, false, nil
	}
	return []string{value}, true, nil
}

func (s *talk) close() { s.wire.Close() }

func (tcpTable) dial(ctx context.Context, host string) (session, error) {
	return speak(ctx, host, askLine)
}

// askLine is "get KEY", answered with "200 VALUE", "500 …" (there is none) or "400 …".
func askLine(s *talk, key string) (string, bool, error) {
	if _, err := fmt.Fprintf(s.wire, "get %s\n", percentEncode(key)); err != nil {
		return "", false, err
	}
	line, err := s.in.ReadSlice('\n')
	if err != nil {
		return "", false, lineError(err)
	}
	text := strings.TrimRight(string(line), "\r\n")
	code, rest, _ := strings.Cut(text, " ")
	switch code {
	case "200":
		value, err := percentDecode(strings.TrimSpace(rest))
		return value, err == nil, err
	case "500":
		return "", false, nil
	case "400":
		return "", false, complaint{fmt.Errorf("the server says %.200q", text)}
	}
	return "", false, fmt.Errorf("%.100q is no answer; expected 200, 400 or 500 (tcp_table(5))", text)
}

func lineError(err error) error {
	if errors.Is(err, bufio.ErrBufferFull) {
		return errTooMuch
	}
	return fmt.Errorf("the answer is cut off: %w", err)
}

// percentEncode writes %XX for "%", blanks and what is not printed (tcp_table(5)).
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '%' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func percentDecode(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return "", fmt.Errorf("the value has a %q without two hexadecimal digits", "%")
		}
		b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
		i += 2
	}
	return b.String(), nil
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
