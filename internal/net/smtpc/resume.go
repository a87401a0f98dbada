package smtpc

import (
	"crypto/tls"
	"strconv"
)

// resume lets the handshake take up a session of an earlier connection, where that is
// wanted and has not gone wrong with this host. Some hosts give out tickets that a
// machine beside them, behind the same name, breaks off at.
func (c *Conn) resume(base *tls.Config) {
	base.ClientSessionCache = nil
	if c.cfg.NoResumption {
		return
	}
	policy := strconv.Itoa(int(c.cfg.Security)) + "\x00" + c.serverName() + "\x00" + c.cfg.Policy
	if c.sessions = c.cfg.Memory.sessionsOf(c.cfg.place, policy); c.sessions != nil {
		base.ClientSessionCache = c.sessions
	}
}

// resumptionFailed tells whether an old session may be why the connection came to
// nothing: it was offered, and the peer broke off in the handshake or right behind it.
func (c *Conn) resumptionFailed(r *Result) bool {
	return r.Err != nil && r.Stage <= StageStartTLS && c.sessions != nil && c.sessions.offered
}
