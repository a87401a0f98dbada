package mbox

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// Writer writes an mbox in the form mboxrd, with LF: what begins with any number of ">"
// and "From " gets one more ">".
type Writer struct {
	out   *bufio.Writer
	begun bool
}

// NewWriter writes an mbox. Flush it.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriterSize(w, bufferSize)} }

// Flush writes what is buffered.
func (w *Writer) Flush() error { return w.out.Flush() }

// Outgoing is a letter that is to be written.
type Outgoing struct {
	Sender   string // of the From line; "": MAILER-DAEMON
	Received time.Time
	Marks    Marks
	// Base stands in the first letter.
	Base Base
}

// Write writes a letter with CRLF or LF. Fields of its header that mbox keeps its own data
// in are left out.
func (w *Writer) Write(o Outgoing, r io.Reader) error {
	sender := strings.Map(visible, o.Sender)
	if sender == "" {
		sender = "MAILER-DAEMON"
	}
	fmt.Fprintf(w.out, "From %s %s\n", sender, o.Received.UTC().Format(time.ANSIC))
	in := bufio.NewReaderSize(r, bufferSize)
	if err := w.head(o, in); err != nil {
		return err
	}
	if err := w.body(in); err != nil {
		return err
	}
	w.begun = true
	return w.out.WriteByte('\n')
}

func visible(c rune) rune {
	if c <= ' ' || c >= 0x7f {
		return -1
	}
	return c
}

// head writes the header, then the marks.
func (w *Writer) head(o Outgoing, in *bufio.Reader) error {
	skipping, start := false, true
	for {
		part, err := in.ReadSlice('\n')
		whole := err == nil
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return err
		}
		if start && (len(part) == 0 || len(bytes.TrimRight(part, "\r\n")) == 0) {
			w.marks(o)
			return w.out.WriteByte('\n')
		}
		if start && part[0] != ' ' && part[0] != '\t' {
			skipping = isMark(part)
		}
		if !skipping {
			if start {
				w.quote(part)
			}
			w.line(part, whole)
		}
		if err == io.EOF {
			if !skipping {
				w.out.WriteByte('\n')
			}
			w.marks(o)
			return w.out.WriteByte('\n')
		}
		start = whole
	}
}

func isMark(line []byte) bool {
	name, _, ok := bytes.Cut(line[:min(len(line), 40)], []byte(":"))
	if !ok {
		return false
	}
	switch strings.ToLower(string(bytes.TrimRight(name, " \t"))) {
	case "status", "x-status", "x-keywords", "x-uid", "x-imap", "x-imapbase", "content-length":
		return true
	}
	return false
}

// marks writes the fields of flags.
func (w *Writer) marks(o Outgoing) {
	if !w.begun && o.Base.Validity != 0 {
		fmt.Fprintf(w.out, "X-IMAPbase: %d %010d%s\n", o.Base.Validity, o.Base.LastUID, spaced(o.Base.Keywords))
	}
	if o.Marks.UID != 0 {
		fmt.Fprintf(w.out, "X-UID: %d\n", o.Marks.UID)
	}
	m := o.Marks
	if s := letters(m.Seen, "R") + letters(m.Old || m.Seen, "O"); s != "" {
		fmt.Fprintf(w.out, "Status: %s\n", s)
	}
	if s := letters(m.Answered, "A") + letters(m.Flagged, "F") + letters(m.Draft, "T") + letters(m.Deleted, "D"); s != "" {
		fmt.Fprintf(w.out, "X-Status: %s\n", s)
	}
	if len(m.Keywords) > 0 {
		fmt.Fprintf(w.out, "X-Keywords:%s\n", spaced(m.Keywords))
	}
}

func letters(yes bool, s string) string {
	if yes {
		return s
	}
	return ""
}

func spaced(words []string) string {
	var out strings.Builder
	for _, word := range words {
		if word = strings.Map(visible, word); word != "" {
			out.WriteString(" " + word)
		}
	}
	return out.String()
}

// body writes the rest.
func (w *Writer) body(in *bufio.Reader) error {
	start := true
	for {
		part, err := in.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return err
		}
		if start {
			w.quote(part)
		}
		w.line(part, err == nil)
		if err == io.EOF {
			if len(part) > 0 {
				w.out.WriteByte('\n')
			}
			return nil
		}
		start = err == nil
	}
}

// quote puts a ">" before what would read as a From line.
func (w *Writer) quote(line []byte) {
	if bytes.HasPrefix(bytes.TrimLeft(line, ">"), fromMark) {
		w.out.WriteByte('>')
	}
}

// line writes a part of a line, with LF if it has its end.
func (w *Writer) line(part []byte, whole bool) {
	if whole {
		part = bytes.TrimSuffix(part[:len(part)-1], []byte("\r"))
	}
	w.out.Write(part)
	if whole {
		w.out.WriteByte('\n')
	}
}
