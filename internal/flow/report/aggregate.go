package report

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"facteur/internal/base/lookup"
	mail "facteur/internal/mail/report"
	"facteur/internal/store/report"
)

// aggregate sends the report of a day about one domain.
func (r *round) aggregate(ctx context.Context, day time.Time, domain string) error {
	a, err := r.Aggregate(ctx, day, domain)
	if err != nil || len(a.Records) == 0 {
		return err
	}
	if !r.preview && r.Router.Hosts(ctx, domain).State() == lookup.Found {
		// What we saw of those who use our own names we need not be told by mail.
		if _, err := r.Store.TakeAggregate(ctx, a, report.Author{Domain: r.Hostname, Verified: true}, r.settings.KeepDays); err != nil {
			return err
		}
	}
	to, later := r.wishes(look(ctx), domain)
	if later {
		r.out = append(r.out, Sent{Kind: report.DMARC, Day: day.Format(time.DateOnly), Domain: domain, Stage: report.Later, Note: "its record can't be looked up now"})
		return nil
	}
	return r.send(ctx, report.DMARC, day, to, r.aggregatePaper(a))
}

// Aggregate is the report about a domain's mail of a day, as it would be sent.
func (o *Office) Aggregate(ctx context.Context, day time.Time, domain string) (*mail.Aggregate, error) {
	published, records, err := o.Store.SeenOf(ctx, day, domain)
	if err != nil {
		return nil, err
	}
	s := o.Settings()
	return &mail.Aggregate{
		Reporter: mail.Reporter{Org: cmp.Or(s.Org, o.Hostname), Email: s.From.String(), Contact: s.Contact, ID: o.reportID(day, domain),
			Begin: day, End: day.Add(24*time.Hour - time.Second), Generator: "facteur"},
		Published: published, Records: records,
	}, nil
}

// reportID is the same whenever the report of a day is written (RFC 9990 §2.6.1).
func (o *Office) reportID(day time.Time, domain string) string {
	return fmt.Sprintf("%s.%s@%s", day.Format("20060102"), domain, o.Hostname)
}

const aggregateText = `This is an aggregate report (RFC 9990) about mail that was received here with
%s in its From field, or a name below it.

Period: %s UTC
Messages: %d, of which %d passed DMARC

Nobody reads answers to this message. To get no more reports, remove the
rua tag from the record at _dmarc.%s.
`

func (r *round) aggregatePaper(a *mail.Aggregate) paper {
	all, passed := a.Messages()
	return paper{domain: a.Published.Domain, begin: a.Reporter.Begin, end: a.Reporter.End, id: a.Reporter.ID, suffix: "xml", content: pack(a.XML()),
		text: fmt.Sprintf(aggregateText, a.Published.Domain, a.Reporter.Begin.Format(time.DateOnly), all, passed, a.Published.Domain)}
}
