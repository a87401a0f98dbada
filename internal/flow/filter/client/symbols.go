package client

import (
	"strings"

	"facteur/internal/flow/filter"
)

// Symbol is one remark that this package can make.
type Symbol struct {
	Name  string
	Score float64
	// Amateur: it is what honest servers of amateurs do, too.
	Amateur bool
	// About says in a few words what it is, for the table of docs/FILTER.md.
	About string
}

// amateurMost is what all that amateurs do can cost together.
const amateurMost = 2.0

// The remarks, by family. Scores stand where SpamAssassin has them for the same thing, and
// lower where amateurs are hit.
var (
	rdnsNone      = Symbol{"rdns_none", 0.9, true, "the address has no name in the DNS (IPv4)"}
	rdnsNoneSix   = Symbol{"rdns_none_ipv6", 0.3, true, "the address has no name in the DNS (IPv6, where most have none)"}
	rdnsBroken    = Symbol{"rdns_mismatch", 0.6, true, "the name of the address does not lead back to it (IPv4)"}
	rdnsBrokenSix = Symbol{"rdns_mismatch_ipv6", 0.2, true, "the same (IPv6)"}
	rdnsGeneric   = Symbol{"rdns_generic", 0.5, true, "the name is made from the address"}
	rdnsDynamic   = Symbol{"rdns_dynamic", 1.6, false, "the name is that of a line that changes hands: of a pool, a dial-up line, a home"}
	rdnsOwnName   = Symbol{"rdns_dynamic_own_name", 0.5, true, "the same, but the machine has a name of its own that leads to it"}

	heloGood       = Symbol{"helo_good", -0.2, false, "HELO names the client, and the DNS agrees both ways"}
	heloOurs       = Symbol{"helo_ours", 3.5, false, "HELO is our own name or address"}
	heloLocalhost  = Symbol{"helo_localhost", 2.0, false, "HELO is localhost or 127.0.0.1, from outside"}
	heloBare       = Symbol{"helo_bare_address", 2.0, false, "HELO is an address without brackets"}
	heloOther      = Symbol{"helo_other_address", 2.0, false, "HELO is the address of another machine"}
	heloPrivate    = Symbol{"helo_private_address", 0.7, true, "HELO is an address of a private network"}
	heloLiteral    = Symbol{"helo_address", 0.4, true, "HELO is the client's own address, in brackets"}
	heloShort      = Symbol{"helo_not_fqdn", 0.7, true, "HELO is one word, as Windows and boxes for the home have it"}
	heloHome       = Symbol{"helo_private_name", 0.5, true, "HELO is a name for use at home (.local, .lan)"}
	heloSyntax     = Symbol{"helo_invalid", 1.0, true, "HELO is nothing that can be a name"}
	heloRandom     = Symbol{"helo_random", 1.8, false, "HELO is letters thrown together, and leads nowhere"}
	heloNowhere    = Symbol{"helo_unknown", 0.7, true, "the DNS does not know the name in HELO"}
	heloElsewhere  = Symbol{"helo_elsewhere", 0.2, true, "the name in HELO leads to other machines"}
	heloDynamic    = Symbol{"helo_dynamic", 1.0, false, "HELO is the name of a line that changes hands"}
	doorPreGreet   = Symbol{"door_pregreet", 2.5, false, "it talked before it was greeted"}
	doorPipelining = Symbol{"door_pipelining", 1.5, false, "it did not wait where SMTP has to wait"}
	doorNewline    = Symbol{"door_bare_newline", 0.8, false, "it ended lines with LF alone"}
	doorNonSMTP    = Symbol{"door_non_smtp_command", 3.0, false, "it spoke something else than SMTP"}
	doorBefore     = Symbol{"door_before", 0.8, false, "it did one of these in the last thirty days"}
)

// Symbols are all remarks that the checks of this package can make.
func Symbols() []Symbol {
	return []Symbol{
		rdnsNone, rdnsNoneSix, rdnsBroken, rdnsBrokenSix, rdnsGeneric, rdnsDynamic, rdnsOwnName,
		heloGood, heloOurs, heloLocalhost, heloBare, heloOther, heloPrivate, heloLiteral, heloShort, heloHome, heloSyntax,
		heloRandom, heloNowhere, heloElsewhere, heloDynamic,
		doorPreGreet, doorPipelining, doorNewline, doorNonSMTP, doorBefore,
	}
}

// Known are the same, as settings name them.
func Known() (out []filter.Known) {
	for _, s := range Symbols() {
		family := (*Name)(nil).Name()
		if strings.HasPrefix(s.Name, "door_") {
			family = (*Door)(nil).Name()
		}
		out = append(out, filter.Known{Check: family, Name: s.Name})
	}
	return out
}
