package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/base/vfs"
)

// Job is a backup to be made.
type Job struct {
	Config   *config.Config
	Settings string // the file
	// To is a new directory, or a file that ends in .tar or .tar.gz.
	To string
	// Previous is an earlier backup in a directory, or "".
	Previous string
	// Note is told what people should know; Show the files and bytes so far.
	Note func(string)
	Show func(files, bytes int64)

	previous map[string]File // by letter
	files    int64
	bytes    int64
}

// Run makes it.
func (j *Job) Run(ctx context.Context, o control.Office) (err error) {
	if j.Previous != "" {
		if err := j.readPrevious(); err != nil {
			return err
		}
	}
	j.removeCuts()
	out, err := j.create()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			out.abandon()
		}
	}()
	name := fmt.Sprintf("%s%d-%d", control.CutPrefix, time.Now().Unix(), os.Getpid())
	cut := filepath.Join(j.Config.DataDir, name)
	release, err := lockCut(cut)
	if err != nil {
		return err
	}
	defer release()
	defer os.RemoveAll(cut)
	at := time.Now()
	err = o.Cut(ctx, control.Cut{Name: name}, func(p control.CutPart) error {
		if p.Missing != "" {
			j.Note(p.What + " is not in the backup: " + p.Missing)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if err := checkDatabases(ctx, cut); err != nil {
		return err
	}
	return j.write(ctx, out, cut, at)
}

// Beside a cut are a file that is locked by the backup that copies it, and its manifest.
const (
	lockSuffix     = ".lock"
	manifestSuffix = ".manifest"
)

// lockCut keeps other backups from removing a cut, until release or the end of this
// process.
func lockCut(cut string) (release func(), err error) {
	f, err := os.OpenFile(cut+lockSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	release = func() {
		os.Remove(f.Name())
		f.Close()
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		release()
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return release, nil
}

// inUse tells whether a backup is copying the cut that a path belongs to.
func inUse(path string) bool {
	cut := strings.TrimSuffix(strings.TrimSuffix(path, lockSuffix), manifestSuffix)
	f, err := os.Open(cut + lockSuffix)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// removeCuts clears up after backups that were killed.
func (j *Job) removeCuts() {
	left, _ := filepath.Glob(filepath.Join(j.Config.DataDir, control.CutPrefix+"*"))
	for _, dir := range left {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour && !inUse(dir) {
			os.RemoveAll(dir)
		}
	}
}

// write copies what was cut, then settings and keys, then the manifest.
func (j *Job) write(ctx context.Context, out sink, cut string, at time.Time) error {
	lines, err := os.OpenFile(cut+manifestSuffix, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(lines.Name())
	defer lines.Close()
	m := newManifest(lines, j.Config.Hostname, at)
	err = filepath.WalkDir(cut, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		below, err := filepath.Rel(cut, p)
		if err != nil {
			return err
		}
		name := path.Join("data", filepath.ToSlash(below))
		if e.IsDir() {
			return out.mkdir(name)
		}
		return j.add(out, m, p, name)
	})
	if err != nil {
		return err
	}
	for _, p := range j.settings() {
		if err := j.add(out, m, p, path.Join("settings", p)); err != nil {
			j.Note(fmt.Sprintf("%s is not in the backup: %v", p, err))
		}
	}
	if err := m.end(); err != nil {
		return err
	}
	if _, err := lines.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return out.finish(lines)
}

// settings are the settings file, and the files that it names.
func (j *Job) settings() []string {
	abs, err := filepath.Abs(j.Settings)
	if err != nil {
		abs = j.Settings
	}
	list := j.Config.Files()
	if !slices.Contains(list, abs) {
		list = append([]string{abs}, list...)
	}
	return list
}

// add writes one file.
func (j *Job) add(out sink, m *manifestWriter, from, name string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	f := File{Path: name, Size: info.Size(), Modified: info.ModTime()}
	old, same := j.previous[letterOf(name)]
	if same = same && old.Size == f.Size && isLetter(name); same {
		f.Sum = old.Sum
		same = out.link(filepath.Join(j.Previous, old.Path), f) == nil
	}
	if !same {
		sum := sha256.New()
		if err := out.copy(f, io.TeeReader(in, sum)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		copy(f.Sum[:], sum.Sum(nil))
	}
	j.files, j.bytes = j.files+1, j.bytes+f.Size
	if j.Show != nil {
		j.Show(j.files, j.bytes)
	}
	return m.add(f)
}

// Files and Bytes are what was written.
func (j *Job) Files() int64 { return j.files }

// Bytes is the sum of their sizes, those of links included.
func (j *Job) Bytes() int64 { return j.bytes }

// isLetter tells the files whose bytes never change.
func isLetter(name string) bool {
	dir := path.Base(path.Dir(name))
	return (dir == "cur" || dir == "new") && strings.HasPrefix(name, "data/mail/")
}

// letterOf names a letter whatever mailbox it is in and whatever flags it has: its
// account, and the base of its file name.
func letterOf(name string) string {
	if !isLetter(name) {
		return name
	}
	account, _, _ := strings.Cut(name, "/Maildir/")
	base, _, _ := strings.Cut(path.Base(name), ":")
	return account + "/" + base
}

// readPrevious remembers the letters of an earlier backup.
func (j *Job) readPrevious() error {
	f, err := os.Open(filepath.Join(j.Previous, manifestName))
	if err != nil {
		return fmt.Errorf("%s: %w", j.Previous, errors.Join(ErrIncomplete, err))
	}
	defer f.Close()
	j.previous = map[string]File{}
	return readManifest(f, func(f File) error {
		if isLetter(f.Path) {
			j.previous[letterOf(f.Path)] = f
		}
		return nil
	})
}

// sink is where a backup goes: a directory or a tar file.
type sink interface {
	mkdir(name string) error
	copy(f File, r io.Reader) error
	// link takes a file of an earlier backup, if that can be done.
	link(from string, f File) error
	finish(manifest *os.File) error
	abandon()
}

func (j *Job) create() (sink, error) {
	gz := strings.HasSuffix(j.To, ".tar.gz") || strings.HasSuffix(j.To, ".tgz")
	if !gz && !strings.HasSuffix(j.To, ".tar") {
		if err := os.Mkdir(j.To, 0o700); err != nil {
			return nil, err
		}
		root, err := os.OpenRoot(j.To)
		return &directorySink{root, j.To}, err
	}
	if j.previous != nil {
		return nil, errors.New("a backup that is based on another has to be a directory")
	}
	f, err := os.OpenFile(j.To, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s := &tarSink{file: f}
	var w io.Writer = f
	if gz {
		s.zip = gzip.NewWriter(f)
		w = s.zip
	}
	s.tar = tar.NewWriter(w)
	return s, nil
}

type directorySink struct {
	root *os.Root
	path string
}

func (s *directorySink) mkdir(name string) error { return s.root.MkdirAll(name, 0o700) }

func (s *directorySink) copy(f File, r io.Reader) error { return writeFile(s.root, f, r) }

func (s *directorySink) link(from string, f File) error {
	return os.Link(from, filepath.Join(s.path, f.Path))
}

// finish makes everything durable, then the manifest.
func (s *directorySink) finish(manifest *os.File) error {
	if err := syncTree(s.path); err != nil {
		return err
	}
	text, err := io.ReadAll(manifest) // some hundred bytes for a letter
	if err != nil {
		return err
	}
	return errors.Join(vfs.WriteFile(vfs.OS{}, filepath.Join(s.path, manifestName), text, 0o600), s.root.Close())
}

// abandon removes what nobody can use.
func (s *directorySink) abandon() { s.root.Close(); os.RemoveAll(s.path) }

// syncTree makes a new tree durable.
func syncTree(dir string) error {
	err := (vfs.OS{}).SyncFS(dir)
	if errors.Is(err, vfs.ErrNoSyncFS) {
		return filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Sync()
		})
	}
	return err
}

// writeFile writes a new file below root.
func writeFile(root *os.Root, f File, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(f.Path), 0o700); err != nil {
		return err
	}
	out, err := root.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, r)
	if err == nil && n != f.Size {
		err = fmt.Errorf("it has %d bytes, and not %d", n, f.Size)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return root.Chtimes(f.Path, f.Modified, f.Modified)
}

type tarSink struct {
	file *os.File
	zip  *gzip.Writer
	tar  *tar.Writer
}

func (s *tarSink) mkdir(name string) error {
	return s.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o700, Format: tar.FormatPAX})
}

func (s *tarSink) copy(f File, r io.Reader) error {
	err := s.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Size: f.Size, Mode: 0o600, ModTime: f.Modified, Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	_, err = io.Copy(s.tar, r)
	return err
}

func (s *tarSink) link(string, File) error { return errors.ErrUnsupported }

func (s *tarSink) finish(manifest *os.File) error {
	info, err := manifest.Stat()
	if err != nil {
		return err
	}
	err = s.copy(File{Path: manifestName, Size: info.Size(), Modified: time.Now()}, manifest)
	if err == nil {
		err = s.tar.Close()
	}
	if err == nil && s.zip != nil {
		err = s.zip.Close()
	}
	if err == nil {
		err = s.file.Sync()
	}
	err = errors.Join(err, s.file.Close())
	if err == nil {
		err = (vfs.OS{}).SyncDir(filepath.Dir(s.file.Name()))
	}
	return err
}

func (s *tarSink) abandon() { s.file.Close(); os.Remove(s.file.Name()) }
