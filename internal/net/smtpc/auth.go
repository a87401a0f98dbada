package smtpc

import (
	"fmt"
	"slices"
	"strings"

	"facteur/internal/mail/sasl"
	"facteur/internal/mail/smtp"
)

// Credentials are what we log in with at a relay: a password, or a bearer token.
type Credentials struct {
	User, Password string
	// Token takes the place of the password (OAUTHBEARER, XOAUTH2).
	Token string
	// Mechanisms are those that may be used; nil: all that the peer offers and we know.
	Mechanisms []string
}

// Format implements fmt.Formatter: the secrets are not printed.
func (c Credentials) Format(f fmt.State, _ rune) { f.Write([]byte("{" + c.User + " ***}")) }

// strength is the order in which mechanisms are tried. CRAM-MD5 makes the server keep
// what is as good as the password, for an exchange that can be guessed through: under
// TLS, without which there is no log-in here, the plain ones are the better choice.
func (c *Credentials) strength() []string {
	if c.Token != "" {
		return []string{sasl.OAUTHBEARER, sasl.XOAUTH2}
	}
	return []string{sasl.SCRAMSHA256Plus, sasl.SCRAMSHA1Plus, sasl.SCRAMSHA256, sasl.SCRAMSHA1, sasl.PLAIN, sasl.LOGIN, sasl.CRAMMD5}
}

// maxLogins is how many mechanisms are tried. Servers count failures, and lock doors.
const maxLogins = 3

// authenticate logs in when there are credentials. It is no fault of the mail
// when that fails, so the result is temporary, whatever the peer says.
func (c *Conn) authenticate() *Result {
	switch {
	case c.cfg.Auth == nil:
		return nil
	case c.tls == nil:
		// startTLS has seen to it; the password depends on it, so look again.
		return c.authFailed("the connection is in clear")
	}
	why := "peer offers none of " + strings.Join(c.cfg.Auth.strength(), ", ")
	if len(c.ext.Auth) > 0 {
		why += ", only " + clean(strings.Join(c.ext.Auth, ", "))
	}
	for _, name := range c.mechanisms() {
		reply, refused := c.login(name)
		switch {
		case refused != nil:
			return refused
		case positive(reply):
			return nil
		}
		why = fmt.Sprintf("peer said to %s: %d %s", name, reply.Code, c.conceal(reply.Text()))
		if !reply.Permanent() || strings.HasSuffix(name, "-PLUS") {
			// With a binding it is us in person or a stranger in between who failed:
			// he gets no second, weaker proof.
			break
		}
	}
	return c.authFailed(why)
}

// mechanisms are those to try, the strongest first.
func (c *Conn) mechanisms() []string {
	var list []string
	_, bound := c.binding()
	for _, name := range c.cfg.Auth.strength() {
		allowed := c.cfg.Auth.Mechanisms == nil || slices.Contains(c.cfg.Auth.Mechanisms, name)
		if allowed && c.ext.HasAuth(name) && (bound || !strings.HasSuffix(name, "-PLUS")) {
			list = append(list, name)
		}
	}
	return list[:min(len(list), maxLogins)]
}

// binding is what ties the log-in to this TLS connection.
func (c *Conn) binding() (*sasl.Binding, bool) {
	if b, ok := sasl.Exporter(c.tls); ok {
		return &b, true
	}
	if len(c.tls.PeerCertificates) == 0 {
		return nil, false
	}
	b := sasl.EndPoint(c.tls.PeerCertificates[0])
	return &b, true
}

// proof is our side of a mechanism.
type proof struct {
	initial []byte // nil: there is none
	next    func(challenge []byte) ([]byte, error)
	done    func() bool // nil: the server need not prove anything
}

func (c *Conn) proof(name string) proof {
	a := c.cfg.Auth
	cred := sasl.Credentials{User: a.User, Password: a.Password}
	hopeless := func([]byte) ([]byte, error) { return nil, sasl.ErrSyntax }
	// The challenge after a token is why it was refused (RFC 7628 §3.2.2).
	resigned := func([]byte) ([]byte, error) { return []byte{1}, nil }
	switch name {
	case sasl.PLAIN:
		return proof{sasl.Plain(cred), hopeless, nil}
	case sasl.LOGIN:
		return proof{nil, (&sasl.Login{Credentials: cred}).Next, nil}
	case sasl.CRAMMD5:
		return proof{nil, func(challenge []byte) ([]byte, error) { return sasl.CRAM(cred, challenge), nil }, nil}
	case sasl.OAUTHBEARER:
		return proof{sasl.OAuthBearer(a.User, a.Token), resigned, nil}
	case sasl.XOAUTH2:
		return proof{sasl.XOAuth2(a.User, a.Token), func([]byte) ([]byte, error) { return []byte{}, nil }, nil}
	}
	s := c.scram(name, cred)
	return proof{s.Start(), s.Next, s.Done}
}

func (c *Conn) scram(name string, cred sasl.Credentials) *sasl.SCRAM {
	hash := sasl.SHA256
	if strings.HasPrefix(name, sasl.SCRAMSHA1) {
		hash = sasl.SHA1
	}
	binding, ok := c.binding()
	if !strings.HasSuffix(name, "-PLUS") {
		// Had it been offered, it would have come first: but for a list of ours.
		return sasl.NewSCRAM(hash, cred, nil, ok && c.cfg.Auth.Mechanisms == nil)
	}
	return sasl.NewSCRAM(hash, cred, binding, true)
}

// maxSteps bounds the challenges of a log-in; SCRAM has two.
const maxSteps = 8

// login tries one mechanism (RFC 4954 §4). The reply is its last; the result is why
// there is none, or none that counts.
func (c *Conn) login(name string) (*smtp.Reply, *Result) {
	p := c.proof(name)
	line := "AUTH " + name
	answer := p.initial
	if text := sasl.Encode(p.initial); p.initial != nil && len(line)+len(text) < maxCommand {
		line, answer = line+" "+text, nil
	}
	reply, refused := c.ask(StageAuth, line)
	for range maxSteps {
		if refused != nil || !intermediate(reply) {
			break
		}
		if answer == nil {
			var err error
			if answer, err = p.next(challenge(reply)); err != nil {
				return nil, c.cancelLogin(name, err)
			}
		}
		reply, refused = c.ask(StageAuth, sasl.Encode(answer))
		answer = nil
	}
	switch {
	case refused != nil:
		return nil, refused
	case intermediate(reply):
		return nil, c.authFailed("peer never ends asking")
	case positive(reply) && p.done != nil && !p.done():
		return nil, c.authFailed(sasl.ErrImpostor.Error())
	}
	return reply, nil
}

// maxCommand is how long a command line may be without CRLF (RFC 5321 §4.5.3.1.4);
// a longer initial response waits to be asked for (RFC 4954 §4).
const maxCommand = 510

// challenge is what a reply of 334 asks. LOGIN has servers that ask in clear text:
// what can not be read is empty.
func challenge(reply *smtp.Reply) []byte {
	text, err := sasl.Decode([]byte(reply.Text()))
	if err != nil {
		return nil
	}
	return text
}

// cancelLogin ends an exchange that has become hopeless.
func (c *Conn) cancelLogin(name string, why error) *Result {
	if _, refused := c.ask(StageAuth, "*"); refused != nil {
		return refused
	}
	return c.authFailed(name + ": " + why.Error())
}

func (c *Conn) authFailed(why string) *Result {
	return c.giveUp(StageAuth, fmt.Errorf("%w as %s: %s", ErrAuth, clean(c.cfg.Auth.User), why))
}

// conceal takes our secrets out of what a peer says: some repeat what they were given.
func (c *Conn) conceal(text string) string {
	a := c.cfg.Auth
	cred := sasl.Credentials{User: a.User, Password: a.Password}
	for _, secret := range []string{sasl.Encode(sasl.Plain(cred)), sasl.Encode([]byte(a.Password)), a.Password, a.Token} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}
