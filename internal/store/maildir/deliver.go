package maildir

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"facteur/internal/base/vfs"
)

// copyBuffer is how much of a letter is in memory while it is written, in bytes.
const copyBuffer = 32 << 10

// Few is up to how many letters are synced one by one, each best while its file is
// open (StageDurably). A syncfs waits for everything that the machine has to write,
// also for others.
const Few = 2

// Stage writes parts, one after the other, to tmp/name. A file of that name,
// left by an earlier try, is removed first. Nothing is durable yet. On error
// nothing stays behind.
func (d Dir) Stage(name string, parts ...io.Reader) (Size, error) {
	file, err := d.freshTmp(name)
	if err != nil {
		return Size{}, err
	}
	size, err := fill(file, parts)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		d.FS.Remove(d.Tmp(name))
		return Size{}, err
	}
	return size, nil
}

// StageDurably is Stage with the file's bytes synced, for a letter that comes
// alone. Its name in tmp is not durable yet.
func (d Dir) StageDurably(name string, parts ...io.Reader) (Size, error) {
	file, err := d.freshTmp(name)
	if err != nil {
		return Size{}, err
	}
	size, err := fill(file, parts)
	if err == nil {
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		d.FS.Remove(d.Tmp(name))
		return Size{}, err
	}
	return size, nil
}

// freshTmp makes a new, empty file in tmp.
func (d Dir) freshTmp(name string) (vfs.File, error) {
	file, err := d.FS.Create(d.Tmp(name), 0o600)
	if errors.Is(err, fs.ErrExist) {
		// Not truncated but removed: a sync of the old file may have failed.
		if err = d.FS.Remove(d.Tmp(name)); err == nil {
			file, err = d.FS.Create(d.Tmp(name), 0o600)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", d.Path, ErrNoMaildir)
	}
	return file, err
}

// fill writes the parts in pieces of copyBuffer, so that a usual letter is one
// write.
func fill(file io.Writer, parts []io.Reader) (Size, error) {
	c := counter{w: file}
	w := writers.Get().(*bufio.Writer)
	defer writers.Put(w)
	w.Reset(&c)
	for _, p := range parts {
		// The wrapper keeps a WriterTo from handing us the letter in one piece.
		if _, err := w.ReadFrom(struct{ io.Reader }{p}); err != nil {
			return Size{}, err
		}
	}
	err := w.Flush()
	return c.size, err
}

// writers are for fill.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, copyBuffer) }}

// Staged tells whether tmp/name is there.
func (d Dir) Staged(name string) (bool, error) {
	_, err := d.FS.Stat(d.Tmp(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Unstage removes tmp/name, of a delivery that was given up before it was
// landing. It is no error if it is not there.
func (d Dir) Unstage(name string) error {
	if err := d.FS.Remove(d.Tmp(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Land moves a staged letter to new/. If it is no longer in tmp it has landed
// before, and that is success too. The rename is not durable yet. size is what
// Stage told; if it is zero, as after a crash, the file is measured.
// ErrNoMaildir means that the whole Maildir is missing: nothing is known then.
func (d Dir) Land(name string, size Size) error {
	if size == (Size{}) {
		var err error
		if size, _, err = Measure(d.FS, d.Tmp(name)); errors.Is(err, fs.ErrNotExist) {
			return d.landed(name)
		} else if err != nil {
			return err
		}
	}
	err := d.FS.Rename(d.Tmp(name), d.New(Sized(name, size)))
	if errors.Is(err, fs.ErrNotExist) {
		return d.landed(name)
	}
	return err
}

// LandIn is Land into new/ of another folder of the same Maildir, best effort: into this one
// where that can't be, because the folder is gone or on another device. It tells whether it
// was this one. What is in tmp says all the same whether the letter has landed, wherever
// that was: folders may come, go and be renamed meanwhile, and it lands once.
func (d Dir) LandIn(folder Dir, name string, size Size) (here bool, err error) {
	if size == (Size{}) {
		if size, _, err = Measure(d.FS, d.Tmp(name)); errors.Is(err, fs.ErrNotExist) {
			return false, d.landed(name)
		} else if err != nil {
			return false, err
		}
	}
	if d.FS.Rename(d.Tmp(name), folder.New(Sized(name, size))) == nil {
		return false, nil
	}
	if still, err := d.Staged(name); err != nil {
		return false, err
	} else if !still {
		return false, d.landed(name)
	}
	return true, d.Land(name, size)
}

// landed decides what a missing tmp/name means.
func (d Dir) landed(name string) error {
	if _, err := Open(d.FS, d.Path); err != nil {
		return err
	}
	if still, err := d.Staged(name); err != nil {
		return err
	} else if still {
		return fmt.Errorf("%s: cannot be moved to new/", d.Tmp(name))
	}
	return nil
}

// Delivery is one letter of a batch.
type Delivery struct {
	Dir    Dir
	Name   string // in tmp
	Synced bool   // its bytes are durable once it is staged
	// Into, unless it is zero, is the folder of the same Maildir that it lands in.
	Into Dir
}

// Land moves the letter to new/, as Dir.Land or Dir.LandIn does. Where that was not the
// folder, Into is zero afterwards.
func (d *Delivery) Land(size Size) error {
	if d.Into.Path == "" {
		return d.Dir.Land(d.Name, size)
	}
	here, err := d.Dir.LandIn(d.Into, d.Name, size)
	if here {
		d.Into = Dir{}
	}
	return err
}

// places are the directories that its landing changes.
func (d Delivery) places() []string {
	if d.Into.Path != "" {
		return []string{d.Into.sub("new"), d.Dir.sub("tmp")}
	}
	return []string{d.Dir.sub("new"), d.Dir.sub("tmp")}
}

// Stage writes the letter to tmp, as Dir.Stage or Dir.StageDurably does.
func (d Delivery) Stage(parts ...io.Reader) (Size, error) {
	if d.Synced {
		return d.Dir.StageDurably(d.Name, parts...)
	}
	return d.Dir.Stage(d.Name, parts...)
}

// SyncStaged makes staged letters durable. If it fails, all of them must be
// staged again.
func SyncStaged(batch []Delivery) error {
	if len(batch) > Few {
		if err := syncWhole(batch); !errors.Is(err, vfs.ErrNoSyncFS) {
			return err
		}
	}
	for _, b := range batch {
		if b.Synced {
			continue
		}
		if err := syncFile(b.Dir.FS, b.Dir.Tmp(b.Name)); err != nil {
			return err
		}
	}
	return syncDirs(batch, func(d Delivery) []string { return []string{d.Dir.sub("tmp")} })
}

// SyncLanded makes the landings of letters durable. If it fails, the rows stay
// and Land is called again.
func SyncLanded(batch []Delivery) error {
	if len(batch) > Few {
		if err := syncWhole(batch); !errors.Is(err, vfs.ErrNoSyncFS) {
			return err
		}
	}
	return syncDirs(batch, Delivery.places)
}

// syncWhole syncs each file system once on which a batch has letters.
func syncWhole(batch []Delivery) error {
	seen := map[string]bool{}
	// A file system that is reached as somebody else is another one: what his process says
	// of it is good for his letters only.
	type disk struct {
		fs     vfs.FS
		device uint64
	}
	done := map[disk]bool{}
	for _, b := range batch {
		if seen[b.Dir.Path] {
			continue
		}
		seen[b.Dir.Path] = true
		device, err := b.Dir.whereTmp()
		if err != nil {
			return err
		}
		if done[disk{b.Dir.FS, device}] {
			continue
		}
		done[disk{b.Dir.FS, device}] = true
		if err := b.Dir.FS.SyncFS(b.Dir.Path); err != nil {
			return err
		}
	}
	return nil
}

// whereTmp is the device of the letters that are being written.
func (d Dir) whereTmp() (uint64, error) {
	if d.device != 0 {
		return d.device, nil
	}
	info, err := d.FS.Stat(d.sub("tmp"))
	return info.Device, err
}

// syncDirs syncs each directory once.
func syncDirs(batch []Delivery, which func(Delivery) []string) error {
	done := map[string]bool{}
	for _, b := range batch {
		for _, dir := range which(b) {
			if done[dir] {
				continue
			}
			done[dir] = true
			if err := b.Dir.FS.SyncDir(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func syncFile(f vfs.FS, name string) error {
	file, err := f.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
