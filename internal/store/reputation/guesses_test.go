package reputation

import (
	"fmt"
	"testing"
	"time"
)

// row 176: who guesses addresses is locked out, and who mistypes is not.
func TestGuesses(t *testing.T) {
	guess := func(s *Store, client string, names ...string) (banned bool) {
		for _, n := range names {
			if _, now := s.Guessed(addr(client), n+"@example.org", false); now {
				banned = true
			}
		}
		return banned
	}
	names := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("name%d", i))
		}
		return out
	}
	t.Run("row 176 ABU-001 a dictionary", func(t *testing.T) {
		s := newPlace(t).open()
		if guess(s, "192.0.2.1", names(guessFree)...) {
			t.Error("banned for what many honest senders get wrong")
		}
		if !guess(s, "192.0.2.1", names(20)...) {
			t.Error("never banned")
		}
		if r, _ := s.Record(Client(addr("192.0.2.1"))); r.Offences["guess"] == 0 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("row 176 a person who is gone", func(t *testing.T) {
		s := newPlace(t).open()
		for range 1000 { // a newsletter that nobody ended
			if guess(s, "192.0.2.1", "gone") {
				t.Fatal("banned for letters to one who was here")
			}
		}
	})
	t.Run("row 176 typos of correspondents", func(t *testing.T) {
		s := newPlace(t).open()
		for i := range 60 {
			for range 6 {
				s.Greeted(addr("192.0.2.1"))
			}
			if i < 20 && guess(s, "192.0.2.1", fmt.Sprintf("typo%d", i)) {
				t.Fatal("banned for one typo in seven")
			}
		}
		for range 20 {
			s.Sent(Origin{Client: addr("192.0.2.2")}, false, 1)
		}
		if guess(s, "192.0.2.2", names(14)...) {
			t.Error("a server that brings good letters is banned for some typos")
		}
	})
	t.Run("row 176 distributed guesses", func(t *testing.T) {
		s := newPlace(t).open()
		lists := []string{"webmaster", "ceo", "sales", "admin", "test", "office"}
		offended := 0
		for i := range 20 { // each stays below the trigger of one
			client := fmt.Sprintf("198.51.%d.1", i)
			for j := range 5 {
				guess(s, client, lists[(i+j)%len(lists)])
			}
			if r, _ := s.Record(Client(addr(client))); r.Offences["guess"] > 0 {
				offended++
			}
		}
		if offended < 8 {
			t.Errorf("%d of 20 were found out", offended)
		}
		// An honest sender who writes to one of those names is not one of them.
		s.Greeted(addr("192.0.2.9"))
		if guess(s, "192.0.2.9", "webmaster") {
			t.Error("banned for one letter to webmaster@")
		}
	})
	t.Run("a week later", func(t *testing.T) {
		p := newPlace(t)
		s := p.open()
		for week := range 10 {
			for i := range 4 {
				if guess(s, "192.0.2.1", fmt.Sprintf("w%d-%d", week, i)) {
					t.Fatal("banned for four unknown people a week")
				}
			}
			p.time = p.time.Add(8 * 24 * time.Hour)
		}
	})
}
