package smtp

import (
	"bufio"
	"bytes"
	"io"
)

// Limits on a reply that a client reads; real ones stay far below.
const (
	MaxReplyLines = 512
	MaxReplySize  = 64 << 10 // octets
)

// ProtocolError is a reply that is none: the peer does not speak SMTP, or no
// longer does. The connection is of no more use.
type ProtocolError struct{ What string }

// Error implements error.
func (e *ProtocolError) Error() string { return "SMTP protocol error: " + e.What }

// ReadReply reads one reply of a server (RFC 5321 §4.2). The error is a
// *ProtocolError when the bytes are wrong; io.EOF when the stream ended before
// a reply began and io.ErrUnexpectedEOF when inside. Lines may end with a bare
// LF. Control characters in the text become "?"; the enhanced code is taken
// out of the lines that carry the same one as the first (RFC 2034).
func ReadReply(r *bufio.Reader) (*Reply, error) {
	reply := &Reply{}
	for budget := MaxReplySize; ; {
		line, err := readReplyLine(r, &budget)
		if err == io.EOF && len(reply.Lines) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		more, err := reply.addLine(line)
		if err != nil {
			return nil, err
		}
		if !more {
			return reply, nil
		}
		if len(reply.Lines) == MaxReplyLines {
			return nil, &ProtocolError{"reply of too many lines"}
		}
	}
}

// readReplyLine reads a line without its ending, at the expense of budget.
func readReplyLine(r *bufio.Reader, budget *int) ([]byte, error) {
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		if *budget -= len(part); *budget < 0 {
			return nil, &ProtocolError{"reply too long"}
		}
		switch {
		case err == bufio.ErrBufferFull:
			long = append(long, part...)
			continue
		case err == io.EOF && len(long)+len(part) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
		if long != nil {
			part = append(long, part...)
		}
		return bytes.TrimSuffix(part[:len(part)-1], []byte{'\r'}), nil
	}
}

// addLine takes a line apart: three digits, "-" when more follow, text. The line is
// not needed afterwards, and may be changed.
func (r *Reply) addLine(line []byte) (more bool, err error) {
	code, ok := parseCode(line)
	if !ok {
		return false, &ProtocolError{"not a reply: " + excerpt(line)}
	}
	if len(r.Lines) > 0 && code != r.Code {
		return false, &ProtocolError{"two codes in one reply: " + excerpt(line)}
	}
	body := ""
	if len(line) > 3 {
		more = line[3] == '-'
		disarm(line[4:])
		body = string(line[4:])
	}
	enhanced, rest := cutEnhanced(body, line[0])
	if len(r.Lines) == 0 {
		r.Code, r.Enhanced = code, enhanced
	}
	if enhanced != "" && enhanced == r.Enhanced {
		body = rest
	}
	r.Lines = append(r.Lines, body)
	return more, nil
}

// parseCode reads Reply-code = %x32-35 %x30-35 %x30-39 a little more widely (the
// second digit may be any), and what has to follow it.
func parseCode(line []byte) (int, bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false
	}
	code := 0
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		code = code*10 + int(c-'0')
	}
	return code, true
}

// cutEnhanced cuts status-code = class "." subject "." detail (RFC 2034 §4)
// from the front of a text, if its class is that of the reply.
func cutEnhanced(s string, class byte) (enhanced, rest string) {
	if len(s) < 5 || s[0] != class || class == '3' || s[1] != '.' {
		return "", s
	}
	subject := digits(s[2:])
	i := 2 + subject
	if subject == 0 || i >= len(s) || s[i] != '.' {
		return "", s
	}
	detail := digits(s[i+1:])
	i += 1 + detail
	switch {
	case detail == 0:
		return "", s
	case i == len(s):
		return s, ""
	case s[i] == ' ':
		return s[:i], s[i+1:]
	}
	return "", s
}

// digits counts the digits at the front of s: 1 to 3, or 0 for none or more.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	if n > 3 {
		return 0
	}
	return n
}

// excerpt is the beginning of a peer's line, fit for a log.
func excerpt(line []byte) string {
	return string(appendText(nil, string(line[:min(len(line), 60)])))
}
