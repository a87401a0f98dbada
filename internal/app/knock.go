package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/server/listen"
)

const (
	// knockTime is for all that is tried at the door.
	knockTime = 20 * time.Second
	// perStranger is how many envelopes one stranger tries: fewer than make the door lose
	// its patience.
	perStranger = 4
)

// strangers are networks for examples (RFC 5737): nobody can come from there, and nobody
// has a reputation there to lose.
var strangers = [...]string{"203.0.113.0", "198.51.100.0", "192.0.2.0"}

// knock tries envelopes at our own door for other servers, as strangers would: real
// sessions with what answers there, over a pipe instead of a socket, so that it is known
// for certain that nobody trusts where they come from. There is no DATA. The door's own
// events tell of it, as of any client.
func (a *App) knock(ctx context.Context, tries []control.Envelope) ([]control.KnockReply, error) {
	handler, err := a.frontDoor()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, knockTime)
	defer cancel()
	replies := make([]control.KnockReply, len(tries))
	var busy sync.WaitGroup
	i := 0
	for part := range slices.Chunk(tries, perStranger) {
		into, who := replies[i:i+len(part)], strangers[i/perStranger%len(strangers)]
		i += len(part)
		busy.Go(func() { visitDoor(ctx, handler, who, part, into) })
	}
	busy.Wait()
	return replies, nil
}

// frontDoor is what answers other servers. A listener behind a proxy is one of them.
func (a *App) frontDoor() (listen.Handler, error) {
	c := a.settings.Load().config
	for _, l := range c.Listen {
		if l.Service == config.SMTP {
			x, err := a.answer(c, l)
			return x.handler, err
		}
	}
	return nil, errors.New("no listener serves other servers")
}

// visitDoor is one session.
func visitDoor(ctx context.Context, handler listen.Handler, network string, tries []control.Envelope, into []control.KnockReply) {
	near, far := net.Pipe()
	defer near.Close()
	addr := netip.MustParseAddr(network).As4()
	addr[3] = byte(1 + rand.IntN(254))
	from := netip.AddrPortFrom(netip.AddrFrom4(addr), uint16(1024+rand.IntN(60000)))
	var served sync.WaitGroup
	served.Go(func() {
		defer far.Close()
		handler(ctx, listen.NewConn(stranger{far, from}))
	})
	end, _ := ctx.Deadline()
	near.SetDeadline(end)
	talkTo(near, tries, into)
	near.Close()
	served.Wait()
}

// stranger is the door's end of a pipe, with the address of somebody else.
type stranger struct {
	net.Conn
	from netip.AddrPort
}

// RemoteAddr is where he says that he comes from.
func (s stranger) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.from) }

// LocalAddr is an address of nobody's.
func (s stranger) LocalAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.25:25"))
}

// talkTo is the stranger's part of the session. Where it breaks off, the replies that are
// missing have no code.
func talkTo(conn net.Conn, tries []control.Envelope, into []control.KnockReply) {
	door := textproto.NewReader(bufio.NewReaderSize(conn, 4<<10))
	say := func(line string) (control.KnockReply, bool) {
		if line != "" {
			if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
				return control.KnockReply{}, false
			}
		}
		code, text, err := door.ReadResponse(0)
		return control.KnockReply{Code: code, Text: fmt.Sprintf("%d %s", code, strings.ReplaceAll(text, "\n", " "))}, err == nil
	}
	if greeting, ok := say(""); !ok || greeting.Code != 220 {
		into[0] = greeting
		return
	}
	if hello, ok := say("EHLO relay-test.example.com"); !ok || hello.Code != 250 {
		return
	}
	for i, t := range tries {
		reply, ok := say("MAIL FROM:<" + oneLine(t.From) + ">")
		if ok && reply.Code == 250 {
			reply, ok = say("RCPT TO:<" + oneLine(t.To) + ">")
		}
		into[i] = reply
		if !ok {
			return
		}
		if _, ok := say("RSET"); !ok {
			return
		}
	}
	say("QUIT")
}

// oneLine keeps an address from being two commands.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 127 {
			return '?'
		}
		return c
	}, s)
}
