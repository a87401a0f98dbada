package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"facteur/internal/base/conf"
)

var (
	unknownKey   = regexp.MustCompile(`^unknown key "(?:[^"]*\.)?([a-z0-9_]+)"`)
	postfixCalls = regexp.MustCompile(`Postfix calls this ([a-z0-9_]+)`)
	// perTransport are Postfix's settings that begin with the name of a transport.
	perTransport = regexp.MustCompile(`^([a-z0-9]+)_((?:destination|initial_destination)_(?:concurrency_limit|concurrency|rate_delay|recipient_limit|concurrency_failed_cohort_limit))$`)
)

// translated adds to unknown keys that are Postfix's what they are called here, by
// what the doc comments of the settings say of them.
func translated(err error) error {
	var list conf.Errors
	if !errors.As(err, &list) {
		return err
	}
	var names map[string]string
	for _, e := range list {
		m := unknownKey.FindStringSubmatch(e.Text)
		if m == nil {
			continue
		}
		if names == nil {
			names = postfixNames()
		}
		if of := perTransport.FindStringSubmatch(m[1]); of != nil && names[m[1]] == "" {
			text, _, _ := strings.Cut(e.Text, ";")
			e.Text = fmt.Sprintf("%s; it is %s in a [[transport]] with name = %q here", text, of[2], of[1])
			continue
		}
		if here := names[m[1]]; here != "" {
			text, _, _ := strings.Cut(e.Text, ";")
			e.Text = fmt.Sprintf("%s; what Postfix calls so is %s here", text, here)
		}
	}
	return err
}

// postfixNames are our names for Postfix's settings.
func postfixNames() map[string]string {
	names := map[string]string{"myhostname": "hostname", "mydestination": "[[domain]]", "virtual_mailbox_domains": "[[domain]]"}
	tables, err := Default().tables()
	if err != nil {
		return names
	}
	for _, t := range tables {
		for _, s := range t.Settings {
			for _, m := range postfixCalls.FindAllStringSubmatch(s.Doc, -1) {
				names[m[1]] = strings.TrimPrefix(strings.Trim(t.Header, "[]")+"."+s.Name, ".")
			}
		}
	}
	return names
}
