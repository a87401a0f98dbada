package queue

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
)

// inlineMax is the largest message that is kept inside the database. Up to here
// one row is cheaper than one file; the exact point matters little.
const inlineMax = 128 << 10

// firstRoom is what a Spool begins with, in bytes: most mail fits.
const firstRoom = 16 << 10

// Spool takes the bytes of a message on their way in: in memory while it is
// small, in a file of the spool directory beyond. It belongs to one goroutine.
// Nothing in it is durable before Commit.
//
// What is known of a message only when it has been read (signatures of it, what was
// found out about its sender) stands above it all the same, and costs no second
// writing of a large one: see Prepend.
type Spool struct {
	dir, prefix string
	mem         []byte
	file        *os.File
	front       []byte // what stands before the file, and goes into the row
	size        int64
	sum         uint32 // CRC-32C of what was written; front comes last in it
	// renamed: it has its final name, but the directory does not have it for sure.
	renamed bool
	// failed is why the file can't be made durable any more.
	failed error
}

// Spool starts an empty one. Discard it unless it was committed.
func (q *Queue) Spool() *Spool { return &Spool{dir: q.spoolDir, prefix: q.prefix} }

// Size is the number of bytes written so far.
func (s *Spool) Size() int64 { return s.size }

// Write implements io.Writer.
func (s *Spool) Write(p []byte) (int, error) {
	if s.file == nil && len(s.mem)+len(p) > inlineMax {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	if s.file == nil {
		if s.mem == nil {
			s.mem = make([]byte, 0, firstRoom)
		}
		if len(s.mem)+len(p) > cap(s.mem) {
			s.mem = slices.Grow(s.mem, max(len(p), cap(s.mem))) // append grows by quarters
		}
		s.mem = append(s.mem, p...)
		s.count(p)
		return len(p), nil
	}
	n, err := s.file.Write(p)
	s.count(p[:n])
	return n, err
}

func (s *Spool) count(written []byte) {
	s.size += int64(len(written))
	s.sum = crc32.Update(s.sum, castagnoli, written)
}

// frontMax is the most that Prepend puts above a message in a file, in bytes, all
// together: it is read with the row.
const frontMax = 64 << 10

// Prepend puts bytes above all that is there. It is the last that is done to a Spool
// before the commit: nothing is written after it. Offsets of ReadAt move by len(p).
func (s *Spool) Prepend(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if s.file == nil && len(s.mem)+len(p) <= inlineMax {
		s.mem = slices.Insert(s.mem, 0, p...)
		s.size, s.sum = int64(len(s.mem)), crc32.Checksum(s.mem, castagnoli)
		return nil
	}
	if len(s.front)+len(p) > frontMax {
		return fmt.Errorf("spool: %d bytes to stand above a message, %d at most", len(s.front)+len(p), frontMax)
	}
	if s.file == nil {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.front, s.size = slices.Insert(s.front, 0, p...), s.size+int64(len(p))
	return nil
}

// checksum is that of the whole; of what stands before a file it comes last, so that
// the file is not read for it.
func (s *Spool) checksum() uint32 { return crc32.Update(s.sum, castagnoli, s.front) }

// ReadAt implements io.ReaderAt over what was written so far, before the commit.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	if s.file == nil {
		return bytes.NewReader(s.mem).ReadAt(p, off)
	}
	return frontedAt{s.front, s.file}.ReadAt(p, off)
}

func (s *Spool) spill() error {
	f, err := os.CreateTemp(s.dir, s.prefix+"*")
	if err != nil {
		return fmt.Errorf("spool file: %w", err)
	}
	s.file = f
	_, err = f.Write(s.mem)
	s.mem = nil
	return err
}

// Discard forgets everything. It may be called more than once, also after Commit.
func (s *Spool) Discard() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
		s.file = nil
	}
	s.mem = nil
}

// settle makes a spilled spool durable under its final name; an inline one needs
// nothing. A file whose row never comes is an orphan that Open removes. It may be called
// again after an error; after one of the disk it fails for good, for a second sync that
// works would prove nothing.
func (s *Spool) settle(id ID) error {
	if s.file != nil && s.failed == nil {
		if s.failed = s.file.Sync(); s.failed != nil {
			return s.failed
		}
		if err := os.Rename(s.file.Name(), bodyPath(s.dir, id)); err != nil {
			return err
		}
		s.failed, s.file, s.renamed = s.file.Close(), nil, true
	}
	if s.failed != nil || !s.renamed {
		return s.failed
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err // too many files are open, perhaps
	}
	defer dir.Close()
	s.failed = dir.Sync()
	s.renamed = s.failed != nil
	return s.failed
}

func bodyPath(dir string, id ID) string { return filepath.Join(dir, id.String()) }
