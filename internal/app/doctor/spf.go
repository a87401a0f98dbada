package doctor

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/app/records"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/spf"
	"facteur/internal/net/dns"
)

// The limits of an SPF record: 10 look-ups and 2 without an answer (RFC 7208 §4.6.4), and
// what fits into one packet everywhere (§3.4: 450 octets).
const (
	spfLookups = 10
	spfOctets  = 450
)

// checkSPF: mail of the domain may come from here, and from nowhere unknown (rows 220 and
// 221). The name in EHLO has a record of its own.
func checkSPF(ctx context.Context, w *World, d Domain, r *report) {
	if d.NeverSends {
		return // another check
	}
	want := w.house(d).SPF().String()
	text, ok := spfRecord(ctx, w, d, want, r)
	if !ok {
		return
	}
	record, err := spf.Parse(text)
	if err != nil {
		r.add(Failure, "The SPF record of %s can't be read: %v.", d.Name, err).because("Some servers refuse mail with it (permerror), the others do as if there were none.").do(want)
		return
	}
	checkTerms(d, record, text, r)
	if !w.direct() {
		checkThrough(ctx, w, d, record, want, r)
		return
	}
	sources := w.from(ctx, r)
	for _, s := range sources {
		checkSender(ctx, w, d, s, text, r)
	}
	switch {
	case hasBad(r.list):
	case len(sources) == 0:
		r.add(OK, "The SPF record of %s can be read.", d.Name).because("%s", text)
	case !slices.ContainsFunc(r.list, func(f Finding) bool { return d.Backup && f.Level == Note }):
		r.add(OK, "The SPF record of %s lets its mail come from here.", d.Name).because("%s", text)
	}
}

// checkThrough looks at a record where mail leaves through a smarthost. What that sends
// from, only its provider knows; but a record that names neither it nor anybody besides us
// can't be right.
func checkThrough(ctx context.Context, w *World, d Domain, record *spf.Record, want string, r *report) {
	host := w.Config.Outbound.Smarthost[0].Host
	addrs := w.Resolver.LookupAddr(ctx, host)
	for _, a := range addrs.Value() {
		if result := w.spfOf(ctx, d, a); result.Status == spf.Pass || !dns.Public(a) {
			r.add(OK, "The SPF record of %s can be read; mail leaves through %s.", d.Name, host).because("Ask whoever runs it whether it sends from where the record says.")
			return
		}
	}
	others := record.Redirect != nil || slices.ContainsFunc(record.Terms, func(t spf.Term) bool {
		return t.Mechanism != spf.All && t.Mechanism != spf.MX && t.Mechanism != spf.A
	})
	switch {
	case addrs.State() == lookup.TryAgain:
		r.untold("whether mail of "+d.Name+" may leave through "+host, addrs.Err())
	case others || d.Backup:
		r.add(Note, "Mail leaves through %s: whether the SPF record of %s lets it can't be told from here.", host, d.Name).because("Ask its provider what the record has to name.")
	default:
		r.add(Warning, "Mail leaves through %s, which the SPF record of %s does not name.", host, d.Name).
			because("Other servers refuse or distrust it. Its provider tells what to put into the record, often an include:.").do(want)
	}
}

// spfOf evaluates the record of a domain for an address.
func (w *World) spfOf(ctx context.Context, d Domain, a netip.Addr) spf.Result {
	return spf.Check(ctx, w.Resolver.SPF(), spf.Question{IP: a, Helo: w.Config.HeloName(), Sender: "postmaster@" + d.Name, Receiver: w.Config.Hostname, Now: w.Now})
}

// spfRecord finds the one record.
func spfRecord(ctx context.Context, w *World, d Domain, want string, r *report) (string, bool) {
	a := w.Resolver.SPF().TXT(ctx, d.Name)
	var found []string
	for _, text := range a.Value() {
		if spf.IsRecord(text) {
			found = append(found, text)
		}
	}
	switch {
	case a.State() == lookup.TryAgain:
		r.untold("which SPF record "+d.Name+" has", a.Err())
	case len(found) == 0:
		r.add(d.atMost(Failure), "%s has no SPF record.", d.Name).
			because("Anybody can send mail in its name, and large providers distrust mail without. It is a TXT record.").do(want)
	case len(found) > 1:
		r.add(Failure, "%s has %d SPF records; there must be one.", d.Name, len(found)).because("Of several, none counts (permerror).").do(append([]string{"; instead of:"}, prefixed(";   ", found)...)...).do(merged(d, found...))
	default:
		return found[0], true
	}
	return "", false
}

func prefixed(prefix string, list []string) (out []string) {
	for _, s := range list {
		out = append(out, prefix+records.Quote(s))
	}
	return out
}

// checkTerms looks at what the record says of everybody else.
func checkTerms(d Domain, record *spf.Record, text string, r *report) {
	end := spf.Status("")
	for _, t := range record.Terms {
		switch t.Mechanism {
		case spf.All:
			end = t.Result
		case spf.PTR:
			r.add(Warning, "The SPF record of %s has ptr.", d.Name).because("It is slow, and many pass it over (RFC 7208 §5.5).").do(merged(d, text))
		}
	}
	switch {
	case end == spf.Pass:
		r.add(Failure, "The SPF record of %s lets everybody send in its name (+all).", d.Name).because("Large providers take it for the record of a spammer.").do(merged(d, text))
	case end == "" && record.Redirect == nil:
		r.add(Warning, "The SPF record of %s says nothing of everybody else.", d.Name).because("It should end with -all.").do(records.Record{Name: d.Name, Type: "TXT", Value: text + " -all"}.String())
	case end == spf.Neutral:
		r.add(Warning, "The SPF record of %s ends with ?all, which says nothing.", d.Name).because("It should end with -all.").do(merged(d, text))
	case end == spf.SoftFail:
		r.add(Note, "The SPF record of %s ends with ~all.", d.Name).because("-all is clearer, once all that send in its name are known.").do(merged(d, text))
	}
	if len(text) > spfOctets {
		r.add(Warning, "The SPF record of %s has %d octets; up to %d arrive everywhere.", d.Name, len(text), spfOctets).because("Longer ones need TCP, which some name servers do not have (RFC 7208 §3.4).")
	}
}

// merged is one record of what others say, without ptr and with -all at its end.
func merged(d Domain, texts ...string) string {
	words := []string{"v=spf1"}
	for _, text := range texts {
		for _, word := range strings.Fields(text)[1:] {
			bare := strings.ToLower(strings.TrimLeft(word, "+-~?"))
			if bare != "all" && bare != "ptr" && !strings.HasPrefix(bare, "ptr:") && !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
	}
	if len(words) == 1 {
		words = append(words, "mx")
	}
	return records.Record{Name: d.Name, Type: "TXT", Value: strings.Join(append(words, "-all"), " ")}.String()
}

// atMost is a level, or a warning for a domain that is kept elsewhere.
func (d Domain) atMost(l Level) Level {
	if d.Backup {
		return Warning
	}
	return l
}

// checkSender evaluates the record for one of our addresses.
func checkSender(ctx context.Context, w *World, d Domain, s source, text string, r *report) {
	result := w.spfOf(ctx, d, s.public)
	if result.Lookups > spfLookups*8/10 && result.Lookups <= spfLookups {
		r.about(d.Name+" SPF", Note, "The SPF record of %s costs %d look-ups of %d.", d.Name, result.Lookups, spfLookups).because("With one include that grows, it is beyond the limit, and fails everywhere.")
	}
	switch result.Status {
	case spf.Pass:
	case spf.TempError:
		r.about(s.String(), Unknown, "It could not be told whether %s may send mail of %s: %s.", s, d.Name, result.Problem)
	case spf.PermError:
		r.about(s.String(), Failure, "The SPF record of %s fails for %s: %s.", d.Name, s, result.Problem).because("Some servers refuse mail with it, the others do as if there were none.").link("https://www.rfc-editor.org/rfc/rfc7208#section-4.6.4")
	default:
		if d.Backup {
			r.about(s.String(), Note, "The SPF record of %s does not let its mail come from %s (%s).", d.Name, s, result.Status).because("That is right if none of its mail leaves by this server.")
			return
		}
		r.about(s.String(), Failure, "The SPF record of %s does not let its mail come from %s (%s).", d.Name, s, result.Status).because("Other servers refuse or distrust it.").
			do(records.Record{Name: d.Name, Type: "TXT", Value: with(text, s)}.String())
	}
}

// with is a record that lets one more address send.
func with(text string, s source) string {
	term := "ip4:" + s.String()
	if s.public.Is6() {
		term = "ip6:" + s.String()
	}
	version, rest, _ := strings.Cut(text, " ")
	return strings.TrimSpace(version + " " + term + " " + rest)
}

func hasBad(list []Finding) bool {
	for _, f := range list {
		if f.isBad() || f.Level == Unknown {
			return true
		}
	}
	return false
}

// checkNeverSends: a domain that never sends says so in three records (row 222).
func checkNeverSends(ctx context.Context, w *World, d Domain, r *report) {
	if !d.NeverSends {
		return
	}
	h := w.house(d)
	a := w.Resolver.LookupTXT(ctx, d.Name)
	if a.State() == lookup.TryAgain {
		r.untold("what "+d.Name+" says of mail in its name", a.Err())
		return
	}
	said := false
	for _, text := range a.Value() {
		said = said || strings.EqualFold(strings.TrimSpace(text), "v=spf1 -all")
	}
	if !said {
		r.add(Warning, "%s never sends mail, and does not say so.", d.Name).because("What is forged in its name passes.").do(h.SPF().String())
	}
	if p, told := policyOf(ctx, w, d.Name, r); told && p != "reject" {
		r.about(d.Name+" DMARC", Warning, "%s never sends mail, and its DMARC policy is %s.", d.Name, p).because("With p=reject, others refuse what is forged in its name.").do(h.DMARC().String())
	}
	if a := w.Resolver.MailHosts(ctx, d.Name); !d.Receives && a.State() == lookup.Found {
		r.about(d.Name+" MX", Note, "%s takes no mail here, and has no null MX.", d.Name).because("What is sent to it waits for days somewhere else.").do(records.Record{Name: d.Name, Type: "MX", Value: "0 ."}.String())
	}
	if len(r.list) == 0 {
		r.add(OK, "%s says that it never sends mail.", d.Name)
	}
}
