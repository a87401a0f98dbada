package transport

import "strings"

// Table says which mail takes which way. It is not changed once it is in use; a nil
// Table sends mail for elsewhere to the MX hosts of its domain.
type Table struct {
	usual, local, lost *Transport
	named              map[string]*Transport
	// recipients are entries by key: an address, a domain, ".parent" or "*".
	recipients map[string][]entry
	addresses  bool // some key is an address
	delimiters string
	// senders are entries that ask for no recipient, by address, "@domain", "<>" or "*".
	senders map[string][]entry
	// mx and presets are by the name of a host, or ".parent".
	mx, presets map[string]*way
	idle        []Relay
	bare        []Bare
	shadowed    []Shadowed
	relays      map[string][]Relay // what is known of hosts, by host or socket
}

// The ways of a house without settings. They are constants.
var (
	plainSMTP  = &Transport{Name: "smtp"}
	plainLocal = &Transport{Name: "local", Kind: Mailbox}
)

// entry is a line of a map.
type entry struct {
	// senders is whose mail it is for; nil for everybody's.
	senders map[string]bool
	way     *way
}

// Choose is the way for a recipient. The MX hosts of its domain may change it: see
// ForMX.
func (t *Table) Choose(m Mail) Choice {
	c := Choice{NextHop: m.Domain, mail: m}
	if t == nil {
		if m.Here {
			return c.through(plainLocal)
		}
		return c.through(plainSMTP)
	}
	if w := t.forRecipient(m); w != nil && !w.isNull() {
		return t.possible(w.apply(c, t.usual)).diverted()
	}
	if m.Here {
		return c.through(t.local)
	}
	if w := t.forSender(m); w != nil && !w.isNull() {
		return t.possible(w.apply(c, t.usual)).diverted()
	}
	return c.through(t.usual).diverted()
}

// possible turns away what goes into a mailbox that we have not got.
func (t *Table) possible(c Choice) Choice {
	if c.Transport.Kind == Mailbox && !c.mail.Here {
		return c.through(t.lost)
	}
	return c
}

// ForMX is the choice for a message, now that the mail hosts of its domain are known, the
// best one first.
func (t *Table) ForMX(c Choice, hosts []string) Choice {
	if t == nil || !c.ByMX() || len(hosts) == 0 {
		return c
	}
	for _, m := range []map[string]*way{t.mx, t.presets} {
		if len(m) == 0 {
			continue
		}
		for key := range hostKeys(strings.ToLower(hosts[0])) {
			if w := m[key]; w != nil {
				return t.possible(w.apply(c, t.usual)).diverted()
			}
		}
	}
	return c
}

// Transports are all that there are, by name.
func (t *Table) Transports() map[string]*Transport {
	if t == nil {
		return nil
	}
	return t.named
}

// Bare is a next hop without brackets, whose MX hosts are asked, while a password is known
// for a host of that name: probably the host was meant.
type Bare struct {
	// Where the entry is written.
	Where string
	// Domain and Port are the next hop; Port is 0 when it has none.
	Domain string
	Port   uint16
	// Relay is what the password is for.
	Relay Relay
}

// Bare are the next hops of entries whose brackets may have been forgotten.
func (t *Table) Bare() []Bare { return t.bare }

// Shadowed is a key of an entry that never counts, as another one for the same key stands
// before it.
type Shadowed struct {
	Key string
	// Where it stands, and where the one that counts does.
	Where, By string
}

// Shadowed are the keys that stand twice.
func (t *Table) Shadowed() []Shadowed { return t.shadowed }

// Idle are relays that something is known of, and that nothing names: a password that is
// never used, often because of another port.
func (t *Table) Idle() []Relay { return t.idle }

// forRecipient is the entry for a recipient.
func (t *Table) forRecipient(m Mail) *way {
	found := m.Found.recipient
	if found.way != nil && found.key == "" {
		return found.way
	}
	if len(t.recipients) == 0 {
		return found.way
	}
	for key := range t.recipientKeys(m, t.addresses || found.way != nil) {
		if w := t.first(t.recipients[key], m); w != nil {
			return w
		}
		if found.way != nil && found.key == key {
			return found.way
		}
	}
	return nil
}

// first is the first entry that is for a sender's mail.
func (t *Table) first(entries []entry, m Mail) *way {
	for _, e := range entries {
		if e.senders == nil || t.isAmong(e.senders, m) {
			return e.way
		}
	}
	return nil
}

func (t *Table) isAmong(senders map[string]bool, m Mail) bool {
	for key := range t.senderKeys(m.Sender) {
		if senders[key] {
			return true
		}
	}
	return false
}

// forSender is the entry for the sender.
func (t *Table) forSender(m Mail) *way {
	found := m.Found.sender
	if len(t.senders) == 0 {
		return found.way
	}
	for key := range t.senderKeys(m.Sender) {
		if w := t.first(t.senders[key], m); w != nil {
			return w
		}
		if found.way != nil && found.key == key {
			return found.way
		}
	}
	return nil
}
