package deliver

import (
	"context"
	"io"
	"time"

	"facteur/internal/flow/sign"
	"facteur/internal/flow/transport"
	"facteur/internal/net/smtpc"
	"facteur/internal/store/queue"
)

// signAgain gives a letter of ours a fresh signature where its bytes are not those that
// were signed: addresses in its header were replaced, or it was made fit for a host that
// takes less. What is a stranger's stays as it is, broken signatures and all (AUT-021).
func (m *remote) signAgain(ctx context.Context, a *attempt, env smtpc.Envelope, text io.ReadSeeker, edited bool, now time.Time) (smtpc.Envelope, io.ReadSeeker, error) {
	if m.signer == nil || !isOwn(a.item) || a.item.Origin.Returned {
		return env, text, nil
	}
	text, converted := env.Converted(text)
	if !edited && !converted {
		return env, text, nil
	}
	var barred sign.Barred
	if m.barred != nil {
		barred = m.barred(ctx, a.item.Origin.Account)
	}
	g, err := m.signer.Resign(text, barred, now)
	if err != nil {
		return env, text, err
	}
	m.tellSigned(a.item.ID, g, now)
	if g.Head == nil {
		return env, text, nil
	}
	env.Size += int64(len(g.Head)) - g.Instead
	return env, &reheaded{head: g.Head, instead: g.Instead, body: text}, nil
}

func (m *remote) tellSigned(id queue.ID, g sign.Resigned, now time.Time) {
	if len(g.By) > 0 && g.Why == "" {
		m.clerk.events.Emit(sign.Signed{ID: id, By: g.By, Again: true})
		return
	}
	m.signer.Tell(id, g.Signature, now)
}

// isOwn tells a letter that our own users, machines or the server itself wrote.
func isOwn(it *queue.Item) bool { return it.Origin.Account != "" || it.Origin.Local }

// seal puts our ARC seal on a letter of a stranger that goes on from an address here. It
// covers what goes over the wire, and is made last.
func (m *remote) seal(a *attempt, env smtpc.Envelope, text io.ReadSeeker, now time.Time) (smtpc.Envelope, io.ReadSeeker, error) {
	from := a.item.Recipients[0].Forwarder
	if m.signer == nil || from.IsNull() || isOwn(a.item) || a.choice.Transport.Kind != transport.SMTP {
		return env, text, nil
	}
	text, _ = env.Converted(text)
	x, err := m.signer.Seal(text, from, now)
	if err != nil {
		return env, text, err
	}
	if x.By != "" || x.Why != "" {
		m.clerk.events.Emit(sign.SealedOn{ID: a.item.ID, Forwarder: from, Sealed: sign.Sealed{By: x.By, Chain: x.Chain, Why: x.Why}})
	}
	if x.Head == nil {
		return env, text, nil
	}
	env.Size += int64(len(x.Head)) - x.Instead
	return env, &reheaded{head: x.Head, instead: x.Instead, body: text}, nil
}
