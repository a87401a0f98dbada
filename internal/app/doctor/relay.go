package doctor

import (
	"context"
	"errors"
	"strings"
)

// victim is at a domain that is kept for examples, and takes no mail (RFC 2606).
const victim, victimLocal, victimDomain = "relay-test@example.com", "relay-test", "example.com"

// relayTries are the envelopes with which spammers have tried for thirty years to send
// through the servers of others. None reaches its end: there is no DATA.
func relayTries(own, host, addr string) []Try {
	const stranger = "spam@example.net"
	return []Try{
		{stranger, victim},
		{"", victim},
		{"postmaster@" + own, victim},
		{"spam@" + host, victim},
		{"spam@[" + addr + "]", victim},
		{stranger, victimLocal + "%" + victimDomain + "@" + own},
		{stranger, victimLocal + "%" + victimDomain + "@" + host},
		{stranger, `"` + victim + `"@` + own},
		{stranger, victim + "@" + own},
		{stranger, "@" + own + ":" + victim},
		{stranger, "@" + host + ",@" + own + ":" + victim},
		{stranger, victimDomain + "!" + victimLocal},
		{stranger, victimDomain + "!" + victimLocal + "@" + own},
		{stranger, `"` + victim + `"`},
		{stranger, `"` + victimLocal + "%" + victimDomain + `"`},
		{stranger, victimLocal + "%" + victimDomain},
		{stranger, victimLocal + "%" + victimDomain + "@[" + addr + "]"},
		{stranger, victim + "@[" + addr + "]"},
		{stranger, victim + "."},
		{stranger, victimLocal + "@[203.0.113.25]"},
		{stranger, victimLocal + "@" + own + "." + victimDomain},
		{stranger, victimLocal + "@" + own + "@" + victimDomain},
	}
}

// checkRelay has a real dialogue with our own door, as strangers would (REL-001 to REL-006).
func checkRelay(ctx context.Context, w *World, r *report) {
	if w.Knock == nil {
		return
	}
	addr := "192.0.2.1"
	if sources := w.from(ctx, r); len(sources) > 0 && sources[0].public.Is4() {
		addr = sources[0].String()
	}
	tries := relayTries(w.ownDomain(), w.Config.Hostname, addr)
	replies, err := w.Knock(ctx, tries)
	if errors.Is(err, ErrClosed) {
		r.add(Note, "Whether strangers can send through this server is not tried: it does not run.").do("facteur serve")
		return
	}
	if err != nil {
		r.untold("whether strangers can send through this server", err)
		return
	}
	told, open := 0, []string{}
	for i, reply := range replies {
		if reply.Code >= 500 || reply.Code/100 == 2 {
			told++
		}
		if reply.Code/100 == 2 && leaks(ctx, w, tries[i].To) {
			open = append(open, "; MAIL FROM:<"+tries[i].From+"> RCPT TO:<"+tries[i].To+"> → "+reply.Text)
		}
	}
	switch {
	case len(open) > 0:
		r.add(Failure, "This server is an open relay: strangers can send to strangers through it.").
			because("Spammers find it within hours, and every block list a day later. Look at trusted_networks, at listeners behind proxies, at aliases.").
			do(open...).link("https://www.rfc-editor.org/rfc/rfc5321#section-3.6.2")
	case told < len(tries):
		r.add(Unknown, "It could not be told whether strangers can send through this server: of %d tries, %d were put off.", len(tries), len(tries)-told)
	default:
		r.add(OK, "Strangers can't send through this server: %d tries were refused.", len(tries))
	}
}

// ownDomain is one that mail is received for.
func (w *World) ownDomain() string {
	for _, d := range w.Domains {
		if d.Receives {
			return d.Name
		}
	}
	return w.Config.Hostname
}

// leaks tells whether what was accepted goes on to the victim. What stays here, with a
// catch-all, does not.
func leaks(ctx context.Context, w *World, to string) bool {
	if w.Leads == nil {
		return true
	}
	ends, err := w.Leads(ctx, to)
	if err != nil {
		return true // it was accepted, and it is not known why
	}
	for _, end := range ends {
		if strings.Contains(strings.ToLower(end), victimDomain) || strings.Contains(end, "203.0.113.25") {
			return true
		}
	}
	return len(ends) == 0
}

// roles are those that everybody must have, and should have (RFC 5321 §4.5.1, RFC 2142).
var roles = [...]string{"postmaster", "abuse"}

// checkRoles: somebody reads postmaster and abuse, and a stranger who writes to them is
// let in.
func checkRoles(ctx context.Context, w *World, d Domain, r *report) {
	if !d.Receives || d.Backup {
		return
	}
	var asked []Try
	for _, role := range roles {
		if who := role + "@" + d.Name; isRead(ctx, w, who, r) {
			asked = append(asked, Try{To: who})
		}
	}
	if w.Knock != nil && len(asked) > 0 {
		letIn(ctx, w, asked, r)
	}
	if len(r.list) == 0 {
		r.add(OK, "postmaster@%s and abuse@%s are read.", d.Name, d.Name)
	}
}

// isRead: the address leads to somebody.
func isRead(ctx context.Context, w *World, who string, r *report) bool {
	if w.Leads == nil {
		return true
	}
	_, err := w.Leads(ctx, who)
	if refused := (*Refused)(nil); err != nil && !errors.As(err, &refused) {
		r.about(who, Unknown, "It could not be told who reads %s: %v.", who, err)
	} else if err != nil {
		r.about(who, Warning, "Nobody reads %s: %v.", who, err).
			because("Others write there when something is wrong with mail from here, and block lists ask for it.").do("facteur alias add " + who + " you@" + w.ownDomain())
	}
	return err == nil
}

// letIn: who writes to these addresses is not refused.
func letIn(ctx context.Context, w *World, asked []Try, r *report) {
	replies, err := w.Knock(ctx, asked)
	if errors.Is(err, ErrClosed) {
		return
	}
	for i, t := range asked {
		switch {
		case err != nil:
			r.about(t.To, Unknown, "It could not be told whether mail for %s is taken: %v.", t.To, err)
		case replies[i].Code/100 == 2:
		case replies[i].Code >= 500:
			r.about(t.To, Warning, "A stranger who writes to %s is refused: %s", t.To, replies[i].Text).because("What refuses him should have an exception for it.")
		default:
			r.about(t.To, Unknown, "It could not be told whether mail for %s is taken: %s", t.To, orSilence(replies[i].Text))
		}
	}
}

func orSilence(text string) string {
	if text == "" {
		return "there was no answer."
	}
	return text
}
