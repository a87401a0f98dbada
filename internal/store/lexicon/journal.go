package lexicon

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"path"

	"facteur/internal/base/vfs"
)

// logMagic begins a journal; the generation of the counts that it goes on from follows.
const logMagic = "FACTLOG\x01"

const (
	logHead    = len(logMagic) + 8
	recordHead = 8
	// lessonHead is what a record has beside its tokens.
	lessonHead = 8 + 8 + 2 + 1
	recordMost = lessonHead + MaxTokens*tokenBytes
)

// journal is the lessons since the counts were last written.
type journal struct {
	file  vfs.File // nil: not open
	size  int64    // bytes, whether or not it is open
	fresh bool     // its name may not be durable
	// spoilt: something went wrong with the file. Nothing is added to it any more; the
	// counts are written anew instead.
	spoilt bool
}

// appendLesson writes a record.
func appendLesson(b []byte, l *lesson) []byte {
	from := len(b)
	b = append(b, make([]byte, recordHead)...)
	b = order.AppendUint64(b, l.key)
	b = order.AppendUint64(b, l.teacher)
	b = order.AppendUint16(b, l.day)
	b = append(b, byte(l.class))
	for _, token := range l.tokens {
		b = appendToken(b, token)
	}
	payload := b[from+recordHead:]
	order.PutUint32(b[from:], uint32(len(payload)))
	order.PutUint32(b[from+4:], crc32.Checksum(payload, castagnoli))
	return b
}

// readLesson reads a record at the beginning of b; rest is nil at what is not one.
func readLesson(b []byte) (l *lesson, rest []byte) {
	if len(b) < recordHead {
		return nil, nil
	}
	n := int(order.Uint32(b))
	if n < lessonHead || n > recordMost || n > len(b)-recordHead || (n-lessonHead)%tokenBytes != 0 {
		return nil, nil
	}
	payload := b[recordHead : recordHead+n]
	if crc32.Checksum(payload, castagnoli) != order.Uint32(b[4:]) || payload[18] > byte(spam) {
		return nil, nil
	}
	l = &lesson{key: order.Uint64(payload), teacher: order.Uint64(payload[8:]), day: order.Uint16(payload[16:]), class: class(payload[18])}
	for t := payload[lessonHead:]; len(t) > 0; t = t[tokenBytes:] {
		l.tokens = append(l.tokens, readToken(t))
	}
	return l, b[recordHead+n:]
}

// replay applies the lessons of a journal and tells whether that was all of it.
func (p *pages) replay(b []byte) (whole bool) {
	for len(b) > 0 {
		l, rest := readLesson(b)
		if l == nil {
			return false
		}
		p.apply(l)
		b = rest
	}
	return true
}

// open opens the journal of a book, and begins one if there is none.
func (j *journal) open(fsys vfs.FS, name string, generation uint64) (err error) {
	if j.file != nil {
		return nil
	}
	j.file, err = fsys.Append(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if j.file, err = fsys.Create(name, 0o600); err != nil {
		j.file = nil
		return err
	}
	j.fresh = true
	_, err = j.file.Write(order.AppendUint64([]byte(logMagic), generation))
	j.size = int64(logHead)
	return err
}

// add writes a lesson. After an error the journal is spoilt: what follows half of a
// record could never be read.
func (j *journal) add(fsys vfs.FS, name string, generation uint64, l *lesson) error {
	err := j.open(fsys, name, generation)
	if err == nil {
		record := appendLesson(nil, l)
		var n int
		n, err = j.file.Write(record)
		j.size += int64(n)
		if err == nil && n < len(record) {
			err = io.ErrShortWrite
		}
	}
	j.spoilt = j.spoilt || err != nil
	return err
}

// sync makes it durable, and closes it.
func (j *journal) sync(fsys vfs.FS, name string) error {
	if j.file == nil {
		return nil
	}
	err := j.file.Sync()
	if err == nil && j.fresh {
		err = fsys.SyncDir(path.Dir(name))
	}
	err = errors.Join(err, j.file.Close())
	j.file, j.fresh, j.spoilt = nil, false, j.spoilt || err != nil
	return err
}
