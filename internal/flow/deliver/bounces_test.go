package deliver

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/bounce"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// works starts a dispatcher with settings of its notices, and ends it with the test.
func (c *corridor) works(s bounce.Settings) {
	d := c.dispatcher()
	d.clerk.notices.Configure(func() bounce.Settings { return s })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, 5*time.Second) }()
	c.t.Cleanup(func() { cancel(); check(c.t, <-done) })
}

// notice puts a notice of the house's into the queue.
func (c *corridor) notice(recipient string) queue.ID {
	return c.put(&queue.Item{Arrived: time.Now(), Origin: queue.Origin{Local: true, Protocol: "internal"}}, letterText, queue.Recipient{Address: mustParse(c.t, recipient), Original: mustParse(c.t, recipient), Route: "smtp:" + mustParse(c.t, recipient).Domain})
}

// TestDoubleBounce: a notice that can't be delivered goes to the postmaster, once; what
// can't be delivered to him either is the end.
func TestDoubleBounce(t *testing.T) {
	wanted := bounce.Settings{Language: "en", Topics: map[event.Topic]address.Address{event.DoubleBounce: {}}}
	t.Run("LOOP-005 to the postmaster", func(t *testing.T) {
		c, book := newCorridor(t), &record{}
		c.events = book
		check(t, c.accounts.AddHashed(t.Context(), mustParse(t, "postmaster@example.org"), "{PLAIN}secret", 0))
		id := c.notice("x@reject.example")
		c.works(wanted)
		c.await("the postmaster has it", func() bool { return len(c.letters("postmaster")) == 1 })
		c.await("the queue is empty", c.empty)
		letter := c.letters("postmaster")[0]
		for _, want := range []string{"Return-Path: <>\r\n", "Subject: Copy for the postmaster", "Final-Recipient: rfc822; x@reject.example\r\n", "Subject: hello\r\n"} {
			if !strings.Contains(letter, want) {
				t.Errorf("no %q in:\n%s", want, letter)
			}
		}
		if lines := strings.Join(book.of(id), "\n"); !strings.Contains(lines, "postmaster non-delivery notification: ") || strings.Contains(lines, "sender ") {
			t.Error(lines)
		}
	})
	t.Run("LOOP-005 never round", func(t *testing.T) {
		c, book := newCorridor(t), &record{}
		c.events = book
		s := wanted
		s.Topics = map[event.Topic]address.Address{event.DoubleBounce: mustParse(t, "other@reject.example")}
		c.notice("x@reject.example")
		c.works(s)
		c.await("the queue is empty", c.empty)
		ends := func() int { return strings.Count(strings.Join(book.all(), "\n"), ": removed") }
		c.await("both ends are told", func() bool { return ends() >= 2 })
		lines := strings.Join(book.all(), "\n")
		bounced, told := strings.Count(lines, "status=bounced"), strings.Count(lines, "notification")
		if bounced != 2 || told != 1 {
			t.Errorf("%d failures, %d notices:\n%s", bounced, told, lines)
		}
	})
	t.Run("LOOP-005 LOOP-006 not of strangers", func(t *testing.T) {
		c := newCorridor(t)
		check(t, c.accounts.AddHashed(t.Context(), mustParse(t, "postmaster@example.org"), "{PLAIN}secret", 0))
		c.put(&queue.Item{Arrived: time.Now(), Origin: queue.Origin{ClientAddr: "192.0.2.9", Protocol: "ESMTP"}}, letterText, to(t, "x@reject.example", 0))
		c.works(wanted)
		c.await("the queue is empty", c.empty)
		if n := len(c.letters("postmaster")); n != 0 {
			t.Errorf("the postmaster has %d letters", n)
		}
	})
}

// TestLogOfWhatExpired: as Postfix tells it: the last attempt is deferred, then the queue
// manager gives up, then the notice is written.
func TestLogOfWhatExpired(t *testing.T) {
	c, book := newCorridor(t), &record{}
	c.events = book
	c.schedule.Lifetime = 300 * time.Millisecond
	id := c.put(fromAlice(), letterText, to(t, "x@defer.example", smtp.NotifyFailure))
	c.run()
	c.await("alice is told", func() bool { return len(c.letters("alice")) == 1 })
	c.await("the queue is empty", c.empty)
	var words []string
	for _, l := range book.of(id) {
		for _, word := range []string{"status=bounced", "status=expired, returned to sender", "sender non-delivery notification", "removed"} {
			if strings.Contains(l, word) {
				words = append(words, word)
			}
		}
	}
	if want := []string{"status=expired, returned to sender", "sender non-delivery notification", "removed"}; !slices.Equal(words, want) {
		t.Errorf("%q in\n%s", words, strings.Join(book.of(id), "\n"))
	}
}

// TestAPersonGivesUp: what is expired by hand goes back with the next attempt that does
// not deliver it.
func TestAPersonGivesUp(t *testing.T) {
	c := newCorridor(t)
	clerk := &clerk{notices: bounce.New("mail.example.org", func() string { return "en" }, c.queue, c.router)}
	a := &attempt{item: &queue.Item{Sender: mustParse(t, "alice@example.org"), Origin: queue.Origin{Local: true}, Arrived: time.Now(), Expired: true}}
	for kind, want := range map[queue.Result]queue.Result{queue.Deferred: queue.Failed, queue.Delivered: queue.Delivered} {
		r := &result{recipient: queue.Recipient{N: 1}, kind: kind}
		if o := clerk.outcome(c.schedule, a, r, time.Now()); o.Result != want || r.expired != (want == queue.Failed) {
			t.Errorf("%v becomes %v", kind, o.Result)
		}
	}
}

// TestSoftBounceInTheLog: what is put off is not called 5.x.x.
func TestSoftBounceInTheLog(t *testing.T) {
	r := result{kind: queue.Deferred, reply: smtp.NewReply(550, "5.7.1", "no")}
	if got := r.dsnStatus(); got != "4.7.1" {
		t.Errorf("dsn=%s", got)
	}
	if r.kind = queue.Failed; r.dsnStatus() != "5.7.1" {
		t.Errorf("dsn=%s", r.dsnStatus())
	}
}

// TestTheJourneySaysWhatARefusalMeans.
func TestTheJourneySaysWhatARefusalMeans(t *testing.T) {
	e := Tried{Sender: mustParse(t, "alice@example.org"), Recipient: queue.Recipient{Address: mustParse(t, "x@hotmail.com")}, Result: queue.Failed,
		Relay: "hotmail-com.olc.protection.outlook.com[192.0.2.9]:25", Status: "5.7.1",
		Text: "host hotmail-com.olc.protection.outlook.com[192.0.2.9] said: 550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. part of their network is on our block list (S3140). (in reply to MAIL FROM command)"}
	if s := e.Step().Sentence; !strings.Contains(s, "takes no mail from the IP address of this server.") || !strings.Contains(s, "<https://olcsupport.office.com/>.") || !strings.HasSuffix(s, "The message goes back to its sender.") {
		t.Error(s)
	}
	e.Text = "host x[192.0.2.9] said: 550 odd (in reply to MAIL FROM command)"
	if s := e.Step().Sentence; strings.Contains(s, "This server") {
		t.Error(s)
	}
}

// TestReturnedAsItCame: an 8-bit message goes back as one, whole.
func TestReturnedAsItCame(t *testing.T) {
	c := newCorridor(t)
	it := fromAlice()
	it.Body8Bit = true
	c.put(it, "Subject: x\r\n\r\n\xe9t\xe9\r\n", to(t, "x@reject.example", 0))
	c.run()
	c.await("alice is told", func() bool { return len(c.letters("alice")) == 1 })
	if n := c.letters("alice")[0]; !strings.Contains(n, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n") || !strings.Contains(n, "\xe9t\xe9\r\n") {
		t.Error(n)
	}
}

// TestTooManyHops: LOOP-001: a host that counts hops gets an end of it, and the sender
// hears of it once.
func TestTooManyHops(t *testing.T) {
	t.Run("LOOP-001 told once", func(t *testing.T) {
		c := newCorridor(t)
		c.peer("hops.test", sim.Peer{Recipient: func(string) string { return "554 5.4.6 Error: too many hops" }})
		c.put(fromAlice(), letterText, to(t, "x@hops.test", 0))
		c.run()
		c.await("the queue is empty", c.empty)
		if all := c.letters("alice"); len(all) != 1 || !strings.Contains(all[0], "Status: 5.4.6\r\n") {
			t.Errorf("%d notices: %q", len(all), all)
		}
	})
}

// TestTopics: what the postmaster may hear of.
func TestTopics(t *testing.T) {
	alice := mustParse(t, "alice@example.org")
	for name, x := range map[string]struct {
		e    event.Topical
		want event.Topic
	}{
		"sent":                  {Tried{Sender: alice, Result: queue.Delivered, Status: "2.0.0"}, event.NoTopic},
		"put off there":         {Tried{Sender: alice, Relay: "mx[192.0.2.9]:25", Status: "4.3.2"}, event.NoTopic},
		"put off here":          {Tried{Sender: alice, Status: "4.3.0"}, event.Data},
		"nobody answers":        {Tried{Sender: alice, Status: "4.4.1"}, event.NoTopic},
		"failed":                {Tried{Sender: alice, Result: queue.Failed, Status: "5.1.1"}, event.Bounce},
		"a notice failed":       {Tried{Result: queue.Failed, Status: "5.1.1"}, event.DoubleBounce},
		"the postmaster has it": {Tried{Result: queue.Failed, Status: "5.1.1", Copied: true}, event.NoTopic},
		"LOOP-005 the last one": {Tried{Result: queue.Failed, Status: "5.1.1", Last: true}, event.NoTopic},
		"told of a delay":       {Notified{Action: dsn.Delayed}, event.Delay},
		"told of a failure":     {Notified{Action: dsn.Failed}, event.NoTopic},
		"a full disk":           {Trouble{Err: syscall.ENOSPC}, event.Resource},
		"a fault":               {Trouble{Err: context.Canceled}, event.Software},
	} {
		if got := x.e.Topic(); got != x.want {
			t.Errorf("%s is about %q, want %q", name, got, x.want)
		}
	}
}
