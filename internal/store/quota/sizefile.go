package quota

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"facteur/internal/base/vfs"
)

const (
	sizeFile = "maildirsize"
	// maxSizeFile is the size from which a file is not read but made anew, in bytes:
	// the number is Maildir++'s.
	maxSizeFile = 5120
	// maxFigure is more than any number of a line can truly be.
	maxFigure = 1 << 56
)

// definition is the first line of the file: "10485760S,100C".
func (l *Limits) definition() string {
	var words []string
	if l.Bytes > 0 {
		words = append(words, strconv.FormatInt(l.Bytes, 10)+"S")
	}
	if l.Messages > 0 {
		words = append(words, strconv.FormatInt(l.Messages, 10)+"C")
	}
	return strings.Join(words, ",")
}

// parseSizes reads a file: its definition, and the sum of its lines. It is not ok
// when a line is no line, the last is not whole, or the sum can't be.
func parseSizes(data []byte) (definition string, sum Usage, ok bool) {
	if len(data) >= maxSizeFile || len(data) == 0 || data[len(data)-1] != '\n' {
		return "", Usage{}, false
	}
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	for line := range bytes.Lines(rest) {
		var u Usage
		if u, ok = parseLine(string(line)); !ok {
			return "", Usage{}, false
		}
		sum = sum.Plus(u)
	}
	return string(first), sum, sum.Bytes >= 0 && sum.Messages >= 0
}

// parseLine reads "1024 1"; programs pad the numbers as they like.
func parseLine(line string) (Usage, bool) {
	words := strings.Fields(line)
	if len(words) != 2 {
		return Usage{}, false
	}
	size, err1 := strconv.ParseInt(words[0], 10, 64)
	count, err2 := strconv.ParseInt(words[1], 10, 64)
	if err1 != nil || err2 != nil || max(size, -size, count, -count) > maxFigure || size == -1<<63 || count == -1<<63 {
		return Usage{}, false
	}
	return Usage{size, count}, true
}

// sameDefinition compares two as programs write them: some put a space, some the
// count first.
func sameDefinition(a, b string) bool {
	return canonicalDefinition(a) == canonicalDefinition(b)
}

func canonicalDefinition(s string) (out [2]string) {
	for w := range strings.SplitSeq(s, ",") {
		switch w = strings.TrimSpace(w); {
		case strings.HasSuffix(w, "S"):
			out[0] = w
		case strings.HasSuffix(w, "C"):
			out[1] = w
		}
	}
	return out
}

func (u Usage) line() string { return fmt.Sprintf("%d %d\n", u.Bytes, u.Messages) }

// readSizes reads the file of a Maildir. One that is missing is not ok, and no error.
func readSizes(f vfs.FS, root string) (definition string, sum Usage, info vfs.Info, ok bool, err error) {
	file, err := f.Open(path.Join(root, sizeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", Usage{}, info, false, nil
	}
	if err != nil {
		return "", Usage{}, info, false, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return "", Usage{}, info, false, err
	}
	data := make([]byte, maxSizeFile)
	n, err := readUpTo(file, data)
	if err != nil {
		return "", Usage{}, info, false, err
	}
	definition, sum, ok = parseSizes(data[:n])
	return definition, sum, info, ok, nil
}

// writeSizes replaces the file. Nothing is synced: a file that a power cut has torn
// is not ok, and made anew.
func writeSizes(f vfs.FS, root string, l *Limits, used Usage) error {
	// A name of its own among files that nobody takes for a letter.
	fresh := path.Join(root, "tmp", sizeFile+".facteur")
	if err := f.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.Create(fresh, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write([]byte(l.definition() + "\n" + used.line()))
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = f.Rename(fresh, path.Join(root, sizeFile))
	}
	return err
}

// appendSizes adds a line to the file, if there is one. It is one write, so that
// lines of several programs stand behind each other.
func appendSizes(f vfs.FS, root string, d Usage) error {
	file, err := f.Append(path.Join(root, sizeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.Write([]byte(d.line()))
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return err
}
