package message

import "io"

// Raw reads a part's body as it stands in the message.
func (p *Part) Raw(r io.ReaderAt) io.Reader {
	return io.NewSectionReader(r, p.Body, p.End-p.Body)
}

// Decoded reads a part's body with its transfer encoding undone. Multiparts and
// messages are never encoded, whatever they say.
func (p *Part) Decoded(r io.ReaderAt) io.Reader {
	if p.Multipart() || p.Message() {
		return p.Raw(r)
	}
	return DecodeTransfer(p.Encoding, p.Raw(r))
}

// Text reads a text part's body as valid UTF-8, for SEARCH and the like. r is
// the message that was parsed. HTML stays HTML.
func (p *Part) Text(r io.ReaderAt) io.Reader {
	return ToUTF8(p.Param("charset"), p.Decoded(r))
}
