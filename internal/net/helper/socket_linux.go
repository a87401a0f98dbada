package helper

import (
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// packets is one end of a pair of sockets that keep packets apart.
type packets = *net.UnixConn

// pair makes a pair of sockets: one for us, one to be handed over.
func pair() (packets, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "helper")
	ours, err := socket(os.NewFile(uintptr(fds[0]), "helper"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// socket takes over an end that was handed to us.
func socket(f *os.File) (packets, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, unix.ENOTSOCK
	}
	return conn, nil
}

// sendWith sends a packet with a descriptor.
func sendWith(c packets, b []byte, f *os.File) error {
	_, _, err := c.WriteMsgUnix(b, unix.UnixRights(int(f.Fd())), nil)
	return err
}

// receiveWith receives a packet, and a descriptor if one came with it.
func receiveWith(c packets, b []byte) (n int, f *os.File, err error) {
	oob := make([]byte, unix.CmsgSpace(4))
	n, used, flags, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return 0, nil, err
	}
	if flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0 {
		return 0, nil, errPacket
	}
	messages, err := unix.ParseSocketControlMessage(oob[:used])
	if err != nil || len(messages) == 0 {
		return n, nil, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, nil, errPacket
	}
	unix.CloseOnExec(fds[0])
	return n, os.NewFile(uintptr(fds[0]), "received"), nil
}

// soon is a deadline.
func soon(c packets, d time.Duration) { _ = c.SetDeadline(time.Now().Add(d)) }
