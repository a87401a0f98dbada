package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// A stream is an answer of any length: one JSON value a line. What went wrong when
// the first line was out already stands in a trailer field; an answer that was cut
// is one without its end.
const (
	streamType   = "application/jsonl"
	errorTrailer = "Facteur-Error"
)

// stallTime is how long an answer waits for a reader that does not read on, such as
// a pager that somebody left open: it holds a connection and nothing else.
const stallTime = time.Hour

// lineWriter writes JSON lines to a peer that may be slow.
type lineWriter struct {
	out   *bufio.Writer
	json  *json.Encoder
	begun bool
}

func newLineWriter(w http.ResponseWriter) *lineWriter {
	l := &lineWriter{out: bufio.NewWriterSize(&patient{w, http.NewResponseController(w)}, 32<<10)}
	l.json = json.NewEncoder(l.out)
	return l
}

// patient is a peer that has some time for each part.
type patient struct {
	http.ResponseWriter
	controller *http.ResponseController
}

// Write implements io.Writer: what is written goes out at once.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.controller.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
		return 0, err
	}
	n, err := p.ResponseWriter.Write(b)
	if err != nil {
		return n, err
	}
	return n, p.controller.Flush()
}

// streamed is a handler that answers with a stream. prompt: each line goes out by
// itself, for somebody watches.
func streamed[In any, Out any](prompt bool, fn func(context.Context, In, func(Out) error) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := decode[In](w, r)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		// The request has come; its time does not bound the answer's.
		if http.NewResponseController(w).SetReadDeadline(time.Time{}) != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", streamType)
		w.Header().Set("Trailer", errorTrailer)
		lines := newLineWriter(w)
		err = fn(r.Context(), in, func(v Out) error {
			lines.begun = true
			if err := lines.json.Encode(v); err != nil || !prompt {
				return err
			}
			return lines.out.Flush()
		})
		lines.end(w, err)
	}
}

// end ends an answer, with what went wrong.
func (l *lineWriter) end(w http.ResponseWriter, err error) {
	if err != nil && !l.begun {
		w.Header().Del("Trailer")
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	if l.out.Flush() != nil {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		w.Header().Set(errorTrailer, url.QueryEscape(err.Error()))
	}
}

// readStream asks, and calls fn for each value of the answer.
func readStream[Out any](ctx context.Context, c *client, path string, in any, fn func(Out) error) error {
	answer, err := c.ask(ctx, path, in)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for d := json.NewDecoder(answer.Body); ; {
		var v Out
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF):
			return trailer(answer)
		case err != nil:
			return fmt.Errorf("the answer of the server is not whole: %w", err)
		}
		if err := fn(v); err != nil {
			return err
		}
	}
}

// trailer is what went wrong in the middle of an answer.
func trailer(answer *http.Response) error {
	text := answer.Trailer.Get(errorTrailer)
	if text == "" {
		return nil
	}
	if plain, err := url.QueryUnescape(text); err == nil {
		text = plain
	}
	return errors.New(text)
}
