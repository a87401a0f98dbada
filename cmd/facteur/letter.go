package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"facteur/internal/mail/message"
)

// maxHeader is how much of a letter in a file is taken for its header, in bytes.
const maxHeader = 4 << 20

// letterFile is a letter in a file, read as often as it takes.
type letterFile struct {
	*os.File
	header message.Header
}

// openLetter opens a letter; "-" is the standard input, which is kept in a file of
// its own, as it can be read once only.
func (c *command) openLetter(name string) (*letterFile, error) {
	file, err := c.letterBytes(name)
	if err != nil {
		return nil, err
	}
	l := &letterFile{File: file}
	l.header, _, err = message.ReadHeader(file, maxHeader)
	if err == nil && len(l.header) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), l.Close())
	}
	return l, nil
}

func (c *command) letterBytes(name string) (*os.File, error) {
	if name != "-" {
		return os.Open(name)
	}
	file, err := os.CreateTemp("", "facteur-letter-*")
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(file, c.in)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err = errors.Join(err, os.Remove(file.Name())); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// body writes what stands below the header.
func (l *letterFile) body(w io.Writer) error {
	if _, err := l.Seek(int64(len(l.header)), io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, l.File)
	return err
}
