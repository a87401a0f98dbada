package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/flow/rule"
	"facteur/internal/store/list"
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

// List is a table that rules can look things up in.
type List struct {
	// The name by which rules ask for it, "blocked".
	Name string `toml:"name"`
	// Where it is kept: "file:/path" (lines "key value", as in Postfix's access(5)),
	// "cidr:/path" (networks), "regexp:/path" (patterns), or
	// "sqlite:/path?query=SELECT value FROM t WHERE key = ?". A relative path counts
	// from the directory of this file. Files are read again when they change.
	Source string `toml:"source"`
	// Instead of a source: the entries themselves, each "key" or "key value".
	Entries []string `toml:"entries"`
}

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
	// "tag odd", "accept", "class onlylocal", "warn seen", "sleep 2s", "listed".
	Then conf.Strings `toml:"then"`
	// The class that the rule belongs to. Rules of a class are asked only when another
	// rule says "class NAME" (Postfix's smtpd_restriction_classes).
	Class string `toml:"class"`
}

// AccessRules are the rules in the form that flow/rule compiles.
func (c *Config) AccessRules() []rule.Rule {
	out := make([]rule.Rule, len(c.Rules))
	for i, r := range c.Rules {
		out[i] = rule.Rule{Name: r.Name, Stage: r.Stage, When: r.When, Then: r.Then, Class: r.Class}
	}
	return out
}

// ListNames are the names of all lists.
func (c *Config) ListNames() []string {
	out := make([]string, len(c.Lists))
	for i, l := range c.Lists {
		out[i] = l.Name
	}
	return out
}

// ListSources are the lists in the form that store/list opens.
func (c *Config) ListSources() []list.Source {
	out := make([]list.Source, len(c.Lists))
	for i, l := range c.Lists {
		out[i] = list.Source{Name: l.Name, From: c.absolute(l.Source), Entries: l.Entries}
	}
	return out
}

// absolute makes the path of a source count from the directory of the file.
func (c *Config) absolute(source string) string {
	kind, path, found := strings.Cut(source, ":")
	if !found || path == "" || filepath.IsAbs(path) || c.path == "" {
		return source
	}
	path, query, asked := strings.Cut(path, "?")
	path = from(filepath.Dir(c.path), path)
	if asked {
		path += "?" + query
	}
	return kind + ":" + path
}

// access checks lists and rules.
func (k *checker) access() {
	seen := map[string]bool{}
	for i, l := range k.c.Lists {
		key := fmt.Sprintf("list[%d]", i)
		switch {
		case l.Name == "" || strings.ContainsAny(l.Name, " \t\"'"):
			k.failf(key+".name", "expected one word by which rules ask for the list, found %q", l.Name)
		case seen[l.Name]:
			k.failf(key+".name", "two lists are called %q", l.Name)
		case (l.Source == "") == (l.Entries == nil):
			k.failf(key+".source", `expected either a source, such as "file:/etc/facteur/blocked", or entries`)
		}
		seen[l.Name] = true
		if kind, _, found := strings.Cut(l.Source, ":"); l.Source != "" && !found {
			k.failf(key+".source", `expected a kind before the path, such as "file:%s"`, l.Source)
		} else if err := list.Unsupported(kind); l.Source != "" && err != nil {
			k.failf(key+".source", "%v", err)
		}
	}
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
