package archive

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is what sort of thing a file is, by its content.
type Kind string

// The kinds.
const (
	Other     Kind = ""
	Program   Kind = "program"    // machine code or byte code
	Script    Kind = "script"     // text that an interpreter runs
	Shortcut  Kind = "shortcut"   // names a command to be run
	Installer Kind = "installer"  // a package that is installed by opening it
	Disk      Kind = "disk image" // mounted by a double click; what is in it bears no mark of the web
	Packed    Kind = "archive"
	Document  Kind = "document" // of an office program, or PDF
	Page      Kind = "web page" // HTML, SVG: shown by a browser, which runs what is in it
	Picture   Kind = "picture"
	Media     Kind = "media" // sound, video, fonts
	Text      Kind = "text"
	Message   Kind = "message"
)

// File is a file in a letter, or in an archive.
type File struct {
	// Name is what the letter or the archive calls it: valid UTF-8, at most maxName
	// bytes, otherwise as it stands. message.SafeFileName makes it fit for a disk.
	Name string `json:"name,omitempty"`
	// Declared is the media type that the letter claims; "" in an archive.
	Declared string `json:"declared,omitempty"`
	// Real is the media type by the content; "" for one that was not seen.
	Real string `json:"real,omitempty"`
	Kind Kind   `json:"kind,omitempty"`
	// Size in bytes, unpacked; in an archive it is what that says.
	Size int64 `json:"size"`
	// Encrypted: it is locked with a password, or something in it is.
	Encrypted bool `json:"encrypted,omitempty"`
	// Macros: a document that carries programs.
	Macros bool `json:"macros,omitempty"`
	// Inside are the files in an archive, More how many of them are not told.
	Inside []File `json:"inside,omitempty"`
	More   int    `json:"more,omitempty"`
	// Odd is what programs that unpack it may see differently.
	Odd []string `json:"odd,omitempty"`
	// Trouble is why it could not be looked through; "" if it was.
	Trouble string `json:"trouble,omitempty"`
}

// Walk visits the file and all that is in it, the outermost first. within is the chain
// of files that hold it.
func (f *File) Walk(visit func(f *File, within []*File)) { f.walk(visit, nil) }

func (f *File) walk(visit func(f *File, within []*File), within []*File) {
	visit(f, within)
	within = append(within[:len(within):len(within)], f)
	for i := range f.Inside {
		f.Inside[i].walk(visit, within) // as deep as Limits.Depth
	}
}

func (f *File) odd(what string) {
	for _, said := range f.Odd {
		if said == what {
			return
		}
	}
	f.Odd = append(f.Odd, what)
}

func (f *File) trouble(what string) {
	if f.Trouble == "" {
		f.Trouble = what
	}
}

// Limits bound what is spent on the files of one letter. Zero means the default, never
// unlimited.
type Limits struct {
	// Bytes is how much is unpacked, in bytes of deflated data; other formats count by
	// what they cost. Default 32 MiB.
	Bytes int64
	// Memory is how much of what was unpacked is held at a time. Default 16 MiB.
	Memory int64
	// Files is how many files in archives are told. Default 1,000.
	Files int
	// Depth is how deep archives are followed into each other. Default 6.
	Depth int
}

func (l Limits) filled() Limits {
	for _, d := range []struct {
		n *int64
		v int64
	}{{&l.Bytes, 32 << 20}, {&l.Memory, 16 << 20}} {
		if *d.n <= 0 {
			*d.n = d.v
		}
	}
	if l.Files <= 0 {
		l.Files = 1000
	}
	if l.Depth <= 0 {
		l.Depth = 6
	}
	return l
}

// Budget is what is left of the limits for one letter. It belongs to one goroutine.
type Budget struct {
	limits Limits
	work   int64 // spent
	held   int64
	files  int
}

// NewBudget is that of one letter.
func NewBudget(l Limits) *Budget { return &Budget{limits: l.filled()} }

// Work is what was spent so far, in the unit of Limits.Bytes.
func (b *Budget) Work() int64 { return b.work }

// The troubles that budgets make.
const (
	tooMuch   = "it unpacks to more than is looked through"
	tooLarge  = "too large to be looked through"
	tooDeep   = "archives are nested too deep"
	tooMany   = "there are more files in it than are told"
	damaged   = "damaged, or not what it seems: it could not be read to its end"
	unhandled = "packed by a method that is not read here"
	panicked  = "reading it failed badly"
)

// Examine tells what a file is. r has size bytes.
func (b *Budget) Examine(r io.ReaderAt, size int64, name, declared string) File {
	return b.examine(r, size, File{Name: Clean(name), Declared: declared, Size: size}, 0)
}

func (b *Budget) examine(r io.ReaderAt, size int64, f File, depth int) File {
	head := make([]byte, min(size, headBytes))
	n, _ := r.ReadAt(head, 0)
	f.Sniff(head[:n])
	b.open(r, size, &f, depth)
	return f
}

// open looks into a file, if there is something in it.
func (b *Budget) open(r io.ReaderAt, size int64, f *File, depth int) {
	look := openerOf(f.Real)
	if look == nil {
		return
	}
	if depth >= b.limits.Depth {
		f.trouble(tooDeep)
		return
	}
	defer func() {
		if p := recover(); p != nil { // a parser of a library, on what a stranger made (MIME-015)
			f.Trouble = fmt.Sprintf("%s (%.100v)", panicked, p)
		}
	}()
	look(b, r, size, f, depth)
}

// spend takes work off the budget: n bytes at a cost each; false: there was not so much
// left.
func (b *Budget) spend(cost float64, n int) bool {
	b.work += int64(cost*float64(n)) + 64
	return b.work <= b.limits.Bytes
}

// window takes off the budget what it costs to make a window of n bytes for a method that
// refers back: many small pieces may each announce a large one. false: there was not so
// much left.
func (b *Budget) window(n int) bool { return b.spend(0.05, n) }

// tell adds a file to an archive; false: no more are told.
func (b *Budget) tell(in *File, f File) bool {
	if b.files >= b.limits.Files {
		in.More++
		in.trouble(tooMany)
		return false
	}
	b.files++
	if f.Encrypted {
		in.Encrypted = true
	}
	if f.Macros && in.Kind == Document {
		in.Macros = true
	}
	in.Inside = append(in.Inside, f)
	return true
}

// maxName bounds the name of a file, in bytes.
const maxName = 1024

// Clean makes a name valid UTF-8 without control characters and of a bounded length; what
// turns the direction of reading stays, to be seen by the filter.
func Clean(name string) string {
	if len(name) > maxName { // the end is what counts
		name = name[len(name)-maxName:]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
}
