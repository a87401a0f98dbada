package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"facteur/internal/store/db"
)

// databases are those of a data directory that are checked as such; those of accounts
// are checked when they are opened.
var databases = [...]string{"queue.db", "facteur.db"}

// checkDatabases reads databases that were copied.
func checkDatabases(ctx context.Context, dir string) error {
	for _, name := range databases {
		err := db.Check(ctx, filepath.Join(dir, name))
		if err != nil {
			return err
		}
	}
	return nil
}

// Verify reads a whole backup and compares it with its manifest. It gives how many files
// and bytes it has.
func Verify(ctx context.Context, from string) (files, bytes int64, err error) {
	err = read(ctx, from, func(f File, r io.Reader) error {
		n, err := io.Copy(io.Discard, r)
		files, bytes = files+1, bytes+n
		return err
	})
	if err != nil {
		return files, bytes, fmt.Errorf("%s: %w", from, err)
	}
	if info, serr := os.Stat(from); serr == nil && info.IsDir() {
		err = checkDatabases(ctx, filepath.Join(from, "data"))
	}
	return files, bytes, err
}

// read gives each file to each, which reads it to its end, and fails if one is not as the
// manifest says, if one is missing, or if there is one more.
func read(ctx context.Context, from string, each func(File, io.Reader) error) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return readDirectory(ctx, from, each)
	}
	return readTar(ctx, from, each)
}

func readDirectory(ctx context.Context, from string, each func(File, io.Reader) error) error {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close()
	manifest, err := root.Open(manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrIncomplete
	}
	if err != nil {
		return err
	}
	defer manifest.Close()
	if err := readManifest(manifest, func(File) error { return nil }); err != nil {
		return err // before anything is done with it
	}
	if _, err := manifest.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return readManifest(manifest, func(f File) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		in, err := root.Open(f.Path)
		if err != nil {
			return err
		}
		defer in.Close()
		if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
			return errors.Join(fmt.Errorf("%s is no file", f.Path), err)
		}
		got, err := summed(f, in, each)
		if err == nil && got != f.Sum {
			err = fmt.Errorf("%s is damaged", f.Path)
		}
		return err
	})
}

// summed gives a file to each, and what its bytes add up to.
func summed(f File, in io.Reader, each func(File, io.Reader) error) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if err := each(f, io.TeeReader(in, h)); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// readTar reads a tar file from its beginning to its end. Its manifest comes last, so
// that nothing of it may be believed before read returns.
func readTar(ctx context.Context, from string, each func(File, io.Reader) error) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	in, err := unzipped(file)
	if err != nil {
		return err
	}
	seen := map[string][sha256.Size]byte{}
	t := tar.NewReader(in)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		if err != nil {
			return errors.Join(ErrIncomplete, err)
		}
		if h.Name == manifestName && h.Typeflag == tar.TypeReg {
			return compare(t, seen)
		}
		name := strings.TrimSuffix(h.Name, "/")
		if err := checkEntry(h, name, seen); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		seen[name], err = summed(File{Path: name, Size: h.Size, Modified: h.ModTime}, t, each)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// checkEntry refuses what no backup has: links, devices, names that lead elsewhere.
func checkEntry(h *tar.Header, name string, seen map[string][sha256.Size]byte) error {
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
		return fmt.Errorf("the backup has %q, which is neither a file nor a directory", h.Name)
	}
	if _, twice := seen[name]; twice {
		return fmt.Errorf("the backup has %q twice", name)
	}
	if h.Typeflag == tar.TypeDir && (name == "data" || name == "settings") {
		return nil
	}
	return checkPath(name)
}

// unzipped reads a tar file that may be compressed.
func unzipped(r io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	magic, _ := in.Peek(2)
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return in, nil
	}
	return gzip.NewReader(in)
}

// compare reads the manifest, and compares it with what was seen.
func compare(r io.Reader, seen map[string][sha256.Size]byte) error {
	err := readManifest(r, func(f File) error {
		sum, ok := seen[f.Path]
		delete(seen, f.Path)
		switch {
		case !ok:
			return fmt.Errorf("%s is missing", f.Path)
		case sum != f.Sum:
			return fmt.Errorf("%s is damaged", f.Path)
		}
		return nil
	})
	for name := range seen {
		if err == nil {
			err = fmt.Errorf("%s is not in the manifest", name)
		}
	}
	return err
}
