package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"facteur/internal/app/config"
	"facteur/internal/app/takeover/postfix"
)

const postconfUsage = "postconf [-dhHnopvx] [-c settings] [parameter ...]"

// postconf tells settings under the names that Postfix has for them (rows 258 and 260 to
// 263 of what a mail server does). Reading them checks them: "postconf >/dev/null" tells
// every mistake. Nothing is changed: facteur.toml is written by people.
func (c *command) postconf(_ context.Context, args []string) error {
	options, names, err := getopt(args, "aAbc:C:deEfFhHlmMnopPtT:vxX#")
	if err != nil {
		return &usageError{err.Error(), postconfUsage}
	}
	set := map[byte]bool{}
	for _, o := range options {
		switch {
		case o.letter == 'c':
			if err := c.useSettings(o.value); err != nil {
				return err
			}
		case strings.IndexByte("eX#", o.letter) >= 0:
			return errors.New("no program writes facteur.toml; change it with an editor, and \"facteur check\" looks at it")
		case strings.IndexByte("MFP", o.letter) >= 0:
			return errors.New("there is no master.cf; [[listen]] and [[transport]] of facteur.toml have what it had (facteur config show)")
		case strings.IndexByte("aAblmtTE", o.letter) >= 0:
			return fmt.Errorf("-%c is about Postfix's own program; see \"facteur config defaults\"", o.letter)
		}
		set[o.letter] = true
	}
	return c.tellParameters(set, names)
}

func (c *command) tellParameters(set map[byte]bool, names []string) error {
	defaults := postfix.Values(config.Default())
	values := defaults
	if !set['d'] {
		cfg, err := c.load()
		if err != nil {
			return err
		}
		values = postfix.Values(cfg)
	}
	asked := names
	if len(names) == 0 {
		asked = slices.Sorted(maps.Keys(values))
	}
	for _, name := range asked {
		if strings.Contains(name, "=") {
			return errors.New("no program writes facteur.toml; change it with an editor, and \"facteur check\" looks at it")
		}
		if value, found := values[name]; !found {
			c.parameterMissing(name)
		} else if !set['n'] || value != defaults[name] {
			c.tellParameter(set, name, value)
		}
	}
	return nil
}

func (c *command) tellParameter(set map[byte]bool, name, value string) {
	switch {
	case set['h']:
		fmt.Fprintln(c.out, printable(value))
	case set['H']:
		fmt.Fprintln(c.out, name)
	default:
		fmt.Fprintln(c.out, strings.TrimSuffix(name+" = "+printable(value), " "))
	}
}

func (c *command) parameterMissing(name string) {
	why := postfix.WhyNot(name)
	if why == "" {
		why = "unknown parameter"
	}
	fmt.Fprintf(c.err, "postconf: warning: %s: %s\n", printable(name), why)
}
