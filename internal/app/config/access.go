package config

import (
	"fmt"

	"facteur/internal/base/conf"
	"facteur/internal/flow/rule"
)

// Access is how the server decides about mail that is handed to it.
type Access struct {
	// Whether what is decided about the client, its HELO and the sender is told only
	// when it names a recipient. By then it has had the time to log in, and the log
	// says whose mail was refused. Postfix calls this smtpd_delay_reject.
	DelayReject bool `toml:"delay_reject"`
	// Whether every refusal says "try again later" instead of "no", and what other
	// hosts refuse is tried again, so that nothing is lost while something new is
	// tried. Postfix calls this soft_bounce.
	SoftBounce bool `toml:"soft_bounce"`
	// Whether a sender address in a domain of this server is refused when nobody has
	// it. Postfix calls this smtpd_reject_unlisted_sender. Recipients that nobody has
	// are always refused.
	RejectUnlistedSender bool `toml:"reject_unlisted_sender"`
}

func defaultAccess() Access { return Access{DelayReject: true} }

// Rule is one access rule. docs/RULES.md has the whole language, with examples.
type Rule struct {
	// The name by which the log speaks of it.
	Name string `toml:"name"`
	// When it is asked: "connect", "helo", "mail", "rcpt", "data" or "end" (of the
	// message).
	Stage string `toml:"stage"`
	// The condition, such as 'sender.domain == "example.com" && !tls.active'. Without
	// one the rule applies to everything.
	When string `toml:"when"`
	// What is done, one action or several: "reject 550 5.7.1 No entry", "defer",
	// "hold", "discard", "redirect boss@example.org", "bcc log@example.org",
	// "prepend X-Group: family", "add header X-Group: family", "remove header X-Group",
	// "tag odd", "accept", "class onlylocal", "ask onlylocal", "warn seen", "sleep 2s", "listed".
	Then conf.Strings `toml:"then"`
	// The class that the rule belongs to. Rules of a class are asked only when another
	// rule says "class NAME" (Postfix's smtpd_restriction_classes) or "ask NAME".
	Class string `toml:"class"`
	// Only tell, in the journey and in the log, what the rule would do. It ends nothing, and
	// the rules after it are asked as if it were not there.
	TestOnly bool `toml:"test_only"`
}

// AccessRules are the rules in the form that flow/rule compiles.
func (c *Config) AccessRules() []rule.Rule {
	out := make([]rule.Rule, len(c.Rules))
	for i, r := range c.Rules {
		out[i] = rule.Rule{Name: r.Name, Stage: r.Stage, When: r.When, Then: r.Then, Class: r.Class, TestOnly: r.TestOnly}
	}
	return out
}

// access checks lists and rules.
func (k *checker) access() {
	k.lists()
	k.rules()
}

// rules compiles the rules, to find what is wrong with them.
func (k *checker) rules() {
	_, errs := rule.Compile(k.c.AccessRules(), k.c.ListNames(), rule.Sources{})
	for _, e := range errs {
		key := fmt.Sprintf("rule[%d].%s", e.Rule, e.Key)
		text := e.Text
		if name := k.nameOf(e.Rule); name != "" && e.Key != "name" {
			text = fmt.Sprintf("rule %q: %s", name, text)
		}
		k.errs = append(k.errs, k.c.positions.Inside(key, e.Line, e.Column, "%s", text))
	}
}

func (k *checker) nameOf(i int) string {
	if i < len(k.c.Rules) {
		return k.c.Rules[i].Name
	}
	return ""
}
