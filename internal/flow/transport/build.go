package transport

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"facteur/internal/net/tlspolicy"
)

// Rules are what a Table is made of.
type Rules struct {
	// Usual takes what no entry says otherwise about; nil is plain SMTP. Its name,
	// and those of the built-in ones, can be used in entries like all others.
	Usual *Transport
	// Pace and Source are those of transports that have none of their own.
	Pace   Pace
	Source Source
	// Transports are the others. One may have the name of a built-in one (see Builtin)
	// or of a preset, and take its place: it has the pace of that as far as it says
	// nothing else.
	Transports []*Transport
	// Entries are asked in this order.
	Entries []Entry
	// Presets are asked last.
	Presets []Preset
	// Delimiters are the characters that an extension of a local part begins with
	// (recipient_delimiter); "" for none.
	Delimiters string
	// Relays are what else is known of hosts, wherever they are named. One without a
	// port is about all ports of the host. The first one that fits counts; a log-in may
	// stand in a later one (those of password_maps are behind the [[relay]] tables).
	Relays []Relay
}

// Entry sends mail another way. Of Recipients, Senders and MX, those that are given
// have to fit.
type Entry struct {
	Recipients, Senders []string
	// MX are patterns of the best mail host of the recipient's domain. They stand
	// alone.
	MX []string
	// To is "transport:nexthop", as in Postfix's transport(5).
	To string
	// Where it is written, "facteur.toml:12".
	Where string
	// Aside: it is checked only, as it stands in one of the Tables.
	Aside bool
}

// Preset is a transport for domains whose best mail host fits one of the patterns.
type Preset struct {
	Transport *Transport
	MX        []string
}

// Mistake is what is wrong about an entry.
type Mistake struct {
	// Entry is its index in Rules.Entries; -1 for what is wrong elsewhere.
	Entry int
	// Transport is the name of one whose diversion is wrong; "" for other mistakes.
	Transport string
	Err       error
}

// builder makes a Table.
type builder struct {
	table  *Table
	relays map[string][]Relay // by host or socket
	used   map[string]bool    // of these
	pace   Pace
	source Source
	bare   []Bare
	wrong  []Mistake
}

// NewTable makes a Table, or tells of all that is wrong. It completes the Transports,
// which belong to the Table from then on.
func NewTable(r Rules) (*Table, []Mistake) {
	b := newBuilder(r)
	b.declare(r)
	for _, t := range b.table.named {
		b.finish(t)
	}
	for i, e := range r.Entries {
		b.note(i, b.add(e))
	}
	for _, p := range r.Presets {
		b.note(-1, b.preset(p))
	}
	for _, known := range r.Relays {
		if !b.used[placeOf(known)] {
			b.table.idle = append(b.table.idle, known)
		}
	}
	b.table.bare = b.bare
	return b.table, b.wrong
}

func newBuilder(r Rules) *builder {
	relays := byPlace(r.Relays)
	return &builder{relays: relays, used: make(map[string]bool), pace: r.Pace, source: r.Source, table: &Table{
		lost: noMailbox(), delimiters: r.Delimiters, relays: relays, named: make(map[string]*Transport),
		recipients: make(map[string][]entry, len(r.Entries)), senders: make(map[string][]entry),
		mx: make(map[string]*way), presets: make(map[string]*way)}}
}

// declare names the transports. A later one takes the place of one before it.
func (b *builder) declare(r Rules) {
	usual := r.Usual
	if usual == nil {
		usual = &Transport{Name: "smtp"}
	}
	for _, t := range slices.Concat(Builtin(), []*Transport{usual}, presetTransports(r.Presets), r.Transports) {
		if was := b.table.named[t.Name]; was != nil && was != t {
			t.replace(was)
		}
		b.table.named[t.Name] = t
	}
	b.table.usual, b.table.local = b.table.named[usual.Name], b.table.named["local"]
}

// note takes down a mistake.
func (b *builder) note(entry int, err error) {
	if err != nil {
		b.wrong = append(b.wrong, Mistake{Entry: entry, Err: err})
	}
}

// replace takes what a transport does not say from the one whose place it takes.
func (t *Transport) replace(was *Transport) {
	t.Pace = t.Pace.Or(was.Pace)
	if t.LogName == "" {
		t.LogName = was.LogName
	}
}

func placeOf(r Relay) string { return fmt.Sprint(r.Host, r.Socket, ":", r.Port) }

func byPlace(relays []Relay) map[string][]Relay {
	places := make(map[string][]Relay, len(relays))
	for _, r := range relays {
		places[r.Host+r.Socket] = append(places[r.Host+r.Socket], r)
	}
	return places
}

func presetTransports(presets []Preset) (out []*Transport) {
	for _, p := range presets {
		out = append(out, p.Transport)
	}
	return out
}

// noMailbox refuses mail that a map sends into a mailbox which is not here. It is no
// fault of the mail: whoever mends the map lets it through.
func noMailbox() *Transport {
	return &Transport{Name: "error", Kind: Error,
		Text: "451 4.3.5 the transport map says that this is a mailbox here, and the domain is none of ours"}
}

// Builtin are the transports that are there without being declared, by the names that
// Postfix gives them. "slow" has the values of the how-tos.
func Builtin() []*Transport {
	return []*Transport{
		{Name: "relay"}, {Name: "lmtp", Kind: LMTP},
		{Name: "slow", LogName: "postfix-slow", Pace: Pace{InitialConcurrency: 1, Concurrency: 1, FailedCohort: 100, Recipients: 25}},
		{Name: "local", Kind: Mailbox}, {Name: "virtual", Kind: Mailbox},
		{Name: "error", Kind: Error}, {Name: "retry", Kind: Error},
		{Name: "discard", Kind: Discard}, {Name: "hold", Kind: Hold},
	}
}

func (b *builder) find(name string) *Transport { return b.table.named[name] }

// finish resolves what a transport names.
func (b *builder) finish(t *Transport) {
	t.Pace, t.Source = t.Pace.Or(b.pace), t.Source.or(b.source)
	b.complete(t.Relays, t.Kind)
	t.orders = newOrders(t.Relays)
	if t.Divert == "" {
		return
	}
	if err := b.divert(t); err != nil {
		b.wrong = append(b.wrong, Mistake{Entry: -1, Transport: t.Name, Err: err})
	}
}

// divert finds the transport that takes a share of another's mail. Both lead to other
// machines: a share that is thrown away or refused is no diversion.
func (b *builder) divert(t *Transport) error {
	to := b.find(t.Divert)
	switch {
	case to == nil:
		return b.unknown(t.Divert)
	case !t.Kind.Dials():
		return fmt.Errorf("means nothing to a transport of the kind %q", t.Kind)
	case !to.Kind.Dials():
		return fmt.Errorf("expected a transport that leads to other machines; %q is of the kind %q", to.Name, to.Kind)
	case to.Divert != "":
		return fmt.Errorf("%q diverts mail itself, to %q; expected one that does not", to.Name, to.Divert)
	}
	t.divert = to
	return nil
}

// complete adds to relays what is known of them, and the port of the service.
func (b *builder) complete(relays []Relay, kind Kind) {
	for i := range relays {
		r := &relays[i]
		found := false
		for _, known := range b.relays[r.Host+r.Socket] {
			if known.Port != r.Port && known.Port != 0 && r.Port != 0 {
				continue
			}
			b.used[placeOf(known)] = true
			switch {
			case !found:
				port := max(r.Port, known.Port)
				*r, found = known, true
				r.Port = port
			case r.User == "":
				r.User, r.Password = known.User, known.Password
			}
		}
		if r.Port == 0 && r.Socket == "" {
			r.Port = 25
			if kind == LMTP {
				r.Port = 24
			}
		}
		r.Implicit = r.Implicit || r.Port == 465
	}
}

var errNoKey = errors.New("expected a recipient, a sender or an mx that it is for")

// add takes an entry.
func (b *builder) add(e Entry) error {
	if e.Aside {
		b = b.aside()
	}
	w, err := b.way(e.To, e.Where)
	if err != nil {
		return err
	}
	line := entry{way: w}
	if len(e.Senders) > 0 && len(e.Recipients) > 0 {
		line.senders = make(map[string]bool)
		for _, s := range e.Senders {
			key, err := senderKey(s)
			if err != nil {
				return err
			}
			line.senders[key] = true
		}
	}
	switch {
	case len(e.MX) > 0 && len(e.Recipients)+len(e.Senders) > 0:
		return errors.New("an mx stands alone, without recipient and sender")
	case len(e.Recipients) > 0:
		w.direct = b.isDirect(w)
		return b.addRecipients(e.Recipients, line)
	case len(e.MX) > 0 && w.kind() == Mailbox:
		return errors.New("what goes to mail hosts elsewhere has no mailbox here")
	case len(e.MX) > 0:
		return addMX(b.table.mx, e.MX, w)
	case len(e.Senders) > 0:
		return b.addSenders(e.Senders, line)
	}
	return errNoKey
}

// aside is a builder whose entries go nowhere.
func (b *builder) aside() *builder {
	other, table := *b, *b.table
	table.recipients, table.senders, table.mx = make(map[string][]entry), make(map[string][]entry), make(map[string]*way)
	other.table = &table
	return &other
}

// isDirect tells that an entry for recipients names the usual transport and no next hop.
func (b *builder) isDirect(w *way) bool {
	return w.transport == b.table.usual && b.table.usual.Smarthost && w.hop.Domain == "" && w.hop.Relays == nil
}

func (b *builder) addRecipients(keys []string, line entry) error {
	for _, s := range keys {
		key, err := recipientKey(s)
		if err != nil {
			return err
		}
		b.table.addresses = b.table.addresses || strings.Contains(key, "@")
		b.remarkShadowed(key, b.table.recipients[key], line)
		b.table.recipients[key] = append(b.table.recipients[key], line)
	}
	return nil
}

func (b *builder) addSenders(keys []string, line entry) error {
	for _, s := range keys {
		key, err := senderKey(s)
		if err != nil {
			return err
		}
		b.remarkShadowed(key, b.table.senders[key], line)
		b.table.senders[key] = append(b.table.senders[key], line)
	}
	return nil
}

// remarkShadowed notes a key that a line before, of the same file, has taken for
// everybody's mail. One of the settings that stands before that of a table is meant so.
func (b *builder) remarkShadowed(key string, before []entry, line entry) {
	i := slices.IndexFunc(before, func(e entry) bool { return e.senders == nil })
	if i >= 0 && fileOf(before[i].way.why) == fileOf(line.way.why) {
		b.table.shadowed = append(b.table.shadowed, Shadowed{Key: key, Where: line.way.why, By: before[i].way.why})
	}
}

func addMX(to map[string]*way, patterns []string, w *way) error {
	for _, p := range patterns {
		keys, err := mxKeys(p)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if to[key] == nil {
				to[key] = w
			}
		}
	}
	return nil
}

// preset takes a preset. A transport of its name that the admin declared takes its
// place.
func (b *builder) preset(p Preset) error {
	t := b.find(p.Transport.Name)
	if t.TLS == tlspolicy.Auto {
		t.TLS = b.table.usual.TLS // its mail would have gone that way
	}
	if err := addMX(b.table.presets, p.MX, &way{transport: t, why: "preset " + t.Name}); err != nil {
		return fmt.Errorf("preset %q: %w", t.Name, err)
	}
	return nil
}

// fileOf is the file in "file:line".
func fileOf(where string) string {
	return where[:max(strings.LastIndexByte(where, ':'), 0)]
}
