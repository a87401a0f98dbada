package list

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
)

// peer is a server that does what a test wants with each connection.
func peer(t *testing.T, serve func(c net.Conn)) (address string, count *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count = new(atomic.Int64)
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(time.Minute))
				serve(c)
			})
		}
	})
	return l.Addr().String(), count
}

// respond makes an LDAP message of the given kind for a request.
func respond(id any, tag ber.Tag, children ...*ber.Packet) []byte {
	m := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	for _, c := range children {
		op.AppendChild(c)
	}
	m.AppendChild(op)
	return m.Bytes()
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func done(id any, code int64) []byte {
	return respond(id, 5, ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""), octets(""), octets("said the server"))
}

func entry(id any, value string) []byte {
	values := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
	values.AppendChild(octets(value))
	attribute := ber.NewSequence("")
	attribute.AppendChild(octets("mail"))
	attribute.AppendChild(values)
	all := ber.NewSequence("")
	all.AppendChild(attribute)
	return respond(id, 4, octets("cn=x"), all)
}

// request reads one and gives its message id.
func request(c net.Conn) (id any, ok bool) {
	p, err := ber.ReadPacket(c)
	if err != nil || len(p.Children) == 0 {
		return nil, false
	}
	return p.Children[0].Value, true
}

// server opens a list on a peer, with little patience.
func server(t *testing.T, from string) (*remote, *said) {
	t.Helper()
	log := new(said)
	table, err := open(Source{Name: "l", From: from, TLS: TLSNone}, log)
	if err != nil {
		t.Fatal(err)
	}
	r := table.(*remote)
	r.limit = 500 * time.Millisecond
	t.Cleanup(func() { r.close() })
	return r, log
}

// A directory that is none: mail waits, nothing is taken for an answer, and the
// server is left alone for a moment.
func TestBadDirectories(t *testing.T) {
	t.Parallel()
	answering := func(answer func(id any) []byte) func(c net.Conn) {
		return func(c net.Conn) {
			for {
				id, ok := request(c)
				if !ok {
					return
				}
				if _, err := c.Write(answer(id)); err != nil {
					return
				}
			}
		}
	}
	for name, serve := range map[string]func(c net.Conn){
		"never answers":           func(c net.Conn) { io.Copy(io.Discard, c) },
		"hangs up":                func(c net.Conn) {},
		"hangs up after question": func(c net.Conn) { request(c) },
		"cuts in the middle":      func(c net.Conn) { id, _ := request(c); c.Write(entry(id, "x")[:12]) },
		"cuts after an entry":     func(c net.Conn) { id, _ := request(c); c.Write(entry(id, "x")) },
		"speaks SMTP":             func(c net.Conn) { io.WriteString(c, "220 hello\r\n"); io.Copy(io.Discard, c) },
		"zeros":                   func(c net.Conn) { request(c); c.Write(make([]byte, 1<<16)); io.Copy(io.Discard, c) },
		"announces 2 GB": func(c net.Conn) {
			request(c)
			c.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 4, 0x84, 0x7f, 0xff, 0xf0, 0, 'x'})
			io.Copy(io.Discard, c)
		},
		"nests without end": func(c net.Conn) { request(c); c.Write(bytes.Repeat([]byte{0x30, 0x80}, 1<<20)); io.Copy(io.Discard, c) },
		"entries without end": func(c net.Conn) {
			id, _ := request(c)
			for {
				if _, err := c.Write(entry(id, strings.Repeat("x", 8<<10))); err != nil {
					return
				}
			}
		},
		"another's answer": answering(func(id any) []byte { return append(entry(id.(int64)+7, "x"), done(id.(int64)+7, 0)...) }),
		"busy":             answering(func(id any) []byte { return done(id, 51) }),
		"unavailable":      answering(func(id any) []byte { return done(id, 52) }),
	} {
		t.Run("MAP-004 "+name, func(t *testing.T) {
			t.Parallel()
			address, count := peer(t, serve)
			r, log := server(t, "ldap://"+address+"/dc=x?mail?sub?(mail={key})")
			if got := r.find(t.Context(), "bob"); got.State() != lookup.TryAgain {
				t.Fatalf("it says %s", show(got))
			}
			if name == "never answers" && (count.Load() != 1 || !strings.Contains(r.find(t.Context(), "bob").Err().Error(), "no answer in time")) {
				t.Errorf("%d connections; %v", count.Load(), r.find(t.Context(), "bob").Err())
			}
			before := count.Load()
			for range 20 {
				if got := r.find(t.Context(), "bob"); got.State() != lookup.TryAgain {
					t.Fatalf("then it says %s", show(got))
				}
			}
			if n := count.Load() - before; n > 3 { // a slow machine may see the pause end
				t.Errorf("%d connections to a server that is down", n)
			}
			if len(log.lines) == 0 || !strings.Contains(log.lines[0], "mail that depends on it has to wait") {
				t.Errorf("it says %q", log.lines)
			}
		})
	}
	t.Run("what is good", func(t *testing.T) {
		address, count := peer(t, answering(func(id any) []byte { return append(entry(id, "x"), done(id, 0)...) }))
		r, _ := server(t, "ldap://"+address+"/dc=x?mail?sub?(mail={key})")
		for i := range 20 {
			if got := r.find(t.Context(), fmt.Sprint(i)); show(got) != "x" {
				t.Errorf("it says %s: %v", show(got), got.Err())
			}
		}
		if count.Load() != 1 {
			t.Errorf("%d connections for questions one after the other", count.Load())
		}
	})
	for code, want := range map[int64]string{10: "refers to another one", 50: "Insufficient Access", 1: "said the server", 32: "the base does not exist", 4: "more than 100 entries"} {
		t.Run(fmt.Sprint("MAP-004 complaint ", code), func(t *testing.T) {
			address, _ := peer(t, answering(func(id any) []byte { return done(id, code) }))
			r, log := server(t, "ldap://"+address+"/dc=x?mail?sub?(mail={key})")
			for range 3 {
				if got := r.find(t.Context(), "bob"); got.State() != lookup.TryAgain || !strings.Contains(got.Err().Error(), want) || strings.Contains(got.Err().Error(), "not asked again") {
					t.Errorf("it says %s: %v", show(got), got.Err())
				}
			}
			if len(log.lines) != 1 {
				t.Errorf("it is told %q", log.lines)
			}
		})
	}
}

// What a server says between StartTLS and TLS is not taken for an answer in TLS.
func TestInjectionBeforeTLS(t *testing.T) {
	t.Parallel()
	address, _ := peer(t, func(c net.Conn) {
		id, _ := request(c)
		c.Write(append(respond(id, 24, ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(0), ""), octets(""), octets("")),
			append(entry(int64(2), "injected"), done(int64(2), 0)...)...))
		tls.Server(c, &tls.Config{}).Handshake() // has no certificate
	})
	r, err := openDirectory(Source{Name: "l", From: "ldap://" + address + "/dc=x?mail?sub?(mail={key})", TLS: TLSStart}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.limit = time.Second
	if got := r.find(t.Context(), "bob"); got.State() != lookup.TryAgain || !strings.Contains(got.Err().Error(), "TLS") {
		t.Errorf("it says %s: %v", show(got), got.Err())
	}
}

// pgMessage is one of PostgreSQL's messages.
func pgMessage(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

func TestBadDatabases(t *testing.T) {
	t.Parallel()
	hello := func(c net.Conn) bool { // takes the start-up message, and asks for no password
		var head [4]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return false
		}
		io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head[:]))-4)
		c.Write(append(pgMessage('R', "\x00\x00\x00\x00"), pgMessage('Z', "I")...))
		_, err := c.Read(make([]byte, 4096))
		return err == nil
	}
	for name, serve := range map[string]func(c net.Conn){
		"never answers":  func(c net.Conn) { io.Copy(io.Discard, c) },
		"hangs up":       func(c net.Conn) {},
		"speaks SMTP":    func(c net.Conn) { io.WriteString(c, "220 hello\r\n"); io.Copy(io.Discard, c) },
		"silent later":   func(c net.Conn) { hello(c); io.Copy(io.Discard, c) },
		"hangs up later": func(c net.Conn) { hello(c) },
		"garbage later": func(c net.Conn) {
			hello(c)
			c.Write(bytes.Repeat([]byte{'D', 0, 0, 0, 9}, 100))
			io.Copy(io.Discard, c)
		},
		"announces 2 GB": func(c net.Conn) { hello(c); c.Write([]byte{'D', 0x7f, 0xff, 0xff, 0xff, 0, 1}); io.Copy(io.Discard, c) },
		"cut in the middle": func(c net.Conn) {
			hello(c)
			c.Write(append(pgMessage('1', ""), pgMessage('2', "")...))
			c.Write([]byte{'D', 0, 0})
		},
		"shuts down": func(c net.Conn) {
			hello(c)
			c.Write(pgMessage('E', "SFATAL\x00C57P01\x00Mbye\x00\x00"))
			io.Copy(io.Discard, c)
		},
		"rows without end": func(c net.Conn) {
			hello(c)
			c.Write(append(pgMessage('1', ""), pgMessage('2', "")...))
			for {
				if _, err := c.Write(pgMessage('N', "SNOTICE\x00Mwait\x00\x00")); err != nil {
					return
				}
			}
		},
	} {
		t.Run("MAP-004 "+name, func(t *testing.T) {
			t.Parallel()
			address, _ := peer(t, serve)
			r, log := server(t, "postgres://u@"+address+"/d?query=SELECT a FROM t WHERE k = $1")
			for range 3 {
				if got := r.find(t.Context(), "bob"); got.State() != lookup.TryAgain {
					t.Fatalf("it says %s", show(got))
				}
			}
			if len(log.lines) == 0 || !strings.Contains(log.lines[0], "mail that depends on it has to wait") {
				t.Errorf("it says %q", log.lines)
			}
		})
	}
}

// scripted is a service whose sessions answer as they are told.
type scripted struct {
	answer func(ctx context.Context, key string) error
	dials  atomic.Int64
	open   atomic.Int64
}

func (s *scripted) dial(context.Context, string) (session, error) {
	s.dials.Add(1)
	s.open.Add(1)
	return &spoken{s}, nil
}

type spoken struct{ *scripted }

func (l *spoken) ask(ctx context.Context, key string) ([]string, bool, error) {
	err := l.answer(ctx, key)
	return []string{key}, err == nil && key != "none", err
}

func (l *spoken) close() { l.open.Add(-1) }

// The pauses of a server that is down: one look-up tries, the others are told at once.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down, asked := true, 0
		s := &scripted{answer: func(ctx context.Context, _ string) error {
			if asked++; down {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		log := new(said)
		r := newRemote(Source{Name: "l"}, []string{"h"}, s, log)
		defer r.close()
		find := func() (lookup.State, time.Duration) {
			began := time.Now()
			return r.find(t.Context(), fmt.Sprint("k", asked)).State(), time.Since(began)
		}
		for i, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			if state, took := find(); state != lookup.TryAgain || took != patience {
				t.Errorf("try %d: %s after %s", i, state, took)
			}
			before := asked
			time.Sleep(pause*time.Second - 1)
			for range 100 {
				if state, took := find(); state != lookup.TryAgain || took != 0 {
					t.Errorf("in pause %d: %s after %s", i, state, took)
				}
			}
			if asked != before {
				t.Errorf("in pause %d it was asked", i)
			}
			time.Sleep(1)
		}
		var wg sync.WaitGroup
		before := asked
		for range 50 {
			wg.Go(func() { r.find(t.Context(), "x") })
		}
		wg.Wait()
		if asked != before+1 {
			t.Errorf("%d tried, want one", asked-before)
		}
		time.Sleep(longestPause)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // who gives up says nothing of the server
		defer cancel()
		r.find(ctx, "x")
		down = false
		if state, took := find(); state != lookup.Found || took != 0 {
			t.Errorf("up again: %s after %s", state, took)
		}
		if len(log.lines) != 2 || !strings.Contains(log.lines[1], "answers again") {
			t.Errorf("it says %q", log.lines)
		}
	})
}

// A list has a bounded number of connections, and an unused one does not stay.
func TestConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{answer: func(context.Context, string) error { time.Sleep(time.Second); return nil }}
		r := newRemote(Source{Name: "l"}, []string{"h"}, s, event.Discard)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() { r.find(t.Context(), fmt.Sprint(i)) })
		}
		wg.Wait()
		if s.dials.Load() != maxSessions || s.open.Load() != maxSessions {
			t.Errorf("%d dialled, %d open", s.dials.Load(), s.open.Load())
		}
		time.Sleep(2*keepIdle + time.Second)
		synctest.Wait()
		if s.open.Load() != 0 {
			t.Errorf("%d still open", s.open.Load())
		}
		r.find(t.Context(), "again")
		s.answer = func(context.Context, string) error { return complaint{errors.New("no")} }
		r.find(t.Context(), "more")
		if s.open.Load() != 0 {
			t.Errorf("%d open after an error", s.open.Load())
		}
		r.find(t.Context(), "more")
		if r.close(); s.open.Load() != 0 {
			t.Errorf("%d open after the end", s.open.Load())
		}
	})
}

// Answers are kept for some time and up to a number; failures are not.
func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, fails := 0, false
		s := &scripted{answer: func(context.Context, string) error {
			if asked++; fails {
				return complaint{errors.New("no")}
			}
			return nil
		}}
		r := newRemote(Source{Name: "l", CacheTime: time.Minute}, []string{"h"}, s, event.Discard)
		defer r.close()
		step := func(what, key string, want lookup.State, questions int) {
			t.Helper()
			before := asked
			if got := r.find(t.Context(), key); got.State() != want || asked-before != questions || want == lookup.Found && got.Value() != key {
				t.Errorf("%s: %s after %d questions", what, show(got), asked-before)
			}
		}
		step("first", "a", lookup.Found, 1)
		step("first", "none", lookup.NotFound, 1)
		fails = true
		step("kept", "a", lookup.Found, 0)
		step("kept", "none", lookup.NotFound, 0)
		step("fails", "b", lookup.TryAgain, 1)
		step("fails again", "b", lookup.TryAgain, 1)
		step("no key", "", lookup.NotFound, 0)
		step("no key", "\xff", lookup.NotFound, 0)
		step("no key", "a\x00", lookup.NotFound, 0)
		time.Sleep(time.Minute)
		step("old", "a", lookup.TryAgain, 1)
		fails = false
		for i := range 3 * cacheEntries {
			r.find(t.Context(), fmt.Sprint(i))
		}
		if n := len(r.cache.young) + len(r.cache.old); n > cacheEntries {
			t.Errorf("%d answers are kept", n)
		}
		for range 100 {
			r.find(t.Context(), fmt.Sprint(asked, strings.Repeat("x", 200<<10)))
		}
		size := 0
		for _, half := range []map[string]kept{r.cache.young, r.cache.old} {
			for key, k := range half {
				size += len(key) + len(k.answer.Value())
			}
		}
		if size > cacheBytes {
			t.Errorf("%d bytes are kept", size)
		}
	})
}
