package archive

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/nwaples/rardecode/v2"
	"github.com/ulikunitz/xz/lzma"
)

// single looks at the one file in a compressed stream.
func (b *Budget) single(in *File, name string, r io.Reader, cost float64, depth int) {
	if name == "" {
		name = strings.TrimSuffix(path.Base(in.Name), path.Ext(in.Name))
		if ext := strings.ToLower(path.Ext(in.Name)); ext == ".tgz" || ext == ".tbz" || ext == ".tbz2" || ext == ".txz" {
			name += ".tar"
		}
	}
	f := File{Name: Clean(name)}
	b.unpack(&f, r, cost, depth+1)
	if f.Trouble == damaged {
		in.trouble(damaged)
	}
	b.tell(in, f)
}

func (b *Budget) gzip(r io.ReaderAt, size int64, f *File, depth int) {
	z, err := gzip.NewReader(io.NewSectionReader(r, 0, size))
	if err != nil {
		f.trouble(damaged)
		return
	}
	b.single(f, z.Name, z, deflate, depth)
}

func (b *Budget) bzip2(r io.ReaderAt, size int64, f *File, depth int) {
	b.single(f, "", b.unbzip(io.NewSectionReader(r, 0, size)), slow, depth)
}

// unbzip reads bzip2, which makes a block of four bytes for each of the largest.
func (b *Budget) unbzip(r io.Reader) io.Reader {
	if !b.window(4 * 900_000) {
		return failing{errors.New("no more bzip2")}
	}
	return bzip2.NewReader(r)
}

func (b *Budget) xz(r io.ReaderAt, size int64, f *File, depth int) {
	b.single(f, "", b.newXZ(io.NewSectionReader(r, 0, size)), slow, depth)
}

// tar walks over the files of one.
func (b *Budget) tar(r io.ReaderAt, size int64, in *File, depth int) {
	t := tar.NewReader(io.NewSectionReader(r, 0, size))
	for {
		h, err := t.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			in.trouble(damaged)
			return
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont, '\x00':
		case tar.TypeSymlink, tar.TypeLink:
			in.odd("it has links to other files")
			fallthrough
		default:
			if !b.spend(plain, 512) {
				in.trouble(tooMuch)
				return
			}
			continue
		}
		f := File{Name: Clean(h.Name), Size: h.Size}
		b.unpack(&f, t, plain, depth+1)
		if !b.tell(in, f) {
			return
		}
	}
}

// maxRarWindow is how far back a RAR may refer, in bytes.
const maxRarWindow = 32 << 20

// rar lists one, and looks at the beginning of each file. Files of RAR 3 are only listed:
// they may bring programs of their own to be unpacked by, and those can't be bounded.
func (b *Budget) rar(r io.ReaderAt, size int64, in *File, depth int) {
	z, err := rardecode.NewReader(io.NewSectionReader(r, 0, size), rardecode.MaxDictionarySize(maxRarWindow))
	var window int64 // what the library has made so far
	for err == nil {
		var h *rardecode.FileHeader
		if h, err = z.Next(); err != nil {
			break
		}
		if h.IsDir {
			continue
		}
		f := File{Name: Clean(h.Name), Size: h.UnPackedSize, Encrypted: h.Encrypted || h.HeaderEncrypted}
		switch {
		case f.Encrypted:
		case h.Solid, h.Version > 20 && h.Version < 50:
			f.Sniff(nil)
			f.Real = ""
		default:
			if w := rarWindow(h); w > window {
				window = w
				b.window(int(w))
			}
			b.unpack(&f, z, slow, depth+1)
		}
		if !b.spend(plain, 512) || !b.tell(in, f) {
			return
		}
	}
	switch {
	case errors.Is(err, rardecode.ErrArchiveEncrypted), errors.Is(err, rardecode.ErrArchivedFileEncrypted), errors.Is(err, rardecode.ErrBadPassword):
		in.Encrypted = true
	case errors.Is(err, rardecode.ErrMultiVolume):
		in.trouble("it is a part of an archive in several pieces")
	case err != io.EOF:
		in.trouble(damaged)
	}
}

// rarWindow is the most that the library makes for a file.
func rarWindow(h *rardecode.FileHeader) int64 {
	if h.UnKnownSize || h.UnPackedSize < 0 {
		return maxRarWindow
	}
	return min(h.UnPackedSize, maxRarWindow)
}

// maxWindow is how far back LZMA may refer, in bytes: what is announced beyond that is
// not allocated, and the data is then told to be damaged.
const maxWindow = 16 << 20

// xzReader reads the blocks of .xz files (The .xz File Format 1.2.1) with a bounded
// window; checks are not verified, filters before LZMA2 not undone.
type xzReader struct {
	b     *Budget
	r     *counted
	block io.Reader
	start int64
	check int
	err   error
}

// counted knows how far it has read.
type counted struct {
	r *bufio.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

var errXZ = errors.New("bad xz")

func (b *Budget) newXZ(r io.Reader) io.Reader {
	x := &xzReader{b: b, r: &counted{r: bufio.NewReader(r)}}
	x.header()
	return x
}

// header reads that of a stream.
func (x *xzReader) header() {
	h := make([]byte, 12)
	if _, err := io.ReadFull(x.r, h); err != nil || string(h[:6]) != "\xfd7zXZ\x00" {
		x.err = errXZ
		return
	}
	x.check = []int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[h[7]&15]
	x.next()
}

// next opens the next block; a stream ends with its index, and the file with that.
func (x *xzReader) next() {
	x.start = x.r.n
	size, err := x.r.ReadByte()
	if err != nil || size == 0 {
		x.err = io.EOF
		return
	}
	h := make([]byte, int(size)*4+3)
	if _, err := io.ReadFull(x.r, h); err != nil {
		x.err = errXZ
		return
	}
	window, ok := xzWindow(h)
	if !ok || !x.b.window(window) {
		x.err = errXZ
		return
	}
	if x.block, x.err = (lzma.Reader2Config{DictCap: window}).NewReader2(x.r); x.err == nil {
		x.start = x.r.n // padding counts from the block's data, which starts aligned
	}
}

// xzWindow finds LZMA2 among the filters of a block.
func xzWindow(h []byte) (int, bool) {
	flags, p := h[0], h[1:]
	for bit := byte(0x40); bit >= 0x40; bit <<= 1 {
		if flags&bit != 0 {
			_, n := binary.Uvarint(p)
			if n <= 0 {
				return 0, false
			}
			p = p[n:]
		}
	}
	for i := 0; i <= int(flags&3); i++ {
		id, n := binary.Uvarint(p)
		if n <= 0 {
			return 0, false
		}
		length, m := binary.Uvarint(p[n:])
		if m <= 0 || length > uint64(len(p)-n-m) {
			return 0, false
		}
		if id == 0x21 && length == 1 {
			return lzma2Window(p[n+m]), true
		}
		p = p[n+m+int(length):]
	}
	return 0, false
}

// lzma2Window is the window that a byte of properties asks for, as far as it is given.
func lzma2Window(b byte) int {
	if b > 40 {
		return maxWindow
	}
	return bounded(uint64(2|b&1)<<(b/2+11), maxWindow)
}

// bounded is the window that is given where one is announced for so much.
func bounded(announced, size uint64) int {
	return int(max(lzma.MinDictCap, min(announced, size, maxWindow)))
}

func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil {
		n, err := x.block.Read(p)
		if err != io.EOF {
			return n, err
		}
		x.endBlock()
		if n > 0 {
			return n, nil
		}
	}
	return 0, x.err
}

// endBlock skips the padding and the check behind a block.
func (x *xzReader) endBlock() {
	skip := (4-x.r.n%4)%4 + int64(x.check)
	if _, err := io.CopyN(io.Discard, x.r, skip); err != nil {
		x.err = errXZ
		return
	}
	x.next()
}

// zipLZMA reads LZMA as ZIP has it: a version, the length of the properties, these.
func (b *Budget) zipLZMA(r io.Reader, size int64) io.Reader {
	h := make([]byte, 9)
	if _, err := io.ReadFull(r, h); err != nil || h[2] != 5 {
		return failing{errXZ}
	}
	return b.lzma(h[4:9], uint64(max(size, 0)), r)
}

// lzma reads LZMA of an unpacked size with five bytes of properties. Its window is bounded,
// and no larger than what it unpacks to.
func (b *Budget) lzma(properties []byte, size uint64, r io.Reader) io.Reader {
	if len(properties) != 5 {
		return failing{errXZ}
	}
	window := bounded(uint64(binary.LittleEndian.Uint32(properties[1:])), size)
	if !b.window(window) {
		return failing{errXZ}
	}
	h := make([]byte, 0, 13)
	h = append(h, properties[0])
	h = binary.LittleEndian.AppendUint32(h, uint32(window))
	h = binary.LittleEndian.AppendUint64(h, size)
	z, err := (lzma.ReaderConfig{DictCap: window}).NewReader(io.MultiReader(strings.NewReader(string(h)), bufio.NewReader(r)))
	if err != nil {
		return failing{err}
	}
	return z
}

// failing is a reader of what can't be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
