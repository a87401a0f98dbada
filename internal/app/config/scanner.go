package config

import (
	"fmt"
	"strings"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/flow/filter/scanner"
	"facteur/internal/store/policy"
)

// Scanner is a program beside this one that looks at the letters of strangers: clamd for
// viruses, rspamd or SpamAssassin's spamd for one more opinion on spam. See docs/FILTER.md.
type Scanner struct {
	// What it is: "clamd" (ClamAV), "rspamd" or "spamd" (SpamAssassin).
	Type ScannerType `toml:"type"`
	// A word for its remarks and for [filter.scores]. Empty: its type.
	Name string `toml:"name"`
	// Where it listens: "unix:/run/clamav/clamd.ctl" or "inet:127.0.0.1:11333". Empty: where
	// it does on Debian: that socket for clamd, port 11333 for rspamd, 783 for spamd.
	Address conf.Endpoint `toml:"address"`
	// What becomes of letters while it can't be reached: "defer" (they have to come again,
	// 451) or "pass" (they go on without it). Empty: "defer" for clamd, "pass" for the
	// others. Nothing is ever refused for good because a scanner is down.
	WhenDown ScannerDown `toml:"when_down"`
	// How long a letter waits for it, at most 25s; empty: 20s. After two failures in a row
	// letters do not wait for it any more until it is there again.
	Timeout conf.Duration `toml:"timeout"`
	// The size of the largest letter that is shown to it; larger ones go on without. Empty:
	// 100 MB for clamd (as StreamMaxLength in its own settings), 2 MB for rspamd, 500 kB for
	// spamd.
	MaxSize conf.Size `toml:"max_size"`
	// How many letters it is shown at the same time; empty: 4. The others wait for their
	// turn. It should be below MaxThreads of clamd, --max-children of spamd.
	Connections int `toml:"connections"`
	// What one of its points counts for. Empty: 0.8 for rspamd, 1 for spamd.
	Weight Points `toml:"weight"`
	// The most that all its points count for. Empty: as much as any check, 0.9 of the level
	// junk. With more than that it may condemn letters by itself.
	Clip Points `toml:"clip"`
	// What names of clamd count that are no viruses, by their beginning: "PUA. = 1.5". They
	// stand before the table in docs/FILTER.md.
	Scores []string `toml:"scores"`
	// Beginnings of names that are viruses whatever that table says: "Heuristics.Encrypted.".
	Viruses []string `toml:"viruses"`
	// Whether the letters of our own users are shown to it as well (clamd only). Who sends a
	// virus is told so at once.
	Outgoing bool `toml:"outgoing"`
	// Whether it is only told what it says, and nothing comes of it.
	TestOnly bool `toml:"test_only"`
	// A file with the password of rspamd in its first line, if it wants one. It may not be
	// readable by everybody.
	PasswordFile string `toml:"password_file"`
	// Whose settings spamd takes. Empty: its own.
	User string `toml:"user"`
}

// ScannerType is what a scanner is.
type ScannerType scanner.Kind

func scannerTypes() []ScannerType {
	return []ScannerType{ScannerType(scanner.Clamd), ScannerType(scanner.Rspamd), ScannerType(scanner.Spamd)}
}

// Form says what may be written.
func (ScannerType) Form() string { return oneOf(scannerTypes()...) }

// UnmarshalText takes one of the choices.
func (t *ScannerType) UnmarshalText(text []byte) error { return choose(t, text, scannerTypes()...) }

// ScannerDown is what becomes of letters while a scanner is down.
type ScannerDown scanner.WhenDown

// Form says what may be written.
func (ScannerDown) Form() string { return oneOf(ScannerDown(scanner.Defer), ScannerDown(scanner.Pass)) }

// UnmarshalText takes one of the choices, or nothing.
func (d *ScannerDown) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = ""
		return nil
	}
	return choose(d, text, ScannerDown(scanner.Defer), ScannerDown(scanner.Pass))
}

// Bounds of the settings of a scanner.
const (
	scannersMost           = 8
	scannerTimeoutMost     = 25 * time.Second // below what a check has
	scannerConnectionsMost = 100
)

// AskedScanners are those that letters are shown to, with their defaults. The error is about a
// file with a password.
func (c *Config) AskedScanners() ([]scanner.Config, error) {
	out := make([]scanner.Config, 0, len(c.Scanners))
	for i := range c.Scanners {
		one, err := c.Scanners[i].config(c)
		if err != nil {
			return nil, fmt.Errorf("scanner[%d].%w", i, err)
		}
		out = append(out, one)
	}
	return out, nil
}

func (s *Scanner) config(c *Config) (out scanner.Config, err error) {
	kind := scanner.Kind(s.Type)
	out = scanner.Config{Name: s.name(), Kind: kind, Timeout: scanner.DefaultTimeout, MaxSize: kind.DefaultMaxSize(), WhenDown: kind.DefaultWhenDown(),
		Connections: scanner.DefaultConnections, Weight: kind.DefaultWeight(), Clip: float64(s.Clip), TestOnly: s.TestOnly, Outgoing: s.Outgoing,
		User: s.User, Hostname: c.Hostname}
	at := s.Address
	if at.Network == "" {
		if err := at.UnmarshalText([]byte(kind.DefaultAddress())); err != nil {
			return out, fmt.Errorf("address: %w", err)
		}
	}
	out.Network, out.Address, out.Socket = at.Network, at.Address, at.String()
	if s.Timeout != 0 {
		out.Timeout = s.Timeout.Std()
	}
	if s.MaxSize != 0 {
		out.MaxSize = int64(s.MaxSize)
	}
	if s.WhenDown != "" {
		out.WhenDown = scanner.WhenDown(s.WhenDown)
	}
	if s.Connections != 0 {
		out.Connections = s.Connections
	}
	if s.Weight != 0 {
		out.Weight = float64(s.Weight)
	}
	if out.Names, err = s.names(); err != nil {
		return out, err
	}
	if s.PasswordFile != "" {
		password, err := firstLine(c.beside(s.PasswordFile))
		if err != nil {
			return out, fmt.Errorf("password_file: %w", err)
		}
		out.Password = password.Reveal()
	}
	return out, nil
}

func (s *Scanner) name() string {
	if s.Name != "" {
		return s.Name
	}
	return string(s.Type)
}

// names reads "PUA. = 1.5". Unlike names of our own, those of clamd have capital letters.
func (s *Scanner) names() (scanner.Names, error) {
	n := scanner.Names{Viruses: s.Viruses}
	for i, entry := range s.Scores {
		at := strings.LastIndexByte(entry, '=')
		prefix := strings.TrimSpace(entry[:max(at, 0)])
		score, err := policy.ParseLevel(strings.TrimSpace(entry[at+1:]))
		if prefix == "" || err != nil {
			return n, fmt.Errorf(`scores[%d]: expected the beginning of a name and a number, such as "PUA. = 1.5", found %q`, i, entry)
		}
		if n.Scores == nil {
			n.Scores = make(map[string]float64)
		}
		n.Scores[prefix] = score
	}
	return n, nil
}

// scanners checks the scanners, without asking any.
func (k *checker) scanners() {
	if n := len(k.c.Scanners); n > scannersMost {
		k.failf("scanner", "expected at most %d, found %d", scannersMost, n)
	}
	names := map[string]bool{}
	for i := range k.c.Scanners {
		s := &k.c.Scanners[i]
		key := fmt.Sprintf("scanner[%d]", i)
		if s.Type == "" {
			k.failf(key+".type", "is missing; expected %s", s.Type.Form())
			continue
		}
		switch name := s.name(); {
		case names[name]:
			k.failf(key+".name", "two scanners are called %q", name)
		case !isWord(name):
			k.failf(key+".name", "expected small letters, digits and underscores, at most 40, found %q", name)
		}
		names[s.name()] = true
		k.scannerBounds(key, s)
		k.scannerKind(key, s)
		if s.PasswordFile != "" {
			k.secretFile(key+".password_file", k.c.beside(s.PasswordFile))
		}
	}
	if len(k.c.Scanners) > 0 && !k.c.Filter.Enabled {
		k.failf("scanner", "filter.enabled is false, so that nothing would come of what a scanner says")
	}
}

func (k *checker) scannerBounds(key string, s *Scanner) {
	if s.Timeout != 0 && (s.Timeout.Std() < time.Second || s.Timeout.Std() > scannerTimeoutMost) {
		k.failf(key+".timeout", "expected 1s to %s, or nothing for %s", scannerTimeoutMost, scanner.DefaultTimeout)
	}
	if s.Connections < 0 || s.Connections > scannerConnectionsMost {
		k.failf(key+".connections", "expected 1 to %d, or nothing for %d", scannerConnectionsMost, scanner.DefaultConnections)
	}
	if s.Weight < 0 || s.Clip < 0 {
		k.failf(key+".weight", "expected weight and clip above 0, or nothing for the default")
	}
}

// scannerKind tells of settings that a kind does not have.
func (k *checker) scannerKind(key string, s *Scanner) {
	clamd := s.Type == ScannerType(scanner.Clamd)
	for _, one := range []struct {
		key      string
		is, fits bool
		kind     scanner.Kind
	}{
		{"outgoing", s.Outgoing, clamd, scanner.Clamd},
		{"scores", len(s.Scores) > 0, clamd, scanner.Clamd},
		{"viruses", len(s.Viruses) > 0, clamd, scanner.Clamd},
		{"password_file", s.PasswordFile != "", s.Type == ScannerType(scanner.Rspamd), scanner.Rspamd},
		{"user", s.User != "", s.Type == ScannerType(scanner.Spamd), scanner.Spamd},
	} {
		if one.is && !one.fits {
			k.failf(key+"."+one.key, "is for scanners of the type %q; leave it out", one.kind)
		}
	}
	if clamd && (s.Weight != 0 || s.Clip != 0) {
		k.failf(key+".weight", "clamd gives no points; leave weight and clip out")
	}
	if _, err := s.names(); err != nil {
		k.failf(key, "%v", err)
	}
}
