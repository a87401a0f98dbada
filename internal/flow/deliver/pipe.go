package deliver

import (
	"context"
	"io"
	"time"

	"facteur/internal/flow/transport"
	"facteur/internal/net/program"
	"facteur/internal/store/queue"
)

// pipe gives the message to the program of its transport: once for all recipients, or
// for each by himself where a field in front of the message names him.
func (w *worker) pipe(ctx context.Context, a *attempt) {
	t := a.choice.Transport
	p, err := program.New(settingsOf(t))
	if err != nil {
		// The admin can mend it: the mail waits.
		w.remote.conclude(ctx, a, a.all(ours("program can't be run"), "mail system configuration error: transport "+t.Name+": "+err.Error()))
		return
	}
	a.connected = time.Now()
	body, err := w.remote.clerk.queue.Body(ctx, a.item)
	if err != nil {
		w.remote.conclude(ctx, a, a.unreadable(err))
		return
	}
	var results []result
	for to := a.item.Recipients; len(to) > 0; {
		n := len(to)
		if p.OneByOne() {
			n = 1
		}
		results = append(results, pipeTo(ctx, p, a, to[:n], body)...)
		to = to[n:]
	}
	w.remote.conclude(ctx, a, results)
}

func settingsOf(t *transport.Transport) program.Settings {
	return program.Settings{Name: t.Name, Command: t.Command, User: t.User, Flags: t.Flags, NullSender: t.NullSender, Limit: t.TimeLimit}
}

// pipeTo runs the program once.
func pipeTo(ctx context.Context, p *program.Program, a *attempt, to []queue.Recipient, body queue.Body) []result {
	out := make([]result, len(to))
	r, err := body.Open()
	if err != nil {
		return a.only(to...).unreadable(err)
	}
	defer r.Close()
	o := p.Run(ctx, letterFor(a, to), io.Reader(r))
	for i := range out {
		out[i] = result{recipient: to[i], kind: judge(o.Reply), reply: o.Reply, text: o.Reply.Text(), relay: a.choice.Transport.Name}
	}
	return out
}

// letterFor is what a program may be told.
func letterFor(a *attempt, to []queue.Recipient) program.Letter {
	it := a.item
	l := program.Letter{Sender: it.Sender, NextHop: a.choice.NextHop, QueueID: it.ID.String(), Size: it.Size,
		ClientAddress: it.Origin.ClientAddr, ClientName: it.Origin.ClientName, ClientHelo: it.Origin.Helo, ClientProtocol: it.Origin.Protocol,
		Account: it.Origin.Account, Now: time.Now()}
	for _, r := range to {
		l.Recipients = append(l.Recipients, program.Recipient{Address: r.Address, Original: r.Original})
	}
	return l
}
