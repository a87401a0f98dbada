package intake

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/record"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// What is remembered of strangers, and who is refused for what he did before.

// Remember has the desk ask a Keeper whom to refuse, and tell him what strangers do. It
// comes before the first message.
func (d *Desk) Remember(k *record.Keeper) { d.keeper = k }

// Trapped has somebody read the letters that come to spam traps alone. It comes before the
// first message.
func (d *Desk) Trapped(read func(ctx context.Context, letter io.ReaderAt, size int64)) {
	d.trapped = read
}

// turnedAway is what a client is told who is banned for long: nothing else is heard of him,
// but where he might turn out to be one of our users.
func (v *Visit) turnedAway(ctx context.Context, p *Peer) *smtp.Reply {
	if !p.isStranger() || p.MayLogIn || p.Decoy {
		return nil
	}
	refusal := v.desk.keeper.Refuses(ctx, p.Addr)
	if refusal == nil || !refusal.AtOnce || refusal.Test {
		return nil
	}
	v.desk.keeper.TurnedAway(refusal, record.Met{})
	return &smtp.Reply{Code: 421, Enhanced: "4.7.0", Lines: refusal.Reply().Lines}
}

// shunned refuses a recipient to a banned client. The postmaster is there for him.
func (t *Transaction) shunned(ctx context.Context, to address.Address) *smtp.Reply {
	if !t.peer.isStranger() || isOffice(to) {
		return nil
	}
	refusal := t.desk.keeper.Refuses(ctx, t.peer.Addr)
	if refusal == nil {
		return nil
	}
	if !t.counted {
		t.counted = true
		t.desk.keeper.TurnedAway(refusal, record.Met{Item: t.id.String(), Session: t.peer.Session, Sender: t.mail.Sender.String(), Recipient: to.String(),
			Client: event.Client{Name: t.peer.Name, Addr: t.peer.Addr}, Helo: t.peer.Helo})
	}
	if refusal.Test {
		return nil
	}
	return refusal.Reply()
}

// decoyed refuses a recipient at a listener that is only there for those who ignore MX
// records, and remembers the client, once for each connection.
func (t *Transaction) decoyed(to address.Address) *smtp.Reply {
	if !t.peer.Decoy {
		return nil
	}
	if !t.visit.decoyed && t.peer.isStranger() {
		t.visit.decoyed = true
		t.desk.keeper.Decoyed(t.peer.Addr)
	}
	return smtp.NewReply(451, "4.3.2", fmt.Sprintf("<%s>: this host takes no mail now; the MX records of the domain name those that do", to))
}

// isTrapped takes a recipient that no human has, from a stranger. For others nobody is
// there.
func (t *Transaction) isTrapped(named, meant address.Address) (is bool, reply *smtp.Reply) {
	if !t.desk.keeper.IsTrap(meant) {
		return false, nil
	}
	if !t.peer.isStranger() {
		return true, smtp.NewReply(550, "5.1.1", fmt.Sprintf("<%s>: Recipient address rejected: nobody has this address", named))
	}
	if !slices.Contains(t.traps, meant) {
		t.traps = append(t.traps, meant)
		t.named++
	}
	return true, nil
}

// trapScore is what a letter counts for that goes to a spam trap beside real people.
const trapScore = 3

// suspect has a letter count as suspicious that goes to a spam trap, too.
func (t *Transaction) suspect() {
	if len(t.traps) > 0 {
		t.check.Add(filter.Remark{Check: filter.Trapped.Check, Name: filter.Trapped.Name, Score: trapScore,
			Sentence: fmt.Sprintf("It goes to %s, which no human has.", event.Addresses(trapNames(t.traps)))})
	}
}

// isForTrapsAlone tells that no human was to get the letter, not even later: who was told
// to come again for some recipients sends for the others now.
func (t *Transaction) isForTrapsAlone() bool { return len(t.traps) > 0 && !t.people }

// caught remembers a letter that went to spam traps, whatever becomes of it.
func (t *Transaction) caught(ctx context.Context) {
	if len(t.traps) == 0 || t.sprung {
		return
	}
	t.sprung = true
	var e *filter.Evidence
	if t.check != nil {
		e = t.check.Evidence()
	}
	alone := t.isForTrapsAlone()
	t.desk.keeper.Caught(e, t.peer.Addr, alone)
	t.desk.events.Emit(record.Caught{Item: t.id.String(), Session: t.peer.Session, MessageID: t.messageID, Sender: t.mail.Sender.String(),
		Client: event.Client{Name: t.peer.Name, Addr: t.peer.Addr}, Helo: t.peer.Helo, Traps: trapNames(t.traps), Alone: alone})
	if alone && t.desk.trapped != nil {
		t.desk.trapped(ctx, t.spool, t.spool.Size())
	}
}

func trapNames(traps []address.Address) (out []string) {
	for _, a := range traps {
		out = append(out, a.String())
	}
	return out
}

// isOffice tells the addresses that each domain should have (RFC 2142 §4, §5), and that
// everybody may write to without knowing anybody.
func isOffice(to address.Address) bool {
	return strings.EqualFold(to.Local, "postmaster") || strings.EqualFold(to.Local, "abuse")
}

// noteRecipient remembers whether a stranger asked for somebody who is here.
func (t *Transaction) noteRecipient(to address.Address, reply *smtp.Reply) {
	if reply == nil || reply.Code < 500 {
		t.people = true
	}
	switch {
	case !t.peer.isStranger():
	case reply == nil:
		t.desk.keeper.Met(t.peer.Addr)
	case reply.Code == 550 && reply.Enhanced == "5.1.1" && !isOffice(to):
		t.desk.keeper.Unknown(t.peer.Addr, to)
	}
}

// remember has the Keeper hear what became of a letter, once that is sure.
func (t *Transaction) remember() {
	if t.check != nil && t.outcome != nil && len(t.outcome.Fates) > 0 {
		t.desk.keeper.Weighed(t.check.Evidence(), t.outcome)
	}
}
