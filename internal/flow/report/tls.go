package report

import (
	"cmp"
	"context"
	"fmt"
	"time"

	mail "facteur/internal/mail/report"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/report"
	"facteur/internal/store/tlsreport"
)

// tlsReports sends the reports of a day on TLS.
func (r *round) tlsReports(ctx context.Context, day time.Time) error {
	if err := r.House.TLS.Write(ctx); err != nil {
		return err
	}
	all, err := r.House.TLS.Report(ctx, day)
	if err != nil {
		return err
	}
	for len(all) > 0 { // they are in the order of the domains
		n := 1
		for n < len(all) && all[n].Domain == all[0].Domain {
			n++
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := r.tlsReport(ctx, day, all[0].Domain, all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

func (r *round) tlsReport(ctx context.Context, day time.Time, domain string, policies []tlsreport.Policy) error {
	if r.settings.Never[domain] {
		return nil
	}
	to, later := r.tlsWishes(look(ctx), domain)
	if later {
		r.out = append(r.out, Sent{Kind: report.TLS, Day: day.Format(time.DateOnly), Domain: domain, Stage: report.Later, Note: "its record can't be looked up now"})
	}
	if len(to) == 0 || r.isEcho(ctx, day, domain, policies, to) {
		return nil
	}
	t := r.TLSReport(day, domain, policies)
	content, err := t.JSON()
	if err != nil {
		return err
	}
	return r.send(ctx, report.TLS, day, to, tlsPaper(t, domain, pack(content)))
}

// isEcho tells a report that would tell of nothing but the way of the one before: its
// letter made us fetch the domain's policy again, in vain (LOOP-013).
func (r *round) isEcho(ctx context.Context, day time.Time, domain string, policies []tlsreport.Policy, to []destination) bool {
	for _, p := range policies {
		for _, f := range p.Details {
			if f.Result != tlspolicy.STSFetchError && f.Result != tlspolicy.STSInvalid && f.Result != tlspolicy.STSWebPKIInvalid {
				return false
			}
		}
		if p.Success > 0 {
			return false
		}
	}
	for _, d := range to {
		p, err := r.Store.Progress(ctx, report.Sending{Kind: report.TLS, Day: day.AddDate(0, 0, -1), Domain: domain, URI: d.uri})
		if err == nil && p.Stage == report.Sent {
			return true
		}
	}
	return false
}

// TLSReport is the report about a day's connections to the mail hosts of a domain.
func (o *Office) TLSReport(day time.Time, domain string, policies []tlsreport.Policy) *mail.TLS {
	s := o.Settings()
	t := &mail.TLS{Organization: cmp.Or(s.Org, o.Hostname), Contact: s.From.String(), ID: o.reportID(day, domain),
		Range: mail.TLSRange{Start: day, End: day.Add(24*time.Hour - time.Second)}}
	for _, p := range policies {
		out := mail.TLSPolicy{Policy: mail.TLSPolicyFound{Type: string(p.Type), Lines: p.Lines, Domain: p.Domain, MX: p.MX}}
		out.Summary.Success.Set(p.Success)
		out.Summary.Failure.Set(p.Failure)
		for _, f := range p.Details {
			x := mail.TLSFailure{Result: string(f.Result), Sender: f.Sender, Host: f.Host, Receiver: f.Receiver, Reason: f.Reason}
			x.Sessions.Set(f.Sessions)
			out.Failures = append(out.Failures, x)
		}
		t.Policies = append(t.Policies, out)
	}
	return t
}

const tlsText = `This is a report (RFC 8460) about connections from here to the mail hosts of
%s.

Period: %s UTC
Sessions: %d, of which %d failed

Nobody reads answers to this message. To get no more reports, remove the
record at _smtp._tls.%s.
`

func tlsPaper(t *mail.TLS, domain string, content []byte) paper {
	all, failed := t.Sessions()
	return paper{tls: true, domain: domain, begin: t.Range.Start, end: t.Range.End, id: t.ID, suffix: "json", content: content,
		text: fmt.Sprintf(tlsText, domain, t.Range.Start.Format(time.DateOnly), all, failed, domain)}
}
