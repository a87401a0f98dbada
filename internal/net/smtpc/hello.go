package smtpc

import "facteur/internal/mail/smtp"

// introduce goes from the first byte to the point where MAIL can be said. It
// returns why that is not possible, or nil.
func (c *Conn) introduce() *Result {
	steps := []func() *Result{c.implicitTLS, c.greeting, c.hello, c.startTLS, c.authenticate}
	for _, step := range steps {
		if refused := step(); refused != nil {
			return refused
		}
	}
	return nil
}

// greeting waits for the 220.
func (c *Conn) greeting() *Result {
	reply, err := c.reply(StageGreeting)
	if err != nil {
		return c.postponed(StageGreeting, err)
	}
	if !positive(reply) {
		return c.refusal(StageGreeting, reply)
	}
	return nil
}

// hello says EHLO, and HELO to a peer that does not understand it. LMTP has only
// LHLO (RFC 2033 §4.1).
func (c *Conn) hello() *Result {
	verb := "EHLO "
	if c.cfg.LMTP {
		verb = "LHLO "
	}
	reply, refused := c.ask(StageHello, verb+c.cfg.Hello)
	if refused != nil {
		return refused
	}
	if reply.Permanent() && !c.cfg.LMTP {
		reply, refused = c.ask(StageHello, "HELO "+c.cfg.Hello)
		if refused != nil {
			return refused
		}
		reply.Lines = reply.Lines[:min(len(reply.Lines), 1)] // HELO offers nothing
	}
	if !positive(reply) {
		return c.refusal(StageHello, reply)
	}
	c.ext = smtp.ParseEHLO(reply)
	if c.cfg.NoChunking || c.cfg.Memory.knows(c.cfg.place, badChunking) {
		c.ext.Withhold("CHUNKING")
	}
	return nil
}

// ask sends a line and returns its reply, or why there is none.
func (c *Conn) ask(stage Stage, line string) (*smtp.Reply, *Result) {
	reply, err := c.command(stage, line)
	if err != nil {
		return nil, c.postponed(stage, err)
	}
	return reply, nil
}

// refusal is the result for a reply that is not the one that was needed.
func (c *Conn) refusal(stage Stage, reply *smtp.Reply) *Result {
	if negative(reply) {
		return &Result{Stage: stage, Reply: reply}
	}
	return c.postponed(stage, c.violated("unexpected reply %d", reply.Code))
}

// giveUp ends the connection's use for err, and makes the result for it.
func (c *Conn) giveUp(stage Stage, err error) *Result {
	c.broken = err
	return c.postponed(stage, err)
}

func (c *Conn) postponed(stage Stage, err error) *Result {
	result := deferred(stage, c.peer, err)
	return &result
}
