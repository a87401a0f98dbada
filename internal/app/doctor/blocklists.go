package doctor

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
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
	each := func(name string, ask func(ctx context.Context, l list, sub *report) int) {
		busy.Go(func() {
			sub := &report{check: r.check, subject: name}
			n := ask(dns.WithBudget(ctx, questions), known[name], sub)
			mu.Lock()
			defer mu.Unlock()
			asked += n
			r.list = append(r.list, sub.list...)
		})
	}
	if w.direct() {
		for _, name := range w.Config.Doctor.BlockLists {
			each(name, func(ctx context.Context, l list, sub *report) int { return askAddresses(ctx, w, name, l, sources, sub) })
		}
	}
	for _, name := range w.Config.Doctor.DomainBlockLists {
		each(name, func(ctx context.Context, l list, sub *report) int { return askDomains(ctx, w, name, l, sub) })
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
	zone := dns.BlockList{Zone: name}
	if len(sources) == 0 || !works(w.Resolver.Health(ctx, zone, false).Err(), name, "doctor.block_lists", r) {
		return 0
	}
	for _, s := range sources {
		if s.public.Is6() && !l.six {
			continue
		}
		if !told(w.Resolver.Listed(ctx, zone, s.public), name, s.String(), l, r) {
			break
		}
		asked++
	}
	return asked
}

// askDomains asks one list about all our domains.
func askDomains(ctx context.Context, w *World, name string, l list, r *report) (asked int) {
	zone := dns.BlockList{Zone: name}
	if !works(w.Resolver.HealthOfDomains(ctx, zone).Err(), name, "doctor.domain_block_lists", r) {
		return 0
	}
	for _, d := range w.Domains[:min(len(w.Domains), domainsMax)] {
		if !told(w.Resolver.ListedDomain(ctx, zone, d.Name), name, d.Name, l, r) {
			break
		}
		asked++
	}
	return asked
}

// told adds what a list says of an address or domain; false if the list could not tell.
func told(a lookup.Answer[dns.Listing], name, subject string, l list, r *report) bool {
	switch a.State() {
	case lookup.NotFound:
		return true
	case lookup.TryAgain:
		return works(a.Err(), name, "", r)
	}
	says := a.Value()
	why := "Servers that ask the list refuse or distrust mail from here. Find out why before you ask to be taken off: a password that somebody knows, a form on a web site, a list of old addresses."
	if says.Reason != "" {
		why += " The list says: " + says.Reason
	}
	r.about(subject+" at "+name, l.level(says.Codes), "%s is on the block list %s: %s.", subject, name, l.meaning(says.Codes)).because("%s", why).
		do("facteur queue list   # is there mail that nobody here wrote?", "; ask to be taken off: "+removal(name, subject, l)).link(removal(name, subject, l))
	return true
}

// level is how bad a listing is: one that is no fault of one's own is only a warning.
func (l list) level(codes []netip.Addr) Level {
	line := func(code netip.Addr) bool { return strings.HasPrefix(l.codes[code.String()], "PBL") }
	if l.slow || !slices.ContainsFunc(codes, func(c netip.Addr) bool { return !line(c) }) {
		return Warning
	}
	return Failure
}

// meaning is codes in words, as far as they are known.
func (l list) meaning(codes []netip.Addr) string {
	words := make([]string, len(codes))
	for i, code := range codes {
		words[i] = code.String()
		if m := l.codes[words[i]]; m != "" {
			words[i] += " (" + m + ")"
		}
	}
	return strings.Join(words, ", ")
}

// works tells whether a list can be believed, and else why not. One that was abandoned
// often lists the whole world. key is the setting that has it.
func works(err error, name, key string, r *report) bool {
	var not *dns.NotServed
	switch {
	case err == nil:
		return true
	case errors.As(err, &not):
		r.about(name, Unknown, "The block list %s does not serve us: it answers %s.", name, not.Answer).
			because("It wants to be asked by a name server of one's own, not by a public one, or less often; or its name has been taken by somebody else.").
			do("# run unbound on this machine, and in facteur.toml:", "[dns]", `servers = ["127.0.0.1:53"]`)
	case errors.Is(err, dns.ErrListsAll):
		r.about(name, Note, "The block list %s lists everything; it is not believed.", name).because("It has been given up. Take it out of %s.", key)
	case errors.Is(err, dns.ErrListEmpty):
		r.about(name, Note, "The block list %s is empty; it is not believed.", name).
			because("It lacks the entry that every list has (RFC 5782 §5): it has ended, or the name server that is asked hides it. Ask another name server; else take it out of %s.", key)
	default:
		r.about(name, Unknown, "The block list %s does not answer now.", name)
	}
	return false
}

func removal(name, subject string, l list) string {
	if l.removal == "" {
		return "https://" + name[strings.IndexByte(name, '.')+1:] + "/"
	}
	return strings.ReplaceAll(l.removal, "{}", subject)
}
