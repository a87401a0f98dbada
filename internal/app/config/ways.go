package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/flow/transport"
	"facteur/internal/net/program"
	"facteur/internal/store/list"
)

// usual is the name of the transport that takes what no map names another for.
const usual = "smtp"

// Ways are the transports, and which mail takes which. Files that are named in the
// settings are read each time.
func (c *Config) Ways() (*transport.Table, error) {
	table, mistakes := c.ways()
	return table, errors.Join(mistakes...)
}

func (c *Config) ways() (*transport.Table, []error) {
	w := weaver{c: c}
	rules := transport.Rules{Pace: c.Outbound.pace(), Source: c.source(), Relays: w.relays(), Delimiters: c.Addresses.RecipientDelimiter, Usual: &transport.Transport{Name: usual}}
	for _, h := range c.Outbound.Smarthost {
		rules.Usual.Relays = append(rules.Usual.Relays, transport.Relay{Host: h.Host, Port: h.Port})
	}
	rules.Usual.Smarthost = true
	for i, t := range c.Transports {
		made := w.transport(fmt.Sprintf("transport[%d]", i), t)
		switch {
		case made.Name != usual:
		case len(made.Relays) == 0:
			made.Relays, made.Smarthost = rules.Usual.Relays, true
		case len(rules.Usual.Relays) > 0:
			w.failf(fmt.Sprintf("transport[%d].relays", i), "outbound.smarthost says where this mail goes; expected one of the two")
		}
		rules.Transports = append(rules.Transports, made)
	}
	for i, p := range c.Presets {
		preset := p.transport()
		rules.Presets = append(rules.Presets, preset)
		w.presets = append(w.presets, fmt.Sprintf("preset[%d]", i))
	}
	rules.Entries = w.entries()
	table, mistakes := transport.NewTable(rules)
	for _, m := range mistakes {
		w.errs = append(w.errs, w.tell(m))
	}
	return table, w.errs
}

func (p Preset) transport() transport.Preset {
	return transport.Preset{MX: p.MX, Transport: &transport.Transport{Name: p.Name, Pace: transport.Pace{
		InitialConcurrency: p.InitialConcurrency, Concurrency: p.Concurrency, FailedCohort: p.FailedCohortLimit,
		RateDelay: p.RateDelay.Std(), Recipients: p.RecipientLimit,
	}}}
}

// weaver makes the rules of a table.
type weaver struct {
	c       *Config
	keys    []string // of the entries in the settings
	presets []string
	all     []transport.Entry
	errs    []error
}

func (w *weaver) failf(key, format string, args ...any) {
	w.errs = append(w.errs, w.c.positions.Errorf(key, format, args...))
}

// tell is a mistake with its place.
func (w *weaver) tell(m transport.Mistake) error {
	switch {
	case m.Transport != "":
		i := slices.IndexFunc(w.c.Transports, func(t Transport) bool { return t.Name == m.Transport })
		return w.c.positions.Errorf(fmt.Sprintf("transport[%d].divert", i), "%v", m.Err)
	case m.Entry < 0:
		return w.c.positions.Errorf("transport", "%v", m.Err)
	case m.Entry < len(w.keys):
		return w.c.positions.Errorf(w.keys[m.Entry], "%v", m.Err)
	}
	return fmt.Errorf("%s: %w", w.all[m.Entry].Where, m.Err)
}

// transport is one of the settings in the form of the house. What is wrong with its
// relays has been told.
func (w *weaver) transport(key string, t Transport) *transport.Transport {
	out := &transport.Transport{
		Name: t.Name, Kind: kinds[t.Kind], LogName: t.LogName, Text: t.Text, Command: t.Command, User: t.User,
		Flags: t.Flags, NullSender: t.NullSender, TimeLimit: time.Duration(t.TimeLimit), Port: t.Port, TLS: t.TLSSecurityLevel.level(),
		Pace: transport.Pace{
			InitialConcurrency: t.InitialConcurrency, Concurrency: t.Concurrency, FailedCohort: t.FailedCohortLimit,
			RateDelay: t.RateDelay.Std(), Recipients: t.RecipientLimit, Total: t.ProcessLimit,
		},
		Source: sourceOf(t.BindAddress, t.InetProtocols, t.AddressPreference),
		Divert: t.Divert, DivertPercent: t.DivertPercent,
	}
	out.Source.Helo = t.Helo
	if out.Kind == transport.Error {
		out.Text, _ = transport.ParseRefusal(t.Text)
	}
	for _, text := range t.Relays {
		if r, err := transport.ParseRelay(text); err == nil {
			out.Relays = append(out.Relays, r)
		}
	}
	return out
}

// relays are what is known of single hosts.
func (w *weaver) relays() (out []transport.Relay) {
	for i, r := range w.c.Relays {
		known, err := transport.ParseRelay(r.Host)
		if err != nil {
			continue // told before
		}
		known.Weight, known.User, known.Password = r.Weight, r.User, r.Password
		known.Implicit = known.Implicit || r.ImplicitTLS
		known.Verify = r.TLS == RelayVerify
		known.Encrypt = r.TLS == RelayEncrypt
		if r.PasswordFile != "" {
			if known.Password, err = firstLine(w.c.beside(r.PasswordFile)); err != nil {
				w.failf(fmt.Sprintf("relay[%d].password_file", i), "%v", err)
			}
		}
		out = append(out, known)
	}
	for i, file := range w.c.Outbound.PasswordMaps {
		out = append(out, w.passwords(fmt.Sprintf("outbound.password_maps[%d]", i), file)...)
	}
	return out
}

// firstLine is the secret in a file.
func firstLine(path string) (conf.Secret, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return conf.Secret{}, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return conf.Secret{}, fmt.Errorf("the first line of %s is empty; expected the password", path)
	}
	return conf.NewSecret(line), nil
}

// passwords reads lines "[host]:port user:password".
func (w *weaver) passwords(key, file string) (out []transport.Relay) {
	for _, p := range w.pairs(key, file) {
		r, err := transport.ParseRelay(p.Key)
		user, password, found := strings.Cut(p.Value, ":")
		switch {
		case strings.Contains(p.Key, "@"):
			w.errs = append(w.errs, fmt.Errorf(`%s: %q is a sender; a password belongs to a relay here, "[host]:port user:password"`, p.Where, p.Key))
		case err != nil:
			w.errs = append(w.errs, fmt.Errorf("%s: %w", p.Where, err))
		case !found || user == "" || password == "":
			w.errs = append(w.errs, fmt.Errorf(`%s: expected "user:password" behind the host`, p.Where))
		default:
			r.User, r.Password = user, conf.NewSecret(password)
			out = append(out, r)
		}
	}
	return out
}

// entries are those of the settings, then those of the files.
func (w *weaver) entries() []transport.Entry {
	for i, m := range w.c.TransportMap {
		key := fmt.Sprintf("transport_map[%d]", i)
		w.keys = append(w.keys, key)
		w.all = append(w.all, transport.Entry{Recipients: m.Recipient, Senders: m.Sender, MX: m.MX, To: m.To, Where: w.c.where(key)})
	}
	o := w.c.Outbound
	w.files("outbound.transport_maps", o.TransportMaps, w.c.asksRecipients(), func(p list.Pair) transport.Entry {
		return transport.Entry{Recipients: []string{p.Key}, To: p.Value, Where: p.Where}
	})
	w.files("outbound.sender_transport_maps", o.SenderTransportMaps, w.c.asksSenders(), func(p list.Pair) transport.Entry {
		return transport.Entry{Senders: []string{p.Key}, To: p.Value, Where: p.Where}
	})
	w.files("outbound.sender_relay_maps", o.SenderRelayMaps, w.c.asksSenders(), w.senderRelay)
	return w.all
}

// senderRelay reads a line "sender [relay]:port".
func (w *weaver) senderRelay(p list.Pair) transport.Entry {
	if name := w.transportIn(p.Value); name != "" {
		w.errs = append(w.errs, fmt.Errorf("%s: %q names the transport %q, and a relay alone stands here, \"[relay]:port\"; "+
			"the transport of a sender belongs in outbound.sender_transport_maps", p.Where, p.Value, name))
		p.Value = ""
	}
	return transport.Entry{Senders: []string{p.Key}, To: ":" + dunno(p.Value), Where: p.Where}
}

// transportIn is the transport in "transport:nexthop"; "" for what is a next hop.
func (w *weaver) transportIn(to string) string {
	name, _, found := strings.Cut(to, ":")
	if _, err := transport.ParseNextHop(to); err == nil || !found {
		return ""
	}
	known := slices.ContainsFunc(transport.Builtin(), func(t *transport.Transport) bool { return t.Name == name }) ||
		slices.ContainsFunc(w.c.Transports, func(t Transport) bool { return t.Name == name }) ||
		slices.ContainsFunc(w.c.Presets, func(p Preset) bool { return p.Name == name })
	if known || name == usual {
		return name
	}
	return ""
}

// dunno is the next hop of a sender; Postfix says "DUNNO" for the usual one.
func dunno(value string) string {
	if strings.EqualFold(value, "dunno") {
		return ""
	}
	return value
}

// files reads those of the tables that are files of lines. Where the tables are asked
// (see Tables), their entries are only checked.
func (w *weaver) files(key string, tables WayMaps, asked bool, entry func(list.Pair) transport.Entry) {
	for i, table := range tables {
		if !w.c.isText(table) {
			continue
		}
		for _, p := range w.pairs(indexed(key, i), table) {
			e := entry(p)
			e.Aside = asked
			w.all = append(w.all, e)
		}
	}
}

func (w *weaver) pairs(key, file string) []list.Pair {
	path, err := w.c.mapPath(file)
	if err != nil {
		w.failf(key, "%v", err)
		return nil
	}
	pairs, err := list.Pairs(path)
	if err != nil {
		w.failf(key, "%v", err)
	}
	return pairs
}

// mapPath is the path of a file in "hash:/path". Of a compiled table, the text that it
// was made of is read.
func (c *Config) mapPath(file string) (string, error) {
	kind, path, found := strings.Cut(strings.TrimPrefix(file, "proxy:"), ":")
	switch kind {
	case "hash", "btree", "lmdb", "cdb", "dbm", "texthash", "file":
		if path != "" {
			return c.beside(path), nil
		}
	}
	if !found {
		return c.beside(file), nil
	}
	return "", fmt.Errorf(`%q is no file of lines; expected one such as "hash:/etc/postfix/sasl_passwd", whose text is read; other tables can't stand here`, file)
}

// where is the place of a key for people, "facteur.toml:12".
func (c *Config) where(key string) string {
	at := c.positions.Errorf(key, "")
	if at.Pos.Line == 0 {
		return "the settings"
	}
	return fmt.Sprintf("%s:%d", at.File, at.Pos.Line)
}

// relayWarnings tell of entries and relays of which nothing comes.
func (c *Config) relayWarnings() (out []string) {
	ways, _ := c.ways()
	for _, b := range ways.Bare() {
		out = append(out, b.Where+": "+bareWarning(b))
	}
	out = append(out, shadowWarnings(ways)...)
	if c.asksRecipients() || c.asksSenders() {
		return out // nobody knows which relays those tables name
	}
	told := make(map[string]bool)
	for _, r := range ways.Idle() {
		w := fmt.Sprintf("relay %s%s port %d: nothing sends mail there, so that its password and weight are not used; "+
			"it has to be named, with the same port, in outbound.smarthost, a [[transport]] or a map", r.Host, r.Socket, r.Port)
		if !told[w] {
			out, told[w] = append(out, w), true
		}
	}
	return out
}

// programWarnings tell of programs that could not be started now, for which mail would
// wait. The server may run elsewhere, or as somebody who sees more.
func (c *Config) programWarnings() (out []string) {
	for i, t := range c.Transports {
		if kinds[t.Kind] != transport.Pipe || len(t.Command) == 0 {
			continue
		}
		at := c.where(fmt.Sprintf("transport[%d].command", i))
		for _, err := range program.Missing(t.Command[0], t.User) {
			out = append(out, fmt.Sprintf("%s: transport %s: %v; its mail would wait", at, t.Name, err))
		}
	}
	return out
}

// bareWarning tells of brackets that may be missing.
func bareWarning(b transport.Bare) string {
	hop, port := b.Domain, cmp.Or(b.Port, b.Relay.Port, 587)
	if b.Port != 0 {
		hop = fmt.Sprintf("%s:%d", b.Domain, b.Port)
	}
	return fmt.Sprintf("the next hop %q stands without brackets and means the mail hosts (MX) of that domain, so that the password for %s is not used; "+
		"write \"[%s]:%d\" for the host itself", hop, b.Domain, b.Domain, port)
}
