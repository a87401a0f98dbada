package archive

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"

	"github.com/ulikunitz/xz/lzma"
)

// 7-Zip (7zFormat.txt of the LZMA SDK). Its header, which names the files, is most often
// packed itself. Libraries allocate what it announces; this reads no more than is there.

const (
	sevenEnd           = 0x00
	sevenHeader        = 0x01
	sevenProperties    = 0x02
	sevenAdditional    = 0x03
	sevenMain          = 0x04
	sevenFiles         = 0x05
	sevenPack          = 0x06
	sevenUnpack        = 0x07
	sevenSubStreams    = 0x08
	sevenSize          = 0x09
	sevenCRC           = 0x0a
	sevenFolder        = 0x0b
	sevenCodersSize    = 0x0c
	sevenNumUnpack     = 0x0d
	sevenEmpty         = 0x0e
	sevenNames         = 0x11
	sevenEncodedHeader = 0x17
)

var errSeven = errors.New("bad 7z")

// sevenFold is a folder: files packed together.
type sevenFold struct {
	coders  []sevenCoder
	packs   int // streams in the file that it takes
	outs    int
	sizes   []uint64
	streams uint64   // files in it
	files   []uint64 // sizes of these
}

type sevenCoder struct {
	id         string
	properties []byte
}

// sevenReader walks over a header in memory.
type sevenReader struct {
	b     []byte
	packs []uint64
	at    uint64 // of the first pack stream
	folds []sevenFold
	names []string
	empty []bool
	told  [sevenEncodedHeader + 1]bool // sections that were there
	err   error
}

func (s *sevenReader) fail() { s.err, s.b = errSeven, nil }

func (s *sevenReader) byte() byte {
	if len(s.b) == 0 {
		s.fail()
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

func (s *sevenReader) take(n uint64) []byte {
	if n > uint64(len(s.b)) {
		s.fail()
		return nil
	}
	p := s.b[:n]
	s.b = s.b[n:]
	return p
}

// number reads one of the format's: leading ones in the first byte tell the length.
func (s *sevenReader) number() (v uint64) {
	first := s.byte()
	mask := byte(0x80)
	for i := uint(0); i < 8; i++ {
		if first&mask == 0 {
			return v | uint64(first&(mask-1))<<(8*i)
		}
		v |= uint64(s.byte()) << (8 * i)
		mask >>= 1
	}
	return v
}

// count reads a number of things, of which each takes at least a bit of what follows.
func (s *sevenReader) count() uint64 {
	n := s.number()
	if n > uint64(len(s.b))*8+8 {
		s.fail()
		return 0
	}
	return n
}

// bits reads a vector; all: a byte before it may say that all are set.
func (s *sevenReader) bits(n uint64, all bool) []bool {
	if all && s.byte() != 0 {
		n = min(n, uint64(len(s.b))*8+8)
		v := make([]bool, n)
		for i := range v {
			v[i] = true
		}
		return v
	}
	raw := s.take((n + 7) / 8)
	v := make([]bool, 0, len(raw)*8)
	for i := uint64(0); i < n && i/8 < uint64(len(raw)); i++ {
		v = append(v, raw[i/8]&(0x80>>(i%8)) != 0)
	}
	return v
}

// digests skips checksums.
func (s *sevenReader) digests(n uint64) {
	for _, has := range s.bits(n, true) {
		if has {
			s.take(4)
		}
	}
}

// once refuses a section that was there already: each stands once in its place, and many
// would multiply with what they speak of.
func (s *sevenReader) once(section byte) byte {
	if int(section) < len(s.told) {
		if s.told[section] {
			s.fail()
		}
		s.told[section] = section != sevenEnd
	}
	return section
}

// streams reads what is packed where, and how.
func (s *sevenReader) streams() {
	for s.err == nil {
		switch s.once(s.byte()) {
		case sevenEnd:
			return
		case sevenPack:
			s.packInfo()
		case sevenUnpack:
			s.unpackInfo()
		case sevenSubStreams:
			s.subStreams()
		default:
			s.fail()
		}
	}
}

func (s *sevenReader) packInfo() {
	s.at = s.number()
	n := s.count()
	for s.err == nil {
		switch s.byte() {
		case sevenEnd:
			return
		case sevenSize:
			for i := uint64(0); i < n && s.err == nil; i++ {
				s.packs = append(s.packs, s.number())
			}
		case sevenCRC:
			s.digests(n)
		default:
			s.fail()
		}
	}
}

func (s *sevenReader) unpackInfo() {
	if s.byte() != sevenFolder {
		s.fail()
	}
	n := s.count()
	if s.byte() != 0 { // kept elsewhere
		s.fail()
	}
	for i := uint64(0); i < n && s.err == nil; i++ {
		s.folds = append(s.folds, s.folder())
	}
	if s.byte() != sevenCodersSize {
		s.fail()
	}
	for i := range s.folds {
		for j := 0; j < s.folds[i].outs && s.err == nil; j++ {
			s.folds[i].sizes = append(s.folds[i].sizes, s.number())
		}
		s.folds[i].streams = 1
	}
	for s.err == nil {
		switch s.byte() {
		case sevenEnd:
			return
		case sevenCRC:
			s.digests(n)
		default:
			s.fail()
		}
	}
}

func (s *sevenReader) folder() (f sevenFold) {
	ins := uint64(0)
	for i := s.count(); i > 0 && s.err == nil; i-- {
		flags := s.byte()
		c := sevenCoder{id: string(s.take(uint64(flags & 15)))}
		in, out := uint64(1), uint64(1)
		if flags&0x10 != 0 {
			in, out = s.number(), s.number()
		}
		if flags&0x20 != 0 {
			c.properties = s.take(s.number())
		}
		ins += in
		if f.outs += int(min(out, 64)); in > 64 || out > 64 || f.outs > 256 || ins > 256 {
			s.fail()
		}
		f.coders = append(f.coders, c)
	}
	if f.outs == 0 {
		s.fail()
		return f
	}
	binds := uint64(f.outs - 1)
	for i := uint64(0); i < binds; i++ {
		s.number()
		s.number()
	}
	if ins < binds {
		s.fail()
		return f
	}
	f.packs = int(ins - binds)
	if f.packs > 1 {
		for i := 0; i < f.packs; i++ {
			s.number()
		}
	}
	return f
}

func (s *sevenReader) subStreams() {
	kind := s.byte()
	if kind == sevenNumUnpack {
		for i := range s.folds {
			s.folds[i].streams = s.number()
		}
		kind = s.byte()
	}
	sizes := kind == sevenSize
	for i := range s.folds {
		f := &s.folds[i]
		left := f.size()
		for j := uint64(1); j < f.streams && s.err == nil; j++ {
			if !sizes {
				s.fail()
				return
			}
			n := s.number()
			f.files = append(f.files, n)
			left -= min(n, left)
		}
		if f.streams > 0 {
			f.files = append(f.files, left)
		}
	}
	if sizes {
		kind = s.byte()
	}
	for s.err == nil && kind != sevenEnd {
		if kind != sevenCRC {
			s.fail()
			return
		}
		var n uint64
		for i := range s.folds {
			n += s.folds[i].streams
		}
		s.digests(min(n, uint64(len(s.b))*8+8))
		kind = s.byte()
	}
}

// size is what a folder unpacks to.
func (f *sevenFold) size() uint64 {
	if len(f.sizes) == 0 {
		return 0
	}
	var most uint64 // filters give as much as they take
	for _, n := range f.sizes {
		most = max(most, n)
	}
	return most
}

// header reads that of the archive.
func (s *sevenReader) header() {
	for s.err == nil {
		switch s.byte() {
		case sevenEnd:
			return
		case sevenProperties, sevenAdditional:
			s.fail()
		case sevenMain:
			s.streams()
		case sevenFiles:
			s.files()
		default:
			s.fail()
		}
	}
}

func (s *sevenReader) files() {
	n := s.count()
	for s.err == nil {
		kind := s.byte()
		if kind == sevenEnd {
			return
		}
		field := sevenReader{b: s.take(s.number())}
		switch kind {
		case sevenEmpty:
			s.empty = field.bits(n, false)
		case sevenNames:
			if field.byte() == 0 {
				s.names = sevenNamesOf(field.b)
			}
		}
	}
}

func sevenNamesOf(b []byte) (names []string) {
	var name []uint16
	for ; len(b) >= 2; b = b[2:] {
		if u := binary.LittleEndian.Uint16(b); u != 0 {
			if len(name) < maxName {
				name = append(name, u)
			}
			continue
		}
		names = append(names, string(utf16.Decode(name)))
		name = name[:0]
	}
	return names
}

// Methods of coders.
const (
	sevenCopy    = "\x00"
	sevenLZMA    = "\x03\x01\x01"
	sevenLZMA2   = "\x21"
	sevenDeflate = "\x04\x01\x08"
	sevenBZip2   = "\x04\x02\x02"
	sevenAES     = "\x06\xf1\x07\x01"
)

func (f *sevenFold) encrypted() bool {
	for _, c := range f.coders {
		if c.id == sevenAES {
			return true
		}
	}
	return false
}

// reader unpacks a folder by the one coder of it that packs. Filters for programs are not
// undone: they change addresses in code, not what it is.
func (f *sevenFold) reader(b *Budget, raw io.Reader) (io.Reader, float64) {
	for _, c := range f.coders {
		switch c.id {
		case sevenLZMA:
			return b.lzma(c.properties, f.size(), raw), slow
		case sevenLZMA2:
			if len(c.properties) != 1 {
				return failing{errSeven}, slow
			}
			window := bounded(uint64(lzma2Window(c.properties[0])), f.size())
			if !b.window(window) {
				return failing{errSeven}, slow
			}
			z, err := lzma.Reader2Config{DictCap: window}.NewReader2(bufio.NewReader(raw))
			if err != nil {
				return failing{err}, slow
			}
			return z, slow
		case sevenDeflate:
			return flate.NewReader(raw), deflate
		case sevenBZip2:
			return b.unbzip(raw), slow
		}
	}
	if len(f.coders) == 1 && f.coders[0].id == sevenCopy {
		return raw, plain
	}
	return nil, 0
}

// maxSevenHeader bounds the header, packed or not, in bytes.
const maxSevenHeader = 1 << 20

// seven looks into one.
func (b *Budget) seven(r io.ReaderAt, size int64, in *File, depth int) {
	var start [32]byte
	if n, _ := r.ReadAt(start[:], 0); n < len(start) {
		in.trouble(damaged)
		return
	}
	at, length := binary.LittleEndian.Uint64(start[12:]), binary.LittleEndian.Uint64(start[20:])
	if length == 0 {
		return // empty
	}
	if at > uint64(size) || length > maxSevenHeader || at+length+32 > uint64(size) {
		in.trouble(damaged)
		return
	}
	header := make([]byte, length)
	r.ReadAt(header, int64(at)+32) //nolint:errcheck // what is missing is zero, and damaged
	s := b.sevenHeader(r, size, header, in)
	if s == nil || s.err != nil {
		in.trouble(damaged)
		return
	}
	b.sevenFiles(s, r, size, in, depth)
}

// sevenHeader reads the header, and one that is packed in it.
func (b *Budget) sevenHeader(r io.ReaderAt, size int64, header []byte, in *File) *sevenReader {
	for range 4 { // 7-Zip packs it once
		s := &sevenReader{b: header}
		switch s.byte() {
		case sevenHeader:
			s.header()
			return s
		case sevenEncodedHeader:
			s.streams()
		default:
			return nil
		}
		if s.err != nil || len(s.folds) != 1 || len(s.packs) == 0 {
			return nil
		}
		if s.folds[0].encrypted() {
			in.Encrypted = true
			return &sevenReader{}
		}
		z, cost := s.folds[0].reader(b, section(r, size, s.at, s.packs[0]))
		if z == nil {
			return nil
		}
		var whole bytes.Buffer
		n, _ := io.Copy(&whole, io.LimitReader(z, int64(min(s.folds[0].size(), maxSevenHeader))))
		if !b.spend(cost, int(n)) {
			return nil
		}
		header = whole.Bytes()
	}
	return nil
}

func section(r io.ReaderAt, size int64, at, n uint64) io.Reader {
	if at > uint64(size) || n > uint64(size) {
		return failing{errSeven}
	}
	return io.NewSectionReader(r, int64(at)+32, int64(n))
}

// sevenFiles goes through folders and names at the same time.
func (b *Budget) sevenFiles(s *sevenReader, r io.ReaderAt, size int64, in *File, depth int) {
	next := 0 // name
	name := func() (string, bool) {
		for next < len(s.empty) && s.empty[next] {
			next++
		}
		next++
		if next > len(s.names) {
			return "", false
		}
		return s.names[next-1], true
	}
	at, pack := s.at, 0
	for i := range s.folds {
		f := &s.folds[i]
		var length uint64
		for j := 0; j < f.packs && pack+j < len(s.packs); j++ {
			if j == 0 {
				length = s.packs[pack]
			}
		}
		files := f.files
		if files == nil && f.streams == 1 {
			files = []uint64{f.size()}
		}
		if !b.sevenFolder(f, files, section(r, size, at, length), name, in, depth) {
			return
		}
		for j := 0; j < f.packs && pack < len(s.packs); j++ {
			at += s.packs[pack]
			pack++
		}
	}
}

// sevenFolder unpacks the files of a folder, one behind the other.
func (b *Budget) sevenFolder(f *sevenFold, files []uint64, raw io.Reader, name func() (string, bool), in *File, depth int) bool {
	if len(files) == 0 {
		return true
	}
	z, cost := f.reader(b, raw)
	for _, n := range files {
		entry := File{Size: int64(min(n, 1<<62)), Encrypted: f.encrypted()}
		if s, ok := name(); ok {
			entry.Name = Clean(s)
		}
		switch {
		case entry.Encrypted:
		case z == nil:
			entry.trouble(unhandled)
		case b.work > b.limits.Bytes:
			entry.trouble(tooMuch)
		default:
			one := &io.LimitedReader{R: z, N: entry.Size}
			b.unpack(&entry, one, cost, depth+1)
			b.skip(one, cost)
		}
		if !b.tell(in, entry) {
			return false
		}
	}
	return true
}

// skip unpacks the rest of a file, as those behind it stand in the same stream.
func (b *Budget) skip(r io.Reader, cost float64) {
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		if !b.spend(cost, n) || err != nil {
			return
		}
	}
}
