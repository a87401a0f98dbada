package config

import (
	"fmt"
	"slices"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/flow/rule"
	"facteur/internal/net/policy"
)

// Milter is a program that follows each SMTP dialogue and may refuse or change the
// message, such as opendkim, clamav-milter or rspamd.
type Milter struct {
	// Where it listens: "inet:127.0.0.1:8891", "inet6:[::1]:8891" or
	// "unix:/run/opendkim/opendkim.sock". Several milters are asked in the order in
	// which they stand here; each sees what the one before it changed.
	Address conf.Endpoint `toml:"address"`
	// What becomes of mail when it can't be reached or breaks off: "tempfail" (the
	// client is told to come again, 451), "accept" (the mail goes on without it),
	// "reject" (550) or "quarantine" (the mail is kept, and held). Empty: "tempfail".
	// Postfix calls this milter_default_action.
	DefaultAction MilterAction `toml:"default_action"`
	// Whose mail it sees: "smtp" (from other servers), "submission" (from our users),
	// "lmtp", "local" (programs of this machine, which Postfix calls non_smtpd_milters).
	// Empty: smtp and submission.
	Services []AskedService `toml:"services"`
	// How long it may take to connect and agree on the protocol; empty: 30s.
	ConnectTimeout conf.Duration `toml:"connect_timeout"`
	// How long one answer may take before the message; empty: 30s.
	CommandTimeout conf.Duration `toml:"command_timeout"`
	// How long one answer may take about the message itself; empty: 300s. Rules, policy
	// servers and milters have 60 seconds together at each stage, whatever stands here.
	ContentTimeout conf.Duration `toml:"content_timeout"`
}

// Policy is a policy server, such as postgrey: a program that is told of each client
// and recipient and says what to do (Postfix's check_policy_service).
type Policy struct {
	// Where it listens: "inet:127.0.0.1:10023", "inet6:[::1]:10023" or
	// "unix:/run/postgrey.sock". Several are asked in the order in which they stand
	// here.
	Address conf.Endpoint `toml:"address"`
	// When it is asked: "connect", "helo", "mail", "rcpt", "data" and "end" (of the
	// message). Empty: at rcpt.
	Stages []PolicyStage `toml:"stages"`
	// Whose mail it is asked about, as an expression like those of rules (docs/RULES.md):
	// '!trusted && account == ""'. Empty: all mail of the services.
	When string `toml:"when"`
	// What is done when it does not answer, or nothing that can be understood: an action
	// such as "451 4.3.5 Try again later" or "DUNNO" (the mail goes on without it).
	// Empty: "451 4.3.5 Server configuration problem". Postfix calls this
	// smtpd_policy_service_default_action.
	DefaultAction PolicyAction `toml:"default_action"`
	// Whose mail it is asked about: "smtp", "submission", "lmtp" or "local". Empty: smtp.
	Services []AskedService `toml:"services"`
	// How long one question may take; empty: 100s. Rules, policy servers and milters have
	// 60 seconds together at each stage, whatever stands here.
	Timeout conf.Duration `toml:"timeout"`
	// How often a question is put before the default action holds; 0: twice.
	TryLimit int `toml:"try_limit"`
	// A word that tells one use of the server from another (policy_context).
	Context string `toml:"context"`
}

// MilterAction is what becomes of mail without a milter's verdict.
type MilterAction string

// The choices, as Postfix names them.
const (
	MilterTempFail   MilterAction = "tempfail"
	MilterAccept     MilterAction = "accept"
	MilterReject     MilterAction = "reject"
	MilterQuarantine MilterAction = "quarantine"
)

// Form says what may be written.
func (MilterAction) Form() string {
	return oneOf(MilterTempFail, MilterAccept, MilterReject, MilterQuarantine)
}

// UnmarshalText takes one of the choices, or nothing.
func (a *MilterAction) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = ""
		return nil
	}
	return choose(a, text, MilterTempFail, MilterAccept, MilterReject, MilterQuarantine)
}

// AskedService is a door whose mail programs outside are asked about.
type AskedService string

// Form says what may be written.
func (AskedService) Form() string { return oneOf[AskedService]("smtp", "submission", "lmtp", "local") }

// UnmarshalText takes one of the choices.
func (s *AskedService) UnmarshalText(text []byte) error {
	return choose(s, text, "smtp", "submission", "lmtp", "local")
}

// PolicyStage is a moment of the dialogue.
type PolicyStage string

// Form says what may be written.
func (PolicyStage) Form() string {
	return oneOf[PolicyStage]("connect", "helo", "mail", "rcpt", "data", "end")
}

// UnmarshalText takes one of the choices.
func (s *PolicyStage) UnmarshalText(text []byte) error {
	return choose(s, text, "connect", "helo", "mail", "rcpt", "data", "end")
}

// PolicyAction is an action of a policy server.
type PolicyAction string

// Form says what may be written.
func (PolicyAction) Form() string { return `an action such as "451 4.3.5 Try again later" or "DUNNO"` }

// UnmarshalText takes what a policy server could say, or nothing.
func (a *PolicyAction) UnmarshalText(text []byte) error {
	if _, err := policy.ParseAction(string(text)); err != nil && len(text) > 0 {
		return fmt.Errorf("expected %s: %w", a.Form(), err)
	}
	*a = PolicyAction(text)
	return nil
}

// Action is the action itself.
func (a PolicyAction) Action() policy.Action {
	if a == "" {
		a = "451 4.3.5 Server configuration problem"
	}
	action, err := policy.ParseAction(string(a))
	if err != nil {
		panic(err) // UnmarshalText has read it
	}
	return action
}

// RuleStages are those named, or RCPT.
func (p Policy) RuleStages() (out []rule.Stage) {
	for _, n := range p.Stages {
		if stage, err := rule.ParseStage(string(n)); err == nil && !slices.Contains(out, stage) {
			out = append(out, stage)
		}
	}
	if len(out) == 0 {
		return []rule.Stage{rule.Rcpt}
	}
	return out
}

// Asked are rules that accept the mail that the server is asked about, at each of its
// stages; nil: it is asked about all.
func (p Policy) Asked(lists []string, s rule.Sources) (*rule.Set, []*rule.Error) {
	if p.When == "" {
		return nil, nil
	}
	var rules []rule.Rule
	for _, stage := range p.RuleStages() {
		rules = append(rules, rule.Rule{Name: "policy at " + stage.String(), Stage: stage.String(), When: p.When, Then: []string{"accept"}})
	}
	return rule.Compile(rules, lists, s)
}

// programs checks milters and policy servers.
func (k *checker) programs() {
	for i, m := range k.c.Milters {
		key := fmt.Sprintf("milter[%d]", i)
		k.endpoint(key, m.Address)
		for name, d := range map[string]conf.Duration{"connect_timeout": m.ConnectTimeout, "command_timeout": m.CommandTimeout, "content_timeout": m.ContentTimeout} {
			k.patience(key+"."+name, d)
		}
	}
	for i, p := range k.c.Policies {
		key := fmt.Sprintf("policy[%d]", i)
		k.endpoint(key, p.Address)
		k.patience(key+".timeout", p.Timeout)
		if _, errs := p.Asked(k.c.ListNames(), rule.Sources{}); len(errs) > 0 { // the others are the same at later stages
			k.errs = append(k.errs, k.c.positions.Inside(key+".when", errs[0].Line, errs[0].Column, "%s", errs[0].Text))
		}
		if p.TryLimit < 0 || p.TryLimit > 10 {
			k.failf(key+".try_limit", "expected 0 to 10, found %d", p.TryLimit)
		}
		if slices.ContainsFunc([]byte(p.Context), func(c byte) bool { return c < ' ' || c == 0x7f }) {
			k.failf(key+".context", "expected printable characters")
		}
	}
}

func (k *checker) endpoint(key string, e conf.Endpoint) {
	if e.Network == "" {
		k.failf(key+".address", "is missing; expected %s", e.Form())
	}
}

// patience holds a time-out to what a client may be kept waiting.
func (k *checker) patience(key string, d conf.Duration) {
	if d != 0 && (d.Std() < time.Second || d.Std() > time.Hour) {
		k.failf(key, "expected 1s to 1h, or nothing for the default")
	}
}
