package app

import (
	"facteur/internal/app/config"
	"facteur/internal/flow/advice"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/rule"
	"facteur/internal/net/milter"
	"facteur/internal/net/policy"
)

// hire makes the hooks of new settings: the policy servers, then the milters.
// Nothing is connected yet; a program that is down is no reason not to start.
// sources are what the conditions of policy servers look up in.
func (a *App) hire(s *settings, sources rule.Sources) {
	c := s.config
	if len(c.Policies) > 0 {
		s.policies = advice.NewPolicies(policies(c, sources), a.events)
		s.rules.Hooks = append(s.rules.Hooks, s.policies)
	}
	for _, m := range c.Milters {
		s.rules.Hooks = append(s.rules.Hooks, a.milter(c, m))
	}
}

// dismiss lets go of what the settings had open. Who is in the middle of a
// transaction asks once more, over a new connection; lists that are closed tell him
// to come again.
func (s *settings) dismiss() {
	if s.policies != nil {
		s.policies.Close()
	}
	if s.lists != nil {
		s.lists.Close()
	}
}

func (a *App) milter(c *config.Config, m config.Milter) intake.Hook {
	return advice.NewMilter(advice.MilterConfig{
		Config: milter.Config{
			Name: m.Address.String(), Network: m.Address.Network, Address: m.Address.Address,
			ConnectTimeout: m.ConnectTimeout.Std(), CommandTimeout: m.CommandTimeout.Std(), ContentTimeout: m.ContentTimeout.Std(),
		},
		Scope:    scope(m.Services, "smtp", "submission"),
		Failure:  advice.Failure(m.DefaultAction),
		Hostname: c.Hostname, MaxBody: int64(c.MessageSizeLimit),
	}, a.queue, a.events)
}

func policies(c *config.Config, sources rule.Sources) []advice.PolicyConfig {
	out := make([]advice.PolicyConfig, len(c.Policies))
	for i, p := range c.Policies {
		asked, _ := p.Asked(c.ListNames(), sources) // config.Check has told what is wrong
		out[i] = advice.PolicyConfig{
			Config: policy.Config{Name: p.Address.String(), Network: p.Address.Network, Address: p.Address.Address,
				Timeout: p.Timeout.Std(), Tries: p.TryLimit},
			Scope: scope(p.Services, "smtp"), Stages: p.RuleStages(), Asked: asked, Default: p.DefaultAction.Action(), Context: p.Context,
		}
	}
	return out
}

func scope(named []config.AskedService, usual ...string) advice.Scope {
	if len(named) == 0 {
		return advice.Scope{Services: usual}
	}
	var s advice.Scope
	for _, n := range named {
		s.Services = append(s.Services, string(n))
	}
	return s
}
