package report

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	mail "facteur/internal/mail/report"
	"facteur/internal/mail/spf"
	"facteur/internal/store/report"
)

// Letter is a letter of a stranger, and what was found out and done.
type Letter struct {
	Client netip.Addr
	Sender address.Address
	// To are those whom it is for, as far as they are known.
	To    []address.Address
	SPF   *spf.Result // of MAIL FROM; nil where nobody asked
	DKIM  []dkim.Result
	DMARC dmarc.Result
	// Applied is what was done for the sake of DMARC: "none", "quarantine", "reject".
	// Override is why not more, in the words of RFC 9990.
	Applied, Override string
}

// Emit implements event.Sink: of all that happens it counts the letters of strangers.
func (o *Office) Emit(e event.Event) {
	j, is := e.(filter.Judged)
	if !is || j.Verdict.Disposition == filter.Defer { // who is put off comes again
		return
	}
	ev, v := j.Evidence, j.Verdict
	o.Collect(Letter{Client: ev.Client.Addr, Sender: ev.Sender, To: j.Recipients, SPF: ev.SPF(), DKIM: ev.DKIM, DMARC: ev.DMARC,
		Applied: v.Applied(), Override: v.Override})
}

// Collect counts a letter, if its domain wants to hear of it.
func (o *Office) Collect(l Letter) {
	d := &l.DMARC
	if d.Record == nil || len(d.Record.RUA) == 0 || d.Domain == "" || d.Status == dmarc.TempError || !l.Client.IsValid() {
		return
	}
	s := o.Settings()
	if !s.Aggregate || s.Never[d.Domain] || s.forReports(l.To) {
		return
	}
	o.Store.See(report.Seen{Published: published(d), Record: record(&l)})
}

// forReports tells a letter that goes to nobody but those who take reports in: it may be
// one, and of reports nobody gets reports (LOOP-013).
func (s Settings) forReports(to []address.Address) bool {
	return len(to) > 0 && s.Takes != nil && !slices.ContainsFunc(to, func(a address.Address) bool { return !s.Takes(a) })
}

// published is the policy as a report has it. Tags that are absent have their defaults
// (RFC 9990 §2.1).
func published(d *dmarc.Result) mail.Published {
	r := d.Record
	p := cmp.Or(r.P, dmarc.PolicyNone)
	sp := cmp.Or(r.SP, p)
	return mail.Published{Domain: d.Domain, Discovery: "treewalk", P: string(p), SP: string(sp), NP: string(cmp.Or(r.NP, sp)),
		FO: strings.Join(r.FO, ":"), ADKIM: mode(r.StrictDKIM), ASPF: mode(r.StrictSPF), Testing: yes(r.Testing)}
}

func mode(strict bool) string {
	if strict {
		return "s"
	}
	return "r"
}

func yes(b bool) string {
	if b {
		return "y"
	}
	return "n"
}

func verdict(pass bool) string {
	if pass {
		return "pass"
	}
	return "fail"
}

// record is the letter as a report has it.
func record(l *Letter) mail.Record {
	d := &l.DMARC
	r := mail.Record{Source: l.Client.Unmap(), Disposition: disposition(l), DKIM: verdict(d.DKIMAligned), SPF: verdict(d.SPFAligned),
		HeaderFrom: d.Asked, EnvelopeFrom: l.Sender.Domain, Signatures: signatures(l)}
	if why := reason(l); why.Type != "" {
		r.Reasons = []mail.Reason{why}
	}
	if l.SPF != nil && l.SPF.Domain != "" {
		r.SPFChecks = []mail.SPFCheck{{Domain: l.SPF.Domain, Scope: "mfrom", Result: string(l.SPF.Status)}}
	}
	return r
}

// reason is why less was done than the record asks for (RFC 9990 §2.1).
func reason(l *Letter) mail.Reason {
	d := &l.DMARC
	switch {
	case l.Override != "":
		return mail.Reason{Type: l.Override}
	case d.Status == dmarc.Pass || l.Applied == string(d.Published()) || l.Applied == "" && d.Published() == dmarc.PolicyNone:
		return mail.Reason{}
	case d.Record.Testing:
		return mail.Reason{Type: "policy_test_mode"}
	}
	return mail.Reason{Type: "local_policy"}
}

// disposition is "pass" where a letter passed a policy that would have had it (RFC 9990).
func disposition(l *Letter) string {
	if l.DMARC.Status == dmarc.Pass && l.DMARC.Policy != dmarc.PolicyNone {
		return "pass"
	}
	return cmp.Or(l.Applied, "none")
}

// toldSignatures is how many signatures of a letter are told: more would only make more
// different rows.
const toldSignatures = 4

// signatures are those of the letter, the best first (RFC 9990 §2.1).
func signatures(l *Letter) (out []mail.Signature) {
	for _, d := range l.DKIM {
		out = append(out, mail.Signature{Domain: d.Domain, Selector: d.Selector, Result: string(d.Status)})
	}
	slices.SortStableFunc(out, func(a, b mail.Signature) int { return cmp.Compare(rank(a, l.DMARC.Asked), rank(b, l.DMARC.Asked)) })
	return out[:min(len(out), toldSignatures)]
}

func rank(s mail.Signature, from string) int {
	switch {
	case s.Result == "pass" && s.Domain == from:
		return 0
	case s.Result == "pass":
		return 1
	}
	return 2
}
