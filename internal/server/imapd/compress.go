package imapd

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"io"
	"sync"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/inflate"
)

// deflate is the compression of a connection (RFC 4978).
//
// What we send is compressed piece by piece, each by itself and up to a sync flush.
// So the compressor, a megabyte of tables, is borrowed for the computing only:
// neither an idle session nor one that waits for a slow client has one. What the
// client sends may refer to the 32 KiB before it; as much as there was of them is kept.
//
// Decompressed octets count to the limits of commands like others. What a client may
// gain by compression beyond that is bounded by maxRatio.
type deflate struct {
	wire     *wire
	inflater *inflate.Reader

	packed, unpacked int64 // octets that came, before and after
}

// Bounds of what a compressed octet may become (ATTACKS IMAP-012). A command has no
// reason to be so repetitive; a message may have, and there are limits for messages.
const (
	maxRatio  = 200
	freeRatio = 1 << 20 // octets before the ratio counts
)

// pieceSize is the most that is compressed at once, in octets.
const pieceSize = 32 << 10

// packedBuffer is for what came and is not decompressed yet, in octets.
const packedBuffer = 512

func newDeflate(w *wire) *deflate {
	d := &deflate{wire: w}
	d.inflater = inflate.NewReader(bufio.NewReaderSize(packedReader{d}, packedBuffer))
	return d
}

// packedReader reads and counts what is on the connection. An error that ended a wait
// for a moment must not reach the inflater, which would never go on after it: so it is
// here that a session waits.
type packedReader struct{ d *deflate }

// Read implements io.Reader.
func (r packedReader) Read(p []byte) (n int, err error) {
	w := r.d.wire
	if w.waiting {
		err = w.linger(func() (err error) { n, err = w.conn.Read(p); return err })
	} else {
		n, err = w.receive(p)
	}
	r.d.packed += int64(n)
	return n, err
}

// Read gives what the client sent, decompressed.
func (d *deflate) Read(p []byte) (int, error) {
	n, err := d.inflater.Read(p)
	d.unpacked += int64(n)
	commands := d.unpacked - d.wire.dec.Streamed()
	if commands > freeRatio && commands/maxRatio > d.packed {
		return 0, &imap.FatalError{Text: "Compressed commands expand too far"}
	}
	return n, err
}

// Write compresses and sends.
func (d *deflate) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		piece := p[:min(len(p), pieceSize)]
		packed := d.wire.pools.pack(piece)
		_, err := d.wire.transmit(packed.Bytes())
		d.wire.pools.packed.Put(packed)
		if err != nil {
			return written, err
		}
		p, written = p[len(piece):], written+len(piece)
	}
	return written, nil
}

// pack compresses a piece up to a flush. The result is to be put back.
func (p *pools) pack(piece []byte) *bytes.Buffer {
	out := p.packed.Get().(*bytes.Buffer)
	out.Reset()
	packer := p.packers.Get().(*flate.Writer)
	packer.Reset(out)
	packer.Write(piece) //nolint:errcheck // into memory
	packer.Flush()      //nolint:errcheck // as above
	p.packers.Put(packer)
	return out
}

// newPackers makes compressors of the level that is cheap to begin with.
func newPackers() *sync.Pool {
	return &sync.Pool{New: func() any {
		w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
		if err != nil {
			panic(err) // there is no such level
		}
		return w
	}}
}

// compress switches compression on, after its answer. As with STARTTLS, the client
// has to wait for that.
func (s *session) compress(_ context.Context, c imap.Command) (string, error) {
	if c.Args.(imap.Compress) != "DEFLATE" {
		return "", refusal("[CANNOT] Only DEFLATE")
	}
	if s.wire.deflate != nil {
		return "", refusal("[COMPRESSIONACTIVE] Compression is on already")
	}
	if s.dec.Buffered() > 0 {
		s.over = &imap.FatalError{Text: "Nothing may follow COMPRESS"}
		return "", s.over
	}
	s.tagged(c.Tag, "OK From here on compressed")
	if err := s.enc.Flush(); err != nil {
		s.over = err
		return "", err
	}
	s.wire.deflate = newDeflate(s.wire)
	return "", errAnswered
}
