package imapd

import (
	"bufio"
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/mail/imap"
)

// TestTurns: searches that read letters wait for each other, and nobody waits for
// long (ATTACKS IMAP-022).
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{turns: make(turns, 1)}
		done := make(chan string)
		for _, search := range []struct {
			name    string
			letters int
		}{{"long", 1000}, {"short", 10}} {
			go func() {
				defer func() { done <- search.name }()
				s := &session{server: srv}
				q := &query{turn: true}
				if srv.turns.take(t.Context()) != nil {
					return
				}
				pause := s.progress("x")
				for i := range search.letters {
					time.Sleep(time.Millisecond) // a letter is read
					if err := pause(t.Context(), q, i, search.letters); err != nil {
						t.Error(err)
					}
				}
				srv.turns.give()
			}()
			time.Sleep(time.Microsecond)
		}
		if first, last := <-done, <-done; first != "short" {
			t.Errorf("%s ends before %s", first, last)
		}
	})
}

// TestProgress: a long search tells how far it has come (RFC 9585), and stops when the
// server does.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		s := &session{server: &Server{turns: make(turns, 1)}, enc: imap.NewEncoder(w)}
		pause := s.progress("a1")
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 25 {
			time.Sleep(time.Second)
			if err := pause(ctx, &query{}, i, 25); err != nil {
				t.Fatal(err)
			}
		}
		if want := "* OK [INPROGRESS (\"a1\" 9 25)] Still looking\r\n* OK [INPROGRESS (\"a1\" 19 25)] Still looking\r\n"; out.String() != want {
			t.Errorf("got %q", out.String())
		}
		if cancel(); pause(ctx, &query{}, 0, 0) == nil {
			t.Error("goes on without end")
		}
	})
}
