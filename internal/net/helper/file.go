package helper

import (
	"encoding/binary"
	"io"
	"io/fs"
	"sync/atomic"

	"facteur/internal/base/vfs"
)

// file is one that a process has open. When that has ended, it can't be used any more.
type file struct {
	home       *Home
	handle     uint32
	generation uint64
	name       string
	offset     int64
	closed     atomic.Bool
}

func (f *file) ask(r *request, take func([]byte) error) error {
	if f.closed.Load() {
		return &fs.PathError{Op: "use", Path: f.name, Err: fs.ErrClosed}
	}
	r.handle = f.handle
	h := f.home
	h.mu.Lock()
	defer h.mu.Unlock()
	err := error(ErrBroken)
	if h.conn != nil && h.generation == f.generation {
		err = h.askOpen(r, take)
	}
	if err != nil {
		return &fs.PathError{Op: "use", Path: f.name, Err: err}
	}
	return nil
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		got, err := f.readOnce(p[n:], at+int64(n))
		if err != nil {
			return n, err
		}
		if got == 0 {
			return n, io.EOF
		}
		n += got
	}
	return n, nil
}

func (f *file) readOnce(p []byte, at int64) (n int, err error) {
	p = p[:min(len(p), maxData)]
	err = f.ask(&request{op: opRead, offset: at, n: uint32(len(p))}, func(b []byte) error {
		if len(b) > len(p) {
			return errPacket
		}
		n = copy(p, b)
		return nil
	})
	return n, err
}

// Read implements io.Reader.
func (f *file) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.readOnce(p, f.offset)
	f.offset += int64(n)
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (f *file) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+maxData)]
		wrote := 0
		err := f.ask(&request{op: opWrite, offset: f.offset, data: part}, func(b []byte) error {
			if len(b) != 4 {
				return errPacket
			}
			wrote = int(binary.BigEndian.Uint32(b))
			return nil
		})
		switch {
		case err != nil:
			return n, err
		case wrote <= 0 || wrote > len(part):
			return n, io.ErrShortWrite
		}
		n += wrote
		f.offset += int64(wrote)
	}
	return n, nil
}

// Seek implements io.Seeker.
func (f *file) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		i, err := f.Stat()
		if err != nil {
			return 0, err
		}
		offset += i.Size
	}
	if offset < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.name, Err: fs.ErrInvalid}
	}
	f.offset = offset
	return offset, nil
}

// Sync implements vfs.File.
func (f *file) Sync() error { return f.ask(&request{op: opSync}, nil) }

// Stat implements vfs.File.
func (f *file) Stat() (i vfs.Info, err error) {
	err = f.ask(&request{op: opInfo}, func(b []byte) (err error) {
		i, err = parseInfo(b)
		return err
	})
	return i, err
}

// Close implements io.Closer. A file whose process has ended is closed.
func (f *file) Close() error {
	if f.closed.Load() {
		return fs.ErrClosed
	}
	h := f.home
	h.mu.Lock()
	there := h.conn != nil && h.generation == f.generation
	if there {
		h.open--
	}
	h.mu.Unlock()
	if !there {
		f.closed.Store(true)
		return nil
	}
	err := f.ask(&request{op: opClose}, nil)
	f.closed.Store(true)
	return err
}
