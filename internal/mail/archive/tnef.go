package archive

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Attributes of a TNEF stream (MS-OXTNEF §2.1.3.2) that matter.
const (
	tnefAttachment = 0x00069002 // a new attachment begins
	tnefTitle      = 0x00018010 // its name
	tnefData       = 0x0006800f // its bytes
)

// tnef looks into winmail.dat, in which Outlook wraps attachments.
func (b *Budget) tnef(r io.ReaderAt, size int64, in *File, depth int) {
	var f *File
	tell := func() bool {
		done := f == nil || b.tell(in, *f)
		f = nil
		return done
	}
	for at := int64(6); at+9 <= size; {
		var h [9]byte
		if _, err := r.ReadAt(h[:], at); err != nil || !b.spend(plain, 16) {
			break
		}
		length := int64(binary.LittleEndian.Uint32(h[5:]))
		if length > size-at-9 {
			in.trouble(damaged)
			length = size - at - 9
		}
		data := io.NewSectionReader(r, at+9, length)
		switch binary.LittleEndian.Uint32(h[1:]) {
		case tnefAttachment:
			if !tell() {
				return
			}
			f = &File{}
		case tnefTitle:
			if f != nil {
				name := make([]byte, min(length, maxName))
				n, _ := data.ReadAt(name, 0)
				f.Name = Clean(string(bytes.TrimRight(name[:n], "\x00")))
			}
		case tnefData:
			if f != nil && f.Real == "" { // the first counts
				f.Size = length
				b.unpack(f, data, plain, depth+1)
			}
		}
		at += 9 + length + 2
	}
	tell()
}
