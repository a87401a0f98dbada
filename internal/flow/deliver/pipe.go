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
// once for each where a field in front of the message names him.
func (w *worker) pipe(ctx context.Context, a *attempt) {
	t := a.choice.Transport
	p, err := program.New(w.remote.settingsOf(t))
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
	if p.OneByOne() && len(a.item.Recipients) > 1 {
		w.pipeEach(ctx, p, a, body)
		return
	}
	w.remote.conclude(ctx, a, pipeTo(ctx, p, a, a.item.Recipients, body))
}

// pipeEach runs the program for one after the other, and settles each at once: a crash
// gives no second copy to those who were served, and whom a person holds or deletes
// meanwhile is not tried. Those who failed share a notice.
func (w *worker) pipeEach(ctx context.Context, p *program.Program, a *attempt, body queue.Body) {
	if a.round == nil {
		a.round = &round{clerk: w.remote.clerk, ctx: w.remote.ctx, item: a.item, open: len(a.item.Recipients)}
	}
	for to := a.item.Recipients; len(to) > 0; to = to[1:] {
		a.item = a.only(to...).item // whoever ends this attempt has these left
		if ctx.Err() != nil {
			w.remote.giveBack([]*attempt{a})
			return
		}
		one := a.only(to[0])
		if !begin(w.remote.clerk.queue, one, w.remote.desk.done) {
			continue
		}
		one.begun, one.connected = time.Now(), time.Now()
		if !w.remote.conclude(ctx, one, pipeTo(ctx, p, one, one.item.Recipients, body)) {
			return
		}
	}
}

func (m *remote) settingsOf(t *transport.Transport) program.Settings {
	return program.Settings{Name: t.Name, Command: t.Command, User: t.User, Flags: t.Flags, NullSender: t.NullSender, Limit: t.TimeLimit, Strays: &m.strays}
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
