package demo

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/smtpc"
)

// letter is one of those that wait for a visitor.
type letter struct{ from, to, subject, text string }

var letters = []letter{
	{"postmaster@accept.example", "alice@example.org", "Welcome to facteur",
		"This letter came in over SMTP, was kept in the queue, and was put into your\nMaildir. All of it is in the log: look for its queue ID.\n"},
	{"jean@accept.example", "alice@example.org", "=?utf-8?q?L'=C3=A9t=C3=A9_=C3=A0_la_poste?=",
		"Bonjour Alice,\n\nle facteur passe deux fois par jour maintenant.\n\nJean\n"},
	{"jean@accept.example", "bob@example.org", "Lunch?", "At noon, as always?\n"},
	{"orders@accept.example", "carol@example.net", "Your order 4711", "It is on its way.\n"},
}

// seed posts the letters through the front door.
func seed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := smtpc.Dial(ctx, smtpc.Target{Host: "localhost", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: smtpPort},
		smtpc.Config{Hello: "mail.accept.example"})
	if err != nil {
		return err
	}
	defer conn.Quit(ctx)
	for i, l := range letters {
		if err := l.send(ctx, conn, i); err != nil {
			return err
		}
	}
	return nil
}

func (l letter) send(ctx context.Context, conn *smtpc.Conn, n int) error {
	from, err := address.Parse(l.from)
	if err != nil {
		return err
	}
	to, err := address.Parse(l.to)
	if err != nil {
		return err
	}
	body := fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\nDate: %s\nMessage-Id: <demo.%d@accept.example>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n%s",
		l.from, l.to, l.subject, time.Now().Format(time.RFC1123Z), n, l.text)
	env := smtpc.Envelope{Sender: from, Recipients: []smtp.Rcpt{{To: to}}, Body8Bit: true}
	for _, r := range conn.Send(ctx, env, strings.NewReader(body)).Recipients {
		if !r.Delivered() {
			return fmt.Errorf("seeding the letter to %s: %w", l.to, r.Reply)
		}
	}
	return nil
}
