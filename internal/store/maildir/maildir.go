// Package maildir keeps letters as files, in the layout Maildir++ that mutt,
// Dovecot and Courier share.
//
// # On disk
//
//	Maildir/             INBOX
//	Maildir/cur/         letters that somebody has seen: BASE:2,FLAGS
//	Maildir/new/         letters that nobody has touched: BASE
//	Maildir/tmp/         letters being written
//	Maildir/.Work/       the mailbox Work, with its own cur, new and tmp
//	Maildir/.Work.2024/  the mailbox Work/2024
//
// BASE is SECONDS.UNIQUE.HOST,S=SIZE,W=VSIZE: when the letter arrived, the size
// of the file and the size with CRLF line ends. We write both and store the
// bytes exactly as they were accepted, so that S equals W but for letters that
// contain bare line feeds. Letters of other programs often have LF line ends;
// OpenLetter converts them on reading. FLAGS are D F P R S T, then whatever
// others put there, which we keep.
//
// Folder says how a mailbox name becomes a directory name and back.
//
// # Delivery, exactly once
//
// The queue's rows are the log of intents; this package does the files.
//
//  1. Stage writes tmp/NAME under a name that depends only on the queue item
//     and the recipient (DeliveryName). Nothing is durable. After a crash the
//     file is missing, whole or torn: Stage writes it again from the start.
//  2. SyncStaged makes a whole batch of staged files durable, name and bytes.
//  3. The queue commits the recipients as "landing" (not here).
//  4. Land renames tmp/NAME to new/NAME,S=…,W=…. A file that is not in tmp has
//     landed before: it was durable there when step 3 was taken, so only a
//     rename can have removed it. Even a letter that its owner read and deleted
//     at once is never delivered again. LandIn moves it to new/ of a folder instead:
//     every letter is staged in tmp of INBOX, so that step 4 needs to know nothing of
//     folders that were there when step 1 was taken.
//  5. SyncLanded makes the renames durable; then the rows may go (not here).
//
// Until step 5 is done a crash may undo the rename, which step 4 then repeats;
// a rename is atomic, so that new/ never holds part of a letter.
//
// Two things are assumed: that nobody but us removes files from tmp (programs
// that clean it up spare files younger than 36 hours; so a machine that crashed
// between 3 and 4 should be back within that time), and that rename is atomic
// and, for one file, ordered across a crash.
//
// If a sync fails, the batch must be staged again from step 1; Stage starts
// each time with a new file, never with one whose sync may have failed.
package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"facteur/internal/base/vfs"
)

// ErrNoMaildir means that there is no Maildir at a place, or no longer.
var ErrNoMaildir = errors.New("no Maildir here")

// Dir is one mailbox: a directory with cur, new and tmp. It has no state but
// its path, and may be used by many goroutines.
type Dir struct {
	FS   vfs.FS
	Path string

	device uint64 // where tmp was at Open, which looks at it last; 0 if not known
}

// Device is the device that the letters of a Maildir from Open or Create are on; 0 when
// it is not known.
func (d Dir) Device() uint64 { return d.device }

// Open checks that dir is a Maildir.
func Open(f vfs.FS, dir string) (Dir, error) {
	d := Dir{FS: f, Path: dir}
	for _, sub := range []string{"cur", "new", "tmp"} {
		info, err := f.Stat(d.sub(sub))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode.IsDir() {
			return d, fmt.Errorf("%s: %w", dir, ErrNoMaildir)
		}
		if err != nil {
			return d, err
		}
		d.device = info.Device
	}
	return d, nil
}

// Create makes what is missing of a Maildir, durably: parents, cur, new, tmp.
func Create(f vfs.FS, dir string) (Dir, error) {
	if d, err := Open(f, dir); !errors.Is(err, ErrNoMaildir) {
		return d, err
	}
	d := Dir{FS: f, Path: dir}
	if err := vfs.MkdirAll(f, dir, 0o700); err != nil {
		return d, err
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := f.Mkdir(d.sub(sub), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return d, err
		}
	}
	if err := f.SyncDir(dir); err != nil {
		return d, err
	}
	return Open(f, dir)
}

// CreateFolder makes the folder of the mailbox name inside the Maildir root.
func CreateFolder(f vfs.FS, root, name string) (Dir, error) {
	folder, err := Folder(name)
	if err != nil {
		return Dir{}, err
	}
	d, err := Create(f, path.Join(root, folder))
	if err != nil || folder == "" {
		return d, err
	}
	// Courier and Postfix's virtual know a folder from a Maildir by this file.
	mark, err := f.Create(path.Join(d.Path, "maildirfolder"), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return d, nil
	}
	if err == nil {
		err = mark.Close()
	}
	return d, err
}

func (d Dir) sub(name string) string { return path.Join(d.Path, name) }

// Cur, New and Tmp are paths in the three directories.
func (d Dir) Cur(file string) string { return d.in("cur", file) }

// New is a path in new/.
func (d Dir) New(file string) string { return d.in("new", file) }

// Tmp is a path in tmp/.
func (d Dir) Tmp(file string) string { return d.in("tmp", file) }

// in is called for each letter: path.Join would look for dots.
func (d Dir) in(sub, file string) string {
	if file == "" {
		return d.Path + "/" + sub
	}
	return d.Path + "/" + sub + "/" + file
}

// Size is how long a letter is, in bytes.
type Size struct {
	Bytes int64 // as stored
	CRLF  int64 // with each bare LF made CRLF
}

// counter measures what is written through it.
type counter struct {
	w    io.Writer
	size Size
	last byte
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.count(p[:n])
	return n, err
}

func (c *counter) count(p []byte) {
	if len(p) == 0 {
		return
	}
	bare := bytes.Count(p, []byte("\n")) - bytes.Count(p, []byte("\r\n"))
	if c.last == '\r' && p[0] == '\n' {
		bare--
	}
	c.last = p[len(p)-1]
	c.size.Bytes += int64(len(p))
	c.size.CRLF += int64(len(p) + bare)
}
