package imapc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

// serve answers each line of a client with the next text; the "T" of "T OK" stands for its tag. What is
// endless goes on until the client has enough.
func serve(t *testing.T, answers ...string) *Client {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	go func() {
		defer there.Close()
		in := bufio.NewReader(there)
		for _, a := range answers {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			tag, _, _ := strings.Cut(line, " ")
			text, endless := strings.CutSuffix(strings.ReplaceAll(a, "T OK", tag+" OK"), "…")
			for {
				if _, err := io.WriteString(there, text); err != nil || !endless {
					break
				}
			}
		}
	}()
	c := &Client{}
	c.use(here)
	return c
}

func TestFetch(t *testing.T) {
	t.Parallel()
	c := serve(t, "* OK [UIDVALIDITY 7] x\r\n* 3 EXISTS\r\n* OK [UIDNEXT 12] y\r\nT OK done\r\n",
		"* SEARCH 11 4\r\n* SEARCH\r\n* 4 EXISTS\r\nT OK\r\n",
		"* 1 FETCH (UID 4 FLAGS (\\Seen Work) INTERNALDATE \" 1-Feb-2020 10:00:00 +0100\" RFC822.SIZE 5 X-GM-LABELS (\"a\" {1}\r\nb (c)))\r\n* 9 FETCH (UID 99 FLAGS ())\r\nT OK\r\n",
		"* 1 FETCH (UID 4 BODY[] {5}\r\nhello FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS ())\r\n* 2 FETCH (BODY[] \"x\" UID 11)\r\n* 7 FETCH (UID 99 BODY[] {3}\r\nabc)\r\nT OK\r\n")
	st, err := c.Examine("INBOX")
	uids, uerr := c.UIDs()
	told, derr := c.Describe(uids)
	if fmt.Sprint(st, uids, err, uerr, derr) != "{3 7 12} [4 11] <nil> <nil> <nil>" || len(told) != 1 || told[4].Received.Unix() != 1580547600 || fmt.Sprint(told[4].Flags) != `[\Seen Work]` {
		t.Error(st, uids, err, uerr, derr, told)
	}
	var got string
	err = c.Fetch(uids, func(uid uint32, size int64, r io.Reader) error {
		text, err := io.ReadAll(r)
		got += fmt.Sprint(uid, size, string(text), ";")
		return err
	})
	if got != "4 5hello;" || err != nil {
		t.Error(got, err)
	}
}

// What a server must not say ends the connection, and takes no memory to speak of.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"IMAP-001 an endless line":            "* OK " + strings.Repeat("x", 1000) + "…",
		"IMAP-001 an endless word":            strings.Repeat("x", 1000) + "…",
		"IMAP-001 an endless string":          "* LIST (\\A) \"/\" \"" + strings.Repeat("x", 100) + "…",
		"IMAP-001 a name as a huge literal":   "* LIST () \"/\" {4000000000}\r\nx",
		"IMAP-001 a literal beyond all":       "* LIST () \"/\" {99999999999999999999}\r\n",
		"IMAP-001 a literal below nothing":    "* LIST () \"/\" {-1}\r\n",
		"IMAP-001 endless attributes":         "* LIST (" + strings.Repeat("x ", 1000) + "…",
		"IMAP-001 a name with a line end":     "* LIST () \"/\" {3}\r\na\nb\r\nT OK\r\n",
		"IMAP-001 a string without an end":    "* LIST () \"/\" \"a\r\n",
		"IMAP-001 an answer to another":       "zz OK\r\n",
		"IMAP-001 the end in the midst of it": "* LIST (",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			list, err := serve(t, text).List()
			runtime.ReadMemStats(&after)
			if err == nil || errors.As(err, new(*Refusal)) {
				t.Errorf("%v %v", list, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
				t.Errorf("%d bytes", used)
			}
		})
	}
	_, err := serve(t, "* SEARCH 1 x 2\r\nT OK\r\n").UIDs()
	if !errors.Is(err, ErrServer) {
		t.Error(err)
	}
	_, err = serve(t, "* BYE too busy\r\n").UIDs()
	if err == nil || !strings.Contains(err.Error(), "too busy") {
		t.Error(err)
	}
	deep := "* 1 FETCH (X " + strings.Repeat("(", 1000) + "\r\n"
	if _, err := serve(t, deep).Describe([]uint32{1}); !errors.Is(err, ErrServer) {
		t.Error(err)
	}
}

// The words with which servers ask for patience.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"NO [THROTTLED] Account exceeded command or bandwidth limits.": true,
		"BAD Request is throttled. Suggested Backoff Time: 92415 ms":   true,
		"NO [UNAVAILABLE] Temporary authentication failure":            true,
		"NO [ALERT] Too many simultaneous connections. (Failure)":      true,
		"NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)":      false,
		"NO Mailbox doesn't exist: x":                                  false,
	} {
		if got := (&Refusal{text}).Throttled(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ caps, want string }{
		{"IMAP4rev1 AUTH=PLAIN SASL-IR", "AUTHENTICATE PLAIN AGEAYiJc"},
		{"IMAP4rev1", `LOGIN "a" "b\"\\"`},
	} {
		here, there := net.Pipe()
		c := &Client{}
		c.use(here)
		got := make(chan string, 1)
		go func() {
			in := bufio.NewReader(there)
			in.ReadString('\n')
			fmt.Fprintf(there, "* CAPABILITY %s\r\na1 OK\r\n", x.caps)
			line, _ := in.ReadString('\n')
			got <- strings.TrimSpace(line)
			fmt.Fprint(there, "a2 OK\r\n")
		}()
		if err := c.Login("a", `b"\`); err != nil {
			t.Error(err)
		}
		if line := <-got; line != "a2 "+x.want {
			t.Errorf("%q, want %q", line, x.want)
		}
		here.Close()
		there.Close()
	}
}

func FuzzResponses(f *testing.F) {
	f.Add("* 1 FETCH (UID 4 BODY[] {5}\r\nhello FLAGS (\\Seen))\r\na1 OK\r\n")
	f.Add("* LIST (\\A) \"/\" {1}\r\nx\r\na1 NO [LIMIT]\r\n")
	f.Add("* SEARCH 1 2\r\na1 BAD\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, ask := range []func(c *Client) error{
			func(c *Client) error { _, err := c.List(); return err },
			func(c *Client) error { _, err := c.Describe([]uint32{4}); return err },
			func(c *Client) error {
				return c.Fetch([]uint32{4}, func(_ uint32, _ int64, r io.Reader) error {
					_, err := io.Copy(io.Discard, r)
					return err
				})
			},
		} {
			c := &Client{conn: deaf{}, in: bufio.NewReader(strings.NewReader(text))}
			ask(c) // it ends, and does not panic
		}
	})
}

// TestDoubling: INV-16.
func TestDoubling(t *testing.T) {
	list := func(c *Client) { c.List() }
	describe := func(c *Client) { c.Describe([]uint32{4}) }
	fetch := func(c *Client) {
		c.Fetch([]uint32{4}, func(_ uint32, _ int64, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
	}
	for name, x := range map[string]struct {
		begin, more, end string
		ask              func(*Client)
	}{
		"responses":  {"", "* 1 FETCH (UID 4 FLAGS (\\Seen))\r\n", "", describe},
		"mailboxes":  {"", "* LIST (\\A) \"/\" {1}\r\nx\r\n", "a1 OK\r\n", list},
		"uids":       {"* SEARCH", " 12345", "\r\na1 OK\r\n", func(c *Client) { c.UIDs() }},
		"a string":   {"* LIST () \"/\" \"", "\\\\abc", "\"\r\n", list},
		"an atom":    {"* LIST () \"/\" ", "a[bc]", "\r\n", list},
		"depth":      {"* 1 FETCH (X ", "(", "", describe},
		"unknown":    {"* 1 FETCH (", "X (a b) ", ")\r\n", describe},
		"empty":      {"", "* X\r\n", "", describe},
		"a letter":   {"* 1 FETCH (UID 4 BODY[] {4000000000}\r\n", "0123456789", "", fetch},
		"literals":   {"* 1 FETCH (", "X {3}\r\nabc ", ")\r\n", fetch},
		"other text": {"* OK ", "abcdefgh ", "\r\n", describe},
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Check(t, name, 5_000, func(n int) func() {
				text := x.begin + strings.Repeat(x.more, n) + x.end
				return func() { x.ask(&Client{conn: deaf{}, in: bufio.NewReader(strings.NewReader(text))}) }
			})
		})
	}
}

// deaf is a connection that nobody reads from.
type deaf struct{ net.Conn }

func (deaf) Write(p []byte) (int, error) { return len(p), nil }

func (deaf) SetWriteDeadline(time.Time) error { return nil }
