package list

import (
	"fmt"
	"strings"
)

// The tables of the system's users and groups. Only the files are read: users that
// another service knows (NSS) are not in them.
var unixFiles = map[string]string{"passwd.byname": "/etc/passwd", "group.byname": "/etc/group"}

// unixFile is the file of unix:passwd.byname and unix:group.byname.
func unixFile(rest string) (string, error) {
	if path := unixFiles[rest]; path != "" {
		return path, nil
	}
	return "", fmt.Errorf(`%q is no table of the system; expected "unix:passwd.byname" or "unix:group.byname"`, rest)
}

// parseUnix reads lines "name:x:…", whose value is the line.
func parseUnix(path string, b []byte) (matcher, error) {
	t := newText()
	for text := range strings.Lines(string(b)) {
		text = strings.TrimRight(text, "\r\n")
		name, _, found := strings.Cut(text, ":")
		if !found || name == "" || strings.ContainsAny(name[:1], "#+-") {
			continue // comments, and what NIS adds
		}
		if _, known := t.values[strings.ToLower(name)]; !known {
			t.values[strings.ToLower(name)] = text
		}
	}
	return t, nil
}
