package queue

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
)

// put makes one recipient of a draft an exhibit.
func put(d Draft, n int, category, account, subject string) Draft {
	r := &d.Item.Recipients[n-1]
	r.State, r.Quarantine = Held, category
	r.Exhibit = &Exhibit{Account: account, Subject: subject, Author: "Mallory <m@evil.example>", Score: 17.5, Evidence: "dnsbl_zen 3.0"}
	return d
}

func exhibits(t testing.TB, q *Queue, f ExhibitFilter) (names []string) {
	t.Helper()
	err := q.Exhibits(ctx, f, func(x Exhibit) bool {
		names = append(names, x.Account+" "+x.Category)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func same(_ context.Context, _ *Item, r Recipient) (Recipient, error) { return r, nil }

// TestQuarantineFills (rows 197, 199, 206): what is put into quarantine stands there with
// what is known of it, and nowhere else.
func TestQuarantineFills(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	for _, c := range []string{"virus", "banned", "bad_header", "spam"} {
		commit(t, q, put(draft(q, 100, "a"), 1, c, "a@example.com", "cheap "+c))
	}
	mixed := commit(t, q, put(draft(q, 100, "b", "c"), 2, "spam", "c@example.com", "for one only"))
	q.Close()
	q = openTest(t, dir)

	depth(t, q, 1, 1)
	got := claim(t, q, time.Now())
	if len(got) != 1 || got[0].ID != mixed.ID || len(got[0].Recipients) != 1 || got[0].Recipients[0].N != 1 {
		t.Fatalf("claimed %+v; want the first recipient of %s", got, mixed.ID)
	}
	if n := exhibits(t, q, ExhibitFilter{}); len(n) != 5 {
		t.Errorf("in quarantine: %q; want 5", n)
	}
	for _, f := range []struct {
		name string
		f    ExhibitFilter
		want []string
	}{
		{"category", ExhibitFilter{Category: "virus"}, []string{"a@example.com virus"}},
		{"account", ExhibitFilter{Account: "c@example.com"}, []string{"c@example.com spam"}},
		{"domain", ExhibitFilter{Account: "@example.com", Category: "spam"}, []string{"a@example.com spam", "c@example.com spam"}},
		{"another domain", ExhibitFilter{Account: "@ample.com"}, nil},
		{"subject", ExhibitFilter{Subject: "FOR ONE"}, []string{"c@example.com spam"}},
		{"author", ExhibitFilter{From: "mallory", Category: "spam"}, []string{"a@example.com spam", "c@example.com spam"}},
		{"reverse-path", ExhibitFilter{From: "s@t@example.org", Category: "virus"}, []string{"a@example.com virus"}},
		{"ID", ExhibitFilter{IDs: []ExhibitID{{Item: mixed.ID}}}, []string{"c@example.com spam"}},
		{"recipient", ExhibitFilter{IDs: []ExhibitID{{mixed.ID, 1}}}, nil},
		{"later", ExhibitFilter{Since: time.Now().Add(time.Hour)}, nil},
		{"before", ExhibitFilter{Before: time.Now().Add(-time.Hour)}, nil},
	} {
		if got := exhibits(t, q, f.f); !slices.Equal(got, f.want) {
			t.Errorf("%s: %q; want %q", f.name, got, f.want)
		}
	}
	err := q.Exhibits(ctx, ExhibitFilter{Category: "virus"}, func(x Exhibit) bool {
		if x.Score != 17.5 || x.Evidence != "dnsbl_zen 3.0" || x.Size != 100 || x.To.String() != "a@example.com" || x.Since.IsZero() {
			t.Errorf("exhibit %+v", x)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
	counts, err := q.ExhibitCounts(ctx)
	if err != nil || len(counts) != 5 {
		t.Errorf("counts %+v, %v; want five", counts, err)
	}
	if sum, err := q.ExhibitBytes(ctx); err != nil || sum != 500 {
		t.Errorf("%d bytes, %v; want 500", sum, err)
	}
}

// TestOrdersLeaveQuarantineAlone: what postsuper -H ALL, -d ALL, -r ALL, -f ALL and the
// commands of the queue do is not for what is in quarantine.
func TestOrdersLeaveQuarantineAlone(t *testing.T) {
	q := openTest(t, t.TempDir())
	it := commit(t, q, put(draft(q, 10, "a"), 1, "virus", "a@example.com", "x"))
	for _, f := range []Filter{{}, {IDs: []ID{it.ID}}, {Shelf: ShelfHold}, {Sender: "@example.org"}, {Recipient: "a@example.com"}} {
		for name, order := range map[string]func() (Count, error){
			"hold": func() (Count, error) { return q.Hold(ctx, f) }, "unhold": func() (Count, error) { return q.Unhold(ctx, f) },
			"delete": func() (Count, error) { return q.Delete(ctx, f) }, "retry": func() (Count, error) { return q.Retry(ctx, f) },
			"expire": func() (Count, error) { return q.Expire(ctx, f) }, "requeue": func() (Count, error) { return q.Requeue(ctx, f, same) },
			"count": func() (Count, error) { return q.Count(ctx, f) },
		} {
			if n, err := order(); err != nil || n.Recipients != 0 {
				t.Errorf("%s %+v: %+v, %v; want nothing", name, f, n, err)
			}
		}
	}
	listed := 0
	if err := q.Listing(ctx, Filter{}, func(*Item) bool { listed++; return true }); err != nil || listed != 0 {
		t.Errorf("mailq lists %d, %v; want none", listed, err)
	}
	if got := claim(t, q, time.Now().Add(100*24*time.Hour)); len(got) != 0 {
		t.Errorf("the scheduler got %+v", got)
	}
	if _, body, err := q.Show(ctx, it.ID); err != nil || body.Size() != 10 {
		t.Errorf("show: %v", err)
	}
	if n := exhibits(t, q, ExhibitFilter{}); len(n) != 1 {
		t.Errorf("in quarantine: %q", n)
	}
}

// TestReleaseOnce (INV-30, row 204): a release goes into the mail flow once, however often it
// is asked for, into INBOX, and its time begins anew.
func TestReleaseOnce(t *testing.T) {
	q := openTest(t, t.TempDir())
	d := put(draft(q, 10, "a", "b"), 1, "spam", "a@example.com", "x")
	put(d, 2, "spam", "b@example.com", "x")
	d.Item.Recipients[0].Folder = `\Junk`
	d.Item.Arrived = time.Now().Add(-20 * 24 * time.Hour)
	d.Item.By = Deadline{At: time.Now().Add(-19 * 24 * time.Hour), Return: true}
	it := commit(t, q, d)
	told := 0
	free := func(f ExhibitFilter) Count {
		t.Helper()
		n, err := q.FreeExhibits(ctx, f, func(_ context.Context, _ *Item, r Recipient) (Recipient, error) {
			r.Address, r.Route = address.Address{Local: "new", Domain: "example.com"}, "smtp:elsewhere.example"
			return r, nil
		}, Told{Done: func(*Item) { told++ }})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	one := ExhibitFilter{IDs: []ExhibitID{{it.ID, 1}}}
	if n := free(one); n.Recipients != 1 {
		t.Fatalf("released %+v; want one", n)
	}
	if n := free(one); n.Recipients != 0 || told != 1 {
		t.Fatalf("released again: %+v, told %d times", n, told)
	}
	if n := exhibits(t, q, ExhibitFilter{}); !slices.Equal(n, []string{"b@example.com spam"}) {
		t.Errorf("left in quarantine: %q", n)
	}
	got := claim(t, q, time.Now())
	if len(got) != 1 || len(got[0].Recipients) != 1 {
		t.Fatalf("claimed %+v; want the one", got)
	}
	r := got[0].Recipients[0]
	if r.Folder != "" || r.Quarantine != "" || r.Route != "smtp:elsewhere.example" || r.Address.Local != "new" {
		t.Errorf("released as %+v", r)
	}
	if since := time.Since(got[0].Start()); since > time.Hour || got[0].By.Return {
		t.Errorf("its time began %s ago, by %+v; want now, and no deadline", since, got[0].By)
	}
	settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{{N: 1, Result: Delivered}}})
	if n, err := q.DropExhibits(ctx, ExhibitFilter{}); err != nil || n.Recipients != 1 {
		t.Errorf("deleted %+v, %v", n, err)
	}
	depth(t, q, 0, 0)
}

// TestExhibitTextIsBounded: nothing that a stranger wrote grows a row without a bound.
func TestExhibitTextIsBounded(t *testing.T) {
	q := openTest(t, t.TempDir())
	d := put(draft(q, 10, "a"), 1, "spam", "", strings.Repeat("é", 1<<16))
	d.Item.Recipients[0].Exhibit.Evidence = strings.Repeat("x", 1<<20) + "\xff"
	commit(t, q, d)
	err := q.Exhibits(ctx, ExhibitFilter{}, func(x Exhibit) bool {
		if len(x.Subject) > nameMax || len(x.Evidence) > EvidenceMax || !strings.HasSuffix(x.Subject, "é") || x.Account != "a@example.com" {
			t.Errorf("%d and %d bytes, of %q", len(x.Subject), len(x.Evidence), x.Account)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

// TestManyExhibits: orders go page by page, and a body is whole when it is read.
func TestManyExhibits(t *testing.T) {
	q := openTest(t, t.TempDir())
	const many = exhibitPage + changeMax + 1
	for range many {
		commit(t, q, put(draft(q, 10, "a"), 1, "spam", "a@example.com", "x"))
	}
	if n := exhibits(t, q, ExhibitFilter{}); len(n) != many {
		t.Fatalf("%d in quarantine; want %d", len(n), many)
	}
	if n, err := q.FreeExhibits(ctx, ExhibitFilter{}, same); err != nil || n.Recipients != many || n.Bytes != 10*many {
		t.Fatalf("released %+v, %v; want %d", n, err, many)
	}
	for _, it := range claim(t, q, time.Now()) {
		body, err := q.Body(ctx, it)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := body.Open()
		if b, _ := io.ReadAll(r); len(b) != 10 {
			t.Fatalf("%s has %d bytes", it.ID, len(b))
		}
	}
}
