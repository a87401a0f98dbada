package vfs

import (
	"os"
	"strings"
)

// Mounts are the directories that other file systems are mounted on, as this process
// sees them now. The kernel tells them without asking any of the file systems, so that
// one that hangs holds nobody up. Nil when it does not tell.
func Mounts() []string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return mountPoints(string(table))
}

// mountPoints reads proc_pid_mountinfo(5).
func mountPoints(table string) (out []string) {
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 4 {
			out = append(out, unescape.Replace(f[4]))
		}
	}
	return out
}

// unescape undoes what the kernel writes for white space in a path.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
