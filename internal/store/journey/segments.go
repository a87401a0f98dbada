package journey

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/vfs"
)

// segment is a file of a journey directory.
type segment struct {
	day string // "2026-11-22", UTC
	n   int    // from 1
}

const dayForm = time.DateOnly

// name is DAY.jsonl for the first segment of a day, DAY.N.jsonl for the others.
func (s segment) name() string {
	if s.n == 1 {
		return s.day + ".jsonl"
	}
	return fmt.Sprintf("%s.%d.jsonl", s.day, s.n)
}

// parseSegment tells whether a name is one that segment.name gives.
func parseSegment(name string) (segment, bool) {
	stem, isSegment := strings.CutSuffix(name, ".jsonl")
	day, number, numbered := strings.Cut(stem, ".")
	s := segment{day, 1}
	if numbered {
		s.n, _ = strconv.Atoi(number)
	}
	_, err := time.Parse(dayForm, day)
	return s, isSegment && err == nil && s.name() == name
}

func (s segment) compare(o segment) int {
	if c := strings.Compare(s.day, o.day); c != 0 {
		return c
	}
	return s.n - o.n
}

// list gives the segments in dir, oldest first.
func list(fsys vfs.FS, dir string) ([]segment, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []segment
	for _, e := range entries {
		if s, ok := parseSegment(e.Name); ok && e.Type == 0 {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, segment.compare)
	return all, nil
}

// segments is the writer's side of a directory. It belongs to one goroutine.
type segments struct {
	fs      vfs.FS
	dir     string
	current segment
	file    vfs.File // nil: the next write begins a segment
	size    int64    // of file
}

// parts is of how many full segments the largest directory consists.
const parts = 16

// write appends whole lines to the segment of today. After an error, the next
// write begins a new segment, so that a torn line is the last of its file.
func (s *segments) write(lines []byte, l Limits, now time.Time) error {
	day := now.UTC().Format(dayForm)
	if s.file != nil && (s.current.day != day || s.size > l.MaxSize/parts) {
		s.close()
	}
	if s.file == nil {
		s.expire(l, now)
		if err := s.begin(day); err != nil {
			return err
		}
	}
	n, err := s.file.Write(lines)
	s.size += int64(n)
	if err != nil {
		s.close()
		s.removeEmpty()
	}
	return err
}

// removeEmpty removes a segment that got nothing. A full disk makes one with each
// write, and gives no room to a single line in any of them.
func (s *segments) removeEmpty() {
	if s.size == 0 {
		s.fs.Remove(filepath.Join(s.dir, s.current.name())) // else it goes when it is old
	}
}

// begin opens the next segment of a day.
func (s *segments) begin(day string) error {
	all, err := list(s.fs, s.dir)
	if err != nil {
		return err
	}
	next := segment{day, 1}
	for _, x := range all {
		if x.day == day {
			next.n = x.n + 1
		}
	}
	file, err := s.fs.Create(filepath.Join(s.dir, next.name()), 0o600)
	if err != nil {
		return err
	}
	s.current, s.file, s.size = next, file, 0
	return nil
}

// expire removes what is too old, and the oldest of what is too much. What can't
// be removed is tried again with the next segment.
func (s *segments) expire(l Limits, now time.Time) {
	all, err := list(s.fs, s.dir)
	if err != nil {
		return
	}
	oldest := now.UTC().AddDate(0, 0, -l.Days).Format(dayForm)
	left := l.MaxSize
	for _, x := range slices.Backward(all) {
		path := filepath.Join(s.dir, x.name())
		info, err := s.fs.Stat(path)
		if left -= info.Size; errors.Is(err, fs.ErrNotExist) || x.day >= oldest && left >= 0 {
			continue
		}
		s.fs.Remove(path)
	}
}

func (s *segments) close() {
	if s.file != nil {
		s.file.Close() // nothing was promised that its error could break
		s.file = nil
	}
}
