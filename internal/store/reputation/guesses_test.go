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
	t.Run("row 176 ABU-001 machines of one network take turns", func(t *testing.T) {
		for _, network := range []string{"2001:db8:7:%x::1", "192.0.2.%d"} {
			p := newPlace(t)
			s := p.open()
			asked := 0
			for i := range 40 {
				for j := range 3 { // each stays below the trigger of one
					if _, now := s.Banned(addr(fmt.Sprintf(network, i+1))); !now {
						guess(s, fmt.Sprintf(network, i+1), fmt.Sprintf("n%d-%d", i, j))
						asked++
					}
				}
			}
			ban, banned := s.Banned(addr(fmt.Sprintf(network, 200)))
			if !banned || asked > guessAround+10 || ban.Subject != Network(addr(fmt.Sprintf(network, 1))) {
				t.Errorf("%s: %d addresses were asked for, %+v", network, asked, ban)
			}
			if all := s.Bans(); len(all) != 0 {
				t.Errorf("others are told to shut out a network: %v", all)
			}
			for range 20 { // nobody in it pays for long
				p.time = p.time.Add(12 * time.Hour)
				for j := range 30 {
					guess(s, fmt.Sprintf(network, 100+j), fmt.Sprintf("later%d-%d", p.time.Unix(), j))
				}
				if ban, banned = s.Banned(addr(fmt.Sprintf(network, 200))); ban.Until.Sub(p.time) > networkBan {
					t.Fatalf("banned until %v", ban.Until)
				}
			}
			if !banned || ban.Until.Sub(p.time) != networkBan {
				t.Errorf("%s does not escalate: %+v", network, ban)
			}
		}
	})
	t.Run("a provider of whose hosts some guess", func(t *testing.T) {
		s := newPlace(t).open()
		s.Sent(Origin{Client: addr("192.0.2.250")}, false, 1)
		for i := range 40 {
			guess(s, fmt.Sprintf("192.0.2.%d", i), fmt.Sprintf("n%d", i), fmt.Sprintf("m%d", i))
		}
		if _, banned := s.Banned(addr("192.0.2.251")); banned {
			t.Error("a network is banned that good letters come from")
		}
	})
	t.Run("a farm that writes to people who are gone", func(t *testing.T) {
		s := newPlace(t).open()
		for i := range 200 {
			guess(s, fmt.Sprintf("192.0.2.%d", i), names(guessAlone)...)
		}
		if _, banned := s.Banned(addr("192.0.2.250")); banned {
			t.Error("a network is banned for two addresses, asked for by each of its hosts")
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
