//go:build !linux

package listen

// Credentials are those of the process at the other end of a Unix socket, when it
// connected.
type Credentials struct {
	UID, GID uint32
	PID      int32
}

// Peercred is known on Linux only.
func (c *Conn) Peercred() (Credentials, error) { return Credentials{}, errNoPeer }
