package conf

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// Socket is where a server listens: a host and a port, or a Unix socket.
type Socket struct {
	HostPort
	// Path is of a Unix socket, absolute; "" for a host and port.
	Path string
}

// pathMax is the longest path of a Unix socket that all systems take, in bytes.
const pathMax = 103

// Form implements Form.
func (Socket) Form() string {
	return `an address such as "192.0.2.1:25", "[::1]:25" or "unix:/run/facteur/lmtp.sock"`
}

// UnmarshalText reads an address, or "unix:" and a path.
func (s *Socket) UnmarshalText(text []byte) error {
	path, unix := strings.CutPrefix(string(text), "unix:")
	if !unix {
		*s = Socket{}
		if err := s.HostPort.UnmarshalText(text); err != nil {
			return fmt.Errorf("%q is not %s", clip(string(text)), s.Form())
		}
		return nil
	}
	if !filepath.IsAbs(path) || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' }) {
		return fmt.Errorf("%q is no absolute path", clip(path))
	}
	if path = filepath.Clean(path); len(path) > pathMax {
		return fmt.Errorf("the path of a socket has at most %d bytes", pathMax)
	}
	*s = Socket{Path: path}
	return nil
}

// String is what UnmarshalText reads.
func (s Socket) String() string {
	if s.Path != "" {
		return "unix:" + s.Path
	}
	return s.HostPort.String()
}

// MarshalText writes what UnmarshalText reads.
func (s Socket) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// WithPort is s with a port if it needs one and has none.
func (s Socket) WithPort(port uint16) Socket {
	if s.Path == "" {
		s.HostPort = s.HostPort.WithPort(port)
	}
	return s
}

// Mode is who may use a file: "0660". It is 0 when none is given.
type Mode fs.FileMode

// Form implements Form.
func (Mode) Form() string { return `a file mode such as "0660"` }

// UnmarshalText reads three octal digits, or four with a 0 in front.
func (m *Mode) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "" {
		*m = 0
		return nil
	}
	n, err := strconv.ParseUint(s, 8, 9)
	if err != nil || n == 0 || len(s) < 3 || len(s) > 4 {
		return fmt.Errorf("%q is not %s", clip(s), m.Form())
	}
	*m = Mode(n)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (m Mode) MarshalText() ([]byte, error) {
	if m == 0 {
		return nil, nil
	}
	return fmt.Appendf(nil, "%04o", uint32(m)), nil
}
