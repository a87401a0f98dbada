package deliver

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
	"facteur/internal/store/queue"
)

// TestIntoJunk: a letter for the mailbox with the use \Junk goes there, and into INBOX where
// there is none; a crash while it lands changes nothing of that.
func TestIntoJunk(t *testing.T) {
	for _, crash := range []bool{false, true} {
		for _, has := range []bool{true, false} {
			c := newCorridor(t)
			store := mailbox.New(vfs.OS{}, event.Discard)
			t.Cleanup(func() { store.Close() })
			steps := &sentences{}
			c.events = steps
			c.extend = func(h *House) {
				h.Folder = func(a directory.Account, folder string) (string, maildir.Dir) {
					name, at, err := store.Find(mailbox.Owner{Home: a.Home}, folder)
					check(t, err)
					return name, at
				}
			}
			root := filepath.Join(c.dir, "mail", "example.org", "bob", "Maildir")
			_, err := maildir.Create(vfs.OS{}, root)
			check(t, err)
			if !has {
				check(t, os.WriteFile(filepath.Join(root, "subscriptions"), nil, 0o600))
			}
			it := c.forFolder(`\Junk`, crash)
			c.run()
			c.await("the queue is empty", c.empty)
			into, said := "new", "was put into INBOX, for want of the mailbox Junk, of <bob@example.org>"
			if has {
				into, said = ".Junk/new", `was put into the mailbox "Junk" of <bob@example.org>`
			}
			files, _ := filepath.Glob(filepath.Join(root, into, "*"))
			all, _ := filepath.Glob(filepath.Join(root, "*", "*"+it.String()+"*"))
			if more, _ := filepath.Glob(filepath.Join(root, ".*", "*", "*"+it.String()+"*")); len(files) != 1 || len(all)+len(more) != 1 {
				t.Errorf("crash %t, a Junk %t: %q, %q, %q", crash, has, files, all, more)
			}
			if !strings.Contains(steps.String(), said) {
				t.Errorf("crash %t, a Junk %t: %s", crash, has, steps.String())
			}
		}
	}
}

// forFolder puts a letter for bob's folder into the queue; landing: durable in tmp, as a
// crash leaves it.
func (c *corridor) forFolder(folder string, landing bool) queue.ID {
	c.t.Helper()
	s := c.queue.Spool()
	_, err := s.Write([]byte(letterText))
	check(c.t, err)
	to := mustParse(c.t, "bob@example.org")
	it := &queue.Item{ID: c.queue.NextID(), Sender: mustParse(c.t, "s@elsewhere.example"),
		Recipients: []queue.Recipient{{Address: to, Original: to, Route: "mailbox:bob@example.org", Folder: folder}}}
	check(c.t, c.queue.Commit(c.t.Context(), queue.Draft{Item: it, Spool: s}))
	if !landing {
		return it.ID
	}
	_, err = c.queue.Settle(c.t.Context(), queue.Settlement{Item: it.ID, Outcomes: []queue.Outcome{{N: 1, Result: queue.Staged}}})
	check(c.t, err)
	c.stageByHand(it.ID)
	c.queue.Close()
	c.queue, err = queue.Open(c.dir)
	check(c.t, err)
	return it.ID
}

// sentences are what journeys say.
type sentences struct {
	mu   sync.Mutex
	list []string
}

func (s *sentences) Emit(e event.Event) {
	if x, is := e.(event.Stepper); is {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.list = append(s.list, x.Step().Sentence)
	}
}

func (s *sentences) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.list, "\n")
}
