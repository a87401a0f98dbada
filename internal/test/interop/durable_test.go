package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// INV-02: the system calls show that the queue is on the disk before the 250
// leaves. strace writes them down in the order in which they end.
//
// Row 104: the queue is always written through.
func TestDurableBeforeReply(t *testing.T) {
	t.Parallel()
	t.Run("DATA", func(t *testing.T) {
		durable(t, "smtp", "EHLO", func(say func(line, want string), letter string) {
			say("DATA", "354")
			say(letter+".", "250")
		})
	})
	t.Run("BDAT LAST", func(t *testing.T) {
		durable(t, "smtp", "EHLO", func(say func(line, want string), letter string) {
			// say ends each with CRLF, which is the end of a line of the letter.
			head, body, _ := strings.Cut(letter, "\r\n")
			say(fmt.Sprintf("BDAT %d\r\n%s", len(head)+2, head), "250")
			say(fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), strings.TrimSuffix(body, "\r\n")), "250")
		})
	})
	t.Run("LMTP", func(t *testing.T) {
		durable(t, "lmtp", "LHLO", func(say func(line, want string), letter string) {
			say("DATA", "354")
			say(letter+".", "250")
		})
	})
}

// durable sends letters to a server that is watched by strace.
func durable(t *testing.T, service, hello string, content func(say func(line, want string), letter string)) {
	t.Parallel()
	strace := Need(t, "strace")
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Services: []string{service}})
	trace := filepath.Join(t.TempDir(), "trace")
	f.process = Spawn(t, nil, strace, "-f", "-y", "-s", "100", "-e", "trace=read,write,fsync,fdatasync,syncfs", "-o", trace,
		f.bin, "serve", "-c", f.Config())
	WaitBanner(t, f.Addr(service), "220", f.process)
	s := dialService(t, f, service)
	say := func(line, want string) {
		t.Helper()
		fmt.Fprintf(s.conn, "%s\r\n", line)
		if reply := s.reply(); !strings.HasPrefix(reply, want) {
			t.Fatalf("%s: %s", line, reply)
		}
	}
	say(hello+" client.test", "250")
	const letters = 5
	for n := range letters {
		say("MAIL FROM:<bob@example.net>", "250")
		say("RCPT TO:<"+alice+">", "250")
		content(say, fmt.Sprintf("Subject: %d\r\n\r\nend-of-letter\r\n", n))
	}
	say("QUIT", "221")
	WaitUntil(t, "the trace of the last reply", func() bool {
		text, _ := os.ReadFile(trace)
		return strings.Contains(string(text), `"221 `)
	})
	if got := syncedReplies(t, trace); got != letters {
		t.Errorf("the trace shows %d letters with a sync between their end and their 250, want %d", got, letters)
	}
}

var (
	synced = regexp.MustCompile(`(fsync|fdatasync|syncfs)(\(\d+<[^>]*queue\.db[^>]*>\)| resumed>.*\)) += 0`)
	ending = regexp.MustCompile(`read(\(| resumed>).*end-of-letter\\r\\n(\.\\r\\n)?"`)
	begun  = regexp.MustCompile(`(fsync|fdatasync|syncfs)\(\d+<[^>]*queue\.db[^>]*> <unfinished`)
)

// syncedReplies counts the letters whose end was read, then the queue synced,
// then 250 written. It fails the test for a 250 without a sync.
func syncedReplies(t *testing.T, trace string) (count int) {
	t.Helper()
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	ended, durable := false, false
	started := make(map[string]bool) // threads inside a sync of the queue
	for line := range strings.Lines(string(text)) {
		thread, _, _ := strings.Cut(line, " ")
		switch {
		case ending.MatchString(line):
			ended, durable = true, false
			clear(started) // what was under way before may not cover this letter
		case begun.MatchString(line):
			started[thread] = true
		case synced.MatchString(line):
			durable = durable || started[thread] || !strings.Contains(line, "resumed")
			delete(started, thread)
		case ended && strings.Contains(line, `write(`) && strings.Contains(line, `"250 2.0.0`):
			if !durable {
				t.Errorf("250 without a sync of the queue before: %s", line)
			} else {
				count++
			}
			ended = false
		}
	}
	return count
}
