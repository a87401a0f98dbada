package archive

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"path"
	"strings"
)

// document tells a ZIP that is a document, a program or a package by the files in it.
func (z *zipReader) document(entries []zipped) {
	f := z.file
	for i := range entries {
		e := &entries[i]
		name := strings.ToLower(e.name)
		switch {
		case name == "[content_types].xml":
			f.Real, f.Kind = ooxmlType, Document
		case name == "content.xml" && f.Kind == Packed:
			f.Real, f.Kind = odfType, Document
		case name == "meta-inf/container.xml" && f.Kind == Packed && Extension(f.Name) == ".epub":
			f.Real, f.Kind = epubType, Document
		case name == "androidmanifest.xml":
			f.Real, f.Kind = "application/vnd.android.package-archive", Installer
		case name == "appxmanifest.xml":
			f.Real, f.Kind = "application/x-appx", Installer
		case name == "meta-inf/manifest.mf" && f.Kind == Packed:
			f.Real, f.Kind = "application/java-archive", Program
		}
		if base := path.Base(name); strings.HasPrefix(base, "vbaproject") && strings.HasSuffix(base, ".bin") || strings.Contains(name, "xl/macrosheets/") ||
			strings.HasPrefix(name, "basic/") && strings.HasSuffix(name, ".xml") && base != "script-lc.xml" && base != "script-lb.xml" || strings.HasPrefix(name, "scripts/") && !strings.HasSuffix(name, "/") {
			f.Macros = true
		}
		if strings.HasSuffix(name, "word/_rels/settings.xml.rels") && z.remoteTemplate(e) {
			f.odd("the document fetches its template, and what runs in it, from elsewhere")
		}
	}
	f.Macros = f.Macros && f.Kind == Document
}

// remoteTemplate tells a document that names a template of another machine.
func (z *zipReader) remoteTemplate(e *zipped) bool {
	h := z.bytes(e.at, localSize)
	if len(h) < localSize {
		return false
	}
	at := e.at + localSize + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:]))
	var r io.Reader = io.NewSectionReader(z.r, at, max(0, min(e.packed, z.size)))
	if e.method == 8 {
		r = flate.NewReader(r)
	}
	text := make([]byte, 16<<10)
	n, _ := io.ReadFull(r, text)
	text = bytes.ToLower(text[:n])
	return bytes.Contains(text, []byte("attachedtemplate")) && (bytes.Contains(text, []byte(`target="http`)) || bytes.Contains(text, []byte(`target="\\`)))
}

// noteworthy tells what is told of the files that a document consists of: hardly any. Books
// have pages with scripts, which only a reader of books can get at.
func noteworthy(in, f *File) bool {
	switch f.Kind {
	case Script:
		return in.Real != epubType || Extension(f.Name) != ".js"
	case Program, Shortcut, Installer, Disk:
		return true
	case Packed:
		return true
	}
	if f.Real == oleType {
		return !strings.HasPrefix(strings.ToLower(path.Base(f.Name)), "vbaproject") && len(f.Inside)+len(f.Odd) > 0 || f.Encrypted
	}
	return f.Encrypted || f.Trouble != "" && f.Trouble != tooMany
}

// ole looks into a compound file (MS-CFB): an old document, an Outlook letter, an
// installer, or a new document that is encrypted. Only its directory is read.
func (b *Budget) ole(r io.ReaderAt, size int64, f *File, _ int) {
	head := make([]byte, 512)
	if n, _ := r.ReadAt(head, 0); n < len(head) {
		f.trouble(damaged)
		return
	}
	shift := binary.LittleEndian.Uint16(head[30:])
	if shift != 9 && shift != 12 {
		f.trouble(damaged)
		return
	}
	c := compound{r: r, size: size, sector: 1 << shift, head: head}
	if !c.directory(b, f) {
		f.trouble(damaged)
	}
}

type compound struct {
	r      io.ReaderAt
	size   int64
	sector int64
	head   []byte
}

// read gives a sector; nil if there is none.
func (c *compound) read(n uint32) []byte {
	at := (int64(n) + 1) * c.sector
	if n >= 0xfffffffa || at >= c.size {
		return nil
	}
	b := make([]byte, c.sector)
	got, _ := c.r.ReadAt(b, at)
	return b[:got]
}

// next is the sector behind another in its chain, by the table of the first 109 blocks:
// directories of larger files are read as far as that goes.
func (c *compound) next(n uint32) uint32 {
	each := uint32(c.sector / 4)
	block := n / each
	if block >= 109 {
		return 0xfffffffe
	}
	table := c.read(binary.LittleEndian.Uint32(c.head[76+4*block:]))
	if i := 4 * (n % each); int(i)+4 <= len(table) {
		return binary.LittleEndian.Uint32(table[i:])
	}
	return 0xfffffffe
}

// maxDirectory is how many sectors of a compound file's directory are read.
const maxDirectory = 256

// directory walks over the names.
func (c *compound) directory(b *Budget, f *File) bool {
	at := binary.LittleEndian.Uint32(c.head[48:])
	for n := 0; n < maxDirectory; n++ {
		sector := c.read(at)
		if len(sector) < 128 || !b.spend(plain, len(sector)) {
			return n > 0
		}
		for ; len(sector) >= 128; sector = sector[128:] {
			compoundEntry(sector[:128], f)
		}
		at = c.next(at)
	}
	f.trouble(tooMany)
	return true
}

// compoundEntry draws conclusions from one name.
func compoundEntry(e []byte, f *File) {
	length := int(binary.LittleEndian.Uint16(e[64:]))
	if e[66] == 0 || length < 2 || length > 64 {
		return
	}
	name := make([]byte, 0, 32)
	for i := 0; i+2 < length; i += 2 {
		name = append(name, e[i]) // those that matter are ASCII
	}
	switch s := strings.ToLower(string(name)); {
	case s == "_vba_project", s == "vba", s == "_vba_project_cur", s == "macros":
		f.Macros = true
	case s == "encryptedpackage":
		f.Encrypted = true
	case s == "worddocument":
		f.Real = "application/msword"
	case s == "workbook", s == "book":
		f.Real = "application/vnd.ms-excel"
	case s == "powerpoint document":
		f.Real = "application/vnd.ms-powerpoint"
	case s == "__properties_version1.0":
		f.Real, f.Kind = "application/vnd.ms-outlook", Message
	case s == "\x01ole10native":
		f.odd("it carries a file of another program")
	case e[66] == 5 && string(e[80:84]) == "\x84\x10\x0c\x00": // the root's class: Windows Installer
		f.Real, f.Kind = "application/x-msi", Installer
	}
}

// marked looks for the words by which PDF and RTF run or carry something.
func (b *Budget) marked(r io.ReaderAt, size int64, f *File, _ int) {
	const window, overlap = 64 << 10, 32
	buffer := make([]byte, window+overlap)
	for at := int64(0); at < size && b.spend(plain, window); at += window {
		n, _ := r.ReadAt(buffer, at)
		for _, m := range documentMarks {
			if f.Real == m.of && bytes.Contains(buffer[:n], []byte(m.word)) {
				if m.odd == "" {
					f.Encrypted = true
				} else {
					f.odd(m.odd)
				}
			}
		}
	}
}

// documentMarks are what matters in a PDF or RTF; without a sentence: it is encrypted.
var documentMarks = [...]struct{ of, word, odd string }{
	{pdfType, "/Launch", "the document wants to start a program"},
	{pdfType, "/JavaScript", "the document carries a script"},
	{pdfType, "/EmbeddedFile", "the document carries a file"},
	{pdfType, "/Encrypt", ""},
	{rtfType, `\objdata`, "it carries an object of another program"},
	{rtfType, `\objupdate`, "it runs an object of another program when it is opened"},
}
