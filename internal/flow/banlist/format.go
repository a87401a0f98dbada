package banlist

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"facteur/internal/store/reputation"
)

// Format is the language that a list is written in.
type Format string

// The formats.
const (
	NFT        Format = "nft"
	IPSet      Format = "ipset"
	Postscreen Format = "postscreen"
	Fail2ban   Format = "fail2ban"
	Plain      Format = "plain"
)

// Formats are all of them.
func Formats() []Format { return []Format{NFT, IPSet, Postscreen, Fail2ban, Plain} }

// Form says what a Format may be.
func (Format) Form() string {
	var all []string
	for _, f := range Formats() {
		all = append(all, fmt.Sprintf("%q", string(f)))
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

// UnmarshalText takes one of the formats.
func (f *Format) UnmarshalText(text []byte) error {
	if *f = Format(text); !slices.Contains(Formats(), *f) {
		return fmt.Errorf("%q is no form of a ban list; expected %s", text, f.Form())
	}
	return nil
}

// MarshalText is the format as it is written.
func (f Format) MarshalText() ([]byte, error) { return []byte(f), nil }

// Most is how many bans are written at most.
const Most = 1 << 16

// Write writes the bans that are in force.
func Write(w io.Writer, f Format, bans []reputation.Ban, now time.Time) error {
	bans = slices.DeleteFunc(slices.Clone(bans), func(b reputation.Ban) bool { return !b.Until.After(now) || !b.Subject.Prefix().IsValid() })
	bans = bans[:min(len(bans), Most)]
	var b strings.Builder
	switch f {
	case NFT:
		nft(&b, bans, now)
	case IPSet:
		ipset(&b, bans, now)
	case Postscreen:
		b.WriteString("# Written by facteur. In main.cf: postscreen_access_list = permit_mynetworks, cidr:THIS_FILE\n")
		for _, ban := range bans {
			fmt.Fprintf(&b, "%s reject\n", ban.Subject.Prefix())
		}
	case Fail2ban:
		for _, ban := range bans {
			fmt.Fprintf(&b, "%s facteur/reputation: ban %s for %d s: %s (%d times lately)\n", now.UTC().Format(time.RFC3339), ban.Subject, left(ban, now), ban.What(), ban.Times)
		}
	case Plain:
		for _, ban := range bans {
			fmt.Fprintln(&b, ban.Subject)
		}
	default:
		return fmt.Errorf("%q is no form of a ban list; expected %s", string(f), f.Form())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// left is how long a ban still lasts, in whole seconds, one at least.
func left(b reputation.Ban, now time.Time) int64 { return max(int64(b.Until.Sub(now)/time.Second), 1) }

// family are the bans of IPv4 or of IPv6. A network that has others of the list inside it
// stands for them: sets of intervals take no two that overlap.
func family(bans []reputation.Ban, is4 bool) (out []reputation.Ban) {
	wide := make(map[netip.Prefix]bool)
	for _, b := range bans {
		if b.Subject.Kind() == reputation.OfNetwork {
			wide[b.Subject.Prefix()] = true
		}
	}
	for _, b := range bans {
		p := b.Subject.Prefix()
		inside := b.Subject.Kind() != reputation.OfNetwork && wide[reputation.Network(p.Addr()).Prefix()]
		if p.Addr().Is4() == is4 && !inside {
			out = append(out, b)
		}
	}
	return out
}

// table is the name of our table in nftables, and the beginning of the names of sets.
const table = "facteur"

// set is one of the two that a list is divided into.
type set struct {
	name, kind string
	is4        bool
}

func nft(b *strings.Builder, bans []reputation.Ban, now time.Time) {
	fmt.Fprintf(b, "# Written by facteur, for \"nft -f\". Rules of yours make use of it, in a chain of this table:\n"+
		"#   ip saddr @banned4 tcp dport 25 reject\n#   ip6 saddr @banned6 tcp dport 25 reject\nadd table inet %s\n", table)
	for _, s := range []set{{"banned4", "ipv4_addr", true}, {"banned6", "ipv6_addr", false}} {
		fmt.Fprintf(b, "add set inet %s %s { type %s; flags interval, timeout; }\nflush set inet %s %s\n", table, s.name, s.kind, table, s.name)
		for chunk := range slices.Chunk(family(bans, s.is4), 500) {
			fmt.Fprintf(b, "add element inet %s %s {\n", table, s.name)
			for _, ban := range chunk {
				fmt.Fprintf(b, "\t%s timeout %ds,\n", ban.Subject.Prefix(), left(ban, now))
			}
			b.WriteString("}\n")
		}
	}
}

func ipset(b *strings.Builder, bans []reputation.Ban, now time.Time) {
	for _, s := range []set{{table + "-banned4", "inet", true}, {table + "-banned6", "inet6", false}} {
		fmt.Fprintf(b, "create %s hash:net family %s timeout 600 -exist\nflush %s\n", s.name, s.kind, s.name)
		for _, ban := range family(bans, s.is4) {
			fmt.Fprintf(b, "add %s %s timeout %d -exist\n", s.name, ban.Subject.Prefix(), left(ban, now))
		}
	}
}
