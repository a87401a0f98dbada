package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/db"
)

// full is an item with every option.
func full(q *Queue) Draft {
	d := draft(q, 10, "a", "b")
	at := time.UnixMicro(time.Now().UnixMicro())
	it := d.Item
	it.Binary, it.Ret, it.EnvelopeID, it.RequireTLS, it.TLSOptional, it.Priority = true, smtp.RetHeaders, "QQ=314&159 +%\r\n\xff\x00", true, true, -3
	it.Release, it.By = at.Add(time.Minute), Deadline{At: at.Add(time.Hour), Return: true, Trace: true}
	it.Recipients[0].Notify = smtp.NotifySuccess | smtp.NotifyDelay
	it.Recipients[0].Sender, it.Recipients[0].Owned = &address.Address{Local: "owner-l@=&", Domain: "example.org"}, true
	it.Recipients[0].Folder = "\\Junk & more=100%"
	it.Recipients[1].Sender = &address.Address{}
	it.Recipients[0].ORcpt = smtp.Original{Type: "utf-8", Address: "jörg&orcpt=x@example.org"}
	return d
}

func TestOptionsComeBack(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	want := commit(t, q, full(q))
	q.Close()
	q = openTest(t, dir)
	got, _, err := q.Show(ctx, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.By.At, got.Release) != fmt.Sprint(want.By.At, want.Release) {
		t.Errorf("by %v, release %v", got.By.At, got.Release)
	}
	got.By.At, got.Release, got.Arrived = want.By.At, want.Release, want.Arrived
	for i := range got.Recipients {
		got.Recipients[i].Due = want.Recipients[i].Due
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// What most mail has none of is not written for it.
func TestPlainMailHasNoOptions(t *testing.T) {
	q := openTest(t, t.TempDir())
	commit(t, q, draft(q, 10, "a"))
	var of, to string
	err := q.db.Reader().QueryRow("SELECT i.options, r.options FROM item i JOIN recipient r ON r.item = i.id").Scan(&of, &to)
	if err != nil || of != "" || to != "" {
		t.Errorf("%q, %q, %v", of, to, err)
	}
}

// REL-008: what strangers wrote is data in the columns, whatever it is, and what is
// no options makes none.
func FuzzOptions(f *testing.F) {
	f.Add("QQ314159", "rfc822", "Bob@Big-Bucks.COM", "")
	f.Add("'); DROP TABLE item; --", "a&priority=9", "x=y&notify=8\r\n", "priority=9&by=x&%zz")
	f.Fuzz(func(t *testing.T, envid, kind, orcpt, column string) {
		it := Item{EnvelopeID: envid, Priority: 1}
		r := Recipient{ORcpt: smtp.Original{Type: kind, Address: orcpt}}
		var it2 Item
		var r2 Recipient
		it2.setOptions(it.options())
		r2.setOptions(r.options())
		if !reflect.DeepEqual(it, it2) || !reflect.DeepEqual(r, r2) {
			t.Errorf("%+v %+v\nwant %+v %+v", it2, r2, it, r)
		}
		it2.setOptions(column)
		r2.setOptions(column)
	})
}

// OPS-001: mail that an older program queued is delivered after the upgrade.
func TestQueueOfAnOlderVersion(t *testing.T) {
	dir := t.TempDir()
	old := oldTables(t)
	d, err := db.Open(filepath.Join(dir, "queue.db"), os.DirFS(old))
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"INSERT INTO item VALUES(1700000000000000, 1700000000000000, 's@example.org', '', 1, '192.0.2.1', 'n', 'h', 'ESMTP', 3, 5)",
		"INSERT INTO body VALUES(1700000000000000, 'hello')",
		"INSERT INTO recipient VALUES(1700000000000000, 1, 'a@example.com', 'b@example.com', 'smtp:example.com', 0, 1700000000000000, 2, 'later', 1)",
		"INSERT INTO item VALUES(1700000000000001, 1700000000000001, 's@example.org', '', 1, '192.0.2.1', 'n', 'h', 'ESMTP', 3, 200000)",
		"INSERT INTO recipient VALUES(1700000000000001, 1, 'a@example.com', 'b@example.com', 'smtp:example.com', 1, 1700000000000001, 2, 'later', 1)",
	} {
		if err := d.Write(ctx, func(tx *db.Tx) error { _, err := tx.Exec(sql); return err }); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	large := bodyPath(filepath.Join(dir, "queue"), 1700000000000001)
	if err := errors.Join(os.Mkdir(filepath.Dir(large), 0o700), os.WriteFile(large, make([]byte, 200_000), 0o600)); err != nil {
		t.Fatal(err)
	}
	q := openTest(t, dir)
	landings, err := q.Landings(ctx)
	if err != nil || len(landings) != 1 || len(read(t, q, landings[0])) != 200_000 {
		t.Fatalf("%+v, %v", landings, err)
	}
	settled(t, q, Settlement{Item: landings[0].ID, Outcomes: []Outcome{{N: 1, Result: Delivered}}})
	if _, err := os.Stat(large); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of a letter that is delivered: %v", err)
	}
	items := claim(t, q, time.Now())
	if len(items) != 1 || !items[0].plain() || items[0].Binary || !items[0].UTF8 || items[0].Recipients[0].Notify != 0 || items[0].Recipients[0].Attempts != 2 {
		t.Fatalf("%+v", items)
	}
	if got := read(t, q, items[0]); got != "hello" {
		t.Errorf("its bytes: %.20q", got)
	}
	if ended := settled(t, q, Settlement{Item: items[0].ID, Outcomes: []Outcome{{N: 1, Result: Delivered}}}); len(ended) != 1 {
		t.Errorf("ended %v", ended)
	}
	commit(t, q, full(q))
	depth(t, q, 1, 2)
}

// OPS-001, INV-29: the tables of the last release, with recipients in every state.
func TestQueueOfTheLastRelease(t *testing.T) {
	dir := t.TempDir()
	d, err := db.Open(filepath.Join(dir, "queue.db"), os.DirFS(tablesBefore(t, "00005")))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	last := now.Add(time.Hour).UnixMicro() // its clock was ahead
	write := func(sql string, args ...any) {
		if err := d.Write(ctx, func(tx *db.Tx) error { _, err := tx.Exec(sql, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []int64{1700000000000000, 1700000000000001, last} {
		data := any([]byte("hello"))
		if id == 1700000000000001 {
			data = nil
		}
		write("INSERT INTO item VALUES(?, ?, 's@example.org', 'alice@example.org', 1, '192.0.2.1', 'n', 'h', 'ESMTP', 3, CASE WHEN ? THEN 200000 ELSE 5 END, 'priority=0', ?)", id, id, data == nil, data)
	}
	for n, state := range []int{0, 1, 2, 0} {
		due := now.UnixMicro()
		if n == 3 {
			due += int64(time.Hour / time.Microsecond)
		}
		write("INSERT INTO recipient VALUES(1700000000000000, ?, 'a@example.com', 'b@example.com', 'smtp:example.com', ?, ?, ?, 'later', 1, 'notify=2')", n+1, state, due, n)
	}
	write("INSERT INTO recipient VALUES(1700000000000001, 1, 'a@example.com', 'a@example.com', 'smtp:example.com', 0, ?, 0, '', 0, '')", now.UnixMicro())
	write("INSERT INTO recipient VALUES(?, 1, 'a@example.com', 'a@example.com', 'smtp:example.com', 2, ?, 0, '', 0, '')", last, now.UnixMicro())
	write("DELETE FROM recipient WHERE item = ?", last) // all of it has ended
	write("DELETE FROM item WHERE id = ?", last)
	d.Close()
	large := bodyPath(filepath.Join(dir, "queue"), 1700000000000001)
	if err := errors.Join(os.Mkdir(filepath.Dir(large), 0o700), os.WriteFile(large, make([]byte, 200_000), 0o600)); err != nil {
		t.Fatal(err)
	}
	q := openTest(t, dir)
	if got, want := what(t, q), "a queued 0 now; a landing 1 now; a held 2 now; a queued 3 later; a queued 0 now"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if id := q.NextID(); int64(id) <= last {
		t.Errorf("%d was used, and %d comes next", last, id)
	}
	if n, err := q.Count(ctx, Filter{Sender: "S@example.org", Shelf: ShelfActive}); n.Items != 1 || n.Busy != 1 || n.Bytes != 5 || err != nil {
		t.Errorf("%+v, %v", n, err)
	}
	if n, err := q.Count(ctx, Filter{}); n.Items != 2 || n.Bytes != 200_005 || err != nil {
		t.Errorf("the sizes: %+v, %v", n, err)
	}
	if landings, err := q.Landings(ctx); err != nil || len(landings) != 1 || landings[0].Recipients[0].N != 2 {
		t.Errorf("%+v, %v", landings, err)
	}
	items := claim(t, q, time.Now())
	if len(items) != 2 || items[0].Recipients[0].Notify != smtp.NotifyFailure || read(t, q, items[0]) != "hello" || len(read(t, q, items[1])) != 200_000 {
		t.Errorf("%+v", items)
	}
	// And the older program refuses what this one wrote, in clear words.
	q.Close()
	if d, err := db.Open(filepath.Join(dir, "queue.db"), os.DirFS(tablesBefore(t, "00005"))); err == nil || !strings.Contains(err.Error(), "run the newer facteur") {
		t.Errorf("INV-29: %v", err)
		d.Close()
	}
}

// read gives the bytes of an item.
func read(t testing.TB, q *Queue, it *Item) string {
	t.Helper()
	body, err := q.Body(ctx, it)
	if err != nil {
		t.Fatal(err)
	}
	r, err := body.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// oldTables are the migrations before options came.
func oldTables(t *testing.T) string { return tablesBefore(t, "00003") }

// tablesBefore are the migrations before one.
func tablesBefore(t *testing.T, first string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, Migrations()); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(dir, "migrations", "*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if filepath.Base(file) >= first {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// FUTURERELEASE: nothing is tried before its time, not after a restart either.
func TestReleaseIsKept(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	d := draft(q, 10, "a")
	release := time.Now().Add(time.Hour)
	d.Item.Release = release
	id := commit(t, q, d).ID
	for range 2 {
		items, next, err := q.Claim(ctx, time.Now(), 10, Except{})
		if err != nil || len(items) != 0 || next.After(release) {
			t.Errorf("%d items, next %v, %v", len(items), next, err)
		}
		if got := claim(t, q, release.Add(-time.Second)); len(got) != 0 {
			t.Error("claimed before its release")
		}
		it, _, err := q.Show(ctx, id)
		if err != nil || it.Recipients[0].LastReply != "held back until "+release.UTC().Format(time.RFC3339)+", as the sender asked" {
			t.Errorf("%+v, %v", it, err)
		}
		if n, err := q.Flush(ctx, "example.com"); n != 0 || err != nil {
			t.Errorf("ETRN released %d, %v", n, err)
		}
		q.Close()
		q = openTest(t, dir)
	}
	got := claim(t, q, release.Add(time.Second))
	if len(got) != 1 || got[0].Start().UnixMicro() != release.UnixMicro() {
		t.Errorf("%+v", got)
	}
}

// HOLDUNTIL of a time that has passed holds nothing back (RFC 4865 §4.1).
func TestReleaseInThePast(t *testing.T) {
	q := openTest(t, t.TempDir())
	d := draft(q, 10, "a")
	d.Item.Release = time.Now().Add(-time.Hour)
	commit(t, q, d)
	if items := claim(t, q, time.Now()); len(items) != 1 || !items[0].plain() || items[0].Recipients[0].LastReply != "" {
		t.Errorf("%+v", items)
	}
}

// MT-PRIORITY: the urgent goes first, from memory and from the database, but nobody
// waits longer than the head start for it.
func TestPriority(t *testing.T) {
	now := time.Now()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart=", restart), func(t *testing.T) {
			dir := t.TempDir()
			q := openTest(t, dir)
			names := map[ID]string{}
			for _, x := range []struct {
				name     string
				priority int
				age      time.Duration
			}{{"low", -2, time.Minute}, {"old low", -9, 24 * time.Hour}, {"plain 1", 0, 20 * time.Second}, {"plain 2", 0, 10 * time.Second}, {"urgent", 5, 0}} {
				d := draft(q, 10, "a")
				d.Item.Priority, d.Item.Arrived = x.priority, now.Add(-x.age)
				names[commit(t, q, d).ID] = x.name
			}
			if restart {
				q.Close()
				q = openTest(t, dir)
			}
			var got []string
			for _, it := range claim(t, q, now) {
				got = append(got, names[it.ID])
			}
			if want := "[old low urgent plain 1 plain 2 low]"; restart && fmt.Sprint(got) != want {
				t.Errorf("%v, want %v", got, want)
			}
			at := map[string]int{}
			for i, name := range got {
				at[name] = i
			}
			if at["urgent"] > at["plain 1"] || at["plain 1"] > at["plain 2"] || at["plain 2"] > at["low"] || at["urgent"] < at["old low"] {
				t.Errorf("%v", got)
			}
		})
	}
}

// ETRN (RFC 1985): what was tried and waits is due now, for the domain or, with a
// dot, for it and all below it.
func TestFlush(t *testing.T) {
	for domain, want := range map[string]int{"example.com": 2, "sub.example.com": 1, ".example.com": 3, "ample.com": 0, ".ample.com": 0, "example.org": 0, "%": 0, ".": 0, "": 4} {
		q := openTest(t, t.TempDir())
		for _, to := range []string{"a@example.com", "b@example.com", "c@sub.example.com", `"x@example.com"@example.net`} {
			d := draft(q, 1)
			a, err := address.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			d.Item.Recipients = []Recipient{{Address: a, Original: a, Route: "smtp:" + a.Domain}}
			commit(t, q, d)
		}
		for _, it := range claim(t, q, time.Now()) {
			settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{{N: 1, Due: time.Now().Add(time.Hour)}}})
		}
		n, err := q.Flush(ctx, domain)
		if got := claim(t, q, time.Now()); n != want || err != nil || len(got) != want {
			t.Errorf("%q: %d flushed, %d due, %v; want %d", domain, n, len(got), err, want)
		}
	}
}
