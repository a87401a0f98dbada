package archive

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// ZIP (APPNOTE.TXT 6.3.10). Its directory is at the end; programs that read a stream, or
// mend a broken file, go by the header before each file. Both are read.

const (
	localSize   = 30
	centralSize = 46
	endSize     = 22
)

// zipped is a file of a ZIP, by its directory or by its own header.
type zipped struct {
	name         string
	flags        uint16
	method       uint16
	packed, size int64
	at           int64 // of its local header
	central      bool
}

// zip looks into one.
func (b *Budget) zip(r io.ReaderAt, size int64, f *File, depth int) {
	z := zipReader{b: b, r: r, size: size, file: f, most: b.limits.Files}
	entries, start := z.directory()
	seen := z.locals(entries)
	entries = append(entries, seen...)
	if len(entries) == 0 && size > endSize {
		f.trouble(damaged)
	}
	if start > 0 && len(entries) > 0 && f.Kind == Packed {
		f.odd("something else stands before the archive")
	}
	z.compare(entries)
	z.document(entries)
	for i := range entries {
		if !b.zipFile(&z, &entries[i], f, depth) {
			return
		}
	}
}

type zipReader struct {
	b    *Budget
	r    io.ReaderAt
	size int64
	file *File
	most int
}

func (z *zipReader) bytes(at, n int64) []byte {
	if at < 0 || at >= z.size || n <= 0 {
		return nil
	}
	b := make([]byte, min(n, z.size-at))
	got, _ := z.r.ReadAt(b, at)
	return b[:got]
}

// directory reads the last central directory. shift is how many bytes stand before the
// first byte of the archive itself.
func (z *zipReader) directory() (entries []zipped, shift int64) {
	tail := z.bytes(max(0, z.size-endSize-0xffff), endSize+0xffff)
	end := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if end < 0 || end+endSize > len(tail) {
		z.file.odd("the archive has no directory")
		return nil, 0
	}
	e := tail[end:]
	endAt := z.size - int64(len(tail)) + int64(end)
	count, length, at := int64(binary.LittleEndian.Uint16(e[10:])), int64(binary.LittleEndian.Uint32(e[12:])), int64(binary.LittleEndian.Uint32(e[16:]))
	if count == 0xffff || length == 0xffffffff || at == 0xffffffff {
		count, length, at, endAt = z.end64(endAt, count, length, at)
	}
	if length < 0 || at < 0 || length > endAt {
		z.file.odd("its directory is not where it says")
		return nil, 0
	}
	if shift = endAt - length - at; shift != 0 {
		if shift < 0 {
			z.file.odd("its directory is not where it says")
		}
		at += shift
	}
	entries = z.central(at, length, shift)
	if int64(len(entries)) != count && len(entries) < z.most {
		z.file.odd("its directory has another number of files than it says")
	}
	return entries, max(shift, 0)
}

// end64 reads the record of ZIP64 before the end, if there is one (§4.3.14).
func (z *zipReader) end64(endAt, count, length, at int64) (c, l, a, e int64) {
	locator := z.bytes(endAt-20, 20)
	if len(locator) < 20 || string(locator[:4]) != "PK\x06\x07" {
		return count, length, at, endAt
	}
	where := int64(binary.LittleEndian.Uint64(locator[8:]))
	record := z.bytes(where, 56)
	if len(record) < 56 || string(record[:4]) != "PK\x06\x06" {
		return count, length, at, endAt
	}
	u := func(i int) int64 { return int64(binary.LittleEndian.Uint64(record[i:])) }
	return u(32), u(40), u(48), where
}

func (z *zipReader) central(at, length, shift int64) (entries []zipped) {
	for length >= centralSize && len(entries) < z.most+1 && z.b.spend(plain, entryWork) {
		h := z.bytes(at, centralSize)
		if len(h) < centralSize || string(h[:4]) != "PK\x01\x02" {
			z.file.odd("its directory is damaged")
			return entries
		}
		name, extra, comment := int64(binary.LittleEndian.Uint16(h[28:])), int64(binary.LittleEndian.Uint16(h[30:])), int64(binary.LittleEndian.Uint16(h[32:]))
		e := zipped{flags: binary.LittleEndian.Uint16(h[8:]), method: binary.LittleEndian.Uint16(h[10:]), central: true,
			packed: int64(binary.LittleEndian.Uint32(h[20:])), size: int64(binary.LittleEndian.Uint32(h[24:])), at: int64(binary.LittleEndian.Uint32(h[42:]))}
		more := z.bytes(at+centralSize, name+extra)
		e.name = zipName(more[:min(name, int64(len(more)))], e.flags)
		e.wide(more[min(name, int64(len(more))):])
		e.at += shift
		entries = append(entries, e)
		at += centralSize + name + extra + comment
		length -= centralSize + name + extra + comment
	}
	return entries
}

// wide takes sizes of 64 bits from the extra field (§4.5.3).
func (e *zipped) wide(extra []byte) {
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		extra = extra[4:]
		n = min(n, len(extra))
		field := extra[:n]
		extra = extra[n:]
		switch id {
		case 0x9901:
			e.flags |= 1 // AES
		case 1:
			for _, v := range []*int64{&e.size, &e.packed, &e.at} {
				if *v == 0xffffffff && len(field) >= 8 {
					*v = int64(binary.LittleEndian.Uint64(field))
					field = field[8:]
				}
			}
		}
	}
}

// zipName decodes a name: UTF-8 if it says so or is, else the code page of DOS.
func zipName(b []byte, flags uint16) string {
	s := string(b)
	if flags&0x800 == 0 && strings.ToValidUTF8(s, "") != s {
		if t, err := charmap.CodePage437.NewDecoder().String(s); err == nil {
			s = t
		}
	}
	return s
}

// locals looks for files outside of those that the directory knows.
func (z *zipReader) locals(entries []zipped) (found []zipped) {
	known := make([]zipped, len(entries))
	copy(known, entries)
	slices.SortFunc(known, func(a, b zipped) int { return int(max(-1, min(1, a.at-b.at))) })
	at := int64(0)
	for i := 0; i <= len(known) && len(entries)+len(found) <= z.most; i++ {
		until := z.size
		if i < len(known) {
			until = min(known[i].at, z.size)
		}
		if until > at && until-at >= localSize && z.b.spend(plain, int(until-at)) {
			found = append(found, z.scan(at, until)...)
		}
		if i < len(known) {
			k := known[i]
			at = max(at, k.at+min(localSize+int64(len(k.name))+max(k.packed, 0), z.size))
		}
	}
	if len(found) > 0 {
		z.file.odd("files are in it that its directory does not know")
	}
	return found
}

// scan finds local headers between two offsets. What only looks like one costs, too.
func (z *zipReader) scan(from, to int64) (found []zipped) {
	const window = 64 << 10
	for at := from; at < to; {
		chunk := z.bytes(at, min(window, to-at))
		if len(chunk) < 4 {
			return found
		}
		start, end := at, at+int64(len(chunk))-3 // the last bytes may begin one that ends in the next window
		for at < end {
			i := bytes.Index(chunk[at-start:], []byte("PK\x03\x04"))
			if i < 0 {
				break
			}
			at += int64(i)
			if len(found) > z.most || !z.b.spend(plain, 0) {
				z.file.trouble(tooMuch)
				return found
			}
			if e, ok := z.local(at); ok {
				found = append(found, e)
				at += localSize + int64(len(e.name)) + max(0, min(e.packed, z.size))
			} else {
				at += 4
			}
		}
		at = max(at, end)
	}
	return found
}

// local reads the header at an offset.
func (z *zipReader) local(at int64) (e zipped, ok bool) {
	h := z.bytes(at, localSize)
	if len(h) < localSize || string(h[:4]) != "PK\x03\x04" {
		return e, false
	}
	e = zipped{flags: binary.LittleEndian.Uint16(h[6:]), method: binary.LittleEndian.Uint16(h[8:]), at: at,
		packed: int64(binary.LittleEndian.Uint32(h[18:])), size: int64(binary.LittleEndian.Uint32(h[22:]))}
	n, extra := int64(binary.LittleEndian.Uint16(h[26:])), int64(binary.LittleEndian.Uint16(h[28:]))
	if n == 0 || n > 1024 || e.method > 99 {
		return e, false
	}
	name := z.bytes(at+localSize, n)
	if int64(len(name)) < n || bytes.IndexByte(name, 0) >= 0 {
		return e, false
	}
	e.name = zipName(name, e.flags)
	e.wide(z.bytes(at+localSize+n, extra))
	return e, true
}

// compare finds what two programs would see differently.
func (z *zipReader) compare(entries []zipped) {
	names := map[string]bool{}
	byPlace := slices.Clone(entries)
	slices.SortFunc(byPlace, func(a, b zipped) int { return int(max(-1, min(1, a.at-b.at))) })
	for i, e := range byPlace {
		if strings.HasSuffix(e.name, "/") {
			continue
		}
		key := strings.ToLower(strings.ReplaceAll(e.name, `\`, "/"))
		if names[key] {
			z.file.odd("two files in it have one name")
		}
		names[key] = true
		if key == ".." || strings.HasPrefix(key, "../") || strings.Contains(key, "/../") || strings.HasPrefix(key, "/") || len(key) > 1 && key[1] == ':' {
			z.file.odd("the name of a file in it leads out of the directory")
		}
		if i > 0 && byPlace[i-1].packed > 0 && e.at < byPlace[i-1].at+byPlace[i-1].packed {
			z.file.odd("files in it overlap")
			z.file.trouble("files in it overlap: it unpacks to more than there is")
		}
		if e.central {
			z.agree(e)
		}
	}
}

// agree compares a file's entry in the directory with the header before it.
func (z *zipReader) agree(e zipped) {
	l, ok := z.local(e.at)
	if !ok {
		z.file.odd("its directory names a file that is not there")
		return
	}
	if l.name != e.name {
		z.file.odd("a file in it has two names")
	}
	if l.method != e.method || l.flags&8 == 0 && (l.packed != e.packed || l.size != e.size) {
		z.file.odd("a file in it has two sizes or methods")
	}
}

// zipFile looks at one file; false: no more are to be told.
func (b *Budget) zipFile(z *zipReader, e *zipped, in *File, depth int) bool {
	if strings.HasSuffix(e.name, "/") && e.packed == 0 {
		return true
	}
	f := File{Name: Clean(e.name), Size: e.size, Encrypted: e.flags&1 != 0}
	if !e.central && e.flags&8 != 0 {
		f.Size = 0 // told behind it
	}
	if !f.Encrypted {
		b.zipContent(z, e, &f, depth)
	}
	if in.Kind == Document && !noteworthy(in, &f) {
		return b.work <= b.limits.Bytes
	}
	return b.tell(in, f)
}

func (b *Budget) zipContent(z *zipReader, e *zipped, f *File, depth int) {
	h := z.bytes(e.at, localSize)
	if len(h) < localSize {
		f.trouble(damaged)
		return
	}
	at := e.at + localSize + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:]))
	packed := e.packed
	if packed <= 0 && e.flags&8 != 0 || packed > z.size-at {
		packed = z.size - at
	}
	raw := io.NewSectionReader(z.r, at, max(packed, 0))
	switch e.method {
	case 0:
		b.unpack(f, raw, plain, depth+1)
	case 8:
		b.unpack(f, flate.NewReader(raw), deflate, depth+1)
	case 12:
		b.unpack(f, b.unbzip(raw), slow, depth+1)
	case 14:
		b.unpack(f, b.zipLZMA(raw, e.size), slow, depth+1)
	case 95:
		b.unpack(f, b.newXZ(raw), slow, depth+1)
	case 99:
		f.Encrypted = true
	default:
		f.trouble(unhandled)
	}
}
