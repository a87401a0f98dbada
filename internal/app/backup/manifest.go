package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	manifestName = "MANIFEST"
	manifestMark = "facteur-backup 1 "
	maxPath      = 4096
)

// ErrIncomplete is a backup that was not written to its end, or cut.
var ErrIncomplete = errors.New("the backup is not whole: its MANIFEST is missing or cut")

// File is one of a backup.
type File struct {
	Path     string // slash-separated, below the backup
	Size     int64
	Modified time.Time
	Sum      [sha256.Size]byte
}

// line is a file's in the manifest.
func (f File) line() string {
	return fmt.Sprintf("%x %d %d %s\n", f.Sum[:], f.Size, f.Modified.UnixNano(), strconv.Quote(f.Path))
}

// manifestWriter writes one.
type manifestWriter struct {
	out *bufio.Writer
	sum hash.Hash
}

func newManifest(w io.Writer, host string, at time.Time) *manifestWriter {
	m := &manifestWriter{sum: sha256.New()}
	m.out = bufio.NewWriter(io.MultiWriter(w, m.sum))
	fmt.Fprintf(m.out, "%s%s %q\n", manifestMark, at.UTC().Format(time.RFC3339), host)
	return m
}

func (m *manifestWriter) add(f File) error {
	_, err := m.out.WriteString(f.line())
	return err
}

func (m *manifestWriter) end() error {
	if err := m.out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(m.out, "end %x\n", m.sum.Sum(nil))
	return m.out.Flush()
}

// readManifest gives each file to each, and fails if it is not whole.
func readManifest(r io.Reader, each func(File) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	sum := sha256.New()
	for n := 0; ; n++ {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return ErrIncomplete
		}
		text := strings.TrimSuffix(string(line), "\n")
		if end, ok := strings.CutPrefix(text, "end "); ok {
			want, err := hex.DecodeString(end)
			if err != nil || !bytes.Equal(want, sum.Sum(nil)) {
				return ErrIncomplete
			}
			return nil
		}
		sum.Write(line)
		if n == 0 {
			if !strings.HasPrefix(text, manifestMark) {
				return errors.New("not a backup of facteur")
			}
			continue
		}
		f, err := parseFile(text)
		if err == nil {
			err = each(f)
		}
		if err != nil {
			return err
		}
	}
}

func parseFile(line string) (f File, err error) {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) != 4 {
		return f, ErrIncomplete
	}
	sum, err := hex.DecodeString(fields[0])
	size, serr := strconv.ParseInt(fields[1], 10, 64)
	ns, nerr := strconv.ParseInt(fields[2], 10, 64)
	name, perr := strconv.Unquote(fields[3])
	if errors.Join(err, serr, nerr, perr) != nil || len(sum) != len(f.Sum) || size < 0 {
		return f, ErrIncomplete
	}
	copy(f.Sum[:], sum)
	f.Path, f.Size, f.Modified = name, size, time.Unix(0, ns)
	return f, checkPath(name)
}

// checkPath keeps out what would be written elsewhere.
func checkPath(name string) error {
	if !filepath.IsLocal(name) || len(name) > maxPath || filepath.Clean(name) != name || strings.ContainsRune(name, 0) ||
		!strings.HasPrefix(name, "data/") && !strings.HasPrefix(name, "settings/") {
		return fmt.Errorf("the backup has a file %q, which no backup has", name)
	}
	return nil
}
