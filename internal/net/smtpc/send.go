package smtpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"facteur/internal/mail/smtp"
)

// window is how many commands are sent before their replies are read. It keeps
// commands and replies well within the buffers of the sockets, so that both
// sides can not wait for each other (RFC 2920 §3.1).
const window = 64

// Send hands over one message. body is read to its end only when the peer has
// taken a recipient and asks for it; otherwise not at all. A bare CR or LF in it
// becomes CRLF. When ctx ends, so does the connection: give it the deadline of a
// shutdown, not of a message.
//
// Afterwards see Usable for whether the connection takes another one.
func (c *Conn) Send(ctx context.Context, env Envelope, body io.Reader) Results {
	t := &transaction{c: c, env: env, results: make([]Result, len(env.Recipients))}
	if refused := c.obstacle(env); refused != nil {
		t.settleAll(*refused)
		return Results{Recipients: t.results}
	}
	if c.messages > 0 && !c.Usable() {
		t.settleAll(deferred(StageMail, c.peer, errIdle))
		return Results{Recipients: t.results, Stale: true}
	}
	defer c.closeWhenDone(ctx)()
	t.run(body)
	t.stale = t.stale && c.messages > 0
	c.messages++
	return Results{Recipients: t.results, Stale: t.stale}
}

// obstacle is why a message can't be sent on this connection.
func (c *Conn) obstacle(env Envelope) *Result {
	if env.RequireTLS && !c.Verified() {
		return impossible(StageMail, ErrNeedsTLS, 550, "5.7.30", "Message must travel under TLS, and this host has not proved its name (REQUIRETLS)")
	}
	return env.obstacle(c.ext)
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
	stale   bool // the peer was gone before it said anything
}

// command is a line that awaits a reply.
type command struct {
	stage Stage
	n     int // of the recipient
	line  []byte
}

// run sends the envelope, then the message, and settles every recipient.
func (t *transaction) run(body io.Reader) {
	err := t.envelope()
	switch {
	case err != nil:
	case t.ready:
		err = t.message(body)
	case t.env.Binary && t.c.broken == nil && t.anyOpen():
		err = t.chunks(body)
	case t.c.broken == nil:
		err = t.reset()
	}
	if errors.Is(err, ErrProtocol) {
		t.distrust(err)
	}
}

// commands are MAIL, RCPT for each recipient, and DATA but for a binary message.
func (t *transaction) commands() []command {
	list := []command{{stage: StageMail, line: t.env.mail(t.c.ext)}}
	for i, to := range t.env.Recipients {
		if !speakable(to.To) {
			t.results[i] = *impossible(StageRecipient, ErrAddress, 553, "5.1.3", "Address can not be written in a command")
			continue
		}
		list = append(list, command{StageRecipient, i, t.env.rcpt(i, t.c.ext)})
	}
	if t.env.Binary {
		return list
	}
	return append(list, command{stage: StageData, line: []byte("DATA\r\n")})
}

// envelope sends the commands, in groups to a peer with PIPELINING and singly to
// another, and stops where going on has no sense.
func (t *transaction) envelope() error {
	size := 1
	if t.c.ext.Pipelining {
		size = window
	}
	for group := range slices.Chunk(t.commands(), size) {
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
	lines := make([][]byte, len(group))
	for i, cmd := range group {
		lines[i] = cmd.line
	}
	if err := t.c.write(lines...); err != nil {
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

// message sends the data after the 354 and settles by the reply to their end.
func (t *transaction) message(body io.Reader) error {
	if t.c.spoke() {
		return t.c.violated("it spoke between 354 and the data")
	}
	switch {
	case t.anyOpen():
	case t.c.cfg.LMTP: // RFC 2033 §4.2 has 503 for this; whether a reply will come is anybody's guess
		return t.c.violated("reply 354 without a recipient")
	default:
		body = eof{} // 354 without a recipient: the shortest message is none (RFC 2920 §3.1)
	}
	if err := t.data(body); err != nil {
		return err
	}
	return t.verdict()
}

// verdict reads the reply to the end of the message, and settles by it. Of LMTP it is
// one for each recipient that was taken, in their order (RFC 2033 §4.2).
func (t *transaction) verdict() error {
	t.at = StageEnd
	if !t.anyOpen() && !t.c.cfg.LMTP {
		_, err := t.final() // it is about nobody, and has to be read
		return err
	}
	for n := range t.results {
		if t.results[n].Reply != nil {
			continue
		}
		reply, err := t.final()
		switch {
		case err != nil:
			return err
		case !t.c.cfg.LMTP || closing(reply):
			t.settleAll(Result{Stage: StageEnd, Reply: reply})
			return nil
		}
		t.settle(n, Result{Stage: StageEnd, Reply: reply})
	}
	return nil
}

// final reads one reply to the end of the message.
func (t *transaction) final() (*smtp.Reply, error) {
	reply, err := t.c.reply(StageEnd)
	switch {
	case err != nil:
		return nil, t.lost(StageEnd, err)
	case intermediate(reply):
		return nil, t.c.violated("reply %d to the end of the data", reply.Code)
	}
	return reply, nil
}

// data sends the message and the dot. Without the dot there is no message: that
// is what a failure on our side, or a peer that answers too early, comes to.
func (t *transaction) data(body io.Reader) error {
	source := &sourceReader{r: body}
	dots := smtp.NewDotWriter(t.c.w)
	_, err := io.Copy(dots, source)
	switch {
	case source.err != nil:
		err = fmt.Errorf("%w: %w", ErrBody, source.err)
		t.c.broken = err
	case t.c.spoke():
		err = t.early()
	case err == nil:
		if err = dots.Close(); err == nil {
			err = t.c.w.Flush()
		}
	}
	if err != nil {
		if t.c.broken == nil {
			t.c.broken = err
		}
		return t.lost(StageData, err)
	}
	return nil
}

// early makes the error for a reply that came before the end of the data. It may
// be an honest "too large", or one reply too many before: it can not be known, so
// it is quoted and not obeyed.
func (t *transaction) early() error {
	reply, err := t.c.reply(StageData)
	if err != nil {
		return err
	}
	return t.c.violated("it answered before the end of the message: %v", reply)
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
