package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// IMAP is a bare IMAP client: it sends a command, reads up to the tagged
// answer and understands literals, nothing else. A test sees the bytes.
type IMAP struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	tag  int
}

// Answer is all untagged data of one command, line by line, with literals
// apart.
type Answer struct {
	Lines    []string // literals are left as {n}
	Literals [][]byte
	Bytes    int64  // read in all
	Status   string // the tagged line without its tag
}

// DialIMAP connects and logs in with Password.
func DialIMAP(t testing.TB, addr, user string) *IMAP {
	t.Helper()
	c := ConnectIMAP(t, addr)
	c.Do("LOGIN %q %q", user, Password)
	return c
}

// ConnectIMAP connects and reads the greeting.
func ConnectIMAP(t testing.TB, addr string) *IMAP {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, StartWait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &IMAP{t: t, conn: conn, r: bufio.NewReaderSize(conn, 1<<16)}
	conn.SetDeadline(time.Now().Add(LongWait))
	if line, err := c.line(); err != nil || !strings.HasPrefix(line, "* OK") {
		t.Fatalf("IMAP greeting %q, %v", line, err)
	}
	return c
}

// Do sends a command; the answer has to be OK.
func (c *IMAP) Do(format string, args ...any) Answer {
	c.t.Helper()
	answer := c.Try(format, args...)
	if !strings.HasPrefix(answer.Status, "OK") {
		c.t.Fatalf("IMAP %s: %s", fmt.Sprintf(format, args...), answer.Status)
	}
	return answer
}

// Try sends a command and returns whatever is answered.
func (c *IMAP) Try(format string, args ...any) Answer {
	c.t.Helper()
	c.tag++
	tag := fmt.Sprintf("t%d", c.tag)
	c.conn.SetDeadline(time.Now().Add(LongWait))
	if _, err := fmt.Fprintf(c.conn, "%s %s\r\n", tag, fmt.Sprintf(format, args...)); err != nil {
		c.t.Fatal(err)
	}
	answer, err := c.answer(tag + " ")
	if err != nil {
		c.t.Fatalf("IMAP %s: %v", fmt.Sprintf(format, args...), err)
	}
	return answer
}

func (c *IMAP) answer(tag string) (a Answer, err error) {
	for {
		line, err := c.line()
		if err != nil {
			return a, err
		}
		a.Bytes += int64(len(line)) + 2
		if status, done := strings.CutPrefix(line, tag); done {
			a.Status = status
			return a, nil
		}
		a.Lines = append(a.Lines, line)
		for size := literal(line); size >= 0; size = literal(line) {
			data := make([]byte, size)
			if _, err = io.ReadFull(c.r, data); err != nil {
				return a, err
			}
			if line, err = c.line(); err != nil {
				return a, err
			}
			a.Literals = append(a.Literals, data)
			a.Bytes += int64(size) + int64(len(line)) + 2
			a.Lines[len(a.Lines)-1] += line
		}
	}
}

func (c *IMAP) line() (string, error) {
	line, err := c.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// literal is the size of a literal that follows a line, or -1.
func literal(line string) int {
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return -1
	}
	size, err := strconv.Atoi(line[open+1 : len(line)-1])
	if err != nil {
		return -1
	}
	return size
}

// Bodies fetches every message of a mailbox whole, without marking it seen.
func (c *IMAP) Bodies(mailbox string) [][]byte {
	c.t.Helper()
	if c.Exists(mailbox) == 0 {
		return nil
	}
	return c.Do("FETCH 1:* BODY.PEEK[]").Literals
}

// Exists selects a mailbox and returns how many messages are in it.
func (c *IMAP) Exists(mailbox string) int {
	c.t.Helper()
	for _, line := range c.Do("SELECT %q", mailbox).Lines {
		if fields := strings.Fields(line); len(fields) == 3 && fields[2] == "EXISTS" {
			n, _ := strconv.Atoi(fields[1])
			return n
		}
	}
	c.t.Fatalf("SELECT %s: no EXISTS", mailbox)
	return 0
}

// WaitLetter waits until a message in INBOX contains the text and returns
// its bytes.
func WaitLetter(t testing.TB, addr, user, text string) []byte {
	t.Helper()
	var found []byte
	WaitUntil(t, "a letter to "+user+" with "+text, func() bool {
		c := DialIMAP(t, addr, user)
		defer c.conn.Close()
		for _, body := range c.Bodies("INBOX") {
			if bytes.Contains(body, []byte(text)) {
				found = body
				return true
			}
		}
		time.Sleep(100 * time.Millisecond)
		return false
	})
	return found
}
