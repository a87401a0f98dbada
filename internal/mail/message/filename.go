package message

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFileName is the length of what SafeFileName gives, in bytes.
const maxFileName = 150

// SafeFileName makes a name that a sender gave fit to be shown, offered for
// download and used as one path element on any system: no directories, no
// control, format (right-to-left override) or reserved characters, no device
// names, no dots or spaces at its ends, at most 150 bytes with the extension
// kept. The extension is always the real one: what a system would look at.
// Never empty.
func SafeFileName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(safeRune, name)
	name = strings.Trim(name, " .")
	if name == "" {
		return "unnamed"
	}
	if isDeviceName(name) {
		name = "_" + name
	}
	return shortenName(name)
}

// safeRune drops what is invisible and replaces what is reserved.
func safeRune(r rune) rune {
	switch {
	case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), r == '\u2028', r == '\u2029':
		return -1
	case unicode.IsControl(r), strings.ContainsRune(`<>:"|?*`, r):
		return '_'
	case unicode.IsSpace(r):
		return ' '
	}
	return r
}

// isDeviceName knows the names that Windows opens as devices, whatever the
// extension.
func isDeviceName(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	stem = strings.TrimRight(stem, " ")
	switch stem {
	case "con", "prn", "aux", "nul", "conin$", "conout$", "clock$":
		return true
	}
	if len(stem) < 4 || stem[:3] != "com" && stem[:3] != "lpt" {
		return false
	}
	switch stem[3:] {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return true
	}
	return false
}

// shortenName cuts the stem, not the extension, at a whole character.
func shortenName(name string) string {
	if len(name) <= maxFileName {
		return name
	}
	ext := path.Ext(name)
	if len(ext) > 20 {
		ext = ""
	}
	cut := maxFileName - len(ext)
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return strings.TrimRight(name[:cut], " .") + ext
}
