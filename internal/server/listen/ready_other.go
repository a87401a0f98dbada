//go:build !linux

package listen

// Ready is known on Linux only; elsewhere nobody is found to be early.
func (c *Conn) Ready() bool { return false }
