package control

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"time"

	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// Exported is a mailbox whose letters are wanted.
type Exported struct {
	Address string `json:"address"`
	Mailbox string `json:"mailbox"`
	// Since leaves out what was received before; zero: nothing.
	Since time.Time `json:"since,omitzero"`
}

// Export implements Office.
func (s *Stores) Export(ctx context.Context, n Exported, fn func(ImportLetter, io.Reader) error) error {
	return s.withMailboxes(ctx, n.Address, func(a *mailbox.Account, _ directory.Account) error {
		v, err := a.Select(ctx, n.Mailbox, true)
		if err != nil {
			return about(n.Mailbox, err)
		}
		defer v.Close()
		for seq := uint32(1); seq <= v.Len(); seq++ {
			l := v.Letter(seq)
			if l.Received.Before(n.Since) {
				continue
			}
			if err := exportOne(ctx, v, l, fn); err != nil {
				return about(n.Mailbox, err)
			}
		}
		return nil
	})
}

// exportOne gives one letter, unless it is gone by now.
func exportOne(ctx context.Context, v *mailbox.View, l mailbox.Letter, fn func(ImportLetter, io.Reader) error) error {
	r, err := v.Open(ctx, l.UID)
	if errors.Is(err, mailbox.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	return fn(ImportLetter{UID: l.UID, System: l.Flags.System, Keywords: l.Flags.Keywords, Received: l.Received}, r)
}

// exportHandler sends letters as an import does.
func exportHandler(o Office) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := decode[Exported](w, r)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		c := http.NewResponseController(w)
		out := bufio.NewWriterSize(&patient{w, c}, pieceSize)
		begun := false
		err = o.Export(r.Context(), in, func(l ImportLetter, body io.Reader) error {
			begun = true
			out.WriteByte(frameLetter)
			if err := writeFrame(out, l); err != nil {
				return err
			}
			failed, err := sendPieces(out, body)
			return errors.Join(failed, err)
		})
		if err != nil && !begun {
			refuse(w, http.StatusUnprocessableEntity, err)
			return
		}
		out.WriteByte(frameEnd)
		if err != nil || out.Flush() != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// sendPieces writes a letter's bytes; failed is what its source said.
func sendPieces(out *bufio.Writer, r io.Reader) (failed, err error) {
	buf := make([]byte, pieceSize/2)
	for {
		n, rerr := r.Read(buf)
		if n > 0 {
			out.Write(binary.AppendUvarint(nil, uint64(n)))
			if _, err := out.Write(buf[:n]); err != nil {
				return nil, err
			}
		}
		if rerr == io.EOF {
			_, err := out.Write(binary.AppendUvarint(nil, 0))
			return nil, err
		}
		if rerr != nil {
			_, err := out.Write(binary.AppendUvarint(nil, lengthTorn))
			return rerr, err
		}
	}
}

// Export implements Office.
func (c *client) Export(ctx context.Context, n Exported, fn func(ImportLetter, io.Reader) error) error {
	body, err := c.post(ctx, "/export", n)
	if err != nil {
		return err
	}
	defer body.Close()
	in := bufio.NewReaderSize(body, pieceSize)
	for {
		kind, err := in.ReadByte()
		if err != nil || kind != frameLetter && kind != frameEnd {
			return errors.New("the answer of the server is not whole")
		}
		if kind == frameEnd {
			return nil
		}
		var l ImportLetter
		if err := readFrame(in, &l); err != nil {
			return err
		}
		p := &pieces{in: in}
		if err := fn(l, p); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, p); err != nil {
			return err
		}
	}
}
