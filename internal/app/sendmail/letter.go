package sendmail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"facteur/internal/mail/message"
)

const (
	headerMax = 4 << 20
	// recipientsMax bounds a letter's recipients; for more there are lists.
	recipientsMax = 10_000
	memoryMax     = 256 << 10
)

// input is the standard input as a letter: lines, to the end or to a lone dot.
type input struct {
	r     *bufio.Reader
	noDot bool
	begun bool // some of the current line was given
	ended bool
	left  int64 // bytes that may still come
	limit int64
}

func newInput(r io.Reader, noDot bool, limit int64) *input {
	return &input{r: bufio.NewReaderSize(r, 32<<10), noDot: noDot, left: limit, limit: limit}
}

// next gives the next line, or as much of it as there is room for; io.EOF after the
// last. The bytes are good until the next call.
func (in *input) next() ([]byte, error) {
	if in.ended {
		return nil, io.EOF
	}
	part, err := in.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	if err != nil && err != io.EOF {
		return nil, failf(IOErr, "reading the message: %v; nothing was sent", err)
	}
	if !in.begun && !in.noDot && isDot(part) || len(part) == 0 {
		in.ended = true
		return nil, io.EOF
	}
	if in.left -= int64(len(part)); in.left < 0 {
		return nil, failf(DataErr, "the message is larger than %d bytes, which is the most that is taken here", in.limit)
	}
	in.begun = part[len(part)-1] != '\n'
	in.ended = err == io.EOF
	return part, nil
}

func isDot(line []byte) bool { return string(bytes.TrimRight(line, "\r\n")) == "." }

// letter is what is to be sent.
type letter struct {
	header message.Header // as it goes out, with the empty line that ends it
	body   spool
	// eightBit: there are bytes above 127 in it; utf8: its header is UTF-8 and not
	// ASCII.
	eightBit, utf8 bool
	// recipients of the header, when they were asked for.
	recipients []string
}

// Close gives back what the letter takes.
func (l *letter) Close() { l.body.close() }

// size is the number of bytes as they are, not as they will be sent.
func (l *letter) size() int64 { return int64(len(l.header)) + l.body.size }

// open reads the letter from its beginning.
func (l *letter) open() io.Reader { return io.MultiReader(bytes.NewReader(l.header), l.body.reader()) }

// readLetter reads the whole input; from is for a From that is missing.
func readLetter(in *input, fromHeader bool, from message.Mailbox) (*letter, error) {
	header, first, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	l := &letter{}
	if fromHeader {
		if l.recipients, err = addressees(header); err != nil {
			return nil, err
		}
	}
	if l.header, err = complete(header, from); err != nil {
		return nil, err
	}
	l.eightBit = !isASCII(l.header)
	l.utf8 = l.eightBit && utf8.Valid(l.header)
	for line := first; ; {
		l.eightBit = l.eightBit || !isASCII(line)
		if err = l.body.write(line); err != nil {
			l.Close()
			return nil, err
		}
		if line, err = in.next(); err == io.EOF {
			return l, nil
		}
		if err != nil {
			l.Close()
			return nil, err
		}
	}
}

// readHeader reads up to the empty line, or to the first line that is of no header,
// which is the beginning of the body then.
func readHeader(in *input) (h message.Header, body []byte, err error) {
	for {
		begun := in.begun
		line, err := in.next()
		switch {
		case err == io.EOF:
			return h, nil, nil
		case err != nil:
			return nil, nil, err
		case begun: // a long line goes on
		case len(bytes.TrimRight(line, "\r\n")) == 0:
			return h, nil, nil
		case len(h) == 0 && isEnvelopeLine(line):
			if err := in.skipLine(); err != nil {
				return nil, nil, err
			}
			continue
		case !isHeaderLine(line, len(h) > 0):
			return h, bytes.Clone(line), nil
		}
		if h = appendHeaderLine(h, line); len(h) > headerMax {
			return nil, nil, failf(DataErr, "the header of the message is larger than %d bytes", headerMax)
		}
	}
}

// appendHeaderLine makes a bare CR a space: on the wire it would begin a line, and so
// a field that nobody here has looked at.
func appendHeaderLine(h, line []byte) []byte {
	end := len(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'}))
	if line[len(line)-1] != '\n' {
		end = len(line)
	}
	h = append(h, bytes.ReplaceAll(line[:end], []byte{'\r'}, []byte{' '})...)
	return append(h, line[end:]...)
}

// skipLine passes over the rest of a line.
func (in *input) skipLine() error {
	for in.begun {
		if _, err := in.next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// isEnvelopeLine tells the line with which mbox files begin a letter.
func isEnvelopeLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}

// isHeaderLine tells a field (RFC 5322 §2.2, with blanks before the colon), or the
// continuation of one.
func isHeaderLine(line []byte, more bool) bool {
	if line[0] == ' ' || line[0] == '\t' {
		return more
	}
	name, _, found := bytes.Cut(line, []byte{':'})
	name = bytes.TrimRight(name, " \t")
	return found && len(name) > 0 && bytes.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// addressees are the recipients that stand in a header: those of the last resending
// if it was resent, else of To, Cc and Bcc.
func addressees(h message.Header) ([]string, error) {
	names := []string{"Resent-To", "Resent-Cc", "Resent-Bcc"}
	if !slices.ContainsFunc(names, func(name string) bool { return h.Count(name) > 0 }) {
		names = []string{"To", "Cc", "Bcc"}
	}
	var all []string
	for _, name := range names {
		for _, value := range h.All(name) {
			for _, m := range message.ParseAddresses(value) {
				switch {
				case m.GroupStart || m.GroupEnd:
				case m.Local+m.Host != "":
					all = append(all, joined(m))
				case m.Name != "": // "bob at example.org": somebody is meant, who would get nothing
					return nil, failf(DataErr, "%q in %s is no address; the message was sent to nobody", m.DisplayName(), name)
				}
			}
			if len(all) >= message.MaxAddresses || len(all) > recipientsMax {
				return nil, failf(DataErr, "the header names more than %d recipients; send the message in parts", recipientsMax-1)
			}
		}
	}
	return all, nil
}

// joined is the address as text; without a domain when it has none.
func joined(m message.Mailbox) string {
	if m.Host == "" {
		return m.Local
	}
	return m.Address()
}

// complete takes Bcc fields away, adds a From that is missing and ends the header.
func complete(h message.Header, from message.Mailbox) (message.Header, error) {
	resent := h.Count("Resent-To")+h.Count("Resent-Cc")+h.Count("Resent-Bcc") > 0
	var b message.Builder
	if h.Count("From") == 0 {
		b.Mailboxes("From", []message.Mailbox{from})
	}
	if resent && h.Count("Resent-From") == 0 {
		b.Mailboxes("Resent-From", []message.Mailbox{from})
	}
	out, err := b.Bytes()
	if err != nil {
		return nil, failf(Usage, "the full name can't stand in a header: %v", err)
	}
	for f := range h.Fields() {
		if !f.Is("Bcc") && !f.Is("Resent-Bcc") {
			out = append(out, h[f.Start:f.End]...)
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, "\r\n"...)
	}
	return append(out, "\r\n"...), nil
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// spool holds a body: in memory, or what is larger in a file that has no name.
type spool struct {
	memory []byte
	file   *os.File
	size   int64
}

func (s *spool) write(p []byte) (err error) {
	s.size += int64(len(p))
	if s.file == nil && s.size <= memoryMax {
		s.memory = append(s.memory, p...)
		return nil
	}
	if s.file == nil {
		err = s.spill()
	}
	if err == nil {
		s.memory = append(s.memory, p...)
		if len(s.memory) >= memoryMax {
			err = s.flush()
		}
	}
	if err != nil {
		return failf(TempFail, "keeping the message while it is read: %v; nothing was sent", err)
	}
	return nil
}

// spill goes over to a file.
func (s *spool) spill() (err error) {
	if s.file, err = os.CreateTemp("", "sendmail-"); err != nil {
		return err
	}
	return os.Remove(s.file.Name())
}

func (s *spool) flush() error {
	_, err := s.file.Write(s.memory)
	s.memory = s.memory[:0]
	return err
}

// reader reads from the beginning; only the last reader is good.
func (s *spool) reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.memory)
	}
	onDisk := s.size - int64(len(s.memory))
	return io.MultiReader(io.NewSectionReader(s.file, 0, onDisk), bytes.NewReader(s.memory))
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// oneLine is what people see of a name: one line.
func oneLine(name string) string {
	return strings.Join(strings.Fields(name), " ")
}
