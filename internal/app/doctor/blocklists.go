package doctor

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"facteur/internal/app/records"
	"facteur/internal/base/lookup"
)

// list is what is known of a DNS block list: where to ask to be taken off, and what its
// codes mean (row 217).
type list struct {
	removal string // {} stands for what is listed
	codes   map[string]string
	// six: it has IPv6 addresses.
	six bool
	// slow: it is known to list whole networks, so that a listing is no fault of one's own.
	slow bool
}

// knownLists are those that many servers ask. Others can be named in the settings, too.
func knownLists() map[string]list {
	spamhaus := map[string]string{"127.0.0.2": "SBL, a source of spam", "127.0.0.3": "CSS, a source of spam", "127.0.0.4": "XBL, an infected machine",
		"127.0.0.9": "DROP, a network of criminals", "127.0.0.10": "PBL, a line that should not send mail itself", "127.0.0.11": "PBL, a line that should not send mail itself"}
	return map[string]list{
		"zen.spamhaus.org":       {removal: "https://check.spamhaus.org/results/?query={}", codes: spamhaus, six: true},
		"dbl.spamhaus.org":       {removal: "https://check.spamhaus.org/results/?query={}"},
		"bl.spamcop.net":         {removal: "https://www.spamcop.net/bl.shtml?{}"},
		"b.barracudacentral.org": {removal: "https://www.barracudacentral.org/rbl/removal-request/{}"},
		"psbl.surriel.com":       {removal: "https://psbl.org/listing?ip={}"},
		"dnsbl.dronebl.org":      {removal: "https://dronebl.org/lookup?ip={}", six: true},
		"bl.mailspike.net":       {removal: "https://mailspike.io/ip_verify?ip={}"},
		"ix.dnsbl.manitu.net":    {removal: "https://www.dnsbl.manitu.net/lookup.php?value={}"},
		"dnsbl-1.uceprotect.net": {removal: "https://www.uceprotect.net/en/rblcheck.php?ipr={}"},
		"dnsbl-2.uceprotect.net": {removal: "https://www.uceprotect.net/en/rblcheck.php?ipr={}", slow: true},
		"dnsbl-3.uceprotect.net": {removal: "https://www.uceprotect.net/en/rblcheck.php?ipr={}", slow: true},
		"multi.surbl.org":        {removal: "https://surbl.org/surbl-analysis?d={}"},
	}
}

// checkBlockLists asks the lists about our addresses and domains (rows 216 to 218). A list
// is believed only if it passes the test of RFC 5782 §5 (AUT-026).
func checkBlockLists(ctx context.Context, w *World, r *report) {
	sources := w.from(ctx, r)
	known := knownLists()
	var mu sync.Mutex
	var busy sync.WaitGroup
	asked := 0
	each := func(name string, ask func(l list, sub *report) int) {
		busy.Go(func() {
			sub := &report{check: r.check, subject: name}
			n := ask(known[name], sub)
			mu.Lock()
			defer mu.Unlock()
			asked += n
			r.list = append(r.list, sub.list...)
		})
	}
	if w.direct() {
		for _, name := range w.Config.Doctor.BlockLists {
			each(name, func(l list, sub *report) int { return askAddresses(ctx, w, name, l, sources, sub) })
		}
	}
	for _, name := range w.Config.Doctor.DomainBlockLists {
		each(name, func(l list, sub *report) int { return askDomains(ctx, w, name, l, sub) })
	}
	busy.Wait()
	sortFindings(r.list)
	if asked == 0 && len(r.list) > 1 {
		r.list = nil
		r.add(Unknown, "It could not be told whether block lists have our addresses or domains: none of them answers as it should.").
			because("They often do not serve public name servers.").do("# run unbound on this machine, and in facteur.toml:", "[dns]", `servers = ["127.0.0.1:53"]`)
	}
	if asked > 0 && !hasFailed(r.list) {
		r.add(OK, "No block list has our addresses or domains (%d answers).", asked)
	}
}

func hasFailed(list []Finding) bool { return slices.ContainsFunc(list, Finding.isBad) }

// askAddresses asks one list about all our addresses, and counts its answers.
func askAddresses(ctx context.Context, w *World, name string, l list, sources []source, r *report) (asked int) {
	if len(sources) == 0 || !healthy(ctx, w, name, "2.0.0.127", "1.0.0.127", r) {
		return 0
	}
	for _, s := range sources {
		if s.public.Is6() && !l.six {
			continue
		}
		a := w.Resolver.LookupAddr(ctx, reversed(s.public)+"."+name)
		asked += told(a, name, s.String(), l, r)
	}
	return asked
}

// askDomains asks one list about all our domains.
func askDomains(ctx context.Context, w *World, name string, l list, r *report) (asked int) {
	if !healthy(ctx, w, name, "test", "invalid", r) {
		return 0
	}
	for _, d := range w.Domains[:min(len(w.Domains), domainsMax)] {
		asked += told(w.Resolver.LookupAddr(ctx, d.Name+"."+name), name, d.Name, l, r)
	}
	return asked
}

// told adds what a list says of an address or domain; 1 if it said something.
func told(a lookup.Answer[[]netip.Addr], name, subject string, l list, r *report) int {
	switch code, verdict := judge(a); verdict {
	case clean:
		return 1
	case onIt:
		level := Failure
		if l.slow || strings.HasPrefix(l.codes[code], "PBL") {
			level = Warning
		}
		meaning := ""
		if m := l.codes[code]; m != "" {
			meaning = " (" + m + ")"
		}
		r.about(subject+" at "+name, level, "%s is on the block list %s: %s%s.", subject, name, code, meaning).
			because("Servers that ask the list refuse or distrust mail from here. Find out why before you ask to be taken off: a password that somebody knows, a form on a web site, a list of old addresses.").
			do("facteur queue list   # is there mail that nobody here wrote?", "; ask to be taken off: "+removal(name, subject, l)).link(removal(name, subject, l))
		return 1
	case unusable:
		r.about(name, Unknown, "The block list %s does not serve us: it answers %s.", name, code).
			because("It wants to be asked by a name server of one's own, not by a public one, or less often.").do("# run unbound on this machine, and in facteur.toml:", "[dns]", `servers = ["127.0.0.1:53"]`)
	case silent:
		r.about(name, Unknown, "The block list %s does not answer now.", name)
	}
	return 0
}

func removal(name, subject string, l list) string {
	if l.removal == "" {
		return "https://" + name[strings.IndexByte(name, '.')+1:] + "/"
	}
	return strings.ReplaceAll(l.removal, "{}", subject)
}

// verdict is what an answer of a list means.
type verdict int

const (
	silent   verdict = iota // nobody answered
	clean                   // not on it
	onIt                    // on it
	unusable                // what it says is no answer about the subject
)

// judge reads an answer (RFC 5782 §2.1): only addresses in 127/8 say that something is
// listed, but not 127.0.0.1, which is nobody's code, nor 127.255.255/24, by which lists say
// that they do not serve who asks.
func judge(a lookup.Answer[[]netip.Addr]) (code string, v verdict) {
	switch a.State() {
	case lookup.TryAgain:
		return "", silent
	case lookup.NotFound:
		return "", clean
	}
	v = unusable
	for _, addr := range a.Value() {
		if code == "" {
			code = addr.String()
		}
		if isCode(addr) {
			return addr.String(), onIt
		}
	}
	return code, v
}

func isCode(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	b := a.As4()
	return b[0] == 127 && !(b[1] == 255 && b[2] == 255) && b != [4]byte{127, 0, 0, 1}
}

// healthy tells whether a list has what every list must have, and not what none may have.
// One that was abandoned often lists the whole world.
func healthy(ctx context.Context, w *World, name, has, hasNot string, r *report) bool {
	code, must := judge(w.Resolver.LookupAddr(ctx, has+"."+name))
	_, mustNot := judge(w.Resolver.LookupAddr(ctx, hasNot+"."+name))
	switch {
	case must == unusable || mustNot == unusable:
		r.about(name, Unknown, "The block list %s does not serve us: it answers %s.", name, orOther(code)).
			because("It wants to be asked by a name server of one's own, not by a public one, or its name has been taken by somebody else.").
			do("# run unbound on this machine, and in facteur.toml:", "[dns]", `servers = ["127.0.0.1:53"]`)
	case mustNot == onIt:
		r.about(name, Note, "The block list %s lists everything; it is not believed.", name).because("It has been given up. Take it out of doctor.block_lists, and of the rules.")
	case must == silent || mustNot == silent:
		r.about(name, Unknown, "The block list %s does not answer now.", name)
	case must == clean:
		r.about(name, Note, "The block list %s is empty; it is not believed.", name).because("It lacks the entry that every list has (RFC 5782 §5). Take it out of doctor.block_lists.")
	default:
		return true
	}
	return false
}

func orOther(code string) string {
	if code == "" {
		return "something else"
	}
	return code
}

// reversed is an address as lists have it.
func reversed(a netip.Addr) string {
	name := records.Reverse(a)
	return strings.TrimSuffix(strings.TrimSuffix(name, ".in-addr.arpa"), ".ip6.arpa")
}
