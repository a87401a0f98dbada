package control

import (
	"context"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/forward"
	"facteur/internal/flow/rewrite"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// Addressing is what is done to a forward-path before it is asked where it leads. The zero
// value does nothing.
type Addressing struct {
	Rewrite *rewrite.Rules
	Forward *forward.Rules
}

// meaning is whom a forward-path means, or what a stranger is told who names it.
type meaning struct {
	address address.Address
	steps   []route.Step
	reply   *smtp.Reply
	// ours: strangers may write to it, wherever it leads; foreign: they may not.
	ours, foreign bool
}

// become takes one step.
func (m *meaning) become(setting string, to address.Address) {
	if to != m.address {
		m.steps = append(m.steps, route.Step{Rule: setting, From: m.address.String(), To: to.String()})
	}
	m.address = to
}

// meaning follows a forward-path as a session does with a stranger's RCPT. sender is nil
// where it is not said who writes: then it is whoever may.
func (s *Stores) meaning(ctx context.Context, to address.Address, sender *address.Address) (m meaning, err error) {
	rules, now := s.addressing(), time.Now()
	m.address = to
	if rules.Forward.IsRewritten(to) {
		if sender != nil {
			m.reply = forward.OnlyNotices(to, *sender)
		}
		if m.reply == nil {
			var back address.Address
			back, m.reply = rules.Forward.Return(ctx, to, now)
			m.become("forwarding.srs_domain", back)
		}
		m.ours = m.reply == nil
		return m, nil
	}
	if sender != nil && sender.IsNull() {
		unmarked := rules.Forward.Unmarked(ctx, to, now)
		if m.reply = unmarked.Value(); m.reply != nil || unmarked.State() != lookup.Found {
			return m, unmarked.Err()
		}
	}
	m.become("forwarding.batv", rules.Forward.Bare(ctx, to))
	if bare := m.address; bare.Domain == "" && !isOwnName(bare.Local) {
		m.become("addresses.origin", rules.Rewrite.Complete(bare))
	}
	return m, s.canonical(ctx, rules.Rewrite, &m)
}

// isOwnName tells names that the machine itself writes to, and that need no domain: they
// lead to the home domain's, whatever the origin.
func isOwnName(local string) bool {
	return strings.EqualFold(local, "postmaster") || strings.EqualFold(local, "root")
}

// canonical replaces the address by what the tables have for it. What was no address of
// ours does not become one that a stranger may write to.
func (s *Stores) canonical(ctx context.Context, r *rewrite.Rules, m *meaning) error {
	named := m.address
	answer := r.Explain(ctx, rewrite.EnvelopeRecipient, named, func(setting string, _, to address.Address) { m.become("rewrite."+setting, to) })
	if answer.State() != lookup.Found || m.address == named {
		return answer.Err()
	}
	m.ours = named.Domain == ""
	if !m.ours {
		hosts := s.router.Hosts(ctx, named.Domain)
		if hosts.State() == lookup.TryAgain {
			return hosts.Err()
		}
		m.ours = hosts.State() == lookup.Found
	}
	m.foreign = !m.ours
	return nil
}
