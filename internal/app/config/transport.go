package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/flow/transport"
	"facteur/internal/net/program"
	"facteur/internal/net/tlspolicy"
)

// Transport is a named way by which mail leaves.
type Transport struct {
	// What it is called in [[transport_map]], in files and in the log: "slow".
	Name string `toml:"name"`
	// What it does: "smtp" (also "relay") and "lmtp" hand mail to another server, "pipe"
	// to a program, "mailbox" puts it into a mailbox here, "discard" throws it away,
	// "error" refuses it, "hold" sets it aside. Empty: "smtp".
	Kind TransportKind `toml:"kind"`
	// Hosts that take its mail, with ports: "smtp.isp.example:587", "[192.0.2.1]:25",
	// "unix:/run/dovecot/lmtp". Without any, the MX hosts of each domain do. They are tried
	// in this order, or by the weights of their [[relay]] tables.
	Relays conf.Strings `toml:"relays"`
	// What "error" answers, such as "5.1.1 No such user here" (4.y.z: try again), and why
	// "hold" holds.
	Text string `toml:"text"`
	// The program of "pipe" and its arguments, each by itself: no shell reads them.
	// ${sender}, ${recipient}, ${user}, ${domain}, ${nexthop}, ${queue_id} and the others of
	// Postfix's pipe(8) are replaced.
	Command []string `toml:"command"`
	// The account of the machine that the program runs as. Empty: the server's own.
	User string `toml:"user"`
	// What is done to the message for the program, in the letters of Postfix's pipe(8): D, O,
	// R and F put Delivered-To, X-Original-To, Return-Path and a From_ line in front, B an
	// empty line behind; "." and ">" quote lines; u, h and q fold and quote addresses.
	Flags string `toml:"flags"`
	// What stands for the empty sender. Empty: "MAILER-DAEMON". Postfix calls this null_sender.
	NullSender string `toml:"null_sender"`
	// The most time that the program gets. Empty: 1000s. Postfix calls this
	// transport_time_limit.
	TimeLimit conf.Duration `toml:"time_limit"`
	// The port of MX hosts. Empty: outbound.port.
	Port uint16 `toml:"port"`
	// The most connections at a time to one destination. Empty here and below: what
	// [outbound] says. Postfix calls this transport_destination_concurrency_limit.
	Concurrency int `toml:"destination_concurrency_limit"`
	// How many connections a destination gets at first. Postfix calls this
	// transport_initial_destination_concurrency.
	InitialConcurrency int `toml:"initial_destination_concurrency"`
	// How many times all connections to a destination may fail in a row before it is left
	// alone for a while. -1: any number. Postfix calls this
	// transport_destination_concurrency_failed_cohort_limit.
	FailedCohortLimit int `toml:"destination_concurrency_failed_cohort_limit"`
	// The wait between two messages to the same destination. With one, they go one by one.
	// Postfix calls this transport_destination_rate_delay.
	RateDelay conf.Duration `toml:"destination_rate_delay"`
	// The most recipients of a message in one transaction. Postfix calls this
	// transport_destination_recipient_limit.
	RecipientLimit int `toml:"destination_recipient_limit"`
	// The most deliveries of this transport at a time, to all destinations. Postfix has it
	// as maxproc in master.cf. Empty: no other limit than outbound.concurrency.
	ProcessLimit int `toml:"process_limit"`
	// What TLS its connections have to have where no [[tls_policy]] says it. Empty:
	// outbound.tls_security_level. Postfix has it as -o smtp_tls_security_level in master.cf.
	TLSSecurityLevel TLSLevel `toml:"tls_security_level"`
	// Local addresses to connect from, at most one IPv4 and one IPv6 address.
	BindAddress []conf.Addr `toml:"bind_address"`
	// Which Internet protocols are used: "all", "ipv4" or "ipv6".
	InetProtocols InetProtocols `toml:"inet_protocols"`
	// Which of a host's addresses are tried first: "any", "ipv6" or "ipv4".
	AddressPreference AddressPreference `toml:"address_preference"`
	// The name said in EHLO.
	Helo string `toml:"helo"`
	// What stands before the "/" of the program in log lines: "postfix-slow" makes it
	// "postfix-slow/smtp". Empty: "postfix". Postfix calls this syslog_name.
	LogName string `toml:"log_name"`
	// Another transport, which takes divert_percent of the messages of this one: to warm
	// up a new address. Which they are is decided once for each message. What does not get
	// through in three attempts takes this transport after all.
	Divert string `toml:"divert"`
	// How much of the mail is diverted, 1 to 99 of 100.
	DivertPercent int `toml:"divert_percent"`
}

// TransportMap sends mail another way.
type TransportMap struct {
	// For whom: addresses, domains, ".example.org" for subdomains, "*" for all but our own
	// mailboxes.
	Recipient conf.Strings `toml:"recipient"`
	// By whom: addresses, "@example.org", "<>" for notices. With a recipient too, both have
	// to fit; alone, it counts for what no entry for recipients takes.
	Sender conf.Strings `toml:"sender"`
	// To whose mail hosts: "*.example.net". Counts for mail that would go to the MX hosts of
	// its domain, by the name of the best of them. Stands alone.
	MX conf.Strings `toml:"mx"`
	// The transport and the next hop, as in Postfix's transport(5): "slow:",
	// "smtp:[gw.example.com]:2525", ":[10.0.0.1]", "error:5.1.1 no such user", or ":" for the
	// usual way. A host in brackets is meant itself; one without is a domain whose MX hosts
	// are meant.
	To string `toml:"to"`
}

// Relay is what is known of a machine that takes mail from us.
type Relay struct {
	// Its name or address, and port: "smtp.isp.example:587". Wherever it is named (in
	// smarthost, a transport or a map), what stands here counts.
	Host string `toml:"host"`
	// Its share of the mail, among the relays that it is named with. Those without a weight
	// are tried when the others do not take it.
	Weight int `toml:"weight"`
	// Who we are there, and our password; or a file with the password in its first line,
	// which may not be readable by everybody.
	User string `toml:"user"`
	// The password. It is shown nowhere.
	Password conf.Secret `toml:"password"`
	// A file with the password in its first line. It may not be readable by everybody.
	PasswordFile string `toml:"password_file"`
	// The TLS that it must have: "verify" (its certificate is good, and for its name),
	// "encrypt" (whoever it proves to be) or "may" (when it is offered). Empty: "verify" with
	// a user, else "may". A password never goes out in clear.
	TLS RelayTLS `toml:"tls"`
	// Whether TLS begins with the first byte. Port 465 always does so.
	ImplicitTLS bool `toml:"implicit_tls"`
}

// Preset is how fast mail goes to a provider.
type Preset struct {
	// The name of its transport: "orange".
	Name string `toml:"name"`
	// Its mail hosts: "*.orange.fr". The best mail host of a domain decides, so that it holds
	// for all domains that the provider takes mail for.
	MX conf.Strings `toml:"mx"`
	// See [[transport]], here and below.
	Concurrency int `toml:"destination_concurrency_limit"`
	// How many connections it gets at first.
	InitialConcurrency int `toml:"initial_destination_concurrency"`
	// How many times all connections may fail in a row before it is left alone.
	FailedCohortLimit int `toml:"destination_concurrency_failed_cohort_limit"`
	// The wait between two messages.
	RateDelay conf.Duration `toml:"destination_rate_delay"`
	// The most recipients of a message in one transaction.
	RecipientLimit int `toml:"destination_recipient_limit"`
}

// defaultPresets are for providers that answer "too many connections" or "too fast" to
// those who send as they would to others. See docs/OUTGOING.md for how they were chosen.
func defaultPresets() []Preset {
	slow := func(name string, concurrency int, mx ...string) Preset {
		return Preset{Name: name, MX: mx, Concurrency: concurrency, InitialConcurrency: min(concurrency, 2), FailedCohortLimit: 3, RecipientLimit: 25}
	}
	return []Preset{
		slow("orange", 2, "*.orange.fr", "*.wanadoo.fr", "*.voila.fr"),
		slow("laposte", 2, "*.laposte.net"),
		slow("free", 3, "*.free.fr", "*.proxad.net"),
		slow("sfr", 3, "*.sfr.fr", "*.neuf.fr", "*.numericable.fr"),
		slow("bouygues", 3, "*.bbox.fr", "*.bouyguestelecom.fr"),
		slow("yahoo", 4, "*.yahoodns.net", "*.yahoo.com", "*.aol.com"),
		slow("microsoft", 5, "*.outlook.com", "*.hotmail.com"),
		slow("gmail", 5, "*.google.com", "*.googlemail.com"),
		slow("icloud", 4, "*.icloud.com"),
	}
}

// TransportKind is what a transport does.
type TransportKind string

var kinds = map[TransportKind]transport.Kind{
	"": transport.SMTP, "smtp": transport.SMTP, "relay": transport.SMTP, "lmtp": transport.LMTP, "pipe": transport.Pipe,
	"mailbox": transport.Mailbox, "discard": transport.Discard, "error": transport.Error, "hold": transport.Hold,
}

// Form says what may be written.
func (TransportKind) Form() string {
	return oneOf[TransportKind]("smtp", "relay", "lmtp", "pipe", "mailbox", "discard", "error", "hold")
}

// UnmarshalText takes one of the choices.
func (t *TransportKind) UnmarshalText(text []byte) error {
	return choose(t, text, "smtp", "relay", "lmtp", "pipe", "mailbox", "discard", "error", "hold")
}

// RelayTLS is the TLS that a relay must have.
type RelayTLS string

// The choices.
const (
	RelayVerify  RelayTLS = "verify"
	RelayEncrypt RelayTLS = "encrypt"
	RelayMay     RelayTLS = "may"
)

// Form says what may be written.
func (RelayTLS) Form() string { return oneOf(RelayVerify, RelayEncrypt, RelayMay) }

// UnmarshalText takes one of the choices.
func (t *RelayTLS) UnmarshalText(text []byte) error {
	return choose(t, text, RelayVerify, RelayEncrypt, RelayMay)
}

// transports checks the ways by which mail leaves.
func (k *checker) transports() {
	seen := map[string]bool{}
	for i, t := range k.c.Transports {
		key := fmt.Sprintf("transport[%d]", i)
		k.transportName(key+".name", t.Name, seen)
		k.transport(key, t)
		k.transportPace(key, t.Concurrency, t.InitialConcurrency, t.FailedCohortLimit, t.RateDelay, t.RecipientLimit)
	}
	seen = map[string]bool{}
	for i, p := range k.c.Presets {
		key := fmt.Sprintf("preset[%d]", i)
		k.transportName(key+".name", p.Name, seen)
		k.transportPace(key, p.Concurrency, p.InitialConcurrency, p.FailedCohortLimit, p.RateDelay, p.RecipientLimit)
		if len(p.MX) == 0 {
			k.failf(key+".mx", `is missing; expected mail hosts such as "*.orange.fr"`)
		}
	}
	seen = map[string]bool{}
	for i, r := range k.c.Relays {
		k.relay(fmt.Sprintf("relay[%d]", i), r)
		if seen[r.Host] {
			k.failf(fmt.Sprintf("relay[%d].host", i), "two of them are about %q", r.Host)
		}
		seen[r.Host] = true
	}
	k.wayMaps()
	_, mistakes := k.c.ways()
	k.errs = append(k.errs, mistakes...)
}

// transportTLS checks the level of a transport.
func (k *checker) transportTLS(key string, level TLSLevel) {
	switch level.level() {
	case tlspolicy.Fingerprint:
		k.failf(key, `"fingerprint" needs the digests of each destination; write a [[tls_policy]] for it`)
	case tlspolicy.DaneOnly:
		if !k.c.DNS.TrustAD {
			k.failf(key, `"dane-only" needs dns.trust_ad: without a resolver whose word on DNSSEC is trusted, no mail could be sent`)
		}
	}
}

func (k *checker) transportName(key, name string, seen map[string]bool) {
	switch {
	case name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789_-") != "":
		k.failf(key, `expected a name of letters, digits, "-" and "_", such as "slow", found %q`, name)
	case seen[name]:
		k.failf(key, "two of them are called %q", name)
	}
	seen[name] = true
}

// transport checks what the kind of a transport needs, and what means nothing to it.
func (k *checker) transport(key string, t Transport) {
	kind := kinds[t.Kind]
	for name, wrong := range map[string]bool{
		"relays": len(t.Relays) > 0 && !kind.Dials(), "port": t.Port != 0 && !kind.Dials(),
		"tls_security_level": t.TLSSecurityLevel != "" && !kind.Dials(),
		"bind_address":       len(t.BindAddress) > 0 && !kind.Dials(), "helo": t.Helo != "" && !kind.Dials(),
		"text":    t.Text != "" && kind != transport.Error && kind != transport.Hold,
		"command": t.Command != nil && kind != transport.Pipe, "user": t.User != "" && kind != transport.Pipe,
		"flags": t.Flags != "" && kind != transport.Pipe, "null_sender": t.NullSender != "" && kind != transport.Pipe,
		"time_limit": t.TimeLimit != 0 && kind != transport.Pipe,
	} {
		if wrong {
			k.failf(key+"."+name, "means nothing to a transport of the kind %q", kind)
		}
	}
	k.transportTLS(key+".tls_security_level", t.TLSSecurityLevel)
	k.relayList(key+".relays", t.Relays)
	k.helo(key+".helo", t.Helo)
	k.bind(key+".bind_address", t.BindAddress)
	if strings.Trim(strings.ToLower(t.LogName), "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "" {
		k.failf(key+".log_name", `expected a name of letters, digits, "-", "_" and ".", found %q`, t.LogName)
	}
	k.program(key, kind, t)
	if kind == transport.Error {
		if _, err := transport.ParseRefusal(t.Text); err != nil {
			k.failf(key+".text", "%v", err)
		}
	}
	k.divert(key, t)
}

// program checks what a pipe is given. That the user is there, and that we may become
// him, is known only to the server that runs.
func (k *checker) program(key string, kind transport.Kind, t Transport) {
	if kind != transport.Pipe {
		return
	}
	if len(t.Command) == 0 || !filepath.IsAbs(t.Command[0]) {
		k.failf(key+".command", `expected a program by its absolute path, and its arguments: ["/usr/bin/maildrop", "-d", "${recipient}"]`)
		return
	}
	if err := (program.Settings{Command: t.Command, Flags: t.Flags}).Check(); err != nil {
		k.failf(key+".command", "%v", err)
	}
}

func (k *checker) divert(key string, t Transport) {
	switch {
	case t.Divert == "" && t.DivertPercent != 0:
		k.failf(key+".divert", "is missing; expected the name of the transport that takes %d%% of the mail", t.DivertPercent)
	case t.Divert != "" && (t.DivertPercent < 1 || t.DivertPercent > 99):
		k.failf(key+".divert_percent", "expected 1 to 99, found %d", t.DivertPercent)
	case t.Divert != "" && t.Divert == t.Name:
		k.failf(key+".divert", "the transport is diverted to itself")
	}
}

func (k *checker) transportPace(key string, concurrency, initial, cohort int, delay conf.Duration, recipients int) {
	for name, n := range map[string]int{"destination_concurrency_limit": concurrency, "initial_destination_concurrency": initial, "destination_recipient_limit": recipients} {
		if n < 0 || n > 10_000 {
			k.failf(key+"."+name, "expected 1 to 10000, or nothing for what [outbound] says, found %d", n)
		} else if n == 0 && k.c.positions.Has(key+"."+name) {
			k.failf(key+"."+name, "expected 1 to 10000, or nothing for what [outbound] says, found 0, which is not \"unlimited\" here")
		}
	}
	if name := key + ".destination_concurrency_failed_cohort_limit"; cohort == 0 && k.c.positions.Has(name) {
		k.failf(name, "expected a count, or -1 for any number of failures, for which Postfix writes 0")
	}
	k.cohort(key+".destination_concurrency_failed_cohort_limit", cohort, 0)
	k.rateDelay(key+".destination_rate_delay", delay)
}

// relayList wants hosts with their ports.
func (k *checker) relayList(key string, relays []string) {
	for i, text := range relays {
		r, err := transport.ParseRelay(text)
		switch at := fmt.Sprintf("%s[%d]", key, i); {
		case err != nil:
			k.failf(at, "%v", err)
		case r.Port == 0 && r.Socket == "":
			k.failf(at, `the port of %s is missing; expected 25 for mail servers, 587 or 465 where one logs in: "%s:25"`, text, text)
		}
	}
}

// maxWeight bounds the weight of a relay.
const maxWeight = 10_000

func (k *checker) relay(key string, r Relay) {
	k.relayList(key+".host", nil)
	if _, err := transport.ParseRelay(r.Host); err != nil {
		k.failf(key+".host", "%v", err)
	} else if hop, _ := transport.ParseRelay(r.Host); hop.Port == 0 && hop.Socket == "" {
		k.failf(key+".host", `the port of %s is missing; expected 25 for mail servers, 587 or 465 where one logs in: "%s:587"`, r.Host, r.Host)
	}
	if r.Weight < 0 || r.Weight > maxWeight {
		k.failf(key+".weight", "expected 0 to %d, found %d", maxWeight, r.Weight)
	}
	hasPassword := r.Password != conf.Secret{} || r.PasswordFile != ""
	switch {
	case r.Password != conf.Secret{} && r.PasswordFile != "":
		k.failf(key+".password", "expected a password or a password_file, not both")
	case r.User != "" && !hasPassword:
		k.failf(key+".password", "is missing; expected the password of %q, or a password_file", r.User)
	case r.User == "" && hasPassword:
		k.failf(key+".user", "is missing; the password is nobody's")
	case r.User != "" && r.TLS == RelayMay:
		k.failf(key+".tls", `the password would go out in clear; expected "verify" or "encrypt"`)
	}
	if r.Password != (conf.Secret{}) {
		k.ownFile(key + ".password")
	}
	k.secretFile(key+".password_file", k.c.beside(r.PasswordFile))
}

// ownFile refuses a secret in a settings file that others can read (MAP-011).
func (k *checker) ownFile(key string) {
	if k.c.path != "" {
		if err := openToOthers(k.c.path); err != nil {
			k.failf(key, "%v, as it holds a password; or use password_file", err)
		}
	}
}
