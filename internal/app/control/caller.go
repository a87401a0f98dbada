package control

import (
	"context"
	"net"
	"os"
	"os/user"
	"strconv"
)

// Caller is who asks: a user of this machine, as the kernel knows him.
type Caller struct {
	UID  int
	Name string // "" when the system knows none
}

// newCaller looks the name up.
func newCaller(uid int) Caller {
	c := Caller{UID: uid}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		c.Name = u.Username
	}
	return c
}

// String is "root" or, without a name, "uid=1000": for the log.
func (c Caller) String() string {
	if c.Name == "" {
		return "uid=" + strconv.Itoa(c.UID)
	}
	return c.Name
}

// sentence begins a sentence of a journey.
func (c Caller) sentence() string {
	if c.Name == "" {
		return "The user with the number " + strconv.Itoa(c.UID) + " of this machine"
	}
	return "The user " + c.Name + " of this machine"
}

type callerKey struct{}

// withCaller notes who is at the other end of a connection. It is an
// http.Server's ConnContext.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	if uid, ok := c.RemoteAddr().(peerAddr); ok {
		return context.WithValue(ctx, callerKey{}, newCaller(int(uid)))
	}
	return ctx
}

// peerAddr is the far end of a connection: a user.
type peerAddr uint32

// Network implements net.Addr.
func (peerAddr) Network() string { return "unix" }

// String implements net.Addr.
func (a peerAddr) String() string { return "uid=" + strconv.Itoa(int(a)) }

// peerConn is a connection of somebody who may ask.
type peerConn struct {
	*net.UnixConn
	uid uint32
}

// RemoteAddr tells who it is; the socket's other end has no name.
func (c peerConn) RemoteAddr() net.Addr { return peerAddr(c.uid) }

// caller is who asked; without a connection it is this process.
func caller(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(Caller); ok {
		return c
	}
	return newCaller(os.Getuid())
}
