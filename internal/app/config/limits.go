package config

import (
	"time"

	"facteur/internal/base/conf"
)

// Limits is what clients may use of the server.
type Limits struct {
	// Networks that the limits per client spare. Postfix calls this
	// smtpd_client_event_limit_exceptions.
	Exempt []conf.Prefix `toml:"exempt"`
	// The most connections at a time of clients that have not logged in, such as other
	// mail servers, to all services together. A tenth of them, 100 at most, is kept for trusted and exempt networks and for Unix sockets; of the rest
	// one service gets three quarters at most, so that a flood at one door leaves the
	// others open. Before nobody more finds room, clients get shorter times.
	Connections int `toml:"connections"`
	// The most connections at a time of people who have logged in, to all services
	// together; one service gets three quarters at most. They take no place from those
	// above, nor those from them. 0: one for each 64 KB of memory (below), 1000 at least:
	// with 1 GB, 12,000 people can wait for mail over IMAP.
	LoggedIn int `toml:"logged_in"`
	// The most connections at a time of one client to one service; who has logged in
	// does not count. A client is an IPv4 address or an IPv6 /64. A /24 may have four
	// times as many, a /56 twice, a /48 four times. Where people log in, an address from
	// which somebody did so in the last two months may have ten times as many, so that an
	// office behind one address can come back all at once. Postfix calls this
	// smtpd_client_connection_count_limit.
	ConnectionsPerClient int `toml:"connections_per_client"`
	// The most connections at a time of one account to one service, from wherever.
	// Somebody with a telephone, a tablet and two computers has some 40. Dovecot's
	// mail_max_userip_connections is the same for one address.
	ConnectionsPerAccount int `toml:"connections_per_account"`
	// The most connections of one client to one service within rate_time_unit, wider
	// networks as above. A failed TLS handshake counts as five. Postfix calls this
	// smtpd_client_connection_rate_limit.
	ConnectionRate int `toml:"connection_rate"`
	// The time over which connection_rate counts. Postfix calls this
	// anvil_rate_time_unit.
	RateTimeUnit conf.Duration `toml:"rate_time_unit"`
	// How much memory the server may use. Close to it, clients get shorter times, then
	// newcomers are asked to come later. 0: nine tenths of what the control group
	// (systemd's MemoryMax, a container) allows, or half of the machine's memory,
	// whichever is less.
	Memory conf.Size `toml:"memory"`
}

func defaultLimits() Limits {
	return Limits{
		Exempt:      mustPrefixes("127.0.0.0/8", "::1/128"),
		Connections: 1000, ConnectionsPerClient: 50, ConnectionsPerAccount: 100,
		ConnectionRate: 300, RateTimeUnit: conf.Duration(time.Minute),
	}
}

// leastMemory is what the server needs for itself and a few clients, in bytes.
const leastMemory = 64 << 20

// limits holds each number to its floor; 0 never means "without a limit".
func (k *checker) limits() {
	l := k.c.Limits
	k.atLeast("message_size_limit", int64(k.c.MessageSizeLimit), 64<<10) // RFC 5321 §4.5.3.1.7
	k.atLeast("recipient_limit", int64(k.c.RecipientLimit), 100)         // RFC 5321 §4.5.3.1.8
	k.atLeast("limits.connections", int64(l.Connections), 1)
	if l.LoggedIn != 0 {
		k.atLeast("limits.logged_in", int64(l.LoggedIn), 1)
	}
	k.atLeast("limits.connections_per_client", int64(l.ConnectionsPerClient), 1)
	k.atLeast("limits.connections_per_account", int64(l.ConnectionsPerAccount), 1)
	k.atLeast("limits.connection_rate", int64(l.ConnectionRate), 1)
	if l.RateTimeUnit.Std() < time.Second || l.RateTimeUnit.Std() > 24*time.Hour {
		k.failf("limits.rate_time_unit", "expected 1s to 1d")
	}
	if l.Memory != 0 && l.Memory < leastMemory {
		k.failf("limits.memory", "expected at least 64M")
	}
}
