package intake

import (
	"bytes"
	"context"
	"io"
	"slices"

	"facteur/internal/flow/filter"
	"facteur/internal/flow/route"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
)

// junkFolder is the special use of the mailbox for letters that may be forged.
const junkFolder = `\Junk`

// examined opens the case of a letter; nil where nothing is to be found out: our own users
// and their machines are known, and what another server hands over by LMTP came to it from
// elsewhere.
func (t *Transaction) examined(ctx context.Context) *filter.Case {
	if t.rules.Filter == nil || !t.peer.isStranger() {
		return nil
	}
	l := t.peer.letter()
	l.ID, l.Sender = t.id.String(), t.mail.Sender
	return t.rules.Filter.Open(ctx, t.visit.stranger, l)
}

// isStranger tells a peer of whom it is to be found out what he brings.
func (p *Peer) isStranger() bool {
	return !p.insider() && !p.PerRecipient && !p.Submission && p.Addr.IsValid()
}

// letter is what is known of a peer's letters before there is one.
func (p *Peer) letter() filter.Letter {
	l := filter.Letter{Session: p.Session, Client: filter.Client{Addr: p.Addr, Name: p.Name, Helo: p.Helo}, Service: p.Service,
		Encrypted: p.TLS != nil, Door: make([]string, len(p.Remarks)), Returned: p.returns()}
	if p.Server.IsValid() {
		l.Listener = p.Server.String()
	}
	for i, r := range p.Remarks {
		l.Door[i] = string(r)
	}
	return l
}

// meet begins to find out about a stranger, before his first word.
func (v *Visit) meet(ctx context.Context, rules *Rules, p *Peer) {
	if p.isStranger() {
		v.stranger = rules.Filter.Meet(ctx, p.letter())
	}
}

// addressed tells the filter whom the letter is for, while it comes.
func (t *Transaction) addressed() {
	if t.check == nil {
		return
	}
	to := make([]filter.Recipient, 0, len(t.recipients))
	for i := range t.recipients {
		if r := &t.recipients[i]; r.gets() && !r.isWord() {
			to = append(to, filter.Recipient{Address: r.original, Account: r.account()})
		}
	}
	t.check.Addressed(to)
}

// account is whose mailbox it is; "" where there is none.
func (r *recipient) account() string {
	if r.dest.Kind != route.Mailbox {
		return ""
	}
	return r.dest.Account.Address
}

// senderProven refuses what the admin has refused for SPF. The DNS is asked here only
// where its word may matter at RCPT or DATA; else at the end, with the rest.
func (t *Transaction) senderProven(ctx context.Context) *smtp.Reply {
	if t.check == nil || t.proven {
		return t.denied
	}
	t.proven = true
	if !t.check.Refuses() && !t.rules.Access.Has(rule.Rcpt) && !t.rules.Access.Has(rule.Data) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, judgement)
	defer cancel()
	t.check.Sender(ctx)
	v := t.check.SenderVerdict()
	if t.denied = v.Reply; t.denied != nil {
		t.tellVerdict(v)
	}
	return t.denied
}

// witness is who has to see the body as it comes: whoever verifies signatures, or makes
// ours; nil is nobody.
func (t *Transaction) witness() io.Writer {
	if t.check == nil {
		return t.hash()
	}
	return t.check.Read(t.written, t.headCut)
}

// proveLetter finds out who sent the letter, now that it is here.
func (t *Transaction) proveLetter(ctx context.Context) *smtp.Reply {
	if t.check == nil || t.discard {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, judgement)
	defer cancel()
	t.check.Holds(t.asItCame())
	t.verdict = t.check.Judge(ctx)
	t.tellVerdict(t.verdict)
	if t.verdict.Reply != nil {
		if t.verdict.Reply.Permanent() {
			t.desk.keeper.Disowned(t.check.Evidence())
		}
		return t.verdict.Reply
	}
	to := ""
	if one := t.only(); one != nil {
		to = one.original.String()
	}
	fields := t.rules.Filter.Rules().Fields(t.check.Evidence(), t.verdict, to)
	fields = append(fields, t.rules.Filter.Rules().ScannedFields(t.check.Remarks())...)
	for _, r := range t.scored {
		t.check.Add(r)
	}
	t.suspect()
	t.addUp(ctx)
	t.present(fields)
	return nil
}

// asItCame is the letter as the client sent it, and how many bytes it has.
func (t *Transaction) asItCame() (io.ReaderAt, int64) {
	return filter.Joined{Header: t.written, Body: t.spool, At: t.bodyAt}, int64(len(t.written)) + t.bodySize()
}

func (t *Transaction) tellVerdict(v filter.Verdict) {
	t.desk.events.Emit(filter.Judged{ID: t.id, Session: t.peer.Session, MessageID: t.messageID, Recipients: t.originals(), Evidence: t.check.Evidence(), Verdict: v})
}

// originals are the recipients as the client named them.
func (t *Transaction) originals() []address.Address {
	out := make([]address.Address, len(t.recipients))
	for i := range t.recipients {
		out[i] = t.recipients[i].original
	}
	return out
}

// isAuthentic tells that the sender proved that he is the sender, and that he still is: a
// hook may have put another in his place.
func (t *Transaction) isAuthentic() bool {
	if t.check == nil {
		return false
	}
	e := t.check.Evidence()
	return e.Sender == t.mail.Sender && e.Authentic()
}

// authorship is what DMARC says of the letter; nil where nobody asked.
func (t *Transaction) authorship() *dmarc.Result {
	if t.check == nil {
		return nil
	}
	return &t.check.Evidence().DMARC
}

// lift takes the fields that tell who sent the letter off its header again: they go above
// Received (RFC 7208 §9.1). What a hook has made of one of them stays as the hook wants it.
func (t *Transaction) lift() (proof []byte) {
	if bytes.HasPrefix(t.header, t.proof) { // nobody touched them
		t.header = t.header[len(t.proof):]
		return t.proof
	}
	for f := range message.Header(t.proof).Fields() {
		field := t.proof[f.Start:f.End]
		if at := bytes.Index(t.header, field); at == 0 || at > 0 && t.header[at-1] == '\n' {
			t.header = slices.Concat(t.header[:at], t.header[at+len(field):])
			proof = append(proof, field...)
		}
	}
	return proof
}

// disbelieve takes fields off the header that claim to be our word about who sent it. A
// content filter of ours gives back what we wrote (XFORWARD says that it is one).
func (t *Transaction) disbelieve() {
	if t.rules.Filter != nil && !t.peer.returns() {
		t.header = t.rules.Filter.Rules().Strip(t.header)
	}
	if t.check != nil {
		t.header = t.check.Doubted(t.header)
	}
}

// appendAuthenticated appends the field that tells who logged in.
func (t *Transaction) appendAuthenticated(b []byte) []byte {
	if t.rules.Filter == nil || t.peer.Account == "" {
		return b
	}
	return append(b, t.rules.Filter.Rules().Authenticated(t.peer.Account)...)
}

// tellEvidence fills in the facts about who sent it.
func (t *Transaction) tellEvidence(f *rule.Facts) {
	t.tellScore(f)
	f.SPF, f.SPFHelo, f.IPRev, f.ARC, f.DMARC, f.Policy, f.Verdict = "", "", "", "", "", "", ""
	f.DKIM = f.DKIM[:0]
	if t.check == nil {
		return
	}
	e := t.check.Evidence()
	if r := e.SPF(); r != nil {
		f.SPF = string(r.Status)
	}
	if e.SPFHelo != nil {
		f.SPFHelo = string(e.SPFHelo.Status)
	}
	f.IPRev, f.DMARC, f.Policy = e.IPRev.Status, string(e.DMARC.Status), string(e.DMARC.Policy)
	f.Verdict = string(t.verdict.Disposition)
	if e.ARC.Status != "none" {
		f.ARC = string(e.ARC.Status)
	}
	for i := range e.DKIM {
		if d := &e.DKIM[i]; d.Status == dkim.Pass && !slices.Contains(f.DKIM, d.Domain) {
			f.DKIM = append(f.DKIM, d.Domain)
		}
	}
}
