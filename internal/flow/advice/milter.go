package advice

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/milter"
	"facteur/internal/store/queue"
)

// Failure is what becomes of mail on which a milter has no verdict.
type Failure string

// The choices, by Postfix's names (milter_default_action).
const (
	TempFail   Failure = "tempfail"   // 451: the client comes again
	Accept     Failure = "accept"     // it goes on as if there were no such milter
	Reject     Failure = "reject"     // 550
	Quarantine Failure = "quarantine" // it is kept, and held
)

// MilterConfig is one milter.
type MilterConfig struct {
	milter.Config
	Scope
	Failure Failure
	// Hostname is ours; MaxBody the longest body, in bytes, that it may give.
	Hostname string
	MaxBody  int64
}

// Milter is the hook of one milter.
type Milter struct {
	cfg    MilterConfig
	queue  *queue.Queue
	events event.Sink
}

// NewMilter makes the hook. New bodies go to spools of the queue.
func NewMilter(cfg MilterConfig, q *queue.Queue, events event.Sink) *Milter {
	return &Milter{cfg: cfg, queue: q, events: events}
}

// Open implements intake.Hook.
func (m *Milter) Open(p *intake.Peer) intake.Adviser {
	if !m.cfg.covers(p) {
		return nil
	}
	return &milterTalk{hook: m, session: milter.NewSession(m.cfg.Config)}
}

// milterTalk is one visit as one milter sees it.
type milterTalk struct {
	hook    *Milter
	session *milter.Session
	// told: its failure stands in the log. body is the new one, while it comes.
	told bool
	body *queue.Spool
}

// Reset implements intake.Adviser.
func (a *milterTalk) Reset() {
	a.session.Reset()
	a.told = false
}

// Close implements intake.Adviser.
func (a *milterTalk) Close() { a.session.Close() }

// Ask implements intake.Adviser.
func (a *milterTalk) Ask(ctx context.Context, stage rule.Stage, q *intake.Question) intake.Advice {
	v, err := a.tell(ctx, stage, q)
	if err != nil {
		return a.failed(stage, q, err)
	}
	advice, err := a.advice(v)
	if err != nil {
		return a.failed(stage, q, err)
	}
	if stage == rule.End && v.NewBody && advice.Reply == nil {
		advice.Body, a.body = a.body, nil
	}
	a.forgetBody()
	return advice
}

// tell tells the milter of a stage.
func (a *milterTalk) tell(ctx context.Context, stage rule.Stage, q *intake.Question) (milter.Verdict, error) {
	m := a.macros(q)
	switch stage {
	case rule.Connect:
		return a.session.Connect(ctx, milterClient(q.Peer), m)
	case rule.Helo:
		return a.session.Helo(ctx, q.Peer.Helo, m)
	case rule.Mail:
		return a.session.Mail(ctx, arguments(q.Mail.Sender, string(q.Mail.AppendTo(nil))), m)
	case rule.Rcpt:
		return a.session.Rcpt(ctx, arguments(q.Rcpt.To, string(q.Rcpt.AppendTo(nil))), m)
	case rule.Data:
		return a.session.Data(ctx, m)
	}
	return a.session.Message(ctx, a.letter(q.Message), m)
}

// letter is the message as the milter gets it.
func (a *milterTalk) letter(m *intake.Message) milter.Letter {
	return milter.Letter{
		Header: m.Header, Body: m.Body(), MaxBody: a.hook.cfg.MaxBody,
		NewBody: func() io.Writer {
			a.forgetBody()
			a.body = a.hook.queue.Spool()
			return a.body
		},
	}
}

func (a *milterTalk) forgetBody() {
	if a.body != nil {
		a.body.Discard()
		a.body = nil
	}
}

// milterClient is the client of CONNECT.
func milterClient(p *intake.Peer) milter.Client {
	c := milter.Client{Name: p.Name, Addr: netip.AddrPortFrom(p.Addr, p.Port)}
	switch {
	case !p.Addr.IsValid():
		// A Unix socket: as Sendmail has it, mail of this machine comes from there.
		return milter.Client{Name: "localhost", Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)}
	case p.Name == "" || p.Name == "unknown":
		c.Name = "[" + milterAddr(p) + "]"
	}
	return c
}

// milterAddr is the client's address as milters read it.
func milterAddr(p *intake.Peer) string {
	if !p.Addr.IsValid() {
		return "127.0.0.1"
	}
	return ipText(p.Addr)
}

func ipText(a netip.Addr) string {
	if a = a.Unmap(); a.Is6() {
		return "IPv6:" + a.String()
	}
	return a.String()
}

// arguments are those of MAIL or RCPT: the address in angle brackets, and each
// parameter of the command as a client writes it.
func arguments(a address.Address, command string) []string {
	path := "<" + a.String() + ">"
	_, params, _ := strings.Cut(command, path)
	return append([]string{path}, strings.Fields(params)...)
}

// failed is what becomes of a message without a verdict.
func (a *milterTalk) failed(stage rule.Stage, q *intake.Question, err error) intake.Advice {
	a.forgetBody()
	if !a.told {
		a.told = true
		a.hook.events.Emit(failed("Milter service "+a.hook.cfg.Name, q, err))
	}
	by := "milter " + a.hook.cfg.Name
	switch {
	case stage < rule.Mail: // there is nothing to refuse yet
	case a.hook.cfg.Failure == Accept:
	case a.hook.cfg.Failure == Reject:
		return intake.Advice{By: by, Reply: smtp.NewReply(550, "5.5.0", "Service unavailable")}
	case a.hook.cfg.Failure == Quarantine:
		if stage == rule.End {
			return intake.Advice{By: by, Actions: []rule.Action{{Verb: rule.Hold, Text: "the milter did not answer"}}}
		}
	default:
		return intake.Advice{By: by, Reply: milter.Unavailable()}
	}
	return intake.Advice{}
}

// advice is a verdict in the desk's words.
func (a *milterTalk) advice(v milter.Verdict) (intake.Advice, error) {
	out := intake.Advice{By: "milter " + a.hook.cfg.Name}
	switch v.Kind {
	case milter.Refuse:
		out.Reply = v.Reply
		return out, nil
	case milter.Discard:
		out.Actions = []rule.Action{{Verb: rule.Discard}}
		return out, nil
	}
	for _, c := range v.Changes {
		if c.Kind == milter.Quarantine {
			out.Actions = append(out.Actions, rule.Action{Verb: rule.Hold, Text: c.Value})
			continue
		}
		e, err := edit(c)
		if err != nil {
			return intake.Advice{}, err
		}
		out.Edits = append(out.Edits, e)
	}
	return out, nil
}

// edit is a change in the desk's words. Milters count the place of a new field
// from 1, and mean by 0 what is above our trace field, which nothing is here.
func edit(c milter.Change) (intake.Edit, error) {
	e := intake.Edit{Name: c.Name, Value: c.Value, Leading: c.Leading}
	switch c.Kind {
	case milter.AddHeader:
		e.Kind = intake.AppendField
		return e, nil
	case milter.InsertHeader:
		e.Kind, e.Index = intake.InsertField, max(c.Index-1, 0)
		return e, nil
	case milter.ChangeHeader:
		e.Kind, e.Index = intake.ChangeField, c.Index
		return e, nil
	case milter.ChangeFrom:
		return envelopeEdit(intake.ChangeSender, c.Address, address.Null)
	case milter.AddRcpt:
		return envelopeEdit(intake.AddRecipient, c.Address, address.Postmaster)
	case milter.DelRcpt:
		return envelopeEdit(intake.RemoveRecipient, c.Address, address.Postmaster)
	}
	return intake.Edit{}, fmt.Errorf("change of an unknown kind: %d", c.Kind)
}

// envelopeEdit reads an address with or without angle brackets.
func envelopeEdit(kind intake.EditKind, text string, form address.Extra) (intake.Edit, error) {
	if !strings.HasPrefix(text, "<") {
		text = "<" + text + ">"
	}
	a, rest, err := address.ParsePath(text, form)
	if err == nil && strings.TrimSpace(rest) != "" {
		err = fmt.Errorf("%q follows the address", rest)
	}
	if err != nil {
		return intake.Edit{}, fmt.Errorf("address %q: %w", text, err)
	}
	return intake.Edit{Kind: kind, Address: a}, nil
}
