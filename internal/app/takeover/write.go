package takeover

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"facteur/internal/app/config"
)

// Takeover is what an importer makes.
type Takeover struct {
	Settings *Settings
	Report   *Report
	// Secrets are files with passwords that the settings name.
	Secrets []Secret
}

// Secret is a file with passwords, in the directory of facteur.toml.
type Secret struct {
	Name string
	Text []byte
}

// Output says where it goes.
type Output struct {
	Settings string // the path of facteur.toml; "-": Stdout, and no secrets are written
	Report   string // the path of the report; "-" or "": Stdout, or Stderr when that has the settings
	JSON     bool   // the report as JSON, one object a line
	Force    bool   // replace what is there
	Stdout   io.Writer
	Stderr   io.Writer
}

// Dir is the directory of the settings file, with which secrets count; "" when there is
// none.
func (o Output) Dir() string {
	if o.Settings == "-" {
		return ""
	}
	return filepath.Dir(o.Settings)
}

// Check are the mistakes that "facteur check" would find in the settings, but for files
// that are not written yet.
func (t *Takeover) Check(path string) []error {
	c, err := config.Parse(path, t.Settings.Text())
	if err != nil {
		return []error{err}
	}
	return c.Check()
}

// Write writes the report, the secrets and the settings, and then checks them. A file
// that is there is an error without Force, and then nothing is written.
func (t *Takeover) Write(o Output) error {
	if err := t.free(o); err != nil {
		return err
	}
	if err := t.writeReport(o); err != nil {
		return err
	}
	if o.Settings == "-" {
		_, err := o.Stdout.Write(t.Settings.Text())
		return err
	}
	for _, s := range t.Secrets {
		if err := replace(filepath.Join(o.Dir(), s.Name), s.Text, 0o600); err != nil {
			return err
		}
	}
	if err := replace(o.Settings, t.Settings.Text(), 0o640); err != nil {
		return err
	}
	return errors.Join(t.Check(o.Settings)...)
}

// free looks that nothing is overwritten.
func (t *Takeover) free(o Output) error {
	if o.Force {
		return nil
	}
	paths := []string{}
	if o.Settings != "-" {
		paths = append(paths, o.Settings)
		for _, s := range t.Secrets {
			paths = append(paths, filepath.Join(o.Dir(), s.Name))
		}
	}
	if o.Report != "" && o.Report != "-" {
		paths = append(paths, o.Report)
	}
	for _, path := range paths {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already; --force replaces it, -o and --report name other files", path)
		}
	}
	return nil
}

func (t *Takeover) writeReport(o Output) error {
	write := t.Report.WriteText
	if o.JSON {
		write = t.Report.WriteJSON
	}
	if o.Report != "" && o.Report != "-" {
		return replaceBy(o.Report, 0o640, write)
	}
	if o.Settings == "-" {
		return write(o.Stderr)
	}
	return write(o.Stdout)
}

// replace puts a file in its place, whole or not at all.
func replace(path string, text []byte, mode fs.FileMode) error {
	return replaceBy(path, mode, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

func replaceBy(path string, mode fs.FileMode, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(f.Chmod(mode), write(f), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// New is a takeover of nothing yet; from is what is read, about the comment at the top of
// the settings.
func New(from, about string) *Takeover {
	return &Takeover{Settings: NewSettings(about), Report: &Report{From: from}}
}
