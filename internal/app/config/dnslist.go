package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/flow/filter/dnslist"
)

// DNSList is a list of hosts or domains that is asked by DNS (RFC 5782): a block list, or
// one of those who send good mail. What it says is a score beside others; see
// docs/FILTER.md.
type DNSList struct {
	// Where the list is, "zen.spamhaus.org".
	Zone string `toml:"zone"`
	// A word for the names of its remarks and for [filter.scores]: "zen" makes dnsbl_zen.
	// Empty: the zone, with underscores for dots.
	Name string `toml:"name"`
	// What it is asked about: "client" (the client's address), "allow" (the same; being
	// there speaks for it), "domain" (domains of the sender and of links), "sender" or
	// "link" (only those).
	Kind DNSListKind `toml:"kind"`
	// What its answers add to the score: "127.0.0.2 = 3.5", "127.0.0.[4..7] = 2.5",
	// "127.0.0.&8 = 2" (all answers with this bit, of lists that are several in one), or
	// "any = 2" for those that no other entry names. Of several the heaviest counts. An
	// answer that no entry names counts nothing, and is told of.
	Codes []DNSCode `toml:"codes"`
	// Which addresses it has: "ipv4", "ipv6" or "all". Empty: "ipv4".
	InetProtocols DNSListFamily `toml:"inet_protocols"`
	// The domain that the list has for tests. Empty: "test", as RFC 5782 wants.
	TestEntry string `toml:"test_entry"`
	// Whether it is only told what the list says, and nothing is counted.
	TestOnly bool `toml:"test_only"`
	// The most questions that the list gets in a day, answers from memory apart. Empty:
	// 100000.
	DailyLimit int `toml:"daily_limit"`
	// The key of a subscriber, which stands before the zone in questions, as for
	// zen.dq.spamhaus.net. It is shown nowhere.
	Key conf.Secret `toml:"key"`
	// A file with the key in its first line. It may not be readable by everybody.
	KeyFile string `toml:"key_file"`
}

// DNSListKind is what a list is asked about.
type DNSListKind dnslist.Kind

// Form says what may be written.
func (DNSListKind) Form() string { return oneOf(dnsListKinds()...) }

// UnmarshalText takes one of the choices.
func (d *DNSListKind) UnmarshalText(text []byte) error { return choose(d, text, dnsListKinds()...) }

func dnsListKinds() []DNSListKind {
	return []DNSListKind{DNSListKind(dnslist.Client), DNSListKind(dnslist.Allow), DNSListKind(dnslist.Domain), DNSListKind(dnslist.Sender), DNSListKind(dnslist.Link)}
}

// DNSListFamily is which addresses a list has.
type DNSListFamily string

// Form says what may be written.
func (DNSListFamily) Form() string { return oneOf[DNSListFamily]("ipv4", "ipv6", "all") }

// UnmarshalText takes one of the choices, or nothing.
func (f *DNSListFamily) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*f = ""
		return nil
	}
	return choose(f, text, "ipv4", "ipv6", "all")
}

// DNSCode is an answer of a list and what it adds to the score.
type DNSCode struct{ dnslist.Code }

// Form says what may be written.
func (DNSCode) Form() string { return `an answer and its score, such as "127.0.0.2 = 3.5"` }

// UnmarshalText reads a code.
func (d *DNSCode) UnmarshalText(text []byte) (err error) {
	d.Code, err = dnslist.ParseCode(string(text))
	return err
}

// MarshalText is the code as it is written.
func (d DNSCode) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// dailyLimit is how many questions a list gets in a day, where the settings don't say: the
// large ones serve small servers without a contract up to about this many.
const dailyLimit = 100000

// defaultDNSLists are lists that small servers may ask without a contract, that have been
// kept well for years, and that tell apart what they list. Scores are about SpamAssassin's.
func defaultDNSLists() []DNSList {
	codes := func(texts ...string) []DNSCode {
		out := make([]DNSCode, len(texts))
		for i, text := range texts {
			if err := out[i].UnmarshalText([]byte(text)); err != nil {
				panic(err) // a constant of ours is wrong
			}
		}
		return out
	}
	return []DNSList{
		{Name: "zen", Zone: "zen.spamhaus.org", Kind: "client", InetProtocols: "all", Codes: codes("127.0.0.2 = 3.5", "127.0.0.3 = 3", "127.0.0.[4..7] = 3", "127.0.0.9 = 4", "127.0.0.[10..11] = 2")},
		{Name: "spamcop", Zone: "bl.spamcop.net", Kind: "client", Codes: codes("127.0.0.2 = 1.5")},
		{Name: "psbl", Zone: "psbl.surriel.com", Kind: "client", Codes: codes("127.0.0.2 = 1.5")},
		{Name: "dnswl", Zone: "list.dnswl.org", Kind: "allow", InetProtocols: "all", Codes: codes("127.0.[2..20].0 = -0.1", "127.0.[2..20].1 = -0.7", "127.0.[2..20].2 = -2", "127.0.[2..20].3 = -3.5")},
		{Name: "dbl", Zone: "dbl.spamhaus.org", Kind: "domain", Codes: codes("127.0.1.[2..99] = 3", "127.0.1.[102..106] = 2")},
		{Name: "surbl", Zone: "multi.surbl.org", Kind: "link", TestEntry: "surbl-org-permanent-test-point.com", Codes: codes("127.0.0.&4 = 0.3", "127.0.0.&32 = 0", "127.0.0.&8 = 2.5", "127.0.0.&16 = 2.5", "127.0.0.&64 = 2", "127.0.0.&128 = 1.5")},
	}
}

// completeDNSLists fills in what follows from the rest.
func (c *Config) completeDNSLists() {
	for i := range c.DNSLists {
		l := &c.DNSLists[i]
		if name, err := canonicalName(l.Zone); err == nil {
			l.Zone = name
		}
		if l.Name == "" {
			l.Name = dnslist.NameOf(l.Zone)
		}
	}
}

// AskedLists are the lists as they are asked. The error is about a file with a key.
func (c *Config) AskedLists() (out []dnslist.List, err error) {
	for i, l := range c.DNSLists {
		one := dnslist.List{Name: l.Name, Zone: l.Zone, Key: l.Key.Reveal(), Kind: dnslist.Kind(l.Kind), Entry: l.TestEntry, TestOnly: l.TestOnly, Daily: l.DailyLimit,
			IPv4: l.InetProtocols != "ipv6", IPv6: l.InetProtocols == "ipv6" || l.InetProtocols == "all"}
		if one.Daily == 0 {
			one.Daily = dailyLimit
		}
		for _, code := range l.Codes {
			one.Codes = append(one.Codes, code.Code)
		}
		if l.KeyFile != "" {
			key, problem := firstLine(c.beside(l.KeyFile))
			if problem != nil {
				err = errors.Join(err, fmt.Errorf("dns_list[%d].key_file: %w", i, problem))
				continue
			}
			one.Key = key.Reveal()
		}
		out = append(out, one)
	}
	return out, err
}

// dnsLists checks the lists, without asking any.
func (k *checker) dnsLists() {
	if n := len(k.c.DNSLists); n > listsMax {
		k.failf("dns_list", "expected at most %d, found %d", listsMax, n)
	}
	names, zones := map[string]bool{}, map[string]bool{}
	for i, l := range k.c.DNSLists {
		key := fmt.Sprintf("dns_list[%d]", i)
		k.dnsListZone(key, l)
		k.dnsListCodes(key, l)
		k.dnsListKey(key, l)
		same := string(l.Kind) + " " + l.Zone
		switch {
		case l.Kind == "":
			k.failf(key+".kind", "is missing; expected %s", l.Kind.Form())
		case zones[same]:
			k.failf(key+".zone", "two lists of the kind %q are %s", l.Kind, l.Zone)
		case names[l.Name]:
			k.failf(key+".name", "two lists are called %q", l.Name)
		case !isWord(l.Name):
			k.failf(key+".name", "expected small letters, digits and underscores, at most 40, found %q", l.Name)
		}
		zones[same], names[l.Name] = true, true
		if l.DailyLimit < 0 {
			k.failf(key+".daily_limit", "expected at least 1, or nothing for %d", dailyLimit)
		}
	}
}

func isWord(name string) bool {
	return name != "" && len(name) <= 40 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func (k *checker) dnsListZone(key string, l DNSList) {
	if l.Zone == "" {
		k.failf(key+".zone", `is missing; expected the name of a list, such as "zen.spamhaus.org"`)
		return
	}
	if err := checkName(l.Zone); err != nil {
		k.failf(key+".zone", `%v; expected the name of a list, such as "zen.spamhaus.org"`, err)
		return
	}
	if first, _, _ := strings.Cut(l.Zone, "."); looksLikeKey(first) {
		k.failf(key+".zone", `begins with what looks like a subscriber's key, which would stand in the log; write it as key, or into a file and name that as key_file`)
	}
	if l.TestEntry != "" {
		if _, err := canonicalName(l.TestEntry); err != nil {
			k.failf(key+".test_entry", "%v", err)
		}
	}
	if kind := dnslist.Kind(l.Kind); kind != dnslist.Client && kind != dnslist.Allow && l.InetProtocols != "" {
		k.failf(key+".inet_protocols", "a list of domains has no addresses; leave it out")
	}
}

// looksLikeKey tells the labels that lists give to subscribers: long, letters and digits.
func looksLikeKey(label string) bool {
	return len(label) >= 20 && strings.ContainsAny(label, "0123456789") && !strings.Contains(label, "-")
}

func (k *checker) dnsListCodes(key string, l DNSList) {
	if len(l.Codes) == 0 {
		k.failf(key+".codes", `is missing; expected what its answers add to the score, such as ["127.0.0.2 = 3.5"] or ["any = 2"]`)
	}
	for i, code := range l.Codes {
		at := fmt.Sprintf("%s.codes[%d]", key, i)
		if dnslist.Kind(l.Kind) == dnslist.Allow && code.Score > 0 {
			k.failf(at, "on a list of the kind \"allow\" the score speaks for the client; expected at most 0, such as \"-1.5\"")
		}
		if slices.ContainsFunc(l.Codes[:i], func(c DNSCode) bool { return c.Pattern() == code.Pattern() }) {
			k.failf(at, "%s stands there twice", code.Pattern())
		}
	}
}

func (k *checker) dnsListKey(key string, l DNSList) {
	if l.KeyFile == "" {
		if l.Key != (conf.Secret{}) && !isKey(l.Key.Reveal()) {
			k.failf(key+".key", "is no key: it has to be a label of a domain name")
		}
		return
	}
	if l.Key != (conf.Secret{}) {
		k.failf(key+".key_file", "expected either key or key_file")
		return
	}
	file := k.c.beside(l.KeyFile)
	k.secretFile(key+".key_file", file)
	if _, err := os.Stat(file); err != nil {
		return // told by now
	}
	if text, err := firstLine(file); err == nil && !isKey(text.Reveal()) {
		k.failf(key+".key_file", "the first line of %s is no key: it has to be a label of a domain name", file)
	}
}

func isKey(text string) bool {
	name, err := canonicalName(text + ".example")
	return err == nil && strings.EqualFold(name, text+".example")
}
