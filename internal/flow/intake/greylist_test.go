package intake

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/greylist"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/db"
	store "facteur/internal/store/greylist"
)

// pills is a check that finds letters about pills suspicious.
type pills struct{ score float64 }

func (pills) Name() string     { return "pills" }
func (pills) At() filter.Stage { return filter.End }

func (p pills) Examine(_ context.Context, l *filter.Letter) []filter.Remark {
	if !strings.Contains(string(l.Header), "pills") {
		return nil
	}
	return []filter.Remark{{Check: "pills", Name: "pills", Score: p.score, Sentence: "It is about pills."}}
}

// suspecting gives a counter a filter that knows about pills, and has strangers wait for
// wait.
func (c *counter) suspecting(t testing.TB, wait time.Duration, checks ...filter.Check) (*store.Store, *diary) {
	t.Helper()
	log := c.authenticating(t, func(r *filter.Rules) { r.Scoring, r.Checks = true, append(checks, pills{4}) })
	d, err := db.Open(filepath.Join(t.TempDir(), "facteur.db"), fstest.MapFS{"migrations/1_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t(k);\n")}}, store.Tables())
	must(t, err)
	t.Cleanup(func() { d.Close() })
	kept, err := store.Open(t.Context(), d, event.Discard)
	must(t, err)
	rules := &greylist.Rules{Hostname: "mail.example.org", From: 3, Full: 8, Shortest: wait, Longest: wait, Most: time.Hour,
		Window: 48 * time.Hour, Holds: 24 * time.Hour}
	gate := greylist.New(kept, rules, greylist.Known{}, log)
	c.with(func(r *Rules) { r.Greylist = gate })
	return kept, log
}

// TestGreylisting: rows 159 to 161, whole transactions.
func TestGreylisting(t *testing.T) {
	const suspicious, clean = "Subject: pills\r\nMessage-Id: <1@x>\r\n\r\nBuy.\r\n", "Subject: hello\r\n\r\nSee you.\r\n"
	t.Run("row 161 an honest first letter does not wait", func(t *testing.T) {
		c := newCounter(t, 0)
		kept, _ := c.suspecting(t, time.Minute)
		if where, answer, _ := c.talk(t, stranger, from(t, "x@elsewhere.example"), clean, "alice@example.org"); where != "" || len(kept.Entries()) != 0 {
			t.Error(where, answer)
		}
	})
	t.Run("row 161 a suspicious one does, and is told", func(t *testing.T) {
		c := newCounter(t, 0)
		kept, log := c.suspecting(t, time.Minute)
		where, answer, _ := c.talk(t, stranger, from(t, "x@elsewhere.example"), suspicious, "alice@example.org")
		if where != "end" || answer != "451 4.7.1 Greylisted: come again in 60 seconds. Nothing is refused; a mail server tries again by itself." {
			t.Error(where, answer)
		}
		where, answer, _ = c.talk(t, stranger, from(t, "x@elsewhere.example"), suspicious, "alice@example.org")
		if where != "rcpt" || !strings.HasPrefix(answer, "450 4.7.1 Greylisted: come again in") {
			t.Errorf("too early: %s %s", where, answer)
		}
		if e := kept.Entries()[0]; e.Size != int64(len(suspicious)) || e.Tries != 2 {
			t.Errorf("%+v", e)
		}
		kept.Release(kept.Entries()[0].ID)
		where, answer, id := c.talk(t, stranger, from(t, "x@elsewhere.example"), suspicious, "alice@example.org")
		if where != "" {
			t.Fatal(where, answer)
		}
		if text := textOf(t, c, id); !strings.Contains(text, "\nX-Greylist: delayed ") || !strings.Contains(text, " by greylisting at mail.example.org; ") {
			t.Error(text)
		}
		for _, want := range []string{"action=greylist, reason=new, ", "action=greylist, reason=early-retry (", "action=pass, reason=triplet found, delay="} {
			if !strings.Contains(log.lines(), want) {
				t.Errorf("%q is missing in\n%s", want, log.lines())
			}
		}
		if !strings.Contains(log.sentences(), "he was asked to come again in 1m0s") {
			t.Error(log.sentences())
		}
	})
	t.Run("users and trusted machines never wait", func(t *testing.T) {
		c := newCounter(t, 0)
		kept, _ := c.suspecting(t, time.Minute)
		trusted := stranger
		trusted.Addr = netip.MustParseAddr("10.1.2.3")
		for _, p := range []Peer{insider("alice@example.org"), trusted} {
			sender := "x@elsewhere.example"
			if p.Account != "" {
				sender = p.Account
			}
			if where, answer, _ := c.talk(t, p, from(t, sender), suspicious, "bob@example.org"); where != "" || len(kept.Entries()) != 0 {
				t.Error(where, answer)
			}
		}
	})
	t.Run("what is refused does not wait", func(t *testing.T) {
		c := newCounter(t, 0)
		kept, _ := c.suspecting(t, time.Minute)
		where, answer, _ := c.talk(t, stranger, from(t, "x@bank.example"), "Subject: pills\r\n"+forged, "alice@example.org")
		if where != "end" || !strings.HasPrefix(answer, "550") || len(kept.Entries()) != 0 {
			t.Error(where, answer)
		}
		c.govern(t, [3]string{"end", "true", "reject pills are not wanted"})
		if _, answer, _ = c.talk(t, stranger, from(t, "x@elsewhere.example"), suspicious, "alice@example.org"); !strings.HasPrefix(answer, "5") || len(kept.Entries()) != 0 {
			t.Error(answer)
		}
	})
	t.Run("a callout does not wait", func(t *testing.T) {
		c := newCounter(t, 0)
		c.suspecting(t, time.Minute)
		if where, _, _ := c.talk(t, stranger, smtp.Mail{}, suspicious, "alice@example.org"); where != "end" {
			t.Fatal(where)
		}
		if where, _, _ := c.talk(t, stranger, smtp.Mail{}, suspicious, "alice@example.org"); where != "end" {
			t.Errorf("put off at %s", where)
		}
	})
	t.Run("row 160 who signs is known by that", func(t *testing.T) {
		c := newCounter(t, 0)
		kept, _ := c.suspecting(t, 0, pillsToo{})
		letter := friendly(t, "pills\r\n")
		if where, _, _ := c.talk(t, stranger, from(t, "f@friend.example"), letter, "alice@example.org"); where != "end" {
			t.Fatal(where)
		}
		elsewhere := stranger
		elsewhere.Addr = netip.MustParseAddr("203.0.113.77")
		if where, answer, _ := c.talk(t, elsewhere, from(t, "bounces-17@friend.example"), letter, "bob@example.org"); where != "" {
			t.Error(where, answer)
		}
		if e := kept.Entries()[0]; e.State != store.Passed || e.Names[0] != store.Domain("friend.example") {
			t.Errorf("%+v", e)
		}
	})
}

// pillsToo finds any letter suspicious.
type pillsToo struct{}

func (pillsToo) Name() string     { return "too" }
func (pillsToo) At() filter.Stage { return filter.End }

func (pillsToo) Examine(context.Context, *filter.Letter) []filter.Remark {
	return []filter.Remark{{Check: "too", Name: "too", Score: 4, Sentence: "It is a letter."}}
}
