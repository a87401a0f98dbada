package config

import (
	"time"

	"facteur/internal/base/conf"
)

// PreGreet is what is looked for in strangers at the service "smtp". Trusted and exempt
// networks, and who has logged in, are spared. What is found is evidence for the rules
// and for the filter; the actions say what follows at once: "ignore" (nothing more),
// "enforce" (every recipient of the session is refused with 550) or "drop" (the session
// ends).
type PreGreet struct {
	// How long a client has to be silent before it is greeted. Programs that send spam
	// often can't wait. Who passed is not tested again for a day. "0s": no such test.
	// Postfix calls this postscreen_greet_wait.
	GreetWait conf.Duration `toml:"greet_wait"`
	// The same while the server is under stress, where it is less.
	StressGreetWait conf.Duration `toml:"stress_greet_wait"`
	// The text of a first line of the greeting, sent before that time, which tempts
	// clients that do not wait for the last one. Empty: none. Postfix calls this
	// postscreen_greet_banner.
	GreetBanner string `toml:"greet_banner"`
	// What follows on talking before the greeting.
	GreetAction Action `toml:"greet_action"`
	// What follows on a command of another protocol, such as GET, before EHLO.
	NonSMTPCommandAction Action `toml:"non_smtp_command_action"`
	// What follows on a command that ends with LF alone. It is never obeyed.
	BareNewlineAction Action `toml:"bare_newline_action"`
	// What follows on not waiting for a reply where one has to.
	PipeliningAction Action `toml:"pipelining_action"`
}

func defaultPreGreet() PreGreet {
	return PreGreet{
		GreetWait: conf.Duration(6 * time.Second), StressGreetWait: conf.Duration(2 * time.Second),
		GreetAction: ActionIgnore, NonSMTPCommandAction: ActionDrop, BareNewlineAction: ActionIgnore, PipeliningAction: ActionDrop,
	}
}

// Action is what follows when a client fails a test.
type Action string

// The actions, by Postfix's names.
const (
	ActionIgnore  Action = "ignore"
	ActionEnforce Action = "enforce"
	ActionDrop    Action = "drop"
)

// Form says what an Action may be.
func (Action) Form() string { return oneOf(ActionIgnore, ActionEnforce, ActionDrop) }

// UnmarshalText takes an action.
func (a *Action) UnmarshalText(text []byte) error {
	return choose(a, text, ActionIgnore, ActionEnforce, ActionDrop)
}

func (k *checker) preGreet() {
	p := k.c.PreGreet
	if p.GreetWait < 0 || p.GreetWait.Std() > time.Minute {
		k.failf("pregreet.greet_wait", "expected 0s to 1m; other servers give up on a greeting after some minutes")
	}
	if p.StressGreetWait < 0 || p.StressGreetWait.Std() > time.Minute {
		k.failf("pregreet.stress_greet_wait", "expected 0s to 1m")
	}
	if len(p.GreetBanner) > 200 || !printableASCII(p.GreetBanner) {
		k.failf("pregreet.greet_banner", "expected up to 200 printable ASCII characters, as replies have them")
	}
}
