package intake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"facteur/internal/flow/filter"
	"facteur/internal/flow/route"
	"facteur/internal/flow/rule"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// Transaction is one message on its way in. It belongs to one goroutine.
type Transaction struct {
	desk  *Desk
	visit *Visit
	rules *Rules
	peer  Peer
	mail  smtp.Mail
	id    queue.ID

	recipients []recipient
	named      int            // how many of them the client named
	seen       map[string]int // index in recipients
	order      [][]int        // of each RCPT that was taken; only with PerRecipient
	led        []Led          // what RCPTs led to
	arrived    time.Time

	// What is kept: the spool has header and body until changed; what stands above them
	// comes at the end.
	spool       *queue.Spool
	header      message.Header
	bodyAt      int64 // where the body begins in the spool
	tlsOptional bool  // it says TLS-Required: No
	headCut     bool  // header is only the first headMax bytes of it
	received    bool
	messageID   string
	eightBit    bool           // the header has bytes above 127
	written     message.Header // as it came
	spam        bool           // rules or hooks say so

	meant []address.Address // each RCPT that was taken, after rewriting

	traps   []address.Address // those of them that no human has
	sprung  bool              // and that is remembered
	counted bool              // as one that a ban refused
	people  bool              // others were asked for, who are here or may be

	// Who sent it. See evidence.go.
	check   *filter.Case // of a stranger's letter; nil where nobody asks
	proven  bool         // the sender was judged at RCPT
	denied  *smtp.Reply  // and this is what came of it
	verdict filter.Verdict
	proof   []byte          // the fields that tell of it, at the top of header
	outcome *filter.Outcome // how its evidence adds up, and for whom; nil where nothing is scored
	asked   []int           // the recipients that its fates are for
	scored  []filter.Remark // what rules said before there was a letter
	weighed bool            // outcome is up to date

	// What rules and hooks want. See judge.go and edit.go.
	early   bool        // connect, helo and mail were judged
	refused *smtp.Reply // and this is what came of it
	wishes
	changed bool // what the spool has is not what is to be kept
	body    *queue.Spool

	lessons func() // teaches what is reported in it

	// Our signature: what is read for it, and what came of it. See sign.go.
	letter    sign.Letter
	signature sign.Signature
}

// wishes are what is to be done to the message.
type wishes struct {
	hold     string // why it is held; "" if not
	discard  bool
	diverted bool // redirected: the client's recipients get nothing
	pending  []Edit
	above    []byte // fields above ours
}

// recipient is a forward-path that was accepted.
type recipient struct {
	original  address.Address
	forwarder address.Address // the address of ours that it is forwarded from
	returned  address.Address // whom an address of SRS leads to, on another machine
	beside    address.Address // the address of ours that leads here, and to others elsewhere
	dest      route.Destination
	free      int64 // the largest letter that its mailbox has room for, in bytes; if the client named it
	notify    smtp.Notify
	orcpt     smtp.Original
	// added by a rule or a hook; removed by one.
	added, removed bool
	// lesson: it is an address that letters are reported to.
	lesson bool
	// refused at the end, where each has its own answer.
	refused *smtp.Reply
	// fate is what the filter does with his copy; nil where it does nothing.
	fate *filter.Fate
	// diverted is the mailbox that gets it where it would be put into quarantine; nil: the
	// quarantine has it.
	diverted *route.Destination
}

// gets tells that a recipient gets the message.
func (r *recipient) gets() bool { return !r.removed && r.refused == nil }

// isWord tells what stands for nobody: that an address led to several, and that somebody
// is not there. It keeps no message that reaches nobody else.
func (r *recipient) isWord() bool {
	return r.dest.Kind == route.Expanded || r.dest.Kind == route.Refused
}

// key is equal for recipients that are the same place: a mailbox of ours, whatever
// the spelling, a foreign address, whose local part only its host understands, or what
// else an alias leads to.
func (r *recipient) key() string {
	switch r.dest.Kind {
	case route.Mailbox:
		return r.dest.Account.Address
	case route.Remote:
		return r.dest.Address.String()
	}
	return r.dest.String() + " " + r.dest.Address.Key()
}

// ID is the queue ID that the message will have.
func (t *Transaction) ID() queue.ID { return t.id }

// Recipients is how many the client named and were accepted. A repeated address
// counts once.
func (t *Transaction) Recipients() int { return t.named }

// only is the one recipient that the client named; nil where there are several.
func (t *Transaction) only() (one *recipient) {
	for i := range t.recipients {
		r := &t.recipients[i]
		if r.added {
			continue
		}
		if one != nil && one.original != r.original {
			return nil
		}
		one = r
	}
	return one
}

// addresses are those accepted until now, as they were named.
func (t *Transaction) addresses() []address.Address {
	out := make([]address.Address, 0, len(t.recipients))
	for i := range t.recipients {
		r := &t.recipients[i]
		again := len(out) > 0 && out[len(out)-1] == r.original // of those that an alias leads to
		if r.gets() && !again {
			out = append(out, r.original)
		}
	}
	return out
}

// Recipient takes or refuses a forward-path; nil means accepted.
func (t *Transaction) Recipient(ctx context.Context, c smtp.Rcpt) *smtp.Reply {
	return t.rules.soften(t.recipient(ctx, c))
}

func (t *Transaction) recipient(ctx context.Context, c smtp.Rcpt) *smtp.Reply {
	if t.named >= t.rules.Recipients {
		return smtp.NewReply(452, "4.5.3", "Error: too many recipients")
	}
	if reply := cmp.Or(t.decoyed(c.To), t.shunned(ctx, c.To)); reply != nil {
		return reply
	}
	if reply := t.judgeEarly(ctx); reply != nil {
		return reply
	}
	to, reply := t.meantBy(ctx, c.To)
	if reply != nil {
		return reply
	}
	if is, reply := t.isTrapped(c.To, to.Address); is {
		return reply
	}
	people, reply := t.recipientAllowed(ctx, c.To, to)
	t.noteRecipient(to.Address, reply)
	if reply != nil {
		return reply
	}
	if t.areSeen(people) {
		t.again(people)
		return nil // one copy is enough
	}
	if reply := t.mayTake(ctx, people); reply != nil {
		return reply
	}
	if reply := t.mayName(); reply != nil {
		return reply
	}
	if reply := t.comesTooEarly(c.To, people); reply != nil {
		return reply
	}
	if reply := t.senderProven(ctx); reply != nil {
		return reply
	}
	if t.rules.asks(rule.Rcpt) {
		if reply := t.judgeRecipient(ctx, &c); reply != nil {
			return reply
		}
	}
	t.meant = append(t.meant, to.Address)
	t.add(people, c)
	return nil
}

// expandedMax bounds the recipients of one message, with all that aliases lead to.
const expandedMax = 10_000

// mayTake refuses what there is no room for, here or on the way on.
func (t *Transaction) mayTake(ctx context.Context, people []recipient) *smtp.Reply {
	if len(t.recipients) > 0 && len(t.recipients)+len(people) > max(expandedMax, t.rules.Recipients) {
		return smtp.NewReply(452, "4.5.3", "Error: too many recipients")
	}
	for i := range people {
		if reply := t.forwardsMore(&people[i]); reply != nil {
			return reply
		}
	}
	return t.haveRoom(ctx, people)
}

// areSeen tells that the client named all whom an address leads to already.
func (t *Transaction) areSeen(people []recipient) bool {
	return !slices.ContainsFunc(people, func(r recipient) bool { return !t.isNamed(&r) })
}

// isNamed tells that the client named a recipient already; who is there only because a
// rule or a hook wants it has not been asked about his room, and has no wishes.
func (t *Transaction) isNamed(r *recipient) bool {
	i, there := t.seen[r.key()]
	return there && !t.recipients[i].added
}

// add takes whom a RCPT leads to. Who is there already gets no second copy.
func (t *Transaction) add(people []recipient, c smtp.Rcpt) {
	t.named++
	wishes, places := wishesOf(people, c), make([]int, 0, len(people))
	for _, r := range people {
		r.notify, r.orcpt, r.removed = wishes.notify, wishes.orcpt, t.diverted
		i, there := t.seen[r.key()]
		switch {
		case !there:
			i = len(t.recipients)
			t.note(&r)
			t.recipients = append(t.recipients, r)
		case t.recipients[i].added: // until now only a rule or a hook named him
			r.removed = t.recipients[i].removed
			t.recipients[i] = r
		}
		places = append(places, i)
	}
	t.took(places)
	if wishes.expanded {
		t.recipients = append(t.recipients, recipient{original: c.To, notify: smtp.NotifySuccess, orcpt: c.Original, removed: t.diverted,
			dest: route.Destination{Kind: route.Expanded, Address: c.To}})
	}
	t.noteLed(c.To, people)
}

// again notes that the client named somebody who is there already.
func (t *Transaction) again(people []recipient) {
	places := make([]int, len(people))
	for i := range people {
		places[i] = t.seen[people[i].key()]
	}
	t.took(places)
}

// note remembers the place of the recipient that is appended next.
func (t *Transaction) note(r *recipient) {
	if t.seen == nil {
		t.seen = make(map[string]int)
	}
	t.seen[r.key()] = len(t.recipients)
}

// took notes which recipients a RCPT was about, for Answers.
func (t *Transaction) took(places []int) {
	if t.peer.PerRecipient {
		t.order = append(t.order, places)
	}
}

// judgeEarly judges what is asked before RCPT, once, and gives the same answer to
// each recipient.
func (t *Transaction) judgeEarly(ctx context.Context) *smtp.Reply {
	if t.refused != nil {
		return t.refused
	}
	if t.early || !t.rules.DelayReject {
		return nil
	}
	for stage := rule.Connect; stage <= rule.Mail; stage++ {
		if t.rules.asks(stage) {
			if t.refused = t.judge(ctx, stage, nil); t.refused != nil {
				return t.refused
			}
		}
	}
	t.early = true
	t.refused = t.visit.heed(ctx, t)
	return t.refused
}

// judgeRecipient judges one recipient. Of what is wanted for the sake of one who is
// refused nothing stays: the others are not to get it.
func (t *Transaction) judgeRecipient(ctx context.Context, c *smtp.Rcpt) *smtp.Reply {
	before, people, tags := t.wishes, t.recipients, t.visit.tags()
	reply := t.judge(ctx, rule.Rcpt, c)
	if reply == nil {
		return nil
	}
	for i := len(people); i < len(t.recipients); i++ {
		delete(t.seen, t.recipients[i].key())
	}
	t.wishes, t.recipients = before, people
	t.visit.setTags(tags)
	return reply
}

// Data is asked before the peer is told to send the message; a reply refuses it.
func (t *Transaction) Data(ctx context.Context) *smtp.Reply {
	t.addressed()
	if !t.rules.asks(rule.Data) {
		return nil
	}
	return t.rules.soften(t.judge(ctx, rule.Data, nil))
}

// Commit hands the message to the queue. When the reply is nil, message and
// envelope are on stable storage; or a rule wants it forgotten, or nobody is left
// to get it.
func (t *Transaction) Commit(ctx context.Context) (queue.ID, *smtp.Reply) {
	defer t.leave()
	item := t.item()
	if t.discard || len(item.Recipients) == 0 {
		t.spool.Discard()
		t.remember()
		if t.discard || !t.allRefused() {
			t.desk.events.Emit(Discarded{ID: t.id, Peer: t.peer, Sender: t.mail.Sender, To: t.addresses(), MessageID: t.messageID})
		}
		return t.id, nil
	}
	shown := t.show(item)
	err := t.desk.queue.Commit(ctx, queue.Draft{Item: item, Spool: t.spool, Announce: func() { t.announce(item) }})
	shown(err == nil)
	if err != nil {
		return 0, t.notKept("committing", err)
	}
	t.visit.messages++
	t.countForwarded()
	t.teach()
	t.tellQuarantine(item)
	t.remember()
	if t.check != nil {
		t.check.Learn(t.verdict, t.isSpam())
	}
	t.noStranger()
	return t.id, nil
}

// show shows the message to the Reader, if there is one.
func (t *Transaction) show(item *queue.Item) (then func(committed bool)) {
	if t.desk.read != nil {
		then = t.desk.read(item, t.authorship(), t.spool, t.spool.Size())
	}
	if then == nil {
		return func(bool) {}
	}
	return then
}

// allRefused tells that each recipient is told that he gets nothing (see Answers):
// then nobody has thrown anything away.
func (t *Transaction) allRefused() bool {
	return !slices.ContainsFunc(t.recipients, func(r recipient) bool { return r.refused == nil })
}

func (t *Transaction) item() *queue.Item {
	it := &queue.Item{
		ID: t.id, Arrived: t.arrived, Sender: t.mail.Sender,
		Origin: queue.Origin{
			// What a trusted server hands over by LMTP has its sender from anybody.
			Account: t.peer.Account, Local: t.peer.Trusted && !t.peer.PerRecipient || t.peer.Device != nil,
			ClientAddr: addressText(t.peer.Addr), ClientName: t.peer.Name,
			Helo: t.peer.Helo, Protocol: t.peer.Protocol,
			Authentic: t.isAuthentic(), Returned: t.peer.returns(),
		},
		Body8Bit: t.mail.Body == "8BITMIME" || t.eightBit, Binary: t.mail.Body == "BINARYMIME", UTF8: t.mail.UTF8,
		Ret: t.mail.Ret, EnvelopeID: t.mail.EnvID, RequireTLS: t.mail.RequireTLS, TLSOptional: t.tlsOptional,
		Release: t.release(), By: t.by(),
		Recipients: make([]queue.Recipient, 0, len(t.recipients)),
	}
	if t.peer.insider() {
		it.Priority = t.mail.Priority // a stranger's letter is not more urgent than another's
	}
	for i := range t.recipients {
		if r := &t.recipients[i]; r.gets() && !t.isStale(r) {
			it.Recipients = append(it.Recipients, t.entry(r))
		}
	}
	return it
}

// isStale tells the word that an address led to several, none of whom gets anything now.
func (t *Transaction) isStale(word *recipient) bool {
	return word.dest.Kind == route.Expanded && !slices.ContainsFunc(t.recipients, func(r recipient) bool {
		return r.gets() && !r.isWord() && r.original == word.original
	})
}

// entry is a recipient as the queue has it.
func (t *Transaction) entry(r *recipient) queue.Recipient {
	q := queue.Recipient{Address: r.dest.Address, Original: r.original, Forwarder: r.forwarder, Route: r.dest.String(), Notify: r.notify, ORcpt: r.orcpt,
		Sender: r.dest.Sender, Owned: r.dest.Owned}
	if t.verdict.Disposition == filter.Junk && r.dest.Kind == route.Mailbox {
		q.Folder = junkFolder
	}
	t.fated(&q, r)
	if t.hold != "" {
		q.State, q.LastReply = queue.Held, t.hold
	}
	return q
}

// release is when a message that is to be kept back may go (RFC 4865).
func (t *Transaction) release() time.Time {
	if t.mail.Hold.For > 0 {
		return t.arrived.Add(t.mail.Hold.For)
	}
	return t.mail.Hold.Until
}

func (t *Transaction) by() queue.Deadline {
	b := t.mail.By
	if !b.Given {
		return queue.Deadline{}
	}
	return queue.Deadline{At: t.arrived.Add(b.Within), Return: b.Return, Trace: b.Trace}
}

// Answers are, after Commit, one for each RCPT that was taken, in their order,
// repetitions included: nil where the message is kept for the recipient (RFC 2033
// §4.2).
func (t *Transaction) Answers() []*smtp.Reply {
	if !t.peer.PerRecipient {
		return make([]*smtp.Reply, t.Recipients())
	}
	out := make([]*smtp.Reply, len(t.order))
	for i, places := range t.order {
		out[i] = t.rules.soften(t.recipients[places[0]].refused) // see spare
	}
	return out
}

// Abort forgets the transaction. It may be called at any time, more than once.
func (t *Transaction) Abort() {
	if t.spool != nil {
		t.spool.Discard()
	}
	t.leave()
}

// leave lets go of what was only for the way here.
func (t *Transaction) leave() {
	if t.body != nil {
		t.body.Discard()
		t.body = nil
	}
	t.check.Close()
	for _, a := range t.visit.advisers {
		a.Reset()
	}
}

func (t *Transaction) String() string {
	return fmt.Sprintf("%s from <%s>", t.id, t.mail.Sender)
}
