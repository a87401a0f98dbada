package lexicon

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"facteur/internal/base/vfs"
)

// load reads a book unless that was done. Callers hold its lock.
func (s *Store) load(b *book) (*pages, error) {
	if p := b.read.Load(); p != nil {
		return p, nil
	}
	if now := s.now().Unix(); b.failed != 0 && now < b.failed+retryAfter {
		return nil, errors.New("it could not be read a moment ago")
	}
	p, err := s.readFiles(b)
	if err != nil {
		b.failed = s.now().Unix()
		s.warn(b.owner, "it is not asked for a minute", err)
		return nil, err
	}
	if b.log.spoilt { // torn by a crash, or left over from one
		if err := s.rewrite(b, p); err != nil {
			s.warn(b.owner, "its journal was torn by a crash, and is mended with the next letter", err)
		}
	}
	p.measure()
	b.read.Store(p)
	return p, nil
}

// readFiles reads the counts, and the lessons that came after them.
func (s *Store) readFiles(b *book) (*pages, error) {
	p := newPages(s.seed, s.limits.of(b.owner))
	data, err := vfs.ReadFile(s.fs, b.name+".words", fileMost)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, nil
	case err != nil:
		return nil, err
	}
	owner, err := p.decode(data)
	if err == nil && owner != b.owner {
		err = fmt.Errorf("%w: it is that of %q", errDamaged, owner)
	}
	if err != nil {
		return newPages(s.seed, s.limits.of(b.owner)), s.setAside(b, err)
	}
	return p, s.readLog(b, p)
}

// setAside renames files that can't be read; learning starts anew.
func (s *Store) setAside(b *book, why error) error {
	suffix := ".aside-" + s.now().UTC().Format("20060102T150405")
	for _, kind := range []string{".words", ".log"} {
		if err := s.fs.Rename(b.name+kind, b.name+kind+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	s.warn(b.owner, "learning starts anew; the file is kept as "+b.name+".words"+suffix, why)
	return s.fs.SyncDir(path.Dir(b.name))
}

// readLog applies the journal of a book. One of older counts is left over from a crash.
func (s *Store) readLog(b *book, p *pages) error {
	name := b.name + ".log"
	data, err := vfs.ReadFile(s.fs, name, fileMost)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b.log.size = int64(len(data))
	if p.generation == 0 || len(data) < logHead || string(data[:len(logMagic)]) != logMagic || order.Uint64(data[len(logMagic):]) != p.generation {
		b.log.spoilt = true
		return nil
	}
	b.log.spoilt = !p.replay(data[logHead:])
	return nil
}

// prepare writes the counts if there are none yet, if the journal has grown beyond
// them, and if it is spoilt.
func (s *Store) prepare(b *book, p *pages) error {
	if p.generation > 0 && !b.log.spoilt && b.log.size < max(logLeast, int64(p.main.tokens+p.waiting.tokens)*entryBytes) {
		return nil
	}
	if p.generation == 0 {
		if err := vfs.MkdirAll(s.fs, path.Dir(b.name), 0o700); err != nil {
			return err
		}
	}
	return s.rewrite(b, p)
}

// rewrite writes the counts and ends the journal.
func (s *Store) rewrite(b *book, p *pages) error {
	if b.log.file != nil {
		b.log.file.Close()
		b.log = journal{size: b.log.size, spoilt: true}
	}
	p.generation++
	if err := vfs.WriteFile(s.fs, b.name+".words", p.encode(b.owner), 0o600); err != nil {
		p.generation--
		b.log.spoilt = true
		return err
	}
	p.measure()
	if err := s.fs.Remove(b.name + ".log"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.log.spoilt = true
		return err
	}
	b.log = journal{}
	return nil
}

// measure notes what the pages take in memory.
func (p *pages) measure() { p.size.Store(p.bytes()) }

// bytes is what the pages take in memory.
func (p *pages) bytes() int64 {
	const letterBytes, teacherBytes = 40, 64
	return p.main.bytes() + p.waiting.bytes() + int64(len(p.letters.known))*letterBytes + int64(len(p.teachers))*teacherBytes
}
