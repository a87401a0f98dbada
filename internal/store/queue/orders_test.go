package queue

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/store/queue/queuetest"
)

// to is a draft for whole addresses, from one.
func letter(t testing.TB, q *Queue, from string, size int, to ...string) Draft {
	t.Helper()
	d := draft(q, size)
	var err error
	if d.Item.Sender, err = address.Parse(from); from != "" && err != nil {
		t.Fatal(err)
	}
	for _, s := range to {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		d.Item.Recipients = append(d.Item.Recipients, Recipient{Address: a, Original: a, Route: "smtp:" + a.Domain})
	}
	return d
}

// deferred tries what is due and puts it off.
func deferred(t testing.TB, q *Queue, reply string) {
	t.Helper()
	for _, it := range claim(t, q, time.Now()) {
		s := Settlement{Item: it.ID}
		for _, r := range it.Recipients {
			s.Outcomes = append(s.Outcomes, Outcome{N: r.N, Due: time.Now().Add(time.Hour), Reply: reply})
		}
		settled(t, q, s)
	}
}

func TestFilter(t *testing.T) {
	q := openTest(t, t.TempDir())
	names := map[ID]string{}
	keep := func(name string, d Draft) { names[commit(t, q, d).ID] = name }
	keep("held", letter(t, q, "Ann@example.org", 10, "held@example.com"))
	if _, err := q.Hold(ctx, Filter{Recipient: "held@example.com"}); err != nil {
		t.Fatal(err)
	}
	keep("deferred", letter(t, q, "ann@example.org", 1000, "a@example.com", "b@sub.example.com"))
	keep("notice", letter(t, q, "", 10, "ann@example.org"))
	deferred(t, q, "host mx.example.com said: 452 Too MANY emails")
	keep("active", letter(t, q, "bob@example.net", 10, "c@example.com"))
	active := claim(t, q, time.Now())
	keep("incoming", letter(t, q, "bob@example.net", 10, `"x@example.com"@example.net`))
	for _, x := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "held deferred notice active incoming"},
		{Filter{Shelf: ShelfHold}, "held"},
		{Filter{Shelf: ShelfDeferred}, "deferred notice"},
		{Filter{Shelf: ShelfActive}, "active incoming"}, // at hand, and handed out next
		{Filter{IDs: []ID{active[0].ID, 7, active[0].ID}}, "active"},
		{Filter{IDs: []ID{7}}, ""},
		{Filter{Sender: "ANN@example.org"}, "held deferred"},
		{Filter{Sender: "@Example.NET"}, "active incoming"},
		{Filter{Sender: "<>"}, "notice"},
		{Filter{Sender: "@ample.org"}, ""},
		{Filter{Recipient: "C@example.com"}, "active"},
		{Filter{Recipient: `"x@example.com"@example.net`}, "incoming"},
		{Filter{Recipient: "@example.com"}, "held deferred active"},
		{Filter{Domain: "example.com"}, "held deferred active"},
		{Filter{Domain: "sub.example.com"}, "deferred"},
		{Filter{Domain: ".example.com", Shelf: ShelfDeferred}, "deferred"},
		{Filter{Domain: ".ample.com"}, ""},
		{Filter{Domain: "."}, ""},
		{Filter{Larger: 10}, "deferred"},
		{Filter{Before: time.Now().Add(-time.Hour)}, ""},
		{Filter{Before: time.Now().Add(time.Hour), Reason: "too many"}, "deferred notice"},
		{Filter{Reason: "%"}, ""},
	} {
		var got []string
		n, err := q.Count(ctx, x.f)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Select(ctx, x.f, func(it *Item) bool { got = append(got, names[it.ID]); return true }); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != x.want || n.Items != len(got) {
			t.Errorf("%+v: %v, %d counted; want %s", x.f, got, n.Items, x.want)
		}
	}
}

// what tells what is left, as "address state attempts due-or-not".
func what(t testing.TB, q *Queue) string {
	t.Helper()
	var all []string
	if err := q.List(ctx, func(it *Item) bool {
		for _, r := range it.Recipients {
			due := "later"
			if !r.Due.After(time.Now()) {
				due = "now"
			}
			text := fmt.Sprint(r.Address.Local, " ", r.State, " ", r.Attempts, " ", due)
			if r.Expired {
				text += " expired"
			}
			all = append(all, text)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	// What is in quarantine has its row and what is known of it, both or neither.
	shelved := 0
	if err := q.Select(ctx, Filter{Shelf: ShelfQuarantine}, func(it *Item) bool { shelved += len(it.Recipients); return true }); err != nil {
		t.Fatal(err)
	}
	if err := q.Exhibits(ctx, ExhibitFilter{}, func(x Exhibit) bool {
		all, shelved = append(all, fmt.Sprint(x.To.Local, " in quarantine as ", x.Category)), shelved-1
		return true
	}); err != nil {
		t.Fatal(err)
	}
	var known int
	if err := q.db.Reader().QueryRow("SELECT count(*) - (SELECT count(*) FROM recipient WHERE state = 5) FROM exhibit").Scan(&known); err != nil || known != 0 || shelved != 0 {
		t.Errorf("%d exhibits more than recipients in quarantine, %d recipients more than exhibits, %v", known, shelved, err)
	}
	return strings.Join(all, "; ")
}

func TestOrders(t *testing.T) {
	requeue := func(q *Queue) (Count, error) {
		return q.Requeue(ctx, Filter{}, func(_ context.Context, _ *Item, r Recipient) (Recipient, error) {
			if r.Address.Local == "h" {
				return r, errors.New("try again")
			}
			r.Address.Local, r.Route = r.Address.Local+"2", "mailbox:x"
			return r, nil
		})
	}
	for _, x := range []struct {
		name string
		do   func(*Queue) (Count, error)
		n    Count
		want string
	}{
		{"hold", func(q *Queue) (Count, error) { return q.Hold(ctx, Filter{}) }, Count{1, 2, 5, 0}, "h held 0 now; a held 1 later; b held 1 later"},
		{"hold one", func(q *Queue) (Count, error) { return q.Hold(ctx, Filter{Recipient: "b@example.com"}) }, Count{1, 1, 5, 0}, "h held 0 now; a queued 1 later; b held 1 later"},
		{"release", func(q *Queue) (Count, error) { return q.Unhold(ctx, Filter{}) }, Count{1, 1, 3, 0}, "h queued 0 now; a queued 1 later; b queued 1 later"},
		{"delete", func(q *Queue) (Count, error) { return q.Delete(ctx, Filter{}) }, Count{2, 3, 8, 0}, ""},
		{"delete deferred", func(q *Queue) (Count, error) { return q.Delete(ctx, Filter{Shelf: ShelfDeferred}) }, Count{1, 2, 5, 0}, "h held 0 now"},
		{"retry", func(q *Queue) (Count, error) { return q.Retry(ctx, Filter{}) }, Count{1, 2, 5, 0}, "h held 0 now; a queued 1 now; b queued 1 now"},
		{"expire", func(q *Queue) (Count, error) { return q.Expire(ctx, Filter{}) }, Count{2, 3, 8, 0}, "h held 0 now expired; a queued 1 now expired; b queued 1 now expired"},
		{"expire held", func(q *Queue) (Count, error) { return q.Expire(ctx, Filter{Shelf: ShelfHold}) }, Count{1, 1, 3, 0}, "h held 0 now expired; a queued 1 later; b queued 1 later"},
		{"requeue", requeue, Count{1, 2, 5, 0}, "h held 0 now; a2 queued 0 now; b2 queued 0 now"},
	} {
		t.Run("OUT-022 "+x.name, func(t *testing.T) {
			dir := t.TempDir()
			q := openTest(t, dir)
			d := letter(t, q, "s@example.org", 3, "h@example.com")
			d.Item.Recipients[0].State = Held
			commit(t, q, d)
			commit(t, q, letter(t, q, "s@example.org", 5, "a@example.com", "b@example.com"))
			deferred(t, q, "later")
			n, err := x.do(q)
			if n != x.n || (err != nil) != (x.name == "requeue") {
				t.Errorf("%+v, %v; want %+v", n, err, x.n)
			}
			if got := what(t, q); got != x.want {
				t.Errorf("%s\nwant %s", got, x.want)
			}
			q.Close()
			q = openTest(t, dir)
			if got := what(t, q); got != x.want {
				t.Errorf("after a restart: %s\nwant %s", got, x.want)
			}
		})
	}
}

// A listing has what is being tried first and what is on hold last, and each item once,
// even one that goes from one shelf to another meanwhile.
func TestListing(t *testing.T) {
	q := openTest(t, t.TempDir())
	for i, to := range []string{"held@x.example", "later@x.example", "active@x.example"} {
		commit(t, q, letter(t, q, "a@example.org", 10, to))
		if i == 1 {
			deferred(t, q, "later")
			if _, err := q.Hold(ctx, Filter{Recipient: "held@x.example"}); err != nil {
				t.Fatal(err)
			}
		}
		if i == 2 {
			claim(t, q, time.Now())
		}
	}
	list := func(f Filter, meanwhile func(*Item)) (names string) {
		err := q.Listing(ctx, f, func(it *Item) bool {
			names += it.Recipients[0].Address.Local + " "
			meanwhile(it)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	nothing := func(*Item) {}
	if got := list(Filter{}, nothing); got != "active later held " {
		t.Errorf("listed: %s", got)
	}
	if got := list(Filter{Shelf: ShelfActive}, nothing); got != "active " {
		t.Errorf("active: %s", got)
	}
	if got := list(Filter{Sender: "b@example.org"}, nothing); got != "" {
		t.Errorf("another sender's: %s", got)
	}
	got := list(Filter{}, func(it *Item) {
		if it.Recipients[0].Address.Local == "active" { // its attempt ends while it is listed
			settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{{N: it.Recipients[0].N, Result: Deferred, Due: time.Now().Add(time.Hour)}}})
		}
	})
	if got != "active later held " {
		t.Errorf("while it changes: %s", got)
	}
	first := 0
	q.Listing(ctx, Filter{}, func(*Item) bool { first++; return false })
	if first != 1 {
		t.Errorf("%d items for whoever wants one", first)
	}
}

// Before the first line nobody walks past what is on hold to find what waits.
func TestListingBesideManyHeld(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, queuetest.Mail{Items: 3 * pageItems, Held: true})
	q := openTest(t, dir)
	q.background.Wait() // it has swept
	if _, err := q.Landings(ctx); err != nil {
		t.Fatal(err)
	}
	parts, err := q.listed(ctx, Filter{})
	if err != nil || len(parts) != 1 || parts[0].Shelf != ShelfHold {
		t.Errorf("with nothing else: %+v, %v", parts, err)
	}
	hand := commit(t, q, letter(t, q, "a@example.org", 10, "hand@x.example"))
	later := letter(t, q, "a@example.org", 10, "later@x.example")
	later.Item.Release = time.Now().Add(time.Hour)
	commit(t, q, later)
	parts, err = q.listed(ctx, Filter{})
	if err != nil || len(parts) != 2 || !slices.Equal(parts[0].IDs, []ID{hand.ID, later.Item.ID}) {
		t.Errorf("with some that wait: %+v, %v", parts, err)
	}
	var ids []ID
	if err := q.Listing(ctx, Filter{}, func(it *Item) bool { ids = append(ids, it.ID); return true }); err != nil {
		t.Fatal(err)
	}
	if len(ids) != 3*pageItems+2 || ids[0] != hand.ID || ids[1] != later.Item.ID {
		t.Errorf("%d listed, first %v", len(ids), ids[:2])
	}
	q.landings = false // as long as what was landing is leased by nobody
	if parts, err := q.listed(ctx, Filter{}); err != nil || len(parts) != 2 || len(parts[0].IDs) != 0 {
		t.Errorf("at the start: %+v, %v", parts, err)
	}
}

// An outline has what its rows say, and the count of a sender's mail is that of whole items.
func TestOutline(t *testing.T) {
	q := openTest(t, t.TempDir())
	commit(t, q, letter(t, q, "a@example.org", 10, "x@x.example", "y@y.example"))
	commit(t, q, letter(t, q, "b@example.org", inlineMax+1, "z@z.example"))
	whole := make(map[ID]*Item)
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(q.Select(ctx, Filter{}, func(it *Item) bool { whole[it.ID] = it; return true }))
	n := 0
	check(q.Outline(ctx, Filter{}, func(it *Item) bool {
		w := whole[it.ID]
		if n++; w.Sender != it.Sender || w.Size != it.Size || !reflect.DeepEqual(w.Recipients, it.Recipients) {
			t.Errorf("%+v, not %+v", it, w)
		}
		return true
	}))
	if n != 2 {
		t.Errorf("%d items", n)
	}
	for _, f := range []Filter{{Sender: "b@example.org"}, {Larger: inlineMax}, {Sender: "@example.org", Before: time.Now().Add(time.Hour), Larger: inlineMax}} {
		if got, err := q.Count(ctx, f); got.Items != 1 || got.Bytes < inlineMax || err != nil {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// What a person says of a recipient while it is being tried goes before that attempt; that
// its sender has been told of the delay stays known, or he would be told again.
func TestToldOfTheDelayWhileHeld(t *testing.T) {
	q := openTest(t, t.TempDir())
	commit(t, q, letter(t, q, "ann@example.org", 10, "a@example.com"))
	active := claim(t, q, time.Now())
	if _, err := q.Hold(ctx, Filter{}); err != nil {
		t.Fatal(err)
	}
	settled(t, q, Settlement{Item: active[0].ID, Outcomes: []Outcome{{N: active[0].Recipients[0].N, Due: time.Now().Add(time.Hour), Delayed: true}}})
	if _, err := q.Unhold(ctx, Filter{}); err != nil {
		t.Fatal(err)
	}
	again := claim(t, q, time.Now())
	if len(again) != 1 || !again[0].Recipients[0].Delayed {
		t.Errorf("%+v", again)
	}
}

// Whoever thinks better of a large deletion keeps what it had not come to.
func TestDeletionIsStopped(t *testing.T) {
	q := filled(t, queuetest.Mail{Items: 5 * removeMax, Senders: 2, Due: time.Now().Add(time.Hour), Attempts: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := Filter{Sender: "s1@sender.example"}
	n, err := q.Delete(ctx, f, Told{Done: func(*Item) { cancel() }})
	if !errors.Is(err, context.Canceled) || n.Recipients != removeMax {
		t.Errorf("%+v, %v", n, err)
	}
	n, err = q.Delete(t.Context(), f)
	if err != nil || n.Items != removeMax*3/2 {
		t.Errorf("%+v, %v", n, err)
	}
	if n, err := q.Count(t.Context(), Filter{}); err != nil || n.Items != removeMax*5/2 {
		t.Errorf("%+v, %v", n, err)
	}
}
