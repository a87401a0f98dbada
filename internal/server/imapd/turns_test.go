package imapd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/mail/imap"
)

// TestTurns: searches that read letters wait for each other, and nobody waits for
// long (ATTACKS IMAP-022).
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{config: Config{Searches: &Searches{turns: make(turns, 1)}}}
		done := make(chan string)
		for _, search := range []struct {
			name    string
			letters int
		}{{"long", 1000}, {"short", 10}} {
			go func() {
				defer func() { done <- search.name }()
				s := &session{server: srv}
				q := &query{}
				pause := s.progress("x")
				err := s.inTurn(t.Context(), q, func() error {
					for i := range search.letters {
						time.Sleep(time.Millisecond) // a letter is read
						if err := pause(t.Context(), q, i, search.letters); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil || pause(t.Context(), q, 0, 0) != nil {
					t.Error(err)
				}
				time.Sleep(2 * turnTime)
				if pause(t.Context(), q, 0, 0) != nil {
					t.Error("a turn that is over is given twice")
				}
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
		s := &session{server: &Server{}, enc: imap.NewEncoder(w)}
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

// TestIMAP022Rest: a large letter and many texts do not make a search deaf.
func TestIMAP022Rest(t *testing.T) {
	h := open(t, nil)
	c := h.user(t)
	text := "Subject: large\r\n\r\n" + strings.Repeat("some text of a large letter\r\n", 20_000)
	c.do(fmt.Sprintf("a APPEND INBOX {%d+}\r\n%s", len(text), text))
	a, err := h.store.Open(t.Context(), h.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	v, err := a.Select(t.Context(), "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	key := imap.SearchKey{Op: imap.SearchOr}
	for i := range 100 {
		key.Keys = append(key.Keys, imap.SearchKey{Op: imap.SearchBody, Text: fmt.Sprint("nowhere ", i)})
	}
	q := newQuery(v, &key, nil)
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	q.pause = func(context.Context, *query, int, int) error {
		if asked++; asked == 10 {
			cancel()
		}
		return ctx.Err()
	}
	if _, err := q.all(t.Context()); !errors.Is(err, context.Canceled) || asked != 10 {
		t.Errorf("asked %d times, %v", asked, err)
	}
}
