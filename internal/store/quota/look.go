package quota

import (
	"path"

	"facteur/internal/base/vfs"
)

// look is one look at the disk: at maildirsize and, if that will not do, at the
// directories.
type look struct {
	known   bool
	used    Usage
	pending Usage // ours that has no line yet
	seen    mark
	dirs    tallies
	whole   bool // the directories are to be looked at

	believed bool // the file was found to be younger than all letters
	measured bool // the directories were looked at
	quiet    bool // and nothing changed meanwhile
}

func (l *look) run(f vfs.FS, o *Owner) error {
	definition, sum, info, ok, err := readSizes(f, o.Root)
	if err != nil {
		return err
	}
	ok = ok && sameDefinition(definition, o.Limits.definition())
	switch {
	case !ok:
		l.whole = true
	case !l.known:
		at, err := newest(f, o.Root, &o.Limits)
		if err != nil {
			return err
		}
		l.believed = !info.ModTime.Before(at)
		l.whole = l.whole || !l.believed
	}
	if !l.whole {
		if !l.known || markOf(info) != l.seen {
			l.used, l.seen = sum.Plus(l.pending), markOf(info)
		}
		return nil
	}
	return l.measure(f, o, ok, sum)
}

// measure counts the letters, and writes the file if it says something else.
func (l *look) measure(f vfs.FS, o *Owner, ok bool, sum Usage) error {
	dirs, quiet, err := measure(f, o.Root, &o.Limits, l.dirs)
	if err != nil {
		return err
	}
	l.dirs, l.quiet, l.measured = dirs, quiet, true
	l.used = dirs.total()
	if ok && sum == l.used {
		return nil
	}
	// Lines that others write meanwhile may be lost with the old file, as Maildir++
	// has it; the directories tell of them.
	if err := writeSizes(f, o.Root, &o.Limits, l.used); err != nil {
		// On a full disk, none is better than a wrong one.
		f.Remove(path.Join(o.Root, sizeFile))
	}
	l.seen = mark{}
	return nil
}
