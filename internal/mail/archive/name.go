package archive

import (
	"path"
	"strings"

	"facteur/internal/mail/message"
)

// Extension is what a system goes by when it opens a file of this name: ".exe", in lower
// case, whatever is written behind it to be overlooked; "" if there is none.
func Extension(name string) string {
	return strings.ToLower(path.Ext(message.SafeFileName(name)))
}

// Runs tells whether opening a file of this name runs it, or opens what carries programs
// past the marks of the web: Windows first, as that is what is attacked by mail.
func Runs(name string) bool {
	switch Extension(name) {
	case ".exe", ".com", ".scr", ".pif", ".dll", ".cpl", ".sys", ".ocx", ".drv", ".xll", ".msc",
		".msi", ".msp", ".mst", ".msix", ".msixbundle", ".appx", ".appxbundle", ".appinstaller", ".application", ".appref-ms", ".gadget",
		".lnk", ".url", ".scf", ".inf", ".reg", ".rgs", ".chm", ".hlp", ".jar", ".jnlp", ".class", ".diagcab",
		".iso", ".img", ".vhd", ".vhdx", ".udf", ".dmg", ".pkg", ".mpkg", ".app", ".apk", ".ipa", ".xpi", ".crx",
		".library-ms", ".search-ms", ".settingcontent-ms", ".theme", ".themepack", ".wim",
		".run", ".elf", ".deb", ".rpm", ".appimage", ".flatpakref", ".desktop":
		return true
	}
	return scriptByName(name)
}

// scriptByName tells the names of texts that a double click hands to an interpreter.
func scriptByName(name string) bool {
	switch Extension(name) {
	case ".bat", ".cmd", ".ps1", ".psm1", ".psd1", ".ps1xml", ".vbs", ".vbe", ".vb", ".js", ".jse", ".mjs", ".ws", ".wsf", ".wsh", ".wsc", ".sct", ".hta",
		".sh", ".bash", ".csh", ".command", ".py", ".pyw", ".pyz", ".pl", ".rb", ".scpt", ".scptd", ".applescript", ".terminal", ".tool", ".workflow", ".ahk", ".au3", ".mshxml":
		return true
	}
	return false
}

// MacroName tells the names of documents that may carry macros by their own word.
func MacroName(name string) bool {
	switch Extension(name) {
	case ".docm", ".dotm", ".xlsm", ".xltm", ".xlam", ".xlsb", ".pptm", ".potm", ".ppam", ".ppsm", ".sldm", ".xla":
		return true
	}
	return false
}

// TwoFaced tells a name that looks like a document and is none: "invoice.pdf.exe".
func TwoFaced(name string) bool { return Runs(name) && documentBefore(name) }

// PageTwoFaced tells a name that looks like a document and is a web page: "fax.pdf.html".
func PageTwoFaced(name string) bool {
	switch Extension(name) {
	case ".htm", ".html", ".shtml", ".xhtml":
		return documentBefore(name)
	}
	return false
}

// documentBefore tells a name with the extension of a document before its own.
func documentBefore(name string) bool {
	name = message.SafeFileName(name)
	stem := strings.TrimSuffix(name, path.Ext(name))
	switch strings.ToLower(strings.TrimSpace(path.Ext(stem))) {
	case ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".rtf", ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp",
		".txt", ".csv", ".zip", ".rar", ".7z", ".mp3", ".mp4", ".wav", ".avi", ".mov", ".htm", ".html", ".eml":
		return true
	}
	return false
}

// Turned tells a name with characters that turn the direction of reading, so that its
// end is shown as another: "invoice\u202efdp.exe" looks like "invoiceexe.pdf".
func Turned(name string) bool {
	return strings.ContainsAny(name, "\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
}
