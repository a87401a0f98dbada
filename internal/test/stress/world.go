package stress

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is one run.
type Config struct {
	Addr, User, Password string
	Mailboxes            []string // the first is where most goes on; all but INBOX are created
	Clients              int
	Room                 int // letters in a mailbox above which nothing is added
	Seed                 uint64
	Round                time.Duration // between two comparisons
	Rounds               int
	// SMTP, if there is one, delivers letters to User meanwhile; Drained waits until
	// those that it took are in the mailbox.
	SMTP    string
	Drained func() error
	// Maildir, if it is known, is where files are added meanwhile, and Rename says that
	// some are given other flags by renaming them.
	Maildir string
	Rename  bool
	// Hazy: a size of 0 means that the server doesn't know it just then. Dovecot tells it of
	// letters that somebody else is expunging.
	Hazy bool
	// Handover, if it is needed, makes a file that was added readable to the server.
	Handover func(path string) error
	// Crash, if there is one, is called in the midst of each round: it kills the server
	// and starts it again.
	Crash func()
	Log   func(format string, args ...any)
}

// world is a run.
type world struct {
	Config
	book *Book
}

// still is how long a server has to tell everybody everything.
const still = 20 * time.Second

// Run lets the clients loose and returns what they found wrong; nothing else than a
// server that cannot be reached is an error.
func Run(cfg Config) (violations []string, err error) {
	w := &world{Config: cfg, book: newBook(cfg.Hazy)}
	observer := w.client("observer", 0)
	if err := observer.connect(); err != nil {
		return w.book.violations(), err
	}
	defer observer.disconnect()
	for _, name := range cfg.Mailboxes {
		if name != "INBOX" {
			if err := observer.ok("CREATE %s", name); err != nil {
				return w.book.violations(), err
			}
		}
	}
	var clients []*client
	for n := range cfg.Clients {
		clients = append(clients, w.client(fmt.Sprintf("c%d.", n+1), uint64(n+1)))
	}
	for round := range cfg.Rounds {
		w.round(clients, uint64(round))
		if err := w.compare(clients, observer); err != nil && len(w.book.violations()) == 0 {
			return nil, err
		}
		if violations := w.book.violations(); len(violations) > 0 {
			return violations, nil
		}
	}
	for _, c := range clients {
		c.disconnect()
	}
	letters, uids := w.book.count()
	cfg.Log("%d rounds of %v: %d letters, %d UIDs", cfg.Rounds, cfg.Round, letters, uids)
	return w.book.violations(), nil
}

func (w *world) client(name string, number uint64) *client {
	return &client{name: name, world: w, book: w.book, random: rand.New(rand.NewPCG(w.Seed, number)), kept: make(map[string]*view)}
}

// round is all at once, for a while.
func (w *world) round(clients []*client, number uint64) {
	end := time.Now().Add(w.Round)
	var busy sync.WaitGroup
	for _, c := range clients {
		busy.Go(func() {
			for time.Now().Before(end) && len(w.book.violations()) == 0 {
				if err := c.turn(); err != nil {
					c.disconnect()
					c.pause(50 * time.Millisecond)
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(w.Seed, 1<<32+number))
	if w.Crash != nil {
		busy.Go(func() {
			time.Sleep(w.Round/4 + time.Duration(random.Int64N(int64(w.Round/2))))
			w.Crash()
		})
	}
	if w.SMTP != "" {
		busy.Go(func() { w.post(end) })
	}
	if w.Maildir != "" {
		busy.Go(func() { w.meddle(end, random) })
	}
	busy.Wait()
}

// post delivers letters, as they come from outside.
func (w *world) post(end time.Time) {
	for time.Now().Before(end) {
		id, text := w.book.compose("by post\r\n")
		if w.send(text) == nil {
			w.book.taken(id)
		}
		time.Sleep(150 * time.Millisecond)
	}
}

func (w *world) send(text string) error {
	c, err := smtp.Dial(w.SMTP)
	if err != nil {
		return err
	}
	defer c.Close()
	err = errors.Join(c.Mail("bob@example.net"), c.Rcpt(w.User))
	data, dataErr := c.Data()
	if err = errors.Join(err, dataErr); err != nil {
		return err
	}
	_, err = data.Write([]byte(text))
	return errors.Join(err, data.Close())
}

// meddle adds files to the Maildir and renames some, as another program does that knows
// nothing of the server.
func (w *world) meddle(end time.Time, random *rand.Rand) {
	for n := 0; time.Now().Before(end); n++ {
		if random.IntN(3) == 0 {
			w.drop(n)
		} else if w.Rename {
			w.reflag(random)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// drop delivers a letter as a file.
func (w *world) drop(n int) {
	id, text := w.book.compose("by hand\r\n")
	name := fmt.Sprintf("%d.M%dP%d.%s", time.Now().Unix(), time.Now().Nanosecond(), n, id)
	tmp := filepath.Join(w.Maildir, "tmp", name)
	if os.WriteFile(tmp, []byte(text), 0o600) != nil || w.Handover != nil && w.Handover(tmp) != nil {
		return
	}
	if os.Rename(tmp, filepath.Join(w.Maildir, "new", name)) == nil {
		w.book.taken(id)
	}
}

// reflag gives a file other flags. It may be gone before, or be renamed by the server.
func (w *world) reflag(random *rand.Rand) {
	files, _ := filepath.Glob(filepath.Join(w.Maildir, "cur", "*:2,*"))
	if len(files) == 0 {
		return
	}
	base, flags, _ := strings.Cut(files[random.IntN(len(files))], ":2,")
	set := make(map[rune]bool)
	for _, f := range flags {
		set[f] = true
	}
	flag := []rune("FRS")[random.IntN(3)]
	if set[flag] = !set[flag]; !set[flag] {
		delete(set, flag)
	}
	os.Rename(base+":2,"+flags, base+":2,"+string(slices.Sorted(maps.Keys(set))))
}

// compare waits until everybody sees what a fresh client sees.
func (w *world) compare(clients []*client, observer *client) error {
	if w.Drained != nil {
		if err := w.Drained(); err != nil {
			return err
		}
	}
	for _, c := range clients {
		if c.wire != nil {
			c.last = strings.Join(c.wire.said, "\n    ")
		}
	}
	var reason string
	for deadline := time.Now().Add(still); ; time.Sleep(100 * time.Millisecond) {
		fresh, err := w.look(observer)
		if err != nil {
			return err
		}
		there := uidsOf(fresh)
		if reason, err = w.disagreement(clients, fresh); err == nil && reason == "" {
			reason = w.book.missing(there)
		}
		if err == nil && reason == "" {
			reason, err = w.whole()
		}
		if err != nil {
			return err
		}
		if reason == "" {
			w.book.balance(there)
			return w.comeBack(clients, fresh)
		}
		if time.Now().After(deadline) {
			w.book.violation("after %v in which nobody did anything: %s", still, reason)
			return nil
		}
	}
}

// look is what a fresh client sees in each mailbox.
func (w *world) look(observer *client) (map[string]*view, error) {
	if w.Crash != nil {
		observer.disconnect() // its connection died with the server
	}
	if observer.wire == nil {
		if err := observer.connect(); err != nil {
			return nil, err
		}
	}
	fresh := make(map[string]*view)
	for _, name := range w.Mailboxes {
		if err := observer.open(name, true); err != nil {
			return nil, err
		}
		fresh[name] = observer.view
	}
	return fresh, nil
}

// disagreement tells who believes something else, after he was told everything.
func (w *world) disagreement(clients []*client, fresh map[string]*view) (string, error) {
	for _, c := range clients {
		if c.wire == nil || c.view == nil {
			continue
		}
		if err := c.settle(); err != nil {
			return "", err
		}
		if diff := difference(c.view.picture(), fresh[c.view.name].picture()); diff != "" {
			return fmt.Sprintf("%s in %s: %s\n    %s", c.name, c.view.name, diff, c.last), nil
		}
	}
	return "", nil
}

// uidsOf is what is there, by mailbox and UID.
func uidsOf(fresh map[string]*view) map[string]map[uint32]bool {
	there := make(map[string]map[uint32]bool)
	for name, v := range fresh {
		there[name] = make(map[uint32]bool)
		for _, m := range v.messages {
			there[name][m.uid] = true
		}
	}
	return there
}

// comeBack lets those come back who know how.
func (w *world) comeBack(clients []*client, fresh map[string]*view) error {
	for _, c := range clients {
		if c.wire != nil && c.can["QRESYNC"] {
			if err := c.comeBack(fresh); err != nil {
				return err
			}
		}
	}
	return nil
}

// comeBack selects a mailbox with what it knows from an earlier pause, and has to arrive
// at what a fresh client sees (INV-11). It then keeps what it knows for the next time.
func (c *client) comeBack(fresh map[string]*view) error {
	for name, now := range fresh {
		if old := c.kept[name]; old != nil && old.modseq > 0 {
			command := fmt.Sprintf("SELECT %s (QRESYNC (%d %d))", name, old.validity, old.modseq)
			if err := c.openWith(command, name, false); err != nil {
				return err
			}
			if diff := difference(replay(old, c.earlier, c.view).picture(), now.picture()); diff != "" {
				return c.wrong("%s: %s", command, diff)
			}
		}
		if err := c.open(name, false); err != nil {
			return err
		}
		if c.random.IntN(2) == 0 || c.kept[name] == nil {
			kept := *c.view
			kept.messages = slices.Clone(kept.messages)
			c.kept[name] = &kept
		}
	}
	return nil
}

// replay is what an older picture becomes by what SELECT told.
func replay(old *view, vanished []uint32, told *view) *view {
	known := make(map[uint32]message)
	for _, m := range old.messages {
		known[m.uid] = m
	}
	for _, uid := range vanished {
		delete(known, uid)
	}
	for _, m := range told.messages {
		if m.uid != 0 {
			known[m.uid] = m
		}
	}
	v := new(view)
	for _, uid := range slices.Sorted(maps.Keys(known)) {
		v.messages = append(v.messages, known[uid])
	}
	return v
}
