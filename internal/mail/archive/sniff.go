package archive

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/gabriel-vasile/mimetype"
)

// headBytes is how much of a file is looked at for its type.
const headBytes = 4 << 10

// magics are types that count whatever else a file may look like, and those that
// mimetype does not know. The first row that fits counts.
var magics = []struct {
	at    int
	magic string
	real  string
	kind  Kind
}{
	{0, "\x7fELF", "application/x-elf", Program},
	{0, "\xcf\xfa\xed\xfe", "application/x-mach-binary", Program},
	{0, "\xce\xfa\xed\xfe", "application/x-mach-binary", Program},
	{0, "\xfe\xed\xfa\xce", "application/x-mach-binary", Program},
	{0, "\xfe\xed\xfa\xcf", "application/x-mach-binary", Program},
	{0, "\xca\xfe\xba\xbe", "application/x-java-or-mach", Program},
	{0, "dex\n", "application/vnd.android.dex", Program},
	{0, "L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut", Shortcut},
	{0, "[InternetShortcut]", "application/x-url-shortcut", Shortcut},
	{0, "[Desktop Entry]", "application/x-desktop", Shortcut},
	{0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "application/onenote", Document},
	{0, "ITSF", "application/vnd.ms-htmlhelp", Program},
	{0, "conectix", "application/x-vhd", Disk},
	{0, "vhdxfile", "application/x-vhdx", Disk},
	{0, "KDMV", "application/x-vmdk", Disk},
	{0, "QFI\xfb", "application/x-qcow2", Disk},
	{0, "MSCF", "application/vnd.ms-cab-compressed", Packed},
	{0, "\x1f\x9d", "application/x-compress", Packed},
	{0, "(\xb5/\xfd", "application/zstd", Packed},
	{0, "\x04\x22\x4d\x18", "application/x-lz4", Packed},
	{0, "LZIP", "application/lzip", Packed},
	{2, "-lh", "application/x-lzh", Packed},
	{7, "**ACE**", "application/x-ace", Packed},
	{0, "\x60\xea", "application/x-arj", Packed},
	{0, "xar!", "application/x-xar", Installer},
	{0, "\xed\xab\xee\xdb", "application/x-rpm", Installer},
	{0, "!<arch>\ndebian", "application/vnd.debian.binary-package", Installer},
	{0, "Rar!\x1a\x07", rarType, Packed},
	{0, "7z\xbc\xaf\x27\x1c", sevenType, Packed},
	{0, "\x1f\x8b", gzipType, Packed},
	{0, "BZh", bzipType, Packed},
	{0, "\xfd7zXZ\x00", xzType, Packed},
	{257, "ustar", tarType, Packed},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", oleType, Document},
	{0, "%PDF-", pdfType, Document},
	{0, "{\\rt", rtfType, Document},
	{0, "x\x9f\x3e\x22", tnefType, Message},
}

// The types that can be looked into.
const (
	zipType   = "application/zip"
	gzipType  = "application/gzip"
	bzipType  = "application/x-bzip2"
	xzType    = "application/x-xz"
	tarType   = "application/x-tar"
	sevenType = "application/x-7z-compressed"
	rarType   = "application/vnd.rar"
	oleType   = "application/x-ole-storage"
	tnefType  = "application/ms-tnef"
	pdfType   = "application/pdf"
	rtfType   = "text/rtf"
	peType    = "application/vnd.microsoft.portable-executable"
	ooxmlType = "application/vnd.openxmlformats-officedocument"
	epubType  = "application/epub+zip"
	odfType   = "application/vnd.oasis.opendocument"
)

// Sniff fills in what the first bytes say, some 4 KiB.
func (f *File) Sniff(head []byte) {
	f.Real, f.Kind = typeOf(head)
	if script := scriptByName(f.Name); script && (f.Kind == Text || f.Kind == Other) && isText(head) {
		f.Kind = Script // the name decides which program opens a text
	}
}

// typeOf tells what bytes are.
func typeOf(head []byte) (real string, kind Kind) {
	if len(head) == 0 {
		return "application/x-empty", Other
	}
	for i := range magics {
		m := &magics[i]
		if len(head) >= m.at+len(m.magic) && string(head[m.at:m.at+len(m.magic)]) == m.magic {
			return m.real, m.kind
		}
	}
	if real, kind = portable(head); real != "" {
		return real, kind
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) || bytes.HasPrefix(head, []byte("PK\x07\x08PK")) {
		return zipType, Packed
	}
	if real, kind = textual(head); real != "" {
		return real, kind
	}
	return known(head)
}

// portable knows the program files of DOS and Windows: "MZ" alone begins texts, too.
func portable(head []byte) (string, Kind) {
	if len(head) < 64 || string(head[:2]) != "MZ" && string(head[:2]) != "ZM" {
		return "", Other
	}
	if at := int64(binary.LittleEndian.Uint32(head[60:])); at+4 <= int64(len(head)) && at >= 0 && string(head[at:at+2]) == "PE" {
		return peType, Program
	}
	if isText(head) {
		return "", Other
	}
	return "application/x-dosexec", Program
}

// textual knows what is text and yet runs, or is shown by what runs.
func textual(head []byte) (string, Kind) {
	s := head
	if wide := narrow(s); wide != nil {
		s = wide
	}
	s = bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(s[:min(len(s), 1024)], []byte("\xef\xbb\xbf")), " \t\r\n"))
	has := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if bytes.HasPrefix(s, []byte(p)) {
				return true
			}
		}
		return false
	}
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		return "text/x-script", Script
	case has("<job", "<package", "<?wsf", "<scriptlet", "<?xml") && bytes.Contains(s, []byte("<script")) && !bytes.Contains(s, []byte("<svg")) && !bytes.Contains(s, []byte("<html")):
		return "text/x-windows-script", Script
	case has("<hta:application", "<html") && bytes.Contains(s, []byte("hta:application")):
		return "application/hta", Script
	case has("@echo off", "@cls", "rem ", "powershell", "cmd /c", "cmd.exe"), has("function ", "param(") && bytes.Contains(s, []byte("invoke-")):
		return "text/x-script", Script
	case has("windows registry editor", "regedit4"):
		return "text/x-ms-regedit", Script
	case has("<svg"), has("<?xml", "<!doctype svg", "<!--") && bytes.Contains(s, []byte("<svg")):
		return "image/svg+xml", Page
	case has("<!doctype html", "<html", "<head", "<body", "<script", "<iframe", "<meta ", "<title"):
		return "text/html", Page
	}
	return "", Other
}

// narrow gives the ASCII of UTF-16 text; nil if it is none.
func narrow(b []byte) []byte {
	if len(b) < 4 || !(b[0] == 0xff && b[1] == 0xfe || b[1] == 0 && b[3] == 0 && b[0] != 0) {
		return nil
	}
	units := make([]uint16, 0, 512)
	for i := 0; i+1 < len(b) && len(units) < 512; i += 2 {
		units = append(units, binary.LittleEndian.Uint16(b[i:]))
	}
	return []byte(strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff"))
}

// known asks mimetype.
func known(head []byte) (string, Kind) {
	m := mimetype.Detect(head)
	real, _, _ := strings.Cut(m.String(), ";")
	switch major, _, _ := strings.Cut(real, "/"); {
	case major == "image":
		return real, Picture
	case major == "audio", major == "video", major == "font":
		return real, Media
	case real == "application/x-iso9660-image":
		return real, Disk
	case real == "message/rfc822":
		return real, Message
	case m.Is("text/plain") || major == "text" || isText(head):
		return real, Text
	}
	return real, Other
}

// isText tells whether bytes are letters for people: no zeros, hardly any controls.
func isText(b []byte) bool {
	if len(b) >= 2 && (b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff) {
		return true
	}
	odd := 0
	for _, c := range b {
		if c == 0 {
			return false
		}
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b {
			odd++
		}
	}
	return odd*50 <= len(b)
}
