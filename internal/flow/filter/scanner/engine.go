package scanner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"facteur/internal/flow/filter"
	"facteur/internal/net/clamav"
	"facteur/internal/net/rspamd"
	"facteur/internal/net/spamd"
)

// engine is a scanner of one kind.
type engine interface {
	// scan shows a letter of size bytes to it.
	scan(ctx context.Context, l *filter.Letter, r io.Reader, size int64) (finding, error)
	// ping asks whether it is there.
	ping(ctx context.Context) error
}

// finding is what a scanner says of a letter.
type finding struct {
	// virus is the name of what clamd found.
	virus string
	// scored: it gives points, which say as much about it.
	scored bool
	points float64
	says   string
}

func newEngine(c *Config) engine {
	switch c.Kind {
	case Rspamd:
		return rspamdEngine{rspamd.New(rspamd.Config{Network: c.Network, Address: c.Address, Password: c.Password})}
	case Spamd:
		return spamdEngine{spamd.Config{Network: c.Network, Address: c.Address, User: c.User}, c.Hostname}
	}
	return clamdEngine{clamav.Config{Network: c.Network, Address: c.Address}}
}

type clamdEngine struct{ clamav.Config }

func (e clamdEngine) scan(ctx context.Context, _ *filter.Letter, r io.Reader, _ int64) (finding, error) {
	a, err := e.Scan(ctx, r)
	return finding{virus: a.Name}, err
}

func (e clamdEngine) ping(ctx context.Context) error { return e.Ping(ctx) }

type rspamdEngine struct{ *rspamd.Client }

func (e rspamdEngine) scan(ctx context.Context, l *filter.Letter, r io.Reader, size int64) (finding, error) {
	about := rspamd.Letter{From: l.Sender.String(), Helo: l.Client.Helo, Hostname: l.Client.Name, QueueID: l.ID}
	if l.Sender.IsNull() {
		about.From = "<>"
	}
	if l.Client.Addr.IsValid() {
		about.IP = l.Client.Addr.Unmap().WithZone("").String()
	}
	for i := range l.Recipients {
		about.To = append(about.To, l.Recipients[i].Address.String())
	}
	a, err := e.Check(ctx, about, r, size)
	if err != nil || a.Skipped {
		return finding{}, err
	}
	f := finding{scored: true, points: forced(a)}
	f.says = fmt.Sprintf("gives the letter %.1f points, of the %.1f from which it would reject (%s)", a.Score, a.Required, a.Action)
	var names []string
	for _, s := range a.Symbols {
		names = append(names, fmt.Sprintf("%s %.1f", s.Name, s.Score))
	}
	f.says += enumerated(names)
	return f, nil
}

// forced is a score that goes with the action: some of rspamd's modules and rules want an
// action whatever the score is.
func forced(a rspamd.Answer) float64 {
	switch a.Action {
	case "reject":
		return max(a.Score, a.Required)
	case "add header", "rewrite subject":
		return max(a.Score, 0.4*a.Required) // 6 of 15, as rspamd has it
	}
	return a.Score
}

func (e rspamdEngine) ping(ctx context.Context) error { return e.Ping(ctx) }

type spamdEngine struct {
	spamd.Config
	hostname string
}

func (e spamdEngine) scan(ctx context.Context, l *filter.Letter, r io.Reader, size int64) (finding, error) {
	above := trace(l, e.hostname)
	a, err := e.Check(ctx, io.MultiReader(strings.NewReader(above), r), size+int64(len(above)))
	if err != nil {
		return finding{}, err
	}
	f := finding{scored: true, points: a.Score}
	f.says = fmt.Sprintf("gives the letter %.1f points, of %.1f", a.Score, a.Required) + enumerated(a.Tests)
	return f, nil
}

func (e spamdEngine) ping(ctx context.Context) error { return e.Ping(ctx) }

// trace is what stands above a letter for programs that know of its client by nothing else.
func trace(l *filter.Letter, hostname string) string {
	if !l.Client.Addr.IsValid() {
		return ""
	}
	name := l.Client.Name
	if name == "" {
		name = "unknown"
	}
	return fmt.Sprintf("Return-Path: <%s>\r\nReceived: from %s (%s [%s])\r\n\tby %s (facteur) with ESMTP;\r\n\t%s\r\n", l.Sender,
		word(l.Client.Helo), word(name), l.Client.Addr.Unmap().WithZone(""), word(hostname), l.Now.Format(time.RFC1123Z))
}

// word is a stranger's word as it may stand in a Received field.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune(`()<>\;"`, r) {
			return '?'
		}
		return r
	}, s[:min(len(s), 255)])
	if s == "" {
		return "unknown"
	}
	return s
}

// namesMost is how many names are told.
const namesMost = 8

func enumerated(names []string) string {
	if len(names) == 0 {
		return ""
	}
	more := ""
	if n := len(names) - namesMost; n > 0 {
		names, more = names[:namesMost], fmt.Sprintf(" and %d more", n)
	}
	return ": " + strings.Join(names, ", ") + more
}

// isRefusal tells an error that the scanner told itself: it is there, whatever it did with
// the letter.
func isRefusal(err error) bool {
	_, clamd := errors.AsType[*clamav.Refused](err)
	_, rsp := errors.AsType[*rspamd.Refused](err)
	_, spam := errors.AsType[*spamd.Refused](err)
	return clamd || rsp || spam
}
