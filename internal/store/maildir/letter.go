package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"sync"

	"facteur/internal/base/vfs"
)

// Letter is an open letter. It reads with CRLF line ends, whatever the file
// has, and positions count in that form. ReadAt may be used by many goroutines;
// Read and Seek by one. Nothing may be read during Close, or after it.
type Letter struct {
	file vfs.File // nil when everything is in text
	text []byte   // a small letter, converted
	room *room    // where text stands
	size int64    // with CRLF
	off  int64    // of Read
	next point    // where the last Read stopped, to go on without a search
	raw  bool     // the file has no bare LF: positions are those of the file
	mark []point  // every stride bytes of the file, where it is converted
}

// point says that the byte at out of the converted letter is the one at in of
// the file, and whether a CR stands before it.
type point struct {
	out, in int64
	cr      bool
}

// stride is how far points are from each other, in bytes of the file.
const stride = 64 << 10

// room is for what is read of files that have to be converted. A small letter
// stands in it as a whole while it is open.
type room [stride]byte

// small is the size of a file, in bytes, that fits even if all of it is bare LFs.
const small = stride / 2

var rooms = sync.Pool{New: func() any { return new(room) }}

// ErrDamaged is a letter that can't be read as it was stored: its name belongs to what
// is no regular file, or the file has become shorter while it was open.
var ErrDamaged = errors.New("the letter's file is damaged")

// OpenLetter opens a letter's file. If its name says that S and W are equal and
// the file has that size, it is read as it is. Else its bare LFs have to be found:
// a small one is read into memory, a large one is gone through once.
func OpenLetter(f vfs.FS, name string) (*Letter, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	l := &Letter{file: file}
	if err := l.prepare(ParseName(path.Base(name))); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

func (l *Letter) prepare(n Name) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode.IsRegular() {
		return ErrDamaged
	}
	if n.Size == info.Size && n.VSize == n.Size {
		l.raw, l.size = true, n.Size
		return nil
	}
	if info.Size <= small {
		return l.load(int(info.Size))
	}
	return l.survey()
}

// load reads a small letter, and needs its file no longer.
func (l *Letter) load(size int) error {
	r := rooms.Get().(*room)
	raw := r[len(r)-size:]
	n, err := io.ReadFull(l.file, raw)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		rooms.Put(r)
		return err
	}
	l.room, l.text = r, withCRLF(r[:], raw[:n])
	l.size = int64(len(l.text))
	l.file.Close()
	l.file = nil
	return nil
}

// withCRLF writes raw to out with a CR before each bare LF. Raw may be the end of
// out, if before it there is room for as much again: what is written then never
// reaches what is still to be read.
func withCRLF(out, raw []byte) []byte {
	n := 0
	for {
		i := bytes.IndexByte(raw, '\n')
		if i < 0 {
			n += copy(out[n:], raw)
			return out[:n]
		}
		n += copy(out[n:], raw[:i])
		if n == 0 || out[n-1] != '\r' {
			out[n] = '\r'
			n++
		}
		out[n] = '\n'
		n++
		raw = raw[i+1:]
	}
}

// survey measures the letter and sets the points.
func (l *Letter) survey() error {
	r := rooms.Get().(*room)
	defer rooms.Put(r)
	buf := r[:]
	c := counter{}
	for {
		n, err := io.ReadFull(l.file, buf)
		if n > 0 {
			l.mark = append(l.mark, point{c.size.CRLF, c.size.Bytes, c.last == '\r'})
			c.count(buf[:n])
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	l.size = c.size.CRLF
	if l.raw = c.size.CRLF == c.size.Bytes; l.raw {
		l.mark = nil
	}
	return nil
}

// Size is the letter's length in bytes with CRLF line ends.
func (l *Letter) Size() int64 { return l.size }

// Close implements io.Closer.
func (l *Letter) Close() error {
	if l.room != nil {
		rooms.Put(l.room)
		l.room, l.text = nil, nil
	}
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// Read implements io.Reader.
func (l *Letter) Read(p []byte) (int, error) {
	n, err := l.readAt(p, l.off, &l.next)
	l.off += int64(n)
	if n > 0 {
		return n, nil
	}
	return n, err
}

// WriteTo implements io.WriterTo.
func (l *Letter) WriteTo(w io.Writer) (int64, error) {
	r := rooms.Get().(*room)
	defer rooms.Put(r)
	return io.CopyBuffer(w, struct{ io.Reader }{l}, r[:])
}

// Seek implements io.Seeker.
func (l *Letter) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += l.off
	case io.SeekEnd:
		off += l.size
	}
	if off < 0 {
		return 0, errors.New("seek before the start")
	}
	l.off = off
	return off, nil
}

// ReadAt implements io.ReaderAt.
func (l *Letter) ReadAt(p []byte, off int64) (int, error) {
	return l.readAt(p, off, &point{})
}

// readAt reads from off on, starting its search at the point given if that is
// near, and leaves there where it stopped.
func (l *Letter) readAt(p []byte, off int64, from *point) (int, error) {
	if off < 0 {
		return 0, errors.New("read before the start")
	}
	if off >= l.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > l.size-off
	if short {
		p = p[:l.size-off]
	}
	n, err := l.fill(p, off, from)
	if err == io.EOF && n == len(p) {
		err = nil
	}
	if err == io.EOF {
		err = ErrDamaged // the file shrank under us
	}
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// fill reads from where the letter is.
func (l *Letter) fill(p []byte, off int64, from *point) (int, error) {
	switch {
	case l.file != nil && l.raw:
		return l.file.ReadAt(p, off)
	case l.file != nil:
		return l.convert(p, off, from)
	case l.room == nil:
		return 0, fs.ErrClosed
	}
	return copy(p, l.text[off:]), nil
}

// convert fills p with the converted bytes from off on.
func (l *Letter) convert(p []byte, off int64, from *point) (int, error) {
	if from.out > off || off-from.out > stride {
		i := sort.Search(len(l.mark), func(i int) bool { return l.mark[i].out > off })
		*from = l.mark[i-1]
	}
	at := from // moves along
	r := rooms.Get().(*room)
	defer rooms.Put(r)
	buf := r[:min(stride, int(off-at.out)+len(p))]
	done := 0
	for done < len(p) {
		n, err := l.file.ReadAt(buf, at.in)
		for i := 0; i < n && done < len(p); i++ {
			b := buf[i]
			if b == '\n' && !at.cr {
				b, i = '\r', i-1 // the same byte comes again, now after a CR
			} else {
				at.in++
			}
			at.cr = b == '\r'
			if at.out >= off {
				p[done] = b
				done++
			}
			at.out++
		}
		if err != nil && done < len(p) {
			return done, err
		}
	}
	return done, nil
}

// Measure reads a letter's file for its sizes. It also gives what the system says of
// the file.
func Measure(f vfs.FS, name string) (Size, vfs.Info, error) {
	file, err := f.Open(name)
	if err != nil {
		return Size{}, vfs.Info{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Size{}, vfs.Info{}, err
	}
	r := rooms.Get().(*room)
	defer rooms.Put(r)
	c := counter{}
	for {
		n, err := file.Read(r[:])
		c.count(r[:n])
		if err == io.EOF || err == nil && c.size.Bytes == info.Size {
			return c.size, info, nil
		}
		if err != nil {
			return Size{}, vfs.Info{}, err
		}
	}
}
