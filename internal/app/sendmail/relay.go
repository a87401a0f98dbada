package sendmail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"facteur/internal/mail/smtp"
)

// Relay speaks SMTP on in and out (-bs). It waits for each reply before it passes on
// the next command, so that a dialogue may come from a file, which knows no waiting;
// and it lets lines end in LF, as lines of files do. What BDAT announces, and all
// that follows STARTTLS, passes as it is.
func Relay(ctx context.Context, socket string, in io.Reader, out io.Writer) error {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		err = down(socket, err)
		out.Write(smtp.NewReply(421, "4.3.2", err.Error()).AppendTo(nil))
		return err
	}
	defer conn.Close()
	r := relay{server: conn, replies: bufio.NewReader(conn), in: bufio.NewReader(in), out: out}
	if _, err := r.reply(); err != nil {
		return err
	}
	for {
		if over, err := r.command(); over || err != nil {
			return err
		}
	}
}

// relay is a dialogue under way.
type relay struct {
	server  net.Conn
	replies *bufio.Reader
	in      *bufio.Reader
	out     io.Writer
}

// commandMax is longer than any command that a server takes, in bytes.
const commandMax = 64 << 10

// command passes on one command with what belongs to it. over: the dialogue is.
func (r *relay) command() (over bool, err error) {
	line, err := r.line()
	if err != nil {
		return true, err
	}
	if len(line) == 0 {
		return true, nil // the end of the input; the server sees that we hang up
	}
	if _, err := r.server.Write(line); err != nil {
		return true, lost(err)
	}
	verb, rest, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	verb = strings.ToUpper(verb)
	if verb == "BDAT" {
		if err := r.chunk(rest); err != nil {
			return true, err
		}
	}
	code, err := r.reply()
	switch {
	case err != nil:
		return true, err
	case verb == "DATA" && code == 354:
		return r.data()
	case verb == "STARTTLS" && code == 220:
		return true, r.raw()
	}
	return verb == "QUIT" || code == 421, nil
}

// line reads a line and gives it with CRLF; nil at the end of the input.
func (r *relay) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == io.EOF && len(line) == 0:
			return nil, nil
		case err == nil || err == io.EOF:
			return append(bytes.TrimRight(line, "\r\n"), "\r\n"...), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, failf(IOErr, "reading the dialogue: %v", err)
		case len(line) > commandMax:
			return nil, failf(DataErr, "a line of the dialogue is longer than %d bytes", commandMax)
		}
	}
}

// chunk passes on as many bytes as BDAT announces (RFC 3030 §2).
func (r *relay) chunk(args string) error {
	size, _, _ := strings.Cut(args, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n <= 0 {
		return nil // the server's to refuse
	}
	if _, err := io.CopyN(r.server, r.in, n); err != nil {
		return lost(err)
	}
	return nil
}

// data passes on lines up to the one of a dot, and the reply to all of them.
func (r *relay) data() (over bool, err error) {
	w := bufio.NewWriterSize(r.server, 32<<10)
	for begun := false; ; {
		part, err := r.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return true, nil // cut off: there is no message
		}
		end := !begun && string(bytes.TrimRight(part, "\r\n")) == "."
		if begun = err != nil; !begun {
			w.Write(bytes.TrimSuffix(part[:len(part)-1], []byte{'\r'}))
			w.WriteString("\r\n")
		} else {
			w.Write(part) // an error stays with w
		}
		if end {
			break
		}
	}
	if err := w.Flush(); err != nil {
		return true, lost(err)
	}
	_, err = r.reply()
	return err != nil, err
}

// raw passes everything on, both ways.
func (r *relay) raw() error {
	go func() {
		io.Copy(r.server, r.in)
		r.server.(*net.UnixConn).CloseWrite()
	}()
	if _, err := io.Copy(r.out, r.replies); err != nil {
		return lost(err)
	}
	return nil
}

// reply passes a reply on, and gives its code.
func (r *relay) reply() (code int, err error) {
	for {
		line, err := r.replies.ReadSlice('\n')
		if err != nil {
			return 0, lost(err)
		}
		if _, err := r.out.Write(line); err != nil {
			return 0, failf(IOErr, "writing a reply: %v", err)
		}
		if len(line) >= 4 && line[3] == '-' {
			continue
		}
		if len(line) >= 3 {
			code, _ = strconv.Atoi(string(line[:3]))
		}
		return code, nil
	}
}
