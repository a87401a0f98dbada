package app

import (
	"facteur/internal/app/config"
	"facteur/internal/mail/address"
	"facteur/internal/server/smtpd"
)

// sessionRules are [session] and [pregreet] as the doors for mail take them.
func sessionRules(c *config.Config) *smtpd.Rules {
	s, p := c.Session, c.PreGreet
	r := &smtpd.Rules{
		Withheld: s.Withheld(), MaxMessages: s.Messages, MaxHold: c.Submission.MaximalHoldTime.Std(),
		Trusted: prefixes(c.TrustedNetworks), Exempt: prefixes(c.Limits.Exempt),
		XclientHosts: prefixes(s.XclientHosts), XforwardHosts: prefixes(s.XforwardHosts),
		Etrn: map[config.ETRNClients]smtpd.Who{
			config.ETRNKnown: smtpd.Known, config.ETRNAnybody: smtpd.Anybody, config.ETRNNobody: smtpd.Nobody,
		}[s.ETRN],
		LMTPStrangers: s.LMTPStrangers, StrictEnvelopes: s.StrictRFC821Envelopes,
		Screen: smtpd.Screen{
			Wait: p.GreetWait.Std(), StressWait: p.StressGreetWait.Std(), Teaser: p.GreetBanner,
			Greet: action(p.GreetAction), NonSMTP: action(p.NonSMTPCommandAction),
			BareNewline: action(p.BareNewlineAction), Pipelining: action(p.PipeliningAction),
		},
		SoftErrors: s.SoftErrorLimit, HardErrors: s.HardErrorLimit, Junk: s.JunkCommandLimit, ErrorSleep: s.ErrorSleepTime.Std(),
		Rates: smtpd.Rates{
			Messages: s.ClientMessageRate, Recipients: s.ClientRecipientRate,
			Guesses: s.ClientUnknownRecipients, DomainGuesses: s.DomainUnknownRecipients,
		},
	}
	for _, d := range s.ETRNDomains {
		name, err := address.CanonicalDomain(d)
		if err != nil {
			panic(err) // Check lets no such name pass
		}
		r.EtrnDomains = append(r.EtrnDomains, name)
	}
	return r
}

func action(a config.Action) smtpd.Action {
	return map[config.Action]smtpd.Action{
		config.ActionIgnore: smtpd.Ignore, config.ActionEnforce: smtpd.Enforce, config.ActionDrop: smtpd.Drop,
	}[a]
}
