package tlspolicy

// Level is what TLS a destination has to have, in Postfix's words.
type Level uint8

// The levels.
const (
	// Auto is Dane where the resolver is trusted, and May elsewhere.
	Auto Level = iota
	// None: no TLS.
	None
	// May: TLS if it is offered and works, else in clear.
	May
	// Encrypt: TLS, whoever the host proves to be.
	Encrypt
	// Dane: as the host's TLSA records say; May for a host without.
	Dane
	// DaneOnly: as the host's TLSA records say, or nothing.
	DaneOnly
	// Fingerprint: TLS with a certificate or a key that was named.
	Fingerprint
	// Verify: TLS with a certificate for the name of the mail host or of the next hop.
	// The name of the host comes out of the DNS, and who can forge that can have it.
	Verify
	// Secure: TLS with a certificate for names that were not looked up.
	Secure
)

func levelNames() [9]string {
	return [...]string{"auto", "none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"}
}

// String is the level as settings name it.
func (l Level) String() string {
	if names := levelNames(); int(l) < len(names) {
		return names[l]
	}
	return "unknown"
}

// ParseLevel reads a level; "" is Auto.
func ParseLevel(s string) (Level, bool) {
	for i, name := range levelNames() {
		if s == name {
			return Level(i), true
		}
	}
	return Auto, s == ""
}

// authenticates tells whether the level wants to know who the host is, by means of the
// admin's own.
func (l Level) authenticates() bool { return l >= DaneOnly }
