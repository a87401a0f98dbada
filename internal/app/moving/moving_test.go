package moving

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/net/imapc"
	"facteur/internal/store/mailbox"
)

// account is a server whose answers are those of a script: what it says to the command
// that a line has in it, "T" being its tag. A text that ends in "…" ends the connection.
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
		if _, err := io.WriteString(c, strings.ReplaceAll(text, "T ", tag+" ")); err != nil || last {
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
