package queue

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FLT-003, FLT-004: what the disk has changed is not delivered. It is put aside with
// the reason, and the others go on.
func TestDamagedMessages(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string, id ID){
		"FLT-004 a bit in a row": func(t *testing.T, dir string, _ ID) {
			path := filepath.Join(dir, "queue.db")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.Index(text, []byte("damage me"))
			text[at] ^= 1
			if err := os.WriteFile(path, text, 0o600); err != nil || at < 0 {
				t.Fatal(at, err)
			}
		},
		"FLT-004 a bit in a file": func(t *testing.T, dir string, id ID) {
			path := bodyPath(filepath.Join(dir, "queue"), id)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text[len(text)/2] ^= 1
			os.WriteFile(path, text, 0o600)
		},
		"FLT-004 a bit above a file": func(t *testing.T, dir string, _ ID) {
			path := filepath.Join(dir, "queue.db")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.Index(text, []byte("damage me too"))
			text[at] ^= 1
			if err := os.WriteFile(path, text, 0o600); err != nil || at < 0 {
				t.Fatal(at, err)
			}
		},
		"FLT-003 a file cut short": func(t *testing.T, dir string, id ID) {
			os.Truncate(bodyPath(filepath.Join(dir, "queue"), id), 4096)
		},
		"FLT-004 a file gone": func(t *testing.T, dir string, id ID) {
			os.Remove(bodyPath(filepath.Join(dir, "queue"), id))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			q := openTest(t, dir)
			d := draft(q, 0, "bad")
			d.Spool.Write([]byte("damage me"))
			above := strings.Contains(name, "above")
			if strings.Contains(name, "file") {
				d.Spool.Write(make([]byte, inlineMax))
			}
			if above {
				d.Spool.Prepend([]byte("damage me too"))
			}
			bad := commit(t, q, d)
			good := commit(t, q, draft(q, 9, "good"))
			q.Close()
			damage(t, dir, bad.ID)
			q = openTest(t, dir)
			for _, it := range claim(t, q, time.Now()) {
				o := Outcome{N: 1, Result: Delivered}
				if _, err := q.Body(ctx, it); errors.Is(err, ErrDamaged) != (it.ID == bad.ID) || it.ID == good.ID && err != nil {
					t.Errorf("%s: %v", it.Recipients[0].Address, err)
				} else if err != nil {
					o = Outcome{N: 1, Due: time.Now(), Reply: "message can't be read"}
				}
				settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{o}})
			}
			if got := what(t, q); got != "bad held 0 now" {
				t.Error(got)
			}
			q.List(ctx, func(it *Item) bool {
				if r := it.Recipients[0].LastReply; !strings.Contains(r, "damaged on disk") {
					t.Errorf("the reason is %q", r)
				}
				return true
			})
			if it, _, err := q.Show(ctx, bad.ID); it == nil || !errors.Is(err, ErrDamaged) {
				t.Errorf("shown: %v, %v", it, err)
			}
		})
	}
}

// Check finds and holds what nobody has tried yet; Purge removes what belongs to nobody.
func TestCheckAndPurge(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	commit(t, q, draft(q, 10, "good"))
	bad := commit(t, q, draft(q, inlineMax+1, "bad"))
	q.Close()
	os.Truncate(bodyPath(filepath.Join(dir, "queue"), bad.ID), 10)
	q = openTest(t, dir)
	q.background.Wait()
	os.WriteFile(filepath.Join(dir, "queue", "incoming-left"), nil, 0o600)
	os.WriteFile(bodyPath(filepath.Join(dir, "queue"), 42), nil, 0o600)
	var found []Damage
	n, err := q.Check(ctx, func(d Damage) { found = append(found, d) })
	if err != nil || n != (Count{Items: 2, Recipients: 2, Bytes: 11 + inlineMax}) || len(found) != 1 || found[0].Item != bad.ID || !strings.Contains(found[0].What, "damaged on disk") {
		t.Errorf("%+v, %v, %v", n, found, err)
	}
	if got := what(t, q); got != "good queued 0 now; bad held 0 now" {
		t.Error(got)
	}
	if n, err := q.Purge(ctx); n != 2 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}
