package smtpc

import (
	"encoding/base64"
	"fmt"

	"facteur/internal/mail/smtp"
)

// authenticate logs in when there are credentials. It is no fault of the mail
// when that fails, so the result is temporary, whatever the peer says.
func (c *Conn) authenticate() *Result {
	if c.cfg.Auth == nil {
		return nil
	}
	if c.tls == nil {
		// startTLS has seen to it; the password depends on it, so look again.
		return c.authFailed("the connection is in clear")
	}
	var reply *smtp.Reply
	var refused *Result
	switch {
	case c.ext.HasAuth("PLAIN"):
		reply, refused = c.authPlain()
	case c.ext.HasAuth("LOGIN"):
		reply, refused = c.authLogin()
	default:
		return c.authFailed("peer offers neither PLAIN nor LOGIN")
	}
	switch {
	case refused != nil:
		return refused
	case !positive(reply):
		return c.authFailed(fmt.Sprintf("peer said %d %s", reply.Code, reply.Text()))
	}
	return nil
}

// authPlain is RFC 4616, with the initial response of RFC 4954 §4.
func (c *Conn) authPlain() (*smtp.Reply, *Result) {
	return c.ask(StageAuth, "AUTH PLAIN "+encode("\x00"+c.cfg.Auth.User+"\x00"+c.cfg.Auth.Password))
}

// authLogin answers two prompts, whatever they say: their texts differ from
// server to server, their order does not.
func (c *Conn) authLogin() (*smtp.Reply, *Result) {
	reply, refused := c.ask(StageAuth, "AUTH LOGIN")
	for _, answer := range []string{c.cfg.Auth.User, c.cfg.Auth.Password} {
		if refused != nil || !intermediate(reply) {
			return reply, refused
		}
		reply, refused = c.ask(StageAuth, encode(answer))
	}
	return reply, refused
}

func (c *Conn) authFailed(why string) *Result {
	return c.giveUp(StageAuth, fmt.Errorf("%w: %s", ErrAuth, why))
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
