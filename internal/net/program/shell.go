package program

import (
	"os/exec"
	"path/filepath"
	"strings"
)

// plainBytes are those that mean nothing to a shell.
const plainBytes = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Words is a command line as a Command: its words, or a shell with it where it has
// characters of a shell, or begins with what is no program, as a shell's own commands
// do. It is what Postfix's local(8) does. nil: there is nothing in it.
func Words(line string) []string {
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	if strings.IndexFunc(line, shells) < 0 {
		if path := lookUp(words[0]); path != "" {
			words[0] = path
			return words
		}
	}
	return []string{"/bin/sh", "-c", line}
}

func shells(c rune) bool { return c != ' ' && c != '\t' && !strings.ContainsRune(plainBytes, c) }

// lookUp finds a program where the environment of programs has them. A path is one
// already.
func lookUp(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	for _, dir := range filepath.SplitList(searchPath) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && !strings.Contains(name, "/") {
			return path
		}
	}
	return ""
}

// Tame is a value for the environment of a command line: what could mean something to a
// shell is "_", as with Postfix's command_expansion_filter.
func Tame(s string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(plainBytes, c) {
			return c
		}
		return '_'
	}, s)
}
