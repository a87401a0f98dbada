package listen

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"facteur/internal/base/event"
)

// Guest is what the events of a mailbox session tell of its connection. Its lines are
// Dovecot's to the letter: fail2ban and people's scripts read them.
type Guest struct {
	Remote, Local string // addresses
	TLS           bool
	Loopback      bool
	Session       string // id
}

// Guest is what events tell of the connection.
func (c *Conn) Guest(session string) Guest {
	return Guest{Remote: c.Remote.Addr().String(), Local: c.Local.Addr().String(), TLS: c.TLS() != nil, Loopback: c.Loopback(), Session: session}
}

// Tail is the end of the lines about log-ins.
func (g Guest) Tail(user, method string) string { return g.tail(user, method, "") }

// LoginTail is Tail for a log-in that succeeded. Dovecot names the process of the
// session, which here is the only one.
func (g Guest) LoginTail(user, method string) string {
	return g.tail(user, method, fmt.Sprintf(", mpid=%d", os.Getpid()))
}

func (g Guest) tail(user, method, more string) string {
	text := "user=<" + Printable(user) + ">"
	if method != "" {
		text += ", method=" + Printable(method)
	}
	text += ", rip=" + g.Remote + ", lip=" + g.Local + more
	switch {
	case g.TLS:
		text += ", TLS"
	case g.Loopback:
		text += ", secured"
	}
	return text + ", session=<" + g.Session + ">"
}

// Aborted is the line about a connection that ended before anybody logged in.
func (g Guest) Aborted(reason string, attempts int, took time.Duration, user, method string) string {
	secs := int(took.Seconds())
	if attempts == 0 {
		return fmt.Sprintf("Disconnected: %s (no auth attempts in %d secs): %s", reason, secs, g.Tail("", ""))
	}
	return fmt.Sprintf("Disconnected: %s (auth failed, %d attempts in %d secs): %s", reason, attempts, secs, g.Tail(user, method))
}

// LoginStep is the step of a journey that a log-in is, or the attempt. text begins
// with a space, after the name of the client.
func (g Guest) LoginStep(kind event.Kind, service, user, text string) event.Step {
	s := event.Step{Kind: kind, Session: g.Session, Service: service, Account: user}
	s.Client.Addr, _ = netip.ParseAddr(g.Remote)
	s.Sentence = s.Client.String() + text
	return s
}

// Printable makes what a client wrote fit for a line of the log, where it must not
// look like another field or another line.
func Printable(s string) string {
	const most = 100
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '<' || r == '>' || r == '\u2028' || r == '\u2029' || r >= 0x80 && r < 0xa0 || r == '\ufffd' {
			return '?'
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
