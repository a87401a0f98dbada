package advice

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/address"
	"facteur/internal/net/policy"
)

// PolicyConfig is one policy server.
type PolicyConfig struct {
	policy.Config
	Scope
	// Stages are when it is asked.
	Stages []rule.Stage
	// Asked, unless nil, has a step for the mail that it is asked about.
	Asked *rule.Set
	// Default is what is done when it does not answer, or nothing that is understood.
	Default policy.Action
	// Context is its policy_context.
	Context string
}

// Policies is the hook of all policy servers, which are asked in their order: an OK
// skips those after it.
type Policies struct {
	servers []*policyServer
	events  event.Sink
}

type policyServer struct {
	cfg    PolicyConfig
	client *policy.Client
}

// NewPolicies makes the hook.
func NewPolicies(servers []PolicyConfig, events event.Sink) *Policies {
	p := &Policies{events: events}
	for _, cfg := range servers {
		p.servers = append(p.servers, &policyServer{cfg: cfg, client: policy.New(cfg.Config)})
	}
	return p
}

// Close lets go of connections that are not in use; those that are go with their
// answer.
func (p *Policies) Close() {
	for _, s := range p.servers {
		s.client.Close()
	}
}

// Open implements intake.Hook.
func (p *Policies) Open(peer *intake.Peer) intake.Adviser {
	talk := &policyTalk{hook: p}
	for _, s := range p.servers {
		if s.cfg.covers(peer) {
			talk.servers = append(talk.servers, s)
		}
	}
	if len(talk.servers) == 0 {
		return nil
	}
	return talk
}

// policyTalk is one visit. Servers know nothing of visits: each question stands
// alone.
type policyTalk struct {
	hook    *Policies
	servers []*policyServer
}

// Reset implements intake.Adviser.
func (*policyTalk) Reset() {}

// Close implements intake.Adviser.
func (*policyTalk) Close() {}

// Ask implements intake.Adviser.
func (t *policyTalk) Ask(ctx context.Context, stage rule.Stage, q *intake.Question) intake.Advice {
	r := round{talk: t, stage: stage, question: q}
	for _, s := range t.servers {
		if !slices.Contains(s.cfg.Stages, stage) {
			continue
		}
		if done := r.ask(ctx, s); done {
			return r.advice
		}
	}
	r.end()
	return r.advice
}

// round is one stage: all servers, one after the other.
type round struct {
	talk     *policyTalk
	stage    rule.Stage
	question *intake.Question
	advice   intake.Advice
	// ifPermit is a refusal if nothing else refuses for good; ifReject makes such a
	// refusal a temporary one.
	ifPermit, ifReject *verdict
}

// verdict is an action and whose it is.
type verdict struct {
	server *policyServer
	action policy.Action
}

// unsure is the answer where nobody knows whether a server is to be asked.
var unsure = policy.Action{Verb: policy.Reject, Code: 451, Enhanced: "4.3.0", Text: "Try again later"}

// ask asks one server; done tells that the others need not be.
func (r *round) ask(ctx context.Context, s *policyServer) (done bool) {
	if s.cfg.Asked != nil {
		d := s.cfg.Asked.Judge(ctx, r.stage, r.question.Facts())
		if d.Err != nil {
			r.talk.hook.events.Emit(failed("condition of server "+s.client.Name(), r.question, d.Err))
			r.refuse(verdict{s, unsure})
			return true
		}
		if len(d.Steps) == 0 {
			return false
		}
	}
	a, err := s.client.Ask(ctx, request(s, r.stage, r.question))
	if err != nil {
		r.talk.hook.events.Emit(failed("server "+s.client.Name(), r.question, err))
		a = s.cfg.Default
	}
	done, err = r.obey(verdict{s, a})
	if err != nil {
		r.talk.hook.events.Emit(failed("server "+s.client.Name(), r.question, err))
		done, _ = r.obey(verdict{s, s.cfg.Default})
	}
	return done
}

// obey does what a server wants.
func (r *round) obey(v verdict) (done bool, err error) {
	switch v.action.Verb {
	case policy.OK:
		r.end()
		return true, nil
	case policy.Reject:
		r.refuse(v)
		return true, nil
	case policy.DeferIfPermit:
		r.ifPermit = first(r.ifPermit, v)
	case policy.DeferIfReject:
		r.ifReject = first(r.ifReject, v)
	case policy.Warn:
		r.say(v, slog.LevelWarn)
	case policy.Info:
		r.say(v, slog.LevelInfo)
	case policy.Dunno:
	default:
		return v.action.Verb == policy.Discard, r.act(v)
	}
	return false, nil
}

func first(old *verdict, v verdict) *verdict {
	if old != nil {
		return old
	}
	return &v
}

// act adds what is to be done to the message.
func (r *round) act(v verdict) error {
	a := rule.Action{Text: v.action.Text}
	switch v.action.Verb {
	case policy.Discard:
		a.Verb = rule.Discard
	case policy.Hold:
		a.Verb = rule.Hold
	case policy.Prepend:
		name, value, _ := strings.Cut(v.action.Text, ":")
		a = rule.Action{Verb: rule.Prepend, Field: name, Value: strings.TrimSpace(value)}
	case policy.Redirect, policy.BCC:
		to, err := address.Parse(v.action.Text)
		if err != nil {
			return fmt.Errorf("address %q: %w", v.action.Text, err)
		}
		a = rule.Action{Verb: rule.Redirect, Address: to}
		if v.action.Verb == policy.BCC {
			a.Verb = rule.BCC
		}
	}
	r.advice.By = v.by()
	r.advice.Actions = append(r.advice.Actions, a)
	return nil
}

// refuse refuses, for now only where another server asked for that.
func (r *round) refuse(v verdict) {
	if r.ifReject != nil && v.action.Code >= 500 {
		v = *r.ifReject
	}
	subject, class := r.about()
	r.advice.By, r.advice.Reply = v.by(), v.action.Reply(subject, class)
}

// end is when no server refused: then those who wait for that do.
func (r *round) end() {
	if r.ifPermit != nil {
		r.refuse(*r.ifPermit)
	}
}

func (r *round) say(v verdict, level slog.Level) {
	subject, class := r.about()
	r.talk.hook.events.Emit(said{server: v.server.client.Name(), about: fmt.Sprintf("%s <%s>", class, subject), text: v.action.Text, level: level})
}

func (v verdict) by() string { return "policy server " + v.server.client.Name() }

// about is what a stage is about, in Postfix's words.
func (r *round) about() (subject, class string) {
	q := r.question
	switch r.stage {
	case rule.Connect:
		return fmt.Sprintf("%s[%s]", q.Peer.Name, q.Peer.Addr.Unmap()), "Client host"
	case rule.Helo:
		return q.Peer.Helo, "Helo command"
	case rule.Mail:
		return q.Mail.Sender.String(), "Sender address"
	case rule.Rcpt:
		return q.Rcpt.To.String(), "Recipient address"
	case rule.Data:
		return "DATA", "Data command"
	}
	return "END-OF-MESSAGE", "End-of-data"
}

// states are the names of stages in the protocol.
var states = [...]string{rule.Connect: policy.StateConnect, rule.Helo: policy.StateHelo, rule.Mail: policy.StateMail,
	rule.Rcpt: policy.StateRcpt, rule.Data: policy.StateData, rule.End: policy.StateEnd}

// request is what a server is told at a stage.
func request(s *policyServer, stage rule.Stage, q *intake.Question) *policy.Request {
	p := q.Peer
	r := &policy.Request{
		State: states[stage], Protocol: "ESMTP", Helo: p.Helo, Context: s.cfg.Context,
		ClientAddr: p.Addr, ClientPort: p.Port, ClientName: p.Name, ReverseClientName: p.Name,
		ServerAddr: p.Server.Addr(), ServerPort: p.Server.Port(),
		SASLMethod: p.Mechanism, SASLUser: p.Account, Instance: p.Session,
	}
	if p.Protocol == "SMTP" {
		r.Protocol = "SMTP"
	}
	tellTLS(r, p.TLS)
	tellEnvelope(r, stage, q)
	return r
}

// tellTLS fills in what is known of the encryption.
func tellTLS(r *policy.Request, c *tls.ConnectionState) {
	if c == nil {
		return
	}
	r.EncryptionProtocol, r.EncryptionCipher, r.EncryptionKeysize = tlsVersion(c), tls.CipherSuiteName(c.CipherSuite), keyBits(c)
	if len(c.PeerCertificates) > 0 {
		cert := c.PeerCertificates[0]
		r.CertSubject, r.CertIssuer = cert.Subject.CommonName, cert.Issuer.CommonName
		r.CertFingerprint, r.PubkeyFingerprint = fingerprint(cert.Raw), fingerprint(cert.RawSubjectPublicKeyInfo)
	}
}

// fingerprint is "AB:CD:…" of SHA-256, Postfix's smtpd_tls_fingerprint_digest at the
// compatibility level that we say we have.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	h := strings.ToUpper(hex.EncodeToString(sum[:]))
	var b strings.Builder
	for i := 0; i < len(h); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(h[i : i+2])
	}
	return b.String()
}

// tellEnvelope fills in what is known of the message.
func tellEnvelope(r *policy.Request, stage rule.Stage, q *intake.Question) {
	if q.Mail == nil {
		return
	}
	r.Sender, r.Size = q.Mail.Sender.String(), q.Mail.Size
	r.QueueID = q.ID.String()
	r.Instance += "." + r.QueueID // the same for all recipients of a message
	switch {
	case q.Rcpt != nil:
		r.Recipient = q.Rcpt.To.String()
	case stage >= rule.Data:
		r.RecipientCount = len(q.Recipients)
		if len(q.Recipients) == 1 {
			r.Recipient = q.Recipients[0].String()
		}
	}
	if q.Message != nil {
		r.Size = q.Message.Size
	}
}
