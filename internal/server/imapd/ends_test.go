package imapd

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/server/listen"
)

// TestAutologout: 30 minutes of silence end a session (RFC 9051 §5.4).
func TestAutologout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		w := newWire(listen.NewConn(there), newPools())
		w.loginBy = time.Time{}
		start := time.Now()
		err := w.await(w.patience(), nil)
		if took := time.Since(start); took != idleTime || !errors.Is(err, os.ErrDeadlineExceeded) || farewell(err) == "" {
			t.Error(took, err)
		}
	})
}

// TestMailboxGone: a session whose mailbox another takes away is told so, and
// ends; message numbers would mean nothing any more.
func TestMailboxGone(t *testing.T) {
	for _, c := range []struct{ how, during string }{
		{"DELETE Work", "NOOP"}, {"RENAME Work Play", "NOOP"}, {"DELETE Work", "IDLE"}, {"DELETE Work", "UID FETCH 1:* FLAGS"},
	} {
		t.Run(c.how+" "+c.during, func(t *testing.T) {
			h := open(t, nil)
			one, two := h.user(t), h.user(t)
			one.want("a CREATE Work", "a OK")
			two.want("a SELECT Work", "a OK")
			if c.during == "IDLE" {
				two.want("b IDLE", "+ idling")
			}
			one.want("b "+c.how, "b OK")
			if c.during != "IDLE" {
				two.send("b " + c.during + "\r\n")
			}
			var lines []string
			for l := ""; l != "EOF"; {
				l = two.line()
				lines = append(lines, l)
			}
			if all := strings.Join(lines, "\n"); !strings.Contains(all, "* BYE The selected mailbox was deleted or renamed") {
				t.Error(all)
			}
			one.want("c NOOP", "c OK")
		})
	}
}

// TestSelectedGone: who deletes the mailbox that he has open stays logged in.
func TestSelectedGone(t *testing.T) {
	c := open(t, nil).user(t)
	c.want("a CREATE Work", "a OK")
	c.want("b SELECT Work", "b OK")
	c.want("c DELETE Work", "c OK")
	c.want("d FETCH 1 FLAGS", "d BAD No mailbox is selected")
	c.want("e SELECT INBOX", "e OK")
}
