package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// The steps of a comparison over IMAP, in order, in seconds.
var steps = []string{"first open", "open", "envelopes", "envelopes 2", "bodies", "search", "mbsync"}

// A mailbox that was filled by somebody else is opened for the first time,
// listed, read and synchronised.
func BenchmarkIMAP(b *testing.B) {
	letters, rounds := number("FACTEUR_BENCH_MAILBOX", 10_000), number("FACTEUR_BENCH_ROUNDS", 3)
	var facteur, debian []result
	for range rounds {
		debian = append(debian, readAll(b, "debian", letters))
		if interop.Absent() == "" || interop.Required() {
			facteur = append(facteur, readAll(b, "facteur", letters))
		}
	}
	var list []column
	for _, step := range steps {
		list = append(list, column{step, func(r result) float64 { return r.seconds[step] }, true})
	}
	list = append(list, columns[2:]...)
	fmt.Print(table(fmt.Sprintf("A mailbox of %d letters of 10 KB over IMAP, seconds (median of %d)", letters, rounds), list, facteur, debian))
}

func readAll(b *testing.B, which string, letters int) (r result) {
	b.Run(which, func(b *testing.B) {
		mbsync := interop.Need(b, "mbsync")
		post := open(b, which, interop.Setup{Accounts: []string{alice}})
		interop.Plant(b, post.Maildir(alice), letters, letterSize)
		post.Handover(alice)
		post.Start()
		c := interop.DialIMAP(b, post.Addr("imap"), alice)
		cpu, disturbed := processor(post), watchOthers()
		r.seconds = make(map[string]float64)
		timed := func(step string, do func()) {
			start := time.Now()
			do()
			r.seconds[step] = time.Since(start).Seconds()
		}
		timed("first open", func() { exists(b, c, letters) })
		timed("open", func() { exists(b, c, letters) })
		list := func() { c.Do("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)") }
		timed("envelopes", list)
		timed("envelopes 2", list)
		timed("bodies", func() {
			if got := c.Do("FETCH 1:* (UID BODY.PEEK[])"); got.Bytes < int64(letters*letterSize) {
				b.Fatalf("%d bytes of bodies", got.Bytes)
			}
		})
		timed("search", func() { c.Do("SEARCH BODY %q", "letter 77 of many") })
		rc := mbsyncConfig(b, post)
		timed("mbsync", func() { interop.Run(b, "", mbsync, "-c", rc, "all") })
		r.others = disturbed()
		r.cpu = (processor(post) - cpu) / time.Duration(letters)
		for _, pid := range post.Processes() {
			r.memory += interop.Memory(pid)
		}
	})
	return r
}

func processor(post interop.Post) (sum time.Duration) {
	for _, pid := range post.Processes() {
		sum += interop.CPU(pid)
	}
	return sum
}

func exists(b *testing.B, c *interop.IMAP, letters int) {
	b.Helper()
	if got := c.Exists("INBOX"); got != letters {
		b.Fatalf("%d letters in INBOX, want %d", got, letters)
	}
}

func mbsyncConfig(b *testing.B, post interop.Post) string {
	b.Helper()
	dir := b.TempDir()
	_, port, _ := strings.Cut(post.Addr("imap"), ":")
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o700); err != nil {
		b.Fatal(err)
	}
	return interop.WriteFile(b, filepath.Join(dir, "rc"), fmt.Sprintf(`FSync no

IMAPAccount far
Host 127.0.0.1
Port %s
User %s
Pass %s
SSLType None
AuthMechs LOGIN
Timeout 300

IMAPStore far
Account far

MaildirStore near
Path %[4]s/mail/
Inbox %[4]s/mail/INBOX

Channel all
Far :far:
Near :near:
Create Near
Sync Pull
SyncState *
`, port, alice, interop.Password, dir))
}
