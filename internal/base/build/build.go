// Package build knows what this program was made of: what the Go toolchain
// wrote into the binary.
package build

import (
	"runtime"
	"runtime/debug"
)

// Info is what this program was made of.
type Info struct {
	Version  string `json:"version"` // "(devel)" if it was built in no way that tells
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // the sources differed from Revision
	Go       string `json:"go"`
}

// This is the running program.
func This() Info {
	b := Info{Version: "(devel)", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
