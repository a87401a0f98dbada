package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/base/conf"
	advice "facteur/internal/flow/report"
	"facteur/internal/mail/address"
	mail "facteur/internal/mail/report"
	"facteur/internal/store/report"
)

func (c *command) reportsCommand() *cobra.Command {
	cmd := group("reports", "What others report about our mail, and what to do about it",
		c.reportsOf("dmarc", "Show who sends mail in the names of our domains, and how it fares"),
		c.reportsOf("tls", "Show how others' connections to our mail hosts came to their TLS"),
		c.reportsOf("complaints", "Show whose mail people complain about"),
		c.reportsShow(), c.reportsRead(), c.reportsSend())
	return cmd
}

// reportsOf is a listing of one kind.
func (c *command) reportsOf(what, short string) *cobra.Command {
	since, doubtful := conf.Duration(30*24*time.Hour), false
	cmd := c.withJSON(&cobra.Command{Use: what + " [DOMAIN]", Short: short, Args: cobra.MaximumNArgs(1)})
	cmd.Flags().TextVar(&since, "since", since, "only what came within this `time`, such as 7d")
	cmd.Flags().BoolVar(&doubtful, "unverified", false, "what nobody vouches for (no DMARC pass), and nothing else")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := control.ReportQuery{What: what, Since: time.Now().Add(-since.Std()), Doubtful: doubtful}
		if len(args) > 0 {
			var err error
			if q.Domain, err = address.CanonicalDomain(args[0]); err != nil {
				return fmt.Errorf("%q is no domain: %w", args[0], err)
			}
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			r, err := o.Reports(ctx, q)
			if err != nil {
				return err
			}
			if err := c.showReports(what, r); err != nil || c.json || doubtful || r.Unverified == 0 {
				return err
			}
			_, err = fmt.Fprintf(c.out, "%d more that nobody vouches for are not shown: --unverified shows them.\n", r.Unverified)
			return err
		})
	}
	return cmd
}

func (c *command) showReports(what string, r control.Reports) error {
	switch what {
	case "tls":
		return c.showTLSSums(r.TLS)
	case "complaints":
		return c.showComplaints(r.Complaints)
	}
	return c.showSources(r.Sources)
}

// adviceOn is a source with its advice, for --json.
type adviceOn struct {
	report.Source
	Advice string `json:"advice"`
}

func (c *command) showSources(list []report.Source) error {
	if c.json {
		for _, s := range list {
			if err := printJSON(c, adviceOn{s, advice.Advice(s)}); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(c.out, "There are no DMARC reports. A domain gets them that has rua= in its record at _dmarc.DOMAIN; docs/REPORTS.md tells more.")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "DOMAIN\tSOURCE\tLETTERS\tPASSED\tDKIM\tSPF\tSTOPPED\tADVICE")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", printable(s.Domain), printable(sourceName(s)), s.Letters, s.Passed, s.DKIM, s.SPF,
			s.Rejected+s.Quarantined, printable(advice.Advice(s)))
	}
	return w.Flush()
}

// sourceName is "192.0.2.7 (mail.shop.example)".
func sourceName(s report.Source) string {
	switch {
	case !s.Address.IsValid():
		return "unknown"
	case s.Name != "":
		return s.Address.String() + " (" + s.Name + ")"
	}
	return s.Address.String()
}

func (c *command) showTLSSums(list []report.TLSSum) error {
	if c.json {
		return printJSON(c, list...)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(c.out, "There are no reports on TLS. A domain gets them that has a record at _smtp._tls.DOMAIN; docs/REPORTS.md tells more.")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "DOMAIN\tPOLICY\tGOOD\tFAILED\tADVICE")
	for _, t := range list {
		what := "in order"
		if t.Failure > 0 {
			what = ""
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", printable(t.Domain), printable(t.Type), t.Success, t.Failure, what)
		for _, f := range t.Failures {
			fmt.Fprintf(w, "\t\t\t%d\t%s\n", f.Sessions, printable(advice.TLSAdvice(f)))
		}
	}
	return w.Flush()
}

func (c *command) showComplaints(all []report.Complaint) error {
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.out, "Nobody has complained.")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "WHEN\tACCOUNT\tTYPE\tBY\tSOURCE\tMESSAGE\tKNOWN")
	for _, x := range all {
		account, by, source := x.Account, x.Author, ""
		if account == "" {
			account = "?"
		}
		if !x.Verified {
			by += " (unverified)"
		}
		if x.Source.IsValid() {
			source = x.Source.String()
		}
		message := x.Item
		if message == "" {
			message = x.MessageID
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Taken.Local().Format(time.DateTime), printable(account), printable(x.Type), printable(by), source, printable(message), printable(x.How))
	}
	return w.Flush()
}

func (c *command) reportsShow() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "show [ID|sent]",
		Short: "List the reports that came, show the rows of one, or list those that were sent",
		Args:  cobra.MaximumNArgs(1),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := control.ReportQuery{What: "received"}
		switch {
		case len(args) > 0 && args[0] == "sent":
			q.What = "sent"
		case len(args) > 0:
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return fmt.Errorf("%q is no report; expected the number of one, or \"sent\"", args[0])
			}
			q.What, q.ID = "rows", id
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			r, err := o.Reports(ctx, q)
			if err != nil {
				return err
			}
			return c.listReports(q.What, r)
		})
	}
	return cmd
}

func (c *command) listReports(what string, r control.Reports) error {
	switch what {
	case "sent":
		return list(c, r.Sent, "DAY KIND DOMAIN TO STATE NOTE", func(l report.Line) []any { return []any{l.Day, l.Kind, l.Domain, l.URI, l.Stage, l.Note} })
	case "rows":
		return printJSON(c, r.Rows...)
	}
	return list(c, r.Received, "ID KIND DOMAIN BY VERIFIED DAY TOTAL GOOD", func(x report.Received) []any {
		return []any{x.ID, x.Kind, x.Domain, x.Author, x.Verified, x.Begin.Format(time.DateOnly), x.Total, x.Good}
	})
}

func (c *command) reportsRead() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "read FILE...",
		Short: "Read reports from files: XML, JSON, gzip, zip, or letters that have them; \"-\" is standard input",
		Long: "Read reports from files: DMARC aggregate reports, TLS reports and complaints, packed or\n" +
			"not, or letters that have them attached. Nothing is kept. It ends with 0 when all could\n" +
			"be read, and with 1 when some could not.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var all mail.Found
			var failed error
			for _, name := range args {
				found, err := readReport(name)
				if err != nil {
					failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
					continue
				}
				all.Aggregates, all.TLS, all.Feedback = append(all.Aggregates, found.Aggregates...), append(all.TLS, found.TLS...), append(all.Feedback, found.Feedback...)
				for _, p := range found.Problems {
					all.Problems = append(all.Problems, name+": "+p)
				}
			}
			return errors.Join(c.showFound(&all), failed)
		},
	})
}

// maxReportFile is the largest file that is read, in bytes.
const maxReportFile = 64 << 20

func readReport(name string) (*mail.Found, error) {
	in := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxReportFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxReportFile {
		return nil, mail.ErrTooLarge
	}
	return mail.Read(data, mail.Limits{})
}

func (c *command) showFound(f *mail.Found) error {
	if c.json {
		return printJSON(c, f)
	}
	out := bufio.NewWriter(c.out)
	for _, a := range f.Aggregates {
		n, passed := a.Messages()
		fmt.Fprintf(out, "DMARC report %s of %s about %s, %s to %s: %d letters, %d passed; %s\n", printable(a.Reporter.ID), printable(a.Reporter.Org), printable(a.Published.Domain),
			a.Reporter.Begin.Format(time.DateTime), a.Reporter.End.Format(time.DateTime), n, passed, printable(policyText(a.Published)))
		for _, p := range a.Problems {
			fmt.Fprintln(out, "  odd: "+printable(p))
		}
	}
	for _, t := range f.TLS {
		n, failed := t.Sessions()
		fmt.Fprintf(out, "TLS report %s of %s, %s to %s: %d sessions, %d failed\n", printable(t.ID), printable(t.Organization),
			t.Range.Start.Format(time.DateTime), t.Range.End.Format(time.DateTime), n, failed)
	}
	for _, x := range f.Feedback {
		source := ""
		if x.Source.IsValid() {
			source = " from " + x.Source.String()
		}
		fmt.Fprintf(out, "Feedback (%s) about a message%s: Message-Id %s, recipients %s\n", printable(x.Type), source, printable(orNone(x.MessageID)), printable(orNone(strings.Join(x.Recipients, ", "))))
	}
	for _, p := range f.Problems {
		fmt.Fprintln(out, "not read: "+printable(p))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if sums := report.SumUp(f.Aggregates); len(sums) > 0 {
		if err := c.showSources(sums); err != nil {
			return err
		}
	}
	if len(f.TLS) > 0 {
		return c.showTLSSums(report.SumUpTLS(f.TLS))
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "not told"
	}
	return s
}

// policyText is the policy as its record has it, in short.
func policyText(p mail.Published) string {
	text := "p=" + p.P
	for _, tag := range [][2]string{{"sp", p.SP}, {"np", p.NP}, {"adkim", p.ADKIM}, {"aspf", p.ASPF}, {"t", p.Testing}, {"pct", p.Pct}} {
		if tag[1] != "" {
			text += " " + tag[0] + "=" + tag[1]
		}
	}
	return text
}

func (c *command) reportsSend() *cobra.Command {
	var now, preview bool
	cmd := c.withJSON(&cobra.Command{
		Use:   "send --now|--preview",
		Short: "Send the reports of the last days that are not sent yet, or tell what would be sent",
		Args:  cobra.NoArgs,
	})
	cmd.Flags().BoolVar(&now, "now", false, "send them, without waiting for the night")
	cmd.Flags().BoolVar(&preview, "preview", false, "send nothing, and tell what would be sent")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if now == preview {
			return errors.New("expected either --now or --preview")
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			sent, err := o.SendReports(ctx, control.SendReports{Preview: preview})
			if err != nil {
				return err
			}
			if len(sent) == 0 && !c.json {
				_, err := fmt.Fprintln(c.out, "There is nothing to send.")
				return err
			}
			return list(c, sent, "DAY KIND DOMAIN TO BYTES STATE NOTE", func(s advice.Sent) []any {
				return []any{s.Day, s.Kind, s.Domain, s.URI, s.Size, s.Stage, s.Note}
			})
		})
	}
	return cmd
}
