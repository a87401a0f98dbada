package archive

import (
	"bytes"
	"io"
)

// opener looks into a file of a type.
type opener func(b *Budget, r io.ReaderAt, size int64, f *File, depth int)

func openerOf(real string) opener {
	switch real {
	case zipType:
		return (*Budget).zip
	case gzipType:
		return (*Budget).gzip
	case bzipType:
		return (*Budget).bzip2
	case xzType:
		return (*Budget).xz
	case tarType:
		return (*Budget).tar
	case sevenType:
		return (*Budget).seven
	case rarType:
		return (*Budget).rar
	case oleType:
		return (*Budget).ole
	case tnefType:
		return (*Budget).tnef
	case pdfType, rtfType:
		return (*Budget).marked
	case "application/vnd.ms-cab-compressed", "application/zstd", "application/x-compress", "application/x-lz4", "application/lzip", "application/x-lzh", "application/x-ace", "application/x-arj":
		return (*Budget).unread
	}
	return nil
}

// unread is for archives that are not read here: they are told as what they are.
func (b *Budget) unread(_ io.ReaderAt, _ int64, f *File, _ int) { f.trouble(unhandled) }

// Opens tells whether there may be something to be found in a file, by its first bytes:
// if not, Examine tells no more than Sniff.
func Opens(head []byte) bool {
	real, _ := typeOf(head)
	return openerOf(real) != nil
}

// The costs of a byte that is unpacked, beside deflate's.
const (
	plain   = 0.1
	deflate = 1
	slow    = 4 // LZMA, bzip2, RAR
)

// entryWork is what telling one more file costs beside its bytes, as if so many had been
// read.
const entryWork = 16 << 10

// unpack reads what was packed into a file: its beginning for its type, and all of it if
// there may be something in it.
func (b *Budget) unpack(f *File, r io.Reader, cost float64, depth int) {
	head := make([]byte, headBytes)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	f.Sniff(head)
	if !b.spend(cost, n) || !b.spend(plain, entryWork) {
		f.trouble(tooMuch)
		return
	}
	if n == 0 && f.Size > 0 || err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		f.trouble(damaged)
	}
	if openerOf(f.Real) == nil {
		return
	}
	if depth >= b.limits.Depth {
		f.trouble(tooDeep)
		return
	}
	whole := head
	if err == nil {
		whole = b.rest(f, head, r, cost)
	}
	b.held += int64(len(whole))
	b.open(bytes.NewReader(whole), int64(len(whole)), f, depth)
	b.held -= int64(len(whole))
}

// rest reads on behind the head, within what may be held and spent.
func (b *Budget) rest(f *File, head []byte, r io.Reader, cost float64) []byte {
	whole := bytes.NewBuffer(head)
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		whole.Write(chunk[:n])
		switch {
		case err == io.EOF:
			return whole.Bytes()
		case err != nil:
			f.trouble(damaged)
			return whole.Bytes()
		case !b.spend(cost, n):
			f.trouble(tooMuch)
			return whole.Bytes()
		case b.held+int64(whole.Len()) > b.limits.Memory:
			f.trouble(tooLarge)
			return whole.Bytes()
		}
	}
}
