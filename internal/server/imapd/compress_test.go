package imapd

import (
	"bufio"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// packedConn compresses what a client sends, as zlib does.
type packedConn struct {
	net.Conn
	w *flate.Writer
	r io.Reader
}

func (p packedConn) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if err == nil {
		err = p.w.Flush()
	}
	return n, err
}

func (p packedConn) Read(b []byte) (int, error) { return p.r.Read(b) }

// compress switches the client over.
func (c *client) compress() {
	c.t.Helper()
	if got := c.do("z COMPRESS DEFLATE"); !strings.HasPrefix(got, "z OK") {
		c.t.Fatal(got)
	}
	w, err := flate.NewWriter(c.conn, 9)
	if err != nil {
		c.t.Fatal(err)
	}
	p := packedConn{c.conn, w, flate.NewReader(c.r)}
	c.conn, c.r = p, bufio.NewReader(p)
}

func TestCompress(t *testing.T) {
	h := open(t, nil)
	c := h.dial(t)
	c.line()
	c.want("a COMPRESS DEFLATE", "a BAD Log in first")
	c.want("b LOGIN alice secret", "COMPRESS=DEFLATE")
	c.want("c COMPRESS LZ4", "c NO [CANNOT]")
	c.compress()
	if got := c.want("d CAPABILITY", "UNAUTHENTICATE"); strings.Contains(got, "COMPRESS") {
		t.Error("IMAP-012: offered twice:", got)
	}
	c.want("e COMPRESS DEFLATE", "e NO [COMPRESSIONACTIVE]")
	c.want("f SELECT INBOX", "f OK")
	body := strings.Repeat("From: a\r\nSubject: all the same\r\n\r\nno text at all\r\n", 10_000)
	c.send(fmt.Sprintf("g APPEND INBOX {%d}\r\n", len(body)))
	if l := c.line(); !strings.HasPrefix(l, "+") {
		t.Fatal(l)
	}
	c.send(body + "\r\n")
	if got := strings.Join(c.until("g"), "\n"); !strings.Contains(got, "g OK") {
		t.Fatal(got)
	}
	if got := c.do("h FETCH 1 BODY.PEEK[]"); !strings.Contains(got, strings.ReplaceAll(body, "\r\n", "\n")) {
		t.Error("not the letter that was stored")
	}
	t.Run("IDLE", func(t *testing.T) {
		c.do("i IDLE")
		other := h.user(t)
		other.send("a APPEND INBOX {3+}\r\nabc\r\n")
		other.until("a")
		if l := c.line(); l != "* 2 EXISTS" {
			t.Error(l)
		}
		c.line()
		other.send("b APPEND INBOX {3+}\r\nabc\r\n")
		other.until("b")
		if l := c.line(); l != "* 3 EXISTS" {
			t.Error(l)
		}
		c.line()
		c.send("DONE\r\n")
		if got := strings.Join(c.until("i"), "\n"); !strings.Contains(got, "i OK") {
			t.Error(got)
		}
	})
	c.want("j NOOP", "j OK")
}

func TestCompressedBomb(t *testing.T) {
	t.Run("IMAP-012 one line", func(t *testing.T) {
		c := open(t, nil).user(t)
		c.compress()
		go io.CopyN(c.conn, zeros{}, 64<<20)
		if got := strings.Join(c.until("x"), "\n"); !strings.Contains(got, "* BYE Command line too long") {
			t.Error(got)
		}
	})
	t.Run("IMAP-012 many lines", func(t *testing.T) {
		c := open(t, nil).user(t)
		c.conn.SetDeadline(time.Now().Add(5 * time.Minute)) // more than a hundred thousand commands
		c.compress()
		noops := bytes.Repeat([]byte("a NOOP"+strings.Repeat(" ", 1016)+"\r\n"), 1<<10) // blanks are forgiven
		go func() {
			for range 64 {
				if _, err := c.conn.Write(noops); err != nil {
					return
				}
			}
		}()
		for {
			l := c.line()
			if l == "* BYE Compressed commands expand too far" {
				break
			}
			if l == "EOF" {
				t.Fatal("no word about it")
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Compression ends with the log-in, and TLS and the connection stay.
func TestUnauthenticateCompressed(t *testing.T) {
	h := open(t, nil)
	c := h.user(t)
	plain, r := c.conn, c.r
	c.compress()
	c.want("a SELECT INBOX", "a OK")
	c.want("b UNAUTHENTICATE", "b OK [CAPABILITY IMAP4rev1")
	c.conn, c.r = plain, r
	c.want("c LOGIN alice secret", "COMPRESS=DEFLATE")
	t.Run("IMAP-024", func(t *testing.T) {
		c.want("d FETCH 1 FLAGS", "d BAD No mailbox is selected")
	})
	c.want("e COMPRESS DEFLATE", "e OK")
	if all := h.events.all(); strings.Count(all, "Login: user=<alice>") != 2 || !strings.Contains(all, "imap(alice)<") {
		t.Error(all)
	}
}
