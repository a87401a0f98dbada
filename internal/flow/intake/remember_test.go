package intake

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter/record"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/reputation"
)

// remembering gives a counter a memory for strangers.
func (c *counter) remembering(t testing.TB) *reputation.Store {
	t.Helper()
	d, err := db.Open(filepath.Join(t.TempDir(), "known.db"), directory.Migrations(), reputation.Tables())
	must(t, err)
	t.Cleanup(func() { d.Close() })
	s, err := reputation.Open(t.Context(), d, event.Discard)
	must(t, err)
	rules := &record.Rules{Bans: true, Postmaster: func(context.Context) string { return "postmaster@example.org" }, Traps: []string{"bait@example.org", "@never.example"},
		Exempt: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	c.Desk.Remember(record.NewKeeper(s, func() *record.Rules { return rules }, event.Discard))
	return s
}

// at is a stranger at an address.
func at(addr string) Peer {
	p := stranger
	p.Addr = netip.MustParseAddr(addr)
	return p
}

// rows 176 to 178: traps, decoys and guesses at the desk, and what follows.
func TestOffendersAreRefused(t *testing.T) {
	c := newCounter(t, 0)
	s := c.remembering(t)
	from := smtp.Mail{Sender: addr(t, "a@far.example")}
	rcpt := func(p Peer, to ...string) string {
		m := from
		if p.Account != "" {
			m.Sender = addr(t, p.Account)
		}
		tx, reply := c.offer(t, p, m, to...)
		if tx != nil {
			tx.Abort()
		}
		return code(reply)
	}
	t.Run("row 176 ABU-001 a dictionary", func(t *testing.T) {
		p := at("203.0.113.1")
		for _, name := range strings.Fields("a b c d e f g h i j k") {
			if got := rcpt(p, name+"@example.org"); got == "450 4.7.1" {
				break
			}
		}
		for to, want := range map[string]string{"bob@example.org": "450 4.7.1", "postmaster@example.org": "550 5.1.1", "x@elsewhere.example": "450 4.7.1"} {
			if got := rcpt(p, to); got != want { // nobody is postmaster in this test, and yet it is looked for
				t.Errorf("%s: %s, want %s", to, got, want)
			}
		}
		for _, to := range []string{"alice@example.org", "bob@example.org", "k@example.org", "never-asked@example.org"} {
			if got := rcpt(p, to); got != "450 4.7.1" {
				t.Errorf("ABU-003: who guessed too much still learns who lives here: %s: %s", to, got)
			}
		}
		if got := rcpt(at("203.0.113.2"), "bob@example.org"); got != "ok" {
			t.Errorf("its neighbour: %s", got)
		}
		friend := insider("alice@example.org")
		friend.Addr = p.Addr
		if got := rcpt(friend, "bob@example.org"); got != "ok" {
			t.Errorf("a user at the same address: %s", got)
		}
	})
	t.Run("row 177 a decoy", func(t *testing.T) {
		p := at("203.0.113.3")
		p.Decoy = true
		for range 2 {
			if got := rcpt(p, "bob@example.org", "alice@example.org"); got != "451 4.3.2" {
				t.Errorf("the decoy says %s", got)
			}
		}
		if _, banned := s.Banned(p.Addr); !banned {
			t.Error("who came twice is not banned")
		}
	})
	t.Run("a trap", func(t *testing.T) {
		p := at("203.0.113.4")
		_, answer, _ := c.talk(t, p, from, "Subject: x\r\n\r\nbuy\r\n", "bait@example.org", "any@never.example")
		if answer != "" {
			t.Errorf("refused: %s", answer)
		}
		if files, _ := filepath.Glob(filepath.Join(c.dir, "queue", "*", "*")); len(files) != 0 {
			t.Errorf("a letter to traps alone is in the queue: %v", files)
		}
		if _, banned := s.Banned(p.Addr); !banned {
			t.Error("who writes to a trap alone is not banned")
		}
		if got := rcpt(insider("alice@example.org"), "bait@example.org"); got != "550 5.1.1" {
			t.Errorf("for our own users a trap is nobody: %s", got)
		}
	})
	t.Run("a trap by mistake", func(t *testing.T) {
		p := at("203.0.113.5")
		if _, answer, _ := c.talk(t, p, from, "Subject: x\r\n\r\nx\r\n", "bob@example.org", "bait@example.org"); answer != "" {
			t.Errorf("refused: %s", answer)
		}
		if _, banned := s.Banned(p.Addr); banned {
			t.Error("banned for one mistake")
		}
	})
	t.Run("nobody guesses who writes to the postmaster", func(t *testing.T) {
		p := at("203.0.113.8")
		for _, domain := range strings.Fields("example.org EXAMPLE.org") {
			for _, name := range strings.Fields("postmaster abuse Postmaster ABUSE PostMaster aBuse POSTMASTER Abuse pOSTMASTER abusE postMaster abUSE") {
				if got := rcpt(p, name+"@"+domain); got != "550 5.1.1" {
					t.Fatalf("%s: %s", name, got)
				}
			}
		}
	})
	t.Run("row 178 turned away before the banner", func(t *testing.T) {
		p := at("203.0.113.6")
		s.BanByHand(reputation.Client(p.Addr), 1<<40)
		if _, reply := c.Connect(context.Background(), p); code(reply) != "421 4.7.0" {
			t.Errorf("%v", reply)
		}
		p.MayLogIn = true
		if v, reply := c.Connect(context.Background(), p); reply != nil {
			t.Errorf("where users log in: %v", reply)
		} else {
			v.Close()
		}
	})
}

// Who writes to people here and has an old address among them is not banned because we have
// him come again, and he sends for the others meanwhile.
func TestATrapByMistakeComesAgain(t *testing.T) {
	c := newCounter(t, 0)
	c.suspecting(t, time.Minute)
	s := c.remembering(t)
	p := at("203.0.113.7")
	var said []string
	for range 5 {
		tx, reply := c.Begin(t.Context(), p, from(t, "x@elsewhere.example"))
		for _, to := range []string{"alice@example.org", "bait@example.org"} {
			if reply = tx.Recipient(t.Context(), smtp.Rcpt{To: addr(t, to)}); reply != nil {
				said = append(said, code(reply))
			}
		}
		if reply = tx.Data(t.Context()); reply == nil {
			reply = tx.Receive(t.Context(), strings.NewReader("Subject: pills\r\nMessage-Id: <1@x>\r\n\r\nBuy.\r\n"))
		}
		if said = append(said, code(reply)); reply == nil {
			break // the trap has its letter, and is not tried again
		}
		tx.Abort()
	}
	if got := strings.Join(said, ", "); got != "451 4.7.1, 450 4.7.1, ok" {
		t.Errorf("he was told %s", got)
	}
	r, _ := s.Record(reputation.Client(p.Addr))
	if r.Bans != 0 || r.Offences["trap"] != 1 {
		t.Errorf("%+v", r)
	}
}

// Bans that are only tried let everybody in, and the journey of each letter tells of it once.
func TestBansOnTrial(t *testing.T) {
	c := newCounter(t, 0)
	s, told := c.remembering(t), new(trials)
	c.Desk.Remember(record.NewKeeper(s, func() *record.Rules { return &record.Rules{Bans: true, TestOnly: true} }, told))
	p := at("203.0.113.9")
	for range 5 {
		s.Offend(p.Addr, reputation.Trap, 1, false)
	}
	if _, answer, _ := c.talk(t, p, smtp.Mail{Sender: addr(t, "a@far.example")}, "Subject: x\r\n\r\nx\r\n", "alice@example.org", "bob@example.org"); answer != "" {
		t.Errorf("refused: %s", answer)
	}
	if len(told.steps) != 1 || !strings.Contains(told.steps[0].Sentence, "would have been refused") || told.steps[0].Item == "" {
		t.Errorf("%+v", told.steps)
	}
}

// trials are the steps of journeys about bans on trial.
type trials struct{ steps []event.Step }

func (h *trials) Emit(e event.Event) {
	if e, is := e.(record.OnTrial); is {
		h.steps = append(h.steps, e.Step())
	}
}
