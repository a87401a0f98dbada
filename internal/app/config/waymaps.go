package config

import (
	"slices"
	"strings"

	"facteur/internal/flow/transport"
	"facteur/internal/store/list"
)

// WayMaps are tables by which ways are chosen, asked in their order: as Maps, or the path
// of a file of lines alone. Where all are files of lines, they are read with the settings,
// and nobody is asked when mail leaves.
type WayMaps []string

// Form says what may be written.
func (WayMaps) Form() string {
	return `a table such as "hash:/etc/postfix/transport" or the name of a [[list]], or several in brackets`
}

// isText tells an entry that is a file of lines.
func (c *Config) isText(entry string) bool {
	_, err := c.mapPath(entry)
	return err == nil && !slices.Contains(c.ListNames(), entry)
}

// asks tells that some of the tables are no files of lines.
func (c *Config) asks(tables ...WayMaps) bool {
	for _, m := range tables {
		if slices.ContainsFunc(m, func(entry string) bool { return !c.isText(entry) }) {
			return true
		}
	}
	return false
}

// asksRecipients and asksSenders tell which of the settings are asked when mail leaves.
// Those for senders have one order among them, and so are asked together.
func (c *Config) asksRecipients() bool { return c.asks(c.Outbound.TransportMaps) }

func (c *Config) asksSenders() bool {
	return c.asks(c.Outbound.SenderTransportMaps, c.Outbound.SenderRelayMaps)
}

// wayMaps are the tables that are asked when mail leaves.
func (c *Config) wayMaps() (recipients, senders, relays WayMaps) {
	if c.asksRecipients() {
		recipients = c.Outbound.TransportMaps
	}
	if c.asksSenders() {
		senders, relays = c.Outbound.SenderTransportMaps, c.Outbound.SenderRelayMaps
	}
	return recipients, senders, relays
}

// wayTables are the entries of wayMaps, each by itself.
func (c *Config) wayTables() []string {
	recipients, senders, relays := c.wayMaps()
	return slices.Concat(recipients, senders, relays)
}

// waySource is where such a table is kept: a path alone is a file of lines.
func (c *Config) waySource(entry string) list.Source {
	if !strings.Contains(entry, ":") {
		entry = "hash:" + entry
	}
	return list.Source{From: c.absolute(entry)}
}

// Tables are those that are asked when mail leaves, beside the Table of Ways; nil without.
func (c *Config) Tables(ways *transport.Table, lists *list.Set) *transport.Tables {
	recipients, senders, relays := c.wayMaps()
	return transport.NewTables(ways, lists.Maps(recipients), lists.Maps(senders), lists.Maps(relays))
}

// WaySources are the lists that Tables needs, and no others.
func (c *Config) WaySources() []list.Source {
	wanted := c.wayTables()
	return slices.DeleteFunc(c.ListSources(), func(s list.Source) bool { return !slices.Contains(wanted, s.Name) })
}

// wayMaps checks the tables that are asked, without asking any server. What is
// wrong in files of lines, their reader tells.
func (k *checker) wayMaps() {
	o := k.c.Outbound
	for _, of := range []struct {
		key    string
		tables WayMaps
	}{
		{"outbound.transport_maps", o.TransportMaps}, {"outbound.sender_transport_maps", o.SenderTransportMaps}, {"outbound.sender_relay_maps", o.SenderRelayMaps},
	} {
		for i, entry := range of.tables {
			if k.c.isText(entry) || slices.Contains(k.c.ListNames(), entry) {
				continue
			}
			if err := k.entry(entry); err != nil {
				k.failf(indexed(of.key, i), "%v", err)
			}
		}
	}
}
