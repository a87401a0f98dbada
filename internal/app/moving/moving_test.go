package moving

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/net/imapc"
	"facteur/internal/store/mailbox"
)

// account is a server whose answers are those of a script: what it says to the command
// that a line has in it, "T" at the beginning of a line being its tag. A text that ends in "…" ends the connection.
func account(t *testing.T, answer func(command string) string) *IMAP {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			talk(c, answer)
		}
	}()
	s := &IMAP{Address: l.Addr().String(), User: "u", Password: "p", Security: imapc.Plain, Note: func(string) {},
		sleep: func(context.Context, time.Duration) error { return nil }}
	t.Cleanup(func() { s.Close(); l.Close(); <-ended })
	return s
}

func talk(c net.Conn, answer func(command string) string) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, "* OK hello\r\n")
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		text := "T OK\r\n"
		if command == "CAPABILITY" {
			text = "* CAPABILITY IMAP4rev1\r\nT OK\r\n"
		} else if said := answer(command); said != "" {
			text = said
		}
		text, last := strings.CutSuffix(text, "…")
		if _, err := io.WriteString(c, strings.ReplaceAll("\n"+text, "\nT ", "\n"+tag+" ")[1:]); err != nil || last {
			return
		}
	}
}

// A server may give letters in any order (RFC 3501, 5.5 and 7.4.2). Those that it did not
// come to before the connection broke are asked for again, and the others are not.
func TestLettersOutOfOrder(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	s := account(t, func(command string) string {
		switch {
		case strings.HasPrefix(command, "EXAMINE"):
			return "* OK [UIDVALIDITY 7] x\r\n* 3 EXISTS\r\nT OK\r\n"
		case strings.HasPrefix(command, "UID SEARCH"):
			return "* SEARCH 1 2 3\r\nT OK\r\n"
		case strings.Contains(command, "BODY.PEEK"):
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, command)
			if len(asked) == 1 {
				return "* 3 FETCH (UID 3 BODY[] {1}\r\nc)\r\n…"
			}
			return "* 2 FETCH (UID 2 BODY[] {1}\r\nb)\r\n* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\nT OK\r\n"
		}
		return ""
	})
	var got []string
	err := s.Letters(t.Context(), &Box{Name: "INBOX", place: "INBOX", Validity: 7}, func(mailbox.Key) bool { return false },
		func(l Letter, r io.Reader) error {
			text, err := io.ReadAll(r)
			got = append(got, fmt.Sprint(l.UID, string(text)))
			return err
		}, func(what string, err error) { t.Errorf("%s: %v", what, err) })
	if want := []string{"3c", "2b", "1a"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 2 || !strings.Contains(asked[1], "FETCH 1,2 ") {
		t.Errorf("%q", asked)
	}
}

// A mailbox that the server does not open is missing, and the run says so: but not where
// it was not to come.
func TestRefusedMailbox(t *testing.T) {
	t.Parallel()
	for only, failures := range map[string]int64{"": 1, "INBOX": 0, "Locked": 1} {
		s := account(t, func(command string) string {
			switch {
			case strings.HasPrefix(command, "LIST"):
				return "* LIST () \"/\" INBOX\r\n* LIST () \"/\" Locked\r\nT OK\r\n"
			case strings.HasPrefix(command, `EXAMINE "Locked"`):
				return "T NO [NOPERM] not yours\r\n"
			case strings.HasPrefix(command, "EXAMINE"):
				return "* OK [UIDVALIDITY 7] x\r\n* 3 EXISTS\r\nT OK\r\n"
			}
			return ""
		})
		var told strings.Builder
		j := &Job{Kind: "imap", Source: s, Show: NewProgress(&told, false)}
		if only != "" {
			j.Only = []string{only}
		}
		boxes, err := j.boxes(t.Context())
		if err != nil || j.Show.Failures() != failures || failures > 0 && !strings.Contains(told.String(), "Locked: the server says: NO [NOPERM] not yours") {
			t.Errorf("%q: %v, %d failures, %q", only, err, j.Show.Failures(), told.String())
		}
		if slices.ContainsFunc(boxes, func(b Box) bool { return b.Name != "INBOX" }) {
			t.Errorf("%q: %v", only, boxes)
		}
	}
}

// A letter that is renamed each time that we look is told.
func TestLetterThatIsNeverThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, gone := range map[string]int{"came back": lookAgain, "never": lookAgain + 1} {
		file := filepath.Join(dir, "cur", "1.a.b:2,")
		if err := os.WriteFile(file, []byte("A: b\r\n\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := OpenMaildir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		boxes, err := m.Boxes(t.Context())
		if err != nil || len(boxes) != 1 {
			t.Fatal(boxes, err)
		}
		var bad []string
		given, looks := 0, 0
		// have is asked between the look at the directory and that at the file.
		have := func(mailbox.Key) bool {
			looks++
			next := filepath.Join(dir, "cur", fmt.Sprintf("1.a.b:2,%.*s", looks, "FRST"))
			if looks <= gone {
				if err := os.Rename(file, next); err != nil {
					t.Error(err)
				}
				file = next
			}
			return false
		}
		give := func(Letter, io.Reader) error { given++; return nil }
		err = m.Letters(t.Context(), &boxes[0], have, give, func(what string, _ error) { bad = append(bad, what) })
		if missing := gone > lookAgain; err != nil || given == 1 == missing || (len(bad) == 1) != missing || looks != lookAgain+1 {
			t.Errorf("%s: %v, %d given, %q told, %d looks", name, err, given, bad, looks)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}
