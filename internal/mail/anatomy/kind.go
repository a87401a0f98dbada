package anatomy

import (
	"bytes"

	"facteur/internal/mail/archive"
)

// headBytes is how much of an attachment is looked at for its kind.
const headBytes = 4 << 10

// kinds are recognised by their first bytes, not by their names. The first row that
// fits counts.
var kinds = []struct {
	at    int
	magic string
	kind  string
}{
	{0, "MZ", "Windows program"},
	{0, "\x7fELF", "Linux program"},
	{0, "\xca\xfe\xba\xbe", "Java class or macOS program"},
	{0, "\xcf\xfa\xed\xfe", "macOS program"},
	{0, "\xce\xfa\xed\xfe", "macOS program"},
	{0, "#!", "script"},
	{0, "L\x00\x00\x00\x01\x14\x02\x00", "Windows shortcut"},
	{0, "%PDF-", "PDF"},
	{0, "PK\x03\x04", "ZIP"},
	{0, "PK\x05\x06", "empty ZIP"},
	{0, "Rar!\x1a\x07", "RAR"},
	{0, "7z\xbc\xaf\x27\x1c", "7-Zip"},
	{0, "\x1f\x8b", "gzip"},
	{0, "BZh", "bzip2"},
	{0, "\xfd7zXZ\x00", "xz"},
	{0, "(\xb5/\xfd", "zstd"},
	{0, "MSCF", "Windows cabinet"},
	{0, "ITSF", "Windows help (runs code)"},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Office document, installer or saved Outlook letter"},
	{0, "{\\rtf", "RTF"},
	{0, "\x89PNG\r\n\x1a\n", "PNG"},
	{0, "\xff\xd8\xff", "JPEG"},
	{0, "GIF8", "GIF"},
	{8, "WEBP", "WebP"},
	{0, "BM", "BMP"},
	{0, "II*\x00", "TIFF"},
	{0, "MM\x00*", "TIFF"},
	{4, "ftyp", "MP4, HEIC or the like"},
	{0, "ID3", "MP3"},
	{0, "OggS", "Ogg"},
	{0, "\x1aE\xdf\xa3", "Matroska or WebM"},
	{0, "wOFF", "font"},
	{0, "SQLite format 3\x00", "SQLite database"},
	{0, "-----BEGIN PGP", "PGP"},
	{257, "ustar", "tar"},
}

// kindOf tells what bytes are; "" if they say nothing.
func kindOf(head []byte) string {
	for _, k := range kinds {
		if len(head) >= k.at+len(k.magic) && string(head[k.at:k.at+len(k.magic)]) == k.magic {
			return k.kind
		}
	}
	switch trimmed := bytes.ToLower(bytes.TrimLeft(head[:min(len(head), 512)], "\xef\xbb\xbf \t\r\n")); {
	case bytes.HasPrefix(trimmed, []byte("<!doctype html")), bytes.HasPrefix(trimmed, []byte("<html")), bytes.HasPrefix(trimmed, []byte("<script")):
		return "HTML"
	case bytes.HasPrefix(trimmed, []byte("<svg")), bytes.HasPrefix(trimmed, []byte("<?xml")) && bytes.Contains(trimmed, []byte("<svg")):
		return "SVG"
	}
	return ""
}

// runs tells whether a double click runs a file of this name, or opens one that
// carries programs past filters.
func runs(name string) bool {
	return archive.Runs(name) || archive.MacroName(name) || archive.Extension(name) == ".one"
}
