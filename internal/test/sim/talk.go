package sim

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// patience is how long a peer may be silent.
const patience = 5 * time.Minute

// talk is the server's side of one SMTP connection: strict enough to notice a
// client that breaks the rules, and with a place to put a fault at each step.
type talk struct {
	nc     net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	config *tls.Config
	conn   int

	recipient func(address string) string
	message   func(Transaction) (reply string, then End) // nil: takes it
	done      func(Transaction)
	faults    *faults // nil: none
	hide      map[string]bool
	offer     []string

	secure bool
	helo   string
	mail   string
	open   bool // MAIL was accepted
	to     []string
	rcpts  []string
	chunks []byte // of BDAT
}

func newTalk(nc net.Conn) *talk {
	t := &talk{nc: nc, recipient: func(string) string { return "250 2.1.5 Ok" }, done: func(Transaction) {}}
	t.use(nc)
	return t
}

func (t *talk) use(nc net.Conn) {
	t.nc = nc
	t.r = bufio.NewReaderSize(nc, 16<<10)
	t.w = bufio.NewWriter(nc)
}

// run talks until one side has enough.
func (t *talk) run() {
	if t.say("greeting", "220 sink.invalid ESMTP") != nil {
		return
	}
	for {
		line, err := t.line()
		if err != nil {
			return
		}
		if t.answer(line) != nil {
			return
		}
	}
}

func (t *talk) line() (string, error) {
	if t.r.Buffered() == 0 {
		t.w.Flush()
	}
	t.nc.SetDeadline(time.Now().Add(patience))
	line, err := t.r.ReadString('\n')
	text, ok := strings.CutSuffix(line, "\r\n")
	if err == nil && !ok {
		err = fmt.Errorf("a line without CRLF: %q", line)
	}
	return text, err
}

// say sends a reply, or what the faults make of it. An error ends the talk.
func (t *talk) say(stage, reply string) error {
	if t.faults != nil {
		return t.faults.say(t, stage, reply+"\r\n")
	}
	_, err := t.w.WriteString(reply + "\r\n")
	if stage == "greeting" {
		err = t.w.Flush()
	}
	return err
}

// replaced tells whether a fault has said something else than what was meant.
func (t *talk) replaced() bool { return t.faults != nil && t.faults.raw }

func (t *talk) answer(line string) error {
	verb, args, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		t.helo = args
		return t.say("EHLO", t.offers())
	case "HELO":
		t.helo = args
		return t.say("HELO", "250 sink.invalid")
	case "STARTTLS":
		return t.startTLS()
	case "AUTH":
		return t.auth(args)
	case "MAIL":
		return t.mailFrom(args)
	case "RCPT":
		return t.rcptTo(args)
	case "DATA":
		return t.data()
	case "BDAT":
		return t.bdat(args)
	case "RSET":
		t.forget()
		return t.say("RSET", "250 2.0.0 Ok")
	case "NOOP":
		return t.say("NOOP", "250 2.0.0 Ok")
	case "QUIT":
		t.say("QUIT", "221 2.0.0 Bye")
		t.w.Flush()
		return io.EOF
	}
	return t.say("unknown", fmt.Sprintf("500 5.5.2 What is %.40q?", line))
}

func (t *talk) offers() string {
	offers := []string{"sink.invalid"}
	for _, o := range []string{"PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN", "STARTTLS"} {
		keyword, _, _ := strings.Cut(o, " ")
		if t.hide[keyword] || keyword == "STARTTLS" && (t.config == nil || t.secure) {
			continue
		}
		offers = append(offers, o)
	}
	offers = append(offers, t.offer...)
	last := len(offers) - 1
	text := ""
	for _, o := range offers[:last] {
		text += "250-" + o + "\r\n"
	}
	return text + "250 " + offers[last]
}

func (t *talk) startTLS() error {
	if t.config == nil || t.secure {
		return t.say("STARTTLS", "454 4.7.0 TLS not available")
	}
	if err := t.say("STARTTLS", "220 2.0.0 Ready"); err != nil || t.replaced() {
		return err
	}
	t.w.Flush()
	conn := tls.Server(t.nc, t.config)
	if err := conn.Handshake(); err != nil {
		return err
	}
	t.use(conn)
	t.secure = true
	t.forget()
	return nil
}

// forget ends a transaction.
func (t *talk) forget() { t.open, t.to, t.rcpts, t.chunks = false, nil, nil, nil }

func (t *talk) auth(args string) error {
	if strings.EqualFold(args, "LOGIN") {
		for _, prompt := range []string{"334 V2hvIGFyZSB5b3U/", "334 "} {
			if err := t.say("prompt", prompt); err != nil {
				return err
			}
			if _, err := t.line(); err != nil {
				return err
			}
		}
	}
	return t.say("AUTH", "235 2.7.0 Welcome")
}

func (t *talk) mailFrom(args string) error {
	if t.open {
		return t.say("MAIL", "503 5.5.1 Nested MAIL")
	}
	t.forget()
	t.open, t.mail = true, strings.TrimPrefix(args, "FROM:")
	return t.say("MAIL", "250 2.1.0 Ok")
}

func (t *talk) rcptTo(args string) error {
	if !t.open {
		return t.say("RCPT", "503 5.5.1 MAIL first")
	}
	args = strings.TrimPrefix(args, "TO:")
	to, _, _ := strings.Cut(strings.TrimPrefix(args, "<"), ">")
	reply := t.recipient(to)
	if strings.HasPrefix(reply, "2") {
		t.to, t.rcpts = append(t.to, to), append(t.rcpts, args)
	}
	return t.say("RCPT", reply)
}

func (t *talk) data() error {
	if len(t.to) == 0 {
		return t.say("DATA", "554 5.5.1 No valid recipients")
	}
	if err := t.say("DATA", "354 Go ahead"); err != nil || t.replaced() {
		return err
	}
	t.w.Flush()
	body, err := t.body()
	if err != nil {
		return err
	}
	return t.keep(body)
}

// keep ends a transaction with its message.
func (t *talk) keep(body []byte) error {
	m := Transaction{Conn: t.conn, Helo: t.helo, Mail: t.mail, Recipients: t.to, Rcpts: t.rcpts, Data: body, TLS: t.secure, Taken: time.Now()}
	t.forget()
	reply, then := "", Stay
	if t.message != nil {
		reply, then = t.message(m)
	}
	if reply == "" {
		reply = "250 2.0.0 Ok: queued"
	}
	m.Unanswered = then == Drop
	if reply[0] == '2' {
		t.done(m)
	}
	if then == Drop {
		return errEnd
	}
	return t.say("end", reply)
}

// bdat takes a chunk (RFC 3030 §2), its bytes as they are.
func (t *talk) bdat(args string) error {
	var size int64
	var last string
	if n, _ := fmt.Sscan(args, &size, &last); n == 0 || size < 0 || n == 2 && last != "LAST" {
		return fmt.Errorf("no size: BDAT %s", args)
	}
	chunk, err := io.ReadAll(io.LimitReader(t.r, size))
	switch {
	case err != nil || int64(len(chunk)) < size:
		return io.ErrUnexpectedEOF
	case len(t.to) == 0:
		return t.say("BDAT", "503 5.5.1 No valid recipients")
	}
	t.chunks = append(t.chunks, chunk...)
	if last == "" {
		return t.say("BDAT", fmt.Sprintf("250 2.0.0 %d octets received", size))
	}
	return t.keep(t.chunks)
}

// body reads up to CRLF.CRLF, and undoes the stuffing. A bare CR or LF is an error.
func (t *talk) body() ([]byte, error) {
	var body []byte
	for {
		line, err := t.line()
		switch {
		case err != nil:
			return nil, err
		case line == ".":
			return body, nil
		case strings.Contains(line, "\r"):
			return nil, fmt.Errorf("a bare CR in the data: %q", line)
		}
		body = append(body, strings.TrimPrefix(line, ".")...)
		body = append(body, "\r\n"...)
	}
}
