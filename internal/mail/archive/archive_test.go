package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"facteur/internal/mail/archive"
	"facteur/internal/test/doubling"
)

func examine(name string, b []byte) archive.File {
	return archive.NewBudget(archive.Limits{}).Examine(bytes.NewReader(b), int64(len(b)), name, "")
}

// tree is a file and what is in it, on one line.
func tree(f *archive.File) string {
	s := f.Name
	if f.Kind != "" {
		s += ":" + string(f.Kind)
	}
	if f.Encrypted {
		s += "!"
	}
	if f.Macros {
		s += "+macros"
	}
	var in []string
	for i := range f.Inside {
		in = append(in, tree(&f.Inside[i]))
	}
	if in != nil {
		s += "(" + strings.Join(in, " ") + ")"
	}
	return s
}

// Names and bytes in turns.
func zipOf(files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			panic(err)
		}
	}
	z.Close()
	return b.Bytes()
}

func gzipOf(name string, data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Name = name
	z.Write(data)
	z.Close()
	return b.Bytes()
}

func tarOf(files ...string) []byte {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		t.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644})
		io.WriteString(t, files[i+1])
	}
	t.Close()
	return b.Bytes()
}

// A program for Windows, as far as one looks.
func program() string {
	b := make([]byte, 512)
	copy(b, "MZ\x90\x00")
	b[60] = 0x80
	copy(b[0x80:], "PE\x00\x00")
	return string(b)
}

const js = "var shell = new ActiveXObject('WScript.Shell');\n"

// What files really are, whatever they are called (row 179).
func TestSniff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, data string
		kind       archive.Kind
	}{
		{"a.txt", "hello\n", archive.Text},
		{"a.pdf", "%PDF-1.4\n%âãÏÓ\n", archive.Document},
		{"a.pdf", program(), archive.Program},
		{"scan.jpg", "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 60), archive.Program},
		{"x", "\xcf\xfa\xed\xfe\x07\x00\x00\x01", archive.Program},
		{"x", "#!/bin/sh\nrm -rf /\n", archive.Script},
		{"1940c09.js", js, archive.Script},
		{"a.vbs", "\xff\xfeD\x00i\x00m\x00 \x00x\x00\r\x00\n\x00", archive.Script},
		{"a.txt", "@echo off\r\nstart x\r\n", archive.Script},
		{"a.hta", "<html><hta:application id=x>", archive.Script},
		{"invoice.htm", "<!DOCTYPE html><html>", archive.Page},
		{"a.svg", "<?xml version='1.0'?><svg xmlns='x'><script/></svg>", archive.Page},
		{"a.lnk", "L\x00\x00\x00\x01\x14\x02\x00\x00", archive.Shortcut},
		{"a.one", "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", archive.Document},
		{"a.iso", strings.Repeat("\x00", 32769) + "CD001", archive.Other}, // its mark is beyond what is looked at: the name counts
		{"a.vhdx", "vhdxfile", archive.Disk},
		{"mz.txt", "MZ is how a letter may begin, and this is one that goes on for a while.\n", archive.Text},
		{"a.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", archive.Picture},
		{"", "", archive.Other},
	} {
		if f := examine(c.name, []byte(c.data)); f.Kind != c.kind {
			t.Errorf("%s %.20q: %q (%s), want %q", c.name, c.data, f.Kind, f.Real, c.kind)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	t.Run("MIME-010 the extension that counts", func(t *testing.T) {
		for name, want := range map[string]string{
			"a.PDF": ".pdf", "invoice.pdf.exe": ".exe", "a.exe. . ": ".exe", "..\\..\\x.js": ".js", "a\u202efdp.exe": ".exe", "/etc/passwd": "", "a.txt\x00.exe": ".exe",
			"con.txt": ".txt", strings.Repeat("x", 4096) + ".scr": ".scr", "a.ex\u200be": ".exe",
		} {
			if got := archive.Extension(name); got != want {
				t.Errorf("%.40q: %q, want %q", name, got, want)
			}
		}
		if !archive.TwoFaced("invoice.pdf   .exe") || archive.TwoFaced("setup.v1.exe") || archive.TwoFaced("a.pdf") || archive.TwoFaced("report.doc.pdf") {
			t.Error("names with two faces")
		}
		if !archive.Turned("invoice\u202efdp.exe") || archive.Turned("שלום.pdf") {
			t.Error("names that are turned")
		}
	})
}

// Files in archives, as ours and the real programs write them.
func TestInside(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"row 179 the script of the seed", zipOf("1940c09.js", js), "a:archive(1940c09.js:script)"},
		{"row 179 zip in gzip in tar", tarOf("x/b.gz", string(gzipOf("c.zip", zipOf("d.exe", program())))), "a:archive(x/b.gz:archive(c.zip:archive(d.exe:program)))"},
		{"a program called otherwise", zipOf("photo.jpg", program(), "b.txt", "hi"), "a:archive(photo.jpg:program b.txt:text)"},
		{"a macro document", zipOf("[Content_Types].xml", "<x/>", "word/document.xml", "<w/>", "word/vbaProject.bin", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "a:document+macros"},
		{"a document", zipOf("[Content_Types].xml", "<x/>", "word/document.xml", "<w/>", "word/media/image1.png", "\x89PNG\r\n\x1a\n"), "a:document"},
		{"macros of Excel 4", zipOf("[Content_Types].xml", "<x/>", "xl/macrosheets/sheet1.xml", "<w/>"), "a:document+macros"},
		{"a program in a document", zipOf("[Content_Types].xml", "<x/>", "word/embeddings/x.bin", program()), "a:document(word/embeddings/x.bin:program)"},
		{"a document of LibreOffice", zipOf("mimetype", "application/vnd.oasis.opendocument.text", "content.xml", "<x/>", "Basic/Standard/Module1.xml", "<x/>"), "a:document+macros"},
		{"java", zipOf("META-INF/MANIFEST.MF", "x", "A.class", "\xca\xfe\xba\xbe"), "a:program(META-INF/MANIFEST.MF:text A.class:program)"},
		{"a plain document in an archive", zipOf("a.docx", string(zipOf("[Content_Types].xml", "<x/>"))), "a:archive(a.docx:document)"},
		{"winmail.dat", tnefOf("a.exe", program()), "a:message(a.exe:program)"},
		{"an old document", oleOf("WordDocument", "Macros", "VBA"), "a:document+macros"},
		{"an old document without macros", oleOf("WordDocument", "1Table"), "a:document"},
		{"a new document that is encrypted", oleOf("EncryptedPackage", "EncryptionInfo"), "a:document!"},
		{"an installer", oleOf("installer"), "a:installer"},
	} {
		f := examine("a", c.data)
		if got := tree(&f); got != c.want || f.Trouble != "" || len(f.Odd) > 0 {
			t.Errorf("%s: %s %q %q, want %s", c.name, got, f.Trouble, f.Odd, c.want)
		}
	}
}

func tnefOf(name, data string) []byte {
	b := []byte("\x78\x9f\x3e\x22\x01\x00")
	attribute := func(id uint32, s string) {
		b = append(b, 2)
		b = binary.LittleEndian.AppendUint32(b, id)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(append(b, s...), 0, 0)
	}
	attribute(0x00069002, "rend")
	attribute(0x00018010, name+"\x00")
	attribute(0x0006800f, data)
	return b
}

// oleOf is a compound file whose directory has these names.
func oleOf(names ...string) []byte {
	b := make([]byte, 3*512)
	copy(b, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	b[30] = 9
	binary.LittleEndian.PutUint32(b[48:], 1)
	for i := range 128 {
		binary.LittleEndian.PutUint32(b[512+4*i:], 0xfffffffe)
	}
	for i, n := range names {
		e := b[1024+128*i:]
		for j, c := range n {
			e[2*j] = byte(c)
		}
		binary.LittleEndian.PutUint16(e[64:], uint16(2*len(n)+2))
		e[66] = 2
		if n == "installer" {
			e[66] = 5
			copy(e[80:], "\x84\x10\x0c\x00")
		}
	}
	return b
}

// tool runs a real program in a directory with a.exe and b.txt in it.
func tool(t *testing.T, out string, command ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		if os.Getenv("FACTEUR_TEST_REQUIRE") == "1" {
			t.Fatal(err)
		}
		t.Skip(command[0] + " is not installed")
	}
	dir := t.TempDir()
	for name, data := range map[string]string{"a.exe": program(), "b.txt": strings.Repeat("text ", 5000), "c.zip": string(zipOf("d.js", js))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	b, err := os.ReadFile(filepath.Join(dir, out))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRealPrograms(t *testing.T) {
	t.Parallel()
	files := []string{"a.exe", "b.txt", "c.zip"}
	const all = "(a.exe:program b.txt:text c.zip:archive(d.js:script))"
	for _, c := range []struct {
		name, out, want string
		command         []string
	}{
		{"zip", "x.zip", "x:archive" + all, append([]string{"zip", "-q", "x.zip"}, files...)},
		{"MIME-014 zip encrypted", "x.zip", "x:archive!(a.exe! b.txt! c.zip!)", append([]string{"zip", "-q", "-P", "x", "x.zip"}, files...)},
		{"MIME-014 ZIP64 and data descriptors", "x.zip", "x:archive" + all, append([]string{"sh", "-c", `zip -q -fz - "$@" > x.zip`, "sh"}, files...)},
		{"zip by 7-Zip, LZMA", "x.zip", "x:archive" + all, append([]string{"7zz", "a", "-mm=LZMA", "x.zip"}, files...)},
		{"zip by 7-Zip, bzip2", "x.zip", "x:archive" + all, append([]string{"7zz", "a", "-mm=BZip2", "x.zip"}, files...)},
		{"zip by 7-Zip, AES", "x.zip", "x:archive!(a.exe! b.txt! c.zip!)", append([]string{"7zz", "a", "-px", "-mem=AES256", "x.zip"}, files...)},
		{"7z", "x.7z", "x:archive" + all, append([]string{"7zz", "a", "-ms=off", "-mqs=off", "x.7z"}, files...)},
		{"7z solid", "x.7z", "", append([]string{"7zz", "a", "x.7z"}, files...)},
		{"7z LZMA", "x.7z", "", append([]string{"7zz", "a", "-m0=LZMA", "x.7z"}, files...)},
		{"7z bzip2", "x.7z", "", append([]string{"7zz", "a", "-m0=BZip2", "x.7z"}, files...)},
		{"7z copy", "x.7z", "", append([]string{"7zz", "a", "-m0=Copy", "-mhc=off", "x.7z"}, files...)},
		{"7z encrypted", "x.7z", "!", append([]string{"7zz", "a", "-px", "x.7z"}, files...)},
		{"7z with an encrypted header", "x.7z", "x:archive!", append([]string{"7zz", "a", "-px", "-mhe=on", "x.7z"}, files...)},
		{"xz", "a.exe.xz", "x:archive(x:program)", []string{"xz", "-k", "a.exe"}},
		{"xz in blocks", "b.txt.xz", "x:archive(x:text)", []string{"xz", "-k", "--block-size=4096", "b.txt"}},
		{"bzip2", "a.exe.bz2", "x:archive(x:program)", []string{"bzip2", "-k", "a.exe"}},
		{"tar with xz", "x.tar.xz", "x:archive(x:archive" + all + ")", append([]string{"tar", "cJf", "x.tar.xz"}, files...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := examine("x", tool(t, c.out, c.command...))
			got := tree(&f)
			switch c.want {
			case "": // in an order of its own
				slices.SortFunc(f.Inside, func(a, b archive.File) int { return strings.Compare(a.Name, b.Name) })
				if got = tree(&f); got != "x:archive"+all {
					t.Errorf("got %s", got)
				}
			case "!":
				if !f.Encrypted || len(f.Inside) != 3 || !f.Inside[0].Encrypted {
					t.Errorf("got %s", got)
				}
			default:
				if got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
			if f.Trouble != "" || len(f.Odd) > 0 {
				t.Errorf("%q %q", f.Trouble, f.Odd)
			}
		})
	}
}

// stored is a local header with its file, and the entry of the directory that belongs to
// it, as a liar may write them.
func stored(name, data string) (local, central []byte) {
	crc := crc32.ChecksumIEEE([]byte(data))
	common := func(b []byte) []byte {
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, crc)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
		return append(b, 0, 0)
	}
	local = append(append(common([]byte("PK\x03\x04\x14\x00")), name...), data...)
	central = append(append(common([]byte("PK\x01\x02\x14\x00\x14\x00")), make([]byte, 14)...), name...)
	return local, central
}

func end(count int, central []byte, at int) []byte {
	b := []byte("PK\x05\x06\x00\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(count))
	b = binary.LittleEndian.AppendUint16(b, uint16(count))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(central)))
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	return append(b, 0, 0)
}

// overlapping is a ZIP in which n entries are one and the same file.
func overlapping(n int) []byte {
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.BestCompression)
	w.Write(make([]byte, 1<<20))
	w.Close()
	local, central := stored("x.zip", packed.String())
	local[8], central[10] = 8, 8
	binary.LittleEndian.PutUint32(local[22:], 1<<20)
	binary.LittleEndian.PutUint32(central[24:], 1<<20)
	directory := bytes.Repeat(central, n)
	return slices.Concat(local, directory, end(n, directory, len(local)))
}

// bomb is depth archives in each other, each of width copies of the next, as 42.zip is.
func bomb(depth, width int) []byte {
	data := make([]byte, 1<<20)
	for range depth {
		var files []string
		for i := range width {
			files = append(files, fmt.Sprintf("%d.zip", i), string(data))
		}
		data = zipOf(files...)
	}
	return data
}

// Archives that lie.
func TestLies(t *testing.T) {
	t.Parallel()
	local, central := stored("a.txt", "hello")
	hidden, _ := stored("x.exe", program())
	other, _ := stored("x.js", "hello")
	plain := slices.Concat(local, central, end(1, central, len(local)))
	big := slices.Clone(central)
	binary.LittleEndian.PutUint32(big[20:], 0xfffffff0)
	binary.LittleEndian.PutUint32(big[24:], 0xfffffff0)
	for _, c := range []struct {
		name string
		data []byte
		odd  string // in one of the sentences
		in   string // in the tree
	}{
		{"MIME-014 a file that the directory does not know", slices.Concat(local, hidden, central, end(1, central, len(local)+len(hidden))), "does not know", "x.exe:program"},
		{"MIME-014 a second archive behind the first", slices.Concat(zipOf("x.exe", program()), plain), "does not know", "x.exe:program"},
		{"MIME-014 two names", slices.Concat(other, central, end(1, central, len(other))), "two names", ""},
		{"MIME-014 sizes that lie", slices.Concat(local, big, end(1, big, len(local))), "two sizes", "a.txt"},
		{"MIME-014 one name twice", zipOf("a.txt", "x", "A.TXT", program()), "have one name", "A.TXT:program"},
		{"MIME-014 names that lead out", zipOf("../../etc/cron.d/x", "x"), "leads out", "../../etc/cron.d/x"},
		{"MIME-014 names that lead out, of Windows", zipOf(`..\x.txt`, "x"), "leads out", ""},
		{"MIME-014 no directory", local, "no directory", "a.txt:text"},
		{"MIME-014 a directory elsewhere", slices.Concat(local, central, end(1, central, 1<<30)), "not where it says", ""},
		{"MIME-013 overlapping entries", overlapping(1000), "overlap", ""},
	} {
		f := examine("a.zip", c.data)
		if !strings.Contains(strings.Join(f.Odd, "; "), c.odd) || !strings.Contains(tree(&f), c.in) {
			t.Errorf("%s: %.300s %q %q", c.name, tree(&f), f.Odd, f.Trouble)
		}
	}
}

// A letter's files cost no more than their budget, whatever they unpack to.
func TestBombs(t *testing.T) {
	t.Parallel()
	quine := gzipOf("x", nil)
	for _, c := range []struct {
		name, trouble string
		data          []byte
	}{
		{"MIME-013 42.zip", "", bomb(4, 16)},
		{"MIME-013 overlapping entries", "overlap", overlapping(60_000)},
		{"MIME-013 gzip of zeros", "", gzipOf("a.tar", append(tarOf("a", "x"), make([]byte, 100<<20)...))},
		{"MIME-014 zip in zip, 50 deep", "too deep", bomb(50, 1)},
		{"MIME-013 gzip in gzip", "too deep", func() []byte {
			b := quine
			for range 50 {
				b = gzipOf("x", b)
			}
			return b
		}()},
		{"MIME-014 100,000 files", "more files", zipOf(slices.Repeat([]string{"a", "b"}, 100_000)...)},
	} {
		b := archive.NewBudget(archive.Limits{})
		f := b.Examine(bytes.NewReader(c.data), int64(len(c.data)), "a", "")
		troubles, files := "", 0
		f.Walk(func(f *archive.File, _ []*archive.File) { troubles += f.Trouble + ";"; files++ })
		if !strings.Contains(troubles, c.trouble) || strings.Trim(troubles, ";") == "" {
			t.Errorf("%s: %.200q", c.name, troubles)
		}
		if b.Work() > 64<<20 || files > 1001 {
			t.Errorf("%s: work %d, %d files", c.name, b.Work(), files)
		}
	}
}

// What archives announce, and what they repeat, costs no more than their budget either:
// neither time nor memory that is made and thrown away.
func TestBombsOfHeaders(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"MIME-013 beginnings of files in a ZIP", []byte(strings.Repeat("PK\x03\x04", 1<<20))},
		{"MIME-013 beginnings of files in a ZIP, packed", gzipOf("x", []byte(strings.Repeat("PK\x03\x04", 4<<20)))},
		{"MIME-015 7z: folders times streams", sevenFolders(4000, []byte{1, 1, 0}, slices.Repeat([]byte{8, 0}, 20_000))},
		{"MIME-015 7z: folders without files, each with a window", sevenFolders(4000, []byte{1, 0x21, 0x21, 1, 40}, slices.Concat([]byte{8, 0x0d}, make([]byte, 4001)))},
		{"MIME-015 xz: blocks of one byte, each with a window", xzBlocks(4000)},
		{"MIME-015 TNEF: one attachment with many contents", []byte("x\x9f\x3e\x22\x00\x00\x02\x02\x90\x06\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\x02\x0f\x80\x06\x00\x01\x00\x00\x00{\x00\x00", 1<<18))},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		examine("a", c.data)
		runtime.ReadMemStats(&after)
		if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 1<<10 {
			t.Errorf("%s: %d MiB were made of %d bytes", c.name, made, len(c.data))
		}
	}
}

// sevenFolders is a 7-Zip of n equal folders with what is said of their streams behind them.
func sevenFolders(n int, folder, streams []byte) []byte {
	h := []byte{1, 4, 7, 0x0b, 0xc0 | byte(n>>16), byte(n), byte(n >> 8), 0}
	h = append(append(h, bytes.Repeat(folder, n)...), 0x0c)
	h = append(append(h, bytes.Repeat([]byte{1}, n)...), 0)
	h = append(append(h, streams...), 0, 0)
	b := append([]byte("7z\xbc\xaf\x27\x1c\x00\x04"), make([]byte, 24)...)
	binary.LittleEndian.PutUint64(b[20:], uint64(len(h)))
	return append(b, h...)
}

// xzBlocks is an .xz of n blocks of one byte, each with a window of 8 MiB.
func xzBlocks(n int) []byte {
	head := "\x02\x00\x21\x01\x16\x00\x00\x00"
	block := binary.LittleEndian.AppendUint32([]byte(head), crc32.ChecksumIEEE([]byte(head)))
	block = append(block, "\x01\x00\x00A\x00\x00\x00\x00"...)
	return append([]byte("\xfd7zXZ\x00\x00\x00\xff\x12\xd9\x41"), bytes.Repeat(block, n)...)
}

// Reading is linear in the archive, whatever it claims.
func TestDoubling(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		make func(n int) []byte
	}{
		{"MIME-014 zip", 100, func(n int) []byte { return zipOf(slices.Repeat([]string{"a.exe", program()}, n)...) }},
		{"MIME-014 local headers", 4000, func(n int) []byte { return bytes.Repeat([]byte("PK\x03\x04xxxxxxxxxx"), n) }},
		{"MIME-013 tar", 100, func(n int) []byte { return tarOf(slices.Repeat([]string{"a", program()}, n)...) }},
		{"MIME-015 compound file", 1 << 12, func(n int) []byte { return append(oleOf("VBA"), make([]byte, n*512)...) }},
		{"MIME-015 PDF", 1 << 19, func(n int) []byte { return []byte("%PDF-" + strings.Repeat("/", n)) }},
	} {
		doubling.Check(t, c.name, c.n, func(n int) func() {
			data := c.make(n)
			return func() { examine("a", data) }
		})
	}
}

// MIME-015: whatever the bytes are, there is an answer, within the budget.
func FuzzExamine(f *testing.F) {
	local, central := stored("a.txt", "hello")
	for _, seed := range [][]byte{zipOf("1.js", js), zipOf("a.zip", string(zipOf("b", "c"))), gzipOf("a", []byte(js)), tarOf("a", "b"), tnefOf("a", "b"), oleOf("VBA", "Macros"),
		slices.Concat(local, central, end(1, central, len(local))), overlapping(3), []byte(program()), []byte("%PDF-1.4 /JavaScript"), []byte("Rar!\x1a\x07\x01\x00\x33\x92\xb5\xe5\x0a\x01\x05\x06\x00\x05\x01\x01\x80\x80\x00"),
		[]byte("Rar!\x1a\x07\x00\xcf\x90\x73\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00"),
		[]byte("7z\xbc\xaf\x27\x1c\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x04\x06\x00\x00"),
		[]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x02abc\x00\x00")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := archive.NewBudget(archive.Limits{Bytes: 4 << 20, Memory: 1 << 20, Files: 100, Depth: 4})
		file := b.Examine(bytes.NewReader(data), int64(len(data)), "x", "")
		if b.Work() > 8<<20 {
			t.Errorf("work %d", b.Work())
		}
		depth, files := 0, 0
		file.Walk(func(f *archive.File, within []*archive.File) {
			depth, files = max(depth, len(within)), files+1
			if strings.HasPrefix(f.Trouble, "reading it failed badly") && !strings.Contains(f.Trouble, "rardecode") {
				t.Logf("a library panicked: %s", f.Trouble)
			}
		})
		if depth > 5 || files > 101 {
			t.Errorf("depth %d, %d files", depth, files)
		}
	})
}
