package quota

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

// settled is how old the mtime of a directory must be before the same mtime means the
// same letters: kernels stamp in ticks of up to 10 ms.
const settled = 50 * time.Millisecond

// tally is what one directory held when it was read.
type tally struct {
	stamp time.Time // its mtime then; zero: read it again
	Usage
}

// tallies are those of a Maildir, by path below it: "cur", ".Work/new".
type tallies map[string]tally

// total is the sum.
func (t tallies) total() (sum Usage) {
	for _, x := range t {
		sum = sum.Plus(x.Usage)
	}
	return sum
}

// measure gives the tallies of a Maildir as it is now; of directories that did not
// change since known, those of known. A Maildir that is not there is empty. quiet is
// false when something changed meanwhile: the next look will tell.
func measure(f vfs.FS, root string, l *Limits, known tallies) (now tallies, quiet bool, err error) {
	now = tallies{}
	dirs, err := counted(f, root, l)
	if err != nil {
		return nil, false, err
	}
	quiet = true
	for _, dir := range dirs {
		begun := time.Now()
		info, err := f.Stat(path.Join(root, dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		if old, ok := known[dir]; ok && !old.stamp.IsZero() && old.stamp.Equal(info.ModTime) {
			now[dir] = old
			continue
		}
		t := tally{stamp: info.ModTime}
		if begun.Sub(info.ModTime) < settled {
			t.stamp, quiet = time.Time{}, false
		}
		if t.Usage, err = read(f, path.Join(root, dir)); err != nil {
			return nil, false, err
		}
		now[dir] = t
	}
	return now, quiet, nil
}

// counted are the directories whose letters count.
func counted(f vfs.FS, root string, l *Limits) (dirs []string, err error) {
	entries, err := f.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !l.Ignores("INBOX") {
		dirs = append(dirs, "new", "cur")
	}
	for _, e := range entries {
		if e.Name[0] != '.' || !e.Type.IsDir() && e.Type&fs.ModeSymlink == 0 {
			continue
		}
		if name, err := maildir.FolderName(e.Name); err == nil && !l.Ignores(name) {
			dirs = append(dirs, path.Join(e.Name, "new"), path.Join(e.Name, "cur"))
		}
	}
	return dirs, nil
}

// newest is the latest mtime of the directories that count.
func newest(f vfs.FS, root string, l *Limits) (at time.Time, err error) {
	dirs, err := counted(f, root, l)
	if err != nil {
		return at, err
	}
	for _, dir := range dirs {
		info, err := f.Stat(path.Join(root, dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return at, err
		}
		if info.ModTime.After(at) {
			at = info.ModTime
		}
	}
	return at, nil
}

// read counts the letters of a directory: by their names where those tell (S=), else
// by the files.
func read(f vfs.FS, dir string) (sum Usage, err error) {
	entries, err := f.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return sum, nil
	}
	for _, e := range entries {
		if !e.Type.IsRegular() || e.Name[0] == '.' {
			continue
		}
		size := maildir.ParseName(e.Name).Size
		if size < 0 {
			info, err := f.Stat(path.Join(dir, e.Name))
			if err != nil {
				continue // renamed or removed meanwhile
			}
			size = info.Size
		}
		sum = sum.Plus(Usage{size, 1})
	}
	return sum, err
}

// readUpTo fills buf as far as the file reaches.
func readUpTo(r io.Reader, buf []byte) (int, error) {
	n, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}
