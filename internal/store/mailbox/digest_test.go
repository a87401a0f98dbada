package mailbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/mail/imap"
	"facteur/internal/store/digest"
)

// says checks what every letter of a view says against its own text.
func says(t *testing.T, v *View, want digest.Want) {
	t.Helper()
	n := 0
	for r, err := range v.Read(bg, imap.Ranges{{From: 1, To: v.Len()}}, want) {
		must(t, err)
		n++
		if r.Digest == nil {
			t.Fatalf("letter %d is gone", r.UID)
		}
		subject := fmt.Sprintf("number %d", r.UID)
		if want&digest.List != 0 && !strings.Contains(string(r.Digest.Envelope), `"`+subject+`"`) ||
			want&digest.Keys != 0 && r.Digest.Subject != subject ||
			want&digest.Lines != 0 && !strings.Contains(string(r.Digest.Fields), "Subject: "+subject+"\r\n") {
			t.Fatalf("letter %d says %q, %q, %q", r.UID, r.Digest.Envelope, r.Digest.Subject, r.Digest.Fields)
		}
	}
	if n != int(v.Len()) {
		t.Fatalf("%d letters of %d", n, v.Len())
	}
}

// TestDigestsOfFiles: whatever became of cache.db, letters say what stands in them.
func TestDigestsOfFiles(t *testing.T) {
	home := t.TempDir()
	cache := filepath.Join(home, "cache.db")
	const n = 150
	round := func(name string, harm func(good []byte) []byte) {
		t.Helper()
		if good, err := os.ReadFile(cache); err == nil {
			os.Remove(cache)
			if b := harm(good); b != nil {
				must(t, os.WriteFile(cache, b, 0o600))
			}
		}
		s := New(vfs.OS{}, event.Discard)
		a, err := s.Open(bg, Owner{Home: home})
		must(t, err)
		if name == "fill" {
			for i := range n {
				text := fmt.Sprintf("From: a@example.org\r\nSubject: number %d\r\n\r\nx\r\n", i+1)
				_, _, err := a.Append(bg, "INBOX", strings.NewReader(text), int64(len(text)), AppendOptions{})
				must(t, err)
			}
		}
		v, err := a.Select(bg, "INBOX", false)
		must(t, err)
		if v.Len() != n {
			t.Fatal(v.Len())
		}
		for _, want := range []digest.Want{digest.List, digest.Lines, digest.All, digest.All} {
			says(t, v, want)
		}
		must(t, v.Close())
		must(t, a.Close())
		must(t, s.Close())
	}
	keep := func(b []byte) []byte { return b }
	round("fill", keep)
	old, err := os.ReadFile(cache)
	must(t, err)
	round("again", keep)
	round("deleted", func([]byte) []byte { return nil })
	round("cut", func(b []byte) []byte { return b[:len(b)/2] })
	round("text", func([]byte) []byte { return []byte(strings.Repeat("x", 5000)) })
	for i := range 8 {
		round("flipped", func(b []byte) []byte {
			for at := 100 + 997*i; at < len(b); at += 3001 {
				b[at] ^= 0x55
			}
			return b
		})
	}
	// The index is lost without a list to rely on: UIDs start again under a new
	// UIDVALIDITY, and the old cache is back.
	must(t, os.Remove(filepath.Join(home, "index.db")))
	os.Remove(filepath.Join(home, "Maildir", "facteur-uids"))
	os.Remove(filepath.Join(home, "Maildir", "dovecot-uidlist"))
	round("old", func([]byte) []byte { return old })
}

// TestDigestsTogether: sessions that ask at once are told the same, while others
// expunge and letters come.
func TestDigestsTogether(t *testing.T) {
	home := t.TempDir()
	s := New(vfs.OS{}, event.Discard)
	a, err := s.Open(bg, Owner{Home: home})
	must(t, err)
	add := func(i int) {
		text := fmt.Sprintf("Subject: number %d\r\n\r\nx\r\n", i)
		_, _, err := a.Append(bg, "INBOX", strings.NewReader(text), int64(len(text)), AppendOptions{})
		must(t, err)
	}
	for i := range 100 {
		add(i + 1)
	}
	var all sync.WaitGroup
	for k := range 4 {
		v, err := a.Select(bg, "INBOX", false)
		must(t, err)
		all.Go(func() {
			defer v.Close()
			for range 5 {
				for d, err := range v.Digests(bg, v.uids, digest.All) {
					if err != nil || d.Subject != fmt.Sprintf("number %d", d.UID) {
						t.Error(d, err)
						return
					}
				}
				if k == 0 {
					v.Store(bg, v.uids[:3], FlagsAdd, Flags{System: Deleted})
					v.Expunge(bg, nil)
				}
				if _, err := v.Poll(bg, true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 10 {
		add(101 + i)
	}
	all.Wait()
	must(t, a.Check())
	must(t, a.Close())
	must(t, s.Close())
}

// TestAside: the digest of a letter that comes while its mailbox is open is made
// before anybody asks; what is gone is swept.
func TestAside(t *testing.T) {
	s := New(vfs.OS{}, event.Discard)
	a, err := s.Open(bg, Owner{Home: t.TempDir()})
	must(t, err)
	v, err := a.Select(bg, "INBOX", false)
	must(t, err)
	gone := digest.Key{Validity: v.UIDValidity(), UID: 4000}
	foreign := digest.Key{Validity: 5, UID: 1}
	d, err := new(digest.Maker).Make(strings.NewReader("Subject: x\r\n\r\n"))
	must(t, err)
	a.digests.Keep(gone, d)
	a.digests.Keep(foreign, d)
	a.digests.Flush()
	text := "Subject: number 1\r\n\r\nx\r\n"
	_, _, err = a.Append(bg, "INBOX", strings.NewReader(text), int64(len(text)), AppendOptions{})
	must(t, err)
	_, err = v.Poll(bg, true)
	must(t, err)
	l := v.Letter(1)
	k := digest.Key{Validity: v.UIDValidity(), UID: 1, Size: l.Size, Received: l.Received.Unix()}
	there := func(k digest.Key) bool { return a.digests.Reader(digest.All).Has(k) }
	deadline := time.Now().Add(20 * time.Second)
	for !there(k) || there(gone) || there(foreign) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is done aside:", there(k), there(gone), there(foreign))
		}
		time.Sleep(time.Millisecond)
	}
	says(t, v, digest.All)
	must(t, v.Close())
	must(t, a.Close())
	must(t, s.Close())
}
