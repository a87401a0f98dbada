package greylist

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
	store "facteur/internal/store/greylist"
)

var others = fstest.MapFS{"migrations/1_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t(k);\n")}}

// node is a server with a table of its own.
type node struct {
	*Gate
	store *store.Store
	rules Rules
	log   lines
	path  string
	db    *db.DB
}

type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Emit(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, line := e.Line()
	l.all = append(l.all, line)
}

func usual() Rules {
	return Rules{Hostname: "mail.here.example", From: 3, Full: 8, Shortest: time.Minute, Longest: 10 * time.Minute, Most: time.Hour,
		Window: 48 * time.Hour, Holds: 60 * 24 * time.Hour}
}

func newNode(t *testing.T, known Known) *node {
	t.Helper()
	n := &node{rules: usual(), path: filepath.Join(t.TempDir(), "facteur.db")}
	n.open(t, known)
	t.Cleanup(func() { n.db.Close() })
	return n
}

func (n *node) open(t *testing.T, known Known) {
	t.Helper()
	var err error
	if n.db, err = db.Open(n.path, others, store.Tables()); err != nil {
		t.Fatal(err)
	}
	if n.store, err = store.Open(t.Context(), n.db, event.Discard); err != nil {
		t.Fatal(err)
	}
	n.Gate = New(n.store, &n.rules, known, &n.log)
}

// restart ends the server and starts it again; crash: without writing what it knows.
func (n *node) restart(t *testing.T, crash bool) {
	t.Helper()
	if !crash {
		if err := n.store.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	n.db.Close()
	n.open(t, Known{})
}

// letter is a suspicious one of alice@sender.example to bob@here.example, with what is
// changed about it.
func letter(change ...func(*Letter)) *Letter {
	l := &Letter{ID: "4fXyZ", Client: netip.MustParseAddr("192.0.2.1"), Name: "unknown", Helo: "sender.example",
		Sender: address.Address{Local: "alice", Domain: "sender.example"}, MessageID: "<1@sender.example>", Size: 1000, Suspicion: 4,
		Recipients: []Recipient{{Address: address.Address{Local: "bob", Domain: "here.example"}, Account: "bob@here.example"}}}
	for _, c := range change {
		c(l)
	}
	return l
}

func from(addr string) func(*Letter)   { return func(l *Letter) { l.Client = netip.MustParseAddr(addr) } }
func called(name string) func(*Letter) { return func(l *Letter) { l.Name = name } }
func by(sender string) func(*Letter) {
	return func(l *Letter) { l.Sender, _ = address.Parse(sender) }
}
func proven(domains ...string) func(*Letter) {
	return func(l *Letter) { l.Proven, l.Authentic, l.Aligned = domains, true, true }
}
func scored(s float64) func(*Letter) { return func(l *Letter) { l.Suspicion = s } }
func id(s string) func(*Letter)      { return func(l *Letter) { l.MessageID = s } }
func to(all ...string) func(*Letter) {
	return func(l *Letter) {
		l.Recipients = nil
		for _, one := range all {
			a, _ := address.Parse(one)
			l.Recipients = append(l.Recipients, Recipient{Address: a, Account: a.Key()})
		}
	}
}

// outcome is "pass" or how long to wait, and why.
func outcome(d Decision) string {
	if d.Reply == nil {
		return strings.TrimSpace("pass " + d.Reason)
	}
	return d.Wait.String() + " " + d.Reason
}

// in runs a story in a time of its own.
func in(t *testing.T, name string, story func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, story) })
}

func (n *node) expect(t *testing.T, want string, l *Letter) {
	t.Helper()
	if got := outcome(n.Ask(t.Context(), l)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDelay: row 161, the delay is minutes, grows with suspicion, is told, and does not
// begin anew.
func TestDelay(t *testing.T) {
	in(t, "row 161 an honest first letter does not wait", func(t *testing.T) {
		n := newNode(t, Known{})
		n.expect(t, "pass", letter(scored(0)))
		n.expect(t, "pass", letter(scored(2.9)))
		if n.Early(letter(), letter().Recipients[0]).Reply != nil || len(n.store.Entries()) != 0 || len(n.log.all) != 0 {
			t.Error("it left a trace")
		}
	})
	in(t, "row 161 it grows with suspicion", func(t *testing.T) {
		n := newNode(t, Known{})
		for i, want := range []string{"1m0s", "2m48s", "4m36s", "6m24s", "8m12s", "10m0s", "10m0s"} {
			n.expect(t, want+" new", letter(from(fmt.Sprintf("10.0.%d.1", i)), id(fmt.Sprint(i)), scored(3+float64(i))))
		}
	})
	in(t, "row 161 it is told, and does not begin anew", func(t *testing.T) {
		n := newNode(t, Known{})
		l := letter()
		d := n.Ask(t.Context(), l)
		if got := d.Reply.Error(); got != "451 4.7.1 Greylisted: come again in 168 seconds. Nothing is refused; a mail server tries again by itself." {
			t.Error(got)
		}
		time.Sleep(100 * time.Second)
		early := n.Early(l, l.Recipients[0])
		if got := early.Reply.Error(); !strings.HasPrefix(got, "450 4.7.1 Greylisted: come again in 68 seconds.") {
			t.Error(got)
		}
		n.expect(t, "1m8s early-retry (68s missing)", l)
		time.Sleep(68 * time.Second)
		if n.Early(l, l.Recipients[0]).Reply != nil {
			t.Error("it is time, and he is told to wait")
		}
		d = n.Ask(t.Context(), l)
		if outcome(d) != "pass triplet found, delay=168" || d.Field != "delayed 168 seconds by greylisting at mail.here.example" {
			t.Errorf("%+v", d)
		}
		n.expect(t, "pass triplet found", l)
		want := []string{
			"4fXyZ: action=greylist, reason=new, client_name=unknown, client_address=192.0.2.1, sender=alice@sender.example, recipient=bob@here.example",
			"4fXyZ: action=greylist, reason=early-retry (68s missing), client_name=unknown, client_address=192.0.2.1, sender=alice@sender.example, recipient=bob@here.example",
			"4fXyZ: action=greylist, reason=early-retry (68s missing), client_name=unknown, client_address=192.0.2.1, sender=alice@sender.example, recipient=bob@here.example",
			"4fXyZ: action=pass, reason=triplet found, delay=168, client_name=unknown, client_address=192.0.2.1, sender=alice@sender.example, recipient=bob@here.example",
			"4fXyZ: action=pass, reason=triplet found, client_name=unknown, client_address=192.0.2.1, sender=alice@sender.example, recipient=bob@here.example",
		}
		if got := strings.Join(n.log.all, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("the log has\n%s", got)
		}
	})
	in(t, "row 161 nobody waits longer than an hour", func(t *testing.T) {
		n := newNode(t, Known{}) // a farm that nothing recognises
		for i := range 6 {
			d := n.Ask(t.Context(), letter(from(fmt.Sprintf("10.%d.0.1", i)), scored(9)))
			if d.Reply == nil {
				t.Errorf("already the %dth", i)
			}
			time.Sleep(10 * time.Minute)
		}
		n.expect(t, "pass triplet found, delay=3600", letter(from("10.99.0.1"), scored(9)))
	})
	in(t, "who has become less suspicious is back", func(t *testing.T) {
		n := newNode(t, Known{})
		n.expect(t, "10m0s new", letter(scored(9)))
		time.Sleep(time.Minute)
		n.expect(t, "pass triplet found, delay=60", letter(scored(0)))
		if d := n.store.Days()[0]; d.Back != 1 || d.Delayed != 1 {
			t.Errorf("%+v", d)
		}
	})
	in(t, "two days to come back, sixty to be known", func(t *testing.T) {
		n := newNode(t, Known{})
		n.expect(t, "2m48s new", letter())
		time.Sleep(47 * time.Hour)
		n.expect(t, "pass triplet found, delay=169200", letter())
		time.Sleep(59 * 24 * time.Hour)
		n.expect(t, "pass triplet found", letter(id("2")))
		time.Sleep(61 * 24 * time.Hour)
		n.expect(t, "2m48s new", letter(id("3")))
		time.Sleep(49 * time.Hour)
		n.expect(t, "2m48s new", letter(id("3")))
	})
}

// TestFarms: row 160, ABU-018, who comes again from elsewhere is known.
func TestFarms(t *testing.T) {
	for name, x := range map[string]struct{ first, again *Letter }{
		"ABU-018 another address of the /24":        {letter(from("192.0.2.1")), letter(from("192.0.2.254"))},
		"ABU-018 another /64 of the /48":            {letter(from("2001:db8:1:1::1")), letter(from("2001:db8:1:ffff::1"))},
		"ABU-018 IPv4 in IPv6":                      {letter(from("192.0.2.1")), letter(from("::ffff:192.0.2.7"))},
		"row 160 hosts of one domain (hello OVH)":   {letter(called("mo1.mail-out.farm.example"), id("")), letter(from("198.51.100.7"), called("9.mo2.mail-out.farm.example"), id(""))},
		"row 160 a domain that SPF or DKIM prove":   {letter(proven("sender.example"), id("")), letter(from("203.0.113.1"), proven("sender.example"), by("other@sender.example"), id(""))},
		"row 160 below it":                          {letter(proven("em1.sender.example"), id("")), letter(from("203.0.113.1"), proven("em2.sender.example"), by("x@em2.sender.example"), id(""))},
		"row 160 proven only the second time":       {letter(), letter(from("192.0.2.99"), proven("sender.example"), id(""))},
		"row 160 the sender by SRS, another day":    {letter(by("SRS0=aaaa=TT=a.example=bob@fwd.example"), id("")), letter(from("192.0.2.3"), by("SRS0=bbbb=TU=a.example=bob@fwd.example"), id(""))},
		"row 160 a list that numbers its letters":   {letter(by("bounce-17-4711@list.example"), id("")), letter(by("bounce-18-4711@list.example"), id(""))},
		"row 160 for another recipient of the same": {letter(), letter(to("carol@here.example"), id(""))},
		"row 160 for some of the recipients":        {letter(to("bob@here.example", "eve@there.example")), letter(to("eve@there.example"), id(""))},
		"row 160 for more of them":                  {letter(), letter(to("eve@there.example", "bob@here.example"), id(""))},
		"a notice":                                  {letter(by("")), letter(from("192.0.2.77"), by(""), id(""))},
	} {
		in(t, name, func(t *testing.T) {
			n := newNode(t, Known{})
			if n.Ask(t.Context(), x.first).Reply == nil {
				t.Fatal("it does not wait")
			}
			time.Sleep(11 * time.Minute)
			if got := n.Ask(t.Context(), x.again); got.Reply != nil || got.Waited != 11*time.Minute {
				t.Errorf("it is not known again: %s", outcome(got))
			}
		})
	}
	for name, x := range map[string]struct{ first, again *Letter }{
		"another sender of the network":        {letter(), letter(by("mallory@sender.example"), id("2"))},
		"another network":                      {letter(), letter(from("198.51.100.1"), id("2"))},
		"a host that only says a name":         {letter(called("a.farm.example")), letter(from("198.51.100.1"), called("unknown"), id("2"))},
		"another letter of an unproven domain": {letter(), letter(from("198.51.100.1"), by("bob@sender.example"), id("2"))},
		"recipients elsewhere":                 {letter(), letter(to("eve@there.example"))},
	} {
		in(t, "a stranger still: "+name, func(t *testing.T) {
			n := newNode(t, Known{})
			n.Ask(t.Context(), x.first)
			time.Sleep(11 * time.Minute)
			if n.Ask(t.Context(), x.again).Reply == nil {
				t.Error("it is taken for the same")
			}
		})
	}
}

// TestNoTableIsShared: ABU-018, another node of a cluster, and a table that is lost, make
// somebody wait once more, and never for ever.
func TestNoTableIsShared(t *testing.T) {
	in(t, "ABU-018 another node of the cluster", func(t *testing.T) {
		nodes := []*node{newNode(t, Known{}), newNode(t, Known{}), newNode(t, Known{})}
		tries := 0
		for ; tries < 20 && nodes[tries%3].Ask(t.Context(), letter(scored(9))).Reply != nil; tries++ {
			time.Sleep(5 * time.Minute)
		}
		if tries != 3 {
			t.Errorf("let in after %d tries", tries)
		}
	})
	for name, crash := range map[string]bool{"ABU-018 a restart": false, "ABU-018 a crash loses seconds": true} {
		in(t, name, func(t *testing.T) {
			n := newNode(t, Known{})
			n.Ask(t.Context(), letter())
			time.Sleep(10 * time.Minute)
			n.restart(t, crash)
			if got := n.Ask(t.Context(), letter()); (got.Reply != nil) != crash {
				t.Errorf("after it: %s", outcome(got))
			}
			time.Sleep(10 * time.Minute)
			if got := n.Ask(t.Context(), letter()); got.Reply != nil {
				t.Errorf("later: %s", outcome(got))
			}
		})
	}
}

// TestExempt: row 159, the educated white list and those who are known never wait.
func TestExempt(t *testing.T) {
	known := Known{
		Correspondent: func(_ context.Context, account string, a address.Address) bool {
			return account == "bob@here.example" && a.Key() == "friend@sender.example"
		},
		Operator:  func(a netip.Addr) bool { return a == netip.MustParseAddr("203.0.113.9") },
		Reputable: func(a netip.Addr, _ []string) bool { return a == netip.MustParseAddr("203.0.113.10") },
		Spared:    func(_ context.Context, to Recipient) bool { return to.Account == "hasty@here.example" },
	}
	for name, x := range map[string]struct {
		l    *Letter
		want string
	}{
		"row 159 hello Facebook, by its name": {letter(called("66-220-144-1.mail-mail.facebook.com")), clientListed},
		"row 159 hello Facebook, by SPF":      {letter(proven("facebookmail.com")), clientListed},
		"row 159 hello OVH":                   {letter(called("1.mo1.mail-out.ovh.net")), clientListed},
		"its name as part of another":         {letter(called("notfacebook.com")), "new"},
		"its name in front of another":        {letter(called("facebook.com.evil.example")), "new"},
		"a sender without proof":              {letter(by("x@facebookmail.com")), "new"},
		"row 159 a network of the settings":   {letter(from("10.1.2.3")), clientListed},
		"row 159 a recipient who is in haste": {letter(to("sales@here.example")), recipientListed},
		"row 159 a domain that is":            {letter(to("x@there.example")), recipientListed},
		"an account that is":                  {letter(to("hasty@here.example")), recipientListed},
		"one of several":                      {letter(to("bob@here.example", "x@there.example")), recipientListed},
		"a known correspondent":               {letter(by("friend@sender.example"), proven("sender.example")), correspondent},
		"somebody in his name":                {letter(by("friend@sender.example")), "new"},
		"another's correspondent":             {letter(by("friend@sender.example"), proven("sender.example"), to("carol@here.example")), "new"},
		"a provider":                          {letter(from("203.0.113.9")), operator},
		"a good host":                         {letter(from("203.0.113.10")), reputable},
	} {
		in(t, name, func(t *testing.T) {
			n := newNode(t, known)
			n.rules.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			n.rules.Recipients = NewRecipients([]string{"Sales@here.example", "there.example"})
			for _, o := range Operators() {
				n.rules.Names = append(n.rules.Names, o.Domain)
				n.rules.Domains = append(n.rules.Domains, o.Domain)
			}
			if got := n.Ask(t.Context(), x.l).Reason; got != x.want {
				t.Errorf("%q", got)
			}
		})
	}
	in(t, "who was seen before", func(t *testing.T) {
		n := newNode(t, Known{})
		n.Taken(letter(by("news-17@sender.example"), scored(0))) // nothing proves who it was
		n.Taken(letter(by("news-17@sender.example"), scored(9), proven("sender.example")))
		n.expect(t, "2m48s new", letter(by("news-18@sender.example"), proven("sender.example")))
		n.Taken(letter(by("friend-17@other.example"), proven("other.example"), scored(0)))
		n.restart(t, false)
		n.expect(t, "pass seen before", letter(by("friend-18@other.example"), proven("other.example"), from("198.51.100.1"), to("carol@there.example")))
		n.expect(t, "2m48s new", letter(by("friend-18@other.example"), from("198.51.100.2"), id("3")))
	})
	for _, subject := range []string{"192.0.2.0/24", "192.0.2.1", "host.example", "a.host.example", "alice@sender.example", "sender.example", "BOB@here.example", "here.example"} {
		in(t, "allowed: "+subject, func(t *testing.T) {
			n := newNode(t, Known{})
			kept, err := Subject(subject)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.store.Allow(t.Context(), kept); err != nil {
				t.Fatal(err)
			}
			n.expect(t, "pass allowed", letter(called("a.host.example")))
		})
	}
	var none *Gate
	if none.Ask(t.Context(), letter()).Reply != nil || none.Early(letter(), Recipient{}).Reply != nil {
		t.Error("a gate that is not there")
	}
	none.Taken(letter())
}

// TestNotices: who asks whether an address is there, before he takes mail from it, says
// MAIL FROM:<> and RCPT, and is not put off; nor is a notice for long.
func TestNotices(t *testing.T) {
	in(t, "callouts", func(t *testing.T) {
		n := newNode(t, Known{})
		l := letter(by(""), scored(9))
		n.expect(t, "1m0s new", l)
		if n.Early(l, l.Recipients[0]).Reply != nil {
			t.Error("a callout is put off at RCPT")
		}
	})
}

// TestRelease: who is released need not wait, even if it was said before.
func TestRelease(t *testing.T) {
	in(t, "released", func(t *testing.T) {
		n := newNode(t, Known{})
		n.expect(t, "10m0s new", letter(scored(9)))
		n.store.Release(n.store.Entries()[0].ID)
		if n.Early(letter(), letter().Recipients[0]).Reply != nil {
			t.Error("at RCPT")
		}
		n.expect(t, "pass triplet found, delay=0", letter(scored(9)))
	})
	in(t, "only tested", func(t *testing.T) {
		n := newNode(t, Known{})
		n.rules.TestOnly = true
		n.expect(t, "pass", letter())
		if n.Early(letter(), letter().Recipients[0]).Reply != nil || len(n.store.Entries()) != 0 {
			t.Error("it waits")
		}
		if len(n.log.all) != 1 || !strings.Contains(n.log.all[0], "action=test, reason=new,") {
			t.Error(n.log.all)
		}
	})
}

// A flood of strangers is put off, or let in to the filter where there is no room: nobody is
// ever put off for good.
func TestFlood(t *testing.T) {
	in(t, "ABU-008 one network, many senders", func(t *testing.T) {
		n := newNode(t, Known{})
		for i := range 500 {
			if n.Ask(t.Context(), letter(by(fmt.Sprintf("%c%c%c@evil.example", 'a'+i%20, 'a'+i/20%20, 'a'+i/400)), id(fmt.Sprint(i)))).Reply == nil {
				t.Fatalf("the %dth is let in", i)
			}
		}
		honest := letter(by("honest@neighbour.example"), id("honest"))
		n.Ask(t.Context(), honest)
		time.Sleep(11 * time.Minute)
		if got := n.Ask(t.Context(), honest); got.Reply != nil {
			t.Error(outcome(got))
		}
	})
}

func BenchmarkAskClean(b *testing.B) {
	d, err := db.Open(filepath.Join(b.TempDir(), "facteur.db"), others, store.Tables())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	s, err := store.Open(b.Context(), d, event.Discard)
	if err != nil {
		b.Fatal(err)
	}
	rules := usual()
	g := New(s, &rules, Known{}, event.Discard)
	l := letter(scored(0), proven("sender.example"), called("mx.sender.example"))
	b.ReportAllocs()
	for b.Loop() {
		g.Ask(b.Context(), l)
	}
}
