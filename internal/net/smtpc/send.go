package smtpc

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"facteur/internal/mail/smtp"
)

// window is how many commands are sent before their replies are read. It keeps
// commands and replies well within the buffers of the sockets, so that both
// sides can not wait for each other (RFC 2920 §3.1).
const window = 64

// Send hands over one message. body is read to its end only when the peer has
// taken a recipient and asks for it, except for a short message that goes by BDAT:
// that is read first. A bare CR or LF in text becomes CRLF. When ctx ends, so does
// the connection: give it the deadline of a shutdown, not of a message, for which
// Timeouts are there.
//
// Afterwards see Usable for whether the connection takes another one.
func (c *Conn) Send(ctx context.Context, env Envelope, body io.Reader) Results {
	t := &transaction{c: c, env: env, results: make([]Result, len(env.Recipients))}
	if refused := c.obstacle(&env); refused != nil {
		t.settleAll(*refused)
		return Results{Recipients: t.results}
	}
	if c.messages > 0 && !c.Usable() {
		t.settleAll(deferred(StageMail, c.peer, errIdle))
		return Results{Recipients: t.results, Stale: true}
	}
	if ctx.Done() != nil {
		defer c.closeWhenDone(ctx)()
	}
	c.clock = newClock(c.cfg.Timeouts, env.Size)
	t.run(env.converted(body))
	c.clock = clock{}
	stale := t.again || t.stale && c.messages > 0
	c.messages++
	return Results{Recipients: t.results, Stale: stale}
}

// obstacle is why a message can't be sent on this connection.
func (c *Conn) obstacle(env *Envelope) *Result {
	if env.RequireTLS && !c.Verified() {
		return impossible(StageMail, ErrNeedsTLS, 550, "5.7.30", "Message must travel under TLS, and this host has not proved its name (REQUIRETLS)")
	}
	return env.obstacle(&c.ext)
}

var errIdle = errors.New("peer gave up the idle connection")

// transaction is one message on its way.
type transaction struct {
	c       *Conn
	env     Envelope
	results []Result // Reply nil: not settled

	at      Stage
	refused bool // MAIL was
	ready   bool // the peer has said 354
	chunked bool // it goes by BDAT
	sent    bool // something of it was
	void    bool // the message came when no recipient had been taken
	unsure  bool // the yes to the message may be one to a recipient
	stale   bool // the peer was gone before it said anything
	again   bool // the peer can not take it in this way, but in another
}

// command is one that awaits a reply.
type command struct {
	stage Stage
	n     int    // of the recipient
	chunk []byte // of StageEnd: the whole message
}

// run sends the envelope, then the message, and settles every recipient.
func (t *transaction) run(body io.Reader) {
	source := &sourceReader{r: body}
	t.chunked = t.c.ext.Chunking
	err := t.converse(source)
	if t.again || t.sent && err != nil && !t.stale {
		// Whatever it was, the next attempt goes by DATA.
		t.again = t.c.cfg.Memory.blame(t.c.cfg.place, badChunking) && t.again
	}
	if errors.Is(err, ErrProtocol) {
		t.distrust(err)
	}
}

func (t *transaction) converse(source *sourceReader) error {
	if t.oneGo() {
		done, err := t.atOnce(source)
		switch {
		case done && err == nil && t.c.broken == nil && t.unsure:
			return t.makeSure()
		case done && err == nil && t.c.broken == nil && t.void:
			return t.reset() // MAIL still stands
		case done:
			return err
		}
	}
	if err := t.envelope(t.commands()); err != nil {
		return err
	}
	switch {
	case t.c.broken != nil:
		return nil
	case t.ready:
		return t.message(source)
	case t.chunked && t.anyOpen():
		return t.chunks(source)
	}
	return t.reset()
}

// commands are MAIL, RCPT for each recipient, and DATA where the message goes by it.
func (t *transaction) commands() []command {
	list := make([]command, 1, len(t.env.Recipients)+2)
	list[0].stage = StageMail
	for i, to := range t.env.Recipients {
		if !speakable(to.To) {
			t.results[i] = *impossible(StageRecipient, ErrAddress, 553, "5.1.3", "Address can not be written in a command")
			continue
		}
		list = append(list, command{stage: StageRecipient, n: i})
	}
	if t.chunked {
		return list
	}
	return append(list, command{stage: StageData})
}

// write puts a command into what goes out next.
func (t *transaction) write(cmd command) {
	w := t.c.w
	switch cmd.stage {
	case StageMail:
		w.Write(t.env.mail(w.AvailableBuffer(), &t.c.ext))
	case StageRecipient:
		w.Write(t.env.rcpt(w.AvailableBuffer(), cmd.n, &t.c.ext))
	case StageData:
		w.WriteString("DATA\r\n")
	case StageEnd:
		w.Write(smtp.Chunk{Size: int64(len(cmd.chunk)), Last: true}.AppendTo(w.AvailableBuffer()))
		w.Write(cmd.chunk)
	}
}

// envelope sends commands, in groups to a peer with PIPELINING and singly to
// another, and stops where going on has no sense.
func (t *transaction) envelope(list []command) error {
	size := 1
	if t.c.ext.Pipelining {
		size = window
	}
	for group := range slices.Chunk(list, size) {
		if t.refused || group[0].stage == StageData && !t.anyOpen() {
			return nil
		}
		if err := t.exchange(group); err != nil || t.c.broken != nil {
			return err
		}
	}
	return nil
}

// exchange sends a group of commands and reads their replies.
func (t *transaction) exchange(group []command) error {
	// Send has just looked whether a kept connection is quiet.
	if looked := group[0].stage == StageMail && t.c.messages > 0; !looked && t.c.spoke() {
		return t.lost(group[0].stage, t.c.violated("it spoke before it was asked"))
	}
	for _, cmd := range group {
		t.write(cmd)
	}
	if err := t.c.flush(); err != nil {
		return t.lost(group[0].stage, err)
	}
	for _, cmd := range group {
		t.at = cmd.stage
		reply, err := t.c.reply(cmd.stage)
		if err != nil {
			return t.lost(cmd.stage, err)
		}
		if err := t.take(cmd, reply); err != nil {
			return err
		}
		if closing(reply) {
			t.settleAll(Result{Stage: cmd.stage, Reply: reply})
			return nil
		}
	}
	return nil
}

// take notes the reply to a command.
func (t *transaction) take(cmd command, reply *smtp.Reply) error {
	switch {
	case cmd.stage == StageEnd:
		return t.conclude(reply)
	case negative(reply):
		t.refusal(cmd, reply)
	case cmd.stage == StageData && intermediate(reply):
		t.ready = true
	case cmd.stage == StageData || !positive(reply):
		return t.c.violated("reply %d to %s", reply.Code, cmd.stage)
	}
	return nil
}

// refusal notes a reply of 4yz or 5yz.
func (t *transaction) refusal(cmd command, reply *smtp.Reply) {
	switch cmd.stage {
	case StageMail:
		t.refused = true
		t.stale = closing(reply)
		t.settleAll(Result{Stage: StageMail, Reply: reply})
	case StageRecipient:
		t.settle(cmd.n, Result{Stage: StageRecipient, Reply: t.tooMany(cmd.n, reply)})
	default:
		t.settleAll(Result{Stage: StageData, Reply: reply})
	}
}

// tooMany reads 552 as 452 where it says "too many recipients", as RFC 5321
// §4.5.3.1.10 wants: so it does without an enhanced code behind others that were
// taken, and with 5.5.3 anywhere.
func (t *transaction) tooMany(n int, reply *smtp.Reply) *smtp.Reply {
	others := slices.ContainsFunc(t.results[:n], func(r Result) bool { return r.Reply == nil })
	if reply.Code != 552 || reply.Enhanced != "5.5.3" && (reply.Enhanced != "" || !others) {
		return reply
	}
	soft := *reply
	soft.Code = 452
	if soft.Enhanced != "" {
		soft.Enhanced = "4.5.3"
	}
	return &soft
}

// lost settles those that are still open when the connection has broken.
func (t *transaction) lost(stage Stage, err error) error {
	t.stale = stage == StageMail && !errors.Is(err, ErrProtocol) && !timedOut(err)
	t.settleAll(deferred(stage, t.c.peer, err))
	return err
}

// distrust defers everybody: one of the replies may have been another's.
func (t *transaction) distrust(err error) {
	t.stale = false
	for i, r := range t.results {
		if !errors.Is(r.Err, ErrAddress) {
			t.results[i] = deferred(t.at, t.c.peer, err)
		}
	}
}

// reset takes back a transaction that came to nothing. Its reply is also proof
// that there was one reply to each command: if one was left over, it is not 2yz.
func (t *transaction) reset() error {
	t.at = StageReset
	reply, err := t.c.command(StageReset, "RSET")
	switch {
	case err != nil && !errors.Is(err, ErrProtocol):
		return nil // many hang up on those they refuse
	case err != nil:
		return err
	case !positive(reply) && !closing(reply):
		return t.c.violated("reply %d to RSET", reply.Code)
	}
	return nil
}

// makeSure looks whether the yes to the message was the last that the peer had to say:
// if not, the reply to RSET is the one to the message. Whether the peer keeps count is
// not known even then, so that it gets no more in this way.
func (t *transaction) makeSure() error {
	if err := t.reset(); err != nil {
		return err
	}
	t.c.cfg.Memory.blame(t.c.cfg.place, badChunking)
	if t.c.broken == nil {
		t.c.broken = errCodes
	}
	return nil
}

var errCodes = errors.New("peer promises enhanced codes and gives none")

// anyOpen tells whether a recipient is not settled, that is, accepted so far.
func (t *transaction) anyOpen() bool {
	return slices.ContainsFunc(t.results, func(r Result) bool { return r.Reply == nil })
}

func (t *transaction) settle(n int, r Result) {
	if t.results[n].Reply == nil {
		t.results[n] = r
	}
}

// settleAll settles all that are not settled yet.
func (t *transaction) settleAll(r Result) {
	for n := range t.results {
		t.settle(n, r)
	}
}

// verdict reads the reply to the end of the message, and settles by it. Of LMTP it is
// one for each recipient that was taken, in their order (RFC 2033 §4.2).
func (t *transaction) verdict() error {
	t.at = StageEnd
	if !t.c.cfg.LMTP {
		return t.final(t.settleAll)
	}
	for n := range t.results {
		if t.results[n].Reply != nil {
			continue
		}
		if err := t.final(func(r Result) { t.settle(n, r) }); err != nil {
			return err
		}
	}
	return nil
}

// final reads one reply to the end of the message.
func (t *transaction) final(settle func(Result)) error {
	reply, err := t.c.reply(StageEnd)
	switch {
	case err != nil:
		return t.lost(StageEnd, err)
	case closing(reply):
		settle = t.settleAll
	}
	return t.judge(reply, settle)
}

// conclude settles everybody by the reply to a message that went out with its
// envelope. A yes to an address (RFC 3463 §3.2) is not about the message: there was
// one reply too many before it. One without the code that was promised can't be told
// from that.
func (t *transaction) conclude(reply *smtp.Reply) error {
	t.void = !t.anyOpen()
	t.unsure = positive(reply) && reply.Enhanced == "" && t.c.messages == 0
	if strings.HasPrefix(reply.Enhanced, "2.1.") {
		return t.c.violated("reply %d %s to the message", reply.Code, reply.Enhanced)
	}
	return t.judge(reply, t.settleAll)
}

func (t *transaction) judge(reply *smtp.Reply, settle func(Result)) error {
	switch {
	case intermediate(reply):
		return t.c.violated("reply %d to the end of the data", reply.Code)
	case t.chunked && t.anyOpen() && unknownCommand(reply):
		t.noChunks(reply)
		return nil
	}
	settle(Result{Stage: StageEnd, Reply: reply})
	return nil
}

// sourceReader remembers an error of the message's own reader, to tell it from
// one of the connection.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
