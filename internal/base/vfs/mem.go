package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"
)

// sector is the piece in which a crash keeps or loses file content, in bytes.
const sector = 512

// ErrPowerCut is what every operation returns after the one at which a Mem was
// told to stop.
var ErrPowerCut = errors.New("power cut")

// Mem is the twin of OS that can lose power. It lives in memory and is strict:
// only what was synced is sure to survive a Crash, of the rest a random legal
// subset does, each sector of data and each change of a name on its own (but
// see the package comment for the order within one file and one name).
//
// A Sync or SyncFS that failed has lost the bytes: no later one saves them,
// though it claims to, as the Linux kernel does when it drops dirty pages. A
// SyncDir that failed may be repeated: names go through a journal, and file
// systems whose journal fails stop working rather than lie.
//
// Everything random comes from the seed given to Crash, so that a failing test
// can be run again.
type Mem struct {
	mu      sync.Mutex
	root    *node
	nodes   uint64   // inode numbers given
	pending []change // changes of names since they were last synced, in order
	ops     int
	stopAt  int // operations after this many fail; 0: never
	faults  []*Fault
	now     func() time.Time
}

// node is an inode.
type node struct {
	id      uint64
	mode    fs.FileMode
	mtime   time.Time
	data    []byte           // as programs see it
	durable []byte           // as the disk has it for sure
	names   map[string]*node // of a directory, as programs see it
	onDisk  map[string]*node // of a directory, as the disk has it for sure
	lost    bool             // a sync failed: no later one makes this durable
}

// change is one atomic change of names: of one file, at one or two places.
type change struct {
	file *node
	at   []place
}

// place is one directory slot and what stands there after the change (nil: nothing).
type place struct {
	dir  *node
	name string
	to   *node
}

// NewMem makes an empty Mem: only "/" exists.
func NewMem() *Mem {
	m := &Mem{now: time.Now}
	m.root = m.newNode(fs.ModeDir | 0o755)
	return m
}

func (m *Mem) newNode(mode fs.FileMode) *node {
	m.nodes++
	n := &node{id: m.nodes, mode: mode, mtime: m.now()}
	if mode.IsDir() {
		n.names, n.onDisk = map[string]*node{}, map[string]*node{}
	}
	return n
}

// StopAfter lets n more operations happen; all later ones change nothing and
// return ErrPowerCut. Every call of a method of Mem or of its files but Close
// and Seek counts.
func (m *Mem) StopAfter(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopAt = m.ops + n
	if n <= 0 {
		m.stopAt = -1
	}
}

// Ops is how many operations there have been.
func (m *Mem) Ops() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops
}

// begin counts an operation and finds out whether it is to fail. Callers hold mu.
func (m *Mem) begin(op Op, name string) (*Fault, error) {
	if m.stopAt < 0 || m.stopAt > 0 && m.ops >= m.stopAt {
		return nil, &fs.PathError{Op: op.String(), Path: name, Err: ErrPowerCut}
	}
	m.ops++
	for _, f := range m.faults {
		if f.strikes(op, name) {
			return f, &fs.PathError{Op: op.String(), Path: name, Err: f.Err}
		}
	}
	return nil, nil
}

// walk finds the directory that holds name, and what name is (nil: nothing).
func (m *Mem) walk(name string) (dir *node, base string, n *node, err error) {
	name = path.Clean("/" + name)
	if name == "/" {
		return nil, "/", m.root, nil
	}
	dir = m.root
	parts := strings.Split(name[1:], "/")
	for _, p := range parts[:len(parts)-1] {
		next := dir.names[p]
		if next == nil {
			return nil, "", nil, fs.ErrNotExist
		}
		if !next.mode.IsDir() {
			return nil, "", nil, syscall.ENOTDIR
		}
		dir = next
	}
	base = parts[len(parts)-1]
	if len(base) > 255 {
		return nil, "", nil, syscall.ENAMETOOLONG
	}
	return dir, base, dir.names[base], nil
}

// put changes names, in what programs see, and remembers it for the next sync.
func (m *Mem) put(file *node, at ...place) {
	for _, p := range at {
		if p.to == nil {
			delete(p.dir.names, p.name)
		} else {
			p.dir.names[p.name] = p.to
		}
		p.dir.mtime = m.now()
	}
	m.pending = append(m.pending, change{file: file, at: at})
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpOpen, name); err != nil {
		return nil, err
	}
	_, _, n, err := m.walk(name)
	if err == nil && n == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &memFile{m: m, n: n, name: name}, nil
}

// Create implements FS.
func (m *Mem) Create(name string, perm fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpCreate, name); err != nil {
		return nil, err
	}
	dir, base, n, err := m.walk(name)
	if err == nil && n != nil {
		err = fs.ErrExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	n = m.newNode(perm)
	m.put(n, place{dir, base, n})
	return &memFile{m: m, n: n, name: name, write: true}, nil
}

// Append implements FS.
func (m *Mem) Append(name string) (File, error) {
	f, err := m.Open(name)
	if err != nil {
		return nil, err
	}
	file := f.(*memFile)
	file.write, file.end = true, true
	return file, nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpRename, from); err != nil {
		return err
	}
	fail := func(err error) error { return &fs.PathError{Op: "rename", Path: from, Err: err} }
	fdir, fbase, n, err := m.walk(from)
	if err != nil {
		return fail(err)
	}
	if n == nil {
		return fail(fs.ErrNotExist)
	}
	tdir, tbase, old, err := m.walk(to)
	switch {
	case err != nil:
		return fail(err)
	case old == n:
		return nil // two names of one file: POSIX says do nothing
	case old != nil && old.mode.IsDir() != n.mode.IsDir():
		return fail(syscall.EEXIST)
	case old != nil && len(old.names) > 0:
		return fail(syscall.ENOTEMPTY)
	}
	m.put(n, place{fdir, fbase, nil}, place{tdir, tbase, n})
	return nil
}

// Link implements FS.
func (m *Mem) Link(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpLink, to); err != nil {
		return err
	}
	_, _, n, err := m.walk(from)
	if err == nil && n == nil {
		err = fs.ErrNotExist
	}
	var dir, old *node
	var base string
	if err == nil {
		dir, base, old, err = m.walk(to)
	}
	if err == nil && old != nil {
		err = fs.ErrExist
	}
	if err != nil {
		return &fs.PathError{Op: "link", Path: to, Err: err}
	}
	m.put(n, place{dir, base, n})
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpRemove, name); err != nil {
		return err
	}
	dir, base, n, err := m.walk(name)
	switch {
	case err != nil:
	case n == nil:
		err = fs.ErrNotExist
	case len(n.names) > 0:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	m.put(n, place{dir, base, nil})
	return nil
}

// Mkdir implements FS.
func (m *Mem) Mkdir(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpMkdir, name); err != nil {
		return err
	}
	dir, base, n, err := m.walk(name)
	if err == nil && n != nil {
		err = fs.ErrExist
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	n = m.newNode(fs.ModeDir | perm)
	m.put(n, place{dir, base, n})
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpReadDir, name); err != nil {
		return nil, err
	}
	n, err := m.dir(name)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	var out []Entry
	for k, c := range n.names {
		out = append(out, Entry{k, c.mode.Type()})
	}
	return out, nil
}

// dir finds a directory.
func (m *Mem) dir(name string) (*node, error) {
	_, _, n, err := m.walk(name)
	switch {
	case err != nil:
		return nil, err
	case n == nil:
		return nil, fs.ErrNotExist
	case !n.mode.IsDir():
		return nil, syscall.ENOTDIR
	}
	return n, nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpStat, name); err != nil {
		return Info{}, err
	}
	_, _, n, err := m.walk(name)
	if err == nil && n == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return n.info(), nil
}

// SetTime implements FS. A crash does not undo it: it proves nothing.
func (m *Mem) SetTime(name string, modified time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpSetTime, name); err != nil {
		return err
	}
	_, _, n, err := m.walk(name)
	if err == nil && n == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return &fs.PathError{Op: "settime", Path: name, Err: err}
	}
	n.mtime = modified
	return nil
}

func (n *node) info() Info {
	return Info{Size: int64(len(n.data)), ModTime: n.mtime, Mode: n.mode, Device: 1, Inode: n.id}
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, derr := m.dir(name)
	touches := func(c change) bool {
		for _, p := range c.at {
			if p.dir == d {
				return true
			}
		}
		return false
	}
	if _, err := m.begin(OpSyncDir, name); err != nil {
		return err
	}
	if derr != nil {
		return &fs.PathError{Op: "syncdir", Path: name, Err: derr}
	}
	m.settle(touches)
	return nil
}

// SyncFS implements FS.
func (m *Mem) SyncFS(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.begin(OpSyncFS, dir); err != nil {
		if !errors.Is(err, ErrPowerCut) && !errors.Is(err, ErrNoSyncFS) {
			m.each(func(n *node) { n.lost = n.lost || string(n.data) != string(n.durable) })
		}
		return err
	}
	m.each((*node).sync)
	m.settle(func(change) bool { return true })
	return nil
}

// sync makes a file's bytes durable, unless an earlier try failed.
func (n *node) sync() {
	if !n.lost {
		n.durable = append([]byte(nil), n.data...)
	}
}

// each visits all files that a program or the disk can see.
func (m *Mem) each(do func(*node)) {
	seen := map[*node]bool{}
	var visit func(*node)
	visit = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		do(n)
		for _, c := range n.names {
			visit(c)
		}
		for _, c := range n.onDisk {
			visit(c)
		}
	}
	visit(m.root)
}

// memFile is an open file of a Mem.
type memFile struct {
	m     *Mem
	n     *node
	name  string
	off   int64
	write bool
	end   bool // each Write goes to the end
}

// Read implements io.Reader.
func (f *memFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.off)
	f.off += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt implements io.ReaderAt.
func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if _, err := f.m.begin(OpRead, f.name); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write implements io.Writer. A fault that says Short writes half.
func (f *memFile) Write(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	fault, err := f.m.begin(OpWrite, f.name)
	switch {
	case !f.write && err == nil:
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.EBADF}
	case fault != nil && fault.Short:
		p = p[:len(p)/2]
	case err != nil:
		return 0, err
	}
	if f.end {
		f.off = int64(len(f.n.data))
	}
	if grow := f.off + int64(len(p)) - int64(len(f.n.data)); grow > 0 {
		f.n.data = append(f.n.data, make([]byte, grow)...)
	}
	copy(f.n.data[f.off:], p)
	f.off += int64(len(p))
	f.n.mtime = f.m.now()
	return len(p), err
}

// Seek implements io.Seeker.
func (f *memFile) Seek(off int64, whence int) (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		off += f.off
	case io.SeekEnd:
		off += int64(len(f.n.data))
	}
	if off < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.name, Err: syscall.EINVAL}
	}
	f.off = off
	return off, nil
}

// Sync implements File. A fault makes what was written unsaveable, as the
// kernel does when it drops dirty pages after an error.
func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if _, err := f.m.begin(OpSync, f.name); err != nil {
		f.n.lost = f.n.lost || !errors.Is(err, ErrPowerCut)
		return err
	}
	f.n.sync()
	return nil
}

// Stat implements File.
func (f *memFile) Stat() (Info, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if _, err := f.m.begin(OpStat, f.name); err != nil {
		return Info{}, err
	}
	return f.n.info(), nil
}

// Close implements io.Closer. It never fails and always works.
func (f *memFile) Close() error { return nil }

// Crash gives what the disk holds when power comes back: all that was synced,
// and of the rest a subset chosen by seed. The Mem itself is left as it is.
func (m *Mem) Crash(seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	rnd := rand.New(rand.NewPCG(seed, 0x6d656d))
	// One crash in four keeps nothing, one everything: the extremes matter.
	keep := []float64{0, 0.5, 1, rnd.Float64()}[rnd.IntN(4)]
	return m.afterCrash(rnd, keep)
}
