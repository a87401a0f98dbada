package mailbox

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

var modelSeed = flag.Uint64("mailbox.seed", 0, "seed of the random histories (0: a new one)")

// identity is what must name the same bytes for ever (INV-10).
type identity struct {
	mailbox  string
	validity uint32
	uid      uint32
}

// model is what should be the case: which letters (by their subject) each
// mailbox holds, and everything that clients were ever told.
type model struct {
	t        *testing.T
	f        *fixture
	rnd      *rand.Rand
	now      time.Time
	boxes    map[string]map[string]SystemFlags // mailbox → subject → flags
	history  map[identity]string
	validity map[string]uint32
	nextUID  map[identity]uint32 // with uid 0: UIDNEXT
	clients  []*client
	count    int
	lists    map[string][]byte // older lists of UIDs, by path
	keywords bool              // keywords must be right (not after the index was lost)
}

// client is a session as an IMAP client sees it.
type client struct {
	v     *View
	uids  []uint32
	flags map[uint32]string
	mods  map[uint32]uint64
}

var modelBoxes = []string{"INBOX", "Archive", "Büro/v1.0"}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), now: time.Now(), boxes: map[string]map[string]SystemFlags{},
		history: map[identity]string{}, validity: map[string]uint32{}, nextUID: map[identity]uint32{}, keywords: true,
		lists: map[string][]byte{}}
	m.f = &fixture{t: t, owner: Owner{Address: "a@example.org", Home: t.TempDir()}}
	m.start()
	must(t, m.f.Create(bg, "Büro/v1.0"))
	for _, name := range modelBoxes {
		m.boxes[name] = map[string]SystemFlags{}
	}
	t.Cleanup(func() { m.f.store.Close() })
	return m
}

func (m *model) start() {
	m.f.store = newStore(vfs.OS{})
	m.f.store.clock(func() time.Time { return m.now })
	m.f.reopen()
}

func describe(l Letter) string { return fmt.Sprint(l.Flags.System, l.Flags.Keywords) }

// subjectOf reads which letter a UID names, and checks that it always did.
func (m *model) subjectOf(v *View, uid uint32) string {
	m.t.Helper()
	text := read(m.t, v, uid)
	_, s, _ := strings.Cut(text, "Subject: ")
	s, _, _ = strings.Cut(s, "\r\n")
	if text != letterText(s) {
		m.t.Fatalf("letter %q was changed", s)
	}
	id := identity{v.Name(), v.UIDValidity(), uid}
	if old, ok := m.history[id]; ok && old != s {
		m.t.Fatalf("%v was %q, is %q", id, old, s)
	}
	m.history[id] = s
	return s
}

// connect opens a session and fetches everything.
func (m *model) connect(name string) *client {
	m.t.Helper()
	v, err := m.f.Select(bg, name, false)
	must(m.t, err)
	if v.UIDValidity() < m.validity[name] {
		m.t.Fatalf("UIDVALIDITY of %s fell from %d to %d", name, m.validity[name], v.UIDValidity())
	}
	m.validity[name] = v.UIDValidity()
	c := &client{v: v, flags: map[uint32]string{}, mods: map[uint32]uint64{}}
	m.fetchNew(c)
	return c
}

// fetchNew learns the letters that arrived.
func (m *model) fetchNew(c *client) {
	m.t.Helper()
	for seq := uint32(len(c.uids)) + 1; seq <= c.v.Len(); seq++ {
		l := c.v.Letter(seq)
		if n := len(c.uids); n > 0 && l.UID <= c.uids[n-1] || l.UID >= c.v.UIDNext() {
			m.t.Fatalf("UID %d after %v, UIDNEXT %d", l.UID, c.uids, c.v.UIDNext())
		}
		c.uids = append(c.uids, l.UID)
		c.learn(m.t, l)
	}
	id := identity{c.v.Name(), c.v.UIDValidity(), 0}
	if c.v.UIDNext() < m.nextUID[id] && len(m.clients) == 0 {
		m.t.Fatalf("UIDNEXT fell")
	}
	m.nextUID[id] = max(m.nextUID[id], c.v.UIDNext())
}

func (c *client) learn(t *testing.T, l Letter) {
	t.Helper()
	if old, ok := c.flags[l.UID]; ok && (l.ModSeq < c.mods[l.UID] || old != describe(l) && l.ModSeq == c.mods[l.UID]) {
		t.Fatalf("UID %d: MODSEQ %d → %d, flags %s → %s", l.UID, c.mods[l.UID], l.ModSeq, old, describe(l))
	}
	c.flags[l.UID], c.mods[l.UID] = describe(l), l.ModSeq
}

// poll does what a client does with untagged responses, and then compares.
func (m *model) poll(c *client, expunges bool) {
	m.t.Helper()
	before := slices.Clone(c.uids)
	changes, err := c.v.Poll(bg, expunges)
	must(m.t, err)
	for _, x := range changes {
		switch x.Kind {
		case Expunged:
			if !expunges || c.uids[x.Seq-1] != x.UID {
				m.t.Fatalf("%+v but %v", x, c.uids)
			}
			c.uids = slices.Delete(c.uids, int(x.Seq)-1, int(x.Seq))
		case Arrived:
			if x.Seq != c.v.Len() {
				m.t.Fatalf("%+v, Len %d", x, c.v.Len())
			}
			m.fetchNew(c)
		case Reflagged:
			if c.uids[x.Seq-1] != x.UID {
				m.t.Fatalf("%+v but %v", x, c.uids)
			}
			c.learn(m.t, c.v.Letter(x.Seq))
		}
	}
	if !expunges && !slices.Equal(before, c.uids[:len(before)]) {
		m.t.Fatal("numbers changed")
	}
	m.numbers(c)
	if expunges {
		for i, uid := range c.uids {
			if l := c.v.Letter(uint32(i + 1)); describe(l) != c.flags[uid] {
				m.t.Fatalf("UID %d is %s, the client was told %s", uid, describe(l), c.flags[uid])
			}
		}
	}
}

// numbers checks that sequence numbers are as the client thinks (INV-12).
func (m *model) numbers(c *client) {
	m.t.Helper()
	if int(c.v.Len()) != len(c.uids) {
		m.t.Fatalf("Len %d, client has %d", c.v.Len(), len(c.uids))
	}
	for i, uid := range c.uids {
		if c.v.Letter(uint32(i+1)).UID != uid || c.v.Seq(uid) != uint32(i+1) {
			m.t.Fatalf("seq %d is not UID %d", i+1, uid)
		}
	}
}

func (m *model) subject() string {
	m.count++
	return fmt.Sprintf("letter %d", m.count)
}

func (m *model) some(c *client) []uint32 {
	var out []uint32
	for _, uid := range c.uids {
		if m.rnd.IntN(3) == 0 {
			out = append(out, uid)
		}
	}
	return out
}

// step does one random thing.
func (m *model) step() {
	t, c := m.t, m.clients[m.rnd.IntN(len(m.clients))]
	name := c.v.Name()
	other := modelBoxes[m.rnd.IntN(len(modelBoxes))]
	switch m.rnd.IntN(13) {
	case 0, 1:
		s, f := m.subject(), SystemFlags(m.rnd.IntN(32))
		m.f.append(name, s, f, []string{"", "Red", "blue"}[1:1+m.rnd.IntN(3)]...)
		m.boxes[name][s] = f
	case 2:
		m.deliver(name)
	case 3, 4:
		m.flags(c)
	case 5:
		m.expunge(c)
	case 6, 7:
		m.transfer(c, other, m.rnd.IntN(2) == 0)
	case 8:
		m.poll(c, false)
	case 9:
		m.poll(c, true)
	case 10:
		must(t, c.v.Close())
		*c = *m.connect(name)
	case 11:
		m.mutt(name)
	case 12:
		m.f.doze()
	}
	m.numbers(c)
}

// deliver is a delivery by this process.
func (m *model) deliver(name string) {
	folder, _ := maildir.Folder(name)
	d, err := maildir.Open(vfs.OS{}, filepath.Join(m.f.owner.Home, "Maildir", folder))
	must(m.t, err)
	s := m.subject()
	file := maildir.DeliveryName(fmt.Sprint("Q", m.count), 0, m.now)
	size, err := d.Stage(file, strings.NewReader(letterText(s)))
	must(m.t, err)
	must(m.t, d.Land(file, size))
	m.f.store.Notify(m.f.owner.Home)
	m.boxes[name][s] = 0
}

func (m *model) flags(c *client) {
	op, f := FlagOp(m.rnd.IntN(3)), Flags{System: SystemFlags(m.rnd.IntN(32))}
	if m.rnd.IntN(2) == 0 {
		f.Keywords = []string{"red", "Green"}[m.rnd.IntN(2):]
	}
	letters, err := c.v.Store(bg, m.some(c), op, f)
	must(m.t, err)
	for _, l := range letters {
		// A change that the client was not told yet may come with it.
		c.flags[l.UID], c.mods[l.UID] = describe(l), l.ModSeq
		s := m.subjectOf(c.v, l.UID)
		m.boxes[c.v.Name()][s] = combine(op, m.boxes[c.v.Name()][s], f.System)
		if got := m.boxes[c.v.Name()][s]; got != l.Flags.System {
			m.t.Fatalf("%s: flags %b, want %b", s, l.Flags.System, got)
		}
	}
}

func (m *model) expunge(c *client) {
	var uids []uint32
	box := m.boxes[c.v.Name()]
	if m.rnd.IntN(2) == 0 {
		uids = append(m.some(c), 1<<31) // and one that nobody has
		for _, uid := range uids {
			if r, err := c.v.Open(bg, uid); err == nil {
				r.Close()
				if s := m.subjectOf(c.v, uid); box[s]&Deleted != 0 {
					delete(box, s)
				}
			}
		}
	} else {
		maps.DeleteFunc(box, func(_ string, f SystemFlags) bool { return f&Deleted != 0 })
	}
	must(m.t, c.v.Expunge(bg, uids))
}

func (m *model) transfer(c *client, to string, move bool) {
	how := c.v.Copy
	if move {
		how = c.v.Move
	}
	uids := m.some(c)
	subjects := map[uint32]string{}
	for _, uid := range uids {
		if r, err := c.v.Open(bg, uid); err == nil {
			r.Close()
			subjects[uid] = m.subjectOf(c.v, uid)
		}
	}
	if !move { // copies under one subject could not be told apart
		uids = nil
	}
	validity, pairs, err := how(bg, uids, to)
	if errors.Is(err, ErrGone) && len(subjects) < len(uids) {
		return
	}
	must(m.t, err)
	for _, p := range pairs {
		s := subjects[p.From]
		id := identity{to, validity, p.To}
		if old, ok := m.history[id]; ok && old != s {
			m.t.Fatalf("%v was %q, is %q", id, old, s)
		}
		m.history[id] = s
		f := m.boxes[c.v.Name()][s]
		delete(m.boxes[c.v.Name()], s)
		m.boxes[to][s] = f
	}
}

// mutt is another program that works on the files.
func (m *model) mutt(name string) {
	folder, _ := maildir.Folder(name)
	dir := filepath.Join(m.f.owner.Home, "Maildir", folder)
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		must(m.t, err)
		for _, e := range entries {
			if m.rnd.IntN(6) > 0 {
				continue
			}
			path := filepath.Join(dir, sub, e.Name())
			b, err := os.ReadFile(path)
			must(m.t, err)
			_, s, _ := strings.Cut(string(b), "Subject: ")
			s, _, _ = strings.Cut(s, "\r\n")
			if m.rnd.IntN(3) == 0 {
				must(m.t, os.Remove(path))
				delete(m.boxes[name], s)
				continue
			}
			base, _, _ := strings.Cut(e.Name(), ":")
			must(m.t, os.Rename(path, filepath.Join(dir, "cur", base+":2,FSz")))
			m.boxes[name][s] = Flagged | Seen
		}
	}
	// Twins of the kernel's clock tick are the documented limit; step over it.
	time.Sleep(15 * time.Millisecond)
	os.Chtimes(filepath.Join(dir, "cur"), time.Now(), time.Now())
	os.Chtimes(filepath.Join(dir, "new"), time.Now(), time.Now())
}

// verify compares everything with the model (INV-09).
func (m *model) verify() {
	m.t.Helper()
	must(m.t, m.f.Check())
	for name, want := range m.boxes {
		c := m.connect(name)
		got := map[string]SystemFlags{}
		for i, uid := range c.uids {
			got[m.subjectOf(c.v, uid)] = c.v.Letter(uint32(i + 1)).Flags.System
		}
		if !maps.Equal(got, want) {
			m.t.Fatalf("%s:\n got %v\nwant %v", name, got, want)
		}
		if s := m.f.status(name); int(s.Messages) != len(want) || s.UIDValidity != c.v.UIDValidity() || s.UIDNext != c.v.UIDNext() {
			m.t.Fatalf("%s: %+v", name, s)
		}
		must(m.t, c.v.Close())
	}
}

// damage does something to the index that must not matter (INV-13).
func (m *model) damage() {
	index := filepath.Join(m.f.owner.Home, "index.db")
	state := filepath.Join(m.f.owner.Home, "Maildir", stateFile)
	switch k := m.rnd.IntN(6); k {
	case 0: // nothing
	case 1:
		must(m.t, os.Remove(index))
	case 2:
		must(m.t, os.Remove(state))
	case 3:
		must(m.t, os.Remove(index))
		must(m.t, os.Remove(state))
	case 4:
		b, err := os.ReadFile(index)
		must(m.t, err)
		for range 1 + m.rnd.IntN(200) {
			b[m.rnd.IntN(len(b))] ^= byte(1 + m.rnd.IntN(255))
		}
		b[m.rnd.IntN(16)] = 0 // so that it cannot go unseen
		must(m.t, os.WriteFile(index, b, 0o600))
	case 5:
		must(m.t, os.Truncate(index, int64(m.rnd.IntN(20000))))
	}
	m.damageLists()
	m.now = m.now.Add(time.Hour)
}

// damageLists deletes, cuts or replaces lists of UIDs by older ones.
func (m *model) damageLists() {
	for _, name := range modelBoxes {
		folder, _ := maildir.Folder(name)
		path := filepath.Join(m.f.owner.Home, "Maildir", folder, listFile)
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(m.t, err)
		older := m.lists[path]
		if m.rnd.IntN(3) == 0 {
			m.lists[path] = text
		}
		switch m.rnd.IntN(6) {
		case 0:
			must(m.t, os.Remove(path))
		case 1:
			must(m.t, os.Truncate(path, int64(m.rnd.IntN(len(text)))))
		case 2:
			must(m.t, os.WriteFile(path, older, 0o600))
		}
	}
}

func (m *model) disconnect() {
	for _, c := range m.clients {
		m.poll(c, true)
		must(m.t, c.v.Close())
	}
	m.clients = nil
}

// TestHistories runs random histories with nine sessions on three mailboxes
// against the model, over losses of the index.
func TestHistories(t *testing.T) {
	t.Parallel()
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	rounds, steps := 6, 120
	if testing.Short() {
		rounds, steps = 3, 60
	}
	t.Run("INV-09 INV-10 INV-12 INV-13 IMAP-017 IMAP-019", func(t *testing.T) {
		t.Logf("-mailbox.seed=%d", seed)
		m := newModel(t, seed)
		for range rounds {
			for i := range 9 {
				m.clients = append(m.clients, m.connect(modelBoxes[i%3]))
			}
			for range steps {
				m.step()
			}
			m.disconnect()
			m.verify()
			running, err := os.ReadFile(filepath.Join(m.f.owner.Home, "Maildir", stateFile))
			must(t, err)
			must(t, m.f.Account.Close())
			if m.rnd.IntN(3) == 0 { // the run was killed
				must(t, os.WriteFile(filepath.Join(m.f.owner.Home, "Maildir", stateFile), running, 0o600))
			}
			older, err := os.ReadFile(filepath.Join(m.f.owner.Home, "index.db"))
			must(t, err)
			m.damage()
			m.start()
			m.verify()
			m.deliver("INBOX")
			m.verify()
			m.f.shut()
			m.damageLists()
			if m.rnd.IntN(2) == 0 { // an index from a backup, older than the mail
				must(t, os.WriteFile(filepath.Join(m.f.owner.Home, "index.db"), older, 0o600))
				m.now = m.now.Add(time.Hour)
			}
			m.start()
			m.verify()
		}
	})
}

// TestConcurrent lets eight sessions loose at once; for the race detector, and
// for what Check finds.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-017", func(t *testing.T) {
		f := open(t, t.TempDir())
		for i := range 20 {
			f.append("INBOX", fmt.Sprint("start ", i), 0)
		}
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := f.session(uint64(g)); err != nil {
					t.Errorf("session %d: %v", g, err)
				}
			}()
		}
		wg.Wait()
		f.shut()
	})
}

// session is the work of one goroutine.
func (f *fixture) session(seed uint64) error {
	rnd := rand.New(rand.NewPCG(seed, 2))
	a, err := f.store.Open(bg, f.owner)
	if err != nil {
		return err
	}
	defer a.Close()
	v, err := a.Select(bg, []string{"INBOX", "Archive"}[seed%2], false)
	if err != nil {
		return err
	}
	defer v.Close()
	for range 40 {
		if _, err := v.Poll(bg, true); err != nil {
			return err
		}
		var uid uint32 = 1
		if n := v.Len(); n > 0 {
			uid = v.Letter(1 + rnd.Uint32N(n)).UID
		}
		switch rnd.IntN(8) {
		case 0:
			text := letterText("c")
			_, _, err = a.Append(bg, v.Name(), strings.NewReader(text), int64(len(text)), AppendOptions{})
		case 1:
			_, err = v.Store(bg, []uint32{uid, uid + 1}, FlagOp(rnd.IntN(3)), Flags{System: Deleted | Seen, Keywords: []string{"k"}})
		case 2:
			err = v.Expunge(bg, []uint32{uid})
		case 3:
			_, _, err = v.Move(bg, []uint32{uid}, "Archive")
		case 4:
			_, _, err = v.Copy(bg, []uint32{uid}, "INBOX")
		case 5:
			var r Reader
			if r, err = v.Open(bg, uid); err == nil {
				r.Close()
			}
		case 6:
			if _, err = v.Structure(bg, uid); err == nil {
				_, err = a.Status(bg, "INBOX")
			}
		case 7:
			a.mu.Lock()
			err = a.sleep()
			a.mu.Unlock()
		}
		if err != nil && !errors.Is(err, ErrGone) {
			return err
		}
	}
	return nil
}
