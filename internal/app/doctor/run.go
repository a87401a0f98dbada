package doctor

import (
	"context"
	"slices"
	"sync"
	"time"

	"facteur/internal/net/dns"
)

const (
	// Deadline is for a whole run.
	Deadline = 25 * time.Second
	// together is how many checks run at a time, questions how many questions to the name
	// service each may put.
	together, questions = 24, 256
	// domainsMax is how many domains one run looks at.
	domainsMax = 200
)

// check is one thing that is looked at.
type check struct {
	name string
	// about is what it looks at, in a few words.
	about string
	// before: also of a machine where nothing is installed yet.
	before bool
	// house or domain is the check itself.
	house  func(context.Context, *World, *report)
	domain func(context.Context, *World, Domain, *report)
}

// checks are all of them, in the order in which they are told.
func checks() []check {
	return []check{
		{name: "dns", about: "the name service answers", before: true, house: checkDNS},
		{name: "mx", about: "the domain's mail comes to this server", domain: checkMX},
		{name: "address", about: "the name of this machine leads to it, over IPv4 and IPv6", before: true, house: checkAddress},
		{name: "ptr", about: "each address that mail leaves from has a name that leads back to it", before: true, house: checkPTR},
		{name: "helo", about: "the name in EHLO is that of the addresses", house: checkHelo},
		{name: "port25", about: "port 25 leads out of this network", before: true, house: checkPort25},
		{name: "ports", about: "the ports of mail are free", before: true, house: checkPorts},
		{name: "spf", about: "the domain says that its mail comes from here, and from nowhere else", domain: checkSPF},
		{name: "never-sends", about: "a domain that never sends says so", domain: checkNeverSends},
		{name: "dkim", about: "the keys that mail is signed with are published", domain: checkDKIM},
		{name: "dmarc", about: "the domain says what becomes of mail that only claims to be its own", domain: checkDMARC},
		{name: "relay", about: "strangers can't send to strangers through this server", house: checkRelay},
		{name: "trusted", about: "not too many may send without logging in", house: checkTrusted},
		{name: "roles", about: "postmaster and abuse are read by somebody", domain: checkRoles},
		{name: "certificate", about: "the certificate is for this machine, trusted and not about to end", house: checkCertificate},
		{name: "tlsa", about: "TLSA records (DANE) are for the certificate that is shown", house: checkTLSA},
		{name: "mta-sts", about: "the MTA-STS policy is there and names this server", domain: checkSTS},
		{name: "tlsrpt", about: "others report how their TLS to here worked", domain: checkTLSRPT},
		{name: "services", about: "mail programs find their servers by SRV records", domain: checkServices},
		{name: "bimi", about: "the logo of the domain, if it has one", domain: checkBIMI},
		{name: "block-lists", about: "no DNS block list has our addresses or domains", before: true, house: checkBlockLists},
		{name: "filter-lists", about: "the lists that the filter asks about senders answer as lists do", before: true, house: checkFilterLists},
		{name: "scanners", about: "the programs that letters are shown to besides answer", house: checkScanners},
		{name: "disk", about: "the disk has room, and syncs when it says so", before: true, house: checkDisk},
		{name: "clock", about: "the clock is right", before: true, house: checkClock},
		{name: "providers", about: "where large providers tell what they think of this server", house: checkProviders},
	}
}

// Check is a check for who describes them.
type Check struct{ Name, About string }

// Checks are all checks, in their order.
func Checks() (list []Check) {
	for _, c := range checks() {
		list = append(list, Check{c.name, c.about})
	}
	return list
}

// job is a check of one subject.
type job struct {
	check
	of Domain
}

// jobs are what is to be done in a world.
func jobs(w *World) (list []job) {
	domains := w.Domains[:min(len(w.Domains), domainsMax)]
	for _, c := range checks() {
		switch {
		case w.Before && !c.before, !w.Before && c.name == "ports":
		case c.house != nil:
			list = append(list, job{check: c})
		default:
			for _, d := range domains {
				list = append(list, job{c, d})
			}
		}
	}
	return list
}

// Run does all checks. It ends within Deadline, whoever does not answer.
func Run(ctx context.Context, w *World) []Finding {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	todo := jobs(w)
	found := make([][]Finding, len(todo))
	places := make(chan struct{}, together)
	var busy sync.WaitGroup
	for i, j := range todo {
		busy.Go(func() {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				found[i] = j.within(ctx, w)
			case <-ctx.Done():
				found[i] = j.late()
			}
		})
	}
	busy.Wait()
	list := slices.Concat(found...)
	if len(w.Domains) > domainsMax {
		list = append(list, Finding{Check: "dns", Level: Note, What: "There are more domains than one run looks at; name those that you want to know of: facteur doctor DOMAIN."})
	}
	return list
}

// within does a job, and stops waiting for it at the deadline: a disk that hangs can't be
// interrupted.
func (j job) within(ctx context.Context, w *World) []Finding {
	done := make(chan []Finding, 1)
	go func() {
		r := report{check: j.name, domain: j.of.Name, subject: j.of.Name}
		ctx := dns.WithBudget(ctx, questions)
		if j.house != nil {
			r.subject = w.Config.Hostname
			j.house(ctx, w, &r)
		} else {
			j.domain(ctx, w, j.of, &r)
		}
		done <- r.list
	}()
	select {
	case list := <-done:
		return list
	case <-ctx.Done():
	}
	select { // what is ready now was in time
	case list := <-done:
		return list
	case <-time.After(lateness):
		return j.late()
	}
}

// lateness is for checks to see that the deadline has passed.
const lateness = 500 * time.Millisecond

func (j job) late() []Finding {
	return []Finding{{Check: j.name, Domain: j.of.Name, Subject: j.of.Name, Level: Unknown, What: "It could not be told whether " + j.about + ": nobody answered in time."}}
}
