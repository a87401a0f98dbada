package postfix

import (
	_ "embed"
	"strings"
)

// defaultsText is what "postconf -d" of Debian's Postfix 3.7 says, but for what depends
// on the machine.
//
//go:embed defaults.txt
var defaultsText string

// machine are the parameters whose defaults depend on the machine.
var machine = []string{"config_directory", "mail_release_date", "mydomain", "myhostname", "mynetworks", "process_id", "process_name", "service_name", "stress"}

// Defaults are Postfix's parameters with their values when nothing is set, unexpanded.
// Those that depend on the machine are empty.
func Defaults() map[string]string {
	out := make(map[string]string, 1100)
	for _, name := range machine {
		out[name] = ""
	}
	for line := range strings.Lines(defaultsText) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " =")
		out[name] = strings.TrimSpace(value)
	}
	return out
}
