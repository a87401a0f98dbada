package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/mailbox"
)

// An import on the wire is one request, read and answered at the same time. The body
// begins with the target, then has frames: a byte that says of which kind, with a letter
// its head and its bytes in pieces. Each piece has its length before it; 0 ends the
// letter, lengthTorn says that its source failed. The answer has a line for the
// beginning, and one for each commit.
const (
	frameLetter = 'L'
	frameCommit = 'C'
	frameEnd    = 'E'

	pieceSize  = 64 << 10
	lengthTorn = 1 << 40
)

// importAnswer is a line of the answer.
type importAnswer struct {
	Kept  bool          `json:"kept,omitempty"`
	Known []mailbox.Key `json:"known,omitempty"` // in several lines
	Ready bool          `json:"ready,omitempty"`
	Count int           `json:"count,omitempty"`
	Error string        `json:"error,omitempty"`
}

// knownPart is how many keys stand in one line.
const knownPart = 1000

// importHandler fills a mailbox from a request.
func importHandler(o Office, events event.Sink) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if c.EnableFullDuplex() != nil {
			panic(http.ErrAbortHandler)
		}
		in := bufio.NewReaderSize(&patientReader{r.Body, c}, pieceSize)
		var t ImportTarget
		if err := readFrame(in, &t); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		i, err := o.Import(r.Context(), t)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, err)
			return
		}
		defer i.Close()
		w.Header().Set("Content-Type", streamType)
		out := json.NewEncoder(&patient{w, c})
		n, err := serveImport(r.Context(), i, in, out)
		events.Emit(event.Note{Severity: slog.LevelInfo, Program: "facteur/control", Text: "mail imported", Attrs: []slog.Attr{
			slog.String("name", t.Address+" "+t.Mailbox), slog.Int("messages", n)}})
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// patientReader gives a client time for each part of what it sends.
type patientReader struct {
	io.Reader
	c *http.ResponseController
}

// Read implements io.Reader.
func (p *patientReader) Read(b []byte) (int, error) {
	if err := p.c.SetReadDeadline(time.Now().Add(stallTime)); err != nil {
		return 0, err
	}
	return p.Reader.Read(b)
}

// serveImport answers what is asked of an import.
func serveImport(ctx context.Context, i Importing, in *bufio.Reader, out *json.Encoder) (sum int, err error) {
	if err := tellKnown(i, out); err != nil {
		return 0, err
	}
	var failed error // is told at the next commit
	for {
		kind, err := in.ReadByte()
		if err == io.EOF {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
		switch kind {
		case frameLetter:
			err = takeLetter(ctx, i, in, &failed)
		case frameCommit:
			var n int
			if failed == nil {
				n, failed = i.Commit(ctx)
			}
			sum += n
			err = out.Encode(answerOf(n, failed))
		case frameEnd:
			if failed == nil {
				failed = i.End(ctx)
			}
			err = out.Encode(answerOf(0, failed))
		default:
			err = errFrame
		}
		if err != nil {
			return sum, err
		}
	}
}

func answerOf(n int, err error) importAnswer {
	if err != nil {
		return importAnswer{Error: err.Error()}
	}
	return importAnswer{Count: n}
}

func tellKnown(i Importing, out *json.Encoder) error {
	part := make([]mailbox.Key, 0, knownPart)
	for key := range i.Known() {
		if part = append(part, key); len(part) == knownPart {
			if err := out.Encode(importAnswer{Known: part}); err != nil {
				return err
			}
			part = part[:0]
		}
	}
	return out.Encode(importAnswer{Known: part, Kept: i.Kept(), Ready: true})
}

// takeLetter stages a letter from the wire. After a failure of ours it is read and
// forgotten; after one of its source the batch goes on without it.
func takeLetter(ctx context.Context, i Importing, in *bufio.Reader, failed *error) error {
	var l ImportLetter
	if err := readFrame(in, &l); err != nil {
		return err
	}
	body := &pieces{in: in}
	if *failed == nil {
		err := i.Add(ctx, l, body)
		if err != nil && !errors.As(err, new(*SourceError)) {
			*failed = err
		}
	}
	_, err := io.Copy(io.Discard, body)
	if errors.Is(err, errTorn) {
		return nil
	}
	return err
}

// readFrame reads a length and as much JSON.
func readFrame(in *bufio.Reader, v any) error {
	n, err := binary.ReadUvarint(in)
	if err != nil || n > maxRequest {
		return errFrame
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return errFrame
	}
	return json.Unmarshal(text, v)
}

func writeFrame(out *bufio.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(text) > maxRequest {
		return errFrame
	}
	out.Write(binary.AppendUvarint(nil, uint64(len(text))))
	_, err = out.Write(text)
	return err
}

var errTorn = errors.New("the source failed in the middle of a letter")

// pieces reads the bytes of a letter from the wire.
type pieces struct {
	in   *bufio.Reader
	left uint64
	err  error
}

// Read implements io.Reader.
func (p *pieces) Read(b []byte) (int, error) {
	if p.left == 0 && p.err == nil {
		n, err := binary.ReadUvarint(p.in)
		switch {
		case err != nil:
			p.err = io.ErrUnexpectedEOF
		case n == 0:
			p.err = io.EOF
		case n == lengthTorn:
			p.err = errTorn
		case n > lengthTorn:
			p.err = errFrame
		}
		p.left = n
	}
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.in.Read(b[:min(uint64(len(b)), p.left)])
	p.left -= uint64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		p.err = err
	}
	return n, p.err
}

// Import implements Office.
func (c *client) Import(ctx context.Context, t ImportTarget) (Importing, error) {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	i := &remoteImport{cancel: cancel, pipe: w, out: bufio.NewWriterSize(w, pieceSize), known: map[mailbox.Key]bool{}}
	answered := make(chan error, 1)
	go func() {
		var err error
		i.answer, err = c.stream(ctx, "/import", r)
		if err != nil {
			r.CloseWithError(err)
		}
		answered <- err
	}()
	err := writeFrame(i.out, t)
	if err == nil {
		err = i.out.Flush()
	}
	if aerr := <-answered; aerr != nil {
		err = aerr
	}
	if err == nil {
		err = i.begin()
	}
	if err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// remoteImport is an Importing of a running server.
type remoteImport struct {
	cancel context.CancelFunc
	pipe   *io.PipeWriter
	out    *bufio.Writer
	answer io.ReadCloser
	lines  *json.Decoder
	known  map[mailbox.Key]bool
	added  []mailbox.Key
	kept   bool
}

func (i *remoteImport) begin() error {
	i.lines = json.NewDecoder(i.answer)
	for {
		a, err := i.next()
		if err != nil {
			return err
		}
		for _, k := range a.Known {
			i.known[k] = true
		}
		if a.Ready {
			i.kept = a.Kept
			return nil
		}
	}
}

// next is the next line of the answer.
func (i *remoteImport) next() (a importAnswer, err error) {
	if err = i.lines.Decode(&a); err != nil {
		return a, errors.New("the server ended the import; run it again to go on")
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// Kept implements Importing.
func (i *remoteImport) Kept() bool { return i.kept }

// Known implements Importing.
func (i *remoteImport) Known() map[mailbox.Key]bool { return i.known }

// Add implements Importing.
func (i *remoteImport) Add(_ context.Context, l ImportLetter, r io.Reader) error {
	if i.known[l.Key] {
		return nil
	}
	i.out.WriteByte(frameLetter)
	if err := writeFrame(i.out, l); err != nil {
		return err
	}
	failed, err := i.send(l, r)
	if err == nil && failed == nil {
		i.added = append(i.added, l.Key)
	}
	if err == nil && failed != nil {
		return &SourceError{failed}
	}
	return err
}

// send writes a letter's bytes; failed is what its source said, err the server's end.
func (i *remoteImport) send(l ImportLetter, r io.Reader) (failed, err error) {
	if l.File != "" {
		r = bytes.NewReader(nil)
	}
	return sendPieces(i.out, r)
}

// Commit implements Importing.
func (i *remoteImport) Commit(context.Context) (int, error) {
	a, err := i.ask(frameCommit)
	if err != nil {
		return 0, err
	}
	for _, k := range i.added {
		i.known[k] = true
	}
	i.added = nil
	return a.Count, nil
}

// End implements Importing.
func (i *remoteImport) End(context.Context) error {
	_, err := i.ask(frameEnd)
	return err
}

func (i *remoteImport) ask(kind byte) (importAnswer, error) {
	i.out.WriteByte(kind)
	if err := i.out.Flush(); err != nil {
		return importAnswer{}, err
	}
	return i.next()
}

// Close implements Importing.
func (i *remoteImport) Close() error {
	i.pipe.Close()
	if i.answer != nil {
		io.Copy(io.Discard, i.answer) // so that the server is done when we are
		i.answer.Close()
	}
	i.cancel()
	return nil
}
