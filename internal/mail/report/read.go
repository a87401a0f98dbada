package report

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"facteur/internal/mail/message"
)

// Found is the reports of a file or letter.
type Found struct {
	Aggregates []*Aggregate `json:"aggregates,omitempty"`
	TLS        []*TLS       `json:"tls,omitempty"`
	Feedback   []*Feedback  `json:"feedback,omitempty"`
	// Problems are what looked like a report and could not be read.
	Problems []string `json:"problems,omitempty"`
}

func (f *Found) empty() bool { return len(f.Aggregates)+len(f.TLS)+len(f.Feedback) == 0 }

// Read finds the reports in a file: XML, JSON, either packed with gzip or zip, or a letter
// that has them attached, whatever it says they are. The error says why there is none;
// what can't be read beside others is in Found.Problems.
func Read(data []byte, l Limits) (*Found, error) {
	o := &opener{Limits: l.withDefaults(), found: new(Found)}
	o.left, o.entries = o.Bytes, o.Entries
	err := o.open(data, 0)
	if err == nil && o.found.empty() {
		err = ErrNoReport
	}
	if err != nil && o.found.empty() {
		return nil, err
	}
	if err != nil {
		o.problem(err)
	}
	return o.found, nil
}

// opener unpacks one file within its limits.
type opener struct {
	Limits
	found   *Found
	left    int64 // bytes that may still be unpacked
	entries int
}

func (o *opener) problem(err error) {
	if len(o.found.Problems) < maxProblems {
		o.found.Problems = append(o.found.Problems, err.Error())
	}
}

// open finds out what something is by its first bytes: names and types lie too often.
func (o *opener) open(data []byte, depth int) error {
	if depth > o.Depth {
		return ErrTooDeep
	}
	begin := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return o.gzip(data, depth)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return o.zip(data, depth)
	case bytes.HasPrefix(begin, []byte("<")):
		return o.aggregate(begin)
	case bytes.HasPrefix(begin, []byte("{")):
		return o.tls(begin)
	}
	return o.letter(data, depth)
}

func (o *opener) aggregate(data []byte) error {
	a, err := ReadAggregate(data, o.Limits)
	if err == nil {
		o.found.Aggregates = append(o.found.Aggregates, a)
	}
	return err
}

func (o *opener) tls(data []byte) error {
	t, err := ReadTLS(data, o.Limits)
	if err == nil {
		o.found.TLS = append(o.found.TLS, t)
	}
	return err
}

// unpack reads a stream that packed bytes were made into.
func (o *opener) unpack(r io.Reader, packed int64) ([]byte, error) {
	most := min(o.left, max(freeRatio, packed*o.Ratio))
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if o.left -= int64(len(data)); int64(len(data)) > most {
		return nil, ErrTooLarge
	}
	return data, err
}

func (o *opener) gzip(data []byte, depth int) error {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("it is no proper gzip: %w", err)
	}
	z.Multistream(false) // what follows the report is none
	inner, err := o.unpack(z, int64(len(data)))
	if err != nil {
		return packing(err)
	}
	return o.open(inner, depth+1)
}

// packing is an error of unpacking.
func packing(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	return fmt.Errorf("it can't be unpacked: %w", err)
}

func (o *opener) zip(data []byte, depth int) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("it is no proper zip: %w", err)
	}
	var first error
	for _, f := range z.File {
		if o.entries--; o.entries < 0 {
			return ErrTooMany
		}
		if f.FileInfo().IsDir() {
			continue
		}
		if err := o.zipped(f, int64(len(data)), depth); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (o *opener) zipped(f *zip.File, packed int64, depth int) error {
	r, err := f.Open()
	if err != nil {
		return packing(err)
	}
	defer r.Close()
	inner, err := o.unpack(r, packed)
	if err != nil {
		return packing(err)
	}
	return o.open(inner, depth+1)
}

// letter looks through a letter and its attachments.
func (o *opener) letter(data []byte, depth int) error {
	root := message.ParseBytes(data, message.Limits{Depth: 10, Parts: 1000, TotalHeaderBytes: 1 << 20})
	if root.Body == root.Header { // no header: no letter
		return ErrNoReport
	}
	l := &letter{opener: o, data: data, depth: depth}
	if err := l.walk(root); err != nil {
		return err
	}
	return l.finish(root)
}

// letter is a letter that is looked through.
type letter struct {
	*opener
	data     []byte
	depth    int
	feedback *Feedback
	returned []byte
	failed   error // of something that looked like a report
}

// walk looks at the parts. What is inside a letter that came back is no report to us.
func (l *letter) walk(p *message.Part) error {
	if p.Multipart() {
		for _, c := range p.Children {
			if err := l.walk(c); err != nil {
				return err
			}
		}
		return nil
	}
	if l.entries--; l.entries < 0 {
		return ErrTooMany
	}
	switch {
	case p.Type == "message" && p.Subtype == "feedback-report":
		return l.readFeedback(p)
	case p.Message(), p.Type == "text" && p.Subtype == "rfc822-headers", p.Type == "message" && p.Subtype == "rfc822-headers":
		return l.takeReturned(p)
	}
	return l.attachment(p)
}

// decoded is the bytes of a part.
func (l *letter) decoded(p *message.Part) ([]byte, error) {
	return l.unpack(p.Decoded(bytes.NewReader(l.data)), p.End-p.Body)
}

func (l *letter) readFeedback(p *message.Part) error {
	fields, err := l.decoded(p)
	if err != nil {
		return err
	}
	f, err := ReadFeedback(fields)
	if l.feedback == nil {
		l.feedback = f
	}
	l.fail(err)
	return nil
}

func (l *letter) takeReturned(p *message.Part) error {
	text, err := l.decoded(p)
	if l.returned == nil {
		l.returned = text
	}
	return err
}

// attachment opens a part that looks packed, or like a report itself. Text for people
// that begins so is none, and that is no problem.
func (l *letter) attachment(p *message.Part) error {
	data, err := l.decoded(p)
	if err != nil {
		return err
	}
	begin := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n")
	packed := bytes.HasPrefix(data, []byte("\x1f\x8b")) || bytes.HasPrefix(data, []byte("PK\x03\x04"))
	if !packed && !bytes.HasPrefix(begin, []byte("<")) && !bytes.HasPrefix(begin, []byte("{")) {
		return nil
	}
	if err := l.open(data, l.depth+1); p.Type != "text" || p.Subtype == "xml" || packed {
		l.fail(err)
	}
	return nil
}

func (l *letter) fail(err error) {
	if err != nil && l.failed == nil {
		l.failed = err
	}
}

// finish puts feedback and the letter that came back together.
func (l *letter) finish(root *message.Part) error {
	f := l.feedback
	if about, is := complaintAbout(subject(root)); f == nil && is {
		f = &Feedback{Form: "letter", Type: "abuse", Source: about, Incidents: 1}
	}
	if f != nil {
		if l.returned != nil {
			f.returned(l.returned)
		}
		l.found.Feedback = append(l.found.Feedback, f)
	}
	return l.failed
}

func subject(root *message.Part) string {
	if root.Envelope == nil {
		return ""
	}
	return message.DecodeText(root.Envelope.Subject)
}
