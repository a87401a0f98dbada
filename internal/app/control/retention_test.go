package control

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// tidied is a sink that keeps what it hears of letters in mailboxes.
type tidied struct {
	mu    sync.Mutex
	lines []string
}

// Emit implements event.Sink.
func (s *tidied) Emit(e event.Event) {
	if d, ok := e.(Tidied); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		program, line := d.Line()
		s.lines = append(s.lines, program+": "+line)
	}
}

// take gives what was heard since the last time.
func (s *tidied) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.lines = nil }()
	return s.lines
}

// Who changes the mail of somebody else is in the log: who, whose, where, how much.
func TestTidyingIsTold(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"stopped", "running"} {
		t.Run(way, func(t *testing.T) {
			cfg, err := config.Parse(filepath.Join(t.TempDir(), "facteur.toml"), []byte("hostname = 'mx.example.org'\ndata_dir = 'data'\n"+
				"[mailbox]\nkeep_expunged = '30d'\n[[mailbox.expire]]\nname = 'Trash'\nafter = '1s'\n[[domain]]\nname = 'example.org'"))
			must(t, err)
			var stores *Stores
			if way == "running" {
				stores = running(t, cfg)
			}
			o := office(t, cfg)
			if stores == nil {
				stores = o.(*Stores)
			}
			heard := &tidied{}
			stores.events = heard
			testTidying(t, o, stores, heard)
		})
	}
}

func testTidying(t *testing.T, o Office, stores *Stores, heard *tidied) {
	ctx := t.Context()
	must(t, o.AddAccount(ctx, NewAccount{Address: "alice@example.org", Password: "secret"}))
	must(t, stores.withMailboxes(ctx, "alice@example.org", func(a *mailbox.Account, _ directory.Account) error {
		for _, name := range []string{"INBOX", "INBOX", "Trash"} {
			_, _, err := a.Append(ctx, name, strings.NewReader("A: b\r\n"), 6,
				mailbox.AppendOptions{Flags: mailbox.Flags{System: mailbox.Deleted}})
			must(t, err)
		}
		return nil
	}))
	by := caller(ctx)
	for _, c := range []struct {
		name string
		do   func() error
		want string
	}{
		{"expunge", func() error {
			return second(o.Expunge(ctx, Expunge{Address: "ALICE@example.org", Mailbox: "INBOX"}))
		}, fmt.Sprintf(`dovecot: doveadm(alice@example.org): expunge: messages=2, by=%s, box="INBOX"`, by)},
		{"expunge nothing", func() error {
			return second(o.Expunge(ctx, Expunge{Address: "alice@example.org", Mailbox: "INBOX"}))
		}, ""},
		{"expire", func() error {
			for range 100 { // it becomes too old
				if list, err := o.Expire(ctx, AccountName{"alice@example.org"}); err != nil || len(list) > 0 {
					return err
				}
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		}, fmt.Sprintf(`dovecot: doveadm(alice@example.org): expire: messages=1, by=%s, box="Trash"`, by)},
		{"undelete", func() error { return second(o.Undelete(ctx, Undelete{Address: "alice@example.org", Mailbox: "INBOX"})) },
			fmt.Sprintf(`dovecot: doveadm(alice@example.org): undelete: messages=2, by=%s, box="INBOX"`, by)},
	} {
		must(t, c.do())
		want := []string(nil)
		if c.want != "" {
			want = []string{c.want}
		}
		if got := heard.take(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}

// The name of a mailbox is what its owner likes.
func TestTidyingIsOneLine(t *testing.T) {
	_, line := Tidied{Expiring, Caller{Name: "root"}, "alice@example.org", Moved{"x\", by=bob\r\n\x1b[2J", 1}}.Line()
	if want := `doveadm(alice@example.org): expire: messages=1, by=root, box="x\", by=bob\r\n\x1b[2J"`; line != want {
		t.Errorf("\n got %s\nwant %s", line, want)
	}
}
