package imap

import "strings"

// maxKeyword is the longest keyword, in octets (ATTACKS IMAP-011).
const maxKeyword = 128

// SystemFlags are the flags that a client may set, spelt as RFC 9051 §2.3.2
// has them.
func SystemFlags() []string {
	return []string{`\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`}
}

// flag reads a system flag, in its usual spelling, or a keyword.
func (d *Decoder) flag() string {
	if !d.accept('\\') {
		k := d.atom()
		if len(k) > maxKeyword && d.err == nil {
			d.err = &LimitError{"Keyword too long"}
		}
		return k
	}
	name := d.atom()
	for _, f := range SystemFlags() {
		if strings.EqualFold(f[1:], name) {
			return f
		}
	}
	d.fail("Not a flag that can be set: \\%s", clip(name))
	return ""
}

func (d *Decoder) flagList() []string {
	flags := []string{}
	d.list(func() { flags = append(flags, d.flag()) })
	return flags
}

// clip shortens what a client wrote before it is shown again.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
