package deliver

import (
	"context"
	"time"

	"facteur/internal/mail/smtp"
	"facteur/internal/net/smtpc"
	"facteur/internal/store/queue"
)

// send hands the message over in one transaction. The error is about our own copy of
// it, and nobody got the message.
func (w *worker) send(ctx context.Context, a *attempt, s site) ([]result, error) {
	if reply, text := w.connect(ctx, a, s); reply != nil {
		return a.all(reply, text), nil
	}
	body, err := w.remote.clerk.queue.Body(ctx, a.item)
	if err != nil {
		return nil, err
	}
	r, err := body.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if looped, err := a.loops(r); err != nil || looped != nil {
		return looped, err
	}
	now := time.Now()
	leaving, err := w.remote.outbound().departs(ctx, a, r, now)
	if err != nil {
		return a.notNow(err), nil
	}
	env := envelope(a.item, now)
	text := leaving.apply(&env, r)
	leaving.tell(w.remote.clerk.events, a)
	if env, err = w.conn.Fit(env, text); err != nil {
		return nil, err
	}
	if env, text, err = w.remote.signAgain(ctx, a, env, text, leaving.edited, now); err != nil {
		return nil, err
	}
	if env, text, err = w.remote.seal(a, env, text, now); err != nil {
		return nil, err
	}
	sent := w.conn.Send(ctx, env, text)
	if sent.Stale {
		// The peer gave up a connection that we had kept: that says nothing about
		// this message. The same attempt goes on over a new one.
		w.conn.Close()
		return w.send(ctx, a, s)
	}
	return w.results(sent, a.item.Recipients), nil
}

func envelope(it *queue.Item, now time.Time) smtpc.Envelope {
	e := smtpc.Envelope{Sender: it.Sender, Size: it.Size, Body8Bit: it.Body8Bit, UTF8: it.UTF8, Binary: it.Binary,
		Ret: it.Ret, EnvelopeID: it.EnvelopeID, Priority: it.Priority, RequireTLS: it.RequireTLS,
		Recipients: make([]smtp.Rcpt, len(it.Recipients))}
	if !it.By.At.IsZero() {
		e.By = smtp.DeliverBy{Given: true, Within: it.By.At.Sub(now), Return: it.By.Return, Trace: it.By.Trace}
	}
	for i, r := range it.Recipients {
		e.Recipients[i] = smtp.Rcpt{To: r.Address, Notify: r.Notify, Original: r.ORcpt}
	}
	return e
}

// results are the replies as outcomes, in the words of Postfix's log.
func (w *worker) results(sent smtpc.Results, to []queue.Recipient) []result {
	out, how := make([]result, len(to)), travelled(w.conn)
	for i, r := range sent.Recipients {
		out[i] = result{recipient: to[i], kind: queue.Deferred, reply: r.Reply, relay: w.conn.Peer(), host: w.conn.Host(), text: said(w.conn.Peer(), r),
			travelled: how, turn: w.conn.Messages(), passedOn: w.conn.Extensions().DSN}
		switch {
		case r.Delivered():
			out[i].kind = queue.Delivered
		case r.Reply.Permanent():
			out[i].kind = queue.Failed
		}
		if r.Err != nil {
			out[i].host = "" // our words, not theirs
		}
	}
	return out
}
