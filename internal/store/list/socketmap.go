package list

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"facteur/internal/base/event"
)

// maxNetstring is the longest reply of a socketmap, in bytes (socketmap_table(5)).
const maxNetstring = 100_000

// socketmap is a table that is asked with netstrings (socketmap_table(5)).
type socketmap struct{ name string }

// openSocketmap reads inet:host:port:name or unix:/path:name.
func openSocketmap(s Source, rest string, events event.Sink) (*remote, error) {
	host, name, err := socketmapPlace(rest)
	if err != nil {
		return nil, err
	}
	r := newRemote(s, []string{host}, socketmap{name}, events)
	r.entire = true
	return r, nil
}

func socketmapPlace(rest string) (host, name string, err error) {
	i := strings.LastIndexByte(rest, ':')
	if i < 0 || rest[i+1:] == "" || strings.ContainsAny(rest, " \t") {
		return "", "", fmt.Errorf("expected \"socketmap:inet:host:port:name\" or \"socketmap:unix:/path:name\", found %q", rest)
	}
	place, name := rest[:i], rest[i+1:]
	kind, at, _ := strings.Cut(place, ":")
	switch {
	case kind == "unix" && strings.HasPrefix(at, "/"):
		return at, name, nil
	case kind == "inet":
		host, err = tcpHost(at)
		return host, name, err
	}
	return "", "", fmt.Errorf("expected inet:host:port or unix:/path before the name, found %q", place)
}

func (m socketmap) dial(ctx context.Context, host string) (session, error) {
	return speak(ctx, host, m.ask)
}

// ask is "name key", answered with "OK value", "NOTFOUND", "TEMP …", "TIMEOUT …" or
// "PERM …". PERM is an error of the table, and no answer: mail waits.
func (m socketmap) ask(s *talk, key string) (string, bool, error) {
	question := m.name + " " + key
	if _, err := fmt.Fprintf(s.wire, "%d:%s,", len(question), question); err != nil {
		return "", false, err
	}
	reply, err := readNetstring(s.in)
	if err != nil {
		return "", false, err
	}
	status, value, _ := strings.Cut(reply, " ")
	switch status {
	case "OK":
		return value, true, nil
	case "NOTFOUND":
		return "", false, nil
	case "TEMP", "TIMEOUT", "PERM":
		return "", false, complaint{fmt.Errorf("the server says %.200q", reply)}
	}
	return "", false, fmt.Errorf("%.100q is no answer; expected OK, NOTFOUND, TEMP, TIMEOUT or PERM (socketmap_table(5))", reply)
}

var errNetstring = errors.New("the server sends what is no netstring")

// readNetstring reads "5:hello,". Its memory grows with what arrives.
func readNetstring(in io.ByteReader) (string, error) {
	size := 0
	for digits := 0; ; digits++ {
		c, err := in.ReadByte()
		switch {
		case err != nil:
			return "", fmt.Errorf("the answer is cut off: %w", err)
		case c == ':' && digits > 0:
		case c < '0' || c > '9' || digits > 0 && size == 0:
			return "", errNetstring
		default:
			if size = size*10 + int(c-'0'); size > maxNetstring {
				return "", errTooMuch
			}
			continue
		}
		break
	}
	var b strings.Builder
	for range size {
		c, err := in.ReadByte()
		if err != nil {
			return "", fmt.Errorf("the answer is cut off: %w", err)
		}
		b.WriteByte(c)
	}
	if c, err := in.ReadByte(); err != nil || c != ',' {
		return "", errors.Join(errNetstring, err)
	}
	return b.String(), nil
}
