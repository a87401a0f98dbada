package app

import (
	"context"
	"fmt"
	"io"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"facteur/internal/app/control"
	mail "facteur/internal/mail/report"
	"facteur/internal/store/db"
	"facteur/internal/store/queue"
)

// bring brings a letter for alice@example.org, as a stranger does; the answer to the
// end of it comes back.
func bring(t *testing.T, a *App, from string) error {
	t.Helper()
	c, err := smtp.Dial(a.settings.Load().config.Listen[0].Address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := io.WriteCloser(nil)
	for _, step := range []func() error{
		func() error { return c.Hello("mx.sender.example") },
		func() error { return c.Mail("bounces@sender.example") },
		func() error { return c.Rcpt("alice@example.org") },
		func() (err error) { w, err = c.Data(); return err },
		func() (err error) {
			_, err = fmt.Fprintf(w, "From: %s\r\nSubject: x\r\n\r\nHello.\r\n", from)
			return err
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return w.Close()
}

// The whole way in a real house: letters come through the door, are counted, and a day
// later the report about them is in the queue, as an admin sees it before and after.
func TestReportsOfAHouse(t *testing.T) {
	t.Parallel()
	a := houseOf(t, "trusted_networks = []", `
		_dmarc.sender.example. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@sender.example,mailto:x@victim.example"
		sender.example.        TXT "v=spf1 ip4:127.0.0.1 -all"
		_dmarc.bank.example.   TXT "v=DMARC1; p=reject; rua=mailto:dmarc@bank.example"
	`)
	ctx := context.Background()
	if err := a.stores.AddAccount(ctx, control.NewAccount{Address: "alice@example.org", Password: "a long secret"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := bring(t, a, "a@sender.example"); err != nil {
			t.Error(err)
		}
	}
	if err := bring(t, a, "ceo@bank.example"); err == nil || !strings.Contains(err.Error(), "5.7.1") {
		t.Errorf("a forged letter: %v", err)
	}
	if err := a.reported.Write(ctx); err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	for _, table := range []string{"report_seen", "report_published"} {
		if err := a.state.Write(ctx, func(tx *db.Tx) error { _, err := tx.Exec("UPDATE "+table+" SET day = ?", yesterday); return err }); err != nil {
			t.Fatal(err)
		}
	}
	for _, preview := range []bool{true, false} {
		sent, err := a.stores.SendReports(ctx, control.SendReports{Preview: preview})
		if err != nil || len(sent) != 3 || sent[0].Domain != "bank.example" || sent[1].Stage != "sent" || sent[2].Stage != "left out" {
			t.Errorf("preview %v: %+v, %v", preview, sent, err)
		}
	}
	rows := make(map[string]string)
	err := a.queue.Select(ctx, queue.Filter{Recipient: "dmarc@bank.example"}, func(it *queue.Item) bool {
		_, body, err := a.queue.Show(ctx, it.ID)
		if err != nil {
			t.Fatal(err)
		}
		r, err := body.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		text, _ := io.ReadAll(r)
		found, err := mail.Read(text, mail.Limits{})
		if err != nil || len(found.Aggregates) != 1 {
			t.Fatalf("%+v, %v", found, err)
		}
		for _, x := range found.Aggregates[0].Records {
			rows[x.HeaderFrom] = fmt.Sprintf("%s %d %s dkim=%s spf=%s <%s>", x.Source, x.Count, x.Disposition, x.DKIM, x.SPF, x.EnvelopeFrom)
		}
		return true
	})
	if want := "127.0.0.1 1 reject dkim=fail spf=fail <sender.example>"; err != nil || rows["bank.example"] != want {
		t.Errorf("%q, %v; want %q", rows, err, want)
	}
	list, err := a.stores.Reports(ctx, control.ReportQuery{What: "sent"})
	if err != nil || len(list.Sent) != 3 {
		t.Errorf("%+v, %v", list, err)
	}
}
