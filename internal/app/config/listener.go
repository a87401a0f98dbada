package config

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/mail/address"
)

// Listener is one socket that the server listens on.
type Listener struct {
	// What is spoken there: "smtp" (mail from other servers), "submission" (mail
	// from users, STARTTLS and log-in required), "submissions" (the same under TLS
	// from the first byte), "lmtp" (mail for mailboxes here, from another server of
	// yours), "local" (mail from programs of this machine, by the command sendmail),
	// "imap" (STARTTLS), "imaps" (TLS from the first byte), "pop3" (STLS), "pop3s" (TLS
	// from the first byte), "auth" (other programs of this machine ask about log-ins in
	// Dovecot's language: smtpd_sasl_type = dovecot), "saslauthd" (the same in that of
	// saslauthd), "policy" (a Postfix asks whether somebody may send, as it asks a policyd:
	// check_policy_service; see docs/BRAKE.md). Who connects over loopback may log in without TLS.
	Service Service `toml:"service"`
	// The address and port, "127.0.0.1:2525", "[::1]:25", or ":25" for all
	// addresses. Without a port, the usual one of the service. Or a Unix socket,
	// "unix:/run/facteur/smtp.sock".
	Address conf.Socket `toml:"address"`
	// Whether users may log in at this listener of the service "smtp", under TLS. Better
	// they do at submission. Postfix calls this smtpd_sasl_auth_enable.
	Auth bool `toml:"auth"`
	// Whether this is a decoy: a listener of the service "smtp" on an address that no MX
	// record names and no host name of yours leads to. It takes nothing; machines that try
	// to send there ignore MX records, and are remembered. See docs/REPUTATION.md.
	Decoy bool `toml:"decoy"`
	// Who may connect to a Unix socket, as a file mode; empty: "0660", and
	// "0666" for the service "local".
	Mode conf.Mode `toml:"mode"`
	// The user that a Unix socket is given to, by name or number, "postfix". At the services
	// "auth" and "saslauthd" it may ask, beside root.
	SocketUser string `toml:"socket_user"`
	// The group that a Unix socket is given to. Its members may ask at those services.
	SocketGroup string `toml:"socket_group"`
	// Whether a proxy (haproxy, nginx) stands before this listener and says in a PROXY
	// header, version 1 or 2, for whom it connects. Then nobody else may connect.
	// Postfix calls this smtpd_upstream_proxy_protocol.
	ProxyProtocol bool `toml:"proxy_protocol"`
	// The networks of those proxies.
	ProxyNetworks []conf.Prefix `toml:"proxy_networks"`
	// The oldest TLS that is spoken: "1.0", "1.1", "1.2" or "1.3"; empty: 1.2. Older
	// ones can be broken; they are for old devices, on a listener of their own.
	// Postfix calls this smtpd_tls_protocols.
	TLSMinVersion TLSVersion `toml:"tls_min_version"`
	// The ciphers that are used up to TLS 1.2, by their names in the IANA's registry,
	// "TLS_RSA_WITH_AES_128_CBC_SHA". Empty: those that are good today, none of which a
	// very old printer may know.
	TLSCiphers []TLSCipher `toml:"tls_ciphers"`
	// Makes this a listener for printers, scanners and the like, which can't log in
	// or encrypt: the networks or addresses of the devices. Only they may use it, and
	// only for what the three settings below allow. For the service "submission".
	DeviceClients []conf.Prefix `toml:"device_clients"`
	// The sender addresses that devices may use in the envelope.
	DeviceSenders []string `toml:"device_senders"`
	// The addresses and domains that devices may send to.
	DeviceRecipients []string `toml:"device_recipients"`
	// How many messages one device may send in an hour; 0: 60.
	DeviceRate int `toml:"device_rate"`
}

// SocketMode is the mode of a Unix socket. By default our group may connect: that is
// where other mail programs are put. To the service "local" everybody may.
func (l Listener) SocketMode() fs.FileMode {
	switch {
	case l.Mode != 0:
		return fs.FileMode(l.Mode)
	case l.Service == Local:
		return localMode
	}
	return 0o660
}

// DevicePace is how many messages one device may send in an hour.
func (l Listener) DevicePace() int {
	if l.DeviceRate == 0 {
		return 60
	}
	return l.DeviceRate
}

// Device tells that the listener is for devices that can't log in.
func (l Listener) Device() bool { return len(l.DeviceClients) > 0 }

// standardListeners is the listeners of a file that names none.
func standardListeners() []Listener {
	var out []Listener
	for _, s := range []Service{SMTP, Submission, Submissions, IMAP, IMAPS} {
		out = append(out, Listener{Service: s, Address: conf.Socket{HostPort: conf.HostPort{Port: s.Port()}}})
	}
	return append(out, standardLocal())
}

func (k *checker) listeners() {
	if len(k.c.Listen) == 0 {
		k.failf("listen", "there is none; a server that listens nowhere receives nothing")
	}
	seen := map[string]bool{}
	for i, l := range k.c.Listen {
		key := fmt.Sprintf("listen[%d]", i)
		address := l.Address.String()
		if _, err := netip.ParseAddr(l.Address.Host); l.Address.Host != "" && err != nil {
			k.failf(key+".address", "expected an IP address before the port, found %q", l.Address.Host)
		}
		if l.Service == "" {
			k.failf(key+".service", "is missing; expected %s", l.Service.Form())
		}
		if seen[address] && (l.Address.Port != 0 || l.Address.Path != "") {
			k.failf(key+".address", "another listener already has %s", address)
		}
		seen[address] = true
		if l.Auth && l.Service != SMTP {
			k.failf(key+".auth", `is for the service "smtp"; where users send, they always log in`)
		}
		k.local(key, l)
		k.counters(key, l)
		k.proxies(key, l)
		k.devices(key, l)
		k.decoys(key, l)
	}
}

// proxies wants to know whom to believe: anybody else could be whoever he likes.
func (k *checker) proxies(key string, l Listener) {
	switch {
	case l.ProxyProtocol && len(l.ProxyNetworks) == 0 && l.Address.Path == "":
		k.failf(key+".proxy_networks", "is missing; expected the addresses of the proxies that proxy_protocol is for")
	case !l.ProxyProtocol && len(l.ProxyNetworks) > 0:
		k.failf(key+".proxy_networks", "is without effect; did you forget proxy_protocol = true?")
	}
	for i, p := range l.ProxyNetworks {
		if p.Bits() == 0 {
			k.failf(fmt.Sprintf("%s.proxy_networks[%d]", key, i), "%s is everybody, who could then claim any address", p)
		}
	}
}

// devices wants all that makes an open door a narrow one.
func (k *checker) devices(key string, l Listener) {
	if !l.Device() {
		if len(l.DeviceSenders) > 0 || len(l.DeviceRecipients) > 0 || l.DeviceRate != 0 {
			k.failf(key+".device_clients", "is missing; expected the addresses of the devices that the other device_ settings are for")
		}
		return
	}
	if l.Service != Submission {
		k.failf(key+".device_clients", `devices use the service "submission", found %q`, string(l.Service))
	}
	if len(l.DeviceSenders) == 0 {
		k.failf(key+".device_senders", "is missing; expected the addresses that the devices send from")
	}
	if len(l.DeviceRecipients) == 0 {
		k.failf(key+".device_recipients", "is missing; expected the addresses and domains that the devices send to")
	}
	for i, s := range l.DeviceSenders {
		if _, err := address.Parse(s); err != nil {
			k.failf(fmt.Sprintf("%s.device_senders[%d]", key, i), "%q is not an address", s)
		}
	}
	for i, s := range l.DeviceRecipients {
		if !isAddressOrDomain(s) {
			k.failf(fmt.Sprintf("%s.device_recipients[%d]", key, i), "%q is neither an address nor a domain", s)
		}
	}
	k.atLeast(key+".device_rate", int64(l.DevicePace()), 1)
	for i, p := range l.DeviceClients {
		if wide(p) {
			k.failf(fmt.Sprintf("%s.device_clients[%d]", key, i), "%s is too wide for a door without a log-in; expected at most %s", p, widest(p))
		}
	}
}

func isAddressOrDomain(s string) bool {
	if strings.Contains(s, "@") {
		_, err := address.Parse(s)
		return err == nil
	}
	_, err := canonicalName(s)
	return err == nil
}

// wide tells a network that is larger than what one site usually has: wider than
// /24, or /48 of IPv6. Networks for private use are no part of the Internet.
func wide(p conf.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 24
	}
	return p.Bits() < 48
}

func widest(p conf.Prefix) string {
	if p.Addr().Is4() {
		return "a /24"
	}
	return "a /48"
}

// TLSVersion is a version of TLS; "" is what is good today.
type TLSVersion string

// tlsVersions are the versions by their numbers.
var tlsVersions = map[TLSVersion]uint16{"": 0, "1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// Form says what may be written.
func (TLSVersion) Form() string { return oneOf[TLSVersion]("1.0", "1.1", "1.2", "1.3") }

// UnmarshalText takes one of the versions.
func (v *TLSVersion) UnmarshalText(text []byte) error {
	return choose(v, text, "1.0", "1.1", "1.2", "1.3", "")
}

// ID is the version as crypto/tls knows it; 0 for the default.
func (v TLSVersion) ID() uint16 { return tlsVersions[v] }

// TLSCipher is a cipher suite by its name in the IANA's registry.
type TLSCipher string

// Form says what may be written.
func (TLSCipher) Form() string { return `a cipher such as "TLS_RSA_WITH_AES_128_CBC_SHA"` }

// UnmarshalText takes the name of a cipher suite that we can speak.
func (c *TLSCipher) UnmarshalText(text []byte) error {
	if *c = TLSCipher(text); c.ID() == 0 {
		return fmt.Errorf("%q is not among the ciphers that can be chosen: %s", text, strings.Join(ciphers(), ", "))
	}
	return nil
}

// ID is the cipher suite as crypto/tls knows it; 0 if it does not.
func (c TLSCipher) ID() uint16 {
	for _, s := range choosable() {
		if s.Name == string(c) {
			return s.ID
		}
	}
	return 0
}

// choosable are the cipher suites of TLS up to 1.2. RC4 is broken for everybody.
func choosable() []*tls.CipherSuite {
	return slices.DeleteFunc(append(tls.CipherSuites(), tls.InsecureCipherSuites()...), func(s *tls.CipherSuite) bool {
		return strings.Contains(s.Name, "RC4") || !slices.Contains(s.SupportedVersions, tls.VersionTLS12)
	})
}

func ciphers() (names []string) {
	for _, s := range choosable() {
		names = append(names, s.Name)
	}
	return names
}
