package helper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/net/program"
)

// op is what is asked of a process for files.
type op uint8

const (
	opOpen    op = iota + 1 // name → handle, info
	opCreate                // name, n: mode → handle, info
	opAppend                // name → handle, info
	opOwn                   // as opOpen, of a file that nobody but the user and root could write
	opRead                  // handle, offset, n → bytes
	opWrite                 // handle, offset, bytes → n
	opSync                  // handle
	opInfo                  // handle → info
	opClose                 // handle
	opRename                // name, other
	opLink                  // name, other
	opRemove                // name
	opMkdir                 // name, n: mode
	opList                  // name → handle
	opNext                  // handle → entries, none at the end
	opStat                  // name → info
	opTime                  // name, offset: ns
	opSyncDir               // name
	opSyncFS                // name
)

const (
	// maxData is how many bytes of a file one packet carries.
	maxData = 64 << 10
	// maxName bounds a path; 4096 is what the kernel takes.
	maxName   = 4 << 10
	maxPacket = maxData + 2*maxName + 64
	// headSize is op, handle, offset, n, and the lengths of two names.
	headSize = 1 + 4 + 8 + 4 + 2 + 2
)

// request is one packet to a process for files.
type request struct {
	op     op
	handle uint32
	offset int64
	n      uint32
	name   string
	other  string
	data   []byte
}

func (r *request) append(b []byte) []byte {
	b = append(b, byte(r.op))
	b = binary.BigEndian.AppendUint32(b, r.handle)
	b = binary.BigEndian.AppendUint64(b, uint64(r.offset))
	b = binary.BigEndian.AppendUint32(b, r.n)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.name)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.other)))
	b = append(append(b, r.name...), r.other...)
	return append(b, r.data...)
}

var errPacket = errors.New("a packet that makes no sense")

// parseRequest reads a packet. data stays in b.
func parseRequest(b []byte) (r request, err error) {
	if len(b) < headSize {
		return r, errPacket
	}
	r = request{op: op(b[0]), handle: binary.BigEndian.Uint32(b[1:]), offset: int64(binary.BigEndian.Uint64(b[5:])), n: binary.BigEndian.Uint32(b[13:])}
	name, other := int(binary.BigEndian.Uint16(b[17:])), int(binary.BigEndian.Uint16(b[19:]))
	b = b[headSize:]
	if name > maxName || other > maxName || len(b) < name+other || len(b)-name-other > maxData {
		return r, errPacket
	}
	r.name, r.other, r.data = string(b[:name]), string(b[name:name+other]), b[name+other:]
	if strings.IndexByte(r.name, 0) >= 0 || strings.IndexByte(r.other, 0) >= 0 {
		return r, errPacket
	}
	return r, nil
}

// An answer is an error number, 0 for none, and what was asked for; or the error's text.

// These are no numbers of the system's: a file, or the home, is not the user's own.
const (
	unsafeErrno = syscall.Errno(1<<12 + iota)
	homeErrno
)

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrNotOwn):
		return unsafeErrno
	case errors.Is(err, ErrHome):
		return homeErrno
	case errors.As(err, &errno):
		return errno
	}
	return syscall.EIO
}

// answer is the error that an answer begins with, and the rest.
func parseAnswer(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, errPacket
	}
	switch errno := syscall.Errno(binary.BigEndian.Uint32(b)); {
	case errno == 0:
		return b[4:], nil
	case errno == unsafeErrno:
		return nil, fmt.Errorf("%w: %s", ErrNotOwn, program.Printable(b[4:]))
	case errno == homeErrno:
		return nil, fmt.Errorf("%w: %s", ErrHome, program.Printable(b[4:]))
	case errno > homeErrno:
		return nil, errPacket
	default:
		return nil, errno
	}
}

// infoSize is size, mtime, mode, device, inode.
const infoSize = 8 + 8 + 4 + 8 + 8

func appendInfo(b []byte, i vfs.Info) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(i.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(i.ModTime.UnixNano()))
	b = binary.BigEndian.AppendUint32(b, uint32(i.Mode))
	b = binary.BigEndian.AppendUint64(b, i.Device)
	return binary.BigEndian.AppendUint64(b, i.Inode)
}

func parseInfo(b []byte) (vfs.Info, error) {
	if len(b) != infoSize {
		return vfs.Info{}, errPacket
	}
	u := binary.BigEndian
	i := vfs.Info{Size: int64(u.Uint64(b)), ModTime: time.Unix(0, int64(u.Uint64(b[8:]))), Mode: fs.FileMode(u.Uint32(b[16:])), Device: u.Uint64(b[20:]), Inode: u.Uint64(b[28:])}
	if i.Size < 0 {
		return vfs.Info{}, errPacket
	}
	return i, nil
}

func appendEntry(b []byte, e vfs.Entry) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(e.Type))
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Name)))
	return append(b, e.Name...)
}

func parseEntries(b []byte) (list []vfs.Entry, err error) {
	for len(b) > 0 {
		if len(b) < 6 {
			return nil, errPacket
		}
		kind, n := fs.FileMode(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint16(b[4:]))
		if b = b[6:]; n == 0 || n > len(b) {
			return nil, errPacket
		}
		name := string(b[:n])
		if strings.ContainsAny(name, "/\x00") || name == "." || name == ".." {
			return nil, errPacket
		}
		list, b = append(list, vfs.Entry{Name: name, Type: kind & fs.ModeType}), b[n:]
	}
	return list, nil
}
