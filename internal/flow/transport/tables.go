package transport

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"facteur/internal/base/lookup"
	"facteur/internal/store/list"
)

// Tables are those that have to be asked: directories, databases, patterns. Beside them
// stands the Table that their answers go into. They are safe for concurrent use; a nil
// Tables knows nothing and asks nobody.
type Tables struct {
	ways *Table
	// recipients are transport(5); senders lead a sender's mail to "transport:nexthop", and
	// senderRelays to "[relay]:port".
	recipients, senders, senderRelays list.Maps

	mu sync.Mutex
	// read are right sides that were read before. Their relays stay where they are in
	// memory, by which those who deliver know them.
	read map[string]*way
}

// readMax bounds how many right sides are kept.
const readMax = 4096

// NewTables are tables beside a Table; nil if there are none.
func NewTables(ways *Table, recipients, senders, senderRelays list.Maps) *Tables {
	if recipients.Empty() && senders.Empty() && senderRelays.Empty() {
		return nil
	}
	return &Tables{ways: ways, recipients: recipients, senders: senders, senderRelays: senderRelays, read: make(map[string]*way)}
}

// Found is what tables said about a mail. The zero Found: nothing.
type Found struct {
	recipient, sender hit
	unknown           error
}

// Unknown is why a table could not tell, or what is wrong about what it said; nil if
// nothing is.
func (f Found) Unknown() error { return f.unknown }

// hit is an entry of a table; way is nil without one. With the key "" it counts for
// whatever key.
type hit struct {
	key string
	way *way
}

// asLater is the way of what waits because a table can't tell.
var asLater = &Transport{Name: "retry", Kind: Error}

const (
	laterText    = "451 4.3.0 transport table lookup failure"
	unusableText = "451 4.3.5 mail system configuration error: "
)

// Later is found where nobody could be asked: the mail is put off.
func Later(err error) Found { return Found{recipient: later("", "", err), unknown: err} }

// later is the entry in the place of one that a table can't tell.
func later(key, table string, err error) hit {
	return hit{key, &way{transport: asLater, text: laterText, why: fmt.Sprintf("%s can't tell of %q: %v", table, key, err)}}
}

// Ask looks a mail up: its recipient, and its sender if the recipient decides nothing.
// Tables are asked for a key only while no entry of the Table for that key or one before
// it decides. Of the recipient the keys are those of transport(5), of the sender the
// address with and without its extension, "@domain" and "*", or "<>" for notices; tables
// of patterns are asked for the whole address alone. The first that has an entry, or that
// can't tell, ends the search.
func (s *Tables) Ask(ctx context.Context, m Mail) (f Found) {
	if s == nil {
		return f
	}
	if !s.recipients.Empty() {
		f.recipient, f.unknown = s.walk(s.ways.recipientKeys(m, true), s.ways.recipients, m, func(key string, part bool) (hit, error) {
			return s.look(ctx, s.recipients, key, part, asItIs)
		})
	}
	m.Found = f
	if w := s.ways.forRecipient(m); m.Here || w != nil && !w.isNull() {
		return f
	}
	if s.senders.Empty() && s.senderRelays.Empty() {
		return f
	}
	f.sender, f.unknown = s.walk(s.ways.senderKeys(m.Sender), s.ways.senders, m, func(key string, part bool) (hit, error) {
		if h, err := s.look(ctx, s.senders, key, part, asItIs); h.way != nil {
			return h, err
		}
		return s.look(ctx, s.senderRelays, key, part, relayAlone)
	})
	return f
}

// walk asks for keys until an entry decides. The first key is the whole one.
func (s *Tables) walk(keys iter.Seq[string], entries map[string][]entry, m Mail, ask func(key string, part bool) (hit, error)) (hit, error) {
	part := false
	for key := range keys {
		if s.ways.first(entries[key], m) != nil {
			return hit{}, nil
		}
		if h, err := ask(key, part); h.way != nil {
			return h, err
		}
		part = true
	}
	return hit{}, nil
}

// look asks tables for one key.
func (s *Tables) look(ctx context.Context, in list.Maps, key string, part bool, form func(string) (string, error)) (hit, error) {
	a, table := in.Explain(ctx, key, part)
	switch a.State() {
	case lookup.NotFound:
		return hit{}, nil
	case lookup.TryAgain:
		return later(key, table, a.Err()), a.Err()
	}
	w, err := s.way(a.Value(), form)
	if err != nil {
		return hit{key, &way{transport: asLater, text: unusableText + tame(err.Error()), why: table + ": " + key}}, err
	}
	named := *w
	named.why = table + ": " + key
	return hit{key, &named}, nil
}

// asItIs is the right side of transport(5).
func asItIs(value string) (string, error) { return value, nil }

var errTransportOfSender = errors.New("a relay alone was expected, such as \"[relay]:587\"; the transport of a sender belongs in outbound.sender_transport_maps")

// relayAlone makes a right side of transport(5) of a next hop. Postfix says "DUNNO" for
// the usual one.
func relayAlone(value string) (string, error) {
	if value == "" {
		return "", errNoWay
	}
	if strings.EqualFold(value, "dunno") {
		return ":", nil
	}
	if _, err := ParseNextHop(value); err != nil {
		return "", fmt.Errorf("%w (%w)", errTransportOfSender, err)
	}
	return ":" + value, nil
}

// sideMax is the longest right side that is read, in bytes.
const sideMax = 4096

// way reads a right side, as for an entry of the Table.
func (s *Tables) way(value string, form func(string) (string, error)) (*way, error) {
	if len(value) > sideMax || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return nil, fmt.Errorf("the entry is longer than %d bytes, or no line of text", sideMax)
	}
	to, err := form(value)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.read[to]; w != nil {
		return w, nil
	}
	b := &builder{table: s.ways, relays: s.ways.relays, used: make(map[string]bool)}
	w, err := b.way(to, "")
	if err != nil {
		return nil, err
	}
	w.direct = b.isDirect(w)
	if len(s.read) >= readMax {
		clear(s.read)
	}
	s.read[to] = w
	return w, nil
}

// tame makes an error part of a reply: one line of ASCII, not too long.
func tame(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 200)]
}
