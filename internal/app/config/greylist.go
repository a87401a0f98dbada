package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/flow/greylist"
	"facteur/internal/mail/address"
)

// Greylist has suspicious strangers come again after some minutes, which mail servers do
// by themselves and most of those who only spray do not. An honest first letter does not
// wait; nor does who is known. See docs/GREYLISTING.md.
type Greylist struct {
	// Whether suspicious strangers are asked to come again. It is on, as the others do not
	// notice it: no delay is longer than "longest", and nothing is refused for good.
	Enabled bool `toml:"enabled"`
	// Only tell in log and journey who would be asked to come again, and take the letter.
	TestOnly bool `toml:"test_only"`
	// The score from which on a stranger is suspicious enough to wait. At 0, every stranger
	// waits, as with postgrey.
	From Points `toml:"from"`
	// How long he waits at least. Postgrey calls this delay.
	Shortest conf.Duration `toml:"shortest"`
	// How long he waits at most: that long from five points above "from" on.
	Longest conf.Duration `toml:"longest"`
	// After what time a letter is let in, even if it comes from another host each time, of
	// which nothing is known.
	LetIn conf.Duration `toml:"let_in"`
	// How long a stranger may take to come again. Postgrey calls this retry_window.
	Window conf.Duration `toml:"window"`
	// How long it counts that he did, from his last letter on. Postgrey calls this max_age.
	Holds conf.Duration `toml:"holds"`
	// Networks whose hosts never wait. Trusted ones are not asked about at all.
	Networks []conf.Prefix `toml:"networks"`
	// Domains whose hosts never wait, by their confirmed names: each stands for itself and
	// those below. By default large operators who retry from many hosts, or not as they
	// should; an own list takes the place of theirs. Postgrey calls this
	// whitelist_clients.
	Names []string `toml:"names"`
	// Domains of senders, as SPF or DKIM prove, who never wait. By default the same.
	Domains []string `toml:"domains"`
	// Addresses and domains of recipients for whose sake nobody waits. Postgrey calls this
	// whitelist_recipients.
	Recipients []string `toml:"recipients"`
}

// Points are a part of the score.
type Points float64

// Form says what may be written.
func (Points) Form() string { return "a number of points such as 3 or 4.5" }

// UnmarshalText reads a number.
func (p *Points) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > 1000 {
		return fmt.Errorf("expected %s, found %q", p.Form(), text)
	}
	*p = Points(v)
	return nil
}

// MarshalText writes the number.
func (p Points) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(p), 'f', -1, 64), nil
}

func defaultGreylist() Greylist {
	g := Greylist{
		Enabled: true, From: 3, Shortest: conf.Duration(time.Minute), Longest: conf.Duration(10 * time.Minute), LetIn: conf.Duration(time.Hour),
		Window: conf.Duration(2 * 24 * time.Hour), Holds: conf.Duration(60 * 24 * time.Hour),
		// A program on a machine beside us does not go away when it is put off.
		Networks: mustPrefixes("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
	}
	for _, o := range greylist.Operators() {
		g.Names = append(g.Names, o.Domain)
	}
	g.Domains = g.Names
	return g
}

func (k *checker) greylist() {
	g := &k.c.Greylist
	if g.From < 0 || g.From > 100 {
		k.failf("greylist.from", "expected 0 (everybody waits) to 100 points")
	}
	between := func(key string, d conf.Duration, least, most time.Duration, want string) {
		if d.Std() < least || d.Std() > most {
			k.failf("greylist."+key, "expected %s", want)
		}
	}
	between("shortest", g.Shortest, time.Second, time.Hour, "1s to 1h")
	between("longest", g.Longest, g.Shortest.Std(), time.Hour, "as long as shortest at least, and 1h at most: many servers wait longer after each time that they are put off")
	between("let_in", g.LetIn, g.Longest.Std(), 24*time.Hour, "as long as longest at least, and 1d at most")
	between("window", g.Window, 4*time.Hour, 30*24*time.Hour, "4h to 30d: some servers try again after hours only")
	between("holds", g.Holds, 24*time.Hour, 365*24*time.Hour, "1d to 365d")
	k.canonicalNames("greylist.names", g.Names)
	k.canonicalNames("greylist.domains", g.Domains)
	for i, r := range g.Recipients {
		a, err := address.Parse(r)
		if err == nil && a.Domain != "" {
			g.Recipients[i] = a.Key()
			continue
		}
		if g.Recipients[i], err = address.CanonicalDomain(r); err != nil {
			k.failf("greylist.recipients", "expected addresses and domains, found %q", r)
		}
	}
}

// GreylistRules is how strangers are put off; nil where nobody is.
func (c *Config) GreylistRules() *greylist.Rules {
	g := &c.Greylist
	if !g.Enabled {
		return nil
	}
	const steep = 5 // points from the shortest to the longest wait
	r := &greylist.Rules{Hostname: c.Hostname, From: float64(g.From), Full: float64(g.From) + steep, TestOnly: g.TestOnly,
		Shortest: g.Shortest.Std(), Longest: g.Longest.Std(), Most: g.LetIn.Std(), Window: g.Window.Std(), Holds: g.Holds.Std(),
		Names: g.Names, Domains: g.Domains, Recipients: greylist.NewRecipients(g.Recipients), Networks: make([]netip.Prefix, 0, len(g.Networks))}
	for _, n := range g.Networks {
		r.Networks = append(r.Networks, n.Prefix)
	}
	return r
}
