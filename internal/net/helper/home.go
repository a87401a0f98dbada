package helper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/vfs"
)

// Home is the files below a user's home, worked on by a process of the user's. It is a
// vfs.FS, whose names are the absolute paths. One operation is under way at a time.
type Home struct {
	staff *Staff
	user  User

	used atomic.Int64 // when it was used last, in ns; 0: it has no process

	mu         sync.Mutex
	conn       packets
	id         int // of the process
	generation uint64
	open       int // files
	hangs      error
	until      time.Time // of hangs
	idle       *time.Timer
	in, out    []byte
}

// User is whose files they are.
func (h *Home) User() User { return h.user }

// relative is a name as the process has it.
func (h *Home) relative(name string) (string, error) {
	home := strings.TrimRight(h.user.Home, "/")
	rest, below := strings.CutPrefix(name, home)
	if !below || rest != "" && rest[0] != '/' {
		return "", fmt.Errorf("%w: it is not below %s", fs.ErrPermission, home)
	}
	if rest = strings.Trim(rest, "/"); len(rest) > maxName {
		return "", fs.ErrInvalid
	}
	return rest, nil
}

// ask has one request answered.
func (h *Home) ask(r *request, take func([]byte) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.ready(); err != nil {
		return err
	}
	return h.askOpen(r, take)
}

// askOpen is ask where there is a process. Callers hold mu.
func (h *Home) askOpen(r *request, take func([]byte) error) error {
	h.out = r.append(h.out[:0])
	soon(h.conn, h.staff.settings.Patience)
	if _, err := h.conn.Write(h.out); err != nil {
		return h.failed(err)
	}
	answer, err := h.receive()
	if err != nil {
		return err
	}
	if answer, err = parseAnswer(answer); err == nil && take != nil {
		err = take(answer)
	}
	if errors.Is(err, errPacket) {
		return h.failed(err)
	}
	h.touch()
	return err
}

func (h *Home) receive() ([]byte, error) {
	if h.in == nil {
		h.in = make([]byte, maxPacket+1)
	}
	n, err := h.conn.Read(h.in)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return nil, h.failed(err)
	}
	return h.in[:n], nil
}

// ready has a process started unless there is one. Callers hold mu.
func (h *Home) ready() error {
	if h.conn != nil {
		return nil
	}
	if h.hangs != nil && time.Now().Before(h.until) {
		return h.hangs
	}
	h.hangs = nil
	h.staff.makeRoom(h)
	conn, id, err := h.staff.start(forFiles, h.user)
	if err != nil {
		return err
	}
	h.conn, h.id = conn, id
	h.generation++
	h.open = 0
	h.touch()
	soon(conn, h.staff.settings.Patience)
	hello, err := h.receive()
	if err == nil {
		if _, err = parseAnswer(hello); err != nil {
			h.drop()
		}
	}
	return err
}

// failed gives a process up. One that did not answer in time is killed, and its user left
// alone for a while. Callers hold mu.
func (h *Home) failed(err error) error {
	id := h.id
	h.drop()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		go h.staff.kill(id)
		return fmt.Errorf("%w: %v", ErrBroken, err)
	}
	h.hangs = fmt.Errorf("%w (user %s)", ErrHangs, h.user.Name)
	h.until = time.Now().Add(h.staff.settings.Rest)
	go h.staff.kill(id)
	return h.hangs
}

// drop closes the socket. Callers hold mu.
func (h *Home) drop() {
	if h.conn == nil {
		return
	}
	h.conn.Close()
	h.conn, h.in, h.out = nil, nil, nil
	h.used.Store(0)
	if h.idle != nil {
		h.idle.Stop()
		h.idle = nil
	}
}

// touch notes that it was used. Callers hold mu.
func (h *Home) touch() {
	h.used.Store(time.Now().UnixNano())
	if h.idle == nil {
		h.idle = time.AfterFunc(h.staff.settings.Idle, h.look)
	}
}

// look ends a process that nobody uses, or looks again later.
func (h *Home) look() {
	if h.leave(h.staff.settings.Idle) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil {
		h.idle = time.AfterFunc(h.staff.settings.Idle/2+time.Millisecond, h.look)
	}
}

// leave ends the process if nobody has used it for a while, nor has files of it open.
func (h *Home) leave(idle time.Duration) bool {
	if !h.mu.TryLock() {
		return false
	}
	defer h.mu.Unlock()
	if h.conn == nil {
		return true
	}
	if h.open > 0 || time.Since(time.Unix(0, h.used.Load())) < idle {
		return false
	}
	h.drop()
	return true
}

// at is ask about a name.
func (h *Home) at(what string, o op, name string, offset int64, n uint32, take func([]byte) error) error {
	relative, err := h.relative(name)
	if err == nil {
		err = h.ask(&request{op: o, name: relative, offset: offset, n: n}, take)
	}
	if err != nil {
		return &fs.PathError{Op: what, Path: name, Err: err}
	}
	return nil
}

func (h *Home) both(what string, o op, from, to string) error {
	name, err := h.relative(from)
	other, oerr := h.relative(to)
	if err == nil {
		err = oerr
	}
	if err == nil {
		err = h.ask(&request{op: o, name: name, other: other}, nil)
	}
	if err != nil {
		return &os.LinkError{Op: what, Old: from, New: to, Err: err}
	}
	return nil
}

// opened makes a file of the answer to a request. It runs under mu.
func (h *Home) opened(f *file) func([]byte) error {
	return func(b []byte) error {
		if len(b) < 4 {
			return errPacket
		}
		f.home, f.handle, f.generation = h, binary.BigEndian.Uint32(b), h.generation
		h.open++
		return nil
	}
}

func (h *Home) openFile(what string, o op, name string, perm fs.FileMode) (vfs.File, error) {
	f := &file{name: name}
	if err := h.at(what, o, name, 0, uint32(perm.Perm()), h.opened(f)); err != nil {
		return nil, err
	}
	return f, nil
}

// Open implements vfs.FS. Only regular files can be opened.
func (h *Home) Open(name string) (vfs.File, error) { return h.openFile("open", opOpen, name, 0) }

// Create implements vfs.FS.
func (h *Home) Create(name string, perm fs.FileMode) (vfs.File, error) {
	return h.openFile("create", opCreate, name, perm)
}

// Append implements vfs.FS.
func (h *Home) Append(name string) (vfs.File, error) { return h.openFile("open", opAppend, name, 0) }

// ReadOwn reads a file that nobody but the user and root could have written; ErrNotOwn if
// somebody else could. limit is in bytes; a longer file is fs.ErrInvalid.
func (h *Home) ReadOwn(name string, limit int) ([]byte, error) {
	f, err := h.openFile("open", opOwn, name, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: it is longer than %d bytes", fs.ErrInvalid, limit)}
	}
	return b, err
}

// Rename implements vfs.FS.
func (h *Home) Rename(from, to string) error { return h.both("rename", opRename, from, to) }

// Link implements vfs.FS.
func (h *Home) Link(from, to string) error { return h.both("link", opLink, from, to) }

// Remove implements vfs.FS.
func (h *Home) Remove(name string) error { return h.at("remove", opRemove, name, 0, 0, nil) }

// Mkdir implements vfs.FS.
func (h *Home) Mkdir(name string, perm fs.FileMode) error {
	return h.at("mkdir", opMkdir, name, 0, uint32(perm.Perm()), nil)
}

// SetTime implements vfs.FS.
func (h *Home) SetTime(name string, modified time.Time) error {
	return h.at("settime", opTime, name, modified.UnixNano(), 0, nil)
}

// SyncDir implements vfs.FS.
func (h *Home) SyncDir(name string) error { return h.at("syncdir", opSyncDir, name, 0, 0, nil) }

// SyncFS implements vfs.FS.
func (h *Home) SyncFS(dir string) error { return h.at("syncfs", opSyncFS, dir, 0, 0, nil) }

// Stat implements vfs.FS. Links lead nowhere: what is behind one is ELOOP.
func (h *Home) Stat(name string) (i vfs.Info, err error) {
	err = h.at("stat", opStat, name, 0, 0, func(b []byte) (err error) {
		i, err = parseInfo(b)
		return err
	})
	return i, err
}

// maxEntries bounds a directory: beyond it somebody is playing with us.
const maxEntries = 4 << 20

// ReadDir implements vfs.FS.
func (h *Home) ReadDir(name string) (list []vfs.Entry, err error) {
	dir := &file{name: name}
	if err := h.at("readdir", opList, name, 0, 0, h.opened(dir)); err != nil {
		return nil, err
	}
	defer dir.Close()
	for {
		var some []vfs.Entry
		err := dir.ask(&request{op: opNext}, func(b []byte) (err error) {
			some, err = parseEntries(b)
			return err
		})
		if err != nil || len(some) == 0 {
			return list, err
		}
		if list = append(list, some...); len(list) > maxEntries {
			return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
		}
	}
}
